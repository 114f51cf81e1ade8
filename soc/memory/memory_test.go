package memory

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

const (
	testBase = bus.Phys(0x8000_0000)

	cpu    = bus.Master(1)
	isp    = bus.Master(2)
	gpu    = bus.Master(3)
	line   = testBase + 0x1000
	during = 500 * sim.Nanosecond // of the operation under test
)

func newMemory(t testing.TB, set func(c *Config)) *Memory {
	t.Helper()
	cfg := Config{Base: testBase, Size: 1 << 20, LineBytes: 64, Fragmentation: 500_000, Seed: 1}
	if set != nil {
		set(&cfg)
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// recorder is an Observer that keeps all it is told.
type recorder []Violation

func (r *recorder) Violation(v Violation) { *r = append(*r, v) }

func observe(m *Memory) *recorder {
	r := &recorder{}
	m.SetObserver(r)
	return r
}

// want fails unless exactly the given violations were reported since the last call.
func (r *recorder) want(t testing.TB, what string, vs ...Violation) {
	t.Helper()
	if diff := cmp.Diff(vs, []Violation(*r), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s: violations (-want +got):\n%s", what, diff)
	}
	*r = nil
}

func TestStampHoldsTimeMasterAndMark(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		now := sim.Time(rapid.Int64Range(0, int64(20*3600*sim.Second)).Draw(rt, "now"))
		master := bus.Master(rapid.IntRange(0, bus.MaxMasters-1).Draw(rt, "master"))
		s := StampOf(now, master)
		if s.Time() != now || s.Master() != master || s.Merged() {
			rt.Fatalf("stamp of %v by %d reads back as %v by %d, merged %t", now, master, s.Time(), s.Master(), s.Merged())
		}
		m := s.WithMerged()
		if m.Time() != now || m.Master() != master || !m.Merged() || m == s {
			rt.Fatalf("merged stamp of %v by %d reads back as %v by %d, merged %t", now, master, m.Time(), m.Master(), m.Merged())
		}
	})
}

func TestDeviceReadOfAnUncleanedLineIsStale(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	s := StampOf(100, cpu)
	m.CPUWrite(line, s)
	r.want(t, "store")
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read", Violation{Kind: StaleDeviceRead, Addr: line, Newest: s, Actor: gpu, At: during})
	m.WriteBack(line, s, cpu, during)
	m.CPUWrite(line+64, s)
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read after the clean, up to an uncleaned line")
}

func TestDeviceReadReportsEachStaleLineItTouchesAndNoOther(t *testing.T) {
	for _, bytes := range []int{32, 64} {
		m := newMemory(t, func(c *Config) { c.LineBytes = bytes })
		r := observe(m)
		s := StampOf(100, cpu)
		n := bus.Phys(bytes)
		for _, l := range []bus.Phys{line - n, line, line + 2*n, line + 3*n} {
			m.CPUWrite(l, s)
		}
		m.DeviceRead(line+n-1, bytes+2, isp, during, true) // the last byte of the first line to the first of the third
		r.want(t, fmt.Sprintf("lines of %d bytes", bytes),
			Violation{Kind: StaleDeviceRead, Addr: line, Newest: s, Actor: isp, At: during, Walk: true},
			Violation{Kind: StaleDeviceRead, Addr: line + 2*n, Newest: s, Actor: isp, At: during, Walk: true})
	}
}

func TestCPUReadOfACopyOlderThanTheDevicesWriteIsStale(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	held := m.InMemory(line)
	if !m.CPURead(line, held, cpu, during) {
		t.Error("a fresh copy is refused")
	}
	m.DeviceWrite(line, 64, isp, 200)
	if m.CPURead(line+20, held, cpu, during) {
		t.Error("a stale copy is accepted")
	}
	r.want(t, "hit on the old copy", Violation{Kind: StaleCPURead, Addr: line, Newest: StampOf(200, isp), Held: held, Actor: cpu, At: during})
	if !m.CPURead(line, m.InMemory(line), cpu, during) {
		t.Error("a new fill is refused")
	}
	r.want(t, "hit after a new fill")
}

