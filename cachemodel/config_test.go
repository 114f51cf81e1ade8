package cachemodel

import (
	"runtime"
	"strings"
	"testing"
)

// cache is a level that makes sense: 16 KiB of 4 ways.
func cache(change ...func(*LevelConfig)) LevelConfig {
	l := LevelConfig{Size: 16 << 10, Ways: 4, Line: 64}
	for _, f := range change {
		f(&l)
	}
	return l
}

func TestNewNamesTheLevelSettingThatMakesNoSense(t *testing.T) {
	for _, c := range []struct {
		change func(*LevelConfig)
		want   string
	}{
		{func(l *LevelConfig) { l.Line = 48 }, "line of 48 bytes, want a power of two of at least 4"},
		{func(l *LevelConfig) { l.Line = 2 }, "line of 2 bytes, want a power of two of at least 4"},
		{func(l *LevelConfig) { l.Line = -64 }, "line of -64 bytes, want a power of two of at least 4"},
		{func(l *LevelConfig) { l.Ways = 0 }, "0 ways, want 1 to 65535"},
		{func(l *LevelConfig) { l.Ways = 1 << 60 }, "1152921504606846976 ways, want 1 to 65535"},
		{func(l *LevelConfig) { l.Ways = 512 }, "size of 16384 bytes does not hold a set of 512 ways x 64 bytes"},
		{func(l *LevelConfig) { l.Size = 0 }, "size of 0 bytes does not hold a set of 4 ways x 64 bytes"},
		{func(l *LevelConfig) { l.Size = 16<<10 + 64 }, "size of 16448 bytes, want 4 ways x 64 bytes x a power of two of sets"},
		{func(l *LevelConfig) { l.Size = 12 << 10 }, "size of 12288 bytes, want 4 ways x 64 bytes x a power of two of sets"},
		{func(l *LevelConfig) { l.Replacement = 9 }, "unknown replacement policy 9"},
		{func(l *LevelConfig) { l.Write = 9 }, "unknown write policy 9"},
		{func(l *LevelConfig) { l.Allocate = 9 }, "unknown allocation policy 9"},
		{func(l *LevelConfig) { l.Index = 9 }, "unknown index 9"},
		{func(l *LevelConfig) { l.Aliases = 9 }, "unknown alias rule 9"},
		{func(l *LevelConfig) { l.Inclusion = 9 }, "unknown inclusion 9"},
		{func(l *LevelConfig) { l.Size, l.Ways, l.Replacement = 12<<10, 3, PLRU }, "plru of 3 ways, want a power of two up to 64"},
		{func(l *LevelConfig) { l.Ways, l.Replacement = 128, PLRU }, "plru of 128 ways, want a power of two up to 64"},
		{func(l *LevelConfig) { l.SubBlock = 24 }, "sub-blocks of 24 bytes, want a power of two from 2 to the line's 64"},
		{func(l *LevelConfig) { l.SubBlock = 1 }, "sub-blocks of 1 bytes, want a power of two from 2 to the line's 64"},
		{func(l *LevelConfig) { l.SubBlock = 128 }, "sub-blocks of 128 bytes, want a power of two from 2 to the line's 64"},
		{func(l *LevelConfig) { l.SubBlock = -4 }, "sub-blocks of -4 bytes, want a power of two from 2 to the line's 64"},
		{func(l *LevelConfig) { l.Sectored = true }, "sectored, but no sub-block size"},
	} {
		wantRefused(t, Config{Levels: []LevelConfig{cache(), cache(c.change)}}, "cachemodel: level 1: "+c.want)
		bad := cache(c.change)
		wantRefused(t, Config{Levels: []LevelConfig{cache()}, Instruction: &bad}, "cachemodel: instruction side: "+c.want)
	}
}

func wantRefused(t *testing.T, c Config, want string) {
	t.Helper()
	if _, err := New(c); err == nil || err.Error() != want {
		t.Errorf("New(%+v)\n got %v\nwant %s", c, err, want)
	}
}

