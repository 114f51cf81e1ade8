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
	// SMMU is a format after the long descriptors of VMSAv8-64 with a granule of 4 KiB: 39-bit addresses, three levels of tables of 512 descriptors of 8 bytes, pages of 4 KiB, 64 KiB (16
	// descriptors with the contiguous hint), 2 MiB and 1 GiB (blocks). Its TLB entries belong to a context (ASID).
	SMMU Format = "smmu"
)

// Values lists the valid formats.
func (Format) Values() []string { return []string{string(OMAP), string(SGX), string(SMMU)} }

// Descriptor bits: omap-iopgtable.h and sgxmmu.h; Arm ARM DDI 0487, VMSAv8-64 descriptor formats, named as in io-pgtable-arm.c.
const (
	typeMask = 3

	pgdTable   = 1       // OMAP first level: pointer to a second level
	pgdSection = 2       // OMAP first level: page of 1 MiB
	pgdSuper   = 1 << 18 // with pgdSection: page of 16 MiB

	pteLarge = 1 // OMAP second level: page of 64 KiB
	pteSmall = 2 // OMAP second level: page of 4 KiB

	sgxValid = 1 // SGX, both levels

	lpaeBlock      = 1               // SMMU levels 1 and 2: page of 1 GiB or 2 MiB
	lpaeTable      = 3               // SMMU levels 1 and 2: pointer to a table
	lpaePage       = 3               // SMMU level 3
	lpaeUser       = 1 << 6          // AP[1]: read and written by the unprivileged, which a device is
	lpaeOuter      = 2 << 8          // SH: outer shareable
	lpaeAccess     = 1 << 10         // AF, without which an access faults
	lpaeNotGlobal  = 1 << 11         // nG: the translation belongs to a context
	lpaeContiguous = uint64(1) << 52 // 16 descriptors side by side are one page
	lpaeAttributes = lpaeUser | lpaeOuter | lpaeAccess | lpaeNotGlobal
	lpaeAddress    = uint64(1)<<48 - 4*kib // bits 47 to 12
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	// PageBytes is the smallest page of all formats.
	PageBytes = 4 * kib

	pageShift   = 12
	replication = 16 // descriptors of an OMAP page of 64 KiB or 16 MiB and of an SMMU page of 64 KiB
	wordBytes   = 4
)

// tableLevel is the geometry of the tables of a level.
type tableLevel struct {
	shift uint // address bits below an entry
	mask  uint64
	bytes int
}

// layout is the geometry of a format. Level n of the walk is levels[n-1]; the tables are aligned to their size.
type layout struct {
	format         Format
	vaBits, paBits uint
	word           int // bytes of a descriptor
	levels         []tableLevel
	sizes          []int
	frees          bool // the driver takes tables without a descriptor out at once
	tagged         bool // TLB entries belong to a context
}

var (
	omapLayout = layout{
		format: OMAP, vaBits: 32, paBits: 32, word: 4, frees: true,
		levels: []tableLevel{{20, 4095, 16 * kib}, {12, 255, kib}},
		sizes:  []int{4 * kib, 64 * kib, mib, 16 * mib},
	}
	// The page directory is addressed by its page number, so that it takes a whole page although 64 entries are used.
	sgxLayout = layout{
		format: SGX, vaBits: 28, paBits: 32, word: 4,
		levels: []tableLevel{{22, 63, 4 * kib}, {12, 1023, 4 * kib}},
		sizes:  []int{4 * kib},
	}
	smmuLayout = layout{
		format: SMMU, vaBits: 39, paBits: 40, word: 8, tagged: true,
		levels: []tableLevel{{30, 511, 4 * kib}, {21, 511, 4 * kib}, {12, 511, 4 * kib}},
		sizes:  []int{4 * kib, 64 * kib, 2 * mib, gib},
	}
)

