package iommu

import "socsim/sim/bus"

// Find looks for the entry of the current context that translates va as a driver does that reads the TLB entry by entry over its registers and stops at a match: looked is how many entries it reads, empty
// ones too, ok whether the last of them matches. It tells what [MMU.Flush] would do, for a driver whose flush takes effect when it has read them. No counter moves. Cost: O(entries).
func (m *MMU) Find(va bus.IOVA) (looked int, ok bool) {
	for i := range m.tlb {
		if e := &m.tlb[i]; uint64(va)-e.va < e.size && e.ctx == m.ctx {
			return i + 1, true
		}
	}
	return len(m.tlb), false
}

// FindEmpty looks for an entry that holds nothing in the same way.
func (m *MMU) FindEmpty() (looked int, ok bool) {
	for i := range m.tlb {
		if m.tlb[i].size == 0 {
			return i + 1, true
		}
	}
	return len(m.tlb), false
}
