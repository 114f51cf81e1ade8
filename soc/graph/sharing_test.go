package graph

import (
	"testing"

	"socsim/iommu"
	"socsim/sim"
	"socsim/soc/cpu"
	"socsim/soc/display"
	"socsim/soc/dmaapi"
	"socsim/soc/dmabuf"
)

// quiet is the preview without its task and its CPU stage.
func quiet() Config {
	app := preview()
	app.Stages = append(app.Stages[:1:1], app.Stages[2:]...)
	app.Tasks = nil
	return app
}

func TestARawFrameIsCapturedBesideThePreview(t *testing.T) {
	app := quiet()
	app.Buffers = append(app.Buffers, Buffer{Name: "still", Count: 1, Size: Size{864, 656}, Format: FormatRaw, Exporter: dmabuf.VB2SG, Memory: "pages", CPUMapping: cpu.Cached})
	app.Stages[0].Raw = &Raw{Output: "still", From: 200 * sim.Millisecond, Frames: 2}
	app.Stages = append(app.Stages, Stage{Name: "encoder", Device: CPU, Input: "still", Every: 1, Read: &Access{Fraction: 1_000_000, Width: 8}, Sync: SyncAuto})
	r := start(t, chip(), app, strategy(t, "range"), 600*sim.Millisecond)
	cam := r.graph.Cameras()[0]
	if raw := cam.Raw.Stats(); raw.Captured != 2 || raw.Dropped != 0 || raw.Overflowed != 0 {
		t.Errorf("raw frames: %+v, want 2 captured and no more", raw)
	}
	if main := cam.Main.Stats(); main.Captured < 14 || main.Dropped > 3 || main.Overflowed != 0 {
		t.Errorf("preview: %+v", main)
	}
	if n := r.sys.Core.Stats().Maintenance.RangeCalls; n == 0 {
		t.Error("no range was maintained")
	}
	if r.seen.last.Kind != 0 || r.seen.count != [len(r.seen.count)]int{} {
		t.Errorf("violations: %+v", r.seen)
	}
}

func TestStatisticsAndGainsGoBesideTheImage(t *testing.T) {
	app := quiet()
	app.Stages[0].Statistics = &Statistics{AF: 4 << 10, AWB: 16 << 10, LSC: 8 << 10}
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	cam := r.graph.Cameras()[0]
	frames := cam.Main.Stats().Frames
	for name, tap := range map[string]uint64{"AF": cam.AF.Stats().Captured, "AE/AWB": cam.AEWB.Stats().Captured} {
		if tap+3 < frames || tap > frames {
			t.Errorf("%s: %d of %d frames", name, tap, frames)
		}
	}
	if cam.GainErrors() != 0 {
		t.Errorf("%d gains late", cam.GainErrors())
	}
	master := r.sys.Fabric.Stats(2) // the ISP is added first
	if want := (frames - 3) * 8 << 10; master.BytesRead < want {
		t.Errorf("%d bytes read by the ISP, want at least the %d of the gain tables", master.BytesRead, want)
	}
}

// A camera that captures raw frames alone leaves preview engine and resizer to a stage from memory to memory on the same ISP.
func TestAnISPWorksFromMemoryWhileItsCameraCaptures(t *testing.T) {
	app := quiet()
	app.Buffers = append(app.Buffers, Buffer{Name: "raw", Count: 3, Size: Size{864, 656}, Format: FormatRaw, Exporter: dmabuf.VB2SG, Memory: "pages"})
	app.Buffers[0].Exporter = dmabuf.SystemHeap
	app.Stages[0].Output, app.Stages[0].Raw = "", &Raw{Output: "raw"}
	app.Stages = append(app.Stages, Stage{Name: "develop", Device: ISP, Shares: "camera", Input: "raw", Output: "preview", Every: 1})
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	cam := r.graph.Cameras()[0]
	if cam.Raw != nil || cam.Main.Stats().Captured < 12 {
		t.Errorf("camera: %+v", cam.Main.Stats())
	}
	jobs := r.graph.Converters()[0].Stats()
	if jobs.Jobs+2 < cam.Main.Stats().Captured || jobs.BytesRead == 0 || jobs.BytesWritten == 0 {
		t.Errorf("converter: %+v for %d frames", jobs, cam.Main.Stats().Captured)
	}
	if n := r.graph.Screens()[0].Stats(display.GFX).Displayed; n+3 < jobs.Jobs {
		t.Errorf("%d of %d frames displayed", n, jobs.Jobs)
	}
	if n := len(r.graph.MMUs()); n != 2 { // the ISP's and the GPU's
		t.Errorf("%d MMUs, want 2", n)
	}
}

