package l3

import (
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/sim"
	"socsim/sim/bus"
	"socsim/soc/dram"
)

// small is a cache of two ways and four sets.
func small() SystemCache {
	return SystemCache{Size: 512, Ways: 2, Replacement: cachemodel.LRU, LookupCycles: 2, DataCycles: 4}
}

func cachedRig(t testing.TB, c SystemCache) *rig {
	t.Helper()
	r := newRig(t, nil)
	if err := r.SetSystemCache(c, 1); err != nil {
		t.Fatal(err)
	}
	return r
}

// about reports whether a time is a number of cycles of 166 MHz; each conversion from cycles rounds down to a picosecond.
func about(t *testing.T, r *rig, what string, got sim.Time, cycles int64) {
	t.Helper()
	if want := r.ctl.Clock().Cycles(cycles); got < want-4 || got > want+4 {
		t.Errorf("%s takes %v, want %d cycles, %v", what, got, cycles, want)
	}
}

func TestABurstThatHitsTheSystemCacheSparesTheDRAM(t *testing.T) {
	r := cachedRig(t, small())
	s := r.initiator(PortConfig{Master: 1, Outstanding: 1}, []transfer{{testBase, 64, bus.Read, afterDone, 0}, {testBase, 64, bus.Read, afterDone, 0}})
	other := r.initiator(PortConfig{Master: 2, Outstanding: 1}, []transfer{{testBase, 32, bus.Read, afterDone, sim.Microsecond}})
	r.run(t, sim.Millisecond)
	about(t, r, "a miss, the lookup before the DRAM,", s.log[0].done-s.log[0].issued, 5+2+4+3+8+3)
	about(t, r, "a hit", s.log[1].done-s.log[1].issued, 5+2+4+3)
	about(t, r, "another master's hit", other.log[0].done-other.log[0].issued, 5+2+4+3)
	if n := r.ctl.Stats().Reads; n != 1 {
		t.Errorf("%d reads of the DRAM, want 1", n)
	}
	if a, b := r.Stats(1).BytesRead, r.Stats(2).BytesRead; a != 64 || b != 0 {
		t.Errorf("%d and %d bytes read of the DRAM, want 64 and 0", a, b)
	}
	if k, ok := r.SystemCache(); !ok || k.ReadHits != 2 || k.ReadMisses != 1 {
		t.Errorf("there %t, counted %+v", ok, k)
	}
}

func TestHitsFollowEachOtherThroughTheDataPort(t *testing.T) {
	r := cachedRig(t, small())
	script := append([]transfer{{testBase, 64, bus.Read, afterDone, 0}}, repeat(4, 0, 64, bus.Read)...)
	for i := range script[1:] {
		script[1+i].addr, script[1+i].rule = testBase, backlogged
	}
	script[1].rule = afterDone
	s := r.initiator(PortConfig{Master: 1, Outstanding: 16}, script)
	r.run(t, sim.Millisecond)
	for i := 2; i < len(s.log); i++ {
		about(t, r, "the next hit", s.log[i].done-s.log[i-1].done, 4)
	}
}

func TestAWriteStaysInTheSystemCacheUntilItsLineHasToLeave(t *testing.T) {
	r := cachedRig(t, small())
	const set = 4 * 64 // bytes between lines of one set
	s := r.initiator(PortConfig{Master: 1, Outstanding: 1}, []transfer{
		{testBase, 64, bus.Write, afterDone, 0}, {testBase + set, 64, bus.Write, afterDone, 0}, {testBase + 2*set, 64, bus.Write, afterDone, sim.Microsecond},
	})
	r.run(t, sim.Microsecond/2)
	about(t, r, "a write", s.log[0].done-s.log[0].issued, 5+2+4+3)
	if d := r.ctl.Stats(); d.Writes != 0 || d.Reads != 0 {
		t.Errorf("the DRAM saw %d reads and %d writes, want none: there was room, and whole lines need no fetch", d.Reads, d.Writes)
	}
	r.run(t, sim.Millisecond)
	about(t, r, "a write that pushes a line out", s.log[2].done-s.log[2].issued, 5+2+4+3)
	if d := r.ctl.Stats(); d.Writes != 1 || d.Reads != 0 || r.Stats(1).BytesWritten != 64 {
		t.Errorf("the DRAM saw %d reads and %d writes, %d bytes; want the oldest line", d.Reads, d.Writes, r.Stats(1).BytesWritten)
	}
}

func TestAWriteOfAPartOfALineFetchesTheRest(t *testing.T) {
	r := cachedRig(t, small())
	r.initiator(PortConfig{Master: 1, Outstanding: 1}, []transfer{{testBase + 16, 16, bus.Write, afterDone, 0}, {testBase + 32, 16, bus.Write, afterDone, 0}})
	r.run(t, sim.Millisecond)
	if d := r.ctl.Stats(); d.Reads != 1 || d.Writes != 0 {
		t.Errorf("the DRAM saw %d reads and %d writes, want the one fetch", d.Reads, d.Writes)
	}
}