func TestNewNamesTheSettingsThatDoNotGoTogether(t *testing.T) {
	is := func(i Inclusion) func(*LevelConfig) { return func(l *LevelConfig) { l.Inclusion = i } }
	outer := func(l *LevelConfig) { l.Outer = true }
	long := func(l *LevelConfig) { l.Line = 128 }
	through := func(l *LevelConfig) { l.Write = WriteThrough }
	sectored := func(l *LevelConfig) { l.SubBlock, l.Sectored = 32, true }
	vipt := func(l *LevelConfig) { l.Index = VIPT }
	vivt := func(l *LevelConfig) { l.Index = VIVT }
	resolved := func(l *LevelConfig) { l.Aliases = AliasesResolved }
	instr := cache()
	virtual := cache(vipt)
	three := func(a, b, c LevelConfig) []LevelConfig { return []LevelConfig{a, b, c} }
	two := func(a, b LevelConfig) []LevelConfig { return []LevelConfig{a, b} }
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{}, "no levels, want at least one"},
		{Config{Levels: two(cache(), cache()), Page: 3000}, "page of 3000 bytes, want a power of two"},
		{Config{Levels: two(cache(), cache()), Page: -4096}, "page of -4096 bytes, want a power of two"},
		{Config{Levels: two(cache(), cache()), Unification: 3}, "point of unification after 3 levels, but there are 2"},
		{Config{Levels: two(cache(), cache()), Unification: -1}, "point of unification after -1 levels, but there are 2"},
		{Config{Levels: two(cache(), cache(long)), Versions: true}, "lines of several sizes: versions need one"},
		{Config{Levels: two(cache(), cache(sectored)), Versions: true}, "level 1: sectored: versions need whole lines"},
		{Config{Levels: two(cache(), cache()), Versions: true, VictimsAsStores: true}, "victims as stores carry no versions"},
		{Config{Levels: two(cache(), cache(vipt))}, "level 1: vipt index, but only the first level can be indexed virtually"},
		{Config{Levels: two(cache(vivt, resolved), cache())}, "level 0: aliases resolved in a vivt level: its tags do not tell a copy"},
		{Config{Levels: two(cache(vipt), cache()), Page: 32}, "level 0: line of 64 bytes, larger than a page of 32"},
		{Config{Levels: two(cache(is(Inclusive)), cache())}, "level 0: inclusive of nothing: there is no nearer level"},
		{Config{Levels: two(cache(outer), cache())}, "level 0: outer, but the first level belongs to the core"},
		{Config{Levels: three(cache(), cache(outer), cache())}, "level 2: not outer, but the level before it is"},
		{Config{Levels: three(cache(), cache(is(Inclusive)), cache(long))}, "level 1: inclusive, which needs one line size in all levels"},
		{Config{Levels: three(cache(), cache(is(Exclusive)), cache(sectored))}, "level 1: exclusive, which needs whole lines, but a level is sectored"},
		{Config{Levels: two(cache(), cache(is(Inclusive))), VictimsAsStores: true}, "level 1: inclusive, but victims are stores"},
		{Config{Levels: two(cache(through), cache(is(Exclusive)))}, "level 1: exclusive, but the level before it is write-through"},
		{Config{Levels: two(cache(vivt), cache(is(Exclusive)))}, "level 1: exclusive, but the first level keeps aliases: one copy may be there and one here"},
		{Config{Levels: two(cache(), cache(is(Exclusive))), Instruction: &instr}, "level 1: exclusive of a split level"},
		{Config{Levels: two(cache(), cache()), Instruction: &virtual}, "instruction side: want it indexed physically, neither inclusive nor exclusive, and not outer"},
	} {
		wantRefused(t, c.config, "cachemodel: "+c.want)
	}
}

func TestWaysNeedNotBeAPowerOfTwo(t *testing.T) {
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 12 << 10, Ways: 3, Line: 64}}})
	if h.Sets(0) != 64 || h.Ways(0) != 3 || h.LineSize() != 64 || h.Levels() != 1 {
		t.Errorf("%d sets, %d ways, %d bytes a line, %d levels", h.Sets(0), h.Ways(0), h.LineSize(), h.Levels())
	}
}

