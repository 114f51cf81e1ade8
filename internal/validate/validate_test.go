package validate

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the tables in docs")

const (
	page  = "../../docs/model.md"
	begin = "<!-- table: go test ./internal/validate -update -->\n"
	end   = "<!-- end of table -->\n"
)

func TestTheTableInTheDocsIsWhatTheModelSays(t *testing.T) {
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok1 := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no table between its markers", page)
	}
	table := Table(rows)
	if table == old {
		return
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Errorf("%s does not match the model; run go test ./internal/validate -update and review the difference. The model says:\n%s", page, table)
}

func TestAM335xLoadsAndStreamsAreWithin15PercentOfSilicon(t *testing.T) {
	rows, err := Rows()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range rows {
		if name, _, _ := strings.Cut(r.Name, " "); !slices.Contains([]string{"load,", "read", "write", "copy"}, name) {
			continue
		}
		n++
		if off := r.Off(); off < -15 || off > 15 {
			t.Errorf("%s: measured %s, model %.2f %s, off by %.0f %%", r.Name, r.Measured, r.Predicted, r.Unit, off)
		}
	}
	if n != 10 {
		t.Errorf("judged %d rows, want 10", n)
	}
}

func TestALineCostsWhatWasMeasuredAt300MHz(t *testing.T) {
	v, err := on("am335x", map[string]string{"cpu.clock": "300MHz"}, invalidate(9600, 9600))
	if err != nil {
		t.Fatal(err)
	}
	if v < 11 || v > 23 {
		t.Errorf("syncing 150 lines took %.1f us, measured 17 +- 6", v)
	}
}

func TestTheDirtyFractionSpreadsTheWholeCacheFlush(t *testing.T) {
	slow := map[string]string{"cpu.clock": "250MHz"}
	clean, err := on("omap3430", slow, flushAll(false))
	if err != nil {
		t.Fatal(err)
	}
	dirty, err := on("omap3430", slow, flushAll(true))
	if err != nil {
		t.Fatal(err)
	}
	if dirty < clean*1.3 {
		t.Errorf("flushing the whole cache took %.0f us clean and %.0f us dirty; the write-backs should show", clean, dirty)
	}
}
