package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var recipeBlock = regexp.MustCompile("<!-- recipe: (\\S+) -->\n```[a-z]+\n((?s:.*?))```\n")

// recipe returns a block of docs/ci.md.
func recipe(t *testing.T, name string) string {
	t.Helper()
	for _, m := range recipeBlock.FindAllStringSubmatch(readDoc(t, ciDoc), -1) {
		if m[1] == name {
			return m[2]
		}
	}
	t.Fatalf("%s has no recipe %s", ciDoc, name)
	return ""
}

// handover is a driver whose device writes a buffer twice, and whose CPU reads it each time; its strategy is a rule table.
const handover = `apiVersion: socsim/v1
name: handover
soc: omap3430
run: {duration: 10ms, warmup: 1ms}
strategy: "@strategies/ours.yaml"
buffers:
  frame: {count: 1, size: 64x32, format: rgb565, exporter: system-heap}
script:
  - {do: attach, device: codec, buffer: frame}
  - {do: map, device: codec, buffer: frame, direction: FROM_DEVICE}
  - {do: device-write, device: codec, buffer: frame}
  - {do: sync-for-cpu, device: codec, buffer: frame, direction: FROM_DEVICE}
  - {do: cpu-read, device: codec, buffer: frame}
  - {do: sync-for-device, device: codec, buffer: frame, direction: FROM_DEVICE}
  - {do: device-write, device: codec, buffer: frame}
  - {do: sync-for-cpu, device: codec, buffer: frame, direction: FROM_DEVICE}
  - {do: cpu-read, device: codec, buffer: frame}
  - {do: unmap, device: codec, buffer: frame}
  - {do: detach, device: codec, buffer: frame}
`

const tableHead = "apiVersion: socsim/v1\nname: ours\ndoc: Ours.\nsource: here\ndefault: range\nrules:\n"

// The rules of the table at several commits.
const (
	rangeRules   = "  - {on: [batch], do: nothing}\n"
	wholeRules   = "  - {on: [for-cpu], do: clean+invalidate, extent: whole}\n" // dearer
	brokenRules  = "  - {on: [for-device, for-cpu], do: nothing}\n"             // wrong
	unreadRules  = "  - {on: [for-device\n"
	commentRules = "  # for now\n" + rangeRules
)

// repo is a git repository in a folder of its own, which is the working directory, and a recipe that is tried in it.
type repo struct {
	*testing.T
	recipe string
}

func newRepo(t *testing.T, name string) repo {
	t.Helper()
	text := recipe(t, name)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	t.Chdir(t.TempDir())
	for k, v := range map[string]string{
		"GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1", "NO_COLOR": "1", "GITHUB_STEP_SUMMARY": "",
		"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com",
	} {
		t.Setenv(k, v)
	}
	r := repo{t, text}
	r.run(0, "git", "init", "--quiet")
	r.write("scenarios/handover.yaml", handover)
	r.table(rangeRules)
	r.run(0, "socsim", "check", "scenarios", "--update")
	r.commit("begin")
	return r
}

func (r repo) write(name, text string) {
	r.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
		r.Fatal(err)
	}
}

func (r repo) table(rules string) { r.write("scenarios/strategies/ours.yaml", tableHead+rules) }

// run runs a program, which must exit with a code, and returns what it printed.
func (r repo) run(code int, name string, args ...string) string {
	r.Helper()
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		r.Fatalf("%s %v: exit code %d, want %d\n%s", name, args, got, code, out)
	}
	return string(out)
}

// commit commits everything and returns the commit.
func (r repo) commit(message string) string {
	r.Helper()
	r.run(0, "git", "add", "--all")
	r.run(0, "git", "commit", "--quiet", "--allow-empty", "-m", message)
	return strings.TrimSpace(r.run(0, "git", "rev-parse", "HEAD"))
}

func TestTheBisectionOfTheDocsFindsTheCommitThatBrokeATable(t *testing.T) {
	r := newRepo(t, "bisect")
	good := r.commit("good")
	r.table(commentRules)
	r.commit("comment")
	r.table(brokenRules)
	bad := r.commit("broken")
	for _, m := range []string{"one", "two", "three"} {
		r.commit(m)
	}
	r.write("socsim-bisect", "set -e\n"+strings.ReplaceAll(r.recipe, "GOOD", good))
	out := r.run(0, "sh", "socsim-bisect")
	if !strings.Contains(out, bad+" is the first bad commit") {
		t.Errorf("want %s\n%s", bad, out)
	}
}

