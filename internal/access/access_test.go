package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/cachemodel"
	"socsim/internal/calibrate"
	"socsim/internal/conf"
	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/presets"
)

func chip(t testing.TB, name string, sets ...string) *calibrate.Chip {
	t.Helper()
	c, err := load(name, sets)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// load resolves a chip with little memory, which is there sooner.
func load(name string, sets []string) (*calibrate.Chip, error) {
	var overrides []conf.Override
	for _, s := range append([]string{"soc.memory.size=16MiB", "soc.memory.reserved=4MiB"}, sets...) {
		path, value, _ := strings.Cut(s, "=")
		overrides = append(overrides, conf.Override{Path: path, Value: value})
	}
	return calibrate.Load(name, overrides, 1)
}

func explained(t testing.TB, c *calibrate.Chip, q Query) *Report {
	t.Helper()
	r, err := Explain(context.Background(), c, q)
	if err != nil {
		t.Fatalf("%s, %+v: %v", c.Name, q, err)
	}
	return r
}

const va = 0x4000_1040

// constant returns what a setting makes of one term, as written in the chip's configuration; ok is false for terms that no setting fixes alone.
func constant(c soc.Config, q Query, x Term) (want sim.Time, ok bool) {
	cycles := func(hz units.Hertz, n int64) (sim.Time, bool) { return sim.NewClock(int64(hz)).Cycles(n), true }
	memory := sim.NewClock(int64(c.DRAM.Clock))
	core := map[string]int{
		"soc.cpu.tlb_miss_cycles": c.CPU.TLBMissCycles, "soc.cpu.access_cycles": c.CPU.AccessCycles * int(q.Bytes/q.Width), "soc.cpu.l1_cycles": c.CPU.L1Cycles - c.CPU.AccessCycles,
		"soc.cpu.l2_cycles": c.CPU.L2Cycles, "soc.cpu.llc_cycles": c.CPU.LLCCycles, "soc.cpu.miss_cycles": c.CPU.MissCycles, "soc.cpu.maintenance.barrier": int(c.CPU.Maintenance.Barrier),
	}
	if n, ok := core[x.Setting]; ok {
		return cycles(c.CPU.Clock, int64(n))
	}
	switch x.Setting {
	case "soc.cpu.memory_latency":
		if strings.HasPrefix(x.Name, "request") {
			return c.CPU.MemoryLatency / 2, true
		}
		return c.CPU.MemoryLatency - c.CPU.MemoryLatency/2, true
	case "soc.cpu.critical_word_first":
		n := int64(q.Bytes)
		if x.Part == "table walk" {
			n = 4
		}
		line := int64(c.L1D.Line)
		return -memory.Cycles((line+2*int64(c.DRAM.Width)-1)/(2*int64(c.DRAM.Width))) * sim.Time(line-n) / sim.Time(line), true
	case "soc.l3.request_cycles":
		return cycles(c.L3.Clock, int64(c.L3.RequestCycles))
	case "soc.l3.response_cycles":
		return cycles(c.L3.Clock, int64(c.L3.ResponseCycles))
	case "soc.system_cache.lookup_cycles":
		return cycles(c.L3.Clock, int64(c.SystemCache.LookupCycles))
	case "soc.system_cache.data_cycles":
		return cycles(c.L3.Clock, int64(c.SystemCache.DataCycles))
	case "soc.isp.mmu.hit_cycles":
		return cycles(c.L3.Clock, int64(c.ISP.MMU.HitCycles))
	case "soc.gpu.mmu.hit_cycles":
		return cycles(c.GPU.Clock, int64(c.GPU.MMU.HitCycles))
	case "soc.dram.trcd":
		return cycles(c.DRAM.Clock, memory.Ceil(c.DRAM.TRCD))
	case "soc.dram.trp":
		return cycles(c.DRAM.Clock, memory.Ceil(c.DRAM.TRP))
	case "soc.dram.cl":
		return cycles(c.DRAM.Clock, int64(c.DRAM.CL))
	case "soc.dram.cwl":
		return cycles(c.DRAM.Clock, int64(c.DRAM.CWL))
	case "soc.dram.burst":
		return cycles(c.DRAM.Clock, dataClocks(c, x))
	case "soc.dram.service":
		return cycles(c.DRAM.Clock, memory.Ceil(c.DRAM.Service))
	case "soc.dram.scheduler":
		return cycles(c.DRAM.Clock, 1)
	}
	return 0, false
}

// dataClocks takes the number of bursts from the name of a term; a test of its own checks that against the bytes.
func dataClocks(c soc.Config, x Term) int64 {
	var bursts int64
	fmt.Sscanf(x.Name, "data: %d", &bursts)
	return bursts * int64(c.DRAM.Burst) / 2
}

// check checks that terms add up and that each is what its setting says.
func check(t *testing.T, c *calibrate.Chip, q Query, terms []Term, total sim.Time) {
	t.Helper()
	var sum sim.Time
	root := struct {
		SoC soc.Config `conf:"soc"`
	}{c.Config}
	for _, x := range terms {
		sum += x.Time
		if want, ok := constant(c.Config, q, x); ok && x.Time != want*sim.Time(x.Count) {
			t.Errorf("%s, %+v: %s, %s takes %v, %d times; the settings say %v each", c.Name, q, x.Part, x.Name, x.Time, x.Count, want)
		} else if !ok && x.Time < -2 && x.Name != began {
			t.Errorf("%s, %+v: %s, %s takes %v", c.Name, q, x.Part, x.Name, x.Time)
		}
		if value, ok := conf.Value(root, x.Setting); x.Setting != "" && (!ok || value != x.Value) {
			t.Errorf("%s, %+v: %s is fixed by %s, which is %q, not %q", c.Name, q, x.Name, x.Setting, value, x.Value)
		}
	}
	if sum != total {
		t.Errorf("%s, %+v: the terms add up to %v, the access took %v", c.Name, q, sum, total)
	}
}

// coreQueries are all kinds of access that the core can make.
func coreQueries() []Query {
	var out []Query
	for _, state := range States() {
		for _, attr := range Attrs() {
			for _, tlb := range []string{"hit", "miss"} {
				for _, write := range []bool{false, true} {
					for _, row := range []string{"", "open", "conflict"} {
						if row != "" && (state != Cold || tlb == "miss" || write) || tlb == "miss" && state != Cold && state != L1 {
							continue
						}
						q := Query{VA: va, State: state, Attr: cpu.Attr(attr), TLB: tlb, Write: write, DRAM: row}
						out = append(out, q)
						if attr == string(cpu.Cached) && !write {
							q.Dependent = true
							out = append(out, q)
						}
						q.Dependent, q.Bytes, q.Width, q.VA = false, 32, 8, va&^63
						if row == "" {
							out = append(out, q)
						}
					}
				}
			}
		}
	}
	return out
}

// possible lets out what the chip cannot do, and puts the defaults in.
func possible(c *calibrate.Chip, queries []Query) []Query {
	return slices.DeleteFunc(slices.Clone(queries), func(q Query) bool { return q.complete(c) != nil })
}

func TestTheTermsOfEveryAccessAddUpOnEveryChip(t *testing.T) {
	for _, name := range (presets.Set{}).Names("soc") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := chip(t, name)
			made := 0
			for _, q := range possible(c, coreQueries()) {
				r := explained(t, c, q)
				q.complete(c)
				check(t, c, q, r.Terms, r.Total)
				var until sim.Time
				for _, x := range r.Memory {
					until += x.Time
				}
				check(t, c, q, r.Memory, until)
				made++
			}
			if made < 40 {
				t.Errorf("%d accesses", made)
			}
		})
	}
}

