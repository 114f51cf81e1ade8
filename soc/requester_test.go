package soc_test

import (
	"context"
	"testing"

	"socsim/sim"
	"socsim/soc"
	"socsim/soc/memory"
)

// requester is a chip with two bus masters, and a scattered region of three pages.
func requester(t *testing.T) (*soc.System, *soc.Requester, *memory.Region) {
	t.Helper()
	cfg, err := chip(t)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Memory.Fragmentation = 1_000_000
	s, err := soc.New(cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	r := s.AddRequester("probe")
	region, err := s.Memory.AllocScattered("r", 3*memory.PageBytes)
	if err != nil {
		t.Fatal(err)
	}
	return s, r, region
}

func TestARequesterMovesEveryByteOnceAndSaysWhenItIsDone(t *testing.T) {
	s, r, region := requester(t)
	runs := region.RunsOf(100, 9000)
	if len(runs) < 2 {
		t.Fatalf("%d runs, want several", len(runs))
	}
	var done sim.Time
	r.OnDone = func() { done = s.Engine.Now() }
	r.Start(0, runs, true)
	if !r.Busy() {
		t.Error("not busy after Start")
	}
	if err := s.Run(context.Background(), sim.Millisecond); err != nil {
		t.Fatal(err)
	}
	// 9000 bytes at 166 MHz and 8 bytes a clock take 6.8 us at least.
	if r.Busy() || done < 6*sim.Microsecond || done > 100*sim.Microsecond {
		t.Errorf("done at %v, busy %v", done, r.Busy())
	}
	if st := s.Fabric.Stats(r.Master); st.BytesWritten != 9000 || st.BytesRead != 0 {
		t.Errorf("%+v, want 9000 bytes written", st)
	}
	for off := range region.Bytes / 64 {
		newest := s.Memory.Newest(region.Addr(int(off * 64)))
		if in := off*64+64 > 100 && off*64 < 9100; (newest.Master() == r.Master) != in {
			t.Errorf("the line at %d was written by %v", off*64, newest.Master())
		}
	}
	r.Start(s.Engine.Now(), runs, false)
	if err := s.Run(context.Background(), 2*sim.Millisecond); err != nil {
		t.Fatal(err)
	}
	if st := s.Fabric.Stats(r.Master); st.BytesRead != 9000 {
		t.Errorf("%+v, want 9000 bytes read", st)
	}
}

func TestARequesterTakesNoSecondAccessMeanwhile(t *testing.T) {
	_, r, region := requester(t)
	r.Start(0, region.Runs(), false)
	defer func() {
		if recover() == nil {
			t.Error("a busy requester was started")
		}
	}()
	r.Start(0, region.Runs(), false)
}
