package flush

import (
	"math"
	"math/bits"

	"socsim/sim"
	"socsim/sim/units"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// calibratedInfo is the strategy that measures, as Linux does to choose its checksum routines for RAID (crypto/xor.c, lib/raid6/algos.c). Sakari Ailus proposed it for caches on 1 January 2012; no kernel
// is known to have shipped it.
var calibratedInfo = Define(Info{
	Name: "calibrated",
	Doc: "Measures at start-up what the operations take, as RAID does for its checksums, and from then on picks by size and direction between the profile's operation by range and the whole cache, and " +
		"for an outer cache apart.",
	Source: "proposed in the dma-buf thread of 2011-12 (linux-media, Sakari Ailus, 1 January 2012); the precedents are crypto/xor.c and lib/raid6/algos.c",
	Params: []Param{
		{
			Name: "score", Type: Choice, Default: "end-to-end", Choices: []string{"end-to-end", "operation"},
			Doc: "What is compared: the time until a bystander has its working set back (end-to-end), or that of the operation alone, which leaves the refills to others and picks the whole cache too early.",
		}, {
			Name: "working_set", Type: Size, Default: auto, Auto: true,
			Doc: "Bytes of the bystander that uses the cache beside the buffer. What it really is, nobody can know at start-up: auto is a quarter of the largest cache, which on omap3430 is wrong by a " +
				"factor of about two at worst, whatever between nothing and the cache is true. At most four times that cache.",
		}, {
			Name: "dirty", Type: Choice, Default: "25%", Choices: []string{"0%", "25%", "50%", "75%", "100%"},
			Doc: "Share of the lines that the CPU has stored to: of the bystander's, and of the buffer's unless a device fills it.",
		}, {
			Name: "repetitions", Type: Choice, Default: "1", Choices: []string{"1", "2", "4", "8"},
			Doc: "Measurements of each kind, of which the fastest counts: more of them shut out interrupts and chance in the replacement, and make the start longer.",
		},
	},
}, func(s Settings) dmaapi.Policy {
	c := &calibrated{endToEnd: s.Choice("score") == "end-to-end"}
	c.workingSet = s.Size("working_set")
	c.dirty = 25 * int(s.value("dirty", Choice))
	c.repetitions = 1 << s.value("repetitions", Choice)
	return c
})

// Threshold is the size from which on the whole cache is the better choice: 0 for always, Never for none.
type Threshold int64

// Never is the threshold of an operation on the whole cache that does not pay at any size.
const Never Threshold = math.MaxInt64

func (t Threshold) String() string {
	switch t {
	case 0:
		return "always"
	case Never:
		return "never"
	}
	return units.Bytes(t).String()
}

// Cost is what a change of owner and back costs: the maintenance alone, and with the bystander's next pass over its working set after each operation.
type Cost struct{ Operation, EndToEnd sim.Time }

// Point is what was measured at one size.
type Point struct {
	Bytes        int
	Range, Whole Cost
}

// Crossing is where the whole cache overtakes the operation by range in one direction, by either score.
type Crossing struct {
	Operation, EndToEnd Threshold
	Points              []Point
}

// Outcome is what a calibration found, by DMA direction. Outer is for an outer cache, which is decided about apart, and empty where there is none.
type Outcome struct {
	Inner, Outer [3]Crossing
	HasOuter     bool
	WorkingSet   int64
	EndToEnd     bool     // the score that counts
	Took         sim.Time // of the thread that started it
}

// Threshold is the size in force in a direction, of the inner caches or the outer one.
func (o *Outcome) Threshold(d dmaapi.Direction, outer bool) Threshold {
	c := &o.Inner
	if outer {
		if c = &o.Outer; !o.HasOuter {
			return Never
		}
	}
	if int(d) >= len(c) {
		return Never
	}
	if o.EndToEnd {
		return c[d].EndToEnd
	}
	return c[d].Operation
}

// Calibration returns what a policy has measured. It is false for a policy that does not measure, or has not: one that was not started, or found no memory to measure with.
func Calibration(p dmaapi.Policy) (Outcome, bool) {
	c, ok := p.(*calibrated)
	if !ok || !c.done {
		return Outcome{}, false
	}
	return c.outcome, true
}

// calibrated measures in Start and then decides by size. Until it has measured, it does what range does. A decision is two comparisons.
type calibrated struct {
	endToEnd    bool
	workingSet  int64 // AutoSize until started
	dirty       int   // per cent
	repetitions int

	probing bool
	probe   dmaapi.Answer // while probing: extents to try
	acted   bool          // the profile does something at the hand-over that is tried
	outcome Outcome
	done    bool
}

// Start measures. It costs the thread that sets up its time.
func (c *calibrated) Start(t *cpu.Thread, api *dmaapi.API) {
	start := t.Now()
	c.probing = true
	outcome, ok := measure(t, api, c)
	c.probing = false
	outcome.EndToEnd, outcome.Took = c.endToEnd, t.Now()-start
	c.outcome, c.done = outcome, ok
}

func (c *calibrated) Decide(q *dmaapi.Question) dmaapi.Answer {
	switch q.Event {
	case dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover:
	default:
		return dmaapi.Answer{}
	}
	if q.Default == dmaapi.Nothing {
		return dmaapi.Answer{}
	}
	a := dmaapi.Answer{Op: q.Default}
	switch {
	case c.probing:
		c.acted = true
		a.Extent, a.Outer = c.probe.Extent, c.probe.Outer
	case c.done:
		a.Extent, a.Outer = c.outcome.extents(q)
	}
	return a
}

// extents picks how much of the caches an operation covers.
func (o *Outcome) extents(q *dmaapi.Question) (dmaapi.Extent, dmaapi.OuterExtent) {
	n := Threshold(q.Length)
	inner, outer := n >= o.Threshold(q.Direction, false), n >= o.Threshold(q.Direction, true)
	extent := dmaapi.ByRange
	if inner {
		extent = dmaapi.Whole
	}
	switch {
	case !q.HasOuter:
		return extent, dmaapi.OuterSame
	case outer:
		return extent, dmaapi.OuterWhole
	case inner:
		return extent, dmaapi.OuterByRange
	}
	return extent, dmaapi.OuterSame
}

// crossing finds where the whole cache overtakes the range.
func crossing(points []Point) Crossing {
	gain := func(cost func(Cost) sim.Time) Threshold {
		sizes, gains := make([]int64, len(points)), make([]int64, len(points))
		for i, p := range points {
			sizes[i], gains[i] = int64(p.Bytes), int64(cost(p.Range)-cost(p.Whole))
		}
		return overtakes(sizes, gains)
	}
	return Crossing{
		Operation: gain(func(c Cost) sim.Time { return c.Operation }),
		EndToEnd:  gain(func(c Cost) sim.Time { return c.EndToEnd }),
		Points:    points,
	}
}

// grain is what thresholds are rounded up to, and farthest where extrapolation ends.
const (
	grain    = 1 << 10
	farthest = 1 << 30
)

// overtakes returns the size from which on the gain stays positive: by linear interpolation between the sizes measured, and beyond them by the line through the nearest two, on the ground that a line
// more costs the same from the size of the cache on. There are at least two sizes, in ascending order.
func overtakes(sizes, gains []int64) Threshold {
	last := len(sizes) - 1
	i := last // the largest at which the whole cache does not pay
	for i >= 0 && gains[i] >= 0 {
		i--
	}
	i = min(max(i, 0), last-1)
	rise := gains[i+1] - gains[i]
	run := sizes[i+1] - sizes[i]
	switch {
	case rise <= 0 && gains[last] < 0:
		return Never
	case rise <= 0:
		return 0
	}
	at := sizes[i] + mulDiv(-gains[i], run, rise)
	switch {
	case at <= 0:
		return 0
	case at > farthest:
		return Never
	}
	return Threshold((at + grain - 1) / grain * grain)
}

// mulDiv is a x b / c for b >= 0 and c > 0, rounded towards zero, and saturated.
func mulDiv(a, b, c int64) int64 {
	if a < 0 {
		return -mulDiv(-a, b, c)
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}