func TestTheTermsAddUpUnderAnySettings(t *testing.T) {
	choices := []string{
		"dram=lpddr-333-x32", "dram=lpddr2-omap4", "dram=ddr4-server", "dram=mddr-omap1", "dram=fixed", "dram.page=closed", "dram.hash=true", "dram.map=rocoba", "dram.map=baroco", "dram.trefi=0s",
		"dram.power_down=300ns", "dram.burst=8", "dram.width=2B", "dram.channels=2", "dram.cl=5", "cpu.clock=333MHz", "cpu.bus_burst=32B", "cpu.bus_burst=16B", "cpu.bus_width=1B", "cpu.bus_limit=50MB",
		"cpu.critical_word_first=false", "cpu.linefills=4", "cpu.nc_outstanding=4", "cpu.write_merge=16B", "cpu.write_outstanding=1", "cpu.eviction_buffers=1", "cpu.streaming_stores=false", "cpu.memory_latency=33ns",
		"cpu.l2_cycles=0", "cpu.miss_cycles=0", "cpu.access_cycles=3", "cpu.tlb_entries=1", "cpu.speculation=200cycles", "l1d.write=through", "l1d.allocate=read-write", "l2.allocate=read-write", "l2.size=0B",
		"l2.inclusion=exclusive", "l2.inclusion=inclusive", "l1d.index=vivt", "l1d.aliases=kept", "l1d.ways=1", "l2.outer=true", "llc.size=1MiB", "system_cache.size=1MiB", "l3.clock=211MHz", "l3.request_cycles=0",
		"isp.bus_burst=16B", "isp.bus_limit=20MB", "isp.mmu.format=smmu", "isp.mmu.hit_cycles=0", "isp.bus_width=1B", "gpu.bus_width=1B", "memory.page_colours=4",
	}
	queries := coreQueries()
	for _, device := range Devices() {
		for _, write := range []bool{false, true} {
			queries = append(queries, Query{VA: addresses[device], Device: device, Write: write})
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		var sets []string
		for range rapid.IntRange(1, 5).Draw(rt, "settings") {
			sets = append(sets, "soc."+rapid.SampledFrom(choices).Draw(rt, "set"))
		}
		slices.Sort(sets) // a memory before its settings
		sets = slices.Compact(sets)
		c, err := load("omap3430", sets)
		if err != nil {
			return // what does not go together
		}
		q := rapid.SampledFrom(queries).Draw(rt, "query")
		if q.complete(c) != nil {
			return
		}
		r, err := Explain(context.Background(), c, q)
		if err != nil && !strings.HasPrefix(err.Error(), "--") {
			rt.Fatalf("%v, %+v: %v", sets, q, err)
		}
		if err != nil {
			return // the state cannot be reached
		}
		check(t, c, q, r.Terms, r.Total)
		if t.Failed() {
			rt.Fatalf("%v", sets)
		}
	})
}

