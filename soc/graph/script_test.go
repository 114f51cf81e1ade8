package graph

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
	"socsim/sim/units"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
	"socsim/soc/flush"
	"socsim/soc/memory"
)

// reports gathers what a run reports, a line each.
type reports struct{ lines []string }

func (r *reports) add(at sim.Time, kind fmt.Stringer, who string) {
	r.lines = append(r.lines, strings.TrimSpace(fmt.Sprintf("%v: %v %s", at, kind, who)))
}

func (r *reports) Lifetime(m dmabuf.Misuse)     { r.add(m.At, m.Kind, m.Device) }
func (r *reports) Misuse(m dmaapi.Misuse)       { r.add(m.At, m.Kind, m.Device) }
func (r *reports) Violation(v memory.Violation) { r.add(v.At, v.Kind, fmt.Sprint(v.Actor)) }

// kinds returns the reports without their times, repeats dropped.
func (r *reports) kinds() []string {
	var out []string
	for _, l := range r.lines {
		_, kind, _ := strings.Cut(l, ": ")
		if !slices.Contains(out, kind) {
			out = append(out, kind)
		}
	}
	return out
}

// played is what a script's run left behind.
type played struct {
	*reports
	steps, failed int
	over          bool
	first         error
	now           sim.Time
	lost          int64            // bytes of memory that are not free again
	read, written map[string]int64 // by device
}

// play runs a script on two small buffers of each exporter, for 50 ms at most.
func play(tb rapid.TB, policy string, steps ...Step) played {
	tb.Helper()
	info, err := flush.ByName(policy)
	if err != nil {
		tb.Fatal(err)
	}
	sys, err := soc.New(chip(), 1)
	if err != nil {
		tb.Fatal(err)
	}
	defer sys.Close()
	p := played{reports: &reports{}, read: map[string]int64{}, written: map[string]int64{}}
	sys.Memory.SetObserver(p)
	profile, _ := dmaapi.ProfileByName("armv7")
	api := dmaapi.New(sys.Core, profile, info.New(), nil)
	api.SetDebugger(p)
	app := Config{Seed: 1, Script: steps, ScriptFrom: 2 * sim.Millisecond}
	for _, e := range dmabuf.Exporter("").Values() {
		b := Buffer{Name: e, Count: 2, Size: Size{64, 40}, Format: "rgb565", Exporter: dmabuf.Exporter(e), Memory: "pages", CPUMapping: cpu.Cached}
		if b.Exporter == dmabuf.GEM {
			b.CPUMapping = cpu.Uncached
		}
		app.Buffers = append(app.Buffers, b)
	}
	g, err := New(sys, app, api)
	if err != nil {
		tb.Fatal(err)
	}
	g.Allocator().SetDebugger(p)
	before := sys.Memory.FreeBytes()
	g.Start()
	if err := sys.Run(context.Background(), 50*sim.Millisecond); err != nil {
		tb.Fatal(err)
	}
	if err := g.Err(); err != nil {
		tb.Fatal(err)
	}
	var failed []Failure
	p.steps, failed, p.over = g.Script()
	if p.failed = len(failed); p.failed > 0 {
		p.first = failed[0].Err
	}
	p.now, p.lost = sys.Engine.Now(), before-sys.Memory.FreeBytes()
	for i, name := range sys.Masters() {
		st := sys.Fabric.Stats(bus.Master(i))
		p.read[name], p.written[name] = int64(st.BytesRead), int64(st.BytesWritten)
	}
	return p
}

// on makes steps on the system heap's first buffer: "attach a" and its like.
func on(exporter string, list ...string) []Step {
	var steps []Step
	for _, text := range list {
		f := strings.Fields(text)
		s := Step{Do: Action(f[0]), Buffer: exporter}
		for _, word := range f[1:] {
			switch {
			case slices.Contains(Direction("").Values(), word):
				s.Direction = Direction(word)
			case slices.Contains(CPUAccess("").Values(), word):
				s.Access = CPUAccess(word)
			default:
				s.Device = word
			}
		}
		steps = append(steps, s)
	}
	return steps
}

