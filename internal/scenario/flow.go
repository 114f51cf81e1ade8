package scenario

import (
	"math/big"
	"strings"

	"socsim/soc/graph"
)

// primaries takes the first of a stage's inputs for its input, where that is not given.
func (c *checker) primaries() {
	for i := range c.Stages {
		s := &c.Stages[i]
		if s.Input != "" || len(s.Inputs) == 0 {
			continue
		}
		first := s.Inputs[0]
		path := "stages." + s.Name + ".inputs." + first.Buffer
		switch {
		case first.When != graph.WhenEvery:
			c.errorf(path+".when", "the first input paces the stage, which does its work with each frame of it: name another input first, or leave when out")
		case first.Window != graph.Window{}:
			c.errorf(path+".window", "the first input covers the whole output: name another input first, or leave window out")
		case first.Read != nil:
			c.errorf(path+".read", "what is read of the first input is the stage's read: write it there")
		}
		s.Input, s.Inputs = first.Buffer, s.Inputs[1:]
		if len(s.Inputs) == 0 {
			s.Inputs = nil
		}
	}
}

// checkShape complains about a stage whose inputs do not fit what it is.
func (c *checker) checkShape(path string, s graph.Stage) bool {
	switch {
	case len(s.Inputs) > 0 && s.Device == graph.Display:
		c.errorf(path+".inputs", "a display shows one buffer set in a pipeline: give each a stage of its own that shares: %s", s.Name)
	case s.Device == graph.CPU && s.Strategy != "":
		c.errorf(path+".strategy", "a stage on cpu has no mapping of its own to hand over: its brackets sync those of the devices; write it at the buffers that it uses")
	case s.Device == graph.CPU && s.Input == "" && s.Period == 0:
		c.errorf(path, "a stage on cpu needs input, or a period at which it fills its output")
	case s.Device == graph.CPU && s.Input != "" && s.Period != 0:
		c.errorf(path+".period", "a stage with an input works when a frame of it comes: leave period out, or the input")
	case s.Input == "" && s.Every > 1:
		c.errorf(path+".every", "the stage has no input of which it could take one frame in %d", s.Every)
	default:
		return true
	}
	return false
}

// further lists the buffer sets of a stage's further inputs, those that there are.
func (c *checker) further(s graph.Stage) []*graph.Buffer {
	var list []*graph.Buffer
	for _, in := range s.Inputs {
		if b := c.lookup(in.Buffer); b != nil {
			list = append(list, b)
		}
	}
	return list
}

// named is what a CPU stage does with a buffer, by the setting that says so.
type named struct {
	name string
	*graph.Access
	of *graph.Buffer
}

// inputReads lists what a stage reads of its further inputs.
func (c *checker) inputReads(s graph.Stage) []named {
	var list []named
	for _, in := range s.Inputs {
		list = append(list, named{"inputs." + in.Buffer + ".read", in.Read, c.lookup(in.Buffer)})
	}
	return list
}

// checkInputs checks a stage's further inputs each by itself.
func (c *checker) checkInputs(path string, s graph.Stage, out *graph.Buffer) {
	for _, in := range s.Inputs {
		at := path + ".inputs." + in.Buffer
		b := c.find(at, in.Buffer)
		w := in.Window
		switch {
		case in.Buffer == s.Input:
			c.errorf(at, "stage %s has %q as its input already", s.Name, in.Buffer)
		case in.Buffer == s.Output:
			c.errorf(at, "stage %s fills %q itself", s.Name, in.Buffer)
		case s.Device != graph.GPU && w != graph.Window{}:
			c.errorf(at+".window", "a stage on %s draws nothing over a window", s.Device)
		case s.Device != graph.CPU && in.Read != nil:
			c.errorf(at+".read", "a stage on %s has no read", s.Device)
		case out != nil && (w.X+w.Width > out.Size.Width || w.Y+w.Height > out.Size.Height):
			c.errorf(at+".window", "%v reaches beyond the %v of buffer %q", w, out.Size, out.Name)
		case b != nil && in.When == graph.WhenLatest && b.Count < 2:
			c.errorf("buffers."+b.Name+".count", "%d, but stage %s keeps the latest frame until a newer one comes, for which there must be another buffer: want 2 or more", b.Count, s.Name)
		}
	}
}

// checkFlow checks what the stages do together: that each buffer set they read is filled, that none waits for itself, and that no queue fills up for ever.
func (c *checker) checkFlow(producers map[string]string) {
	for _, s := range c.Stages {
		for _, in := range s.Inputs {
			if _, ok := producers[in.Buffer]; !ok && c.lookup(in.Buffer) != nil {
				c.errorf("stages."+s.Name+".inputs."+in.Buffer, "stage %s reads buffer %q, which no stage writes: give one output: %s", s.Name, in.Buffer, in.Buffer)
			}
		}
	}
	if len(c.errs) > 0 {
		return // what is wrong has been said, and the rest would follow from it
	}
	if ring := c.flow().ring(); ring != nil {
		c.errorf("stages."+ring[0], "the stages wait for each other in a ring, and none ever begins: %s", strings.Join(append(ring, ring[0]), " -> "))
		return
	}
	c.checkKept(c.checkBalance())
}

// flow is which stages come directly after which, by what a stage must have before it does its work for the first time.
type flow struct {
	names []string
	after map[string][]string
}

