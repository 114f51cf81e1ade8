package cachemodel

// presets are the hierarchies by name.
var presets = []struct {
	name   string
	config Config
}{
	{"arm926", ARM926(16<<10, 8<<10)}, // sizes as in OMAP16xx, recalled
	{"arm1136-16k", ARM1136(16<<10, 16<<10)},
	{"arm1136-32k", ARM1136(32<<10, 32<<10)}, // as fitted in OMAP2420, recalled
	{"arm1136-64k", ARM1136(64<<10, 64<<10)},
	{"cortex-a8-16k", CortexA8(16<<10, 256<<10)}, // OMAP34xx, recalled
	{"cortex-a8-32k", CortexA8(32<<10, 256<<10)}, // OMAP36xx, AM335x
	{"cortex-a9-pl310", CortexA9(32<<10, 1<<20)}, // OMAP4, recalled
}

// PresetNames lists the hierarchies that [Preset] knows.
func PresetNames() []string {
	var names []string
	for _, p := range presets {
		names = append(names, p.name)
	}
	return names
}

// Preset returns a hierarchy by name. It is the caller's to change.
func Preset(name string) (Config, bool) {
	for _, p := range presets {
		if p.name == name {
			c := p.config
			c.Levels = append([]LevelConfig(nil), c.Levels...)
			i := *c.Instruction
			c.Instruction = &i
			return c, true
		}
	}
	return Config{}, false
}

// CortexA8 is the data side of a Cortex-A8 with the given sizes in bytes. L1D
// is found by virtual index and physical tag; a miss evicts a copy under
// another colour, so that software sees no aliases (Hennessy and Patterson,
// Cortex-A8 case study; the mechanism's name, hash virtual address buffer, is
// recalled). L2 is integrated, 8-way, physically addressed and has a dirty bit
// a quadword (Cortex-A8 TRM). Store misses do not allocate (pixman list, April
// 2011). Random replacement in both is recalled.
func CortexA8(l1, l2 int) Config {
	return Config{
		Levels: []LevelConfig{
			{Size: l1, Ways: 4, Line: 64, Replacement: Random, Index: VIPT, Aliases: AliasesResolved},
			{Size: l2, Ways: 8, Line: 64, Replacement: Random, SubBlock: 16},
		},
		Instruction: &LevelConfig{Size: l1, Ways: 4, Line: 64, Replacement: Random},
		Unification: 1,
	}
}

// ARM926 is the cache of an ARM926EJ-S of the given sizes in bytes: VIVT, 4
// ways, lines of 32 bytes with two dirty bits, read-allocate; a line carries its
// physical address, so that a write-back needs no TLB (ARM DDI 0198D, p. 4-2).
// Replacement is round robin or random by configuration; round robin here.
func ARM926(instruction, data int) Config {
	return Config{
		Levels:      []LevelConfig{{Size: data, Ways: 4, Line: 32, Replacement: RoundRobin, Index: VIVT, SubBlock: 16}},
		Instruction: &LevelConfig{Size: instruction, Ways: 4, Line: 32, Replacement: RoundRobin},
		Unification: 1,
	}
}

// ARM1136 is the cache of an ARM1136 of the given sizes in bytes: VIPT, 4 ways,
// lines of 32 bytes, read-allocate. Above 16 KB a way is larger than a page, and
// copies under several colours are software's business: 2 colours at 32 KB, 4
// at 64 KB (ARM DDI 0211, 6.11.3). Replacement is round robin or random by
// configuration; round robin here. Half-line dirty bits as the ARM926's are
// recalled.
func ARM1136(instruction, data int) Config {
	return Config{
		Levels:      []LevelConfig{{Size: data, Ways: 4, Line: 32, Replacement: RoundRobin, Index: VIPT, SubBlock: 16}},
		Instruction: &LevelConfig{Size: instruction, Ways: 4, Line: 32, Replacement: RoundRobin},
		Unification: 1,
	}
}

// CortexA9 is the cache of one Cortex-A9 with an outer PL310 of the given sizes
// in bytes: L1D physically addressed, 4 ways, lines of 32 bytes, pseudo-random,
// write-allocate (ARM DDI 0388I, 7-2); the PL310 is outside the core and
// maintained by physical address in a pass of its own. The PL310's 16 ways and
// round robin are recalled.
func CortexA9(l1, outer int) Config {
	return Config{
		Levels: []LevelConfig{
			{Size: l1, Ways: 4, Line: 32, Replacement: Random, Allocate: ReadWriteAllocate},
			{Size: outer, Ways: 16, Line: 32, Replacement: RoundRobin, Allocate: ReadWriteAllocate, Outer: true},
		},
		Instruction: &LevelConfig{Size: l1, Ways: 4, Line: 32, Replacement: Random},
		Unification: 1,
	}
}
