package check

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"socsim/internal/conf"
	"socsim/internal/result"
)

// tiny is a scenario that is simulated in no time.
const tiny = `apiVersion: socsim/v1
name: NAME
soc: omap3430
run: {duration: 3ms, warmup: 0s}
tasks:
  - {name: ui, period: 1ms, work: 100us, working_set: 4KiB}
expect:
  - cpu.busy > 1%
`

// folderOf makes a folder of files; the text "tiny" stands for the tiny scenario of the file's name.
func folderOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	return dir
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if text == "tiny" {
		text = strings.ReplaceAll(tiny, "NAME", strings.TrimSuffix(filepath.Base(name), ".yaml"))
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func checked(t *testing.T, req Request) *Report {
	t.Helper()
	req.Workers = 2
	r, err := Run(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// states is what became of each baseline.
func states(r *Report) string {
	var out []string
	for _, i := range r.Items {
		out = append(out, strings.TrimSpace(i.Scenario+" "+string(i.Status)+" "+i.Baseline))
	}
	return strings.Join(out, ", ")
}

func want(t *testing.T, r *Report, wanted string) {
	t.Helper()
	if got := states(r); got != wanted {
		t.Errorf("%s\nwant %s", got, wanted)
	}
}

func TestABaselineIsMissingThenWrittenThenTheSame(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny"})
	targets := []string{dir}
	want(t, checked(t, Request{Targets: targets}), "a failed missing, b failed missing")
	want(t, checked(t, Request{Targets: targets, Update: true}), "a ok new, b ok new")
	want(t, checked(t, Request{Targets: targets, Update: true}), "a ok same, b ok same")
	want(t, checked(t, Request{Targets: targets}), "a ok same, b ok same")
	want(t, checked(t, Request{Targets: []string{filepath.Join(dir, "b.yaml"), dir}}), "b ok same, a ok same")
}

func TestAChangedSettingDiffersAndIsNamed(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny"})
	checked(t, Request{Targets: []string{dir}, Update: true})
	r := checked(t, Request{Targets: []string{dir}, Overrides: []conf.Override{{Path: "tasks.ui.work", Value: "200us", Origin: "--set"}}})
	want(t, r, "a failed differs")
	if !slices.ContainsFunc(r.Items[0].Notes, func(n string) bool { return strings.Contains(n, "the scenario itself changed") }) {
		t.Errorf("notes %q", r.Items[0].Notes)
	}
	busy := r.Items[0].Differences[0]
	if busy.Metric != "cpu.busy" || busy.Verdict != Worse || len(busy.Causes) == 0 || busy.Causes[0].Metric != "cpu.time.compute" {
		t.Errorf("first difference %+v", busy)
	}
	if line := strings.Split(read(t, r.Items[0].BaselineFile), "\n")[busy.Line-1]; !strings.Contains(line, `"cpu.busy"`) {
		t.Errorf("line %d of the baseline is %s", busy.Line, line)
	}
}

func TestAFailingRunNeverWritesABaseline(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny"})
	checked(t, Request{Targets: []string{dir}, Update: true})
	before := read(t, filepath.Join(dir, "baselines", "a.range.json"))
	write(t, filepath.Join(dir, "a.yaml"), strings.NewReplacer("NAME", "a", "100us", "200us", "> 1%", "> 90%").Replace(tiny))
	write(t, filepath.Join(dir, "b.yaml"), strings.NewReplacer("NAME", "b", "100us", "200us").Replace(tiny))
	want(t, checked(t, Request{Targets: []string{dir}, Update: true}), "a failed kept, b ok rewritten")
	if read(t, filepath.Join(dir, "baselines", "a.range.json")) != before {
		t.Error("the baseline of the failing run changed")
	}
	write(t, filepath.Join(dir, "check.yaml"), "apiVersion: socsim/v1\nkind: check\nbudgets:\n  - cpu.busy < 1%\n")
	want(t, checked(t, Request{Targets: []string{dir}, Update: true}), "a failed kept, b failed kept")
}

func TestADamagedBaselineOrScenarioDoesNotKeepTheOthersFromBeingJudged(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny", "c.yaml": "name: c\nsoc: omap3340\n"})
	r := checked(t, Request{Targets: []string{dir}, Update: true})
	want(t, r, "a ok new, b ok new, invalid")
	if p := Places(r.Items[2].Err); len(p) == 0 || p[0].Line == 0 {
		t.Errorf("no place in %v", r.Items[2].Err)
	}
	write(t, filepath.Join(dir, "baselines", "a.range.json"), "{\n")
	r = checked(t, Request{Targets: []string{dir}})
	want(t, r, "a invalid unreadable, b ok same, invalid")
	if p := Places(r.Items[0].Err); len(p) != 1 || filepath.Base(p[0].File) != "a.range.json" || p[0].Line != 2 {
		t.Errorf("places %v of %v", p, r.Items[0].Err)
	}
	if r.Worst() != Invalid {
		t.Errorf("the gravest is %s", r.Worst())
	}
	want(t, checked(t, Request{Targets: []string{dir}, Update: true}), "a ok rewritten, b ok same, invalid")
}

func TestABaselineThatCannotBeWrittenIsAnErrorAndLeavesNothing(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "baselines": "a file where a folder should be"})
	r := checked(t, Request{Targets: []string{dir}, Update: true})
	if r.Items[0].Status != Unfinished && r.Items[0].Status != Invalid || r.Items[0].Err == nil {
		t.Errorf("%s, error %v", states(r), r.Items[0].Err)
	}
	dir = folderOf(t, map[string]string{"a.yaml": "tiny"})
	if err := os.MkdirAll(filepath.Join(dir, "baselines", "a.range.json", "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	r = checked(t, Request{Targets: []string{dir}, Update: true})
	if r.Items[0].Status != Unfinished || r.Items[0].Err == nil {
		t.Errorf("%s, error %v", states(r), r.Items[0].Err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "baselines", ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAnInterruptedCheckWritesNothing(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny"})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, Request{Targets: []string{dir}, Workers: 1, Update: true, Progress: func(done, _ int, _ string) {
		if done == 2 { // the first scenario is finished
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, "a ok missing, b unfinished")
	if !r.Interrupted || r.Worst() != Unfinished {
		t.Errorf("interrupted %v, gravest %s", r.Interrupted, r.Worst())
	}
	if _, err := os.Stat(filepath.Join(dir, "baselines")); err == nil {
		t.Error("baselines were written")
	}
}

// Each file is one of the two versions as a whole, whoever comes last, and nothing else lies about.
func TestTwoUpdatesAtOnceOfOneFolderFollowEachOther(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny"})
	name := filepath.Join(dir, "baselines", "a.range.json")
	write(t, filepath.Join(dir, "baselines", tempPrefix+"1-a.range.json"), "half")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			r, err := Run(t.Context(), Request{Targets: []string{dir}, Workers: 1, Update: true})
			if err != nil || r.Worst() != Passed {
				t.Errorf("%v, %s", err, states(r))
			}
		})
		wg.Go(func() {
			if r, err := Run(t.Context(), Request{Targets: []string{dir}, Workers: 1}); err != nil || r.Worst() != Passed && r.Worst() != Failed {
				t.Errorf("%v, %s", err, states(r))
			}
		})
	}
	wg.Wait()
	if _, err := decodeBaseline(name, []byte(read(t, name))); err != nil {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 2 {
		t.Errorf("%d files in the folder, want the two baselines", len(entries))
	}
}

func TestAWriterWaitsForTheLockAndGivesUpWhenInterrupted(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny"})
	unlock, err := lockFolder(dir, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, simulated := make(chan *Report), make(chan struct{})
	go func() {
		r, _ := Run(ctx, Request{Targets: []string{dir}, Workers: 1, Update: true, Progress: func(n, total int, _ string) {
			if n == total {
				close(simulated)
			}
		}})
		done <- r
	}()
	<-simulated
	select { // as long as somebody reads, nothing is written
	case r := <-done:
		t.Fatalf("did not wait: %s", states(r))
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	if r := <-done; r.Worst() != Unfinished || !r.Interrupted {
		t.Errorf("%s", states(r))
	}
	unlock()
	want(t, checked(t, Request{Targets: []string{dir}, Update: true}), "a ok new")
}

func TestBaselinesOfScenariosThatAreGoneAreNamedAndPruned(t *testing.T) {
	dir := folderOf(t, map[string]string{"a.yaml": "tiny", "b.yaml": "tiny"})
	checked(t, Request{Targets: []string{dir}, Update: true, Strategies: "range,whole"})
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	r := checked(t, Request{Targets: []string{dir}, Update: true})
	notes := strings.Join(r.Notes, "\n")
	for _, w := range []string{"a.whole.json was not checked: a.yaml was not run under whole", "b.range.json: there is no b.yaml any more; socsim check --update --prune removes the baseline"} {
		if !strings.Contains(notes, w) {
			t.Errorf("no %q in\n%s", w, notes)
		}
	}
	checked(t, Request{Targets: []string{dir}, Update: true, Prune: true})
	files, _ := filepath.Glob(filepath.Join(dir, "baselines", "*"))
	if len(files) != 2 {
		t.Errorf("left: %v", files)
	}
}

func TestTheRulesOfTheFolderApply(t *testing.T) {
	dir := folderOf(t, map[string]string{
		"a.yaml": "tiny", "part.yaml": "soc: omap3430\n", "table.yaml": "apiVersion: socsim/v1\nname: t\ndefault: range\nrules: []\n", "study.yaml": "kind: study\nname: s\n", "text.txt": "",
		"check.yaml": "apiVersion: socsim/v1\nkind: check\nstrategies: whole,none\ntolerances:\n  - \"* 1000%\"\n  - nosuch 1%\n",
	})
	r := checked(t, Request{Targets: []string{dir}, Update: true})
	want(t, r, "a ok new, a ok new")
	if r.Items[0].Strategy != "whole" || !r.Items[0].Expect[0].Advisory {
		t.Errorf("first item %+v", r.Items[0])
	}
	notes := strings.Join(r.Notes, "\n")
	for _, w := range []string{"part.yaml is not checked: it has no name", "table.yaml is not checked: it is a rule table", "study.yaml is not checked: its kind is study", `check.yaml:6: tolerance "nosuch 1%" concerns no metric`} {
		if !strings.Contains(notes, w) {
			t.Errorf("no %q in\n%s", w, notes)
		}
	}
	more := Request{Targets: []string{dir}, Overrides: []conf.Override{{Path: "tasks.ui.work", Value: "101us", Origin: "--set"}}}
	r = checked(t, more)
	want(t, r, "a ok same, a ok same")
	if len(r.Items[0].Differences) == 0 || r.Items[0].Differences[0].Tolerated != "* 1000%" {
		t.Errorf("differences %+v", r.Items[0].Differences)
	}
	more.Rules = filepath.Join(folderOf(t, map[string]string{"strict.yaml": "apiVersion: socsim/v1\nkind: check\nstrategies: none\n"}), "strict.yaml")
	want(t, checked(t, more), "a failed differs")
}

func TestAScenarioOfTheLibraryIsJudgedByTheBaselineThatComesWithIt(t *testing.T) {
	r := checked(t, Request{Targets: []string{"lifetime-errors"}})
	want(t, r, "lifetime-errors ok same")
	if _, err := Run(t.Context(), Request{Targets: []string{"lifetime-errors"}, Update: true}); err == nil || !strings.Contains(err.Error(), "socsim show lifetime-errors > mine.yaml") {
		t.Errorf("updating the library: %v", err)
	}
}

func TestAFolderWithoutScenariosIsAMistakeOfTheRequest(t *testing.T) {
	dir := folderOf(t, map[string]string{"scenarios/a.yaml": "tiny", "empty/x": ""})
	if _, err := Run(t.Context(), Request{Targets: []string{dir}}); err == nil || !strings.Contains(err.Error(), "did you mean "+filepath.Join(dir, "scenarios")+"?") {
		t.Errorf("error %v", err)
	}
	if _, err := Run(t.Context(), Request{Targets: []string{filepath.Join(dir, "empty")}}); err == nil || strings.Contains(err.Error(), "did you mean") {
		t.Errorf("error %v", err)
	}
	if _, err := Run(t.Context(), Request{Targets: []string{filepath.Join(dir, "nothere")}}); err == nil {
		t.Error("no error")
	}
}

func TestABudgetThatOnlyTheProposedStrategyBreaksAndAnErrorThatOnlyItMakesFailATrial(t *testing.T) {
	rules := rulesOf(t, "budgets:\n  - maintenance.time <= 50\n")
	base, proposed := document(), document()
	base.Violations, proposed.Violations = nil, nil
	base.Set("maintenance.time", "ns", result.Int(40))
	proposed.Set("maintenance.time", "ns", result.Int(60))
	judge := func() *TrialItem {
		i := &TrialItem{Status: Passed, Scenario: "small"}
		i.judge(base, proposed, rules)
		return i
	}
	if i := judge(); i.Verdict != OverBudget || i.Status != Failed {
		t.Errorf("budget: %s, %s", i.Verdict, i.Status)
	}
	base.Set("maintenance.time", "ns", result.Int(55))
	if i := judge(); i.Status != Passed {
		t.Errorf("a budget broken before: %s, %s", i.Verdict, i.Status)
	}
	proposed.Violations = document().Violations
	if i := judge(); i.Verdict != Incoherent || i.Status != Failed || len(i.Appears) != 2 {
		t.Errorf("violations: %s, %s, %v", i.Verdict, i.Status, i.Appears)
	}
	base.Violations, proposed.Violations = proposed.Violations, nil
	if i := judge(); i.Status != Passed || len(i.Gone) != 2 {
		t.Errorf("violations gone: %s, %s, %v", i.Verdict, i.Status, i.Gone)
	}
}

func TestATrialsVerdictIsThatOfItsEffects(t *testing.T) {
	for _, c := range []struct {
		overhead, latency, slowdown int64
		want                        string
	}{
		{0, 0, 0, Same},
		{-1, 0, 0, Same}, // 1 us of 100
		{-50, 0, 0, Faster},
		{50, 0, 0, Slower},
		{-50, 500, 0, Mixed},
		{-50, 0, 200, Mixed},
		{0, -500, 200, Mixed},
		{0, 0, 2, Same}, // 0.02 %
	} {
		base, proposed := document(), document()
		for k, d := range []*result.Document{base, proposed} {
			moved := int64(k)
			d.Set("overhead.time_per_frame", "ns", result.Int((100+moved*c.overhead)*1000))
			d.Set("latency.capture_to_display.p95", "ns", result.Int((50_000+moved*c.latency)*1000))
			d.Set("task.ui.slowdown", "ratio", result.Number{Int: 10_000 + moved*c.slowdown, Digits: 4})
		}
		i := &TrialItem{Status: Passed}
		i.judge(base, proposed, &Rules{})
		if i.Verdict != c.want {
			t.Errorf("overhead %+d us, latency %+d us, slowdown %+d: %s, want %s", c.overhead, c.latency, c.slowdown, i.Verdict, c.want)
		}
	}
}

func TestATrialRunsBothStrategies(t *testing.T) {
	tr, err := Try(t.Context(), Request{Targets: []string{"arnd-schedule"}, Workers: 2}, "range", "none")
	if err != nil {
		t.Fatal(err)
	}
	if i := tr.Items[0]; i.Verdict != Incoherent || len(i.Appears) != 1 || !strings.HasPrefix(i.Appears[0], "stale_cpu_read of shared") {
		t.Errorf("%+v", i)
	}
	if want := "none against range in 1 scenarios: incoherent in 1"; tr.Digest() != want {
		t.Errorf("%s, want %s", tr.Digest(), want)
	}
	if _, err := Try(t.Context(), Request{Targets: []string{"arnd-schedule"}}, "range,none", "whole"); err == nil || !strings.Contains(err.Error(), "one strategy is tried against one other") {
		t.Errorf("two at once: %v", err)
	}
	if _, err := Try(t.Context(), Request{Targets: []string{"arnd-schedule"}}, "rnage", "whole"); err == nil || !strings.Contains(err.Error(), `did you mean "range"`) {
		t.Errorf("misspelt: %v", err)
	}
}