func TestNoSystemCacheChangesNothing(t *testing.T) {
	times := func(set func(*rig)) []outcome {
		r := newRig(t, nil)
		set(r)
		s := r.initiator(PortConfig{Master: 1, Outstanding: 4}, repeat(50, 0, 64, bus.Read))
		r.run(t, sim.Millisecond)
		return s.log
	}
	plain := times(func(*rig) {})
	off := times(func(r *rig) {
		if err := r.SetSystemCache(SystemCache{}, 1); err != nil {
			t.Error(err)
		}
		if _, ok := r.SystemCache(); ok {
			t.Error("there is a cache of no size")
		}
	})
	for i := range plain {
		if plain[i] != off[i] {
			t.Fatalf("transfer %d: %+v and %+v", i, plain[i], off[i])
		}
	}
}

// The DRAM's timing is watched by the rig: the cache may ask for no more than it accepts.
func TestWhatTheSystemCacheAsksIsWhatItMissesAndGivesUp(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := cachedRig(t, SystemCache{Size: 4096, Ways: 4, Replacement: cachemodel.Random, LookupCycles: rapid.IntRange(0, 9).Draw(rt, "lookup"), DataCycles: rapid.IntRange(0, 9).Draw(rt, "data")})
		var made []*initiator
		for i := range rapid.IntRange(1, 4).Draw(rt, "initiators") {
			script := make([]transfer, rapid.IntRange(1, 60).Draw(rt, "transfers"))
			for j := range script {
				n := rapid.SampledFrom([]int{16, 64, 256}).Draw(rt, "bytes")
				script[j] = transfer{
					testBase + bus.Phys(rapid.IntRange(0, 1<<14/n-1).Draw(rt, "at")*n), n, rapid.SampledFrom([]bus.Kind{bus.Read, bus.Write, bus.Fill}).Draw(rt, "kind"),
					rapid.SampledFrom([]int{afterDone, paced}).Draw(rt, "rule"), sim.Time(rapid.IntRange(0, 200).Draw(rt, "gap")) * sim.Nanosecond,
				}
			}
			made = append(made, r.initiator(PortConfig{Master: bus.Master(i + 1), Class: uint8(i % 3), Outstanding: 4}, script))
		}
		r.run(t, sim.Second)
		k, _ := r.SystemCache()
		d := r.ctl.Stats()
		var read, written uint64
		for i, s := range made {
			if len(s.log) != len(s.script) {
				rt.Errorf("initiator %d did %d of %d transfers", i, len(s.log), len(s.script))
			}
			read += r.Stats(bus.Master(i + 1)).BytesRead
			written += r.Stats(bus.Master(i + 1)).BytesWritten
		}
		if d.Reads*64 != read || d.Writes*64 != written || k.Writebacks != d.Writes || d.Reads < k.ReadMisses || d.Reads > k.ReadMisses+k.WriteMisses {
			rt.Errorf("%d reads and %d writes of the DRAM, %d and %d bytes on account, for %+v", d.Reads, d.Writes, read, written, k)
		}
		r.ResetStats()
		if k, _ := r.SystemCache(); k != (cachemodel.Counters{}) {
			rt.Errorf("after a reset %+v", k)
		}
	})
}

func TestServingBurstsThroughTheSystemCacheAllocatesNothing(t *testing.T) {
	r := preview(t, true)
	if err := r.SetSystemCache(SystemCache{Size: 64 << 10, Ways: 16, Replacement: cachemodel.PLRU, LookupCycles: 2, DataCycles: 4}, 1); err != nil {
		t.Fatal(err)
	}
	until := sim.Time(0)
	if n := testing.AllocsPerRun(10, func() {
		until += sim.Millisecond
		r.AdvanceTo(until)
	}); n != 0 {
		t.Errorf("%v allocations a millisecond", n)
	}
}

func TestASystemCacheThatMakesNoSenseIsRefused(t *testing.T) {
	for _, c := range []SystemCache{
		{Size: 3 << 10, Ways: 4}, {Size: 4 << 10}, {Size: 4 << 10, Ways: 4, LookupCycles: -1}, {Size: 4 << 10, Ways: 4, DataCycles: -1},
	} {
		if err := c.Validate(); err == nil {
			t.Errorf("accepted %+v", c)
		}
		if err := newRig(t, nil).SetSystemCache(c, 1); err == nil {
			t.Errorf("set %+v", c)
		}
	}
}

func TestTheSystemCacheKeepsToTheControllersLookAhead(t *testing.T) {
	r := newRig(t, func(_ *Config, d *dram.Config) { d.LookAhead = 1 })
	if err := r.SetSystemCache(small(), 1); err != nil {
		t.Fatal(err)
	}
	// The third line pushes the first out; each is in a bank of its own.
	s := r.initiator(PortConfig{Master: 1, Outstanding: 4}, []transfer{
		{testBase, 64, bus.Write, afterDone, 0},
		{testBase + 4096, 64, bus.Write, afterDone, 0},
		{testBase + 2*4096, 64, bus.Read, afterDone, sim.Microsecond},
		{testBase + 2*4096 + 64, 64, bus.Read, backlogged, 0},
	})
	r.run(t, sim.Millisecond)
	about(t, r, "a read behind a fetch and a write-back", s.log[3].done-s.log[3].issued, 5+2+(4+3+8)+(4+1+8)+2+(3+8)+3)
}