func TestDeviceWriteCoversEveryLineItTouchesAndNoOther(t *testing.T) {
	s := StampOf(200, isp)
	for _, tt := range []struct {
		off, bytes int
		want       [5]Stamp // of the line before and those from there on
	}{
		{63, 66, [5]Stamp{0, s, s, s, 0}},
		{0, 64, [5]Stamp{0, s, 0, 0, 0}},
		{32, 97, [5]Stamp{0, s, s, s, 0}},
		{32, 96, [5]Stamp{0, s, s, 0, 0}},
		{8, 1, [5]Stamp{0, s, 0, 0, 0}},
	} {
		m := newMemory(t, nil)
		m.DeviceWrite(line+bus.Phys(tt.off), tt.bytes, isp, 200)
		for i, want := range tt.want {
			pa := line + bus.Phys(i)*64 - 64
			if m.Newest(pa) != want || m.InMemory(pa) != want {
				t.Errorf("%d bytes from %d: line %d has newest %x, in memory %x, want %x", tt.bytes, tt.off, i-1, m.Newest(pa), m.InMemory(pa), want)
			}
		}
	}
}

func TestWriteBackOverNewerDeviceDataLosesIt(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	old, device := StampOf(100, cpu), StampOf(200, isp)
	m.CPUWrite(line, old)
	m.DeviceWrite(line, 64, isp, 200)
	r.want(t, "device write over a dirty line")
	m.WriteBack(line, old, cpu, during)
	r.want(t, "eviction", Violation{Kind: LostDeviceData, Addr: line, Newest: device, Held: old, Actor: cpu, At: during})
	m.DeviceRead(line, 64, gpu, during, false)
	m.WriteBack(line, old, cpu, during)
	r.want(t, "read and second write-back")
}

func TestCopyOfDataThatAWriteBackDestroyedIsStale(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	old := StampOf(100, cpu)
	m.CPUWrite(line, old)
	m.DeviceWrite(line, 64, isp, 200)
	copied := m.InMemory(line) // under another colour
	m.WriteBack(line, old, cpu, 300)
	*r = nil
	m.CPURead(line, copied, cpu, during)
	r.want(t, "hit on the newer copy", Violation{Kind: StaleCPURead, Addr: line, Newest: old, Held: copied, Actor: cpu, At: during})
}

func TestWriteBackOfTheNewestLosesNothing(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	m.DeviceWrite(line, 64, isp, 100)
	s := StampOf(200, cpu)
	m.CPUWrite(line, s)
	m.WriteBack(line, s, cpu, during)
	r.want(t, "write-back")
	if m.InMemory(line) != s {
		t.Errorf("memory holds %x, want %x", m.InMemory(line), s)
	}
}

func TestWriteBackOfACopyThatWasStoredToSinceLosesNothing(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	first, second := StampOf(100, cpu), StampOf(200, cpu)
	m.CPUWrite(line, first)
	m.CPUWrite(line, second)
	m.WriteBack(line, first, cpu, during)
	r.want(t, "write-back of the first store, the second is still cached")
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read in between", Violation{Kind: StaleDeviceRead, Addr: line, Newest: second, Held: first, Actor: gpu, At: during})
	m.WriteBack(line, second, cpu, during)
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "write-back of the second")
}

func TestWriteBackOfAStoreMergedIntoAStaleCopyLosesTheRestOfTheLine(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	m.DeviceWrite(line, 64, isp, 100)
	s := StampOf(200, cpu).WithMerged()
	m.CPUWrite(line, s)
	m.WriteBack(line, s, cpu, during)
	r.want(t, "write-back", Violation{Kind: LostDeviceData, Addr: line, Newest: StampOf(100, isp), Held: s, Actor: cpu, At: during})
	m.WriteBack(line, s, cpu, during)
	r.want(t, "write-back of the same once more")
	if m.Newest(line) != s || m.InMemory(line) != s {
		t.Errorf("newest %x, in memory %x, want the CPU's store", m.Newest(line), m.InMemory(line))
	}
}

