package memtrace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"socsim/internal/packed"
)

// naive parses a trace line by line. It returns the records before the first bad line, and the number of that line, or 0.
func naive(text, format string) (all []Record, bad int) {
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i, line := range lines {
		if len(line) > 4096 {
			return all, i + 1
		}
		line = strings.TrimSuffix(line, "\r")
		fields := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '\t' })
		for i, f := range fields {
			if f[0] == '#' {
				fields = fields[:i]
				break
			}
		}
		if len(fields) == 0 || format != "din" && message.MatchString(line) {
			continue
		}
		if format == "" {
			format = "din"
			if len(fields) > 1 && strings.Contains(fields[1], ",") {
				format = "lackey"
			}
		}
		rec, err := naiveRecord(fields, format)
		if err != nil {
			return all, i + 1
		}
		all = append(all, rec)
	}
	return all, 0
}

var message = regexp.MustCompile(`^[ \t]*(==[0-9].*==|--[0-9].*--|\*\*[0-9].*\*\*|SB[ \t])`)

func naiveRecord(fields []string, format string) (Record, error) {
	var kind Kind
	addr, size := "", "4"
	base := 16
	switch format {
	case "lackey":
		if len(fields) != 2 {
			return Record{}, errors.New("fields")
		}
		k, ok := map[string]Kind{"I": Instr, "L": Load, "S": Store, "M": Modify}[fields[0]]
		if !ok {
			return Record{}, errors.New("letter")
		}
		kind = k
		addr, size, _ = strings.Cut(fields[1], ",")
		base = 10
	case "din":
		if len(fields) != 2 && len(fields) != 3 {
			return Record{}, errors.New("fields")
		}
		k, ok := map[string]Kind{"0": Load, "r": Load, "R": Load, "1": Store, "w": Store, "W": Store, "2": Instr, "i": Instr, "I": Instr, "4": Flush}[fields[0]]
		if !ok {
			return Record{}, errors.New("label")
		}
		kind = k
		addr = without0x(fields[1])
		if len(fields) == 3 {
			size = without0x(fields[2])
		}
	}
	a, err := strconv.ParseUint(addr, 16, 64)
	if err != nil {
		return Record{}, err
	}
	s, err := strconv.ParseUint(size, base, 32)
	if err != nil {
		return Record{}, err
	}
	if s == 0 || s > 4096 || a > a+(s-1) {
		return Record{}, errors.New("size")
	}
	return Record{a, uint32(s), kind}, nil
}

func without0x(s string) string {
	if strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X") {
		return s[2:]
	}
	return s
}

// against compares what the reader makes of a text with what naive does.
func against(t *testing.T, text string, batch, chunk int) {
	t.Helper()
	want, bad := naive(text, "")
	got, format, err := read(t, &chunks{src: strings.NewReader(text), size: chunk}, batch)
	if len(got) != len(want) {
		t.Fatalf("%q as %s: %d records, want %d (%v)", text, format, len(got), len(want), err)
	}
	for i, rec := range got {
		if rec != want[i] {
			t.Fatalf("%q as %s: record %d is %+v, want %+v", text, format, i, rec, want[i])
		}
	}
	switch {
	case bad > 0:
		if err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("f:%d: ", bad)) {
			t.Fatalf("%q as %s: error %v, want one at line %d", text, format, err, bad)
		}
	case len(want) == 0:
		if err == nil || !strings.HasPrefix(err.Error(), "f: no record in ") {
			t.Fatalf("%q: error %v, want one that says there is no record", text, err)
		}
	case err != nil:
		t.Fatalf("%q as %s: error %v, want none", text, format, err)
	}
}

// takenForPacked tells whether a text would be taken for a compressed file.
func takenForPacked(text string) bool {
	s, err := packed.New(strings.NewReader(text), "f")
	return err != nil || s.Packing() != ""
}

