package dram

import "socsim/sim/bus"

// Place is where an address lies in the memory. Columns count in bursts.
type Place struct {
	Channel, Bank int
	Row, Column   int64
}

// Banked tells whether the memory has banks and rows.
func (c *Controller) Banked() bool { return c.yard.kind == "" }

// Locate splits an address of the memory. Only a memory with banks can be asked.
func (c *Controller) Locate(pa bus.Phys) Place {
	banks, local := c.banksOf(pa)
	bank, row := banks.layout.locate(local)
	return Place{banks.index, int(bank), row, banks.layout.column(local)}
}

// OpenRow returns the row that is open in the bank of an address, and whether one is: after [Controller.Settle], as of its clock.
func (c *Controller) OpenRow(pa bus.Phys) (row int64, open bool) {
	banks, local := c.banksOf(pa)
	bank, _ := banks.layout.locate(local)
	row = banks.banks[bank].row
	return row, row != none
}

// banksOf returns the channel's controller of the banks that has an address, and its local offset.
func (c *Controller) banksOf(pa bus.Phys) (*Controller, int64) {
	switch {
	case c.yard.kind != "":
		panic("dram: a memory without banks was asked where an address lies")
	case c.posts != nil:
		return c.posts.banks, int64(pa - c.layout.base)
	case c.channels != nil:
		l := &c.channels[0].layout
		ch, local := l.channel(int64(pa - l.base))
		return c.channels[ch].banksOf(l.base + bus.Phys(local))
	}
	return c, int64(pa - c.layout.base)
}