func TestDropOfADirtyLineLosesTheStore(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	m.DeviceWrite(line, 64, isp, 100)
	s := StampOf(200, cpu)
	m.CPUWrite(line, s)
	m.CPUDrop(line+4, s, cpu, during)
	r.want(t, "drop", Violation{Kind: LostCPUData, Addr: line, Newest: s, Held: StampOf(100, isp), Actor: cpu, At: during})
	m.CPUDrop(line, s, cpu, during)
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "second drop and read of what is left")
}

func TestDropOfALineThatMemoryHoldsOrADeviceOverwroteLosesNothing(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	s := StampOf(100, cpu)
	m.CPUWrite(line, s)
	m.WriteBack(line, s, cpu, 150)
	m.CPUDrop(line, s, cpu, during)
	r.want(t, "drop of a cleaned line")
	m.CPUWrite(line, StampOf(160, cpu))
	m.DeviceWrite(line, 64, isp, 200)
	m.CPUDrop(line, StampOf(160, cpu), cpu, during)
	r.want(t, "drop of a line that a device overwrote")
}

func TestNothingIsReportedOfCoherentCaches(t *testing.T) {
	m := newMemory(t, nil)
	r := observe(m)
	m.SetCoherent(true)
	s, merged := StampOf(100, cpu), StampOf(300, cpu).WithMerged()
	m.CPUWrite(line, s)
	m.DeviceRead(line, 64, gpu, during, false)
	if m.InMemory(line) != s {
		t.Errorf("a fill gets %x, want the newest %x", m.InMemory(line), s)
	}
	m.DeviceWrite(line, 64, isp, 200)
	if !m.CPURead(line, s, cpu, during) {
		t.Error("a copy is refused")
	}
	m.WriteBack(line, s, cpu, during)
	if m.Newest(line) != StampOf(200, isp) || m.InMemory(line) != StampOf(200, isp) {
		t.Errorf("the write-back of an old copy took the place of %v: %x", StampOf(200, isp), m.InMemory(line))
	}
	m.CPUWrite(line, merged)
	m.WriteBack(line, merged, cpu, during)
	m.CPUWrite(line, StampOf(400, cpu))
	m.CPUDrop(line, StampOf(400, cpu), cpu, during)
	r.want(t, "all of the above")
	m.CPUWrite(line, StampOf(450, cpu))
	m.WriteBack(line, StampOf(450, cpu), cpu, during)
	m.SetCoherent(false)
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read of what was written back, once the caches are not coherent any more")
	m.SetCoherent(true)
	if !m.Coherent() {
		t.Error("Coherent is false")
	}
}

func TestNothingIsNeededOfAnObserver(t *testing.T) {
	m := newMemory(t, nil)
	observe(m)
	m.SetObserver(nil)
	m.CPUWrite(line, StampOf(100, cpu))
	m.DeviceRead(line, 64, gpu, during, false)
}

// payload is one line with its data: memory and one cached copy each hold the number of the write they got it from. Data is newest while it is what was written last among all
// that somebody still holds.
type payload struct {
	memory, copied, newest int
	valid, dirty           bool
}

