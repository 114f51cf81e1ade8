package dram

import (
	"math/rand/v2"
	"testing"

	"socsim/sim/bus"
)

// firstReady is a controller of the scheduler frfcfs behind the interconnect, without refresh.
func firstReady(t testing.TB, queue int) *Controller {
	t.Helper()
	cfg := lpddr166()
	cfg.Scheduler, cfg.Queue, cfg.TREFI = FirstReady, queue, 0
	c, err := New(cfg, 0, 1<<22)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const rowBytes, banksOfTest = 4096, 4

// place is the address of a burst in a row of a bank.
func place(bank, row, burst int) bus.Phys {
	return bus.Phys((row*banksOfTest+bank)*rowBytes + burst*64)
}

func TestAWriteIsAcknowledgedInTheNextClockAndWaits(t *testing.T) {
	c := firstReady(t, 16)
	if _, end := c.Serve(10, place(0, 0, 0), 64, true); end != 11 {
		t.Errorf("acknowledged at %d, want 11", end)
	}
	if s := c.Stats(); c.Resting() != 1 || s.Writes != 0 || s.PostedWrites != 1 {
		t.Errorf("%d rest, %+v", c.Resting(), s)
	}
}

func TestAReadOfAWaitingWriteIsForwarded(t *testing.T) {
	c := firstReady(t, 16)
	c.Serve(10, place(0, 0, 0), 64, true)
	if _, end := c.Serve(12, place(0, 0, 0)+16, 16, false); end != 13 {
		t.Errorf("the read ends at %d, want 13", end)
	}
	if s := c.Stats(); s.Forwarded != 1 || s.Activates != 0 {
		t.Errorf("%+v, want a forward and no activate", s)
	}
}

func TestAReadOfMoreThanAWaitingWriteLetsItGoFirst(t *testing.T) {
	c := firstReady(t, 16)
	c.Serve(10, place(0, 0, 0), 16, true)
	c.Serve(12, place(0, 0, 0), 64, false)
	if s := c.Stats(); s.Writes != 1 || s.Reads != 1 || c.Resting() != 0 {
		t.Errorf("%+v and %d resting, want the write in memory before the read", s, c.Resting())
	}
}

func TestWritesOfOneBurstJoin(t *testing.T) {
	c := firstReady(t, 16)
	c.Serve(10, place(0, 0, 0), 64, true)
	c.Serve(12, place(0, 0, 0)+8, 8, true)
	if s := c.Stats(); s.Merged != 1 || c.Resting() != 1 {
		t.Errorf("%+v and %d resting, want them merged", s, c.Resting())
	}
}

func TestAFullBufferDrainsToHalfRowHitsFirst(t *testing.T) {
	c := firstReady(t, 4)
	var order []int
	c.Observe(func(cmd Command) {
		if cmd.Kind == Write && cmd.Col%4 == 0 {
			order = append(order, int(cmd.Row))
		}
	})
	for i, row := range []int{1, 2, 1, 2} {
		c.Serve(int64(10+i), place(0, row, i), 64, true)
	}
	c.Serve(20, place(1, 7, 0), 64, true)
	if c.Resting() != 3 {
		t.Errorf("%d rest, want half and the new one", c.Resting())
	}
	if len(order) != 2 || order[0] != 1 || order[1] != 1 {
		t.Errorf("rows written %v, want the two of row 1 one after the other", order)
	}
}

func TestIdleTimeDrainsAllButAFew(t *testing.T) {
	c := firstReady(t, 32)
	for i := range 20 {
		c.Serve(int64(10+i), place(i%4, i, 0), 64, true)
	}
	c.Serve(1_000_000, place(0, 0, 1), 64, false)
	if c.Resting() != postedKeep {
		t.Errorf("%d rest after a long time, want %d", c.Resting(), postedKeep)
	}
}

// A read in the middle of scattered writes waits for the writes in front of it if they go in order, and not if they are posted.
func TestPostingTakesWritesOutOfTheReadsWay(t *testing.T) {
	mean := func(s Scheduler) float64 {
		cfg := lpddr166()
		cfg.Scheduler, cfg.Queue = s, 32
		c, err := New(cfg, 0, 1<<22)
		if err != nil {
			t.Fatal(err)
		}
		rng := rand.New(rand.NewPCG(3, 4))
		var sum, reads, at int64
		ends := make([]int64, c.LookAhead())
		for i := range 20000 {
			at = max(at+rng.Int64N(48), ends[i%len(ends)])
			isWrite := rng.IntN(2) == 0
			_, end := c.Serve(at, bus.Phys(rng.IntN(1<<16))<<6, 64, isWrite)
			ends[i%len(ends)] = end
			if !isWrite {
				sum += end - at
				reads++
			}
		}
		return float64(sum) / float64(reads)
	}
	inOrder, posted := mean(InOrder), mean(FirstReady)
	if posted > 0.95*inOrder {
		t.Errorf("reads take %.1f clocks with posted writes and %.1f in order, want clearly less", posted, inOrder)
	}
}

func TestRowOpenTellsWhatServeWillFind(t *testing.T) {
	for _, channels := range []int{1, 2} {
		for _, s := range []Scheduler{InOrder, FirstReady} {
			cfg := lpddr166()
			cfg.Scheduler, cfg.Queue, cfg.TREFI, cfg.Channels, cfg.Interleave = s, 16, 0, channels, 64
			c, err := New(cfg, 0, 1<<22)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(5, 6))
			at, hits := int64(0), uint64(0)
			ends := make([]int64, c.LookAhead())
			for i := range 2000 {
				at = max(at+100, ends[i%len(ends)])
				pa := bus.Phys(rng.IntN(1<<9)) << 6
				if c.RowOpen(pa) {
					hits++
				}
				_, ends[i%len(ends)] = c.Serve(at, pa, 64, false)
			}
			if got := c.Stats().RowHits; got != hits || hits == 0 {
				t.Errorf("%s, %d channels: %d row hits, announced %d", s, channels, got, hits)
			}
		}
	}
}
