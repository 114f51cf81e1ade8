package sdma

import (
	order "cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// inFlight returns the most accesses that were in flight at a time.
func inFlight(log []access) int {
	most := 0
	for _, a := range log {
		n := 0
		for _, b := range log {
			if b.at <= a.at && a.at < b.done {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestReadsAreBoundByTheThreadsOfTheirPort(t *testing.T) {
	m := newMemory(t, omap3())
	m.write = 0
	const bursts = 64
	m.start(t, copied(bursts*64, Posted))
	m.run(t)
	// 4 x 64 B a round trip.
	if got, want := m.eng.Now(), bursts/4*readLatency; got != want {
		t.Errorf("%d bursts took %v, want %v", bursts, got, want)
	}
	if n := inFlight(m.only(false)); n != 4 {
		t.Errorf("%d reads in flight, want 4", n)
	}
}

func TestWritesAreBoundByTheThreadsOfTheirPort(t *testing.T) {
	m := newMemory(t, omap3())
	m.read, m.write = 0, 400*sim.Nanosecond
	const bursts = 64
	m.start(t, copied(bursts*64, LastNonPosted))
	m.run(t)
	if got, want := m.eng.Now(), bursts/2*m.write; got != want {
		t.Errorf("%d bursts took %v, want %v", bursts, got, want)
	}
	if n := inFlight(m.only(true)); n != 2 {
		t.Errorf("%d writes in flight, want 2", n)
	}
}

func TestAChannelAtItsLimitReadsWhenAWriteIsGranted(t *testing.T) {
	cfg := omap3()
	cfg.ChannelFIFO = 64
	m := newMemory(t, cfg)
	m.start(t, copied(4*64, NonPosted))
	m.run(t)
	const r, w = readLatency, writeLatency
	if diff := cmp.Diff([]sim.Time{0, r, 2 * r, 3 * r}, times(m.only(false))); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sim.Time{r, 2 * r, 3 * r, 4 * r}, times(m.only(true))); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if got := m.eng.Now(); got != 4*r+w {
		t.Errorf("done at %v, want %v", got, 4*r+w)
	}
}

func TestAChannelAtItsLimitIsNotFreedByTheWriteOfAnother(t *testing.T) {
	cfg := omap3()
	cfg.ChannelFIFO = 64
	m := newMemory(t, cfg)
	m.start(t, several(3, 2, func(ch int, x *Transfer) { x.HighWrite = ch == 2 })...)
	m.run(t)
	// Channel 0's write was chosen when it was alone; then channel 2 writes first, and can read, while channel 1 has waited longer but is at its limit.
	if got := owners(m.only(false), source); got != "012021" {
		t.Errorf("reads of channels %s, want 012021", got)
	}
}

func TestABurstMayExceedTheLimitOfItsChannel(t *testing.T) {
	cfg := omap3()
	cfg.ChannelFIFO = 65
	m := newMemory(t, cfg)
	m.start(t, copied(3*64, Posted))
	m.run(t)
	// At 64 of 65 bytes the second burst is read; at 128 the third waits for a write.
	if diff := cmp.Diff([]sim.Time{0, 0, readLatency}, times(m.only(false))); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
}

func TestAReadWaitsForRoomInTheSharedFIFO(t *testing.T) {
	for _, c := range []struct {
		fifo units.Bytes
		want sim.Time // of the second channel's read
	}{{128, 0}, {127, readLatency}} {
		cfg := omap3()
		cfg.FIFO, cfg.ChannelFIFO = c.fifo, 64
		m := newMemory(t, cfg)
		other := copied(64, Posted)
		other.Source.Addr += 4096
		m.start(t, copied(64, Posted), other)
		m.run(t)
		if got := m.only(false)[1]; got.at != c.want || got.addr != source+4096 {
			t.Errorf("fifo of %v: read %v at %v, want the other channel's at %v", c.fifo, got.addr, got.at, c.want)
		}
	}
}

func TestWriteModesDecideWhenAChannelGoesOn(t *testing.T) {
	const r, w = readLatency, writeLatency
	for _, c := range []struct {
		mode   WriteMode
		writes []sim.Time
		end    sim.Time
	}{
		{NonPosted, []sim.Time{r, r + w, r + 2*w}, r + 3*w},
		{Posted, []sim.Time{r, r, r + w}, r + w},
		{LastNonPosted, []sim.Time{r, r, r + w}, r + 2*w},
	} {
		m := newMemory(t, omap3())
		m.start(t, copied(3*64, c.mode))
		m.run(t)
		if diff := cmp.Diff(c.writes, times(m.only(true))); diff != "" {
			t.Errorf("%s: writes (-want +got):\n%s", c.mode, diff)
		}
		if got := m.eng.Now(); got != c.end {
			t.Errorf("%s: block over at %v, want %v", c.mode, got, c.end)
		}
	}
}

// owners returns the channels of accesses, whose addresses are in a megabyte of each channel's own.
func owners(log []access, base bus.Phys) string {
	var b strings.Builder
	for _, a := range log {
		fmt.Fprintf(&b, "%d", (a.addr-base)/(32<<20))
	}
	return b.String()
}

// several returns transfers of n bursts, each in 32 MiB of its own.
func several(channels, n int, set func(ch int, x *Transfer)) []Transfer {
	var out []Transfer
	for ch := range channels {
		x := copied(n*64, Posted)
		x.Source.Addr += bus.Phys(ch) * (32 << 20)
		x.Destination.Addr += bus.Phys(ch) * (32 << 20)
		if set != nil {
			set(ch, &x)
		}
		out = append(out, x)
	}
	return out
}

func TestChannelsTakeTurnsOnBothPorts(t *testing.T) {
	m := newMemory(t, omap3())
	m.start(t, several(3, 3, nil)...)
	m.run(t)
	// Channel 0 was alone when it was enabled: its first read was chosen, and it waited again, before the others came.
	if got := owners(m.only(false), source); got != "001201212" {
		t.Errorf("reads of channels %s, want 001201212", got)
	}
	if got := owners(m.only(true), target); got != "012012012" {
		t.Errorf("writes of channels %s, want 012012012", got)
	}
}

func TestChannelsOfHighPriorityGoFirstAtTheArbitrationRate(t *testing.T) {
	for _, c := range []struct {
		rate        int
		read, write bool
		reads       string
		writes      string
	}{
		{1, false, false, "001201201212", "001201201212"},
		{1, true, false, "020212021011", ""},
		{2, true, false, "022022101011", ""},
		{255, true, false, "022220101011", ""},
		{255, false, true, "001201201212", ""},
	} {
		cfg := omap3()
		cfg.ArbitrationRate = c.rate
		cfg.ReadOutstanding = 1 // all wait for the one thread
		m := newMemory(t, cfg)
		m.start(t, several(3, 4, func(ch int, x *Transfer) { x.HighRead, x.HighWrite = ch == 2 && c.read, ch == 2 && c.write })...)
		m.run(t)
		if got := owners(m.only(false), source); got != c.reads {
			t.Errorf("rate %d, high read %v: reads of channels %s, want %s", c.rate, c.read, got, c.reads)
		}
		if got := owners(m.only(true), target); c.writes != "" && got != c.writes {
			t.Errorf("rate %d, high write %v: writes of channels %s, want %s", c.rate, c.write, got, c.writes)
		}
	}
}

func TestWritesOfHighPriorityGoFirst(t *testing.T) {
	cfg := omap3()
	cfg.WriteOutstanding, cfg.ArbitrationRate = 1, 255
	m := newMemory(t, cfg)
	m.read, m.write = 0, sim.Microsecond // all has been read when the second write is due
	m.start(t, several(2, 3, func(ch int, x *Transfer) { x.HighWrite = ch == 1 })...)
	m.run(t)
	if got := owners(m.only(true), target); got != "011100" {
		t.Errorf("writes of channels %s, want 011100", got)
	}
}

func TestALinkedChannelStartsAtTheEndOfTheBlock(t *testing.T) {
	m := newMemory(t, omap3())
	chain := several(3, 2, func(ch int, x *Transfer) { x.Writes, x.Linked, x.Next = NonPosted, ch < 2, ch+1 })
	for ch, x := range chain {
		if err := m.d.Program(ch, x); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.d.Enable(0, 0); err != nil {
		t.Fatal(err)
	}
	m.run(t)
	const block = readLatency + 2*writeLatency
	if diff := cmp.Diff([]sim.Time{0, 0, block, block, 2 * block, 2 * block}, times(m.only(false))); diff != "" {
		t.Errorf("reads (-want +got):\n%s", diff)
	}
	if got := m.d.Stats().Blocks; got != 3 {
		t.Errorf("%d blocks, want 3", got)
	}
}

func TestALinkToAChannelThatRunsDoesNothing(t *testing.T) {
	m := newMemory(t, omap3())
	x := several(2, 1, nil)
	x[0].Linked, x[0].Next = true, 1
	x[1].Elements *= 50
	m.start(t, x...)
	m.run(t)
	if s := m.d.Stats(); s.Blocks != 2 || s.Writes != 51 {
		t.Errorf("%d blocks in %d writes, want 2 in 51", s.Blocks, s.Writes)
	}
}

func TestInterruptsComeAtFramesTheLastFrameAndTheBlock(t *testing.T) {
	const r, w = readLatency, writeLatency
	for _, c := range []struct {
		name   string
		on     Status
		frames int
		want   []sim.Time
		status Status
	}{
		{"none", 0, 3, nil, 0},
		{"block", Block, 3, []sim.Time{r + 3*w}, Block},
		{"frames", Frame, 3, []sim.Time{r + w, r + 2*w, r + 3*w}, Frame},
		{"last frame", Last, 3, []sim.Time{r + 2*w}, Last},
		{"last frame of one", Last, 1, []sim.Time{0}, Last},
		{"all", Frame | Last | Block, 3, []sim.Time{r + w, r + 2*w, r + 3*w}, Frame | Last | Block},
	} {
		m := newMemory(t, omap3())
		m.d.EnableIRQ(2, 1)
		var at []sim.Time
		m.d.OnInterrupt = func(line int) {
			at = append(at, m.eng.Now())
			if got := m.d.IRQStatus(line); line != 2 || got != 1 {
				t.Errorf("%s: line %d with status %#x, want line 2 with 0x1", c.name, line, got)
			}
			m.d.ClearIRQ(line, 1)
		}
		x := copied(c.frames*64, NonPosted)
		x.Elements, x.Frames, x.Interrupts = 16, c.frames, c.on
		m.start(t, x)
		m.run(t)
		if diff := cmp.Diff(c.want, at); diff != "" {
			t.Errorf("%s: interrupts (-want +got):\n%s", c.name, diff)
		}
		if got := m.d.Status(0); got != c.status {
			t.Errorf("%s: status %#x, want %#x", c.name, got, c.status)
		}
	}
}

func TestOneAccessCanEndSeveralFrames(t *testing.T) {
	m := newMemory(t, omap3())
	m.d.EnableIRQ(0, 1)
	x := copied(64, NonPosted)
	x.Elements, x.Frames, x.Interrupts = 2, 8, Frame|Last
	m.start(t, x)
	m.run(t)
	if got := m.d.Status(0); len(m.irqs) != 1 || got != Frame {
		t.Errorf("%d interrupts, status %#x, want one and %#x: the last frame never began by itself", len(m.irqs), got, Frame)
	}
}

func TestALineStaysUpUntilAllItsBitsAreCleared(t *testing.T) {
	m := newMemory(t, omap3())
	m.d.EnableIRQ(0, 3)
	m.d.EnableIRQ(3, 2)
	m.start(t, several(2, 1, func(_ int, x *Transfer) { x.Interrupts = Block })...)
	m.run(t)
	if diff := cmp.Diff([]irq{{readLatency, 0, 1}, {readLatency, 3, 2}}, m.irqs, cmp.AllowUnexported(irq{})); diff != "" {
		t.Errorf("interrupts (-want +got):\n%s", diff)
	}
	if got := m.d.IRQStatus(0); got != 3 {
		t.Errorf("status %#x, want 0x3", got)
	}
	m.d.ClearIRQ(0, 3)
	m.start(t, several(1, 1, func(_ int, x *Transfer) { x.Interrupts = Block })...)
	m.run(t)
	if n := len(m.irqs); n != 3 || m.d.Stats().Interrupts != 3 {
		t.Errorf("%d interrupts and %d counted, want 3", n, m.d.Stats().Interrupts)
	}
}

func TestAFIFOFullOfPartsOfBurstsIsWrittenInParts(t *testing.T) {
	cfg := omap3()
	cfg.FIFO, cfg.ChannelFIFO = 128, 64
	m := newMemory(t, cfg)
	m.start(t, several(32, 4, func(_ int, x *Transfer) {
		x.Source.Packed, x.Element, x.Elements = false, 1, 4*64
	})...)
	m.run(t)
	if s := m.d.Stats(); s.Blocks != 32 || s.BytesWritten != 32*4*64 {
		t.Errorf("%+v, want 32 blocks of 256 bytes", s)
	}
	have := 0 // bytes of channel 0 in the FIFO
	for _, a := range m.log {
		if a.write {
			if a.addr != target || a.n != have || have >= 8 {
				t.Errorf("first write of %d bytes at %v, want the %d of channel 0", a.n, a.addr, have)
			}
			break
		}
		if a.addr < source+4*64 {
			have++
		}
	}
}

func TestAChannelIsProgrammedAndEnabledInOrder(t *testing.T) {
	m := newMemory(t, omap3())
	x := copied(64, Posted)
	check := func(what string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %s", what, err, want)
		}
	}
	check("number", m.d.Program(32, x), "channel 32, want 0 to 31")
	check("enable first", m.d.Enable(0, 0), "channel 0 is enabled, which has not been programmed")
	m.start(t, x)
	check("enable twice", m.d.Enable(0, 0), "channel 0 is enabled already")
	check("program while it runs", m.d.Program(0, x), "channel 0 is programmed while it is enabled")
	m.run(t)
	check("in the past", m.d.Enable(0, 0), "which is before 200ns")
	d, err := New(m.eng, omap3())
	if err != nil {
		t.Fatal(err)
	}
	check("no port", d.Enable(0, m.eng.Now()), "without a port")
}

// TestAccessesAreAsEarlyAsTheRulesAllow replays any transfer of one channel, on a memory of any latencies, with the FIFO counted access by access.
func TestAccessesAreAsEarlyAsTheRulesAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		cfg := omap3()
		cfg.FIFO = units.Bytes(64 + n("fifo", 0, 200))
		cfg.ChannelFIFO = units.Bytes(n("limit", 64, int(cfg.FIFO)))
		cfg.ReadOutstanding, cfg.WriteOutstanding = n("reads", 1, 5), n("writes", 1, 5)
		m := newMemory(t, cfg)
		defer m.eng.Close()
		latency := make([]sim.Time, n("latencies", 1, 5))
		for i := range latency {
			latency[i] = sim.Time(n("latency", 0, 300_000))
		}
		m.delay = func(i int, _ bool) sim.Time { return latency[i%len(latency)] }
		m.service = sim.Time(n("service", 0, 50_000))
		x := anyTransfer(t)
		x.Fill = false
		m.start(t, x)
		if err := m.eng.Run(t.Context(), sim.Never); err != nil {
			t.Fatal(err)
		}
		checkRules(t, cfg, x, m)
	})
}

// checkRules works out, in order, when each read and write could be requested, and compares.
func checkRules(t *rapid.T, cfg Config, x Transfer, m *memory) {
	reads, writes := m.only(false), m.only(true)
	largest := 8
	switch {
	case !x.Source.Packed:
		largest = x.Element
	case x.Source.Burst > largest:
		largest = x.Source.Burst
	}
	total := 0
	for i, r := range reads {
		want := sim.Time(0)
		if i > 0 {
			want = reads[i-1].at
		}
		if i >= cfg.ReadOutstanding {
			want = max(want, reads[i-cfg.ReadOutstanding].done)
		}
		held := total // with every write that has to be granted first
		for _, w := range writes {
			if held+largest <= int(cfg.FIFO) && held < int(cfg.ChannelFIFO) {
				break
			}
			held -= w.n
			want = max(want, w.grant)
		}
		if r.at != want {
			t.Fatalf("read %d at %v, want %v", i, r.at, want)
		}
		total += r.n
	}
	end, next, have, arrived := sim.Time(0), 0, 0, sim.Time(0)
	sum := 0
	for i, w := range writes {
		sum += w.n
		for have < sum {
			arrived = max(arrived, reads[next].done)
			have += reads[next].n
			next++
		}
		want := arrived
		if i > 0 {
			want = max(want, writes[i-1].at)
			if x.Writes == NonPosted {
				want = max(want, writes[i-1].done)
			}
		}
		if i >= cfg.WriteOutstanding {
			want = max(want, writes[i-cfg.WriteOutstanding].done)
		}
		if w.at != want {
			t.Fatalf("write %d at %v, want %v", i, w.at, want)
		}
		over := w.grant
		if x.Writes == NonPosted || x.Writes == LastNonPosted && i == len(writes)-1 {
			over = w.done
		}
		end = max(end, over)
	}
	if got := m.eng.Now(); got != end {
		t.Fatalf("block over at %v, want %v", got, end)
	}
}

// TestChannelsShareTheFIFOAndKeepTheirBytesApart runs any transfers side by side: each accesses its own bytes in order, no write overtakes its data, and the FIFO never holds more than it can.
func TestChannelsShareTheFIFOAndKeepTheirBytesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		cfg := omap3()
		cfg.FIFO = units.Bytes(64 + n("fifo", 0, 200))
		cfg.ChannelFIFO = units.Bytes(n("limit", 64, int(cfg.FIFO)))
		cfg.ArbitrationRate = n("rate", 1, 3)
		m := newMemory(t, cfg)
		defer m.eng.Close()
		m.service = sim.Time(n("service", 0, 50_000))
		m.write = sim.Time(n("write latency", 0, 300_000))
		var transfers []Transfer
		for ch := range n("channels", 2, 8) {
			x := anyTransfer(t)
			x.Source.Addr += bus.Phys(ch) * (32 << 20)
			x.Destination.Addr += bus.Phys(ch) * (32 << 20)
			x.HighRead, x.HighWrite = rapid.Bool().Draw(t, "high read"), rapid.Bool().Draw(t, "high write")
			transfers = append(transfers, x)
		}
		m.start(t, transfers...)
		if err := m.eng.Run(t.Context(), sim.Never); err != nil {
			t.Fatal(err)
		}
		read, written := make([][]access, len(transfers)), make([][]access, len(transfers))
		for _, a := range m.log {
			if a.write {
				ch := (a.addr - target + 16<<20) / (32 << 20)
				written[ch] = append(written[ch], a)
			} else {
				ch := (a.addr - source + 16<<20) / (32 << 20)
				read[ch] = append(read[ch], a)
			}
		}
		for ch, x := range transfers {
			if diff := cmp.Diff(naive(x.Destination, x), bytesOf(written[ch])); diff != "" {
				t.Fatalf("bytes written by channel %d (-want +got):\n%s", ch, diff)
			}
			if x.Fill {
				continue
			}
			if diff := cmp.Diff(naive(x.Source, x), bytesOf(read[ch])); diff != "" {
				t.Fatalf("bytes read by channel %d (-want +got):\n%s", ch, diff)
			}
			checkFlow(t, ch, read[ch], written[ch])
		}
		checkLevel(t, int(cfg.FIFO), transfers, read, written)
	})
}

