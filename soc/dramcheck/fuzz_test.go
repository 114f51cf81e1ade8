package dramcheck

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

const far = 1 << 40 // a clock when all distances are kept

func randomTiming(rng *rand.Rand) Timing {
	n := func(low, high int64) int64 { return low + rng.Int64N(high-low+1) }
	t := Timing{
		CL: n(1, 6), CWL: n(0, 4), BL: 2 << n(0, 3), TRCD: n(0, 6), TRP: n(0, 6), TRAS: n(0, 12), TRC: n(0, 20), TRRD: n(0, 4), TFAW: n(0, 20),
		TRTP: n(0, 9), TRTPA: n(0, 12), TWR: n(0, 6), TWTR: n(0, 4), TRTRS: n(0, 3), TCCD: n(0, 9), TRFC: n(0, 20), TXP: n(0, 4), TCKE: n(0, 4),
		Postponed: n(0, 3), Banks: n(1, 8), Ranks: n(1, 2), Rows: 4, Columns: 4, SharedCommandBus: rng.IntN(4) > 0,
	}
	if rng.IntN(2) == 0 {
		t.TREFI = n(400, 600)
	}
	return t
}

func randomCommand(rng *rand.Rand, t Timing) Command {
	kinds := []Kind{Activate, Activate, Activate, Precharge, Read, Read, ReadP, Write, Write, WriteP, Refresh, PowerDown, PowerUp, PowerUp}
	c := Command{Kind: kinds[rng.IntN(len(kinds))], Bank: rng.IntN(int(t.Banks * t.Ranks)), Row: rng.Int64N(2), Col: rng.Int64N(t.Columns)}
	if c.Kind == Precharge || c.Kind >= Refresh {
		if rng.IntN(3) == 0 {
			c.Bank = -1
		}
	}
	return c
}

// earliest returns the first clock at which the command is legal after those so far, and false if it never is.
func (n *naive) earliest(c Command) (int64, bool) {
	c.Clk = far
	least := int64(far)
	if len(n.cmds) > 0 {
		least = far - n.cmds[len(n.cmds)-1].Clk
	}
	for r, slack := range n.judge(c) {
		switch {
		case r == REFI || r == RefreshRate:
		case slack == broken:
			return 0, false
		default:
			least = min(least, slack)
		}
	}
	return far - least, true
}

// generate makes a legal stream, and tells which rules are tight for each command. It goes by the naive checker alone.
func generate(rng *rand.Rand, t Timing, length int) (cmds []Command, gaps [][]Rule) {
	n := newNaive(t)
	refresh := int64(0) // the last one
	for len(cmds) < length {
		c := randomCommand(rng, t)
		if t.TREFI > 0 && len(cmds) > 0 && cmds[len(cmds)-1].Clk-refresh > t.TREFI/3 {
			// First what wakes and closes the ranks, for which states do the choice.
			c = Command{Kind: []Kind{PowerUp, Precharge, Refresh}[rng.IntN(3)], Bank: -1}
			if c.Kind == PowerUp {
				c.Bank = rng.IntN(int(t.Banks * t.Ranks))
			}
		}
		clk, ok := n.earliest(c)
		if !ok {
			continue
		}
		if rng.IntN(3) == 0 {
			clk += rng.Int64N(12)
		}
		c.Clk = clk
		if c.Kind == Refresh && c.Bank == -1 {
			refresh = clk
		}
		var tight []Rule
		for r, slack := range n.judge(c) {
			if slack == 0 {
				tight = append(tight, r)
			}
		}
		slices.Sort(tight)
		n.add(c)
		cmds, gaps = append(cmds, c), append(gaps, tight)
	}
	return cmds, gaps
}

func list(cmds []Command) string {
	var b strings.Builder
	for _, c := range cmds {
		fmt.Fprintf(&b, "\n%d,%v,%d,%d,%d", c.Clk, c.Kind, c.Bank, c.Row, c.Col)
	}
	return b.String()
}

// A legal stream is accepted, and with any tight command one clock earlier refused. A command of all banks breaks a rule once for each.
func checkGenerated(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	timing := randomTiming(rng)
	cmds, gaps := generate(rng, timing, 50)
	if vs := check(t, timing, cmds); len(vs) != 0 {
		t.Fatalf("%+v%s\n%v", timing, list(cmds), vs)
	}
	for i := range cmds {
		if len(gaps[i]) == 0 || cmds[i].Clk == cmds[i-1].Clk {
			continue
		}
		cmds[i].Clk--
		if vs := check(t, timing, cmds); !slices.Equal(slices.Compact(rules(vs)), gaps[i]) {
			t.Fatalf("%+v%s\ncommand %d came a clock early: %v, want %v", timing, list(cmds), i, vs, gaps[i])
		}
		cmds[i].Clk++
	}
}

// The Checker and the naive checker break the same rules by the same commands.
func checkVerdicts(t *testing.T, timing Timing, cmds []Command) {
	n := newNaive(timing)
	var got []Rule
	k := mustNew(t, timing, func(v Violation) { got = append(got, v.Rule) })
	for i, c := range cmds {
		got = got[:0]
		k.Feed(c)
		slices.Sort(got)
		var want []Rule
		for r, slack := range n.judge(c) {
			if slack < 0 {
				want = append(want, r)
			}
		}
		slices.Sort(want)
		if got := slices.Compact(got); !slices.Equal(got, want) {
			t.Fatalf("%+v%s\ncommand %d broke %v, want %v", timing, list(cmds[:i+1]), i, got, want)
		}
		n.add(c)
	}
}

func TestALegalStreamPassesAndOneClockEarlyDoesNot(t *testing.T) {
	for seed := range uint64(300) {
		checkGenerated(t, seed)
	}
}

