package isp

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
)

// ideal makes the fake bus grant everything at once, done after the latency.
func (r *rig) ideal(latency sim.Time) { r.bus.gap, r.bus.latency = 0, latency }

func TestEveryByteOfAFrameIsWrittenOnceAndInOrder(t *testing.T) {
	for _, c := range []struct {
		sensor Sensor
		out    Image
	}{
		{et8ek8, preview},
		{et8ek8, Image{Width: 864, Height: 656, BytesPerPixel: 2, Stride: 2048}},
		{full, preview},
		{full, uyvy(644, 490)}, // a quarter
		{full, Image{Width: 1280, Height: 720, BytesPerPixel: 1, Stride: 1280}},
	} {
		r := newRig(t, defaultConfig(), c.sensor, c.out)
		r.Start(sim.Millisecond)
		r.run(sim.Millisecond + c.sensor.FrameTime() - 1)
		log := r.bus.log
		for k := range c.out.Height {
			for at, end := 0, c.out.Width*c.out.BytesPerPixel; at < end; at += 256 {
				if len(log) == 0 {
					t.Fatalf("%v: nothing for line %d, byte %d", r.Resizer(), k, at)
				}
				// Two output lines on one input line take turns; their addresses are checked in the test of the line ports.
				i := slices.IndexFunc(log[:min(len(log), 2*7)], func(x transfer) bool { return x.va == target+bus.IOVA(k*c.out.Stride+at) })
				if i < 0 {
					t.Fatalf("%v: line %d, byte %d not written in its turn", r.Resizer(), k, at)
				}
				if want := min(256, end-at); log[i].n != want {
					t.Fatalf("%v: line %d, byte %d: %d bytes, want %d", r.Resizer(), k, at, log[i].n, want)
				}
				log = slices.Delete(log, i, i+1)
			}
		}
		if len(log) != 0 {
			t.Errorf("%v: %d data units too many", r.Resizer(), len(log))
		}
		if len(r.dones) != 1 || r.dones[0].Overflowed {
			t.Errorf("%v: frames %+v", r.Resizer(), r.dones)
		}
	}
}

func TestUnitsAreRequestedWhenTheirLastByteHasBeenProduced(t *testing.T) {
	for _, c := range []struct {
		sensor         Sensor
		out            Image
		columns, lines int
	}{{et8ek8, preview, 10, 4}, {et8ek8, uyvy(848, 640), 18, 8}, {full, preview, 10, 4}, {full, uyvy(704, 1100), 18, 8}} {
		cfg := defaultConfig()
		cfg.CropColumns, cfg.CropLines = c.columns, c.lines
		r := newRig(t, cfg, c.sensor, c.out)
		r.ideal(100 * sim.Nanosecond)
		r.Start(0)
		r.run(2*c.sensor.FrameTime() - 1)
		perLine := (c.out.Width*2 + 255) / 256
		for i, x := range r.bus.log {
			offset := int(x.va - target)
			k, last := offset/c.out.Stride, offset%c.out.Stride+x.n-1
			if want := produced(cfg, c.sensor, c.out, 0, i/(perLine*c.out.Height), k, last); x.at != want {
				t.Fatalf("%v: unit %d (line %d) requested at %v, want %v", r.Resizer(), i, k, x.at, want)
			}
		}
		if want := 2 * perLine * c.out.Height; len(r.bus.log) != want {
			t.Errorf("%v: %d units, want %d", r.Resizer(), len(r.bus.log), want)
		}
	}
}

func TestNothingIsRequestedWhileTheSensorBlanks(t *testing.T) {
	r := newRig(t, defaultConfig(), et8ek8, preview)
	r.ideal(100 * sim.Nanosecond)
	r.Start(0)
	r.run(et8ek8.FrameTime() - 1)
	for _, x := range r.bus.log {
		line, pos := x.at/et8ek8.LineTime(), x.at%et8ek8.LineTime()
		if line >= 656 || pos > 10_800*sim.Nanosecond { // 864 pixels at 80 MHz
			t.Fatalf("a unit at %v: %v into line %d", x.at, pos, line)
		}
	}
	// In the active part 128 pixels of 2 bytes come from 125.5 pixel clocks: 163 MB/s.
	if d := r.bus.log[5].at - r.bus.log[0].at; d != 628*12_500*sim.Picosecond {
		t.Errorf("five data units in %v, want 628 pixel clocks, 7.85us", d)
	}
}

func TestLinesOnOneInputLineUseLinePortsSideBySide(t *testing.T) {
	// Four times up in both directions: each input line makes four output lines.
	s := Sensor{Width: 337, Height: 248, LineTotal: 2000, FrameTotal: 300, PixelClock: 10_000_000}
	cfg := defaultConfig()
	out := uyvy(1280, 960)
	r := newRig(t, cfg, s, out)
	r.Start(0)
	r.run(s.FrameTime() - 1)
	if len(r.bus.log) != 960*10 || len(r.dones) != 1 || r.dones[0].Overflowed {
		t.Fatalf("%d units, %+v", len(r.bus.log), r.dones)
	}
	group, got := 0, ""
	for _, x := range r.bus.log[:4*10*3] {
		offset := int(x.va - target)
		got += fmt.Sprintf("%d.%d ", offset/out.Stride, offset%out.Stride/256)
	}
	want := ""
	for ; group < 3; group++ {
		// (k*64 + 16) >> 8 makes groups of four: 0 to 3, 4 to 7, ...
		for u := range 10 {
			for k := group * 4; k < group*4+4; k++ {
				want += fmt.Sprintf("%d.%d ", k, u)
			}
		}
	}
	if got != want {
		t.Errorf("units as line.unit\ngot  %s\nwant %s", got, want)
	}
}

