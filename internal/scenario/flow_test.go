package scenario

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/soc/graph"
)

// joined is an application with a fork and a join.
const joined = `
apiVersion: socsim/v1
name: joined
soc: omap3430
buffers:
  video: {count: 4, size: 320x240, format: yuyv}
  marks: {count: 3, size: 320x240, format: rgb565}
  logo: {count: 2, size: 64x64, format: rgb565}
  screen: {count: 2, size: 800x480, format: xrgb8888, exporter: gem, memory: contiguous, cpu_mapping: uncached}
stages:
  - {name: decoder, device: cpu, period: 40ms, output: video, write: {}}
  - {name: finder, device: cpu, input: video, output: marks, read: {}, write: {}}
  - {name: spinner, device: cpu, period: 100ms, output: logo, write: {}}
  - {name: compositor, device: gpu, inputs: [video, marks, {buffer: logo, when: latest, window: 64x64+8+8}], output: screen}
  - {name: panel, device: display, input: screen, panel: acx565akm}
`

func TestTheFirstOfTheInputsIsTheInput(t *testing.T) {
	l, err := Load(conf.Source{Name: "x.yaml", Data: []byte(joined)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := l.Stages[3]
	want := []graph.Input{{Buffer: "marks", When: graph.WhenEvery}, {Buffer: "logo", When: graph.WhenLatest, Window: graph.Window{Size: graph.Size{Width: 64, Height: 64}, X: 8, Y: 8}}}
	if diff := cmp.Diff(want, s.Inputs); diff != "" || s.Input != "video" {
		t.Error(s.Input, diff)
	}
	text, err := l.Resolved()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(conf.Source{Name: "again.yaml", Data: text}, nil)
	if err != nil || again.SHA256 != l.SHA256 {
		t.Errorf("resolved it is another: %v\n%s", err, text)
	}
	beside, err := Load(conf.Source{Name: "x.yaml", Data: []byte(strings.Replace(joined, "inputs: [video, marks,", "input: video, inputs: [marks,", 1))}, nil)
	if err != nil || beside.SHA256 != l.SHA256 {
		t.Errorf("input beside inputs is another: %v", err)
	}
}

func TestMistakesInHowFramesFlow(t *testing.T) {
	const compositor = "inputs: [video, marks, {buffer: logo, when: latest, window: 64x64+8+8}]"
	for _, c := range []struct{ old, new, want string }{
		{compositor, "inputs: [{buffer: video, when: latest}, marks]", "stages.compositor.inputs.video.when: the first input paces the stage"},
		{compositor, "inputs: [{buffer: video, window: 64x64+0+0}, marks]", "stages.compositor.inputs.video.window: the first input covers the whole output"},
		{compositor, "inputs: [{buffer: video, read: {}}, marks]", "stages.compositor.inputs.video.read: what is read of the first input"},
		{compositor, "inputs: [video, markz]", `stages.compositor.inputs.markz: no buffer "markz"; there are: video, marks, logo, screen; did you mean "marks"?`},
		{compositor, "input: video, inputs: [video]", `stages.compositor.inputs.video: stage compositor has "video" as its input already`},
		{compositor, "inputs: [video, screen]", `stages.compositor.inputs.screen: stage compositor fills "screen" itself`},
		{compositor, "inputs: [video, {buffer: marks, window: 400x240+500+0}]", `stages.compositor.inputs.marks.window: 400x240+500+0 reaches beyond the 800x480 of buffer "screen"`},
		{compositor, "inputs: [video, {buffer: marks, read: {}}]", "stages.compositor.inputs.marks.read: a stage on gpu has no read"},
		{"input: video, output: marks", "inputs: [video, {buffer: logo, window: 8x8+0+0}], output: marks", "stages.finder.inputs.logo.window: a stage on cpu draws nothing over a window"},
		{"input: video, output: marks, read: {}", "inputs: [video, {buffer: logo, read: {access: 3B}}], output: marks, read: {}", "stages.finder.inputs.logo.read.access: 3B, want 1B"},
		{"logo: {count: 2, size: 64x64, format: rgb565}", "logo: {count: 2, size: 64x64, format: raw10}", "buffers.logo.format: the GPU draws no raw frames"},
		{"count: 2, size: 64x64", "count: 1, size: 64x64", "buffers.logo.count: 1, but stage compositor keeps the latest frame"},
		{"input: screen, panel", "inputs: [screen, logo], panel", "stages.panel.inputs: a display shows one buffer set in a pipeline"},
		{"input: video, output: marks", "input: video, every: 2, output: marks", `stages.compositor.inputs.marks: stage compositor takes a frame of "marks" with every frame of "video", but there is one to every 2 frames: the buffers of one would all wait here, and nothing move any more; write every: 2, or {buffer: marks, when: latest}`},
		{"marks: {count: 3", "marks: {count: 2, cpu_mapping: none", "buffers.marks.cpu_mapping: stage finder accesses the buffer by CPU"},
		{"inputs: [video, marks,", "inputs: [video, {buffer: marks, when: latest},", ""},
		{"device: cpu, period: 40ms", "device: cpu", "stages.decoder: a stage on cpu needs input, or a period"},
		{"period: 40ms", "period: 0s", "stages.decoder: a stage on cpu needs input, or a period"},
		{"period: 40ms", "period: 40ms, every: 2", "stages.decoder.every: the stage has no input of which"},
		{"period: 40ms, output: video, write: {}", "period: 40ms, output: video", "stages.decoder: a stage on cpu needs write"},
		{"device: cpu, input: video", "device: cpu, period: 10ms, input: video", "stages.finder.period: a stage with an input works when a frame of it comes"},
		{"period: 40ms, output: video, write", "inputs: [marks], output: video, read: {}, write", "stages.decoder: the stages wait for each other in a ring, and none ever begins: decoder -> finder -> decoder"},
		{"  logo:", "  spare: {count: 2, size: 8x8, format: rgb565}\n  logo:", `no stage uses buffer "spare"`},
		{"period: 100ms, output: logo, write", "input: screen, output: logo, read: {}, write", "stages.compositor: the stages wait for each other in a ring, and none ever begins: compositor -> spinner -> compositor"},
	} {
		text := strings.Replace(joined, c.old, c.new, 1)
		if text == joined {
			t.Fatalf("%q is not there", c.old)
		}
		_, err := Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, nil)
		if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %s", c.new, err, c.want)
		}
	}
}

