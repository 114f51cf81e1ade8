package cachemodel

import "testing"

// twoColours is a first level of four sets whose ways are two pages of 128 bytes,
// and a second level.
func twoColours(change ...func(*Config)) Config {
	c := Config{
		Levels: []LevelConfig{
			{Size: 512, Ways: 2, Line: 64, Index: VIPT},
			{Size: 1024, Ways: 4, Line: 64},
		},
		Page:     128,
		Versions: true,
	}
	for _, f := range change {
		f(&c)
	}
	return c
}

func alone(c *Config)    { c.Levels = c.Levels[:1] }
func vivt(c *Config)     { c.Levels[0].Index = VIVT }
func resolved(c *Config) { c.Levels[0].Aliases = AliasesResolved }

// One physical line under two colours, and in a VIVT cache two virtual
// addresses of the first.
var (
	even  = Address{0x2000, 0x1000}
	odd   = Address{0x3080, 0x1000}
	even2 = Address{0x4000, 0x1000}
)

// under reads a line under several addresses; memory has it in version 1.
func under(h *Hierarchy, addresses ...Address) {
	for _, a := range addresses {
		h.Read(a, 4)
		h.Filled(1)
	}
}

func wantFound(t *testing.T, h *Hierarchy, a Address, level int, v Version) {
	t.Helper()
	if got := h.Read(a, 4); got != level || h.HitVersion() != v {
		t.Errorf("level %d has version %d, want %d, %d", got, h.HitVersion(), level, v)
	}
}

func lines(h *Hierarchy, level int) (out []Line) {
	h.Lines(level, func(l Line) { out = append(out, l) })
	return out
}

func TestTwoColoursAreTwoCopies(t *testing.T) {
	h := mustNew(t, twoColours())
	under(h, even, odd)
	got := lines(h, 0)
	if len(got) != 2 || got[0].Set != 0 || got[1].Set != 2 || got[0].Physical != 0x1000 || got[1].Physical != 0x1000 {
		t.Errorf("L1 holds %+v, want one line in sets 0 and 2", got)
	}
	if c := h.Counters(0); c.AliasCopies != 1 || c.AliasesResolved != 0 {
		t.Errorf("%+v, want one alias copy", c)
	}
}

func TestAnAddressOfTheSameColourIsNoAlias(t *testing.T) {
	h := mustNew(t, twoColours())
	under(h, even)
	wantFound(t, h, even2, 0, 1)
	if c := h.Counters(0); c.AliasCopies != 0 {
		t.Errorf("%+v, want no alias copies", c)
	}
}

func TestAStoreUnderOneColourIsNotSeenUnderTheOther(t *testing.T) {
	h := mustNew(t, twoColours())
	under(h, even, odd)
	h.Write(even, 4, 5)
	wantFound(t, h, odd, 0, 1)
	wantFound(t, h, even, 0, 5)
}

func TestMaintenanceByAddressReachesOneColour(t *testing.T) {
	h := mustNew(t, twoColours())
	under(h, even, odd)
	h.Write(even, 4, 5)
	e := h.Maintain(CleanInvalidate, odd, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Version: 1, Copies: 2, Lookups: 1}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h)
	wantFound(t, h, even, 0, 5)
	if level, dirty, v := h.Probe(odd); level != 2 || dirty || v != 0 {
		t.Errorf("under the other colour there is level %d, %v, version %d", level, dirty, v)
	}
}

func TestMaintainAliasesReachesAllColours(t *testing.T) {
	h := mustNew(t, twoColours())
	under(h, even, odd)
	h.Write(odd, 4, 5)
	e := h.MaintainAliases(CleanInvalidate, 0x1000, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 5, Copies: 3, Lookups: 2}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack})
	for level := range h.Levels() {
		wantLines(t, h, level)
	}
}

func TestMaintainAliasesWritesEachDirtyCopyTheLowestColourFirst(t *testing.T) {
	h := mustNew(t, twoColours(alone))
	under(h, odd, even)
	h.Write(odd, 4, 5)
	h.Write(even, 4, 6)
	e := h.MaintainAliases(Clean, 0x1000, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 6, Copies: 2, Lookups: 2}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 6, WriteBack}, Transfer{0x1000, 64, 5, WriteBack})
	wantFound(t, h, odd, 0, 5) // clean, and still another than the other
	wantFound(t, h, even, 0, 6)
}