func TestFrameIsDoneWhenItsLastByteIsInMemory(t *testing.T) {
	for _, c := range []struct {
		sensor Sensor
		out    Image
	}{{et8ek8, preview}, {full, preview}, {full, uyvy(1280, 960)}} {
		cfg := defaultConfig()
		r := newRig(t, cfg, c.sensor, c.out)
		const latency, origin = 321 * sim.Nanosecond, 7 * sim.Microsecond
		r.ideal(latency)
		r.Start(origin)
		r.run(origin + 3*c.sensor.FrameTime())
		if len(r.dones) != 3 {
			t.Fatalf("%d frames done, want 3", len(r.dones))
		}
		for i, e := range r.dones {
			want := FrameDone{
				Seq: i, Cookie: i, Start: origin + sim.Time(i)*c.sensor.FrameTime(),
				Done: produced(cfg, c.sensor, c.out, origin, i, c.out.Height-1, c.out.Width*2-1) + latency,
			}
			if e != want {
				t.Errorf("%v: got  %+v\nwant %+v", r.Resizer(), e, want)
			}
		}
	}
}

// edge runs a frame during which the bus grants nothing until the first unit can be done exactly at the time at which the fifth one's first byte is produced, plus extra.
func edge(t *testing.T, extra sim.Time) (r *rig, first, request sim.Time) {
	t.Helper()
	cfg := defaultConfig()
	r = newRig(t, cfg, et8ek8, preview)
	const latency = 100 * sim.Nanosecond
	r.ideal(latency)
	first = produced(cfg, et8ek8, preview, 0, 0, 0, 4*256)
	request = produced(cfg, et8ek8, preview, 0, 0, 0, 255)
	r.bus.stallFrom, r.bus.stallTo = 0, first-latency+extra
	r.Start(0)
	r.run(2*et8ek8.FrameTime() - 1)
	return r, first, request
}