// The mark of the frame before is drawn over a frame, of which there must be buffers enough: two are kept.
func TestAKeptInputOfTheSameSourceNeedsABufferBesideThoseKept(t *testing.T) {
	latest := strings.Replace(joined, "video, marks,", "video, {buffer: marks, when: latest},", 1)
	_, err := Load(conf.Source{Name: "x.yaml", Data: []byte(latest)}, []conf.Override{{Path: "buffers.marks.count", Value: "2"}})
	if err == nil || !strings.Contains(err.Error(), "buffers.marks.count: 2, of which stage compositor and others can keep 2") {
		t.Error(err)
	}
	if _, err = Load(conf.Source{Name: "x.yaml", Data: []byte(joined)}, []conf.Override{{Path: "buffers.marks.count", Value: "1"}}); err != nil {
		t.Errorf("every frame needs no more: %v", err)
	}
	// By name, as all items.
	l, err := Load(conf.Source{Name: "x.yaml", Data: []byte(joined)}, []conf.Override{{Path: "stages.compositor.inputs.marks.when", Value: "latest"}})
	if err != nil || l.Stages[3].Inputs[0].When != graph.WhenLatest {
		t.Error(err)
	}
}

func TestRatesAreTiedByThoseWhoWaitForBoth(t *testing.T) {
	// Two sources of any rates: the join slows the faster one down. A second join wants them in another ratio.
	two := strings.Replace(joined, "when: latest, window", "window", 1)
	if _, err := Load(conf.Source{Name: "x.yaml", Data: []byte(two)}, nil); err != nil {
		t.Error(err)
	}
	second := strings.Replace(two, "stages:\n", "stages:\n  - {name: blink, device: cpu, inputs: [logo, video], every: 3, read: {}}\n", 1)
	_, err := Load(conf.Source{Name: "x.yaml", Data: []byte(second)}, nil)
	if err == nil || !strings.Contains(err.Error(), "but there is one to every") {
		t.Error(err)
	}
}

func TestMistakesInStrategiesAndHintsOfParts(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"format: yuyv}", "format: yuyv, strategy: rang}", `buffers.video.strategy: unknown strategy "rang"`},
		{"format: yuyv}", "format: yuyv, strategy: ideal-coherent}", "buffers.video.strategy: ideal-coherent stands for hardware"},
		{"format: yuyv}", "format: yuyv, strategy: 'threshold(thresold=1KiB)'}", "buffers.video.strategy: strategy threshold has no parameter"},
		{"device: gpu,", "device: gpu, strategy: uncached,", `stages.compositor.strategy: strategy uncached decides how buffers are mapped or allocated, which concerns all who use "video" and not stage compositor alone: write it at buffers.video.strategy`},
		{"device: gpu,", "device: gpu, strategy: whole,", ""},
		{"device: cpu, input: video,", "device: cpu, input: video, strategy: whole,", "stages.finder.strategy: a stage on cpu has no mapping of its own"},
		{"device: cpu, input: video,", "device: cpu, input: video, hints: [skip-cpu-sync],", "stages.finder.hints: a stage on cpu has no hints"},
		{"device: gpu,", "device: gpu, hints: [no-cache-clean],", "stages.compositor.hints: no-cache-clean is a flag of QBUF"},
		{"device: gpu,", "device: gpu, hints: [skip-cpu-sync],", ""},
		{"device: display,", "device: display, hints: [skip-cpu-sync],", `stages.panel.hints: skip-cpu-sync changes nothing: no device's mapping of "screen" is synced in any case, by exporter gem`},
		{"format: yuyv}", "format: yuyv, hints: [no-cache-clean]}", "buffers.video.hints: no-cache-clean is a flag of QBUF"},
		{"format: yuyv}", "format: yuyv, hints: [skip-cpu-sync]}", ""},
		{"cpu_mapping: uncached}", "cpu_mapping: uncached, hints: [skip-cpu-sync]}", "buffers.screen.hints: skip-cpu-sync changes nothing"},
	} {
		text := strings.Replace(joined, c.old, c.new, 1)
		if text == joined {
			t.Fatalf("%q is not there", c.old)
		}
		_, err := Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, nil)
		if err == nil != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\n%v\nwant %s", c.new, err, c.want)
		}
	}
}

func TestTheLabelNamesTheStrategiesOfParts(t *testing.T) {
	text := strings.Replace(strings.Replace(joined, "format: yuyv}", "format: yuyv, strategy: 'threshold(threshold=64KiB)'}", 1), "device: gpu,", "device: gpu, strategy: none,", 1)
	l, err := Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, []conf.Override{{Path: "buffers.logo.strategy", Value: "whole"}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Label(l.Own), "range + buffers.video: threshold(threshold=64KiB) + buffers.logo: whole + stages.compositor: none"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
