package memory

import (
	"fmt"
	"strings"
	"testing"

	"socsim/sim"
	"socsim/sim/bus"
)

// shared is a memory with a region of a page whose bytes 100 to 299 are a part: lines 1 and 4 are edge lines.
func shared(t *testing.T) (m *Memory, whole, part *Region) {
	t.Helper()
	m = newMemory(t, nil)
	whole, err := m.AllocContiguous("whole", 2*PageBytes, PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	part, err = m.Part(whole, "part", 100, 200)
	if err != nil {
		t.Fatal(err)
	}
	return m, whole, part
}

func TestAPartBeginsAndEndsAnywhereAndHasItsOwnAddresses(t *testing.T) {
	m, whole, part := shared(t)
	for off := range 2 * PageBytes {
		want, at := whole, off
		if off >= 100 && off < 300 {
			want, at = part, off-100
		}
		got, gotAt := m.Owner(whole.Addr(off))
		if got != want || gotAt != int64(at) {
			t.Fatalf("byte %d belongs to %s at %d, want %s at %d", off, got.Name, gotAt, want.Name, at)
		}
		if want.Addr(at) != whole.Addr(off) {
			t.Fatalf("byte %d of %s lies at %v, want %v", at, want.Name, want.Addr(at), whole.Addr(off))
		}
		if edge := off/64 == 1 || off/64 == 4; m.IsEdge(whole.Addr(off)) != edge {
			t.Fatalf("byte %d: edge %t, want %t", off, !edge, edge)
		}
	}
}

func TestAPartAcrossPagesHasARunOfItsOwnBytes(t *testing.T) {
	m, whole, _ := shared(t)
	p, err := m.Part(whole, "across", PageBytes-10, 30)
	if err != nil {
		t.Fatal(err)
	}
	runs := p.Runs()
	if len(runs) != 1 || runs[0] != (Run{whole.Addr(PageBytes - 10), 30}) {
		t.Errorf("runs %v", runs)
	}
}

func TestPartsDoNotOverlapAndStayInside(t *testing.T) {
	m, whole, _ := shared(t)
	for _, c := range []struct {
		off, n int
		want   string
	}{
		{99, 1, ""},
		{300, 1, ""},
		{99, 2, "another part"},
		{299, 1, "another part"},
		{0, 400, "another part"},
		{150, 10, "another part"},
		{-1, 10, "it has 8192"},
		{2*PageBytes - 5, 6, "it has 8192"},
		{0, 0, "it has 8192"},
	} {
		_, err := m.Part(whole, "x", c.off, c.n)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("bytes %d to %d: error %v, want %q", c.off, c.off+c.n, err, c.want)
		}
	}
}

func TestAFreedPartGoesBackToItsRegion(t *testing.T) {
	m, whole, part := shared(t)
	m.Free(part)
	if r, off := m.Owner(whole.Addr(150)); r != whole || off != 150 {
		t.Errorf("byte 150 belongs to %s at %d", r.Name, off)
	}
	m.Free(whole)
	if got, want := m.FreeBytes(), int64(1<<20); got != want {
		t.Errorf("%d bytes free, want %d", got, want)
	}
}

func TestAViolationInAnEdgeLineNamesItsBytes(t *testing.T) {
	m, whole, _ := shared(t)
	r := observe(m)
	line := whole.Addr(64)
	s := StampOf(100, cpu)
	copied := m.EdgeStore(line+40, 8, m.InMemory(line), s) // bytes 104 to 111
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read of the line", Violation{Kind: StaleDeviceRead, Addr: line, First: 40, Bytes: 8, Newest: s, Actor: gpu, At: during})
	m.DeviceRead(line, 40, gpu, during, false)
	m.DeviceRead(line+48, 16, gpu, during, false)
	r.want(t, "reads beside")
	m.DeviceWrite(line+36, 6, isp, 200) // the first two of the CPU's bytes are older now
	m.CPULoad(line+36, 28, copied, cpu, during)
	r.want(t, "load of the copy", Violation{Kind: StaleCPURead, Addr: line, First: 36, Bytes: 4, Newest: StampOf(200, isp), Actor: cpu, At: during},
		Violation{Kind: StaleCPURead, Addr: line, First: 40, Bytes: 2, Newest: StampOf(200, isp), Held: s, Actor: cpu, At: during})
	m.CPULoad(line+42, 22, copied, cpu, during)
	r.want(t, "load of what the device did not write")
	m.Written(line, 64, copied, cpu, during)
	r.want(t, "write-back", Violation{Kind: LostDeviceData, Addr: line, First: 36, Bytes: 4, Newest: StampOf(200, isp), Actor: cpu, At: during},
		Violation{Kind: LostDeviceData, Addr: line, First: 40, Bytes: 2, Newest: StampOf(200, isp), Held: s, Actor: cpu, At: during})
	m.DeviceRead(line, 64, gpu, during, false)
	r.want(t, "read of what is left")
}

