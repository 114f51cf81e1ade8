package dmabuf

import (
	"testing"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

func TestTheHintOfAnAttachmentGoesWithItsMapAndUnmapAlone(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		b := r.buffer(th, SystemHeap, cpu.Cached)
		at := b.Attach(&importer{name: "gpu"}, dmaapi.ToDevice)
		at.Hints = dmaapi.SkipCPUSync
		r.asked = nil
		if _, err := at.Map(th); err != nil {
			t.Fatal(err)
		}
		r.expect("map", "map-device TO_DEVICE gpu, skip: nothing")
		if err := b.BeginCPUAccess(th, dmaapi.FromDevice); err != nil {
			t.Fatal(err)
		}
		r.expect("bracket", "to-cpu FROM_DEVICE gpu")
		if err := at.Unmap(th); err != nil {
			t.Fatal(err)
		}
		r.expect("unmap", "unmap-device TO_DEVICE gpu, skip: nothing")
	})
}
