package run

import (
	"socsim/internal/result"
	"socsim/soc/graph"
)

// add counts what several cameras have in common.
func (c *collector) add(name, unit string, n uint64) {
	c.doc.Set(name, unit, result.Int(c.doc.Metrics[name].Value.Int+int64(n)))
}

// byCamera tells cameras apart, where the sums over all would hide which it was.
func (c *collector) byCamera(cameras []graph.Camera) {
	if len(cameras) < 2 {
		return
	}
	for _, cam := range cameras {
		st := cam.Main.Stats()
		c.count("frames.captured."+cam.Name, "frames", st.Captured)
		c.count("frames.dropped."+cam.Name, "frames", st.Dropped+st.Overflowed)
	}
}

// byDisplay tells display stages apart, whether they have a display each or a pipeline.
func (c *collector) byDisplay() {
	shown := c.graph.Displays()
	if len(shown) < 2 {
		return
	}
	for _, d := range shown {
		c.count("frames.displayed."+d.Name, "frames", d.Displayed)
		c.count("frames.repeated."+d.Name, "frames", d.Repeated)
		c.count("display.underflows."+d.Name, "events", d.Underflows)
		c.latency("latency.capture_to_display."+d.Name+".", d.Latency)
	}
}

// sources counts what stages without an input made.
func (c *collector) sources() {
	for _, s := range c.graph.Sources() {
		c.count("frames.generated."+s.Name, "frames", uint64(s.Frames))
	}
}
