// Package dramtrace reads recorded requests to a memory: text, a request a line, of an address, READ or WRITE, and the clock of the memory at which it arrives.
//
//	0x1000040 READ 7
//	0x2000000 WRITE 12
//
// Addresses are hexadecimal, with 0x or without; the type may be in small letters. Lines end in "\n" or "\r\n"; blank lines and those that begin with '#' say nothing. gzip and zstd are recognised by
// their first bytes. Clocks that run back are not an error: a request arrives when the one before it has been accepted.
//
// The cost is some 100 ns a request and no allocation; the memory is two buffers, and the window of the compressed file, whatever the length of the trace.
package dramtrace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"socsim/internal/packed"
)

const (
	bufferSize = 64 << 10
	maxLine    = 4096
	maxQuoted  = 60 // bytes of a line in a message
)

// MaxClock bounds arrival clocks, so that the clocks of a run can be added without a thought of overflow.
const MaxClock = 1 << 50

// Request is one request.
type Request struct {
	Addr    uint64
	Arrival int64
	Write   bool
}

// Reader reads a trace. It is not safe for concurrent use.
type Reader struct {
	name string
	src  *packed.Source
	in   *bufio.Reader
	line uint64
	some bool
	err  error
}

// Open opens the trace at a path; "-" reads stdin.
func Open(path string, stdin io.Reader) (*Reader, error) {
	src, err := packed.Open(path, stdin)
	if err != nil {
		return nil, err
	}
	return begin(src), nil
}

// New reads the trace in src. Errors call it by name. Close does not close src.
func New(src io.Reader, name string) (*Reader, error) {
	s, err := packed.New(src, name)
	if err != nil {
		return nil, err
	}
	return begin(s), nil
}

func begin(src *packed.Source) *Reader {
	return &Reader{name: src.Name(), src: src, in: bufio.NewReaderSize(src, bufferSize)}
}

// Close frees the decompressor, and closes the file that Open opened.
func (r *Reader) Close() error {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", r.name, os.ErrClosed)
	}
	return r.src.Close()
}

// Next returns the next request; io.EOF at the end of a trace that has any.
func (r *Reader) Next() (Request, error) {
	for r.err == nil {
		line, err := r.in.ReadSlice('\n')
		switch {
		case err == nil:
			line = line[:len(line)-1]
		case err == io.EOF && len(line) > 0: // the last line has no end
		case err == io.EOF && !r.some:
			r.err = fmt.Errorf("%s: no request in %d lines: want lines such as \"0x1000040 READ 7\"", r.name, r.line)
			continue
		case err == io.EOF:
			r.err = io.EOF
			continue
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			r.err = r.src.Broken(err, r.line)
			continue
		}
		r.line++
		if len(line) > maxLine {
			r.err = fmt.Errorf("%s:%d: %s: the line has over %d bytes: this is no trace of memory requests", r.name, r.line, quote(line), maxLine)
			continue
		}
		req, ok, bad := parse(line)
		switch {
		case bad != "":
			r.err = fmt.Errorf("%s:%d: %s: %s", r.name, r.line, quote(line), bad)
		case ok:
			r.some = true
			return req, nil
		}
	}
	return Request{}, r.err
}

func quote(line []byte) string {
	if len(line) > maxQuoted {
		return strconv.Quote(string(line[:maxQuoted])) + "..."
	}
	return strconv.Quote(string(bytes.TrimSuffix(line, []byte("\r"))))
}

// What parse says about a bad line.
const (
	wantLine  = `want an address, READ or WRITE, and an arrival clock, as in "0x1000040 READ 7"`
	badAddr   = "the address is no hexadecimal number of at most 64 bits"
	badType   = "want READ or WRITE"
	badClock  = "want an arrival clock, a decimal number of at most 2^50"
	badBinary = "binary data: want text, or text compressed by gzip or zstd"
)

// parse reads a line; it returns false for one that says nothing, and says why one is bad.
func parse(line []byte) (req Request, ok bool, bad string) {
	var fields [4][]byte
	n := split(line, &fields)
	if n == 0 || fields[0][0] == '#' {
		return Request{}, false, ""
	}
	if n != 3 {
		return Request{}, false, explain(line, wantLine)
	}
	if req.Addr, ok = hex(fields[0]); !ok {
		return Request{}, false, explain(line, badAddr)
	}
	switch {
	case is(fields[1], "READ"):
	case is(fields[1], "WRITE"):
		req.Write = true
	default:
		return Request{}, false, explain(line, badType)
	}
	if req.Arrival, ok = clock(fields[2]); !ok {
		return Request{}, false, explain(line, badClock)
	}
	return req, true, ""
}

func explain(line []byte, why string) string {
	if bytes.ContainsFunc(line, func(c rune) bool { return c < ' ' && c != '\t' && c != '\r' }) {
		return badBinary
	}
	return why
}

// split finds the fields of a line, and returns their number, of which more than there is room for are one more.
func split(line []byte, fields *[4][]byte) int {
	n, i := 0, 0
	for {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') {
			i++
		}
		if i == len(line) || n == len(fields) {
			return n
		}
		begin := i
		for i < len(line) && line[i] != ' ' && line[i] != '\t' && line[i] != '\r' {
			i++
		}
		fields[n] = line[begin:i]
		n++
	}
}

func hex(s []byte) (uint64, bool) {
	if len(s) > 2 && s[0] == '0' && s[1]|' ' == 'x' {
		s = s[2:]
	}
	if len(s) == 0 {
		return 0, false
	}
	var v uint64
	for _, c := range s {
		var d byte
		switch {
		case '0' <= c && c <= '9':
			d = c - '0'
		case 'a' <= c|' ' && c|' ' <= 'f':
			d = c | ' ' - 'a' + 10
		default:
			return 0, false
		}
		if v>>60 != 0 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return v, true
}

func clock(s []byte) (int64, bool) {
	if len(s) == 0 {
		return 0, false
	}
	var v int64
	for _, c := range s {
		if c < '0' || '9' < c {
			return 0, false
		}
		if v = v*10 + int64(c-'0'); v > MaxClock {
			return 0, false
		}
	}
	return v, true
}

// is compares without regard to case.
func is(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i := range s {
		if s[i]&^' ' != word[i] {
			return false
		}
	}
	return true
}
