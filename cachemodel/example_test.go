package cachemodel_test

import (
	"fmt"

	"socsim/cachemodel"
)

func omap3430() *cachemodel.Hierarchy {
	h, err := cachemodel.New(cachemodel.Config{
		Levels: []cachemodel.LevelConfig{
			{Size: 16 << 10, Ways: 4, Line: 64, Replacement: cachemodel.Random},
			{Size: 256 << 10, Ways: 8, Line: 64, Replacement: cachemodel.Random},
		},
		Versions: true,
		Seed:     1,
	})
	if err != nil {
		panic(err)
	}
	return h
}

// A load that misses everywhere is fetched; the next one hits in L1.
func ExampleHierarchy_Read() {
	h := omap3430()
	const addr = 0x8000_0004
	fmt.Println("level", h.Read(addr), "of", h.Levels())
	for _, x := range h.Traffic() {
		fmt.Printf("%v %#x\n", x.Kind, x.Addr)
	}
	h.Filled(42) // what memory holds
	fmt.Println("level", h.Read(addr), "version", h.HitVersion())
	// Output:
	// level 2 of 2
	// fetch 0x80000000
	// level 0 version 42
}

// A device does not see what the CPU wrote until the line is cleaned, and the
// CPU does not see what the device wrote until its copy is invalidated.
func ExampleHierarchy_Maintain() {
	h := omap3430()
	const addr = 0x8000_0000
	memory := cachemodel.Version(1)

	h.Read(addr)
	h.Filled(memory)
	h.Write(addr, 2, false)
	fmt.Println("device reads", memory)

	fmt.Printf("clean: %+v\n", h.Maintain(cachemodel.Clean, addr))
	memory = h.Traffic()[0].Version
	fmt.Println("device reads", memory)

	memory = 3 // the device writes
	h.Read(addr)
	fmt.Println("CPU reads", h.HitVersion())

	h.Maintain(cachemodel.Invalidate, addr)
	h.Read(addr)
	h.Filled(memory)
	h.Read(addr)
	fmt.Println("CPU reads", h.HitVersion())
	// Output:
	// device reads 1
	// clean: {Addr:2147483648 Present:true Dirty:true Version:2}
	// device reads 2
	// CPU reads 2
	// CPU reads 3
}

// A whole-cache flush visits every set and way of every level.
func ExampleHierarchy_SetWay() {
	h := omap3430()
	h.Read(0)
	h.Write(0, 1, false)
	slots, written := 0, 0
	for level := range h.Levels() {
		for set := range h.Sets(level) {
			for way := range h.Ways(level) {
				h.SetWay(cachemodel.CleanInvalidate, level, set, way)
				written += len(h.Traffic())
				slots++
			}
		}
	}
	fmt.Println(slots, "slots,", written, "written back")
	// Output: 4352 slots, 1 written back
}