func TestViolationsAreWhereTheDataDiffers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newMemory(t, nil)
		r := observe(m)
		var p payload
		var held Stamp
		stamps := []Stamp{0}
		for i := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now := sim.Time(i+1) * sim.Nanosecond
			op := rapid.SampledFrom([]string{"device write", "device read", "cpu write", "cpu read", "write back", "invalidate"}).Draw(rt, "op")
			want, found := ViolationKind(0), false
			expect := func(k ViolationKind) { want, found = k, true }
			switch op {
			case "device write":
				stamps = append(stamps, StampOf(now, isp))
				p.memory, p.newest = len(stamps)-1, len(stamps)-1
				m.DeviceWrite(line, 64, isp, now)
			case "device read":
				if p.memory != p.newest {
					expect(StaleDeviceRead)
				}
				m.DeviceRead(line, 64, gpu, now, false)
			case "cpu write": // of the whole line
				held = StampOf(now, cpu)
				stamps = append(stamps, held)
				p.copied, p.newest = len(stamps)-1, len(stamps)-1
				p.valid, p.dirty = true, true
				m.CPUWrite(line, held)
			case "cpu read":
				if !p.valid {
					p.copied, p.valid = p.memory, true
					held = m.InMemory(line)
				}
				if p.copied != p.newest {
					expect(StaleCPURead)
				}
				if ok := m.CPURead(line, held, cpu, now); ok != (p.copied == p.newest) {
					rt.Fatalf("step %d: copy accepted %t", i, ok)
				}
			case "write back":
				if !p.dirty {
					continue
				}
				if p.memory == p.newest {
					expect(LostDeviceData)
				}
				p.memory, p.newest, p.dirty = p.copied, p.copied, false
				m.WriteBack(line, held, cpu, now)
			case "invalidate":
				if p.dirty {
					if p.copied == p.newest {
						expect(LostCPUData)
						p.newest = p.memory
					}
					m.CPUDrop(line, held, cpu, now)
				}
				p.valid, p.dirty = false, false
			}
			if found && (len(*r) != 1 || (*r)[0].Kind != want) || !found && len(*r) != 0 {
				rt.Fatalf("step %d, %s: reported %+v, want %v %t", i, op, *r, want, found)
			}
			*r = nil
			if m.Newest(line) != stamps[p.newest] || m.InMemory(line) != stamps[p.memory] {
				rt.Fatalf("step %d, %s: newest %x, in memory %x, want %x and %x", i, op, m.Newest(line), m.InMemory(line), stamps[p.newest], stamps[p.memory])
			}
		}
	})
}

func TestPageTableWordsReachMemoryAtTheirLinesWriteBackAlone(t *testing.T) {
	for _, bytes := range []int{32, 64} {
		m := newMemory(t, func(c *Config) { c.LineBytes = bytes })
		r, err := m.AllocContiguous("table", 2*PageBytes, PageBytes)
		if err != nil {
			t.Fatal(err)
		}
		m.MarkTable(r)
		n := bus.Phys(bytes)
		pa := r.Frames[1] + 2*n
		words := []bus.Phys{pa - 4, pa, pa + n - 4, pa + n}
		for i, w := range words {
			m.StoreWord(w, uint32(i+1))
			if m.CurrentWord(w) != uint32(i+1) || m.LoadWord(w) != 0 {
				t.Fatalf("%v: the CPU sees %d and the walker %d, want %d and 0", w, m.CurrentWord(w), m.LoadWord(w), i+1)
			}
		}
		m.CPUWrite(pa, StampOf(100, cpu))
		m.WriteBack(pa+8, StampOf(100, cpu), cpu, 200)
		for i, want := range []uint32{0, 2, 3, 0} {
			if got := m.LoadWord(words[i]); got != want {
				t.Errorf("lines of %d bytes, %v: the walker sees %d, want %d", bytes, words[i], got, want)
			}
		}
		if got := m.LoadWord(r.Frames[0] + 2*n); got != 0 {
			t.Errorf("the other page has %d", got)
		}
	}
}

func TestWalkerSeesStoresAtOnceWithCoherentCaches(t *testing.T) {
	m := newMemory(t, nil)
	r, _ := m.AllocContiguous("table", PageBytes, PageBytes)
	m.MarkTable(r)
	m.SetCoherent(true)
	m.StoreWord(r.Frames[0]+8, 7)
	if got := m.LoadWord(r.Frames[0] + 8); got != 7 {
		t.Errorf("the walker sees %d, want 7", got)
	}
}

