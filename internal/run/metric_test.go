package run

import (
	"testing"

	"socsim/internal/metric"
	"socsim/internal/metric/metrictest"
	"socsim/internal/result"
	"socsim/scenarios"
)

// noneEmits lists the metrics of runs that the documents below do not have, with the reason.
var noneEmits = map[string]string{
	"iommu.DEVICE.walk_cache_hits": "of the format smmu, which no shipped chip has",
}

// several is two cameras, two displays and a decoder on a chip with all the caches there are, with faults.
const several = `
apiVersion: socsim/v1
name: several
soc: {preset: omap3430, llc: {size: 1MiB, line: 64B}, system_cache: {size: 512KiB}}
run: {duration: 200ms, warmup: 200ms}
buffers:
  front: {count: 3, size: 800x480, format: uyvy, exporter: vb2-contig, memory: contiguous}
  back: {count: 3, size: 800x480, format: uyvy, exporter: vb2-contig, memory: contiguous}
  clip: {count: 2, size: 320x240, format: uyvy, cpu_mapping: cached}
stages:
  - {name: camera, device: isp, sensor: et8ek8-864x656, output: front}
  - {name: rear, device: isp, sensor: et8ek8-864x656, output: back}
  - {name: panel, device: display, input: front, panel: acx565akm}
  - {name: tv, device: display, input: back, panel: acx565akm}
  - {name: decoder, device: cpu, output: clip, period: 40ms, write: {}}
  - {name: sink, device: cpu, input: clip, read: {}}
clocks:
  - {at: 350ms, dram: 83MHz}
faults:
  - {kind: sensor-glitch, target: camera, at: 250ms, glitch: cut-short, lines: 100}
  - {kind: memory-pressure, at: 300ms, memory: 64KiB, for: 5ms}
`

// developed is a camera that writes raw frames alone, with statistics and a lens-shading table, and a stage from memory to memory.
const developed = `
apiVersion: socsim/v1
name: developed
soc: omap3430
run: {duration: 300ms, warmup: 200ms}
buffers:
  raw: {count: 3, size: 864x656, format: raw10, exporter: vb2-sg}
  preview: {count: 3, size: 864x656, format: uyvy}
stages:
  - {name: camera, device: isp, sensor: et8ek8-864x656, raw: {output: raw}, statistics: {af: 2KiB, awb: 8KiB, lsc: 4KiB}}
  - {name: develop, device: isp, shares: camera, input: raw, output: preview}
  - {name: look, device: cpu, input: preview, read: {fraction: 1%}}
`

func TestEveryMetricIsInTheRegistryWithItsUnit(t *testing.T) {
	var docs []*result.Document
	for _, name := range scenarios.Names() {
		docs = append(docs, under(t, load(t, name, "run.duration=300ms"), "whole", "optimal")...)
	}
	docs = append(docs, under(t, written(t, developed), "range")...)
	docs = append(docs, under(t, written(t, several), "range")...)
	for _, sets := range [][]string{
		{"soc.dram.scheduler=frfcfs", "soc.dram.power_down=200ns", "soc.cpu.maintenance.page=20cycles"},
		{"stages.camera.mapping=on-fault", "soc.cpu.speculation=2000cycles"},
		{"soc.memory.page_colours=4", "buffers.preview.exporter=system-heap"},
	} {
		docs = append(docs, under(t, load(t, "camera-preview", append(sets, "run.duration=100ms")...), "range")...)
	}
	docs = append(docs, under(t, load(t, "camera-preview", "run.duration=100ms"), "uncached")...)
	metrictest.Agrees(t, metric.Run, noneEmits, docs...)
}
