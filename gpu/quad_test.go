package gpu

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"socsim/sim"
	"socsim/sim/bus"
)

func TestEveryTextureIsReadAndTheTargetWrittenOnce(t *testing.T) {
	cfg := sgx530
	cfg.TextureCache = MaxTextureCache
	eng, g, m := newGPU(t, cfg)
	job := preview
	job.Over = []Quad{{Texture: surface(0x400000, 400, 240, 4)}, {Texture: surface(0x600000, 64, 64, 2), Part: Rect{100, 50, 64, 64}}}
	d := runJob(t, eng, g, job)
	checkWrites(t, job.Target, m.log)
	lines := linesRead(m.log)
	for _, s := range []Surface{job.Texture, job.Over[0].Texture, job.Over[1].Texture} {
		for line := s.Addr / lineBytes; line < (s.Addr+bus.IOVA(s.Bytes()))/lineBytes; line++ {
			if lines[line] != 1 {
				t.Fatalf("line %v read %d times, want once", line*lineBytes, lines[line])
			}
		}
	}
	eng, g, _ = newGPU(t, cfg)
	if alone := runJob(t, eng, g, preview); d.End <= alone.End {
		t.Errorf("with quads until %v, without until %v", d.End, alone.End)
	}
}

func TestAPixelIsShadedOnceForEachTextureOverIt(t *testing.T) {
	base := Job{Texture: surface(0x10000, 40, 30, 2), Target: surface(0x800000, 64, 32, 4)}
	tex := surface(0x20000, 16, 16, 2)
	for _, c := range []struct {
		over   []Quad
		cycles int64 // of all tiles' pixels, at two a cycle
	}{
		{nil, 8 * 128},
		{[]Quad{{Texture: tex}}, 8 * 256},
		{[]Quad{{tex, Rect{16, 16, 16, 16}}}, 8*128 + 128},
		{[]Quad{{tex, Rect{8, 8, 16, 16}}}, 8*128 + 4*32},
		{[]Quad{{tex, Rect{63, 31, 1, 1}}, {tex, Rect{63, 31, 1, 1}}}, 8*128 + 1},
	} {
		eng, g, m := newGPU(t, sgx530)
		job := base
		job.Over = c.over
		d := runJob(t, eng, g, job)
		if want := sim.NewClock(110_670_000).Cycles(5000 + 40*8 + c.cycles); d.End != want {
			t.Errorf("%+v: end %v, want %v", c.over, d.End, want)
		}
		checkWrites(t, job.Target, m.log)
	}
}

func TestAQuadIsReadWhereItsTilesAreDrawnAlone(t *testing.T) {
	eng, g, m := newGPU(t, sgx530)
	job := Job{Texture: surface(0x10000, 64, 32, 4), Target: surface(0x800000, 64, 32, 4), Over: []Quad{{surface(0x20000, 16, 16, 4), Rect{48, 16, 16, 16}}}}
	runJob(t, eng, g, job)
	writes := 0
	for _, x := range m.log {
		switch {
		case x.write:
			writes++
		case x.va >= 0x20000 && x.va < 0x30000 && writes != 6*16: // the last of eight tiles is read before the seventh is written
			t.Fatalf("quad read after %d writes, want after the first six tiles", writes)
		}
	}
	if g.Stats().TextureLines != (64*32*4+16*16*4)/64 {
		t.Errorf("%+v", g.Stats())
	}
}

func TestQuadsThatMakeNoSenseAreRefused(t *testing.T) {
	_, g, _ := newGPU(t, sgx530)
	for want, q := range map[string]Quad{
		"texture of quad 0":    {},
		"within the target":    {surface(0x10000, 16, 16, 2), Rect{790, 0, 16, 16}},
		"0x16 pixels at 1, 0,": {surface(0x10000, 16, 16, 2), Rect{1, 0, 0, 16}},
	} {
		job := preview
		job.Over = []Quad{q}
		if err := g.Submit(job, 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", q, err, want)
		}
	}
}

func TestStreamOfAnyJobWithQuads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := func(name string, addr bus.IOVA) Surface {
			w, h := rapid.IntRange(1, 60).Draw(t, name+" width"), rapid.IntRange(1, 60).Draw(t, name+" height")
			return surface(addr, w, h, rapid.IntRange(1, 5).Draw(t, name+" bytes per pixel"))
		}
		job := Job{Texture: size("texture", 0x10000), Target: size("target", 0x800000)}
		shaded := job.Target.Width * job.Target.Height
		for i := range rapid.IntRange(0, 4).Draw(t, "quads") {
			q := Quad{Texture: size("quad", bus.IOVA(0x10000*(i+2)))}
			q.Part.X, q.Part.Y = rapid.IntRange(0, job.Target.Width-1).Draw(t, "x"), rapid.IntRange(0, job.Target.Height-1).Draw(t, "y")
			q.Part.Width, q.Part.Height = rapid.IntRange(1, job.Target.Width-q.Part.X).Draw(t, "w"), rapid.IntRange(1, job.Target.Height-q.Part.Y).Draw(t, "h")
			shaded += q.Part.Width * q.Part.Height
			job.Over = append(job.Over, q)
		}
		cfg := sgx530
		cfg.Tile, cfg.TileCycles, cfg.JobCycles, cfg.PixelsPerCycle = rapid.IntRange(1, 40).Draw(t, "tile"), 0, 0, 1
		cfg.TextureCache = MaxTextureCache
		eng := sim.New()
		g, err := New(eng, cfg)
		if err != nil {
			t.Fatal(err)
		}
		m := &memory{g: g}
		g.SetPort(m)
		if err := g.Submit(job, 0); err != nil {
			t.Fatal(err)
		}
		checkWrites(t, job.Target, m.log)
		lines := linesRead(m.log)
		for _, q := range append([]Quad{{Texture: job.Texture}}, job.Over...) {
			for x := range q.Texture.Bytes() {
				if n := lines[(q.Texture.Addr+bus.IOVA(x))/lineBytes]; n != 1 {
					t.Fatalf("line of byte %d of the texture at %v read %d times, want once", x, q.Texture.Addr, n)
				}
			}
		}
		if last := m.log[len(m.log)-1].at; last != g.clock.Cycles(int64(shaded)) {
			t.Fatalf("last write at %v, want it when %d pixels are shaded", last, shaded)
		}
	})
}
