package dramcheck

import (
	"bytes"
	"io"
	"os"
	"testing"
)

// The oracle's commands, from memory.
func BenchmarkFeed(b *testing.B) {
	for name, cmds := range oracles(b) {
		b.Run(name, func(b *testing.B) {
			k := mustNew(b, mustPreset(b, "lpddr-333-x32", 16), func(v Violation) { b.Fatal(v) })
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				k.Feed(cmds[i])
				if i++; i == len(cmds) {
					b.StopTimer()
					k = mustNew(b, k.t, k.report)
					i = 0
					b.StartTimer()
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
		})
	}
}

func BenchmarkUnordered(b *testing.B) {
	cmds := oracles(b)["p_rand_r2w1_sat.L333_BL16_robaco"]
	k := mustNew(b, mustPreset(b, "lpddr-333-x32", 16), nil)
	u, err := NewUnordered(k, 32)
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; i+1 < len(cmds); i += 8 {
		cmds[i], cmds[i+1] = cmds[i+1], cmds[i]
	}
	b.ReportAllocs()
	i, base := 0, int64(0)
	for b.Loop() {
		c := cmds[i]
		c.Clk += base
		u.Feed(c)
		if i++; i == len(cmds) {
			i = 0
			base += 402000
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commands/s")
}

// From the compressed file to the verdict.
func BenchmarkReader(b *testing.B) {
	data, err := os.ReadFile("testdata/p_rand_r2w1_sat.L333_BL16_robaco.cmd.csv.gz")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		r, err := NewReader(bytes.NewReader(data), "trace")
		if err != nil {
			b.Fatal(err)
		}
		k := mustNew(b, mustPreset(b, "lpddr-333-x32", 16), nil)
		var c Command
		for err = r.Next(&c); err == nil; err = r.Next(&c) {
			k.Feed(c)
			n++
		}
		if err != io.EOF {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "commands/s")
}