func TestColoursAreThePagesOfAWay(t *testing.T) {
	for _, c := range []struct {
		size, page int
		index      Index
		want       int
	}{
		{16 << 10, 4096, VIPT, 1}, // a way is a page
		{8 << 10, 4096, VIPT, 1},
		{32 << 10, 4096, VIPT, 2},
		{64 << 10, 4096, VIVT, 4},
		{64 << 10, 16384, VIPT, 1},
		{64 << 10, 4096, PIPT, 1},
	} {
		l := LevelConfig{Size: c.size, Ways: 4, Line: 64, Index: c.index}
		if got := l.Colours(c.page); got != c.want {
			t.Errorf("%+v: %d colours, want %d", c, got, c.want)
		}
	}
	h := mustNew(t, Config{Levels: []LevelConfig{{Size: 32 << 10, Ways: 4, Line: 64, Index: VIPT}}})
	if h.Colours() != 2 {
		t.Errorf("%d colours, want 2 where the page size is left out", h.Colours())
	}
}

func TestOnlyAVirtuallyIndexedLevelWithColoursKeepsAliases(t *testing.T) {
	for _, c := range []struct {
		level LevelConfig
		want  bool
	}{
		{LevelConfig{Size: 32 << 10, Ways: 4, Line: 64}, false},
		{LevelConfig{Size: 32 << 10, Ways: 4, Line: 64, Index: VIPT}, true},
		{LevelConfig{Size: 32 << 10, Ways: 4, Line: 64, Index: VIPT, Aliases: AliasesResolved}, false},
		{LevelConfig{Size: 16 << 10, Ways: 4, Line: 64, Index: VIPT}, false},
		{LevelConfig{Size: 16 << 10, Ways: 4, Line: 64, Index: VIVT}, true},
	} {
		if got := mustNew(t, Config{Levels: []LevelConfig{c.level}}).KeepsAliases(); got != c.want {
			t.Errorf("%+v keeps aliases: %v, want %v", c.level, got, c.want)
		}
	}
}

func TestAHierarchyAllocatesForStoresIfALevelDoes(t *testing.T) {
	if mustNew(t, small()).AllocatesForStores() {
		t.Error("no level allocates")
	}
	if !mustNew(t, small(l2Allocates)).AllocatesForStores() {
		t.Error("L2 allocates")
	}
}

func TestLinesTakeAtMostSixteenBytesWithoutVersions(t *testing.T) {
	const size = 64 << 20
	for _, r := range []Replacement{LRU, Random, FIFO, PLRU, RoundRobin} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h := mustNew(t, Config{Levels: []LevelConfig{{Size: size, Ways: 16, Line: 64, Replacement: r}}})
		runtime.ReadMemStats(&after)
		if each := float64(after.TotalAlloc-before.TotalAlloc) / (size / 64); each > 16 {
			t.Errorf("%v: %.2f bytes a line", r, each)
		}
		h.Read(At(0), 4)
	}
}

func wantNames[T interface {
	comparable
	String() string
}](t *testing.T, parse func(string) (T, error), values ...T) {
	t.Helper()
	for _, want := range values {
		if got, err := parse(want.String()); got != want || err != nil {
			t.Errorf("%v parses as %v, %v", want, got, err)
		}
	}
}

func TestNamesParseBack(t *testing.T) {
	wantNames(t, ParseReplacement, LRU, Random, FIFO, PLRU, RoundRobin)
	wantNames(t, ParseWritePolicy, WriteBack, WriteThrough)
	wantNames(t, ParseAllocate, ReadAllocate, ReadWriteAllocate)
	wantNames(t, ParseIndex, PIPT, VIPT, VIVT)
	wantNames(t, ParseAliases, AliasesKept, AliasesResolved)
	wantNames(t, ParseInclusion, Neither, Inclusive, Exclusive)
	wantNames(t, ParseOp, Clean, Invalidate, CleanInvalidate)
}

