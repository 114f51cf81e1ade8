package cachemodel

import "testing"

func TestPresetsHaveTheColoursOfTheirManuals(t *testing.T) {
	for name, colours := range map[string]int{
		"arm926": 1, "arm1136-16k": 1, "arm1136-32k": 2, "arm1136-64k": 4, "cortex-a8-16k": 1, "cortex-a8-32k": 2, "cortex-a9-pl310": 1,
	} {
		c, ok := Preset(name)
		if !ok {
			t.Errorf("no preset %s", name)
			continue
		}
		h := mustNew(t, c)
		if h.Colours() != colours {
			t.Errorf("%s has %d colours, want %d", name, h.Colours(), colours)
		}
		if h.InstructionCounters(); c.Instruction == nil {
			t.Errorf("%s has no instruction side", name)
		}
	}
	if len(PresetNames()) != 7 {
		t.Errorf("presets %v: want each named above", PresetNames())
	}
	if _, ok := Preset("arm7"); ok {
		t.Error("there is a preset arm7")
	}
}

func TestAPresetIsACopy(t *testing.T) {
	a, _ := Preset("cortex-a8-16k")
	a.Levels[0].Ways, a.Instruction.Ways = 99, 99
	b, _ := Preset("cortex-a8-16k")
	if b.Levels[0].Ways != 4 || b.Instruction.Ways != 4 {
		t.Error("changing one changes the next")
	}
}

// The same two addresses of one page frame on each core: only the ARM1136 with large ways and the ARM926 keep two copies, and only there does a load miss the other's store.
func TestTheSameAliasOnEachCore(t *testing.T) {
	for name, stale := range map[string]bool{"arm926": true, "arm1136-16k": false, "arm1136-32k": true, "arm1136-64k": true, "cortex-a8-16k": false, "cortex-a8-32k": false, "cortex-a9-pl310": false} {
		c, _ := Preset(name)
		c.Versions = true
		h := mustNew(t, c)
		a, b := Address{0x10000, 0x5000}, Address{0x21000, 0x5000}
		load := func(at Address) Version {
			h.Read(at, 4)
			h.Filled(1)
			h.Read(at, 4)
			return h.HitVersion()
		}
		load(a)
		load(b)
		h.Write(b, 4, 2)
		if got := load(a) == 1; got != stale {
			t.Errorf("%s: the load finds the old data: %v, want %v", name, got, stale)
		}
	}
}
