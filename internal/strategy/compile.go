package strategy

import (
	"math"
	"slices"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// policy is a table with its parameters filled in: for each event the rules that can match, decided down to masks and bounds. A decision is O(rules of the event) and allocates nothing. It has no history.
type policy struct {
	rules     [dmaapi.Batch + 1][]decided
	elseRange bool
}

// decided is one rule in memory, 104 bytes.
type decided struct {
	directions, operations, attrs uint8 // bits of those that match
	hints                         dmaapi.Hints
	size, buffers                 span
	profile                       bool // the operation is the profile's
	answer                        dmaapi.Answer
}

// span is [from, to).
type span struct{ from, to int64 }

func (s span) has(n int) bool { return int64(n) >= s.from && int64(n) < s.to }

// Decide returns the answer of the first rule that matches.
func (p *policy) Decide(q *dmaapi.Question) dmaapi.Answer {
	if int(q.Event) >= len(p.rules) {
		return dmaapi.Answer{}
	}
	for i := range p.rules[q.Event] {
		if r := &p.rules[q.Event][i]; r.matches(q) {
			return r.decide(q)
		}
	}
	if p.elseRange && isHandover(q.Event) {
		return dmaapi.Answer{Op: q.Default}
	}
	return dmaapi.Answer{}
}

func (r *decided) matches(q *dmaapi.Question) bool {
	if r.directions&(1<<min(q.Direction, 7)) == 0 || r.operations&(1<<min(q.Default, 7)) == 0 || !q.Hints.Has(r.hints) {
		return false
	}
	if r.attrs != allBits && r.attrs&(1<<attrIndex(q.Attr)) == 0 {
		return false
	}
	bytes := q.Length
	if q.Event == dmaapi.Batch {
		bytes = q.TotalBytes
	}
	return r.size.has(bytes) && r.buffers.has(q.Buffers)
}

// decide fills the question's part into the answer. A buffer that was asked for without a mapping keeps it so, and where the chip has no outer cache nothing is said about one.
func (r *decided) decide(q *dmaapi.Question) dmaapi.Answer {
	a := r.answer
	if r.profile {
		a.Op = q.Default
	}
	if a.Op == dmaapi.Nothing {
		a.Extent, a.Outer, a.Defer = dmaapi.ByRange, dmaapi.OuterSame, false
	}
	if !q.HasOuter {
		a.Outer = dmaapi.OuterSame
	}
	if q.Attr == cpu.NoMapping {
		a.Attr, a.Track = "", false
	}
	return a
}

const allBits = 0xff

var attrs = cpu.Attr("").Values()

// attrIndex is the bit of an attribute; the last is for what is none.
func attrIndex(a cpu.Attr) int {
	if i := slices.Index(attrs, string(a)); i >= 0 {
		return i
	}
	return 7
}

// compile decides everything that the parameters decide.
func (c *checker) compile(s flush.Settings) *policy {
	p := &policy{elseRange: c.Default == elseRange}
	zeroIsOff := map[string]bool{}
	for _, q := range c.Parameters {
		zeroIsOff[q.Name] = q.ZeroMeansOff
	}
	for i := range c.parsed {
		r := &c.parsed[i]
		d, on := r.decided(s, zeroIsOff)
		if !on || !r.when.holds(s) {
			continue
		}
		for _, e := range r.events {
			p.rules[e] = append(p.rules[e], d)
		}
	}
	return p
}

func (c condition) holds(s flush.Settings) bool {
	if c.parameter == "" {
		return true
	}
	v, _ := s.Value(c.parameter)
	return (v == c.value) != c.not
}

// decided is the rule under the settings; not on if it cannot match.
func (p *parsed) decided(s flush.Settings, zeroIsOff map[string]bool) (d decided, on bool) {
	d = decided{directions: allBits, operations: allBits, attrs: allBits}
	for i, w := range p.Direction {
		if i == 0 {
			d.directions = 0
		}
		d.directions |= 1 << slices.IndexFunc(directions, func(x dmaapi.Direction) bool { return x.String() == string(w) })
	}
	for i, w := range p.Profile {
		if i == 0 {
			d.operations = 0
		}
		d.operations |= 1 << Action(w).operation()
	}
	for i, w := range p.Asked {
		if i == 0 {
			d.attrs = 0
		}
		d.attrs |= 1 << attrIndex(w)
	}
	for _, h := range hints {
		if slices.Contains(p.Hints, Hint(h.name)) {
			d.hints |= h.hint
		}
	}
	d.profile = p.Do == profile
	d.answer = dmaapi.Answer{Attr: p.Attr, Track: p.Track, Force: p.Force, Defer: p.Defer, Op: p.Do.operation()}
	if p.Extent == whole {
		d.answer.Extent = dmaapi.Whole
	}
	switch p.Outer {
	case whole:
		d.answer.Outer = dmaapi.OuterWhole
	case byRange:
		d.answer.Outer = dmaapi.OuterByRange
	}
	var offS, offB bool
	d.size, offS = p.size.eval(s, zeroIsOff)
	d.buffers, offB = p.buffers.eval(s, zeroIsOff)
	return d, !offS && !offB
}

// eval computes the bounds.
func (i interval) eval(s flush.Settings, zeroIsOff map[string]bool) (out span, off bool) {
	out = span{math.MinInt64, math.MaxInt64}
	if i.atLeast != nil {
		out.from, off = i.atLeast.eval(s, zeroIsOff)
	}
	if i.above != nil {
		n, o := i.above.eval(s, zeroIsOff)
		out.from, off = n+1, off || o
	}
	if i.below != nil {
		n, o := i.below.eval(s, zeroIsOff)
		out.to, off = n, off || o
	}
	return out, off
}

// Fork returns the policy itself: a table has no memory.
func (p *policy) Fork() dmaapi.Policy { return p }

// History appends nothing.
func (p *policy) History(b []byte) []byte { return b }
