package drm

import (
	"errors"
	"testing"

	"socsim/sim/bus"
	"socsim/soc/cpu"
	"socsim/soc/dmabuf"
)

func (r *rig) Lifetime(m dmabuf.Misuse) { r.tb.Errorf("misuse: %v: %s", m.Kind, m.Text) }

func (r *rig) devices() (gpu, panel *Device) {
	r.alloc.SetDebugger(r)
	return NewDevice(r.alloc, &Translated{Name: "gpu", Domain: r.domain}), NewDevice(r.alloc, &Physical{Name: "panel"})
}

func TestAnObjectGoesToAnotherDeviceAndBack(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		gpu, panel := r.devices()
		before := r.Memory.FreeBytes()
		o, err := panel.Create(th, "screen", 0, 12288, cpu.WriteCombine)
		if err != nil {
			t.Fatal(err)
		}
		fd, err := o.Export()
		if err != nil {
			t.Fatal(err)
		}
		imported, err := gpu.Import(th, fd)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "imported", imported.Imported, true)
		equal(t, "references", fd.Refs(), 3)
		equal(t, "the panel's address", o.Attachment.Addr, bus.Addr(fd.Region.Addr(0)))
		if imported.Attachment.Addr == o.Attachment.Addr {
			t.Error("the GPU has it at the panel's address")
		}
		again, err := gpu.Import(th, fd)
		if again != imported || err != nil {
			t.Errorf("imported again: %p, %v, want %p", again, err, imported)
		}
		self, err := panel.Import(th, fd)
		if self != o || err != nil {
			t.Errorf("imported where it comes from: %p, %v, want %p", self, err, o)
		}
		equal(t, "references", fd.Refs(), 3)
		if err := errors.Join(o.Close(th), imported.Close(th)); err != nil {
			t.Error(err)
		}
		equal(t, "it lives by its file", fd.Dead(), false)
		if err := fd.Put(th); err != nil {
			t.Error(err)
		}
		equal(t, "free bytes", r.Memory.FreeBytes(), before)
		if err := o.Close(th); !errors.Is(err, ErrNoObject) {
			t.Errorf("closed again: %v", err)
		}
		r.alloc.CheckExit(th.Now())
	})
}

func TestAnImportThatTheDeviceRefusesLeavesNothing(t *testing.T) {
	r := newRig(t)
	r.run(func(th *cpu.Thread) {
		_, panel := r.devices()
		b := r.buffer(th, dmabuf.SystemHeap) // scattered
		if _, err := panel.Import(th, b); err == nil {
			t.Error("imported")
		}
		equal(t, "references", b.Refs(), 1)
		if err := b.Put(th); err != nil {
			t.Error(err)
		}
		r.alloc.CheckExit(th.Now())
	})
}