// checkFlow fails if a channel writes bytes before they have arrived.
func checkFlow(t *rapid.T, ch int, reads, writes []access) {
	have, sum := 0, 0
	for _, w := range writes {
		sum += w.n
		for have < sum {
			if reads[0].done > w.at {
				t.Fatalf("channel %d writes at %v what it has at %v", ch, w.at, reads[0].done)
			}
			have += reads[0].n
			reads = reads[1:]
		}
	}
}

// checkLevel fails if the FIFO ever holds more than its size: bytes are in it from the request of their read to the grant of their write.
func checkLevel(t *rapid.T, size int, transfers []Transfer, read, written [][]access) {
	type step struct {
		at sim.Time
		n  int
	}
	var steps []step
	for ch, x := range transfers {
		if x.Fill {
			continue
		}
		for _, a := range read[ch] {
			steps = append(steps, step{a.at, a.n})
		}
		for _, a := range written[ch] {
			steps = append(steps, step{a.grant, -a.n})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return order.Or(int(a.at-b.at), a.n-b.n) }) // what leaves makes room first
	level := 0
	for _, s := range steps {
		if level += s.n; level > size {
			t.Fatalf("%d bytes in a FIFO of %d at %v", level, size, s.at)
		}
	}
	if level != 0 {
		t.Fatalf("%d bytes left in the FIFO", level)
	}
}

func TestAnAccessAllocatesNothing(t *testing.T) {
	m := newMemory(t, omap3())
	m.quiet = true
	const bursts = 1000
	x := several(2, bursts, nil)
	m.start(t, x...)
	m.run(t)
	if n := testing.AllocsPerRun(10, func() {
		m.start(t, x...)
		m.run(t)
	}); n > 2 {
		t.Errorf("%v allocations for %d accesses", n, 2*bursts)
	}
}

func BenchmarkAccesses(b *testing.B) {
	for _, channels := range []int{1, 4, 32} {
		b.Run(fmt.Sprintf("channels=%d", channels), func(b *testing.B) {
			m := newMemory(b, omap3())
			m.quiet = true
			x := several(channels, 4096, nil)
			b.ReportAllocs()
			for b.Loop() {
				m.start(b, x...)
				m.run(b)
			}
			s := m.d.Stats()
			n := float64(s.Reads + s.Writes)
			b.ReportMetric(n/b.Elapsed().Seconds(), "bursts/s")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/n, "ns/burst")
		})
	}
}
