// Package validate measures small programs on the modelled chips and sets what they show beside figures measured on silicon: loads and streams of lmbench on AM335x, and cache maintenance on
// Cortex-A8. It is the evidence behind docs/model.md. Nothing in the model refers to it.
package validate

import (
	"context"
	"fmt"
	"strings"

	"socsim/cachemodel"
	"socsim/internal/conf"
	"socsim/sim"
	"socsim/soc"
	"socsim/soc/cpu"
	"socsim/soc/memory"
	"socsim/soc/presets"
)

// Row is one figure: what silicon showed, what the model says, and how the two relate.
type Row struct {
	Name     string
	Chip     string
	Measured string
	// Low and High bound what was measured, Predicted is the model's answer; all in Unit.
	Low, High, Predicted float64
	Unit                 string
	// Kind is "calibrated" for a figure that a setting was derived from, "predicted" for one that no setting was.
	Kind string
	Note string
}

// Off returns by how many per cent the prediction lies outside what was measured; 0 within it.
func (r Row) Off() float64 {
	switch {
	case r.Predicted < r.Low:
		return 100 * (r.Predicted/r.Low - 1)
	case r.Predicted > r.High:
		return 100 * (r.Predicted/r.High - 1)
	}
	return 0
}

// Table prints rows as Markdown.
func Table(rows []Row) string {
	var b strings.Builder
	b.WriteString("| figure | chip | measured | model | off | kind | remark |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s %s | %.*f %s | %+.0f %% | %s | %s |\n", r.Name, r.Chip, r.Measured, r.Unit, r.digits(), r.Predicted, r.Unit, r.Off(), r.Kind, r.Note)
	}
	return b.String()
}

func (r Row) digits() int {
	if r.Predicted < 100 {
		return 1
	}
	return 0
}

// bench is a program on the core alone: chip, thread, and a timer.
type bench struct {
	sys *soc.System
	t   *cpu.Thread
}

// on runs a program on a chip with some settings changed, and returns what it says.
func on(preset string, set map[string]string, program func(b *bench) (float64, error)) (float64, error) {
	type root struct {
		SoC soc.Config `conf:"soc,preset=soc"`
	}
	var overrides []conf.Override
	for path, value := range set {
		overrides = append(overrides, conf.Override{Path: "soc." + path, Value: value})
	}
	var r root
	if _, err := conf.Decode(conf.Source{Name: "validate", Data: []byte("soc: " + preset + "\n")}, overrides, presets.Set{}, &r); err != nil {
		return 0, err
	}
	sys, err := soc.New(r.SoC, 1)
	if err != nil {
		return 0, err
	}
	defer sys.Close()
	var answer float64
	var failure error
	sys.Core.Spawn("program", func(t *cpu.Thread) {
		answer, failure = program(&bench{sys, t})
		t.Settle()
		sys.Engine.Stop()
	})
	if err := sys.Engine.Run(context.Background(), 1000*sim.Second); err != nil {
		return 0, err
	}
	return answer, failure
}

// buffer maps scattered memory.
func (b *bench) buffer(bytes int64) (*cpu.Mapping, error) {
	r, err := b.sys.Memory.AllocScattered("buffer", bytes)
	if err != nil {
		return nil, err
	}
	return b.sys.Core.Map("buffer", r, cpu.Cached)
}

// latency is lmbench's lat_mem_rd: dependent loads, one a stride, round and round. It returns nanoseconds a load.
func latency(bytes, stride int) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		m, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		loads := 0
		round := func() {
			for off := 0; off+4 <= bytes; off += stride {
				b.t.Access(m, off, 4, cpu.Touch{Width: 4, Dependent: true})
				loads++
			}
		}
		for range 4 {
			round() // warm up: random replacement takes some rounds to settle
		}
		loads = 0
		start := b.t.Now()
		for range 1 + 20000*stride/bytes/8 {
			round()
		}
		return float64(b.t.Now()-start) / float64(sim.Nanosecond) / float64(loads), nil
	}
}

// stream is lmbench's bw_mem over a large buffer. It returns MB/s.
func stream(bytes int, write bool, width int) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		m, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		start := b.t.Now()
		b.t.Access(m, 0, bytes, cpu.Touch{Write: write, Width: width})
		b.t.Barrier()
		return b.rate(bytes, start), nil
	}
}

// readWrite is lmbench's bw_mem rdwr: each place is read, then written. It returns MB/s of the buffer.
func readWrite(bytes int) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		m, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		start := b.t.Now()
		for off := 0; off < bytes; off += 64 {
			b.t.Access(m, off, 64, cpu.Touch{Width: 16})
			b.t.Access(m, off, 64, cpu.Touch{Write: true, Width: 16})
		}
		b.t.Barrier()
		return b.rate(bytes, start), nil
	}
}

// copyOver is lmbench's bw_mem cp: one buffer to another. It returns MB/s copied.
func copyOver(bytes int) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		from, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		to, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		start := b.t.Now()
		for off := 0; off < bytes; off += 64 {
			b.t.Access(from, off, 64, cpu.Touch{Width: 16})
			b.t.Access(to, off, 64, cpu.Touch{Write: true, Width: 16})
		}
		b.t.Barrier()
		return b.rate(bytes, start), nil
	}
}

// rate returns MB/s since start.
func (b *bench) rate(bytes int, start sim.Time) float64 {
	return float64(bytes) / 1e6 / (float64(b.t.Now()-start) / float64(sim.Second))
}

