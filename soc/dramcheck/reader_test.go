package dramcheck

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// readAll returns the commands of a text, and what ended it.
func readAll(text string) (cmds []Command, err error) {
	r, err := NewReader(strings.NewReader(text), "trace")
	for err == nil {
		var c Command
		if err = r.Next(&c); err == nil {
			cmds = append(cmds, c)
		}
	}
	return cmds, err
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestATraceIsReadPlainAndPacked(t *testing.T) {
	want := "\n9,activate,3,2048,0\n12,read_p,3,2048,7\n1303,refresh,-1,-1,-1"
	for _, text := range []string{
		Header + want, Header + want + "\n", want[1:], strings.ReplaceAll(Header+want+"\n", "\n", "\r\n"), packed(t, Header+want), packed(t, Header+want[:21]) + packed(t, want[21:]),
	} {
		if cmds, err := readAll(text); err != io.EOF || list(cmds) != want {
			t.Errorf("%q: read%s, then %v; want%s", text, list(cmds), err, want)
		}
	}
	for _, text := range []string{"", Header, Header + "\n", packed(t, "")} {
		if cmds, err := readAll(text); err != io.EOF || len(cmds) != 0 {
			t.Errorf("%q: read%s, then %v; want nothing", text, list(cmds), err)
		}
	}
}

func TestEveryKindIsReadByItsName(t *testing.T) {
	for k := Activate; k < kinds; k++ {
		cmds, err := readAll("5," + k.String() + ",0,0,0")
		if err != io.EOF || len(cmds) != 1 || cmds[0].Kind != k {
			t.Errorf("%v: %v, %v", k, cmds, err)
		}
	}
}

func TestABadLineIsNamed(t *testing.T) {
	good := Header + "\n9,activate,3,2048,0\n"
	for _, c := range []struct{ text, want string }{
		{"address,READ,7", `trace:1: found "address,READ,7", expected five fields, clk,cmd,bank,row,col`},
		{"a,b,c,d,e", `trace:1: found "a,b,c,d,e", expected the header clk,cmd,bank,row,col or a command`},
		{good + "\n", `trace:3: found "", expected five fields, clk,cmd,bank,row,col`},
		{good + "9,read,3,5,7,\n", `trace:3: found "9,read,3,5,7,", expected five fields, clk,cmd,bank,row,col`},
		{good + "9.5,read,3,5,7\n", `trace:3: found "9.5", expected the clock, a whole number from 0`},
		{good + "-9,read,3,5,7\n", `trace:3: found "-9", expected the clock, a whole number from 0`},
		{good + "1152921504606846976,read,3,5,7\n", `trace:3: found "1152921504606846976", expected the clock, a whole number from 0`},
		{good + "9,read,-2,5,7\n", `trace:3: found "-2", expected the bank, a whole number, -1 for all`},
		{good + "9,read,3,,7\n", `trace:3: found "", expected the row, a whole number, -1 for none`},
		{good + "9,read,3,5,0x7\n", `trace:3: found "0x7", expected the column, a whole number, -1 for none`},
		{good + "9,READ,3,5,7\n", `trace:3: found command "READ", expected one of activate, precharge, read, read_p, write, write_p, refresh, power_down_enter, power_down_exit`},
		{good + strings.Repeat("9", 60) + ",,,,\n", `trace:3: found "` + strings.Repeat("9", 40) + `"..., expected the clock, a whole number from 0`},
		{good + strings.Repeat("9", 2000), `trace:3: found a line of more than 1024 bytes, expected clk,cmd,bank,row,col`},
		{good + strings.Repeat("9", 200_000), `trace:3: found a line of more than 1024 bytes, expected clk,cmd,bank,row,col`},
		{"\x1f\x8bnonsense", `trace: begins as gzip does, but is not: gzip: invalid header`},
	} {
		if _, err := readAll(c.text); err == nil || err.Error() != c.want {
			t.Errorf("%.60q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
	if _, err := readAll(packed(t, strings.Repeat(good, 1000))[:60]); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), "trace:") {
		t.Errorf("a gzip file cut short: %v", err)
	}
}

func TestReadingALineDoesNotAllocate(t *testing.T) {
	data, err := os.ReadFile("testdata/p_two_rd_conflict_sat.L333_BL16_robaco.cmd.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	allocs := testing.AllocsPerRun(1, func() {
		r, err := NewReader(bytes.NewReader(data), "trace")
		if err != nil {
			t.Fatal(err)
		}
		var c Command
		for err == nil {
			err = r.Next(&c)
			lines++
		}
	})
	if lines < 60000 || allocs > 1000 {
		t.Errorf("%v allocations for %d lines, want those of gzip alone", allocs, lines/2)
	}
}
