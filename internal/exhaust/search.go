package exhaust

import (
	"context"
	"errors"
	"fmt"

	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// MaxStates bounds the states that are kept; each takes some 100 bytes.
const MaxStates = 4_000_000

// Outcome is what a search found.
type Outcome struct {
	World    *World
	Strategy flush.Info
	// Depth is how many steps were tried, or of how many the failing path is.
	Depth int
	// States is how many different states were reached.
	States int
	// Closed tells that no state has a step to a new one: the depth does not limit what was shown.
	Closed bool
	// Full tells that the search ended because of MaxStates.
	Full bool
	// Path is a shortest failing sequence, empty if there is none, and Violations what its last step does.
	Path       []Step
	Violations []Violation
}

// Failed tells whether the strategy does harm.
func (o *Outcome) Failed() bool { return len(o.Path) > 0 }

// node is a state, and how it was reached.
type node struct {
	state
	history uint32 // index of the strategy's history
	parent  int32
	step    Step
}

type key struct {
	state
	history uint32
}

// search is a breadth-first search. It keeps a policy for each history that a strategy has had: O(states) memory, O(states x steps) questions.
type search struct {
	*player
	nodes     []node
	visited   map[key]struct{}
	policies  []dmaapi.Policy
	histories map[string]uint32
	buf       []byte
}

// Search tries all orders of up to depth legal steps.
func (w *World) Search(ctx context.Context, info flush.Info, depth int) (*Outcome, error) {
	p, err := w.start(ctx, info)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", info.Label(), err)
	}
	s := &search{player: p, visited: map[key]struct{}{}, histories: map[string]uint32{}}
	s.reach(p.state, p.policy, -1, Step{})
	o := &Outcome{World: w, Strategy: info}
	for from := 0; o.Depth < depth && !o.Closed && !o.Full; o.Depth++ {
		to := len(s.nodes)
		if o.Closed = from == to; o.Closed {
			break
		}
		for i := from; i < to; i++ {
			if i%4096 == 0 && ctx.Err() != nil {
				return nil, fmt.Errorf("%s: after %d states: %w", info.Label(), len(s.nodes), ctx.Err())
			}
			if bad := s.expand(i); bad != nil {
				o.Depth++
				o.States, o.Path, o.Violations = len(s.nodes), s.path(i, *bad), s.bad
				return o, nil
			}
			if o.Full = len(s.nodes) > MaxStates; o.Full {
				break
			}
		}
		from = to
	}
	o.States = len(s.nodes)
	return o, nil
}

// start makes a player that has allocated and mapped the buffer.
func (w *World) start(ctx context.Context, info flush.Info) (*player, error) {
	p := &player{World: w, policy: info.New()}
	if info.Coherent {
		return nil, errors.New("a baseline whose caches are always current has nothing to show")
	}
	if _, ok := dmaapi.Fork(p.policy); !ok {
		return nil, errors.New("its policy does not say whether it has a history: give it the methods of dmaapi.Forker")
	}
	if seer, ok := p.policy.(dmaapi.Seer); ok {
		seer.See(dmaapi.TruthOf(p))
	}
	if _, ok := p.policy.(dmaapi.Starter); ok {
		if err := measure(ctx, w.Chip, w.Profile, p.policy); err != nil {
			return nil, err
		}
	}
	return p, p.begin()
}

// measure lets a policy measure on the timed model of the chip.
func measure(ctx context.Context, chip soc.Config, profile dmaapi.Profile, policy dmaapi.Policy) error {
	sys, err := soc.New(chip, 1)
	if err != nil {
		return fmt.Errorf("building the chip to measure on: %w", err)
	}
	defer sys.Close()
	api := dmaapi.New(sys.Core, profile, policy, nil)
	sys.Core.Spawn("start", func(t *cpu.Thread) {
		api.Start(t)
		t.Settle()
		sys.Engine.Stop()
	})
	if err := sys.Engine.Run(ctx, sim.Never); err != nil {
		return fmt.Errorf("measuring on the chip: %w", err)
	}
	return nil
}

// reach notes a state if it is new.
func (s *search) reach(st state, policy dmaapi.Policy, parent int32, by Step) {
	s.buf = dmaapi.History(policy, s.buf[:0])
	h, ok := s.histories[string(s.buf)]
	if !ok {
		h = uint32(len(s.policies))
		s.histories[string(s.buf)] = h
		s.policies = append(s.policies, policy)
	}
	k := key{st, h}
	if _, ok := s.visited[k]; ok {
		return
	}
	s.visited[k] = struct{}{}
	s.nodes = append(s.nodes, node{st, h, parent, by})
}

// expand tries the steps of a state and returns the first that does harm.
func (s *search) expand(i int) *Step {
	n := s.nodes[i]
	s.state = n.state
	var room [40]Step
	for _, by := range s.legal(room[:0]) {
		s.state, s.policy = n.state, s.policies[n.history]
		if s.asks(by) {
			s.policy, _ = dmaapi.Fork(s.policy)
		}
		if s.play(by); len(s.bad) > 0 {
			return &by
		}
		s.reach(s.state, s.policy, int32(i), by)
	}
	return nil
}

// path is the steps to a node and one more.
func (s *search) path(i int, last Step) []Step {
	steps := []Step{last}
	for ; s.nodes[i].parent >= 0; i = int(s.nodes[i].parent) {
		steps = append(steps, s.nodes[i].step)
	}
	for a, b := 0, len(steps)-1; a < b; a, b = a+1, b-1 {
		steps[a], steps[b] = steps[b], steps[a]
	}
	return steps
}
