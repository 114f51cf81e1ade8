package scenario

import (
	"socsim/soc/dmaapi"
	"socsim/soc/graph"
)

// checkForced checks that the chip can do what a step says its caches or its core do unasked.
func (s *scriptChecker) checkForced(path string, x graph.Step) {
	switch x.Do {
	case graph.EvictOuter:
		if (s.SoC.L2.Size == 0 || !s.SoC.L2.Outer) && (s.SoC.LLC.Size == 0 || !s.SoC.LLC.Outer) {
			s.errorf(path+".do", "the chip has no outer cache; evict takes lines out of all levels that it has")
		}
	case graph.Speculate:
		if p, _ := dmaapi.ProfileByName(s.SoC.Coherence); !p.Speculates && s.SoC.CPU.Speculation == 0 {
			s.errorf(path+".do", "the core does not speculate: soc.cpu.speculation is 0cycles, and the coherence profile %s is for cores that do not", s.SoC.Coherence)
		}
	}
}
