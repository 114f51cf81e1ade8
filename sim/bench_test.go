package sim

import (
	"container/heap"
	"context"
	"math/rand/v2"
	"strconv"
	"testing"
)

// In the hold model each event schedules one other, so that the number of pending events stands still.
type hold struct {
	e      *Engine
	id     HandlerID
	left   int
	delays [4096]Time
	next   int
}

func newHold(pending int) *hold {
	h := &hold{e: New()}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range h.delays {
		h.delays[i] = Time(rng.ExpFloat64() * float64(Microsecond))
	}
	h.id = h.e.Register(h)
	for i := range pending {
		h.e.Schedule(h.delay(), h.id, uint64(i))
	}
	return h
}

func (h *hold) delay() Time {
	h.next = (h.next + 1) % len(h.delays)
	return h.delays[h.next]
}

func (h *hold) Handle(now Time, arg uint64) {
	h.e.Schedule(now+h.delay(), h.id, arg)
	if h.left--; h.left == 0 {
		h.e.Stop()
	}
}

func (h *hold) run(n int) {
	h.left = n
	_ = h.e.Run(context.Background(), Never)
}

func reportRate(b *testing.B, unit string) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), unit+"/s")
}

var holdSizes = []int{16, 256, 4096, 65536, 1 << 20}

func BenchmarkHold(b *testing.B) {
	for _, n := range holdSizes {
		var h *hold
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			if h == nil {
				h = newHold(n)
				h.run(2 * n) // to the steady state
			}
			b.ReportAllocs()
			b.ResetTimer()
			h.run(b.N)
			reportRate(b, "events")
		})
	}
}

// plainHeap is the textbook queue, for the ratio.
type plainHeap []plainEvent

type plainEvent struct {
	at  Time
	seq uint64
	h   Handler
}

func (p plainHeap) Len() int      { return len(p) }
func (p plainHeap) Swap(i, j int) { p[i], p[j] = p[j], p[i] }
func (p plainHeap) Less(i, j int) bool {
	return p[i].at < p[j].at || p[i].at == p[j].at && p[i].seq < p[j].seq
}
func (p *plainHeap) Push(x any) { *p = append(*p, x.(plainEvent)) }
func (p *plainHeap) Pop() any {
	old := *p
	x := old[len(old)-1]
	*p = old[:len(old)-1]
	return x
}

func BenchmarkHoldContainerHeap(b *testing.B) {
	for _, n := range holdSizes {
		h := newHold(0)
		var p plainHeap
		seq := uint64(0)
		push := func(at Time) {
			seq++
			heap.Push(&p, plainEvent{at: at, seq: seq, h: h})
		}
		step := func() {
			ev := heap.Pop(&p).(plainEvent)
			push(ev.at + h.delay())
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			if len(p) == 0 {
				for range n {
					push(h.delay())
				}
				for range 2 * n {
					step()
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				step()
			}
			reportRate(b, "events")
		})
	}
}

// dueNow schedules its next event for the present time.
type dueNow struct {
	e    *Engine
	id   HandlerID
	left int
}

func (d *dueNow) Handle(now Time, arg uint64) {
	if d.left--; d.left > 0 {
		d.e.Schedule(now, d.id, arg)
	}
}

func BenchmarkDueNow(b *testing.B) {
	d := &dueNow{e: New(), left: b.N}
	d.id = d.e.Register(d)
	d.e.Schedule(0, d.id, 0)
	b.ReportAllocs()
	b.ResetTimer()
	_ = d.e.Run(context.Background(), 0)
	reportRate(b, "events")
}

func BenchmarkScheduleCancel(b *testing.B) {
	for _, n := range holdSizes[:4] {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := newHold(n)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				h.e.Cancel(h.e.Schedule(1+h.delay(), h.id, 0))
			}
			reportRate(b, "events")
		})
	}
}

func BenchmarkClock(b *testing.B) {
	c := NewClock(165_941_176)
	var sink int64
	b.Run("Cycles", func(b *testing.B) {
		for i := range b.N {
			sink += int64(c.Cycles(int64(i) << 8))
		}
		reportRate(b, "calls")
	})
	b.Run("Ceil", func(b *testing.B) {
		for i := range b.N {
			sink += c.Ceil(Time(i) << 12)
		}
		reportRate(b, "calls")
	})
	b.Run("Floor", func(b *testing.B) {
		for i := range b.N {
			sink += c.Floor(Time(i) << 12)
		}
		reportRate(b, "calls")
	})
	_ = sink
}

func BenchmarkProcessSwitch(b *testing.B) {
	e := New()
	defer e.Close()
	p := e.Spawn("p", func(p *Proc) {
		for {
			p.Suspend()
		}
	})
	p.Resume()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		p.Resume() // in and out
	}
	reportRate(b, "resumes")
}

func BenchmarkSleep(b *testing.B) {
	e := New()
	defer e.Close()
	e.Spawn("p", func(p *Proc) {
		for range b.N {
			p.Sleep(Nanosecond)
		}
		e.Stop()
	}).Start()
	b.ReportAllocs()
	b.ResetTimer()
	_ = e.Run(context.Background(), Never)
	reportRate(b, "sleeps")
}

func BenchmarkSignalPingPong(b *testing.B) {
	e := New()
	defer e.Close()
	ping, pong := NewSignal(e), NewSignal(e)
	e.Spawn("pong", func(p *Proc) {
		for {
			ping.Wait(p)
			pong.Notify()
		}
	}).Start()
	e.Spawn("ping", func(p *Proc) {
		for range b.N {
			ping.Notify()
			pong.Wait(p)
		}
		e.Stop()
	}).Start()
	b.ReportAllocs()
	b.ResetTimer()
	_ = e.Run(context.Background(), Second)
	reportRate(b, "rounds")
}

func BenchmarkQueue(b *testing.B) {
	e := New()
	defer e.Close()
	q := NewQueue[int](e, 4)
	e.Spawn("get", func(p *Proc) {
		for {
			q.Get(p)
		}
	}).Start()
	e.Spawn("put", func(p *Proc) {
		for i := range b.N {
			q.Put(p, i)
		}
		e.Stop()
	}).Start()
	b.ReportAllocs()
	b.ResetTimer()
	_ = e.Run(context.Background(), Second)
	reportRate(b, "values")
}
