package memtrace

import (
	"bytes"
	"fmt"
)

// What parse says about a bad line.
const (
	wantLackey  = `want I, L, S or M, an address and a size, as in " L 1ffeffe7e8,8"`
	wantDin     = `want a label (0 read, 1 write, 2 instruction, 4 flush), an address and perhaps a size, both in hexadecimal, as in "0 7f001000 4"`
	wantEither  = `want a record of lackey, as " L 1ffeffe7e8,8", or of din, as "0 7f001000 4"`
	badEscape   = "label 3 (escape) is an access of unknown kind: remove such lines, or give them the label 0, 1, 2 or 4"
	badAddress  = "the address has more than 64 bits"
	badSize     = "the size is 0: want 1 to 4096 bytes"
	badBigSize  = "the size is over 4096 bytes"
	badEnd      = "the access passes the end of the 64-bit address space"
	badBinary   = "binary data: want text, or text compressed by gzip or zstd"
	maxQuoted   = 60 // bytes of a line in a message
	defaultSize = 4  // of an access in din
)

// parse reads any line: a record of the given format or, if that is unknown, of either, which it then sets; or a line to skip, for which it returns false; or one that is bad, and it says why.
func parse(line []byte, f *format) (rec Record, ok bool, bad string) {
	if silent(line, *f) {
		return Record{}, false, ""
	}
	var fields [3][]byte
	n := split(line, &fields)
	switch {
	case *f == lackey:
		rec, bad = parseLackey(&fields, n)
	case *f == din:
		rec, bad = parseDin(&fields, n)
	case n >= 2 && bytes.IndexByte(fields[1], ',') >= 0:
		rec, bad = parseLackey(&fields, n)
		*f = lackey
	case n >= 2 && len(fields[0]) == 1 && dinLabel(fields[0][0]) != noLabel:
		rec, bad = parseDin(&fields, n)
		*f = din
	default:
		bad = wantEither
	}
	if bad == "" {
		switch {
		case rec.Size == 0:
			bad = badSize
		case rec.Size > MaxSize:
			bad = badBigSize
		case rec.Addr+uint64(rec.Size-1) < rec.Addr:
			bad = badEnd
		}
	}
	if bad != "" {
		if bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' }) {
			bad = badBinary
		}
		return Record{}, false, bad
	}
	return rec, true, ""
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// silent tells whether a line says nothing about accesses.
func silent(line []byte, f format) bool {
	for len(line) > 0 && isBlank(line[0]) {
		line = line[1:]
	}
	if len(line) == 0 || line[0] == '#' {
		return true
	}
	if f == din || len(line) < 3 {
		return false
	}
	// Valgrind's messages bear the number of the process, and perhaps the time before it, between two marks: "==12== ", "--00:00:00:01.234 12-- ", "**12** ".
	mark := line[0]
	if (mark == '=' || mark == '-' || mark == '*') && line[1] == mark && '0' <= line[2] && line[2] <= '9' {
		return bytes.Contains(line[3:], line[:2])
	}
	return line[0] == 'S' && line[1] == 'B' && isBlank(line[2])
}

// split finds the fields of a line, which blanks separate, and returns their number: one more than there is room for if the line has too many. A comment, from a '#' at the beginning of a field, is no field.
func split(line []byte, fields *[3][]byte) int {
	n := 0
	for i := 0; ; {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		if i == len(line) || line[i] == '#' {
			return n
		}
		if n == len(fields) {
			return n + 1
		}
		begin := i
		for i < len(line) && !isBlank(line[i]) {
			i++
		}
		fields[n] = line[begin:i]
		n++
	}
}

func parseLackey(fields *[3][]byte, n int) (Record, string) {
	if n != 2 || len(fields[0]) != 1 {
		return Record{}, wantLackey
	}
	var rec Record
	switch fields[0][0] {
	case 'I':
		rec.Kind = Instr
	case 'L':
		rec.Kind = Load
	case 'S':
		rec.Kind = Store
	case 'M':
		rec.Kind = Modify
	default:
		return Record{}, wantLackey
	}
	addr, size, ok := bytes.Cut(fields[1], []byte(","))
	if !ok || len(addr) == 0 || len(size) == 0 {
		return Record{}, wantLackey
	}
	fits := true
	for _, c := range addr {
		d := hexDigit[c]
		if d > 15 {
			return Record{}, wantLackey
		}
		fits = fits && rec.Addr>>60 == 0
		rec.Addr = rec.Addr<<4 | uint64(d)
	}
	for _, c := range size {
		if c < '0' || '9' < c {
			return Record{}, wantLackey
		}
		rec.Size = min(rec.Size*10+uint32(c-'0'), MaxSize+1)
	}
	if !fits {
		return Record{}, badAddress
	}
	return rec, ""
}

// Labels of din that are no Kind.
const (
	escape  = 0xfe
	noLabel = 0xff
)

// dinLabel returns the Kind of a label, escape or noLabel.
func dinLabel(c byte) Kind {
	switch c {
	case '0', 'r', 'R':
		return Load
	case '1', 'w', 'W':
		return Store
	case '2', 'i', 'I':
		return Instr
	case '3':
		return escape
	case '4':
		return Flush
	}
	return noLabel
}

func parseDin(fields *[3][]byte, n int) (Record, string) {
	if n < 1 || len(fields[0]) != 1 {
		return Record{}, wantDin
	}
	rec := Record{Kind: dinLabel(fields[0][0]), Size: defaultSize}
	if rec.Kind == escape {
		return Record{}, badEscape
	}
	if n != 2 && n != 3 || rec.Kind == noLabel {
		return Record{}, wantDin
	}
	addr, ok := trimHex(fields[1])
	if !ok {
		return Record{}, wantDin
	}
	fits := true
	for _, c := range addr {
		fits = fits && rec.Addr>>60 == 0
		rec.Addr = rec.Addr<<4 | uint64(hexDigit[c])
	}
	if n == 3 {
		size, ok := trimHex(fields[2])
		if !ok {
			return Record{}, wantDin
		}
		rec.Size = 0
		for _, c := range size {
			rec.Size = min(rec.Size<<4|uint32(hexDigit[c]), MaxSize+1)
		}
	}
	if !fits {
		return Record{}, badAddress
	}
	return rec, ""
}

// trimHex returns the digits of a hexadecimal number, with 0x or without, and whether it is one.
func trimHex(s []byte) ([]byte, bool) {
	if len(s) > 1 && s[0] == '0' && s[1]|' ' == 'x' {
		s = s[2:]
	}
	for _, c := range s {
		if hexDigit[c] > 15 {
			return nil, false
		}
	}
	return s, len(s) > 0
}

// hexDigit holds the value of each hexadecimal digit, and 255 for other characters.
var hexDigit = func() (t [256]uint8) {
	for c := range t {
		t[c] = 255
	}
	for i := range uint8(10) {
		t['0'+i] = i
	}
	for i := range uint8(6) {
		t['a'+i], t['A'+i] = 10+i, 10+i
	}
	return t
}()

// quote makes a line fit for a message.
func quote(line []byte) string {
	if len(line) > maxQuoted {
		return fmt.Sprintf("%q...", line[:maxQuoted])
	}
	return fmt.Sprintf("%q", line)
}