// flow derives the order of the stages. All buffer sets that they name exist.
func (c *checker) flow() *flow {
	f := &flow{after: map[string][]string{}}
	last := map[string]string{} // who passes a set on to its consumers: its producer, or the last stage in place
	for _, s := range c.Stages {
		f.names = append(f.names, s.Name)
		for _, o := range outputs(s) {
			last[o[1]] = s.Name
		}
	}
	for _, s := range c.Stages {
		if s.InPlace {
			f.after[last[s.Input]] = append(f.after[last[s.Input]], s.Name)
			last[s.Input] = s.Name
		}
	}
	for _, s := range c.Stages {
		inputs := []string{}
		if s.Input != "" && !s.InPlace {
			inputs = append(inputs, s.Input)
		}
		for _, in := range s.Inputs {
			inputs = append(inputs, in.Buffer)
		}
		for _, in := range inputs {
			f.after[last[in]] = append(f.after[last[in]], s.Name)
		}
	}
	return f
}

// ring returns stages that come after each other in a ring, nil if there are none.
func (f *flow) ring() []string {
	const (
		unseen = iota
		onPath
		finished
	)
	state := map[string]int{}
	var path []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case finished:
			return nil
		case onPath:
			for path[0] != name {
				path = path[1:]
			}
			return path
		}
		state[name] = onPath
		path = append(path, name)
		for _, next := range f.after[name] {
			if ring := visit(next); ring != nil {
				return ring
			}
		}
		path = path[:len(path)-1]
		state[name] = finished
		return nil
	}
	for _, name := range f.names {
		if ring := visit(name); ring != nil {
			return ring
		}
	}
	return nil
}

// rates holds how often frames of the buffer sets come, as far as that is fixed: of each set, whose rate it is a multiple of. Sources run at rates of their own, until a stage that waits for a frame of
// two sets ties them together: these are the balance equations of synchronous data flow (Lee and Messerschmitt, 1987).
type rates map[string]rate

type rate struct {
	of    string
	times *big.Rat
}

// root returns whose rate a set's is a multiple of in the end.
func (r rates) root(set string) rate {
	at, ok := r[set]
	if !ok {
		return rate{set, big.NewRat(1, 1)}
	}
	above := r.root(at.of)
	return rate{above.of, new(big.Rat).Mul(at.times, above.times)}
}

// tie says that frames of set a come times as often as those of b. It returns how often they do already if that is known to be something else.
func (r rates) tie(a, b string, times *big.Rat) (known *big.Rat) {
	ra, rb := r.root(a), r.root(b)
	want := new(big.Rat).Mul(rb.times, times)
	if ra.of != rb.of {
		r[ra.of] = rate{rb.of, want.Quo(want, ra.times)}
		return nil
	}
	if ra.times.Cmp(want) != 0 {
		return want.Quo(ra.times, rb.times)
	}
	return nil
}

// checkBalance finds stages that wait for frames of two sets of which one comes more often: its buffers all end up waiting there, and as its source then stands still, so does the other. It returns which sets are tied together.
func (c *checker) checkBalance() rates {
	r := rates{}
	for _, s := range c.Stages { // what a stage makes comes as often as it works
		if s.Input != "" && s.Output != "" {
			r.tie(s.Output, s.Input, big.NewRat(1, int64(s.Every)))
		}
	}
	for _, s := range c.Stages {
		for _, in := range s.Inputs {
			if in.When != graph.WhenEvery {
				continue
			}
			if known := r.tie(in.Buffer, s.Input, big.NewRat(1, int64(s.Every))); known != nil {
				need := new(big.Rat).Inv(known)
				advice := "let both ways take one frame in the same number"
				if need.IsInt() {
					advice = "write every: " + need.Num().String()
				}
				c.errorf("stages."+s.Name+".inputs."+in.Buffer, "stage %s takes a frame of %q with every %s of %q, but there is one to every %s: the buffers of one would all wait here, and nothing move any more; "+
					"%s, or {buffer: %s, when: latest}", s.Name, in.Buffer, frames(big.NewRat(int64(s.Every), 1)), s.Input, frames(need), advice, in.Buffer)
			}
		}
	}
	return r
}

// frames prints a number of frames.
func frames(n *big.Rat) string {
	switch {
	case n.IsInt() && n.Num().IsInt64() && n.Num().Int64() == 1:
		return "frame"
	case n.IsInt():
		return n.Num().String() + " frames"
	}
	return n.RatString() + " frames"
}

// checkKept finds sets of which the latest frames are kept by a stage that moves only if their producer goes on, directly or because it is kept waiting: there must be buffers beside those kept.
func (c *checker) checkKept(r rates) {
	for _, b := range c.Buffers {
		keep, who := 0, ""
		for _, s := range c.Stages {
			if s.Device == graph.Display && s.Input == b.Name {
				keep++ // the frame that it shows
			}
			for _, in := range s.Inputs {
				if in.Buffer == b.Name && in.When == graph.WhenLatest {
					keep += 2 // the one that it has, and the newest, which waits
					if r.root(b.Name).of == r.root(s.Input).of {
						who = s.Name
					}
				}
			}
		}
		if who != "" && b.Count <= keep {
			c.errorf("buffers."+b.Name+".count", "%d, of which stage %s and others can keep %d while they wait for what comes of the next: want %d or more", b.Count, who, keep, keep+1)
		}
	}
}
