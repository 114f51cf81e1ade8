package bus

import (
	"testing"

	"socsim/sim"
)

func TestTheMasterThatHeldTheBusLongestIsToBlame(t *testing.T) {
	const display, gpu, camera Master = 1, 2, 3
	var l Ledger
	if got := l.Held(0, 100, camera); got != NoMaster {
		t.Errorf("an empty ledger blames %d", got)
	}
	// The GPU has the bus from 10 to 70 and the display from 0 to 10 and 70 to 90, when the camera is served.
	l.Note(0, display)
	for at := sim.Time(10); at < 70; at += 10 {
		l.Note(at, gpu)
	}
	l.Note(70, display)
	l.Note(90, camera)
	for _, c := range []struct {
		from, to sim.Time
		self     Master
		want     Master
	}{
		{20, 90, camera, gpu},
		{65, 90, camera, display}, // 5 of the GPU's, 20 of the display's
		{51, 90, camera, display},
		{20, 90, gpu, display},
		{90, 90, camera, NoMaster},
	} {
		if got := l.Held(c.from, c.to, c.self); got != c.want {
			t.Errorf("from %v to %v without %d: %d, want %d", c.from, c.to, c.self, got, c.want)
		}
	}
	p := Port{Grant: 90, Waited: 70, Master: camera, Holder: display}
	if got := p.Blame(); got != display {
		t.Errorf("without a ledger %d, want the last holder %d", got, display)
	}
	p.SetLedger(&l)
	if got := p.Blame(); got != gpu {
		t.Errorf("with a ledger %d, want %d", got, gpu)
	}
}

func TestALedgerRemembersTheLastGrants(t *testing.T) {
	var l Ledger
	for i := range 3 * ledgerSize {
		m := Master(1)
		if i >= 3*ledgerSize-10 {
			m = 2
		}
		l.Note(sim.Time(i), m)
	}
	if got := l.Held(3*ledgerSize-15, 3*ledgerSize, 3); got != 2 {
		t.Errorf("the last grants are those of %d, want 2", got)
	}
	if got := l.Held(0, 3*ledgerSize, 3); got != 1 {
		t.Errorf("as far as it goes most are those of %d, want 1", got)
	}
}
