package scenario

import (
	"strings"
	"testing"

	"socsim/internal/conf"
)

func TestTimesThatMakeNoSenseAreRefused(t *testing.T) {
	for _, c := range []struct {
		want string
		sets []string
	}{
		{"want a later time", []string{"tasks.ui.start=20ms", "tasks.ui.stop=20ms"}},
		{"want a later time", []string{"tasks.ui.stop=0s"}},
		{"want 0s to 1000s", []string{"stages.filter.start=1001s"}},
		{"want 1ms to 1000s each", []string{"stages.camera.burst={on: 100ms, off: 0s}"}},
		{"want 1ms to 1000s each", []string{"stages.camera.burst={on: 999us, off: 1s}"}},
		{"want 0s to 1000s", []string{"stages.filter.hold=1001s"}},
		{"this stage takes no frames that it could be late with", []string{"stages.camera.delay=1ms"}},
		{"this stage takes no frames that it could be late with", []string{"stages.camera.hold=1ms"}},
	} {
		refused(t, ".", c.want, c.sets...)
	}
	for want, sets := range map[string][]string{
		"a panel is always on": {"stages.panel.burst={on: 1s, off: 1s}"},
		"not with raw.from":    {"stages.camera.raw={output: screen, from: 1s}", "stages.camera.stop=2s"},
	} {
		if _, err := Load(conf.Source{Name: "x.yaml", Data: library(t, "camera-preview")}, setting(sets...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", sets, err, want)
		}
	}
}

func TestTimesAtTheirBoundsAreAccepted(t *testing.T) {
	for _, sets := range [][]string{
		{"tasks.ui.start=20ms", "tasks.ui.stop=20.001ms"},
		{"stages.camera.burst={on: 1ms, off: 1ms}", "stages.camera.start=0s"},
		{"stages.filter.delay=0s", "stages.filter.jitter=1000s", "stages.filter.hold=1000s"},
		{"stages.filter.start=1000s", "stages.filter.stop=2000s"},
	} {
		if _, err := withEdits(".", sets...); err != nil {
			t.Errorf("%v: %v", sets, err)
		}
	}
}