// addresses are some that each device can put out: physical ones of those without an MMU.
var addresses = map[string]uint64{"isp": 0x4100_0040, "gpu": 0x0100_0040, "display": 0x8080_0040, "dma": 0x8080_0040}

func TestTheTermsOfEveryBurstAddUpOnEveryChip(t *testing.T) {
	for _, name := range (presets.Set{}).Names("soc") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := chip(t, name)
			for _, device := range Devices() {
				for _, write := range []bool{false, true} {
					for _, tlb := range []string{"", "hit"} {
						for _, row := range []string{"", "open", "conflict"} {
							for _, state := range []string{Cold, System} {
								q := Query{VA: addresses[device], Device: device, Write: write, TLB: tlb, DRAM: row, State: state}
								for _, q := range possible(c, []Query{q}) {
									r := explained(t, c, q)
									q.complete(c)
									check(t, c, q, r.Terms, r.Total)
								}
							}
						}
					}
				}
			}
		})
	}
}

// names lists the terms, and how often each occurs.
func names(terms []Term) string {
	var out []string
	for _, x := range terms {
		out = append(out, fmt.Sprintf("%s/%s x%d", x.Part, strings.TrimPrefix(x.Setting, "soc."), x.Count))
	}
	return strings.Join(out, " ")
}

func TestEachStateHasItsTerms(t *testing.T) {
	const (
		trip   = "l3.request_cycles x1 load/dram.clock x1 "
		answer = "load/dram.cl x1 load/dram.burst x1 load/l3.response_cycles x1 load/cpu.critical_word_first x1"
		missed = "load/cpu.access_cycles x1 load/cpu.l2_cycles x1 load/cpu.miss_cycles x1 load/" + trip
	)
	c := chip(t, "omap3430")
	for _, x := range []struct {
		q    Query
		want string
	}{
		{Query{State: L1}, "load/cpu.access_cycles x1"},
		{Query{State: L1, Dependent: true}, "load/cpu.access_cycles x1 load/cpu.l1_cycles x1"},
		{Query{State: L1, TLB: "miss"}, "table walk/cpu.tlb_miss_cycles x1 load/cpu.access_cycles x1"},
		{Query{State: L2}, "load/cpu.access_cycles x1 load/cpu.l2_cycles x1"},
		{Query{State: Dirty, Write: true}, "store/cpu.access_cycles x1"},
		{Query{State: Cold, TLB: "hit", DRAM: "open"}, missed + answer},
		{Query{State: Cold, TLB: "hit", DRAM: "closed"}, missed + "load/dram.trcd x1 " + answer},
		{Query{State: Cold, TLB: "hit", DRAM: "conflict"}, missed + "load/dram.trp x1 load/dram.trcd x1 " + answer},
		{
			Query{Attr: cpu.Uncached, TLB: "hit", DRAM: "open", Bytes: 16, Width: 4},
			"load/cpu.access_cycles x1 load/l3.request_cycles x4 load/dram.clock x4 load/dram.cl x4 load/dram.burst x4 load/l3.response_cycles x4",
		},
	} {
		x.q.VA = va
		if got := names(explained(t, c, x.q).Terms); got != x.want {
			t.Errorf("%+v:\n%s, want\n%s", x.q, got, x.want)
		}
	}
	r := explained(t, chip(t, "arm64-syscache"), Query{VA: va, State: LLC})
	if got := names(r.Terms); got != "load/cpu.access_cycles x1 load/cpu.l2_cycles x1 load/cpu.llc_cycles x1" {
		t.Errorf("llc: %s", got)
	}
	r = explained(t, chip(t, "arm64-syscache"), Query{VA: va, State: System, TLB: "hit"})
	if got := names(r.Terms); !strings.Contains(got, "load/system_cache.lookup_cycles x1 load/system_cache.data_cycles x1 load/l3") || strings.Contains(got, "dram") {
		t.Errorf("system cache: %s", got)
	}
}

