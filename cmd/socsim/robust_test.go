//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"socsim/internal/check"
)

// manyBusy is how many scenarios a folder of busy ones has: enough that a process that is killed while it writes their baselines has written some of them.
const manyBusy = 8

// busyFolder makes a folder of scenarios whose task works for some time in each period.
func busyFolder(t *testing.T, dir, work string) {
	t.Helper()
	for k := range manyBusy {
		text := fmt.Sprintf("apiVersion: socsim/v1\nname: busy%02d\nsoc: omap3430\nrun: {duration: 1ms, warmup: 0s}\ntasks:\n  - {name: ui, period: 1ms, work: %s, working_set: 4KiB}\n", k, work)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("busy%02d.yaml", k)), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func checkCommand(args ...string) *exec.Cmd {
	cmd := exec.Command("socsim", append([]string{"check"}, args...)...)
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "GITHUB_STEP_SUMMARY=", "GOGC=off") // small scenarios spend their time on collecting garbage
	return cmd
}

// checkExits runs a check, which must exit with a code, and returns its standard output.
func checkExits(t *testing.T, code int, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := checkCommand(args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the exit code tells
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("check %v: exit code %d, want %d\n%s%s", args, got, code, stdout.String(), stderr.String())
	}
	return stdout.Bytes()
}

// files reads a folder: names to contents.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(data)
	}
	return out
}

// versions makes a folder and the baselines of two versions of its scenarios.
func versions(t *testing.T) (dir, baselines string, old, changed map[string]string) {
	t.Helper()
	dir = t.TempDir()
	baselines = filepath.Join(dir, "baselines")
	busyFolder(t, dir, "200us")
	checkExits(t, exitOK, dir, "--update")
	changed = files(t, baselines)
	busyFolder(t, dir, "100us")
	checkExits(t, exitOK, dir, "--update")
	old = files(t, baselines)
	if len(old) != manyBusy || len(changed) != manyBusy || old["busy00.range.json"] == changed["busy00.range.json"] {
		t.Fatalf("%d and %d baselines, want %d different ones", len(old), len(changed), manyBusy)
	}
	return dir, baselines, old, changed
}