func TestAScriptReportsWhatIsWrongAndGoesOn(t *testing.T) {
	const bi = " BIDIRECTIONAL"
	for _, c := range []struct {
		name  string
		steps []string
		want  []string
	}{
		{"right", []string{"attach a", "map a" + bi, "device-write a", "unmap a", "begin-cpu-access read", "cpu-read a", "end-cpu-access read", "detach a"}, nil},
		{"syncs", []string{"attach a", "map a" + bi, "device-write a", "sync-for-cpu a" + bi, "cpu-write a", "sync-for-device a" + bi, "device-read a", "unmap a", "detach a"}, nil},
		{"access while the device owns it", []string{"attach a", "map a" + bi, "cpu-read", "unmap a", "detach a"}, []string{"cpu-access-owned script"}},
		{"device while the CPU owns it", []string{"attach a", "map a" + bi, "sync-for-cpu a" + bi, "device-read a", "unmap a", "detach a"}, []string{"device-access-owned a"}},
		{"use before the map", []string{"attach a", "device-read a", "detach a"}, []string{"use-after-unmap a"}},
		{"use after the unmap", []string{"attach a", "map a" + bi, "unmap a", "device-read a", "detach a"}, []string{"use-after-unmap a"}},
		{"use after the detach", []string{"attach a", "map a" + bi, "unmap a", "detach a", "device-read a"}, []string{"use-after-detach a"}},
		{"unmap twice", []string{"attach a", "map a" + bi, "unmap a", "unmap a", "detach a"}, []string{"double-unmap a"}},
		{"detach twice", []string{"attach a", "detach a", "detach a"}, []string{"double-detach a"}},
		{"detach while mapped", []string{"attach a", "map a" + bi, "detach a"}, []string{"detach-mapped a"}},
		{"put twice", []string{"put", "put"}, []string{"double-put"}},
		{"use after the free", []string{"put", "begin-cpu-access read"}, []string{"use-after-free"}},
		{"put while attached", []string{"attach a", "put"}, []string{"put-attached a"}},
		{"get and forget", []string{"get"}, []string{"leaked-buffer"}},
		{"munmap twice", []string{"cpu-read", "munmap", "munmap"}, []string{"munmap-unmapped"}},
		{"access after munmap", []string{"cpu-read", "munmap", "cpu-read b"}, []string{"cpu-use-after-unmap b"}},
		{"mmap left over", []string{"mmap", "mmap", "cpu-write"}, nil}, // they end with the process
		{"attach and forget", []string{"attach a", "map a" + bi}, []string{"leaked-buffer", "leaked-attachment a", "leaked-mapping a"}},
		{"sync of what is not mapped", []string{"attach a", "sync-for-cpu a" + bi, "detach a"}, []string{"sync-unmapped a"}},
		{"sync in another direction", []string{"attach a", "map a TO_DEVICE", "sync-for-cpu a FROM_DEVICE", "unmap a", "detach a"}, []string{"sync-direction a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			steps := on("system-heap", c.steps...)
			p := play(t, "range", steps...)
			if diff := cmp.Diff(c.want, p.kinds()); diff != "" {
				t.Errorf("reported:\n%s\n%v", diff, p.lines)
			}
			if p.steps != len(steps) || p.failed != 0 || !p.over {
				t.Errorf("%d steps of %d, %d failed (%v), over %t", p.steps, len(steps), p.failed, p.first, p.over)
			}
			if leak := len(c.want) > 0 && strings.HasPrefix(c.want[0], "leaked"); (p.lost != 0) != leak {
				t.Errorf("%d bytes are not free again", p.lost)
			}
		})
	}
}

func TestAScriptsDeviceMovesThePartItIsTold(t *testing.T) {
	steps := on("system-heap", "attach a", "map a BIDIRECTIONAL", "device-write a", "device-read a", "unmap a", "detach a")
	steps[2].Offset, steps[2].Bytes = 100, 1000
	steps[3].Offset = 5000 // of 5120
	p := play(t, "range", steps...)
	if p.written["a"] != 1000 || p.read["a"] != 120 || len(p.lines) != 0 {
		t.Errorf("%d bytes written, %d read, %v", p.written["a"], p.read["a"], p.lines)
	}
}

func TestADeviceThatWasNeverMappedReachesNothingAndOneThatWasUnmappedDoes(t *testing.T) {
	never := play(t, "range", on("system-heap", "attach a", "device-write a", "detach a")...)
	after := play(t, "range", on("system-heap", "attach a", "map a BIDIRECTIONAL", "unmap a", "device-write a", "detach a")...)
	if never.written["a"] != 0 || after.written["a"] != 5120 {
		t.Errorf("%d and %d bytes written, want none and all 5120", never.written["a"], after.written["a"])
	}
}

func TestTheDoorbellDoesNotOvertakeTheWriteBuffer(t *testing.T) {
	steps := on("gem", "attach a", "map a TO_DEVICE", "cpu-write a", "device-read a", "unmap a", "detach a")
	steps[2].Bytes, steps[3].Bytes = 32, 32 // half a block of the write-combining buffer: it waits there for the rest
	p := play(t, "range", steps...)
	if len(p.lines) != 0 || p.read["a"] != 32 {
		t.Errorf("%v, %d bytes read", p.lines, p.read["a"])
	}
}