func TestAWalkOfADeviceReadsOneDescriptorALevel(t *testing.T) {
	for device, levels := range map[string]int{"isp": 2, "gpu": 2} {
		for tlb, want := range map[string]int{"miss": levels, "hit": 0} {
			r := explained(t, chip(t, "omap3430"), Query{VA: 0x0100_0040, Device: device, TLB: tlb})
			got := 0
			for _, x := range r.Terms {
				if strings.HasPrefix(x.Part, "walk") && x.Setting == "soc.l3.request_cycles" {
					got++
				}
			}
			if got != want {
				t.Errorf("%s, TLB %s: %d descriptors are read, want %d", device, tlb, got, want)
			}
		}
	}
}

func TestTheDataTermIsAsLongAsTheBytes(t *testing.T) {
	c := chip(t, "omap3430") // 4 beats of 4 bytes: bursts of 16 bytes, 2 clocks each
	clock := sim.NewClock(int64(c.Config.DRAM.Clock))
	for bytes, clocks := range map[units.Bytes]int64{4: 2, 16: 2, 32: 4, 64: 8} {
		r := explained(t, c, Query{VA: 0x8080_0040, Device: "dma", Bytes: bytes})
		i := slices.IndexFunc(r.Terms, func(x Term) bool { return x.Setting == "soc.dram.burst" })
		if got := r.Terms[i].Time; got != clock.Cycles(clocks) {
			t.Errorf("%v: data of %v, want %d clocks", bytes, got, clocks)
		}
	}
}

func TestASettingMovesTheTotalByItsTerm(t *testing.T) {
	q := Query{VA: va, TLB: "hit", DRAM: "closed", Dependent: true}
	at := func(sets ...string) sim.Time {
		return explained(t, chip(t, "omap3430", append(sets, "soc.dram.trefi=0s", "soc.dram.clock=200MHz", "soc.l3.clock=200MHz", "soc.cpu.clock=1GHz")...), q).Total
	}
	q.DRAM = "conflict"
	base := at()
	for set, want := range map[string]sim.Time{
		"soc.cpu.l2_cycles=28": 20, "soc.cpu.miss_cycles=45": 20, "soc.cpu.l1_cycles=13": 10, "soc.l3.request_cycles=9": 20, "soc.l3.response_cycles=7": 20, "soc.dram.cl=7": 20,
		"soc.dram.trcd=45ns": 20, "soc.dram.trp=40ns": 20, "soc.cpu.memory_latency=20ns": 20, "soc.cpu.critical_word_first=false": 0,
	} {
		switch d := at(set) - base; {
		case want > 0 && d != want*sim.Nanosecond:
			t.Errorf("%s moves the total by %v, want %vns", set, d, int64(want))
		case want == 0 && d <= 0:
			t.Errorf("%s moves the total by %v", set, d)
		}
	}
}

func TestTheLineIsWhereTheReportLooksForIt(t *testing.T) {
	for _, name := range (presets.Set{}).Names("soc") {
		c := chip(t, name)
		q := Query{VA: 0x4000_7180}
		if err := q.complete(c); err != nil {
			t.Fatal(err)
		}
		r, err := newRig(c, q)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, x := range r.sys.Memory.Regions() {
			if x.Name == "buffer" && uint64(x.Addr(0x3180)) != r.at.Physical {
				t.Errorf("%s: the buffer's byte lies at %v, the access went to %#x", name, x.Addr(0x3180), r.at.Physical)
			}
		}
		line := r.at.Physical &^ uint64(r.sys.Caches.LineSize()-1)
		r.sys.Caches.Lines(0, func(l cachemodel.Line) {
			if l.Physical == line {
				found++
				if l.Set != r.set(0, r.at) {
					t.Errorf("%s: the line is in set %d, not %d", name, l.Set, r.set(0, r.at))
				}
			}
		})
		if found != 1 {
			t.Errorf("%s: %d copies in L1", name, found)
		}
		r.sys.Close()
	}
}

