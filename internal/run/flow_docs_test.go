package run

import (
	"os"
	"strings"
	"testing"

	"socsim/internal/scenario"
)

// languageExample is an example of the language's page, with a head.
func languageExample(t *testing.T, name string) *scenario.Loaded {
	t.Helper()
	data, err := os.ReadFile("../../docs/scenario.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(data), "<!-- example: "+name+" -->\n```yaml\n")
	text, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatalf("docs/scenario.md has no example %s", name)
	}
	return written(t, "apiVersion: socsim/v1\nname: "+name+"\nsoc: omap3430\nrun: {duration: 400ms}\n"+text)
}

func TestTheExampleOfAJoinDoesWhatIsSaidOfIt(t *testing.T) {
	s := languageExample(t, "join")
	d := under(t, s, "range")[0]
	if n := value(d, "frames.captured"); n < 11 || value(d, "frames.displayed") < n-1 || value(d, "frames.dropped") != 0 || value(d, "frames.generated.decoder") != 10 {
		t.Errorf("%d frames captured, %d displayed, %d dropped, %d decoded", n, value(d, "frames.displayed"), value(d, "frames.dropped"), value(d, "frames.generated.decoder"))
	}
	if len(d.Violations)+len(d.Events) != 0 {
		t.Errorf("%+v %+v", d.Violations, d.Events)
	}
}

func TestTheExampleOfStrategiesOfPartsDoesWhatIsSaidOfIt(t *testing.T) {
	s := languageExample(t, "own")
	d := under(t, s, "range")[0]
	if d.Strategy != "range + buffers.thumbs: whole + stages.camera: user-hints" {
		t.Errorf("named %s", d.Strategy)
	}
	if value(d, "maintenance.calls.whole") == 0 || value(d, "maintenance.calls.range") == 0 || value(d, "frames.captured") < 11 {
		t.Errorf("%d calls of the whole cache and %d by range for %d frames", value(d, "maintenance.calls.whole"), value(d, "maintenance.calls.range"), value(d, "frames.captured"))
	}
	if len(d.Events) != 0 {
		t.Errorf("%+v", d.Events)
	}
}
