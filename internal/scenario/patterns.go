package scenario

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"socsim/internal/memtrace"
	"socsim/soc/graph"
)

// checkAccess checks the order of a CPU stage's accesses, and reads the trace of one.
func (c *checker) checkAccess(path string, a *graph.Access, b *graph.Buffer, write bool) {
	if a == nil || b == nil || b.Size.Width == 0 {
		return
	}
	ok := c.checkOrder(path, "pattern", string(a.Pattern), []orderSetting{
		{"stride", a.Stride != nil, graph.Strided, true},
		{"tile", a.Tile != nil, graph.Tiled, true},
		{"trace", a.Trace != nil, graph.Traced, true},
		{"touches", a.Touches != nil && a.Pattern != graph.Traced, graph.Random, false},
	})
	if !c.checkAccessWindow(path, a, b) || !ok {
		return
	}
	area, width := a.Area(*b, int(b.Bytes())), int(a.Width)
	switch a.Pattern {
	case graph.Strided:
		c.checkStride(path+".stride", int64(*a.Stride), int64(width), int64(area.Row))
	case graph.Random:
		if area.Slots(width) == 0 {
			c.errorf(path, "the part that is accessed holds %d rows of %d bytes: no room for a load or store of %v", area.Rows, area.Row, a.Width)
		}
	case graph.Traced:
		if area.Row < graph.TraceLine {
			c.errorf(path+".fraction", "%v of buffer %q is %d bytes: a trace needs at least %d to be laid over", a.Fraction, b.Name, area.Row, graph.TraceLine)
		}
		c.loadTrace(path+".trace", a.Trace)
		if what := map[bool]string{false: "load", true: "store"}[write]; len(a.Trace.Records) > 0 && !a.Trace.Holds(write) {
			c.errorf(path+".trace", "%s holds no %s, and this stage has nothing else to do here", a.Trace.File, what)
		}
	}
}

// orderSetting is a setting that belongs to one pattern.
type orderSetting struct {
	name     string
	is       bool
	of       graph.Pattern
	required bool
}

// checkOrder complains about settings of another pattern than the one that was chosen under a key, and about those that it lacks.
func (c *checker) checkOrder(path, key, pattern string, settings []orderSetting) bool {
	if pattern == "" {
		pattern = string(graph.Sequential)
	}
	ok := true
	for _, s := range settings {
		switch mine := pattern == string(s.of); {
		case s.is && !mine:
			c.errorf(path+"."+s.name, "goes with %s: %s, and here the %s is %s: leave %s out or write %s: %s", key, s.of, key, pattern, s.name, key, s.of)
			ok = false
		case !s.is && mine && s.required:
			c.errorf(path, "%s: %s needs %s", key, pattern, s.name)
			ok = false
		}
	}
	return ok
}

// checkAccessWindow checks that the window is a part of the image.
func (c *checker) checkAccessWindow(path string, a *graph.Access, b *graph.Buffer) bool {
	if a.Window == nil || *a.Window == (graph.Window{}) {
		return true
	}
	w := *a.Window
	switch {
	case a.Pattern == graph.Traced:
		c.errorf(path+".window", "a trace is laid over the buffer as it lies in memory: use fraction")
	case a.Fraction != graph.WholeBuffer:
		c.errorf(path+".window", "a window and a fraction of %v: give one of them", a.Fraction)
	case w.X+w.Width > b.Size.Width || w.Y+w.Height > b.Size.Height:
		c.errorf(path+".window", "%v reaches beyond the image of %v in buffer %q", w, b.Size, b.Name)
	default:
		return true
	}
	return false
}

// checkStride checks the distance between accesses of a width in a row of bytes.
func (c *checker) checkStride(path string, stride, width, row int64) {
	switch {
	case stride < width:
		c.errorf(path, "%d bytes, less than the %d of an access: want at least as much", stride, width)
	case stride > row-width:
		c.errorf(path, "%d bytes, but what is accessed has %d in a row: only one access would be made", stride, row)
	}
}

// checkTaskOrder is checkAccess for a task.
func (c *checker) checkTaskOrder(path string, t graph.Task) {
	ok := c.checkOrder(path, "access", string(t.Access), []orderSetting{{"stride", t.Stride != nil, graph.Strided, true}, {"trace", t.Trace != nil, graph.Traced, true}})
	switch {
	case !ok || t.WorkingSet < graph.TraceLine: // said elsewhere
	case t.Stride != nil:
		c.checkStride(path+".stride", int64(*t.Stride), graph.TaskWidth, int64(t.WorkingSet))
	case t.Trace != nil:
		c.loadTrace(path+".trace", t.Trace)
	}
}

// maxRecords bounds what is kept of a trace: 64 MiB.
const maxRecords = 4 << 20

// loadTrace reads the loads and stores of a trace, which lies beside the scenario.
func (c *checker) loadTrace(path string, x *graph.Trace) {
	if x.File == "" {
		c.errorf(path, "want the name of a trace of lackey or din")
		return
	}
	name := x.File
	if !filepath.IsAbs(name) {
		name = filepath.Join(c.dir, name)
	}
	records, err := readTrace(name)
	if err != nil {
		c.errorf(path, "%v", err)
		return
	}
	x.Records = records
	c.traces = append(c.traces, records...)
}

// readTrace reads a trace without its instruction fetches and flushes. A modify is a load and a store.
func readTrace(name string) ([]graph.Record, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("opening the trace: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening the trace: %s is no file", name)
	}
	r, err := memtrace.Open(name, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var out []graph.Record
	batch := make([]memtrace.Record, 1024)
	for {
		n, err := r.Next(batch)
		for _, x := range batch[:n] {
			rec := graph.Record{Addr: x.Addr, Bytes: uint16(min(x.Size, math.MaxUint16))}
			if x.Kind == memtrace.Load || x.Kind == memtrace.Modify {
				out = append(out, rec)
			}
			if x.Kind == memtrace.Store || x.Kind == memtrace.Modify {
				rec.Write = true
				out = append(out, rec)
			}
		}
		switch {
		case len(out) > maxRecords:
			return nil, fmt.Errorf("%s holds more than %d loads and stores: cut it, a stage or task repeats it anyway", name, maxRecords)
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, fmt.Errorf("%s holds neither loads nor stores", name)
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
	}
}