func TestTwoStagesOnOneGPUHaveAContextEach(t *testing.T) {
	app := quiet()
	app.Buffers = append(app.Buffers, Buffer{Name: "second", Count: 2, Size: Size{400, 240}, Format: "rgb565", Exporter: dmabuf.GEM, Memory: "contiguous", CPUMapping: cpu.NoMapping})
	app.Stages = append(app.Stages, Stage{Name: "thumbnail", Device: GPU, Shares: "compositor", Input: "preview", Output: "second", Every: 1})
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	g := r.graph.stages[1].graphics
	jobs := g.Stats()
	if frames := r.graph.Cameras()[0].Main.Stats().Captured; jobs.Jobs+3 < 2*frames {
		t.Errorf("%d jobs of %d frames, want two a frame", jobs.Jobs, frames)
	}
	if jobs.Switches+2 < jobs.Jobs {
		t.Errorf("%d switches for %d jobs that take turns", jobs.Switches, jobs.Jobs)
	}
	if n := g.MMU.Counters().Faults.Total(); n != 0 {
		t.Errorf("%d faults: a context saw the other's addresses", n)
	}
	for _, set := range []string{"screen", "second"} {
		for _, b := range r.graph.byName[set].buffers {
			if by := r.sys.Memory.Newest(b.Region.Frames[0]).Master(); by != g.Master {
				t.Errorf("%s was last written by %s: the GPU drew it somewhere else", b.Region.Name, r.sys.MasterName(by))
			}
		}
	}
	var names []string
	for _, x := range r.graph.Translated() {
		names = append(names, x.Name)
	}
	if len(names) != 3 || r.graph.Translated()[2].MMU != nil {
		t.Errorf("address spaces of %v, want three, the last on an MMU that is counted elsewhere", names)
	}
}

func TestAnOverlaySharesTheDisplay(t *testing.T) {
	app := quiet()
	app.Buffers[0] = Buffer{Name: "preview", Count: 4, Size: Size{864, 656}, Format: "uyvy", Exporter: dmabuf.VB2Contig, Memory: "contiguous"}
	app.Stages = append(app.Stages, Stage{Name: "overlay", Device: Display, Shares: "panel", Input: "preview", Every: 1, Window: Window{Size{432, 328}, 100, 50}})
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	s := r.graph.Screens()
	if len(s) != 1 {
		t.Fatalf("%d displays, want 1", len(s))
	}
	gfx, vid := s[0].Stats(display.GFX), s[0].Stats(display.VID1)
	if gfx.Displayed < 10 || vid.Displayed < 10 || gfx.Underflows+vid.Underflows != 0 {
		t.Errorf("gfx %+v, vid1 %+v", gfx, vid)
	}
}

func TestTheSystemDMACopiesEachFrame(t *testing.T) {
	app := quiet()
	app.Buffers = []Buffer{
		{Name: "preview", Count: 4, Size: Size{800, 480}, Format: "uyvy", Exporter: dmabuf.VB2SG, Memory: "pages"},
		{Name: "screen", Count: 2, Size: Size{800, 480}, Format: "uyvy", Exporter: dmabuf.GEM, Memory: "contiguous"},
	}
	app.Stages[1] = Stage{Name: "copier", Device: DMA, Input: "preview", Output: "screen", Every: 1}
	r := start(t, chip(), app, strategy(t, "none"), 500*sim.Millisecond)
	frames := r.graph.Cameras()[0].Main.Stats().Captured
	st := r.graph.Copiers()[0].Stats()
	if bytes := frames * 800 * 480 * 2; st.BytesRead > bytes+800*480*2 || st.BytesRead+2*800*480*2 < bytes || st.BytesRead-st.BytesWritten > 1024 {
		t.Errorf("%d bytes read and %d written for %d frames of %d", st.BytesRead, st.BytesWritten, frames, 800*480*2)
	}
	if n := r.graph.Screens()[0].Stats(display.VID1).Displayed; n+3 < frames {
		t.Errorf("%d of %d frames displayed", n, frames)
	}
}