func TestADroppedCopyLosesTheBytesThatNobodyElseHolds(t *testing.T) {
	m, whole, _ := shared(t)
	r := observe(m)
	line := whole.Addr(64)
	s := StampOf(100, cpu)
	copied := m.EdgeStore(line+40, 8, m.InMemory(line), s)
	m.DeviceWrite(line+44, 8, isp, 200)
	m.CPUDrop(line, copied, cpu, during)
	r.want(t, "drop", Violation{Kind: LostCPUData, Addr: line, First: 40, Bytes: 4, Newest: s, Actor: cpu, At: during})
	m.CPUDrop(line, copied, cpu, during)
	r.want(t, "second drop")
}

func TestAWriteBackOfAPartOfALineWritesThatPart(t *testing.T) {
	m, whole, _ := shared(t)
	r := observe(m)
	line := whole.Addr(64)
	copied := m.EdgeStore(line+40, 8, m.InMemory(line), StampOf(100, cpu))
	m.DeviceWrite(line, 32, isp, 200)
	m.Written(line+32, 16, copied, cpu, during)
	r.want(t, "write-back of the dirty part")
	for b := range 64 {
		want := Stamp(0)
		switch {
		case b < 32:
			want = StampOf(200, isp)
		case b >= 40 && b < 48:
			want = StampOf(100, cpu)
		}
		if newest, inMemory := m.Byte(line + bus.Phys(b)); newest != want || inMemory != want {
			t.Errorf("byte %d: newest %x, in memory %x, want %x", b, newest, inMemory, want)
		}
	}
}

func TestABurstOverTwoLinesReachesBoth(t *testing.T) {
	m := newMemory(t, func(c *Config) { c.LineBytes = 32 })
	s := StampOf(100, cpu)
	m.CPUWrite(line, s)
	m.CPUWrite(line+32, s)
	m.Written(line+16, 32, s, cpu, during)
	for _, pa := range []bus.Phys{line, line + 32} {
		if m.InMemory(pa) != s {
			t.Errorf("%v holds %x, want %x", pa, m.InMemory(pa), s)
		}
	}
	if m.InMemory(line+64) != 0 {
		t.Error("the line behind was written")
	}
}

func TestACopyThatHoldsTheNewestBytesIsCurrent(t *testing.T) {
	m, whole, _ := shared(t)
	line := whole.Addr(64)
	copied := m.InMemory(line)
	m.DeviceWrite(line, 8, isp, 200)
	if m.Current(line, copied) {
		t.Error("an old copy is taken for current")
	}
	one := m.EdgeStore(line+8, 8, m.InMemory(line), StampOf(300, cpu))
	if !m.Current(line, one) {
		t.Error("the newest copy is taken for old")
	}
	m.Written(line, 64, one, cpu, 400)
	if !m.Current(line, one) || m.InMemory(line) == one {
		t.Error("a copy with another name and the same bytes is taken for old")
	}
}

// holder holds one stamp.
type holder struct{ stamp Stamp }

func (h *holder) Held(_ bus.Phys, visit func(Stamp)) { visit(h.stamp) }

func TestOnlyVectorsThatSomebodyHoldsAreKept(t *testing.T) {
	m, whole, _ := shared(t)
	line := whole.Addr(64)
	h := &holder{m.EdgeStore(line+40, 8, m.InMemory(line), StampOf(100, cpu))}
	m.SetHolder(h)
	for i := range 10_000 {
		m.DeviceWrite(line, 40, isp, sim.Time(1000+i))
	}
	e := m.edge((line - testBase) >> 6)
	if n := len(e.vectors); n > 2*pruneAt {
		t.Errorf("%d vectors are kept", n)
	}
	for b := range bus.Phys(64) {
		want := Stamp(0)
		if b >= 40 && b < 48 {
			want = StampOf(100, cpu)
		}
		if got := m.ByteOf(line+b, h.stamp); got != want {
			t.Fatalf("byte %d of the copy held: %x, want %x", b, got, want)
		}
	}
}

func TestAStampOfALineBeforeItWasAnEdgeStandsForAllItsBytes(t *testing.T) {
	m := newMemory(t, nil)
	whole, err := m.AllocContiguous("whole", PageBytes, PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	m.DeviceWrite(whole.Addr(0), 128, isp, 100)
	if _, err := m.Part(whole, "part", 10, 10); err != nil {
		t.Fatal(err)
	}
	m.DeviceWrite(whole.Addr(10), 1, gpu, 200)
	for b := range 64 {
		want := StampOf(100, isp)
		if b == 10 {
			want = StampOf(200, gpu)
		}
		if got, _ := m.Byte(whole.Addr(b)); got != want {
			t.Errorf("byte %d: %x, want %x", b, got, want)
		}
	}
}

func BenchmarkDeviceWrite(b *testing.B) {
	for _, edges := range []bool{false, true} {
		b.Run(fmt.Sprintf("edges=%t", edges), func(b *testing.B) {
			m := newMemory(b, nil)
			whole, err := m.AllocContiguous("whole", 64*PageBytes, PageBytes)
			if err == nil && edges {
				_, err = m.Part(whole, "part", 100, 100)
			}
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.DeviceWrite(whole.Addr(512+i%1024*64), 64, isp, sim.Time(i))
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "bursts/s")
		})
	}
}
