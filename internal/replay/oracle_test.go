package replay

import (
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"socsim/cachemodel"
	"socsim/internal/memtrace"
)

// The oracles are traces of real programs and what valgrind 3.19's cachegrind and DineroIV 7 count on them. Every row must come out exactly.
const oracles = "testdata/oracles"

// rows reads a CSV file without its header.
func rows(t *testing.T, name string, fields int) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(oracles, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	r.LazyQuotes = true
	all, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range all {
		if fields > 0 && len(row) != fields {
			t.Fatalf("%s: row %d has %d fields", name, i+1, len(row))
		}
	}
	return all[1:]
}

// run replays a trace of the oracles.
func run(t testing.TB, trace string, c Config) *Counts {
	t.Helper()
	r, err := memtrace.Open(filepath.Join(oracles, trace+".lackey.zst"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	counts, err := Run(context.Background(), r, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return counts
}

// expected is the rows of one trace and configuration.
type expected struct {
	trace, config string
	values        map[string]uint64
}

func expectations(t *testing.T, name string) []*expected {
	t.Helper()
	var all []*expected
	index := map[string]*expected{}
	for _, row := range rows(t, name, 5) {
		key := row[0] + " " + row[1]
		e := index[key]
		if e == nil {
			e = &expected{trace: row[0], config: row[1], values: map[string]uint64{}}
			index[key] = e
			all = append(all, e)
		}
		v, err := strconv.ParseUint(row[3], 10, 64)
		if err != nil {
			t.Fatalf("%s: %v: %v", name, row, err)
		}
		if _, ok := e.values[row[2]]; ok {
			t.Fatalf("%s: %v is there twice", name, row)
		}
		e.values[row[2]] = v
	}
	return all
}

// geometry reads "32768,4,64".
func geometry(t *testing.T, s string) cachemodel.LevelConfig {
	t.Helper()
	l := cachemodel.LevelConfig{Allocate: cachemodel.ReadWriteAllocate}
	if _, err := fmt.Sscanf(s, "%d,%d,%d", &l.Size, &l.Ways, &l.Line); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return l
}

func TestCachegrindsCountsAreReproducedExactly(t *testing.T) {
	configs := map[string]Config{}
	for _, row := range rows(t, "configs_cachegrind.csv", 2) {
		levels := map[string]cachemodel.LevelConfig{}
		for _, f := range strings.Fields(row[1]) {
			name, g, _ := strings.Cut(f, "=")
			levels[name] = geometry(t, g)
		}
		i := levels["I1"]
		configs[row[0]] = Config{Rules: Cachegrind, Caches: cachemodel.Config{Instruction: &i, Levels: []cachemodel.LevelConfig{levels["D1"], levels["LL"]}}}
	}
	checked := 0
	for _, e := range expectations(t, "expected_cachegrind.csv") {
		t.Run(e.trace+"/"+e.config, func(t *testing.T) {
			c := run(t, e.trace, configs[e.config])
			i, d, ll := c.Levels[0], c.Levels[1], c.Levels[2]
			got := map[string]uint64{
				"Ir": i.Instr, "I1mr": i.InstrMisses, "ILmr": ll.InstrMisses, "Dr": d.Reads, "D1mr": d.ReadMisses, "DLmr": ll.ReadMisses,
				"Dw": d.Writes, "D1mw": d.WriteMisses, "DLmw": ll.WriteMisses,
			}
			checked += compare(t, got, e.values)
		})
	}
	if checked < 216 {
		t.Errorf("%d values compared, want at least 216", checked)
	}
}

// compare demands that each expected value be there and equal.
func compare(t *testing.T, got, want map[string]uint64) int {
	t.Helper()
	for name, w := range want {
		if g, ok := got[name]; !ok || g != w {
			t.Errorf("%s: %d, want %d (known %v)", name, g, w, ok)
		}
	}
	return len(want)
}

// dineroConfig turns DineroIV's options into a configuration, with its defaults.
func dineroConfig(t *testing.T, options string) Config {
	t.Helper()
	c := Config{Rules: Dinero}
	levels := map[string]*cachemodel.LevelConfig{}
	f := strings.Fields(options)
	for i := 0; i+1 < len(f); i += 2 {
		name, value := strings.TrimPrefix(f[i], "-"), f[i+1]
		if name == "flushcount" {
			c.FlushEvery = number(t, value)
			continue
		}
		cache, option := name[:4], name[4:] // l1-d, size
		l := levels[cache]
		if l == nil {
			l = &cachemodel.LevelConfig{Ways: 1, Allocate: cachemodel.ReadWriteAllocate}
			levels[cache] = l
		}
		switch option + " " + value {
		case "walloc n":
			l.Allocate = cachemodel.ReadAllocate
		case "walloc a", "wback a":
		case "wback n":
			l.Write = cachemodel.WriteThrough
		case "repl f":
			l.Replacement = cachemodel.FIFO
		default:
			to := map[string]*int{"size": &l.Size, "bsize": &l.Line, "assoc": &l.Ways, "sbsize": &l.SubBlock}[option]
			if to == nil {
				t.Fatalf("option %s %s", name, value)
			}
			*to = int(number(t, value))
			l.Sectored = l.SubBlock > 0
		}
	}
	if u := levels["l1-u"]; u != nil {
		c.Caches.Levels = append(c.Caches.Levels, *u)
	} else {
		c.Caches.Instruction = levels["l1-i"]
		c.Caches.Levels = append(c.Caches.Levels, *levels["l1-d"])
	}
	if u := levels["l2-u"]; u != nil {
		c.Caches.Levels = append(c.Caches.Levels, *u)
	}
	return c
}

func number(t *testing.T, s string) uint64 {
	t.Helper()
	digits, kilo := strings.CutSuffix(s, "k")
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if kilo {
		n <<= 10
	}
	return n
}

func TestDinerosCountsAreReproducedExactly(t *testing.T) {
	configs := map[string]Config{}
	for _, row := range rows(t, "configs_dinero.csv", 2) {
		configs[row[0]] = dineroConfig(t, row[1])
	}
	checked := 0
	for _, e := range expectations(t, "expected_dinero.csv") {
		t.Run(e.trace+"/"+e.config, func(t *testing.T) {
			c := configs[e.config]
			got := map[string]uint64{}
			dineroNames(got, "preflush", run(t, e.trace, c))
			c.FlushAtEnd = true
			dineroNames(got, "final", run(t, e.trace, c))
			checked += compare(t, got, e.values)
		})
	}
	if checked < 5000 {
		t.Errorf("%d values compared, want at least 5000", checked)
	}
}

// dineroNames adds counts under DineroIV's names.
func dineroNames(to map[string]uint64, phase string, c *Counts) {
	caches := map[string]string{"l1": "l1-ucache", "l1i": "l1-icache", "l1d": "l1-dcache", "l2": "l2-ucache"}
	for _, l := range c.Levels {
		p := phase + "." + caches[l.Name] + "."
		for kind, v := range map[string][3]uint64{"fetches": {l.Instr, l.Reads, l.Writes}, "misses": {l.InstrMisses, l.ReadMisses, l.WriteMisses}} {
			to[p+kind+"_total"] = v[0] + v[1] + v[2]
			to[p+kind+"_instr"] = v[0]
			to[p+kind+"_data"] = v[1] + v[2]
			to[p+kind+"_read"] = v[1]
			to[p+kind+"_write"] = v[2]
		}
		to[p+"multiblock"] = l.Straddles
		to[p+"bytes_from_below"] = l.BytesFromBelow
		to[p+"bytes_to_below"] = l.BytesToBelow
	}
}
