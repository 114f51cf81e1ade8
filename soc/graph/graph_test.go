package graph

import (
	"testing"

	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/display"
)

func TestTheAccountsAddUpToTheRun(t *testing.T) {
	for _, name := range []string{"none", "range", "whole", "uncached"} {
		t.Run(name, func(t *testing.T) {
			const begin, end = 200 * sim.Millisecond, 500 * sim.Millisecond
			r := start(t, chip(), preview(), strategy(t, name), begin)
			c := r.sys.Core
			c.Reset(begin)
			r.run(t, end)
			c.Close(end)
			sum := c.Time(cpu.Idle) + c.Time(cpu.Driver) + c.MaintenanceTime() + c.Time(cpu.Interrupt)
			for i := range c.Tasks() {
				sum += c.TaskTime(i)
			}
			if sum != end-begin {
				t.Errorf("the accounts add up to %v, want %v", sum, end-begin)
			}
		})
	}
}

func TestMeasurementsBeginAndEndWhereTheyAreAskedTo(t *testing.T) {
	r := start(t, chip(), preview(), strategy(t, "range"), 200*sim.Millisecond)
	for i := range 4 {
		r.sys.Fabric.ResetStats()
		r.run(t, sim.Time(i+3)*100*sim.Millisecond)
		// 100 ms hold 12 828.4 intervals of 1294 clocks: the memory is neither behind nor ahead.
		if n := r.sys.DRAM.Stats().Refresh; n < 12828 || n > 12829 {
			t.Errorf("%d refreshes in 100 ms, want 12828 or 12829", n)
		}
	}
}

func TestFramesFlowFromSensorToPanel(t *testing.T) {
	r := start(t, chip(), preview(), strategy(t, "range"), 500*sim.Millisecond)
	cam, screen := r.graph.Cameras()[0].Resized.Stats(), r.graph.Screens()[0].Stats(display.GFX)
	// The sensor completes its 14th frame at 468 ms; the first frames pass while the application sets up.
	if cam.Captured < 12 || cam.Overflowed != 0 {
		t.Errorf("camera: %+v", cam)
	}
	if screen.Displayed+2 < cam.Captured || screen.Underflows != 0 {
		t.Errorf("display: %+v for camera %+v", screen, cam)
	}
	for _, l := range r.graph.Results().Latency {
		// A frame takes 32.6 ms to leave the sensor and at most a refresh and some to reach the panel.
		if l < 33*sim.Millisecond || l > 90*sim.Millisecond {
			t.Errorf("latency %v", l)
		}
	}
}

func TestAFullDisplayQueueStopsTheCameraNotTheMachine(t *testing.T) {
	app := preview()
	app.Buffers[0].Count = 2
	app.Stages[1].Every = 1
	app.Stages[1].Read.Compute = 40_000 // 40 cycles a byte: some 19 ms a frame, while the camera has one other buffer
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	cam := r.graph.Cameras()[0].Resized.Stats()
	if cam.Dropped < 5 {
		t.Errorf("camera: %+v, want frames dropped for want of a buffer", cam)
	}
	if cam.Captured < 5 {
		t.Errorf("camera: %+v, want it to go on", cam)
	}
}
