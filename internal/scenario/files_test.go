package scenario

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/internal/conf"
	"socsim/scenarios"
)

// write makes files in a directory of their own and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func loadFile(t *testing.T, path string, overrides ...conf.Override) (*Loaded, error) {
	t.Helper()
	src, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return Load(src, overrides)
}

func TestAScenarioIncludesOneOfTheLibrary(t *testing.T) {
	for _, name := range []string{"camera-preview", "camera-preview.yaml"} {
		dir := write(t, map[string]string{"mine.yaml": "include: " + name + "\nname: mine\nrun: {duration: 50ms}\n"})
		l, err := loadFile(t, filepath.Join(dir, "mine.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if l.Name != "mine" || len(l.Stages) != 4 || len(l.Expect) != 3 {
			t.Errorf("%s: got %s with %d stages and %d expectations", name, l.Name, len(l.Stages), len(l.Expect))
		}
	}
}

func TestIncludingALibraryScenarioChangesNothing(t *testing.T) {
	for _, name := range scenarios.Names() {
		want, err := Load(conf.Source{Name: name + ".yaml", Data: library(t, name), Builtin: true}, []conf.Override{{Path: "run.duration", Value: "100ms"}})
		if err != nil {
			t.Fatal(err)
		}
		dir := write(t, map[string]string{"mine.yaml": "include: parts/base.yaml\nrun: {duration: \"${ms}ms\"}\n", "parts/base.yaml": "params: {ms: 100}\ninclude: " + name + "\nrun: {duration: 3s}\n"})
		got, err := loadFile(t, filepath.Join(dir, "mine.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if got.SHA256 != want.SHA256 {
			t.Errorf("%s: included, it resolves to something else", name)
		}
		if diff := cmp.Diff(want.Estimated, got.Estimated); diff != "" {
			t.Errorf("%s: estimated settings (-want +got):\n%s", name, diff)
		}
	}
}

func TestAFileBesideTheScenarioGoesBeforeTheLibrary(t *testing.T) {
	dir := write(t, map[string]string{"mine.yaml": "include: camera-preview.yaml\n", "camera-preview.yaml": "name: local\n"})
	_, err := loadFile(t, filepath.Join(dir, "mine.yaml"))
	if err == nil || !strings.Contains(err.Error(), `missing key "soc"`) {
		t.Errorf("got %v, want the local file, which lacks a chip", err)
	}
}

func TestTheLibraryIncludesNothingOfTheUsers(t *testing.T) {
	t.Chdir(write(t, map[string]string{"base.yaml": "name: local\n"}))
	_, err := Load(conf.Source{Name: "lib.yaml", Data: []byte("include: base.yaml\n"), Builtin: true}, nil)
	if err == nil || !strings.Contains(err.Error(), `no scenario "base.yaml" in the library`) {
		t.Errorf("got %v", err)
	}
	l, err := Load(conf.Source{Name: "lib.yaml", Data: []byte("include: camera-preview\nname: lib\n"), Builtin: true}, nil)
	if err != nil || l.Name != "lib" {
		t.Errorf("got %v", err)
	}
}

func TestAMissingIncludeSuggestsTheNearestFile(t *testing.T) {
	for include, want := range map[string]string{
		"parts/bsae.yaml": `no file "parts/bsae.yaml" beside this one, and no scenario of that name in the library; did you mean "parts/base.yaml"?`,
		"camera-previw":   `did you mean "camera-preview"?`,
		"zzzzzzzz":        `no scenario of that name in the library` + "\n",
		"parts":           "is a directory",
		"/dev/zero":       "does not end after 4 MiB",
	} {
		dir := write(t, map[string]string{"mine.yaml": "name: x\ninclude: " + include + "\n", "parts/base.yaml": ""})
		_, err := loadFile(t, filepath.Join(dir, "mine.yaml"))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "mine.yaml:2:10: include: ") {
			t.Errorf("%s: got %v\nwant %s", include, err, want)
		}
	}
}

func TestARuleTableLiesBesideTheFileThatNamesIt(t *testing.T) {
	table, _ := scenarios.ReadStrategy("exynos-ion")
	dir := write(t, map[string]string{
		"mine.yaml":        "include: parts/base.yaml\n",
		"parts/base.yaml":  "include: camera-preview\nstrategy: \"@table.yaml\"\n",
		"parts/table.yaml": string(table),
	})
	l, err := loadFile(t, filepath.Join(dir, "mine.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if l.Strategy != "@parts/table.yaml" || l.Own.Name != "@exynos-ion" {
		t.Errorf("the strategy is %s, %s", l.Strategy, l.Own.Name)
	}
	// An override is the user's, from where the scenario lies.
	_, err = loadFile(t, filepath.Join(dir, "mine.yaml"), conf.Override{Path: "strategy", Value: "@table.yaml"})
	if err == nil || !strings.Contains(err.Error(), "there is no file "+filepath.Join(dir, "table.yaml")) {
		t.Errorf("got %v", err)
	}
}

func TestWhatNeverEndsIsRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Skip(err)
	}
	done := make(chan error, 1)
	go func() {
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			done <- err
			return
		}
		block := []byte(strings.Repeat("# comment\n", 1000))
		for err == nil {
			_, err = w.Write(block)
		}
		w.Close()
		done <- nil
	}()
	for _, name := range []string{fifo, "/dev/zero"} {
		grown := allocated(func() {
			if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "does not end after 4 MiB") {
				t.Errorf("%s: got %v", name, err)
			}
		})
		if grown > 64<<20 {
			t.Errorf("%s: %d MiB allocated", name, grown>>20)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestABigFileIsRefusedUnread(t *testing.T) {
	name := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 100<<20); err != nil {
		t.Fatal(err)
	}
	grown := allocated(func() {
		if _, err := Read(name); err == nil || !strings.Contains(err.Error(), "has 104857600 bytes") {
			t.Errorf("got %v", err)
		}
	})
	if grown > 1<<20 {
		t.Errorf("%d bytes allocated", grown)
	}
}

func TestWhatIsNoFileSaysSo(t *testing.T) {
	dir := write(t, map[string]string{"a.yaml": ""})
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "is a directory; name a scenario file in it") {
		t.Errorf("got %v", err)
	}
	if _, err := Read(filepath.Join(dir, "a.yaml", "b")); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(filepath.Join(dir, "a.yaml"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(filepath.Join(dir, "a.yaml")); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("got %v", err)
		}
	}
}

// allocated is how many bytes f allocates, whether or not they are freed.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestATextThatLooksLikeAParameterSurvivesPrinting(t *testing.T) {
	const text = "include: camera-preview\ndescription: costs $${x} and $$${y}\n"
	l, err := Load(conf.Source{Name: "x.yaml", Data: []byte(text)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := "costs ${x} and $${y}"; l.Description != want {
		t.Fatalf("got %q, want %q", l.Description, want)
	}
	for _, show := range []func() ([]byte, error){l.Resolved, l.Annotated} {
		out, err := show()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(conf.Source{Name: "again.yaml", Data: out}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again.Description != l.Description || again.SHA256 != l.SHA256 {
			t.Errorf("%q came back as %q", l.Description, again.Description)
		}
	}
}
