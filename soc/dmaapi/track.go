package dmaapi

import (
	"socsim/soc/cpu"
	"socsim/soc/memory"
)

// MapTracked maps the buffer for user space without a page: the first touch of each is a fault about which the policy is asked, and handing the buffer to a device takes the pages away again. So did
// ion_buffer_fault and ion_buffer_sync_for_device of drivers/staging/android/ion (56a7c185), which kept the pages touched as dirty and synced those alone.
func (a *API) MapTracked(name string, b *Buffer, attr cpu.Attr) (*cpu.Mapping, error) {
	m, err := a.Core.MapTracked(name, b.Region, attr, func(t *cpu.Thread, page int, write bool) { a.fault(t, b, page, write) })
	if err != nil {
		return nil, err
	}
	b.tracked = append(b.tracked, m)
	return m, nil
}

// fault asks about the first touch of a page and does what the answer says with it.
func (a *API) fault(t *cpu.Thread, b *Buffer, page int, write bool) {
	q := a.Question(CPUFault, b)
	q.Offset, q.Length = b.page(page)
	q.Page, q.Write = page, write
	ans := a.policy.Decide(&q)
	a.perform(t, &Call{Event: ToCPUHandover, Buffer: b, Offset: q.Offset, Length: q.Length}, ans)
}

// page returns the part of the buffer that lies in a page of its mapping.
func (b *Buffer) page(i int) (off, n int) {
	off = max(0, i*memory.PageBytes-b.Region.Start)
	return off, min((i+1)*memory.PageBytes-b.Region.Start, b.Bytes()) - off
}

// zap takes the pages of tracked mappings away when the buffer goes to a device.
func (a *API) zap(t *cpu.Thread, c *Call) {
	if c.toCPU() {
		return
	}
	for _, m := range c.Buffer.tracked {
		t.Zap(m)
	}
}

// Untrack forgets a tracked mapping that is removed.
func (b *Buffer) Untrack(m *cpu.Mapping) {
	for i, x := range b.tracked {
		if x == m {
			b.tracked = append(b.tracked[:i], b.tracked[i+1:]...)
			return
		}
	}
}
