package cachemodel

import (
	"strings"
	"testing"
	"unsafe"
)

func TestNewNamesTheSettingThatMakesNoSense(t *testing.T) {
	good := LevelConfig{Size: 16 << 10, Ways: 4, Line: 64}
	with := func(change func(*LevelConfig)) []LevelConfig {
		bad := good
		change(&bad)
		return []LevelConfig{good, bad}
	}
	for _, c := range []struct {
		levels []LevelConfig
		want   string
	}{
		{nil, "cachemodel: no levels, want at least one"},
		{with(func(l *LevelConfig) { l.Line = 48 }), "cachemodel: level 1: line of 48 bytes, want a power of two of at least 4"},
		{with(func(l *LevelConfig) { l.Line = 2 }), "cachemodel: level 1: line of 2 bytes, want a power of two of at least 4"},
		{with(func(l *LevelConfig) { l.Line = -64 }), "cachemodel: level 1: line of -64 bytes, want a power of two of at least 4"},
		{with(func(l *LevelConfig) { l.Line = 32 }), "cachemodel: level 1: line of 32 bytes, but level 0 has 64: all levels share one line size"},
		{with(func(l *LevelConfig) { l.Ways = 0 }), "cachemodel: level 1: 0 ways, want at least 1"},
		{with(func(l *LevelConfig) { l.Ways = 1 << 60 }), "cachemodel: level 1: size of 16384 bytes does not hold a set of 1152921504606846976 ways x 64 bytes"},
		{with(func(l *LevelConfig) { l.Size = 0 }), "cachemodel: level 1: size of 0 bytes does not hold a set of 4 ways x 64 bytes"},
		{with(func(l *LevelConfig) { l.Size = 16<<10 + 64 }), "cachemodel: level 1: size of 16448 bytes, want 4 ways x 64 bytes x a power of two of sets"},
		{with(func(l *LevelConfig) { l.Size = 12 << 10 }), "cachemodel: level 1: size of 12288 bytes, want 4 ways x 64 bytes x a power of two of sets"},
		{with(func(l *LevelConfig) { l.Replacement = 9 }), "cachemodel: level 1: unknown replacement policy 9"},
		{with(func(l *LevelConfig) { l.Write = 9 }), "cachemodel: level 1: unknown write policy 9"},
		{with(func(l *LevelConfig) { l.Allocate = 9 }), "cachemodel: level 1: unknown allocation policy 9"},
	} {
		if _, err := New(Config{Levels: c.levels}); err == nil || err.Error() != c.want {
			t.Errorf("New(%+v)\n got %v\nwant %s", c.levels, err, c.want)
		}
	}
}

func TestWaysNeedNotBeAPowerOfTwo(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 12 << 10, Ways: 3, Line: 64}}})
	if h.Sets(0) != 64 || h.Ways(0) != 3 || h.LineSize() != 64 || h.Levels() != 1 {
		t.Errorf("%d sets, %d ways, %d bytes a line, %d levels", h.Sets(0), h.Ways(0), h.LineSize(), h.Levels())
	}
}

func TestLinesTakeAtMostSixteenBytesWithoutVersions(t *testing.T) {
	h := mustNew(t, withLRU(cortexA8(false)))
	for k := range h.levels {
		l := &h.levels[k]
		bytes := (len(l.slots) + len(l.used) + len(l.versions)) * int(unsafe.Sizeof(l.slots[0]))
		if perLine := bytes / len(l.slots); perLine > 16 {
			t.Errorf("level %d takes %d bytes a line", k, perLine)
		}
	}
}

func TestNamesParseBack(t *testing.T) {
	for _, want := range []Replacement{LRU, Random} {
		if got, err := ParseReplacement(want.String()); got != want || err != nil {
			t.Errorf("%v parses as %v, %v", want, got, err)
		}
	}
	for _, want := range []WritePolicy{WriteBack, WriteThrough} {
		if got, err := ParseWritePolicy(want.String()); got != want || err != nil {
			t.Errorf("%v parses as %v, %v", want, got, err)
		}
	}
	for _, want := range []Allocate{ReadAllocate, ReadWriteAllocate} {
		if got, err := ParseAllocate(want.String()); got != want || err != nil {
			t.Errorf("%v parses as %v, %v", want, got, err)
		}
	}
	for _, want := range []Op{Clean, Invalidate, CleanInvalidate} {
		if got, err := ParseOp(want.String()); got != want || err != nil {
			t.Errorf("%v parses as %v, %v", want, got, err)
		}
	}
}

func TestNamesAreThoseOfTheSettings(t *testing.T) {
	got := strings.Join([]string{
		LRU.String(), Random.String(), WritePolicy(WriteBack).String(), WriteThrough.String(),
		ReadAllocate.String(), ReadWriteAllocate.String(), TransferKind(WriteBack).String(), Fetch.String(), Store.String(),
		Clean.String(), Invalidate.String(), CleanInvalidate.String(), Op(7).String(),
	}, " ")
	const want = "lru random back through read read-write write-back fetch store clean invalidate clean+invalidate cachemodel.Op(7)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUnknownNameListsTheValidOnes(t *testing.T) {
	_, replacement := ParseReplacement("LRU")
	_, write := ParseWritePolicy("")
	_, allocate := ParseAllocate("write")
	_, op := ParseOp("flush")
	for _, c := range []struct {
		err  error
		want string
	}{
		{replacement, `unknown replacement policy "LRU": want lru or random`},
		{write, `unknown write policy "": want back or through`},
		{allocate, `unknown allocation policy "write": want read or read-write`},
		{op, `unknown maintenance operation "flush": want clean or invalidate or clean+invalidate`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("got %v, want %s", c.err, c.want)
		}
	}
}

func TestPoliciesAreText(t *testing.T) {
	var l LevelConfig
	for _, err := range []error{
		l.Replacement.UnmarshalText([]byte("random")),
		l.Write.UnmarshalText([]byte("through")),
		l.Allocate.UnmarshalText([]byte("read-write")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if want := (LevelConfig{Replacement: Random, Write: WriteThrough, Allocate: ReadWriteAllocate}); l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
	if err := l.Write.UnmarshalText([]byte("never")); err == nil || l.Write != WriteThrough {
		t.Errorf("a wrong name: error %v, policy now %v", err, l.Write)
	}
	if text, err := l.Allocate.MarshalText(); string(text) != "read-write" || err != nil {
		t.Errorf("MarshalText = %s, %v", text, err)
	}
}