func TestAnAccessIsExplainedTheSameWayTwice(t *testing.T) {
	c := chip(t, "omap3430")
	a, b := explained(t, c, Query{VA: va, State: L2}), explained(t, c, Query{VA: va, State: L2})
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%v\n%v", a, b)
	}
}

func TestWhatCannotBeIsRefused(t *testing.T) {
	for _, x := range []struct {
		chip string
		q    Query
		want string
	}{
		{"omap3430", Query{VA: va, State: "drity"}, `--state drity: there are cold, l1, l2, llc, dirty, system-cache; did you mean "dirty"?`},
		{"omap3430", Query{VA: va, State: LLC}, "soc.llc.size is 0B"},
		{"omap2420", Query{VA: va, State: L2}, "soc.l2.size is 0B"},
		{"omap3430", Query{VA: va, State: System}, "soc.system_cache.size is 0B"},
		{"omap3430", Query{VA: va, State: L1, Attr: cpu.Uncached}, "does not look into the core's caches"},
		{"omap3430", Query{VA: va, State: Dirty, Attr: cpu.WriteThrough}, "leaves no line dirty"},
		{"omap3430", Query{VA: va, Attr: "cachd"}, `did you mean "cached"?`},
		{"omap3430", Query{VA: va, Attr: "none"}, "--attr none: there are cached, "},
		{"omap3430", Query{VA: va + 2}, "not aligned to --width 4B; the nearest address below that is, is 0x40001040"},
		{"omap3430", Query{VA: va, Width: 3}, "want a power of two up to 64B"},
		{"omap3430", Query{VA: va, Width: 128}, "want a power of two up to 64B"},
		{"omap3430", Query{VA: va, Bytes: 6, Width: 4}, "want a multiple of --width 4B"},
		{"omap3430", Query{VA: va + 32, Bytes: 64}, "more than is left of a line of 64B"},
		{"omap3430", Query{VA: 0x1000}, "want an address of a user mapping"},
		{"omap3430", Query{VA: 1 << 40}, "want an address of a user mapping"},
		{"omap3430", Query{VA: va, Write: true, Dependent: true}, "only a load from a cached mapping"},
		{"omap3430", Query{VA: va, TLB: "warm"}, "--tlb warm: there are hit, miss"},
		{"omap3430", Query{VA: va, DRAM: "closd"}, `did you mean "closed"?`},
		{"ideal", Query{VA: va, DRAM: "open"}, "the memory has no rows"},
		{"omap3430", Query{VA: va, Device: "ispp"}, `did you mean "isp"?`},
		{"omap3430", Query{VA: va, Device: "dma"}, "so this is a physical address, and memory lies from 0x80000000 to 0x80ffffff"},
		{"omap3430", Query{VA: va, Device: "gpu"}, "from 0x1000 to 0xfffffff, since soc.gpu.mmu.format is sgx"},
		{"omap3430", Query{VA: va, Device: "isp", State: L1}, "does not look into the core's caches"},
		{"omap3430", Query{VA: va, Device: "isp", Attr: cpu.Cached}, "of accesses of the core"},
		{"omap3430", Query{VA: va, Device: "isp", Width: 4}, "say --bytes"},
		{"omap3430", Query{VA: va, Device: "isp", Bytes: 65}, "more than is left of a burst of 64B"},
		{"omap3430", Query{VA: 0x8000_0000, Device: "display", Write: true}, "a display reads"},
		{"omap3430", Query{VA: 0x8000_0000, Device: "display", TLB: "hit"}, "display has no MMU"},
	} {
		if _, err := Explain(context.Background(), chip(t, x.chip), x.q); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s, %+v: error %v, want %q", x.chip, x.q, err, x.want)
		}
	}
	closed := chip(t, "omap3430", "soc.dram.page=closed")
	if _, err := Explain(context.Background(), closed, Query{VA: va, DRAM: "open"}); err == nil || !strings.Contains(err.Error(), "soc.dram.page is closed") {
		t.Errorf("an open row of a memory that closes its rows: %v", err)
	}
}
