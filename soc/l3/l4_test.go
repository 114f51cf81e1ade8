package l3

import (
	"testing"

	"socsim/sim"
)

// l4at50 is an L4 at 50 MHz behind an L3 at 100 MHz: 50 ns there, 80 ns of access, 30 ns back.
func l4at50() *L4 {
	return NewL4(L4Config{Clock: 50e6, RequestCycles: 3, ResponseCycles: 1}, Config{Clock: 100e6, RequestCycles: 5, ResponseCycles: 3})
}

func wantTime(t *testing.T, what string, got, want sim.Time) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestARegisterReadCostsBothInterconnectsBothWays(t *testing.T) {
	l := l4at50()
	wantTime(t, "first", l.Read(0), 160*sim.Nanosecond)
	wantTime(t, "much later", l.Read(sim.Microsecond), 1160*sim.Nanosecond)
}

func TestAPostedWriteIsAcceptedAtOnceAndTheNextWhenItIsDone(t *testing.T) {
	l := l4at50()
	wantTime(t, "first", l.Write(0), 0)
	wantTime(t, "second", l.Write(0), 80*sim.Nanosecond)
	wantTime(t, "third", l.Write(200*sim.Nanosecond), 200*sim.Nanosecond)
}

func TestAReadWaitsForTheWritesBeforeIt(t *testing.T) {
	l := l4at50()
	l.Write(0)
	wantTime(t, "read", l.Read(0), (50+80+80+30)*sim.Nanosecond)
}

func TestL4SettingsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range []L4Config{{}, {Clock: 83e6}, {Clock: 83e6, RequestCycles: 3, ResponseCycles: -1}} {
		if c.Validate() == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	if err := (L4Config{Clock: 83e6, RequestCycles: 3, ResponseCycles: 1}).Validate(); err != nil {
		t.Error(err)
	}
}