func TestMaintainAliasesVisitsAllColoursForALineThatIsNotThere(t *testing.T) {
	h := mustNew(t, twoColours())
	if e, want := h.MaintainAliases(Invalidate, 0x1000, PoC), (Effect{Addr: 0x1000, Lookups: 2}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
}

func TestMaintainAliasesOfAPhysicallyIndexedLevelLooksOnce(t *testing.T) {
	h := mustNew(t, small())
	load(h, 1, 1)
	wantEffect(t, h.MaintainAliases(Clean, line(1), PoC), found(1, false, 1, 2))
}

func TestAVIVTLineIsFoundUnderItsAddressAlone(t *testing.T) {
	h := mustNew(t, twoColours(vivt))
	under(h, even, even2, odd) // the first two in one set
	if c := h.Counters(0); c.ReadMisses != 3 || c.AliasCopies != 2 {
		t.Errorf("%+v, want three misses, two of them for aliases", c)
	}
	h.Write(even, 4, 5)
	wantFound(t, h, even2, 0, 1)
	wantFound(t, h, odd, 0, 1)
	got := lines(h, 0)
	if len(got) != 3 || got[0].Tag != even.Virtual || got[1].Tag != even2.Virtual || got[2].Tag != odd.Virtual {
		t.Errorf("L1 holds %+v, want all three addresses", got)
	}
}

func TestAVIVTLineIsWrittenBackToItsPhysicalAddress(t *testing.T) {
	h := mustNew(t, twoColours(vivt, alone))
	under(h, odd)
	h.Write(odd, 4, 5)
	e := h.SetWay(CleanInvalidate, 0, 2, 0)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 5, Copies: 1, Lookups: 1}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack})
}

func TestMaintainAliasesOfAVIVTLevelVisitsTheAddressesHeld(t *testing.T) {
	h := mustNew(t, twoColours(vivt, alone))
	under(h, odd, even2, even)
	for i, a := range []Address{odd, even2, even} {
		h.Write(a, 4, Version(5+i))
	}
	e := h.MaintainAliases(CleanInvalidate, 0x1000, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 6, Copies: 3, Lookups: 2}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, // by set and way
		Transfer{0x1000, 64, 6, WriteBack}, Transfer{0x1000, 64, 7, WriteBack}, Transfer{0x1000, 64, 5, WriteBack})
	wantLines(t, h, 0)
}

// The page table has changed, the cache was not flushed: the line is still that
// of the old frame.
func TestAVIVTLineOutlivesItsMapping(t *testing.T) {
	h := mustNew(t, twoColours(vivt))
	under(h, even)
	h.Write(even, 4, 5)
	moved := Address{even.Virtual, 0x6000}
	wantFound(t, h, moved, 0, 5)
	h.Maintain(Clean, moved, PoC)
	if level, dirty, v := h.Probe(At(0x1000)); level != 1 || !dirty || v != 5 {
		t.Errorf("level %d has version %d, dirty %v: want it in L2, under its old frame", level, v, dirty)
	}
	if level, _, _ := h.Probe(At(0x6000)); level != 2 {
		t.Errorf("level %d has the new frame", level)
	}
}

func TestAResolvedAliasIsEvictedBeforeTheLineIsFetched(t *testing.T) {
	h := mustNew(t, twoColours(resolved, alone))
	under(h, even)
	h.Write(even, 4, 5)
	wantLevel(t, h.Read(odd, 4), 1)
	wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack}, Transfer{0x1000, 64, 0, Fetch})
	h.Filled(5)
	if got := lines(h, 0); len(got) != 1 || got[0].Set != 2 || got[0].Dirty != 0 {
		t.Errorf("L1 holds %+v, want the line in set 2, clean", got)
	}
	if c := h.Counters(0); c.AliasesResolved != 1 || c.AliasCopies != 0 || c.Writebacks != 1 {
		t.Errorf("%+v, want one alias resolved", c)
	}
}

func TestWithAliasesResolvedTheNewestIsFoundUnderAnyColour(t *testing.T) {
	h := mustNew(t, twoColours(resolved))
	under(h, even)
	h.Write(even, 4, 5)
	wantFound(t, h, odd, 1, 5)
	h.Write(odd, 4, 6)
	wantFound(t, h, even2, 1, 6)
	wantFound(t, h, even, 0, 6)
}

func TestAStoreThatMissesResolvesAliasesEvenIfItDoesNotAllocate(t *testing.T) {
	h := mustNew(t, twoColours(resolved))
	under(h, even)
	h.Write(even, 4, 5)
	wantLevel(t, h.Write(odd, 4, 6), 1)
	wantHit(t, h, 5)
	wantLines(t, h, 0)
	wantFound(t, h, even, 1, 6)
}

func TestWithAliasesResolvedMaintenanceReachesTheLineUnderAnyColour(t *testing.T) {
	h := mustNew(t, twoColours(resolved))
	under(h, even)
	h.Write(even, 4, 5)
	if level, dirty, v := h.Probe(odd); level != 0 || !dirty || v != 5 {
		t.Errorf("Probe = %d, %v, %d, want 0, true, 5", level, dirty, v)
	}
	e := h.Maintain(CleanInvalidate, odd, PoC)
	if want := (Effect{Addr: 0x1000, Present: true, Dirty: true, Version: 5, Copies: 2, Lookups: 1}); e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack})
	wantLines(t, h, 0)
}

func TestAnInclusiveLevelTakesAllColoursWithIt(t *testing.T) {
	for _, index := range []func(*Config){func(*Config) {}, vivt} {
		h := mustNew(t, twoColours(index, l2(Inclusive)))
		under(h, even, odd, even2)
		h.Write(odd, 4, 5)
		if e := h.SetWay(CleanInvalidate, 1, 0, 0); e.Addr != 0x1000 || e.Dirty {
			t.Errorf("%+v, want line 0x1000, clean in L2", e)
		}
		wantTraffic(t, h, Transfer{0x1000, 64, 5, WriteBack})
		wantLines(t, h, 0)
	}
}
