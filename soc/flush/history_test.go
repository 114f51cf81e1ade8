package flush_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// step is a question in a history, of a buffer of three pages, and the answer expected.
type step struct {
	q    dmaapi.Question
	want dmaapi.Answer
}

const bytes = 3*4096 - 100

// follow asks the questions in order.
func follow(t *testing.T, p dmaapi.Policy, steps ...step) {
	t.Helper()
	for i, s := range steps {
		s.q.Buffer, s.q.Bytes = "b", bytes
		if s.q.Length == 0 {
			s.q.Length = bytes
		}
		if diff := cmp.Diff(s.want, p.Decide(&s.q)); diff != "" {
			t.Fatalf("step %d, %v of %s:\n%s", i+1, s.q.Event, s.q.Device, diff)
		}
	}
}

// device and host are hand-overs to a device and back, with what the profile does.
func device(name string, op dmaapi.Operation) dmaapi.Question {
	return dmaapi.Question{Event: dmaapi.ToDeviceHandover, Device: name, Direction: dmaapi.Bidirectional, Default: op}
}

func host(name string, op dmaapi.Operation) dmaapi.Question {
	return dmaapi.Question{Event: dmaapi.ToCPUHandover, Device: name, Direction: dmaapi.Bidirectional, Default: op}
}

func does(op dmaapi.Operation) dmaapi.Answer { return dmaapi.Answer{Op: op} }

var nothing dmaapi.Answer

func part(q dmaapi.Question) dmaapi.Question {
	q.Length = 4096
	return q
}

func TestSkipSyncSkipsNothingAfterTheCPUHadAPart(t *testing.T) {
	follow(
		t, policy(t, "skip-sync"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{part(host("camera", dmaapi.Nothing)), nothing},
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)}, // the CPU may have written there
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{host("gpu", dmaapi.Invalidate), does(dmaapi.Invalidate)}, // whatever the camera gave back
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
		step{device("camera", dmaapi.Clean), nothing}, // no device had any: a new round
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{host("gpu", dmaapi.Invalidate), nothing},
	)
}