// Streams that are legal, nearly legal and not legal at all.
func TestANaiveCheckerComesToTheSameVerdicts(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		timing := randomTiming(rng)
		n := newNaive(timing)
		wild := rng.IntN(20)
		var clk int64
		for range 60 {
			c := randomCommand(rng, timing)
			at, ok := n.earliest(c)
			if !ok {
				if rng.IntN(20) > wild {
					continue
				}
				at = clk + rng.Int64N(10)
			}
			if rng.IntN(60) == 0 {
				at += rng.Int64N(2000)
			}
			c.Clk = max(clk, at+rng.Int64N(6)-2)
			clk = c.Clk
			n.add(c)
		}
		checkVerdicts(t, timing, n.cmds)
	}
}

func FuzzLegal(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(checkGenerated)
}

// Four bytes are a command, the first eight the timing.
func FuzzVerdict(f *testing.F) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 0))
		data := []byte{byte(seed), 0, 0, 0, 0, 0, 0, 0}
		cmds, _ := generate(rng, randomTiming(rand.New(rand.NewPCG(seed, 3))), 40)
		last := int64(0)
		for _, c := range cmds {
			data = append(data, byte(c.Clk-last), byte(c.Kind), byte(c.Bank+1), byte(c.Row))
			last = c.Clk
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 8 {
			return
		}
		seed := uint64(0)
		for i := range 8 {
			seed |= uint64(data[i]) << (8 * i)
		}
		timing := randomTiming(rand.New(rand.NewPCG(seed, 3)))
		data = data[8:min(len(data), 8+4*64)]
		var cmds []Command
		clk := int64(0)
		for ; len(data) >= 4; data = data[4:] {
			clk += int64(data[0])
			c := Command{Clk: clk, Kind: 1 + (Kind(data[1])-1)%(kinds-1), Bank: int(data[2])%int(timing.Banks*timing.Ranks+1) - 1, Row: int64(data[3] % 4)}
			if c.Bank < 0 && (c.Kind == Activate || c.Kind.column()) {
				c.Bank = 0
			}
			cmds = append(cmds, c)
		}
		checkVerdicts(t, timing, cmds)
	})
}

// Nothing panics, whatever the numbers; and what is ignored changes nothing.
func FuzzAnyCommand(f *testing.F) {
	f.Add(int64(5), uint8(1), 3, int64(7), int64(0))
	f.Add(int64(-1), uint8(77), -9, int64(-7), int64(1)<<62)
	f.Add(int64(1)<<62, uint8(3), 1<<40, int64(-7), int64(1)<<62)
	f.Fuzz(func(t *testing.T, clk int64, kind uint8, bank int, row, col int64) {
		var said string
		k := mustNew(t, table(t, ""), func(v Violation) { said += v.String() })
		for _, c := range stream(t, "9 activate 0 5, 12 read 0 5") {
			k.Feed(c)
		}
		before := k.last
		k.Feed(Command{clk, Kind(kind), bank, row, col})
		if (k.Count(Malformed) > 0 || k.Count(Order) > 0) && k.last != before {
			t.Error("an ignored command left a trace")
		}
		k.Feed(Command{Clk: 1 << 50, Kind: Refresh, Bank: -1})
		if said == "" {
			t.Error("nothing was said of a row that was open at a refresh")
		}
	})
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(Header + "\n9,activate,3,2048,0\n12,read_p,3,2048,0\r\n1303,refresh,-1,-1,-1"))
	f.Add([]byte("9,activate,3,2048\n"))
	f.Add([]byte("\x1f\x8b\x08"))
	f.Add([]byte("9,activate,3,2048,99999999999999999999\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(data []byte) (cmds []Command, err error) {
			r, err := NewReader(bytes.NewReader(data), "fuzz")
			if err != nil {
				return nil, err
			}
			for {
				var c Command
				if err := r.Next(&c); err != nil {
					if again := r.Next(&c); again != err {
						t.Errorf("first %v, then %v", err, again)
					}
					return cmds, err
				}
				cmds = append(cmds, c)
			}
		}
		cmds, err := read(data)
		if err != io.EOF {
			if !strings.HasPrefix(err.Error(), "fuzz:") {
				t.Errorf("%v does not name the file", err)
			}
			return
		}
		again, err := read([]byte(Header + list(cmds)))
		if err != io.EOF || !slices.Equal(cmds, again) {
			t.Errorf("%v, when written and read: %v (%v)", cmds, again, err)
		}
		k := mustNew(t, table(t, ""), nil)
		for _, c := range cmds {
			k.Feed(c)
		}
	})
}

// FuzzSetting checks that a setting that is taken is one of those listed, within its limits, and changes nothing when it is set again.
func FuzzSetting(f *testing.F) {
	for _, key := range Keys() {
		f.Add(key, "4")
	}
	f.Add("tRCD", "99999999999999999999")
	f.Add("sharedCommandBus", "true")
	f.Fuzz(func(t *testing.T, key, value string) {
		timing, err := Preset(Presets()[0], 8)
		if err != nil {
			t.Fatal(err)
		}
		before := timing
		if err := timing.Set(key, value); err != nil {
			if timing != before {
				t.Errorf("%s=%s is refused (%v) and changes the timing", key, value, err)
			}
			return
		}
		if !slices.Contains(Keys(), key) {
			t.Errorf("%q is taken and not listed", key)
		}
		again := timing
		if err := again.Set(key, value); err != nil || again != timing {
			t.Errorf("%s=%s set twice: %v", key, value, err)
		}
		if err := timing.Validate(); err != nil && key != "BL" && strings.Contains(err.Error(), key+" is ") {
			t.Errorf("%s=%s is taken and then refused: %v", key, value, err)
		}
	})
}
