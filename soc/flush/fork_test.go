package flush

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
)

// drawQuestion draws one of few questions, so that histories meet.
func drawQuestion(t *rapid.T) dmaapi.Question {
	q := dmaapi.Question{
		Event: rapid.SampledFrom([]dmaapi.Event{
			dmaapi.MapCPU, dmaapi.Free, dmaapi.MapDevice, dmaapi.UnmapDevice, dmaapi.ToDeviceHandover, dmaapi.ToCPUHandover, dmaapi.CPUFault,
		}).Draw(t, "event"),
		Buffer: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "buffer"), Index: rapid.IntRange(0, 1).Draw(t, "index"), Device: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "device"),
		Bytes: 8192, Length: 8192, Attr: cpu.Cached, Default: dmaapi.Operation(rapid.IntRange(0, 3).Draw(t, "default")),
	}
	if q.Event == dmaapi.CPUFault {
		q.Page = rapid.IntRange(0, 1).Draw(t, "page")
		q.Offset, q.Length = q.Page*4096, 4096
	}
	return q
}

// answers puts questions to a policy.
func answers(p dmaapi.Policy, qs []dmaapi.Question) []dmaapi.Answer {
	var out []dmaapi.Answer
	for i := range qs {
		out = append(out, p.Decide(&qs[i]))
	}
	return out
}

func fork(t *rapid.T, p dmaapi.Policy) dmaapi.Policy {
	f, ok := dmaapi.Fork(p)
	if !ok {
		t.Fatalf("%T does not say whether it has a history", p)
	}
	return f
}

func TestAForkAnswersAsTheOriginalAndTheTwoDoNotDisturbEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SampledFrom(Registered()).Draw(t, "strategy")
		history := rapid.SliceOf(rapid.Custom(drawQuestion)).Draw(t, "history")
		aside := rapid.SliceOf(rapid.Custom(drawQuestion)).Draw(t, "aside")
		then := rapid.SliceOf(rapid.Custom(drawQuestion)).Draw(t, "then")
		p, alone := info.New(), info.New()
		answers(p, history)
		answers(alone, history)
		f := fork(t, p)
		answers(f, aside) // is no business of p's
		if diff := cmp.Diff(answers(fork(t, alone), then), answers(p, then)); diff != "" {
			t.Errorf("%s: after its fork went another way:\n%s", info.Name, diff)
		}
		if diff := cmp.Diff(answers(fork(t, f), then), answers(f, then)); diff != "" {
			t.Errorf("%s: fork and original:\n%s", info.Name, diff)
		}
	})
}

func TestPoliciesOfEqualHistoryAnswerAlike(t *testing.T) {
	met := 0
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SampledFrom(Registered()).Draw(t, "strategy")
		one, two := info.New(), info.New()
		answers(one, rapid.SliceOfN(rapid.Custom(drawQuestion), 0, 4).Draw(t, "history"))
		answers(two, rapid.SliceOfN(rapid.Custom(drawQuestion), 0, 4).Draw(t, "another"))
		if string(dmaapi.History(one, nil)) != string(dmaapi.History(two, nil)) {
			return
		}
		met++
		then := rapid.SliceOf(rapid.Custom(drawQuestion)).Draw(t, "then")
		if diff := cmp.Diff(answers(one, then), answers(two, then)); diff != "" {
			t.Errorf("%s: %s", info.Name, diff)
		}
	})
	if met == 0 {
		t.Error("no two histories were equal")
	}
}

func TestHistoriesThatMatterDiffer(t *testing.T) {
	mapFor := func(device string, op dmaapi.Operation) dmaapi.Question {
		return dmaapi.Question{Event: dmaapi.MapDevice, Buffer: "a", Device: device, Bytes: 4096, Length: 4096, Default: op}
	}
	back := dmaapi.Question{Event: dmaapi.UnmapDevice, Buffer: "a", Device: "x", Bytes: 4096, Length: 4096, Default: dmaapi.Invalidate}
	fault := dmaapi.Question{Event: dmaapi.CPUFault, Buffer: "a", Bytes: 4096, Length: 4096}
	for _, c := range []struct {
		strategy, what string
		one, other     []dmaapi.Question
	}{
		{"skip-sync", "which device has the buffer", []dmaapi.Question{mapFor("x", dmaapi.Clean)}, []dmaapi.Question{mapFor("y", dmaapi.Clean)}},
		{"skip-sync", "what was done for the CPU", []dmaapi.Question{mapFor("x", dmaapi.Clean)}, []dmaapi.Question{mapFor("x", dmaapi.Clean), back}},
		{"ion-fault-tracking", "that a device has had it", []dmaapi.Question{mapFor("x", dmaapi.Clean)}, []dmaapi.Question{mapFor("x", dmaapi.Nothing)}},
		{"ion-fault-tracking", "which pages are dirty", []dmaapi.Question{mapFor("x", dmaapi.Clean)}, []dmaapi.Question{mapFor("x", dmaapi.Clean), fault}},
	} {
		info, err := ByName(c.strategy)
		if err != nil {
			t.Fatal(err)
		}
		one, other := info.New(), info.New()
		answers(one, c.one)
		answers(other, c.other)
		if string(dmaapi.History(one, nil)) == string(dmaapi.History(other, nil)) {
			t.Errorf("%s: %s is not in its history", c.strategy, c.what)
		}
	}
}