func TestSkipSyncTakesADevicesSecondGivingBackForNoOtherDevices(t *testing.T) {
	follow(
		t, policy(t, "skip-sync"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)}, // the camera's mapping goes; the GPU writes on
		step{host("gpu", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{host("gpu", dmaapi.Invalidate), nothing},
	)
}

func TestSkipSyncKnowsThatADeviceThatReadsWritesNothing(t *testing.T) {
	reader := device("gpu", dmaapi.Clean)
	reader.Direction = dmaapi.ToDevice
	follow(
		t, policy(t, "skip-sync"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{reader, nothing},
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{host("camera", dmaapi.Invalidate), nothing}, // though the GPU has it
	)
}

func TestSkipSyncSyncsForTheFirstDeviceAndSkipsTheOthers(t *testing.T) {
	follow(
		t, policy(t, "skip-sync"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{device("gpu", dmaapi.Clean), nothing},
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)}, // not another's
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
		step{host("gpu", dmaapi.Invalidate), nothing},
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
		step{host("gpu", dmaapi.Invalidate), does(dmaapi.Invalidate)},
	)
}

func TestSkipSyncDoesNotTakeTheFirstToGiveBackForTheOneThatWrote(t *testing.T) {
	follow(
		t, policy(t, "skip-sync"),
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
		step{device("camera", dmaapi.Invalidate), nothing},
		step{host("gpu", dmaapi.Nothing), nothing},
		step{host("camera", dmaapi.Invalidate), does(dmaapi.Invalidate)},
	)
}

func TestSkipSyncDoesNotNoteAPartOrAMappingWithoutSync(t *testing.T) {
	part := device("camera", dmaapi.Clean)
	part.Length = 64
	unsynced := device("camera", dmaapi.Nothing)
	unsynced.Hints = dmaapi.SkipCPUSync
	follow(
		t, policy(t, "skip-sync"),
		step{part, does(dmaapi.Clean)},
		step{unsynced, nothing},
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
	)
}

func TestSkipSyncForgetsAFreedBuffer(t *testing.T) {
	follow(
		t, policy(t, "skip-sync"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{dmaapi.Question{Event: dmaapi.Free}, nothing},
		step{device("gpu", dmaapi.Clean), does(dmaapi.Clean)},
	)
}

func TestUserHintsLeaveOutWhatTheCallerSaysIsNotNeeded(t *testing.T) {
	hinted := func(q dmaapi.Question, h dmaapi.Hints) dmaapi.Question {
		q.Hints = h
		return q
	}
	both := dmaapi.NoCacheClean | dmaapi.NoCacheInvalidate
	follow(
		t, policy(t, "user-hints"),
		step{device("camera", dmaapi.Clean), does(dmaapi.Clean)},
		step{hinted(device("camera", dmaapi.Clean), dmaapi.NoCacheClean), nothing},
		step{hinted(device("camera", dmaapi.Invalidate), dmaapi.NoCacheInvalidate), does(dmaapi.Invalidate)},
		step{hinted(host("camera", dmaapi.Invalidate), dmaapi.NoCacheInvalidate), nothing},
		step{hinted(host("camera", dmaapi.Invalidate), dmaapi.NoCacheClean), does(dmaapi.Invalidate)},
		step{hinted(host("camera", dmaapi.Invalidate), both), nothing},
	)
}

func fault(page int) dmaapi.Question {
	return dmaapi.Question{Event: dmaapi.CPUFault, Page: page, Offset: page * 4096, Length: min(4096, bytes-page*4096)}
}

func parts(op dmaapi.Operation, spans ...dmaapi.Span) dmaapi.Answer {
	return dmaapi.Answer{Op: op, Extent: dmaapi.Partial, Spans: spans}
}

func TestIONSyncsThePagesThatFaultedAndForgetsThem(t *testing.T) {
	follow(
		t, policy(t, "ion-fault-tracking"),
		step{dmaapi.Question{Event: dmaapi.Allocate, Attr: cpu.Cached}, dmaapi.Answer{Force: true}},
		step{dmaapi.Question{Event: dmaapi.Allocate, Attr: cpu.Uncached}, nothing},
		step{dmaapi.Question{Event: dmaapi.MapCPU, Attr: cpu.Cached}, dmaapi.Answer{Track: true}},
		step{device("camera", dmaapi.Clean), nothing},
		step{host("camera", dmaapi.Invalidate), nothing},
		step{fault(2), does(dmaapi.Invalidate)},
		step{fault(0), does(dmaapi.Invalidate)},
		step{device("camera", dmaapi.Clean), parts(dmaapi.Clean, dmaapi.Span{Offset: 0, Bytes: 4096}, dmaapi.Span{Offset: 8192, Bytes: 3996})},
		step{device("gpu", dmaapi.Clean), nothing},
		step{fault(1), does(dmaapi.Invalidate)},
		step{fault(2), does(dmaapi.Invalidate)},
		step{device("gpu", dmaapi.Invalidate), parts(dmaapi.Invalidate, dmaapi.Span{Offset: 4096, Bytes: bytes - 4096})},
	)
}

func TestIONDoesNotInvalidateWhatTheCPUWrote(t *testing.T) {
	follow(
		t, policy(t, "ion-fault-tracking"),
		step{fault(0), nothing}, // no device has had it
		step{device("camera", dmaapi.Nothing), nothing},
		step{fault(0), nothing}, // unmapped without a sync
		step{device("camera", dmaapi.Clean), parts(dmaapi.Clean, dmaapi.Span{Bytes: 4096})},
		step{fault(0), does(dmaapi.Invalidate)},
		step{device("camera", dmaapi.Nothing), nothing},
		step{fault(0), nothing}, // dirty, and not yet synced
	)
}

func TestTheParametersOfIONTakeItsSyncsAway(t *testing.T) {
	info, err := flush.ByName("ion-fault-tracking")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"force", "sync_at_fault"} {
		if info, err = info.With(name, "false"); err != nil {
			t.Fatal(err)
		}
	}
	if want := "ion-fault-tracking(force=false,sync_at_fault=false)"; info.Label() != want {
		t.Errorf("label %s, want %s", info.Label(), want)
	}
	follow(
		t, info.New(),
		step{dmaapi.Question{Event: dmaapi.Allocate, Attr: cpu.Cached}, nothing},
		step{device("camera", dmaapi.Clean), nothing},
		step{fault(0), nothing},
	)
}
