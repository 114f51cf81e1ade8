package graph

import (
	"socsim/soc/cpu"
	"socsim/soc/dmaengine"
)

// addConverter builds a path of the ISP from memory to memory: raw frames go through preview engine and resizer, others through the resizer alone.
func (st *stage) addConverter() error {
	in, out := st.in.cfg.Image(), st.out.cfg.Image()
	var err error
	if st.in.cfg.Format == FormatRaw {
		st.converter, err = st.isp.PreviewResizeMemory(in, out)
	} else {
		st.converter, err = st.isp.ResizeMemory(in, out)
	}
	return err
}

// runConverter passes each input frame through the ISP into a free output buffer. The driver queues both and takes them back when the ISP is done.
func (st *stage) runConverter(t *cpu.Thread) {
	for {
		f := st.next(t)
		i := st.acquire(t)
		from, to := st.from[f.index], st.to[i]
		if !st.mapFrame(t, from, to) {
			return
		}
		fence := st.m2m.Submit(t, from, to)
		fence.Wait(t)
		fence.Put()
		if st.cfg.Mapping == MapPerFrame && !st.unmapFrame(t, from, to) {
			return
		}
		st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		st.keep(t)
		f.release(t)
	}
}

// runDMA copies each input frame into a free output buffer. The output goes on at once; its consumers wait for the copy's fence.
func (st *stage) runDMA(t *cpu.Thread) {
	layout := func(s *set) dmaengine.Layout {
		return dmaengine.Layout{Width: s.cfg.Size.Width * s.cfg.Format.BytesPerPixel(), Height: s.cfg.Size.Height, Stride: s.cfg.Stride()}
	}
	for {
		f := st.next(t)
		i := st.acquire(t)
		fence := st.unit().copier.Copy(t, st.from[f.index], st.to[i], layout(st.in), layout(st.out))
		st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		fence.Wait(t)
		fence.Put()
		st.keep(t)
		f.release(t)
	}
}
