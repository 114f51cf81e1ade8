package graph

import (
	"fmt"

	"socsim/sim"
	"socsim/sim/units"
)

// FaultKind is what goes wrong.
type FaultKind string

// The kinds.
const (
	IOMMUFault       FaultKind = "iommu-fault"
	SensorGlitch     FaultKind = "sensor-glitch"
	DroppedInterrupt FaultKind = "dropped-interrupt"
	LateConsumer     FaultKind = "late-consumer"
	MemoryPressure   FaultKind = "memory-pressure"
)

// Values lists the kinds.
func (FaultKind) Values() []string {
	return []string{string(IOMMUFault), string(SensorGlitch), string(DroppedInterrupt), string(LateConsumer), string(MemoryPressure)}
}

// GlitchKind is what a sensor does wrong.
type GlitchKind string

// The glitches.
const (
	CutShort     GlitchKind = "cut-short"
	MissingLines GlitchKind = "missing-lines"
	LongBlanking GlitchKind = "long-blanking"
)

// Values lists the glitches.
func (GlitchKind) Values() []string {
	return []string{string(CutShort), string(MissingLines), string(LongBlanking)}
}

// Injection is a fault to inject, once or again and again. Times count from the start of the run, warm-up included.
type Injection struct {
	Kind   FaultKind   `conf:"kind,required" doc:"What goes wrong."`
	Target string      `conf:"target" doc:"Stage that it befalls; memory-pressure has none."`
	At     sim.Time    `conf:"at" doc:"When, from the start of the run, warm-up included; with every or rate, from when on."`
	Every  sim.Time    `conf:"every" doc:"Time from one to the next; without at the first comes after as much."`
	Rate   units.Hertz `conf:"rate" doc:"How many a second on average, at random times that the seed decides; in place of every."`
	Count  int         `conf:"count" doc:"How many with every or rate; 0 for as many as the run has room for."`

	Glitch   GlitchKind  `conf:"glitch" doc:"What a sensor does: its vertical sync comes early (cut-short), its last lines do not come (missing-lines), or the next frame is late (long-blanking)."`
	Lines    int         `conf:"lines" doc:"Lines that do not come, or by which the blanking is longer."`
	For      sim.Time    `conf:"for" doc:"How much longer a late-consumer holds its buffer, or how long memory-pressure lasts."`
	Watchdog sim.Time    `conf:"watchdog" doc:"After which time the driver of a gpu, a dma or an isp without a sensor looks by itself whether a dropped interrupt's job is done; 0s for 500ms."`
	Memory   units.Bytes `conf:"memory" doc:"Memory that memory-pressure takes and clears, page by page and again."`
}

// defaultWatchdog is how long drivers of GPUs wait for a job before they look (panfrost_job.c: JOB_TIMEOUT_MS; etnaviv_sched.c; both recalled), and look first whether it has ended without their notice.
const defaultWatchdog = 500 * sim.Millisecond

func (x Injection) watchdog() sim.Time {
	if x.Watchdog > 0 {
		return x.Watchdog
	}
	return defaultWatchdog
}

// first returns when the first can happen, before chance has a say.
func (x Injection) first() sim.Time {
	if x.At == 0 {
		return x.Every
	}
	return x.At
}

// repeats tells whether there may be more than one.
func (x Injection) repeats() bool { return x.Every > 0 || x.Rate > 0 }

// String names what is injected.
func (x Injection) String() string {
	if x.Target == "" {
		return string(x.Kind)
	}
	return fmt.Sprintf("%s of %s", x.Kind, x.Target)
}

// CanHave says why a stage cannot have a kind of fault, or "".
func (s Stage) CanHave(k FaultKind) string {
	switch {
	case k == MemoryPressure:
		return "memory-pressure befalls the whole chip"
	case k == IOMMUFault && s.Device != ISP && s.Device != GPU:
		return fmt.Sprintf("a %s stage has no IOMMU", s.Device)
	case k == SensorGlitch && s.Sensor == nil:
		return "it has no sensor"
	case k == DroppedInterrupt && s.Device == CPU:
		return "a cpu stage has no interrupt"
	case k == LateConsumer && s.Input == "":
		return "it consumes no buffers"
	}
	return ""
}