func fuzz(f *testing.F, begin string) {
	for _, c := range small {
		text, err := os.ReadFile(c.file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text), uint8(3), uint16(100))
		for line := range bytes.Lines(text) {
			f.Add(string(line), uint8(1), uint16(7))
		}
	}
	for _, line := range []string{
		"I  0401ab70,3\n S 1fff000cf8,08\r\n M 1fff000cf8,00\n", " L 0000123G,4\n", " L 0000ABCD,4\n", " L 1fffff0123456789,4\n", " L 1234567812345678,255",
		"0 0x\n", "1 0xffffffffffffffff 2\n", "0 12345678 g\n", "0 123456789abcdef0 10\n", "i 12345678 ff\nI 12345678 100\r\n", "3 0\n", "4 0\n", "0 fffffffe\n2 FFFFFFFF 1\n",
	} {
		f.Add(line, uint8(1), uint16(1000))
	}
	f.Fuzz(func(t *testing.T, text string, batch uint8, chunk uint16) {
		// The record at the beginning settles the format. The blank lines at the end let the fast path see the last lines of a short text.
		for _, text := range []string{text, begin + text, text + "\n" + strings.Repeat("\n", fastBytes), begin + text + "\n" + strings.Repeat("\n", fastBytes)} {
			if !takenForPacked(text) {
				against(t, text, int(batch)+1, int(chunk)+1)
			}
		}
	})
}

func FuzzLackey(f *testing.F) { fuzz(f, "I  00001000,4\n") }

func FuzzDin(f *testing.F) { fuzz(f, "2 1000 4\n") }

// randomLine returns a line of the format, as a tool may write it or less tidy, and now and then with a wrong character.
func randomLine(r *rand.Rand, format string) string {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	addr := strconv.FormatUint(r.Uint64()>>r.IntN(64), 16)
	var line string
	switch {
	case r.IntN(20) == 0:
		line = pick("", "  ", "# comment", "\t#", "\r")
	case format == "lackey" && r.IntN(20) == 0:
		line = pick("==12== message", "--12-- message", "**12** message", "SB 04001000")
	case format == "lackey":
		line = fmt.Sprintf("%s%08s,%d", pick("I  ", " L ", " S ", " M ", "I ", "L\t"), addr, 1+r.IntN(1<<r.IntN(13)))
	default:
		line = pick("0", "1", "2", "4", "r", "W", "I", " 0") + pick(" ", " ", " ", "  ", "\t") + pick("", "", "0x", "0X") + addr
		if r.IntN(2) == 0 {
			line += fmt.Sprintf("%s%x", pick(" ", " ", " 0x", "\t"), 1+r.IntN(1<<r.IntN(13)))
		}
		if r.IntN(4) == 0 {
			line = strings.ToUpper(line)
		}
		line += pick("", "", "", " ", " # comment")
	}
	if r.IntN(50) == 0 && line != "" {
		wrong := []byte(line)
		wrong[r.IntN(len(wrong))] = byte(r.IntN(256))
		line = string(wrong)
	}
	return line + pick("\n", "\n", "\n", "\r\n")
}

func TestRandomTracesAreReadAsTheNaiveParserReadsThem(t *testing.T) {
	const texts = 5000
	r := rand.New(rand.NewPCG(1, 2))
	bad := 0
	for i := range texts {
		format := []string{"lackey", "din"}[i%2]
		var text strings.Builder
		for range 1 + r.IntN(60) {
			text.WriteString(randomLine(r, format))
		}
		if takenForPacked(text.String()) {
			continue
		}
		if _, line := naive(text.String(), ""); line > 0 {
			bad++
		}
		against(t, text.String(), 1+r.IntN(100), 1+r.IntN(1000))
	}
	if bad < texts/10 || bad > texts*9/10 {
		t.Errorf("%d of %d traces had a bad line, want some of either kind", bad, texts)
	}
	for _, format := range []string{"lackey", "din"} {
		var text strings.Builder
		for text.Len() < 8*bufferSize {
			line := randomLine(r, format)
			if _, bad := naive(line, format); bad == 0 {
				text.WriteString(line)
			}
		}
		against(t, text.String(), 777, bufferSize)
		against(t, text.String(), 4096, 4099)
	}
}

// ExampleReader counts the accesses of a trace.
func ExampleReader() {
	r, err := New(strings.NewReader("I  04001000,3\n L 1ffeffe7e8,8\n S 1ffeffe7e0,8\nI  04001003,5\n"), "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	var count [Flush + 1]int
	batch := make([]Record, 1024)
	for {
		n, err := r.Next(batch)
		for _, rec := range batch[:n] {
			count[rec.Kind]++
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(r.Format(), "instructions:", count[Instr], "loads:", count[Load], "stores:", count[Store])
	// Output: lackey instructions: 2 loads: 1 stores: 1
}