func TestATurnedFrameIsFetchedThroughTheRotationEngine(t *testing.T) {
	rows := map[Rotation]float64{}
	for _, turn := range []Rotation{"0", "90"} {
		app := quiet()
		if turn == "90" {
			app.Buffers[1].Size = Size{480, 800}
		}
		app.Buffers[1].Format = "rgb565"
		app.Stages[2].Rotation, app.Stages[2].Rotator = turn, RotateVRFB
		r := start(t, chip(), app, strategy(t, "range"), 300*sim.Millisecond)
		if st := r.graph.Screens()[0].Stats(display.GFX); st.Displayed < 5 || st.Underflows != 0 {
			t.Errorf("turned by %s: %+v", turn, st)
		}
		d := r.sys.DRAM.Stats()
		rows[turn] = float64(d.Reads)
	}
	if rows["90"] < 3*rows["0"] {
		t.Errorf("%.0f reads turned, %.0f upright: want an access for each pixel", rows["90"], rows["0"])
	}
}

func TestBuffersMappedForEachFrameLeaveNothingMapped(t *testing.T) {
	for _, device := range []int{0, 1} { // the camera and the GPU
		app := quiet()
		app.Stages[device].Mapping = MapPerFrame
		if device == 1 { // the others keep an importer's mapping
			app.Buffers[0].Exporter, app.Buffers[1].Exporter = dmabuf.SystemHeap, dmabuf.CMAHeap
		}
		r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
		x := r.graph.Translated()[device]
		if x.Driver.Map.Calls < 12 || x.Driver.Unmap.Calls+8 < x.Driver.Map.Calls {
			t.Errorf("%s: %d maps, %d unmaps", x.Name, x.Driver.Map.Calls, x.Driver.Unmap.Calls)
		}
		if n := x.MMU.Counters(); n.Faults.Total() != 0 || n.StaleUses != 0 {
			t.Errorf("%s: %+v", x.Name, n)
		}
	}
}

func TestPagesMappedOnDemandFaultOnceEach(t *testing.T) {
	app := quiet()
	app.Stages[1].Mapping = MapOnFault // the GPU waits
	r := start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	x := r.graph.Translated()[1]
	// Four textures of 277 pages and two targets of 375.
	if n := x.Driver.Faults; n.Handled != 4*277+2*375 || n.Unhandled != 0 {
		t.Errorf("%+v", n)
	}
	if n := x.MMU.Counters().Faults.Total(); n != 4*277+2*375 {
		t.Errorf("%d faults, want %d", n, 4*277+2*375)
	}
	if len(x.Faults) != maxFaults || !x.Faults[0].Handled || x.Faults[0].Kind != iommu.TranslationFault {
		t.Errorf("%d faults recorded, the first %+v", len(x.Faults), x.Faults[0])
	}

	app.Stages[0].Mapping = MapOnFault // the sensor does not
	r = start(t, chip(), app, strategy(t, "range"), 500*sim.Millisecond)
	if st := r.graph.Cameras()[0].Main.Stats(); st.Overflowed == 0 || st.Captured < 8 {
		t.Errorf("camera: %+v, want frames lost while pages are entered and captured afterwards", st)
	}
}

func TestADescriptorThatIsNotCleanedIsFoundByTheWalker(t *testing.T) {
	app := quiet()
	driver := &dmaapi.IOMMUDriver{}
	driver.SetDefaults()
	driver.Clean = false
	app.Stages[0].IOMMU = driver
	r := start(t, chip(), app, strategy(t, "range"), 300*sim.Millisecond)
	if r.seen.last.Walk != true || r.seen.last.Addr == 0 {
		t.Errorf("last violation %+v, want a walk that read an old descriptor", r.seen.last)
	}
}
