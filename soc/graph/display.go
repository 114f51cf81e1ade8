package graph

import (
	"fmt"

	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/vrfb"
)

// pipelines are the display's by the names of the language.
var pipelines = map[Pipeline]display.Pipeline{"gfx": display.GFX, "vid1": display.VID1, "vid2": display.VID2}

// Pipe is the pipeline that a display stage uses for a format.
func (s Stage) Pipe(f Format) display.Pipeline {
	if p, ok := pipelines[s.Pipeline]; ok {
		return p
	}
	if f.YUV() {
		return display.VID1
	}
	return display.GFX
}

// ByVRFB tells whether the rotation engine turns what the stage shows.
func (s Stage) ByVRFB() bool {
	return s.Device == Display && s.Rotator == RotateVRFB && s.Rotation.Degrees() != 0
}

// Frame returns what a display stage shows of a buffer, as the display is told: all but where it is in memory.
func (s Stage) Frame(b Buffer) display.Frame {
	f := display.Frame{
		Width: b.Size.Width, Height: b.Size.Height, Stride: b.Stride(), BytesPerPixel: b.Format.BytesPerPixel(), YUV: b.Format.YUV(),
		Window: display.Window{X: s.Window.X, Y: s.Window.Y, Width: s.Window.Width, Height: s.Window.Height},
	}
	turned := s.Rotation.Degrees()%180 != 0
	if s.Window == (Window{}) && s.Panel != nil {
		// A buffer larger than the panel shows its upper left part, as it did before there were windows.
		width, height := s.Panel.Width, s.Panel.Height
		if turned {
			width, height = height, width
		}
		f.Width, f.Height = min(f.Width, width), min(f.Height, height)
	}
	return f
}

// View is the image that the rotation engine keeps of a buffer.
func (s Stage) View(b Buffer) vrfb.Image {
	f := s.Frame(b)
	i := vrfb.Image{Width: f.Width, Height: f.Height, BytesPerPixel: f.BytesPerPixel}
	if f.YUV { // to the engine, half as many pixels of 4 bytes
		i.Width, i.BytesPerPixel = f.Width/2, 4
	}
	return i
}

// scanned returns the frame of a buffer at an address: upright, turned by the pipeline itself, or in a view of the rotation engine's.
func (st *stage) scanned(index int, addr bus.Phys) display.Frame {
	f := st.cfg.Frame(st.in.cfg)
	f.Addr = addr
	switch {
	case st.cfg.ByVRFB():
		at, width, height, stride := st.g.sys.VRFB.Visible(st.view+index, vrfb.View(st.cfg.Rotation.Degrees()/90))
		if f.YUV {
			width *= 2 // such a frame is only ever turned by 180 degrees
		}
		f.Addr, f.Width, f.Height, f.Stride = at, width, height, stride
	case st.cfg.Rotation.Degrees() != 0:
		f = f.Turned(st.cfg.Rotation.Degrees())
	}
	return f
}

// setUpViews gives each buffer a context of the rotation engine.
func (st *stage) setUpViews() error {
	if !st.cfg.ByVRFB() {
		return nil
	}
	st.view = st.g.views
	for i, b := range st.in.buffers {
		image := st.cfg.View(st.in.cfg)
		image.Base = b.Region.Frames[0]
		if err := st.g.sys.VRFB.Setup(st.view+i, image); err != nil {
			return fmt.Errorf("rotating %s: %w", b.Region.Name, err)
		}
	}
	st.g.views += len(st.in.buffers)
	return nil
}

// runDisplay flips to each frame and releases the one shown before.
func (st *stage) runDisplay(t *cpu.Thread) {
	var shown *frame
	cookie := 0
	for {
		f := st.next(t)
		cookie++
		st.shown[cookie] = f
		at := st.from[f.index]
		picture := st.scanned(f.index, bus.Phys(at.Addr))
		picture.Cookie = cookie
		st.flipper.Flip(t, at, picture)
		if shown != nil {
			st.keep(t)
			shown.release(t)
		}
		shown = f
	}
}

// flipped notes that a frame is on the panel from this vsync on.
func (st *stage) flipped(v display.Vsync) {
	f := st.shown[v.Shown.Cookie]
	delete(st.shown, v.Shown.Cookie)
	st.g.results.Latency = append(st.g.results.Latency, v.FirstPixel-f.origin)
	st.latency = append(st.latency, v.FirstPixel-f.origin)
}
