package access

import (
	"fmt"

	"socsim/cachemodel"
	"socsim/sim/bus"
	"socsim/soc/memory"
)

// describe says what the access is, in a sentence.
func (r *rig) describe() string {
	q := r.q
	if q.Device != "" {
		verb := "reads"
		if q.Write {
			verb = "writes"
		}
		return fmt.Sprintf("%s: the device %s %s %v at %#x in one burst; nothing else uses the bus", r.chip.Name, q.Device, verb, q.Bytes, q.VA)
	}
	kind := "load"
	if q.Write {
		kind = "store"
	}
	what := fmt.Sprintf("a %s of %v at %#x", kind, q.Width, q.VA)
	if q.Bytes != q.Width {
		what = fmt.Sprintf("%d %ss of %v from %#x on", q.Bytes/q.Width, kind, q.Width, q.VA)
	}
	if q.Dependent {
		what += ", whose data the next instruction needs,"
	}
	return fmt.Sprintf("%s: %s in a mapping that is %s; nothing else uses the bus", r.chip.Name, what, q.Attr)
}

// split says what the parts of the addresses are.
func (r *rig) split() []Fact {
	q := r.q
	var out []Fact
	page := fmt.Sprintf("%#x = page %#x, offset %#x", q.VA, q.VA/memory.PageBytes, q.VA%memory.PageBytes)
	switch {
	case r.device == nil:
		if n := r.sys.Caches.Colours(); n > 1 {
			page += fmt.Sprintf(", colour %d of %d", q.VA/memory.PageBytes%uint64(n), n)
		}
		out = append(out, Fact{"virtual", page})
	case r.device.mmu != nil:
		out = append(out, Fact{"IO virtual", page})
	}
	out = append(out, Fact{"physical", fmt.Sprintf("%#x = frame %#x, offset %#x", uint64(r.pa), uint64(r.pa)/memory.PageBytes, uint64(r.pa)%memory.PageBytes)})
	if r.device == nil {
		for k := range r.sys.Caches.Levels() {
			out = append(out, Fact{"in " + levelName(k), r.cachePlace(k)})
		}
	}
	if r.sys.DRAM.Banked() {
		p := r.sys.DRAM.Locate(r.pa)
		where := fmt.Sprintf("bank %d, row %d, column %d", p.Bank, p.Row, p.Column)
		if r.chip.Config.DRAM.Channels > 1 {
			where = fmt.Sprintf("channel %d, %s", p.Channel, where)
		}
		out = append(out, Fact{"in the DRAM", fmt.Sprintf("%s (in bursts of %d bytes)", where, r.chip.Config.DRAM.RequestBytes())})
	}
	return out
}

func levelName(k int) string { return [...]string{"L1", "L2", "the third level"}[k] }

// cachePlace says where the line is looked for in a level.
func (r *rig) cachePlace(k int) string {
	by, tag := "physical", r.at.Physical
	if k == 0 {
		switch r.chip.Config.L1D.Index {
		case cachemodel.VIPT:
			by = "virtual"
		case cachemodel.VIVT:
			by, tag = "virtual", r.at.Virtual
		}
	}
	h := r.sys.Caches
	return fmt.Sprintf("set %d of %d by the %s address, %d ways, tag %#x", r.set(k, r.at), h.Sets(k), by, h.Ways(k), tag/uint64(h.LineSize()*h.Sets(k)))
}

// lookups says what the access will find, before it is made.
func (r *rig) lookups() []Fact {
	var out []Fact
	add := func(what, format string, args ...any) { out = append(out, Fact{what, fmt.Sprintf(format, args...)}) }
	if d := r.device; d != nil {
		switch {
		case d.mmu == nil:
			add("MMU", "none: the address is physical")
		default:
			text := "miss: the tables are walked"
			if _, ok := d.mmu.Lookup(bus.IOVA(r.q.VA)); ok {
				text = "hit"
			}
			add("TLB", "%s (%d entries, format %s)", text, d.lookup.Entries, d.lookup.Format)
		}
		add("caches", "not looked into: the device does not snoop the core")
	} else {
		text := "hit"
		if r.q.TLB == "miss" {
			text = "miss: the page table is walked, through the caches"
		}
		add("TLB", "%s (%d entries)", text, r.chip.Config.CPU.TLBEntries)
		out = append(out, r.cacheLookups()...)
	}
	if r.chip.Config.SystemCache.Size > 0 {
		add("system cache", "%s", map[bool]string{true: "hit", false: "miss"}[r.q.State == System])
	}
	if r.sys.DRAM.Banked() {
		text := map[string]string{"open": "the row is open", "closed": "the bank is closed", "conflict": "another row is open in the bank"}[r.row()]
		if r.q.TLB == "miss" {
			text += ", before the walk"
		}
		add("DRAM", "%s", text)
	}
	return out
}

// cacheLookups says what each level will answer.
func (r *rig) cacheLookups() []Fact {
	var out []Fact
	at, dirty, _ := r.sys.Caches.Probe(r.at)
	for k := range r.sys.Caches.Levels() {
		text := "miss"
		switch {
		case r.q.Attr != "cached" && r.q.Attr != "write-through":
			text = "not looked into: the mapping is " + string(r.q.Attr)
		case k == at && dirty:
			text = "hit, dirty"
		case k == at:
			text = "hit"
		case k > at:
			text = "not looked into"
		}
		out = append(out, Fact{levelName(k), text})
	}
	return out
}
