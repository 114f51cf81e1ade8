package validate

import (
	"os"
	"strings"
	"testing"

	"socsim/iommu"
	"socsim/sim"
	"socsim/sim/units"
)

const iommuPage = "../../docs/iommu.md"

// documented compares a table in the docs with what the model says, or with -update replaces it.
func documented(t *testing.T, page, name, table string) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- table: "+name+" -->\n", "<!-- end -->\n"
	head, rest, ok1 := strings.Cut(string(data), begin)
	old, tail, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no table %q between its markers", page, name)
	}
	switch {
	case table == old:
	case *update:
		if err := os.WriteFile(page, []byte(head+begin+table+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table %q of %s does not match the model; run go test ./internal/validate -update and review the difference. The model says:\n%s", name, page, table)
	}
}

func TestTheMapTimesInTheDocsAreWhatTheModelSays(t *testing.T) {
	table, err := MapTable()
	if err != nil {
		t.Fatal(err)
	}
	documented(t, iommuPage, "map times", table)
}

func TestTheRegisterLatenciesInTheDocsAreWhatTheModelSays(t *testing.T) {
	table, err := RegisterTable()
	if err != nil {
		t.Fatal(err)
	}
	documented(t, iommuPage, "register latency", table)
}

func TestTheChurnInTheDocsIsWhatTheModelSays(t *testing.T) {
	documented(t, iommuPage, "churn", ChurnTable())
}

// The reference: 3.6 to 5 us a page, about 10 ms for the 2491 pages of a frame, and about 0.6 ms for its 156 pages of 64 KiB.
func TestMappingAFrameTakesAsLongAsTheReferenceSays(t *testing.T) {
	for _, c := range []struct {
		page      units.Bytes
		pages     uint64
		low, high sim.Time
	}{
		{4 << 10, 2491, 9 * sim.Millisecond, 12455 * sim.Microsecond},
		{64 << 10, 156, 560 * sim.Microsecond, 780 * sim.Microsecond},
		{1 << 20, 10, 36 * sim.Microsecond, 50 * sim.Microsecond},
		{16 << 20, 1, 3600 * sim.Nanosecond, 5 * sim.Microsecond},
	} {
		r, err := MapFrame(c.page, true, "")
		if err != nil {
			t.Fatal(err)
		}
		if r.Map.Pages != c.pages || r.Unmap.Pages != c.pages || r.Map.Time < c.low || r.Map.Time > c.high {
			t.Errorf("%v: %d pages mapped in %v, want %d in %v to %v", c.page, r.Map.Pages, r.Map.Time, c.pages, c.low, c.high)
		}
	}
}

func TestARegisterReadTakesWhatTheReferenceSays(t *testing.T) {
	r, err := MapFrame(16<<20, true, "")
	if err != nil {
		t.Fatal(err)
	}
	if r.Read < 149*sim.Nanosecond || r.Read > 151*sim.Nanosecond {
		t.Errorf("a read takes %v, want about 150 ns", r.Read)
	}
}

func TestBestFitFragmentsLessThanFirstFit(t *testing.T) {
	for _, fill := range []int{50, 75, 90} {
		first, best := RunChurn(iommu.FirstFit, fill), RunChurn(iommu.BestFit, fill)
		if best.Mean >= first.Mean || best.Refused > first.Refused {
			t.Errorf("%d %% in use: best fit %+v, first fit %+v", fill, best, first)
		}
	}
}
