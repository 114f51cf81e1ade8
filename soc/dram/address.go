package dram

import (
	"math/bits"
	"slices"

	"socsim/sim/bus"
)

// order is a Map as a number, which is faster to compare.
type order uint8

const (
	roBaCo order = iota
	roCoBa
	baRoCo
)

// layout splits addresses. Offsets count from the first byte of the memory; local ones leave out the bits that choose the channel.
type layout struct {
	order              order
	colBits, bankBits  uint
	bankMask, hashMask int64
	bankTop            uint // position of the bank field in BaRoCo
	grain              uint // log2 of the bytes in a row that RoCoBa leaves in one bank
	burst              uint // log2 of the bytes of a burst
	interleave, chBits uint
	chMask, grainMask  int64
	base               bus.Phys
}

func log2(n int64) uint { return uint(bits.TrailingZeros64(uint64(n))) }

// layout returns the split of size bytes from base on. The bank changes at the burst under frfcfs, whose requests are bursts, and no sooner than each 64 bytes in order, where they may be longer.
func (c Config) layout(base bus.Phys, size int64) layout {
	l := layout{
		order: order(slices.Index(c.Map.Values(), string(c.Map))), colBits: log2(int64(c.Row)), bankBits: log2(int64(c.Banks)), bankMask: int64(c.Banks) - 1,
		burst: log2(int64(c.burstBytes())), base: base, chBits: log2(int64(c.channels())), chMask: int64(c.channels()) - 1,
	}
	if l.chMask > 0 {
		l.interleave = log2(int64(c.Interleave))
	}
	l.grain = l.burst
	if c.Scheduler != FirstReady {
		l.grain = max(l.burst, log2(bus.BurstBytes))
	}
	l.grainMask = 1<<l.grain - 1
	l.bankTop = uint(max(bits.Len64(uint64(size>>l.chBits-1)), int(l.colBits+l.bankBits))) - l.bankBits
	if c.Hash {
		l.hashMask = l.bankMask
	}
	return l
}

// channel returns the channel of an offset, and the offset in it.
func (l *layout) channel(off int64) (ch int, local int64) {
	return int(off >> l.interleave & l.chMask), off>>(l.interleave+l.chBits)<<l.interleave | off&(1<<l.interleave-1)
}

// locate splits a local offset into bank and row.
func (l *layout) locate(off int64) (bank, row int64) {
	switch l.order {
	case roCoBa:
		bank, row = off>>(l.grain&63)&l.bankMask, off>>((l.colBits+l.bankBits)&63)
	case baRoCo:
		bank, row = off>>(l.bankTop&63)&l.bankMask, off>>(l.colBits&63)&(1<<(l.bankTop-l.colBits)-1)
	default:
		bank, row = off>>(l.colBits&63)&l.bankMask, off>>((l.colBits+l.bankBits)&63)
	}
	return bank ^ row&l.hashMask, row
}

// column returns the column of a local offset, counted in bursts.
func (l *layout) column(off int64) int64 {
	if l.order == roCoBa {
		off = off>>(l.grain+l.bankBits)<<l.grain | off&l.grainMask
	}
	return off & (1<<l.colBits - 1) >> l.burst
}
