package flush

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/soc/dmaapi"
)

// state is a truth.
type state struct{ dirty, stale []dmaapi.Span }

func (s state) DirtySpans() []dmaapi.Span { return s.dirty }
func (s state) StaleSpans() []dmaapi.Span { return s.stale }

func TestOptimalCleansDropsAndInvalidatesWhatIsThere(t *testing.T) {
	dirty, stale := []dmaapi.Span{{Offset: 64, Bytes: 128}}, []dmaapi.Span{{Offset: 512, Bytes: 64}}
	lines := func(op dmaapi.Operation, s []dmaapi.Span) dmaapi.Answer {
		return dmaapi.Answer{Op: op, Extent: dmaapi.Lines, Spans: s}
	}
	for _, c := range []struct {
		name string
		q    dmaapi.Question
		want dmaapi.Answer
	}{
		{"a device will read", dmaapi.Question{Event: dmaapi.ToDeviceHandover, Direction: dmaapi.ToDevice, Default: dmaapi.Clean}, lines(dmaapi.Clean, dirty)},
		{"a device will overwrite", dmaapi.Question{Event: dmaapi.MapDevice, Direction: dmaapi.FromDevice, Default: dmaapi.Invalidate}, lines(dmaapi.Invalidate, dirty)},
		{"a profile that cleans before it", dmaapi.Question{Event: dmaapi.MapDevice, Direction: dmaapi.FromDevice, Default: dmaapi.Clean}, lines(dmaapi.Invalidate, dirty)},
		{"a device may do both", dmaapi.Question{Event: dmaapi.MapDevice, Direction: dmaapi.Bidirectional, Default: dmaapi.Clean}, lines(dmaapi.Clean, dirty)},
		{"a device that snoops", dmaapi.Question{Event: dmaapi.ToDeviceHandover, Direction: dmaapi.ToDevice}, dmaapi.Answer{}},
		{"the CPU", dmaapi.Question{Event: dmaapi.ToCPUHandover, Direction: dmaapi.FromDevice, Default: dmaapi.Invalidate}, lines(dmaapi.Invalidate, stale)},
		{"the CPU, by a profile without speculation", dmaapi.Question{Event: dmaapi.UnmapDevice, Direction: dmaapi.FromDevice}, lines(dmaapi.Invalidate, stale)},
		{"an unmapping without sync", dmaapi.Question{Event: dmaapi.UnmapDevice, Hints: dmaapi.SkipCPUSync}, dmaapi.Answer{}},
		{"a batch", dmaapi.Question{Event: dmaapi.Batch, Default: dmaapi.Clean}, dmaapi.Answer{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &optimal{truth: state{dirty, stale}}
			if diff := cmp.Diff(c.want, p.Decide(&c.q)); diff != "" {
				t.Error(diff)
			}
			p = &optimal{truth: state{}}
			if diff := cmp.Diff(dmaapi.Answer{}, p.Decide(&c.q)); diff != "" {
				t.Errorf("with nothing to do:\n%s", diff)
			}
		})
	}
}