// invalidate times an invalidate by range of a buffer whose leading part the CPU has read. It returns microseconds.
func invalidate(bytes int, read int) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		m, err := b.buffer(int64(bytes))
		if err != nil {
			return 0, err
		}
		if read > 0 {
			b.t.Access(m, 0, read, cpu.Touch{Width: 4})
		}
		start := b.t.Now()
		b.t.MaintainRange(cpu.Pass{Op: cachemodel.Invalidate, Edge: cpu.EdgeFlush}, m.Region.Runs())
		return float64(b.t.Now()-start) / float64(sim.Microsecond), nil
	}
}

// flushAll times a clean and invalidate of the whole cache with all of it valid, and all or none of it dirty. It returns microseconds.
func flushAll(dirty bool) func(*bench) (float64, error) {
	return func(b *bench) (float64, error) {
		size := b.sys.Config.L2.Size
		m, err := b.buffer(int64(size))
		if err != nil {
			return 0, err
		}
		// Random replacement: go round until nearly every way holds a line.
		for range 12 {
			for off := 0; off < int(size); off += 64 {
				b.t.Access(m, off, 64, cpu.Touch{Width: 8})
				if dirty {
					b.t.Access(m, off, 64, cpu.Touch{Width: 8, Write: true})
				}
			}
		}
		b.t.Barrier()
		start := b.t.Now()
		b.t.MaintainAll([]*memory.Region{m.Region})
		return float64(b.t.Now()-start) / float64(sim.Microsecond), nil
	}
}

// Rows measures everything, in the order of the report.
func Rows() ([]Row, error) {
	slow := map[string]string{"cpu.clock": "250MHz"}
	at300 := map[string]string{"cpu.clock": "300MHz"}
	specs := []struct {
		Row
		preset  string
		set     map[string]string
		program func(*bench) (float64, error)
	}{
		{Row{Name: "load, 31 KB footprint", Measured: "3.04", Low: 3.04, High: 3.04, Unit: "ns", Kind: "calibrated", Note: "l1_cycles"}, "am335x", nil, latency(31<<10, 128)},
		{Row{Name: "load, 62 KB", Measured: "8.85", Low: 8.85, High: 8.85, Unit: "ns", Kind: "predicted"}, "am335x", nil, latency(62<<10, 128)},
		{Row{Name: "load, 125 KB", Measured: "11.70-14.68", Low: 11.70, High: 14.68, Unit: "ns", Kind: "predicted"}, "am335x", nil, latency(125<<10, 128)},
		{Row{Name: "load, 250 KB", Measured: "65-89", Low: 65, High: 89, Unit: "ns", Kind: "calibrated", Note: "memory.fragmentation; page colours of the L2 decide"}, "am335x", nil, latency(250<<10, 128)},
		{Row{Name: "load, 500 KB", Measured: "180-188", Low: 180, High: 188, Unit: "ns", Kind: "predicted"}, "am335x", nil, latency(500<<10, 128)},
		{Row{Name: "load, 1000 KB", Measured: "215-227", Low: 215, High: 227, Unit: "ns", Kind: "calibrated", Note: "memory_latency"}, "am335x", nil, latency(1000<<10, 128)},
		{Row{Name: "read 16 MB", Measured: "250", Low: 250, High: 250, Unit: "MB/s", Kind: "predicted", Note: "bw_mem rd, a load every 16 B"}, "am335x", nil, stream(16<<20, false, 16)},
		{Row{Name: "write 16 MB", Measured: "992", Low: 992, High: 992, Unit: "MB/s", Kind: "predicted", Note: "bw_mem bzero"}, "am335x", nil, stream(16<<20, true, 8)},
		{Row{Name: "read and write 16 MB", Measured: "201", Low: 201, High: 201, Unit: "MB/s", Kind: "predicted", Note: "bw_mem rdwr"}, "am335x", nil, readWrite(16 << 20)},
		{Row{Name: "copy 16 MB", Measured: "186-201", Low: 186, High: 201, Unit: "MB/s", Kind: "predicted", Note: "bw_mem cp"}, "am335x", nil, copyOver(16 << 20)},
		{Row{Name: "sync of 150 lines at 300 MHz", Measured: "17 +- 6", Low: 11, High: 23, Unit: "us", Kind: "calibrated", Note: "maintenance.line"}, "am335x", at300, invalidate(9600, 9600)},
		{Row{Name: "invalidate 150 pages by range, 250 MHz", Measured: "1300", Low: 1300, High: 1300, Unit: "us", Kind: "predicted"}, "omap3430", slow, invalidate(150*4096, 0)},
		{Row{Name: "flush_cache_all, L2 clean, 250 MHz", Measured: "500", Low: 500, High: 500, Unit: "us", Kind: "predicted", Note: "low end of the row"}, "omap3430", slow, flushAll(false)},
		{Row{Name: "flush_cache_all, L2 dirty, 250 MHz", Measured: "900", Low: 900, High: 900, Unit: "us", Kind: "predicted", Note: "high end of the row"}, "omap3430", slow, flushAll(true)},
	}
	var rows []Row
	for _, s := range specs {
		v, err := on(s.preset, s.set, s.program)
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", s.Name, s.preset, err)
		}
		s.Predicted, s.Chip = v, s.preset
		rows = append(rows, s.Row)
	}
	return rows, nil
}
