package flush_test

import (
	"fmt"
	"testing"

	"socsim/soc/dmaapi"
	"socsim/soc/flush"
	"socsim/soc/flush/flushtest"
)

// What stands between the marks is in docs/strategies.md, too.
// begin

// segments treats the whole cache where a buffer is in so many pieces that their calls and barriers would cost more.
type segments struct{ most int }

func (s segments) Decide(q *dmaapi.Question) dmaapi.Answer {
	if q.Default != dmaapi.Nothing && q.Segments > s.most {
		return dmaapi.Answer{Op: dmaapi.CleanInvalidate, Extent: dmaapi.Whole}
	}
	return dmaapi.Answer{Op: q.Default}
}

var bySegments = flush.Define(flush.Info{
	Name: "segments", Doc: "By range, but for the whole cache where a buffer has many scatter-gather entries.", Source: "an example",
	Params: []flush.Param{{Name: "most", Type: flush.Count, Default: "64", Doc: "Entries up to which a buffer is maintained by range."}},
}, func(s flush.Settings) dmaapi.Policy { return segments{int(s.Count("most"))} })

// end

func TestTheExampleKeepsTheContract(t *testing.T) { flushtest.Contract(t, bySegments) }

func ExampleDefine() {
	strategy, err := bySegments.With("most", "8")
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := strategy.New()
	for _, pieces := range []int{8, 9} {
		a := policy.Decide(&dmaapi.Question{Event: dmaapi.ToDeviceHandover, Segments: pieces, Default: dmaapi.Clean})
		fmt.Printf("%s, %d entries: %v, whole cache: %t\n", strategy.Label(), pieces, a.Op, a.Extent == dmaapi.Whole)
	}
	// Output:
	// segments(most=8), 8 entries: clean, whole cache: false
	// segments(most=8), 9 entries: clean+invalidate, whole cache: true
}
