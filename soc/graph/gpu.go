package graph

import (
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
	"socsim/soc/drm"
)

// runGPU draws each input frame into a free output buffer. The output goes on at once; its consumers wait for the job's fence.
func (st *stage) runGPU(t *cpu.Thread) {
	renderer := st.unit().renderer
	for {
		f := st.next(t)
		st.gather(t)
		i := st.acquire(t)
		from, to := st.from[f.index], st.to[i]
		mapped := append(st.others(), from, to)
		if !st.mapFrame(t, mapped...) {
			return
		}
		draw := drm.Draw{Texture: from, Target: to, From: st.in.surface(), To: st.out.surface(), Over: st.quads()}
		fence := renderer.SubmitAll(t, drm.Submission{Draws: []drm.Draw{draw}, Context: st.context})
		if st.cfg.Mapping != MapPerFrame {
			st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		}
		fence.Wait(t)
		fence.Put()
		if st.cfg.Mapping == MapPerFrame {
			if !st.unmapFrame(t, mapped...) {
				return
			}
			st.out.dispatch(t, &frame{set: st.out, index: i, seq: f.seq, origin: f.origin})
		}
		st.keep(t)
		st.letGo(t)
		f.release(t)
	}
}

func (s *set) surface() drm.Surface {
	return drm.Surface{
		Width: s.cfg.Size.Width, Height: s.cfg.Size.Height, BytesPerPixel: s.cfg.Format.BytesPerPixel(), Stride: s.cfg.Stride(),
	}
}

// mapFrame maps the buffers of one job, where they are mapped for each. It returns false when the run has failed.
func (st *stage) mapFrame(t *cpu.Thread, at ...*dmabuf.Attachment) bool {
	if st.cfg.Mapping != MapPerFrame {
		return true
	}
	for _, a := range at {
		if _, err := a.Map(t); err != nil {
			st.fail(err)
			return false
		}
	}
	return true
}

// unmapFrame ends that.
func (st *stage) unmapFrame(t *cpu.Thread, at ...*dmabuf.Attachment) bool {
	for _, a := range at {
		if err := a.Unmap(t); err != nil {
			st.fail(err)
			return false
		}
	}
	return true
}