// Killed while it writes, at another moment each time, a check leaves of each baseline the old or the new version as a whole, and the next one clears up.
func TestACheckThatIsKilledWhileItWritesLeavesWholeBaselines(t *testing.T) {
	dir, baselines, old, changed := versions(t)
	busyFolder(t, dir, "200us")
	partly := 0
	for k := range 4 {
		for name, text := range old {
			if err := os.WriteFile(filepath.Join(baselines, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		cmd := checkCommand(dir, "--update", "--quiet")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		waitForChange(t, filepath.Join(baselines, "busy00.range.json"), ended)
		time.Sleep(time.Duration(k) * 300 * time.Microsecond)
		_ = cmd.Process.Signal(syscall.SIGKILL) // it may be over
		<-ended
		written := 0
		for name, text := range files(t, baselines) {
			switch {
			case strings.HasPrefix(name, ".writing-"):
			case text == changed[name]:
				written++
			case text != old[name]:
				t.Errorf("%s is neither the old nor the new version:\n%s", name, text)
			}
		}
		if written > 0 && written < manyBusy {
			partly++
		}
	}
	if partly == 0 {
		t.Error("no check was killed between its first baseline and its last: the test shows nothing")
	}
	if err := os.WriteFile(filepath.Join(baselines, ".writing-1-busy00.range.json"), []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	checkExits(t, exitOK, dir, "--update", "--quiet")
	if got := files(t, baselines); fmt.Sprint(got) != fmt.Sprint(changed) {
		t.Errorf("%d files after another update, want %d new ones", len(got), manyBusy)
	}
}

// waitForChange returns when a file is replaced, or a process has ended.
func waitForChange(t *testing.T, name string, ended <-chan struct{}) {
	t.Helper()
	inode := func() uint64 {
		var s syscall.Stat_t
		if err := syscall.Stat(name, &s); err != nil {
			t.Fatal(err)
		}
		return s.Ino
	}
	for before := inode(); inode() == before; {
		select {
		case <-ended:
			return
		default:
			time.Sleep(50 * time.Microsecond)
		}
	}
}

// Interrupted while it simulates, a check says so, judges nothing that it has not run, and leaves the baselines alone.
func TestACheckThatIsInterruptedLeavesTheBaselinesAlone(t *testing.T) {
	dir, baselines, old, _ := versions(t)
	busyFolder(t, dir, "200us")
	slow := "apiVersion: socsim/v1\nname: busy07\nsoc: omap3430\nrun: {duration: 900s}\ntasks:\n  - {name: ui, period: 10ms, work: 3ms, working_set: 128KiB}\n"
	if err := os.WriteFile(filepath.Join(dir, "busy07.yaml"), []byte(slow), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		var stdout bytes.Buffer
		cmd := checkCommand(dir, "--update", "--format", "json", "--jobs", "1")
		cmd.Stdout = &stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitForWork(t, cmd.Process.Pid)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != exitUnfinish {
			t.Fatalf("%v: exit code %d, want %d", signal, code, exitUnfinish)
		}
		if items := reported(t, stdout.Bytes()); items[0].Status != check.Passed || items[manyBusy-1].Status != check.Unfinished {
			t.Errorf("%v: the first is %s, the last %s", signal, items[0].Status, items[manyBusy-1].Status)
		}
		if got := files(t, baselines); fmt.Sprint(got) != fmt.Sprint(old) {
			t.Errorf("%v: the baselines changed", signal)
		}
	}
}

// waitForWork returns when a process has used 0.6 s of a processor: the program is up and simulates.
func waitForWork(t *testing.T, pid int) {
	t.Helper()
	for range 6000 {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		var user int
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		if _, err := fmt.Sscan(fields[11], &user); err != nil {
			t.Fatal(err)
		}
		if user >= 60 { // hundredths
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the process does not get to work")
}

// reported reads the items of a check that was printed as JSON.
func reported(t *testing.T, data []byte) []*check.Item {
	t.Helper()
	var report struct{ Items []*check.Item }
	if err := json.Unmarshal(data, &report); err != nil || len(report.Items) != manyBusy {
		t.Fatalf("%v, %d items, want %d, in\n%s", err, len(report.Items), manyBusy, data)
	}
	return report.Items
}

// Whoever reads while others write sees all baselines of one version or all of the other. The writer is the test, which stops in the middle for as long as the readers need to get there.
func TestChecksWaitForWhoeverWritesTheBaselinesOfTheirFolder(t *testing.T) {
	dir, baselines, _, changed := versions(t)
	busyFolder(t, dir, "200us")
	lock, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Skipf("no locks here: %v", err)
	}
	put := func(name string) {
		if err := os.WriteFile(filepath.Join(baselines, name), []byte(changed[name]), 0o666); err != nil {
			t.Error(err)
		}
	}
	put("busy00.range.json")
	var wg sync.WaitGroup
	var seen [2][]byte
	for k := range seen {
		wg.Go(func() { seen[k], _ = checkCommand(dir, "--format", "json").Output() })
	}
	time.Sleep(1500 * time.Millisecond)
	for name := range changed {
		put(name)
	}
	lock.Close()
	wg.Wait()
	for _, out := range seen {
		for _, i := range reported(t, out) {
			if i.Baseline != check.BaselineSame {
				t.Errorf("%s: its baseline is %s", i.Scenario, i.Baseline)
			}
		}
	}
}

func TestTwoUpdatesAtTheSameTimeBothSucceed(t *testing.T) {
	dir, baselines, _, changed := versions(t)
	busyFolder(t, dir, "200us")
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if out, err := checkCommand(dir, "--update").CombinedOutput(); err != nil {
				t.Errorf("updating: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	if got := files(t, baselines); fmt.Sprint(got) != fmt.Sprint(changed) {
		t.Error("the baselines are not the new version's")
	}
}

// A full disk is told, whatever is written to it.
func TestAFullDiskIsExitCodeThree(t *testing.T) {
	dir := t.TempDir()
	busyFolder(t, dir, "100us")
	checkExits(t, exitOK, dir, "--update")
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	for _, format := range []string{"table", "json", "junit"} {
		cmd := checkCommand(dir, "--format", format)
		cmd.Stdout = full
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != exitUnfinish {
			t.Errorf("%s: exit code %d", format, code)
		}
	}
	cmd := checkCommand(dir)
	cmd.Env = append(cmd.Env, "GITHUB_STEP_SUMMARY=/dev/full")
	if out, _ := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != exitUnfinish || !strings.Contains(string(out), "appending to GITHUB_STEP_SUMMARY") {
		t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), out)
	}
}