// The commit in the middle cannot be judged; the culprit only made something dearer, and recorded that in its baseline.
func TestTheScriptOfTheDocsFindsACommitThatRewroteItsBaseline(t *testing.T) {
	r := newRepo(t, "socsim-bisect.sh")
	script := filepath.Join(t.TempDir(), "socsim-bisect.sh")
	r.write(script, r.recipe)
	good := r.commit("good")
	r.table(commentRules)
	r.commit("comment")
	r.table(wholeRules)
	r.run(0, "socsim", "check", "scenarios", "--update")
	bad := r.commit("dearer")
	r.table(unreadRules)
	r.commit("unread")
	r.table(wholeRules)
	r.commit("readable")
	r.commit("last")
	r.run(0, "socsim", "check", "scenarios")
	r.run(0, "git", "bisect", "start", "HEAD", good)
	out := r.run(0, "git", "bisect", "run", script, good)
	if !strings.Contains(out, bad+" is the first bad commit") {
		t.Errorf("want %s\n%s", bad, out)
	}
}

func TestTheHookOfTheDocsRefusesACommitThatBreaksAScenario(t *testing.T) {
	r := newRepo(t, ".git/hooks/pre-commit")
	r.write(".git/hooks/pre-commit", r.recipe)
	r.table(brokenRules)
	r.run(0, "git", "add", "--all")
	r.table(rangeRules) // what lies in the folder is right, what is staged is not
	if out := r.run(1, "git", "commit", "-m", "broken"); !strings.Contains(out, "FAIL       handover @ours") || !strings.Contains(out, "appears: stale_cpu_read of frame") {
		t.Errorf("refused without saying why:\n%s", out)
	}
	if n := strings.TrimSpace(r.run(0, "git", "rev-list", "--count", "HEAD")); n != "1" {
		t.Errorf("%s commits, want the first alone", n)
	}
	r.table(commentRules)
	r.run(0, "git", "add", "--all")
	r.run(0, "git", "commit", "-m", "fine")
	r.write("notes", "x")
	r.write("scenarios/handover.yaml", "broken, but not staged")
	r.run(0, "git", "add", "notes")
	if out := r.run(0, "git", "commit", "-m", "other"); strings.Contains(out, "hold") {
		t.Errorf("a commit of something else was judged:\n%s", out)
	}
}

func TestTheJobOfTheDocsTellsTheVerdict(t *testing.T) {
	r := newRepo(t, "socsim-job.sh")
	r.write("socsim-job.sh", r.recipe)
	for _, c := range []struct {
		rules, verdict string
		code           int
	}{{rangeRules, "pass", 0}, {brokenRules, "fail", 1}, {unreadRules, "incomplete", 2}} {
		r.table(c.rules)
		out := r.run(c.code, "./socsim-job.sh", "out")
		if !strings.HasPrefix(out, "KTAP version 1\n1..1\n") && c.code < 2 {
			t.Errorf("%s: no KTAP on the console:\n%s", c.verdict, out)
		}
		if got, err := os.ReadFile("out/verdict"); err != nil || string(got) != c.verdict+"\n" {
			t.Errorf("verdict %q, error %v, want %s\n%s", got, err, c.verdict, out)
		}
		for _, name := range []string{"check.json", "junit.xml", "check.ktap", "summary.md"} {
			if _, err := os.Stat(filepath.Join("out", name)); err != nil {
				t.Errorf("%s: %v", c.verdict, err)
			}
		}
	}
}

var runStep = regexp.MustCompile(`(?m)^        run: (?:\|\n((?:          .*\n)+)|(.*)\n)`)

// runSteps lists the commands of a workflow's steps.
func runSteps(workflow string) []string {
	var out []string
	for _, m := range runStep.FindAllStringSubmatch(workflow, -1) {
		out = append(out, strings.ReplaceAll(m[1], "          ", "")+m[2])
	}
	return out
}

// The steps that are commands are run in order, as the runner does: bash, at the top of the repository.
func TestTheWorkflowOfTheDocsRuns(t *testing.T) {
	source, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	r := newRepo(t, ".github/workflows/socsim.yml")
	if !strings.Contains(r.recipe, "          path: .socsim\n") {
		t.Error("socsim is checked out to another folder")
	}
	temp := t.TempDir()
	t.Setenv("RUNNER_TEMP", temp)
	t.Setenv("GITHUB_STEP_SUMMARY", filepath.Join(temp, "summary"))
	r.table(brokenRules)
	if err := os.Symlink(source, ".socsim"); err != nil { // the second checkout
		t.Fatal(err)
	}
	steps := runSteps(r.recipe)
	if len(steps) != 2 {
		t.Fatalf("%d steps are commands: %q", len(steps), steps)
	}
	r.run(0, "bash", "-e", "-c", steps[0])
	if out := r.run(1, "bash", "-e", "-c", steps[1]); !strings.Contains(out, "::error file=scenarios/baselines/handover.@ours.json,line=") {
		t.Errorf("no annotation:\n%s", out)
	}
	if summary, err := os.ReadFile(filepath.Join(temp, "summary")); err != nil || !strings.HasPrefix(string(summary), "## socsim check: 0 of 1 hold") {
		t.Errorf("summary %q, error %v", summary, err)
	}
	if _, err := os.Stat("results/junit.xml"); err != nil {
		t.Error(err)
	}
}
