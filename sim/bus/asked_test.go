package bus

import (
	"testing"

	"socsim/sim"
)

func TestAskedIsWhenTheTransferWasIssuedHoweverLongItsBurstsAreHeldBack(t *testing.T) {
	p := Port{Outstanding: 1}
	var wake, at sim.Time
	p.Connect(&wake, &at, nil)
	p.Issue(1000, 0x100, 2*BurstBytes, Read)
	p.Advance(BurstBytes, 5000)
	if p.Asked() != 1000 || p.Issued() != 5000 {
		t.Errorf("asked for at %v, its second burst at %v; want 1000ps and 5000ps", p.Asked(), p.Issued())
	}
}