func TestTableMarkedAnewIsZero(t *testing.T) {
	m := newMemory(t, nil)
	r, _ := m.AllocContiguous("table", PageBytes, PageBytes)
	m.MarkTable(r)
	pa := r.Frames[0]
	m.StoreWord(pa, 7)
	m.WriteBack(pa, 0, cpu, 100)
	m.Free(r)
	if m.LoadWord(pa) != 0 || m.CurrentWord(pa) != 0 {
		t.Errorf("a freed table has words: %d in memory and %d for the CPU, want 0", m.LoadWord(pa), m.CurrentWord(pa))
	}
	m.WriteBack(pa, 0, cpu, 200) // of the frame's last line still cached
	r, _ = m.AllocContiguous("table", PageBytes, PageBytes)
	m.MarkTable(r)
	if r.Frames[0] != pa || m.LoadWord(pa) != 0 || m.CurrentWord(pa) != 0 {
		t.Errorf("%v: %d in memory and %d for the CPU, want 0", r.Frames[0], m.LoadWord(pa), m.CurrentWord(pa))
	}
}

func mustPanic(t testing.TB, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Error(what)
		}
	}()
	f()
}

func TestViolationKindsHaveTheNamesOfTheResult(t *testing.T) {
	var got []string
	for k := range ViolationKinds {
		got = append(got, ViolationKind(k).String())
	}
	want := "stale_device_read stale_cpu_read lost_device_data lost_cpu_data alias_error"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("%s, want %s", s, want)
	}
}

func TestContainsEndsWithMemory(t *testing.T) {
	m := newMemory(t, nil)
	for pa, want := range map[bus.Phys]bool{
		0: false, testBase - 1: false, testBase: true, testBase + 1<<20 - 1: true, testBase + 1<<20: false, 1 << 63: false,
	} {
		if m.Contains(pa) != want {
			t.Errorf("Contains(%v) is %t", pa, !want)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		set  func(c *Config)
		want string
	}{
		{func(c *Config) { c.LineBytes = 48 }, "line of 48 bytes, want 32 or 64"},
		{func(c *Config) { c.Size = 0 }, "size of 0 bytes"},
		{func(c *Config) { c.Size = 5000 }, "size of 5000 bytes, want a positive multiple of the 4096 byte page"},
		{func(c *Config) { c.Size = 5 << 30 }, "want at most 4 GiB"},
		{func(c *Config) { c.Reserved = 1 << 20 }, "1048576 bytes reserved for contiguous allocations of 1048576 in all"},
		{func(c *Config) { c.Reserved = -1 }, "-1 bytes reserved"},
	}
	for _, tt := range tests {
		cfg := Config{Base: testBase, Size: 1 << 20, LineBytes: 64}
		tt.set(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v, want %q", err, tt.want)
		}
	}
}

func TestZeroesOfAnAllocationMayBeDropped(t *testing.T) {
	m, err := New(Config{Base: 0x8000_0000, Size: 1 << 20, LineBytes: 64})
	if err != nil {
		t.Fatal(err)
	}
	var seen []Violation
	m.SetObserver(tellMe(func(v Violation) { seen = append(seen, v) }))
	r, err := m.AllocContiguous("buffer", 4096, 4096)
	if err != nil {
		t.Fatal(err)
	}
	zeroes, data := StampOf(100, 1), StampOf(101, 1)
	m.CPUWrite(r.Frames[0], zeroes)
	m.CPUWrite(r.Frames[0]+64, data)
	r.Cleared = 100
	m.CPUDrop(r.Frames[0], zeroes, 1, 200)
	m.CPUDrop(r.Frames[0]+64, data, 1, 200)
	if len(seen) != 1 || seen[0].Kind != LostCPUData || seen[0].Addr != r.Frames[0]+64 {
		t.Errorf("%+v, want the data alone lost", seen)
	}
	if m.Newest(r.Frames[0]) != m.InMemory(r.Frames[0]) {
		t.Error("somebody still waits for the zeroes")
	}
}

type tellMe func(Violation)

func (o tellMe) Violation(v Violation) { o(v) }