func (f Format) layout() (*layout, error) {
	switch f {
	case OMAP:
		return &omapLayout, nil
	case SGX:
		return &sgxLayout, nil
	case SMMU:
		return &smmuLayout, nil
	}
	return nil, fmt.Errorf("unknown page-table format %q, want %q, %q or %q", string(f), OMAP, SGX, SMMU)
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

// entry returns the address of the descriptor for va in a table of a level. Bits beyond the address space do not reach the index.
func (l *layout) entry(level int, table bus.Phys, va uint64) bus.Phys {
	v := &l.levels[level-1]
	return table + bus.Phys(va>>v.shift&v.mask)*bus.Phys(l.word)
}

// span returns how many bytes a descriptor of a level covers.
func (l *layout) span(level int) uint64 { return 1 << l.levels[level-1].shift }

// inRange tells whether va lies in the address space.
func (l *layout) inRange(va uint64) bool { return va>>l.vaBits == 0 }

// outcome is what a descriptor says.
type outcome uint8

const (
	invalid    outcome = iota // no translation
	table                     // base is that of a table of the next level
	translated                // base is that of a page of the given size
)

// decode interprets the descriptor of a level. Reserved encodings are invalid.
func (l *layout) decode(level int, desc uint64) (what outcome, base bus.Phys, size int) {
	switch l.format {
	case SGX:
		return decodeSGX(level, desc)
	case SMMU:
		return decodeSMMU(level, desc)
	}
	t := desc & typeMask
	switch {
	case level == 1 && t == pgdTable:
		return table, bus.Phys(desc &^ (kib - 1)), 0
	case level == 1 && t == pgdSection && desc&pgdSuper != 0:
		return translated, bus.Phys(desc &^ (16*mib - 1)), 16 * mib
	case level == 1 && t == pgdSection:
		return translated, bus.Phys(desc &^ (mib - 1)), mib
	case level == 2 && t == pteSmall:
		return translated, bus.Phys(desc &^ (4*kib - 1)), 4 * kib
	case level == 2 && t == pteLarge:
		return translated, bus.Phys(desc &^ (64*kib - 1)), 64 * kib
	}
	return invalid, 0, 0
}

func decodeSGX(level int, desc uint64) (what outcome, base bus.Phys, size int) {
	base = bus.Phys(desc &^ (4*kib - 1))
	switch {
	case desc&sgxValid == 0:
		return invalid, 0, 0
	case level == 1:
		return table, base, 0
	default:
		return translated, base, 4 * kib
	}
}

// decodeSMMU takes a page or block without the access flag, or at an address of more than 40 bits, as none: on the hardware these are faults of their own.
func decodeSMMU(level int, desc uint64) (what outcome, base bus.Phys, size int) {
	base = bus.Phys(desc & lpaeAddress)
	t := desc & typeMask
	if level < 3 && t == lpaeTable {
		return table, base, 0
	}
	if level < 3 && t != lpaeBlock || level == 3 && t != lpaePage || desc&lpaeAccess == 0 || base>>smmuLayout.paBits != 0 {
		return invalid, 0, 0
	}
	switch {
	case level == 1:
		size = gib
	case level == 2:
		size = 2 * mib
	case desc&lpaeContiguous != 0:
		size = 64 * kib
	default:
		size = 4 * kib
	}
	return translated, base &^ bus.Phys(size-1), size
}

// encode returns the descriptor of a page, the level it belongs to, how many times it is written, and what each copy has more than the one before.
func (l *layout) encode(pa bus.Phys, size int) (desc uint64, level, copies int, step uint64) {
	d := uint64(pa)
	switch l.format {
	case SGX:
		return d | sgxValid, 2, 1, 0
	case SMMU:
		d |= lpaeAttributes
		switch size {
		case 4 * kib:
			return d | lpaePage, 3, 1, 0
		case 64 * kib:
			return d | lpaePage | lpaeContiguous, 3, replication, 4 * kib
		case 2 * mib:
			return d | lpaeBlock, 2, 1, 0
		default:
			return d | lpaeBlock, 1, 1, 0
		}
	}
	switch size {
	case 4 * kib:
		return d | pteSmall, 2, 1, 0
	case 64 * kib:
		return d | pteLarge, 2, replication, 0
	case mib:
		return d | pgdSection, 1, 1, 0
	default:
		return d | pgdSection | pgdSuper, 1, replication, 0
	}
}

// pointer returns the descriptor of a table of the next level.
func (l *layout) pointer(t bus.Phys) uint64 {
	switch l.format {
	case SGX:
		return uint64(t) | sgxValid
	case SMMU:
		return uint64(t) | lpaeTable
	}
	return uint64(t) | pgdTable
}

// mapping is a page found in the tables.
type mapping struct {
	base  bus.Phys // physical address of the page
	size  int
	level int
	table bus.Phys // of the last level read
	entry bus.Phys // the descriptor for the address looked up, there
}

// at returns where the page has va.
func (m *mapping) at(va uint64) bus.Phys { return m.base + bus.Phys(va&uint64(m.size-1)) }

// find translates va by the tables as load shows them.
func (l *layout) find(root bus.Phys, va uint64, load func(bus.Phys) uint64) (mapping, bool) {
	m := mapping{table: root}
	for m.level = 1; ; m.level++ {
		m.entry = l.entry(m.level, m.table, va)
		what, base, size := l.decode(m.level, load(m.entry))
		if what != table {
			m.base, m.size = base, size
			return m, what == translated
		}
		m.table = base
	}
}

// AddressBits returns the width of the format's input addresses.
func (f Format) AddressBits() uint {
	l, err := f.layout()
	if err != nil {
		panic("iommu: " + err.Error())
	}
	return l.vaBits
}