func TestNamesAreThoseOfTheSettings(t *testing.T) {
	got := strings.Join([]string{
		LRU.String(), Random.String(), FIFO.String(), PLRU.String(), RoundRobin.String(),
		WritePolicy(WriteBack).String(), WriteThrough.String(), ReadAllocate.String(), ReadWriteAllocate.String(),
		PIPT.String(), VIPT.String(), VIVT.String(), AliasesKept.String(), AliasesResolved.String(),
		Neither.String(), Inclusive.String(), Exclusive.String(), PoC.String(), PoU.String(),
		TransferKind(WriteBack).String(), Fetch.String(), Store.String(),
		Clean.String(), Invalidate.String(), CleanInvalidate.String(), Op(7).String(),
	}, " ")
	const want = "lru random fifo plru round-robin back through read read-write pipt vipt vivt kept resolved " +
		"neither inclusive exclusive PoC PoU write-back fetch store clean invalidate clean+invalidate cachemodel.Op(7)"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUnknownNameListsTheValidOnes(t *testing.T) {
	_, replacement := ParseReplacement("LRU")
	_, write := ParseWritePolicy("")
	_, allocate := ParseAllocate("write")
	_, index := ParseIndex("pivt")
	_, aliases := ParseAliases("none")
	_, inclusion := ParseInclusion("strict")
	_, op := ParseOp("flush")
	for _, c := range []struct {
		err  error
		want string
	}{
		{replacement, `unknown replacement policy "LRU": want lru, random, fifo, plru or round-robin`},
		{write, `unknown write policy "": want back or through`},
		{allocate, `unknown allocation policy "write": want read or read-write`},
		{index, `unknown index "pivt": want pipt, vipt or vivt`},
		{aliases, `unknown alias rule "none": want kept or resolved`},
		{inclusion, `unknown inclusion "strict": want neither, inclusive or exclusive`},
		{op, `unknown maintenance operation "flush": want clean, invalidate or clean+invalidate`},
	} {
		if c.err == nil || c.err.Error() != c.want {
			t.Errorf("got %v, want %s", c.err, c.want)
		}
	}
}

func TestPoliciesAreText(t *testing.T) {
	var l LevelConfig
	for _, err := range []error{
		l.Replacement.UnmarshalText([]byte("plru")),
		l.Write.UnmarshalText([]byte("through")),
		l.Allocate.UnmarshalText([]byte("read-write")),
		l.Index.UnmarshalText([]byte("vipt")),
		l.Aliases.UnmarshalText([]byte("resolved")),
		l.Inclusion.UnmarshalText([]byte("exclusive")),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := LevelConfig{
		Replacement: PLRU, Write: WriteThrough, Allocate: ReadWriteAllocate,
		Index: VIPT, Aliases: AliasesResolved, Inclusion: Exclusive,
	}
	if l != want {
		t.Errorf("got %+v, want %+v", l, want)
	}
	if err := l.Write.UnmarshalText([]byte("never")); err == nil || l.Write != WriteThrough {
		t.Errorf("a wrong name: error %v, policy now %v", err, l.Write)
	}
	for _, c := range []struct {
		value interface{ MarshalText() ([]byte, error) }
		want  string
	}{
		{l.Replacement, "plru"},
		{l.Write, "through"},
		{l.Allocate, "read-write"},
		{l.Index, "vipt"},
		{l.Aliases, "resolved"},
		{l.Inclusion, "exclusive"},
	} {
		if text, err := c.value.MarshalText(); string(text) != c.want || err != nil {
			t.Errorf("MarshalText = %s, %v, want %s", text, err, c.want)
		}
	}
}

func TestValuesListTheNames(t *testing.T) {
	for _, c := range []struct{ got, want []string }{
		{LRU.Values(), []string{"lru", "random", "fifo", "plru", "round-robin"}},
		{WriteThrough.Values(), []string{"back", "through"}},
		{ReadAllocate.Values(), []string{"read", "read-write"}},
		{PIPT.Values(), []string{"pipt", "vipt", "vivt"}},
		{AliasesKept.Values(), []string{"kept", "resolved"}},
		{Neither.Values(), []string{"neither", "inclusive", "exclusive"}},
	} {
		if strings.Join(c.got, " ") != strings.Join(c.want, " ") {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
		c.got[0] = "mine" // a copy
	}
	if LRU.String() != "lru" {
		t.Error("the list is not a copy")
	}
}
