package replay

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"

	"socsim/internal/result"
)

// Document makes counts a result document: the trace stands for the scenario, the rules for the strategy. The configuration's hash covers all that a count depends on but the trace.
func Document(trace string, c Config, k *Counts) *result.Document {
	text, err := json.Marshal(c)
	if err != nil {
		panic("replay: a configuration is plain values: " + err.Error())
	}
	d := &result.Document{
		Schema: result.Schema, Version: result.Version, Scenario: trace, Strategy: string(c.Rules), Seed: c.Caches.Seed,
		ConfigSHA256: fmt.Sprintf("%x", sha256.Sum256(text)),
		Estimated:    []string{}, Expect: []result.Expectation{}, Violations: []result.Violation{},
	}
	set := func(name, unit string, n uint64) { d.Set(name, unit, result.Int(int64(n))) }
	set("references", "count", k.References)
	set("accesses", "count", k.Accesses)
	if c.FlushEvery > 0 || k.Flushes > 0 {
		set("flushes", "count", k.Flushes)
	}
	for _, l := range k.Levels {
		p := l.Name + "."
		if l.Name != "l1d" {
			set(p+"instr", "count", l.Instr)
			set(p+"instr_misses", "count", l.InstrMisses)
		}
		if l.Name != "l1i" {
			set(p+"reads", "count", l.Reads)
			set(p+"writes", "count", l.Writes)
			set(p+"read_misses", "count", l.ReadMisses)
			set(p+"write_misses", "count", l.WriteMisses)
		}
		set(p+"straddles", "count", l.Straddles)
		if l.Data {
			set(p+"bytes_from_below", "bytes", l.BytesFromBelow)
		}
		if l.Data && l.Name != "l1i" {
			set(p+"writebacks", "lines", l.Writebacks)
			set(p+"bytes_to_below", "bytes", l.BytesToBelow)
		}
	}
	return d
}