func TestStorageFreedJustInTimeDoesNotOverflow(t *testing.T) {
	r, _, _ := edge(t, 0)
	if got, want := r.Stats(), (Stats{Frames: 2, Captured: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if len(r.Overflows()) != 0 {
		t.Errorf("overflows %+v", r.Overflows())
	}
}

func TestStorageFreedAPicosecondLateOverflows(t *testing.T) {
	r, first, request := edge(t, 1)
	if got, want := r.Stats(), (Stats{Frames: 2, Captured: 1, Overflowed: 1, Overflows: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	want := Overflow{At: first, Seq: 0, Port: ResizerLine1, Waited: r.bus.stallTo - request, Holder: holder}
	if len(r.Overflows()) != 1 || r.Overflows()[0] != want {
		t.Errorf("got %+v, want %+v", r.Overflows(), want)
	}
}

func TestOverflowLosesThatUnitAndMarksTheFrame(t *testing.T) {
	r, _, _ := edge(t, 1)
	if r.bus.log[3].va != target+3*256 || r.bus.log[4].va != target+5*256 {
		t.Errorf("units 3 and 4 on the bus at %v and %v, want those of bytes 768 and 1280", r.bus.log[3].va, r.bus.log[4].va)
	}
	if want := 2*656*7 - 1; len(r.bus.log) != want {
		t.Errorf("%d units in two frames, want %d", len(r.bus.log), want)
	}
	if len(r.dones) != 2 || !r.dones[0].Overflowed || r.dones[1].Overflowed {
		t.Errorf("frames %+v, want the first overflowed and the second not", r.dones)
	}
}

func TestOverflowIsBlamedOnTheWaitThatCausedTheBacklog(t *testing.T) {
	r := newRig(t, defaultConfig(), et8ek8, preview)
	r.bus.stall = func(at sim.Time) sim.Time {
		if from := 10 * et8ek8.LineTime(); at >= from {
			return max(at, from+9*sim.Microsecond)
		}
		return at
	}
	r.Start(0)
	r.run(et8ek8.FrameTime() - 1)
	log := r.Overflows()
	if len(log) == 0 {
		t.Fatal("no overflow")
	}
	for _, o := range log {
		if o.Holder != holder || o.Waited < 5*sim.Microsecond {
			t.Errorf("%+v: want master %d and a wait of most of 9us", o, holder)
		}
	}
}

func TestLargerPortsRideOutLongerStalls(t *testing.T) {
	var lost []uint64
	for _, slots := range []int{1, 2, 4, 8} {
		cfg := defaultConfig()
		cfg.PortBytes = cfg.DataUnit * units.Bytes(slots)
		r := newRig(t, cfg, et8ek8, preview)
		r.bus.stall = func(at sim.Time) sim.Time { // every 100 us, 8 us of nothing
			if at%(100*sim.Microsecond) < 8*sim.Microsecond {
				return at - at%(100*sim.Microsecond) + 8*sim.Microsecond
			}
			return at
		}
		r.Start(0)
		r.run(et8ek8.FrameTime() - 1)
		lost = append(lost, r.Stats().Overflows)
	}
	for i := 1; i < len(lost); i++ {
		if lost[i] >= lost[i-1] {
			t.Fatalf("overflows with 1, 2, 4, 8 data units of storage: %v, want fewer each time", lost)
		}
	}
	if lost[3] != 0 {
		t.Errorf("overflows with 1, 2, 4, 8 data units of storage: %v, want none with 8", lost)
	}
}

// wantLost lists the data units of a frame in the order of their first bytes, then port, and decides for each from the done times of those that were written whether it finds room.
func wantLost(cfg Config, s Sensor, out Image, log []transfer) (lost map[bus.IOVA]bool) {
	type job struct {
		first sim.Time
		port  int
		va    bus.IOVA
	}
	done := map[bus.IOVA]sim.Time{}
	for _, x := range log {
		done[x.va] = x.done
	}
	r, _ := NewResizer(cfg, s.Width-cfg.CropColumns, s.Height-cfg.CropLines, out)
	var jobs []job
	for k := range out.Height {
		port := 0
		for port < k && r.Lines(k-port-1) == r.Lines(k) {
			port++
		}
		for at := 0; at < out.Width*out.BytesPerPixel; at += int(cfg.DataUnit) {
			jobs = append(jobs, job{produced(cfg, s, out, 0, 0, k, at), port, target + bus.IOVA(k*out.Stride+at)})
		}
	}
	slices.SortStableFunc(jobs, func(a, b job) int {
		if a.first != b.first {
			return int(a.first - b.first)
		}
		return a.port - b.port
	})
	lost = map[bus.IOVA]bool{}
	var held [LinePorts][]sim.Time
	for _, j := range jobs {
		free := held[j.port][:0]
		for _, d := range held[j.port] {
			if d > j.first {
				free = append(free, d)
			}
		}
		held[j.port] = free
		if len(free) == int(cfg.PortBytes/cfg.DataUnit) {
			lost[j.va] = true
			continue
		}
		held[j.port] = append(free, done[j.va])
	}
	return lost
}

func TestOverflowsAreThoseOfAQueueReplayedByHand(t *testing.T) {
	var seen int
	rapid.Check(t, func(rt *rapid.T) {
		s := Sensor{Width: 90, Height: 52, LineTotal: rapid.IntRange(100, 140).Draw(rt, "line_total"), FrameTotal: 100, PixelClock: 10_000_000}
		cfg := defaultConfig()
		cfg.DataUnit = 32
		cfg.PortBytes = cfg.DataUnit * 1 << rapid.IntRange(0, 3).Draw(rt, "log slots")
		out := uyvy(rapid.IntRange(3, 32).Draw(rt, "width/8")*8, rapid.IntRange(15, 140).Draw(rt, "height"))
		seed := rapid.Uint64().Draw(rt, "seed")
		stall := sim.Time(rapid.IntRange(0, 20).Draw(rt, "stall us")) * sim.Microsecond

		r := newRig(t, cfg, s, out)
		r.bus.gap, r.bus.latency = 100*sim.Nanosecond, 300*sim.Nanosecond
		random := sim.Stream(seed, "stall")
		r.bus.stall = func(at sim.Time) sim.Time { return at }
		if stall > 0 {
			var until sim.Time
			r.bus.stall = func(at sim.Time) sim.Time {
				if at >= until && random.IntN(20) == 0 {
					until = at + sim.Time(random.Int64N(int64(stall)))
				}
				return max(at, until)
			}
		}
		r.Start(0)
		r.run(s.FrameTime() - 1)
		if len(r.dones) != 1 {
			return // so slow that the next frame cuts this one short
		}
		lost := wantLost(cfg, s, out, r.bus.log)
		if len(lost)+len(r.bus.log) != out.Height*((out.Width*2+31)/32) || uint64(len(lost)) != r.Stats().Overflows {
			rt.Fatalf("%v: %d units written, %d overflows, want %d", r.Resizer(), len(r.bus.log), r.Stats().Overflows, len(lost))
		}
		for i, x := range r.bus.log {
			if lost[x.va] {
				rt.Fatalf("%v: unit at %v written, want lost", r.Resizer(), x.va)
			}
			if i > 0 && x.at < r.bus.log[i-1].at {
				rt.Fatalf("%v: unit at %v requested before its predecessor", r.Resizer(), x.va)
			}
		}
		if r.dones[0].Overflowed != (len(lost) > 0) {
			rt.Fatalf("%d lost, %+v", len(lost), r.dones[0])
		}
		seen += len(lost)
	})
	if seen == 0 {
		t.Error("no example overflowed")
	}
}
