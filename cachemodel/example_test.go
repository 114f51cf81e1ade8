package cachemodel_test

import (
	"fmt"

	"socsim/cachemodel"
)

func mustNew(c cachemodel.Config) *cachemodel.Hierarchy {
	h, err := cachemodel.New(c)
	if err != nil {
		panic(err)
	}
	return h
}

func omap3430() *cachemodel.Hierarchy {
	return mustNew(cachemodel.Config{
		Levels: []cachemodel.LevelConfig{
			{Size: 16 << 10, Ways: 4, Line: 64, Replacement: cachemodel.Random},
			{Size: 256 << 10, Ways: 8, Line: 64, Replacement: cachemodel.Random},
		},
		Versions: true,
		Seed:     1,
	})
}

// A load that misses everywhere is fetched; the next one hits in L1.
func ExampleHierarchy_Read() {
	h := omap3430()
	addr := cachemodel.At(0x8000_0004)
	fmt.Println("level", h.Read(addr, 4), "of", h.Levels())
	for _, x := range h.Traffic() {
		fmt.Printf("%v %#x, %d bytes\n", x.Kind, x.Addr, x.Bytes)
	}
	h.Filled(42) // what memory holds
	fmt.Println("level", h.Read(addr, 4), "version", h.HitVersion())
	// Output:
	// level 2 of 2
	// fetch 0x80000000, 64 bytes
	// level 0 version 42
}

// A device does not see what the CPU wrote until the line is cleaned, and the
// CPU does not see what the device wrote until its copy is invalidated.
func ExampleHierarchy_Maintain() {
	h := omap3430()
	addr := cachemodel.At(0x8000_0000)
	memory := cachemodel.Version(1)

	h.Read(addr, 4)
	h.Filled(memory)
	h.Write(addr, 4, 2)
	fmt.Println("device reads", memory)

	fmt.Printf("clean: %+v\n", h.Maintain(cachemodel.Clean, addr, cachemodel.PoC))
	memory = h.Traffic()[0].Version
	fmt.Println("device reads", memory)

	memory = 3 // the device writes
	h.Read(addr, 4)
	fmt.Println("CPU reads", h.HitVersion())

	h.Maintain(cachemodel.Invalidate, addr, cachemodel.PoC)
	h.Read(addr, 4)
	h.Filled(memory)
	h.Read(addr, 4)
	fmt.Println("CPU reads", h.HitVersion())
	// Output:
	// device reads 1
	// clean: {Addr:2147483648 Present:true Dirty:true Version:2 Copies:2 Lookups:1}
	// device reads 2
	// CPU reads 2
	// CPU reads 3
}

// A flush of the whole cache visits every set and way of every level, but its
// cost is that of the lines it finds.
func ExampleHierarchy_MaintainAll() {
	h := omap3430()
	h.Read(cachemodel.At(0), 4)
	h.Write(cachemodel.At(0), 4, 1)
	t := h.MaintainAll(cachemodel.CleanInvalidate, cachemodel.PoC)
	fmt.Println(t.Slots, "slots,", t.Present, "lines found,", t.Dirty, "of them dirty")
	fmt.Println(h.Counters(1).BytesToBelow, "bytes written to memory")
	// Output:
	// 4352 slots, 2 lines found, 2 of them dirty
	// 64 bytes written to memory
}

// The loop over sets and ways, as software writes it.
func ExampleHierarchy_SetWay() {
	h := omap3430()
	h.Read(cachemodel.At(0), 4)
	h.Write(cachemodel.At(0), 4, 1)
	slots, written := 0, 0
	for level := range h.Levels() {
		for way := range h.Ways(level) {
			for set := range h.Sets(level) {
				h.SetWay(cachemodel.CleanInvalidate, level, set, way)
				written += len(h.Traffic())
				slots++
			}
		}
	}
	fmt.Println(slots, "slots,", written, "written back")
	// Output: 4352 slots, 1 written back
}

// A frame is mapped twice, at addresses of two colours. In an ARM1136 with 32 KiB,
// 8 KiB a way, each mapping has a copy of its own: a store through one is not
// seen through the other, and a clean under the wrong address finds nothing to
// write.
func ExampleHierarchy_MaintainAliases() {
	h := mustNew(cachemodel.Config{
		Levels:   []cachemodel.LevelConfig{{Size: 32 << 10, Ways: 4, Line: 32, Index: cachemodel.VIPT}},
		Versions: true,
	})
	kernel := cachemodel.Address{Virtual: 0xc000_0000, Physical: 0x8000_0000}
	user := cachemodel.Address{Virtual: 0x4000_1000, Physical: 0x8000_0000}
	for _, a := range []cachemodel.Address{kernel, user} {
		h.Read(a, 4)
		h.Filled(1)
	}
	h.Write(user, 4, 2)
	h.Read(kernel, 4)
	fmt.Println("the kernel reads version", h.HitVersion())

	h.Maintain(cachemodel.Clean, kernel, cachemodel.PoC)
	fmt.Println("a clean under the kernel's address writes", len(h.Traffic()), "lines")

	e := h.MaintainAliases(cachemodel.CleanInvalidate, user.Physical, cachemodel.PoC)
	fmt.Println("under all", e.Lookups, "colours it finds", e.Copies, "copies and writes version", h.Traffic()[0].Version)
	// Output:
	// the kernel reads version 1
	// a clean under the kernel's address writes 0 lines
	// under all 2 colours it finds 2 copies and writes version 2
}

// The ARM926 keeps a dirty bit for each half of a line, and writes back the
// halves that were written.
func ExampleHierarchy_TestClean() {
	h := mustNew(cachemodel.Config{
		Levels: []cachemodel.LevelConfig{
			{Size: 16 << 10, Ways: 4, Line: 32, SubBlock: 16, Index: cachemodel.VIVT, Replacement: cachemodel.RoundRobin},
		},
	})
	for _, addr := range []uint64{0x100, 0x218, 0x31c} {
		h.Read(cachemodel.At(addr), 4)
		h.Write(cachemodel.At(addr), 4, 0)
	}
	h.Write(cachemodel.At(0x10c), 8, 0) // reaches into the second half
	for {
		_, done := h.TestClean(cachemodel.CleanInvalidate)
		for _, x := range h.Traffic() {
			fmt.Printf("%v %#x, %d bytes\n", x.Kind, x.Addr, x.Bytes)
		}
		if done {
			break
		}
	}
	// Output:
	// write-back 0x100, 32 bytes
	// write-back 0x210, 16 bytes
	// write-back 0x310, 16 bytes
}