func TestASyncOutsideOfTheBufferIsReportedAndDoesNothing(t *testing.T) {
	steps := on("system-heap", "attach a", "map a BIDIRECTIONAL", "sync-for-cpu a BIDIRECTIONAL", "unmap a", "detach a")
	steps[2].Offset, steps[2].Bytes = 4096, 4096
	if p := play(t, "range", steps...); !slices.Equal(p.kinds(), []string{"sync-outside a"}) {
		t.Errorf("%v", p.lines)
	}
}

func TestAScriptShowsAMissingCleanAndAMissingInvalidate(t *testing.T) {
	clean := play(t, "none", on("system-heap", "attach a", "cpu-write", "cpu-read", "cpu-write", "map a TO_DEVICE", "device-read a", "unmap a", "detach a")...)
	inval := play(t, "none", on("system-heap", "attach a", "cpu-read", "map a FROM_DEVICE", "device-write a", "unmap a", "cpu-read", "detach a")...)
	if len(clean.kinds()) != 1 || !strings.HasPrefix(clean.kinds()[0], "stale_device_read") {
		t.Errorf("no clean: %v", clean.kinds())
	}
	if len(inval.kinds()) != 1 || !strings.HasPrefix(inval.kinds()[0], "stale_cpu_read") {
		t.Errorf("no invalidate: %v", inval.kinds())
	}
}

func TestAScriptWaitsAndStartsWhenItIsTold(t *testing.T) {
	p := play(t, "range", Step{Do: Wait, Time: 7 * sim.Millisecond})
	if p.now < 9*sim.Millisecond || p.now > 9*sim.Millisecond+100*sim.Microsecond {
		t.Errorf("over at %v, want 7 ms after 2 ms", p.now)
	}
}

func TestTheFirstDeviceOwnsAQueueThatNoStageFills(t *testing.T) {
	// The queue's own mapping syncs nothing, since QBUF does; that of an importer syncs.
	own := play(t, "range", on("vb2-sg", "cpu-read", "attach a", "map a FROM_DEVICE", "device-write a", "unmap a", "detach a", "cpu-read")...)
	if !slices.ContainsFunc(own.kinds(), func(k string) bool { return strings.HasPrefix(k, "stale_cpu_read") }) {
		t.Errorf("the queue's own mapping was synced: %v", own.kinds())
	}
}

// randomStep draws a step that the language allows after those before it, or fails to.
func randomStep(t *rapid.T, attached, seen map[string]bool) (Step, bool) {
	s := Step{
		Do:     Action(rapid.SampledFrom(Action("").Values()).Draw(t, "do")),
		Device: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "device"),
		Buffer: rapid.SampledFrom(dmabuf.Exporter("").Values()).Draw(t, "buffer"),
		Index:  rapid.IntRange(0, 1).Draw(t, "index"),
	}
	p := fmt.Sprint(s.Buffer, s.Index)
	switch s.Do {
	case Wait:
		return Step{Do: Wait, Time: sim.Time(rapid.IntRange(1, 100).Draw(t, "time")) * sim.Microsecond}, true
	case MunmapBuffer:
		return s, seen[p]
	case MmapBuffer:
		seen[p] = true
	case BeginAccess, EndAccess:
		s.Access = CPUAccess(rapid.SampledFrom(CPUAccess("").Values()).Draw(t, "access"))
	case Attach:
		attached[p+s.Device] = true
	case GetBuffer, PutBuffer:
	default:
		s.Direction = Direction(rapid.SampledFrom(Direction("").Values()).Draw(t, "direction"))
		s.Offset = units.Bytes(rapid.IntRange(0, 5119).Draw(t, "offset"))
		limit := 5120 - int(s.Offset)
		if s.Do == SyncForCPU || s.Do == SyncForDevice {
			limit = 20_000 // beyond the end, too
		}
		s.Bytes = units.Bytes(rapid.IntRange(0, limit).Draw(t, "bytes"))
		if s.Do == CPURead || s.Do == CPUWrite {
			seen[p] = true
			return s, true
		}
		return s, attached[p+s.Device]
	}
	return s, true
}

func TestRandomScriptsPanicNowhereAndGiveTheSameReportsTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attached, seen := map[string]bool{}, map[string]bool{}
		var steps []Step
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if s, ok := randomStep(t, attached, seen); ok {
				steps = append(steps, s)
			}
		}
		if len(steps) == 0 {
			return
		}
		policy := rapid.SampledFrom([]string{"none", "range", "whole", "optimal", "ion-fault-tracking"}).Draw(t, "policy")
		p, again := play(t, policy, steps...), play(t, policy, steps...)
		if p.steps != len(steps) || !p.over {
			t.Errorf("%d of %d steps, over %t", p.steps, len(steps), p.over)
		}
		if p.lost < 0 {
			t.Errorf("%d bytes more are free than before", -p.lost)
		}
		if diff := cmp.Diff(p.lines, again.lines); diff != "" || p.now != again.now {
			t.Errorf("ended at %v and %v:\n%s", p.now, again.now, diff)
		}
	})
}
