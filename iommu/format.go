package iommu

import (
	"fmt"

	"socsim/sim/bus"
)

// Format names a page-table format.
type Format string

const (
	// OMAP is the format of the ISP and IVA MMUs, that of the ARM short descriptors: 32-bit addresses, a first level of 4096 descriptors (16 KiB), second levels
	// of 256 (1 KiB), pages of 4 KiB, 64 KiB, 1 MiB (section) and 16 MiB (supersection). Pages of 64 KiB and 16 MiB take 16 equal descriptors.
	OMAP Format = "omap"
	// SGX is the format of the SGX530: 28-bit addresses, a page directory of 64 entries of 4 MiB, page tables of 1024 pages of 4 KiB.
	SGX Format = "sgx"
)

// Values lists the valid formats.
func (Format) Values() []string { return []string{string(OMAP), string(SGX)} }

// Descriptor bits: omap-iopgtable.h and sgxmmu.h.
const (
	typeMask = 3

	pgdTable   = 1       // OMAP first level: pointer to a second level
	pgdSection = 2       // OMAP first level: page of 1 MiB
	pgdSuper   = 1 << 18 // with pgdSection: page of 16 MiB

	pteLarge = 1 // OMAP second level: page of 64 KiB
	pteSmall = 2 // OMAP second level: page of 4 KiB

	sgxValid = 1 // SGX, both levels
)

const (
	kib = 1 << 10
	mib = 1 << 20

	// PageBytes is the smallest page of both formats.
	PageBytes = 4 * kib

	replication = 16 // descriptors of an OMAP page of 64 KiB or 16 MiB
	wordBytes   = 4
)

// layout is the geometry of a format's two levels. The tables of both levels are aligned to their size.
type layout struct {
	format     Format
	vaBits     uint
	rootShift  uint // address bits below a first-level entry
	rootMask   uint64
	rootBytes  int
	tableMask  uint64 // index of a second-level entry, after a shift by 12
	tableBytes int
	sizes      []int
}

const pageShift = 12

var (
	omapLayout = layout{
		format: OMAP, vaBits: 32, rootShift: 20, rootMask: 4095, rootBytes: 16 * kib, tableMask: 255, tableBytes: kib,
		sizes: []int{4 * kib, 64 * kib, mib, 16 * mib},
	}
	// The page directory is addressed by its page number, so that it takes a whole page although 64 entries are used.
	sgxLayout = layout{
		format: SGX, vaBits: 28, rootShift: 22, rootMask: 63, rootBytes: 4 * kib, tableMask: 1023, tableBytes: 4 * kib,
		sizes: []int{4 * kib},
	}
)

func (f Format) layout() (*layout, error) {
	switch f {
	case OMAP:
		return &omapLayout, nil
	case SGX:
		return &sgxLayout, nil
	}
	return nil, fmt.Errorf("unknown page-table format %q, want %q or %q", string(f), OMAP, SGX)
}

// LargestPage returns the largest page size of the format to which both addresses are aligned and that fits into the remaining bytes, as a driver chooses superpages; 0
// when not even the smallest does, or the format is unknown.
func LargestPage(f Format, va bus.IOVA, pa bus.Phys, remaining int) int {
	l, err := f.layout()
	if err != nil {
		return 0
	}
	for i := len(l.sizes) - 1; i >= 0; i-- {
		if n := l.sizes[i]; n <= remaining && (uint64(va)|uint64(pa))&uint64(n-1) == 0 {
			return n
		}
	}
	return 0
}

// rootEntry returns the address of the first-level descriptor for va. Bits beyond the address space do not reach the index.
func (l *layout) rootEntry(root bus.Phys, va uint64) bus.Phys {
	return root + bus.Phys(va>>l.rootShift&l.rootMask)*wordBytes
}

// tableEntry returns the address of the second-level descriptor for va in the table that a first-level descriptor points to.
func (l *layout) tableEntry(table bus.Phys, va uint64) bus.Phys {
	return table + bus.Phys(va>>pageShift&l.tableMask)*wordBytes
}

// inRange tells whether va lies in the address space.
func (l *layout) inRange(va uint64) bool { return va>>l.vaBits == 0 }

// outcome is what a descriptor says.
type outcome uint8

const (
	invalid    outcome = iota // no translation
	table                     // base is that of a second-level table
	translated                // base is that of a page of the given size
)

// decode interprets the descriptor of level 1 or 2. Reserved encodings are invalid.
func (l *layout) decode(level int, desc uint32) (what outcome, base bus.Phys, size int) {
	d := uint64(desc)
	if l.format == SGX {
		switch {
		case desc&sgxValid == 0:
			return invalid, 0, 0
		case level == 1:
			return table, bus.Phys(d &^ (4*kib - 1)), 0
		default:
			return translated, bus.Phys(d &^ (4*kib - 1)), 4 * kib
		}
	}
	t := desc & typeMask
	switch {
	case level == 1 && t == pgdTable:
		return table, bus.Phys(d &^ (kib - 1)), 0
	case level == 1 && t == pgdSection && desc&pgdSuper != 0:
		return translated, bus.Phys(d &^ (16*mib - 1)), 16 * mib
	case level == 1 && t == pgdSection:
		return translated, bus.Phys(d &^ (mib - 1)), mib
	case level == 2 && t == pteSmall:
		return translated, bus.Phys(d &^ (4*kib - 1)), 4 * kib
	case level == 2 && t == pteLarge:
		return translated, bus.Phys(d &^ (64*kib - 1)), 64 * kib
	}
	return invalid, 0, 0
}

// encode returns the descriptor of a page, the level it belongs to and how many times it is written.
func (l *layout) encode(pa bus.Phys, size int) (desc uint32, level, copies int) {
	d := uint32(pa)
	if l.format == SGX {
		return d | sgxValid, 2, 1
	}
	switch size {
	case 4 * kib:
		return d | pteSmall, 2, 1
	case 64 * kib:
		return d | pteLarge, 2, replication
	case mib:
		return d | pgdSection, 1, 1
	default:
		return d | pgdSection | pgdSuper, 1, replication
	}
}

// pointer returns the first-level descriptor of a second-level table.
func (l *layout) pointer(t bus.Phys) uint32 {
	if l.format == SGX {
		return uint32(t) | sgxValid
	}
	return uint32(t) | pgdTable
}
