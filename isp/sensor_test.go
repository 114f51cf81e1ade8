package isp

import (
	"strings"
	"testing"

	"socsim/sim"
)

func TestFrameOfTheET8EK8ModeTakes33Point4656Milliseconds(t *testing.T) {
	if got, want := et8ek8.FrameTime(), 33_465_600*sim.Nanosecond; got != want {
		t.Errorf("frame %v, want %v", got, want)
	}
	if got, want := et8ek8.LineTime(), 49_800*sim.Nanosecond; got != want {
		t.Errorf("line %v, want %v", got, want)
	}
}

func TestFrameStartsDoNotDrift(t *testing.T) {
	// 96533333 Hz divides neither a line nor a frame into whole picoseconds.
	s := Sensor{Width: 1296, Height: 984, LineTotal: 3192, FrameTotal: 1008, PixelClock: 96_533_333}
	cfg := defaultConfig()
	cfg.ProcessingClock = 100_000_000
	r := newRig(t, cfg, s, Image{Width: 640, Height: 480, BytesPerPixel: 2, Stride: 1280})
	r.bus.mute = true
	const origin = 5 * sim.Microsecond
	r.Start(origin)
	r.run(2 * sim.Second)
	if len(r.starts) != 61 {
		t.Fatalf("%d frames in 2s, want 61", len(r.starts))
	}
	drifts := false
	for i, e := range r.starts {
		want := origin + sim.NewClock(96_533_333).Cycles(int64(i)*3192*1008)
		if e.At != want || e.Seq != i {
			t.Fatalf("frame %d starts at %v, want frame %d at %v", e.Seq, e.At, i, want)
		}
		drifts = drifts || want != origin+sim.Time(i)*s.FrameTime()
	}
	if !drifts {
		t.Error("the mode cannot tell drift from none")
	}
}

func TestImpossibleSensorsAreRefused(t *testing.T) {
	for _, c := range []struct {
		change func(*Sensor)
		want   string
	}{
		{func(s *Sensor) { s.PixelClock = 0 }, "sensor.pixel_clock"},
		{func(s *Sensor) { s.Width = 0 }, "at least 1x1"},
		{func(s *Sensor) { s.Height = -1 }, "at least 1x1"},
		{func(s *Sensor) { s.LineTotal = 863 }, "sensor.line_total: 863"},
		{func(s *Sensor) { s.FrameTotal = 655 }, "sensor.frame_total: 655"},
		{func(s *Sensor) { s.FrameTotal = 1 << 17 }, "sensor.frame_total: 131072"},
	} {
		s := et8ek8
		c.change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", s, err, c.want)
		}
	}
	if err := et8ek8.Validate(); err != nil {
		t.Error(err)
	}
}
