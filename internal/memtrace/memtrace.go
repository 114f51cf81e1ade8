// Package memtrace reads recorded memory accesses: what valgrind's lackey prints with --trace-mem=yes, and din traces. Both are text, a record a line.
//
//	I  04001000,3        lackey: instruction fetch; address in hexadecimal, bytes in decimal
//	 L 1ffeffe7e8,8      load; likewise " S", a store, and " M", a load and a store of the same bytes
//
//	2 408ed4             din: label and address, in hexadecimal: 0 or r reads, 1 or w writes, 2 or i fetches an instruction, 4 flushes
//	0 0x7f001000 8       the bytes, in hexadecimal, are 4 if not given
//
// The first record tells the format. Lines end in "\n" or "\r\n". Blank lines and those that begin with '#' say nothing; nor, in lackey, do valgrind's messages ("==12== ...") and superblocks
// ("SB 04001000"). In din, a comment may follow a record. gzip and zstd are recognised by their first bytes.
//
// The cost is a few nanoseconds a record and no allocation; the memory is a buffer and, for zstd, the window of the file (8 MiB as zstd writes by default), whatever the length of the trace.
package memtrace

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"socsim/internal/packed"
)

// MaxSize is the size in bytes of the largest access that a trace may hold.
const MaxSize = 4096

const (
	bufferSize = 128 << 10
	maxLine    = 4096 // bytes of a line, without its "\n"
)

// Kind is what a record does.
type Kind uint8

// The kinds of records. Flush is label 4 of din: the caches are emptied; its address and size have no meaning.
const (
	Instr  Kind = iota // instruction fetch
	Load               // data read
	Store              // data write
	Modify             // read, then write of the same bytes; in lackey alone
	Flush
)

// Record is one access of the trace. Size is 1 to MaxSize, and the last byte is inside the address space.
type Record struct {
	Addr uint64
	Size uint32
	Kind Kind
}

type format uint8

const (
	unknown format = iota
	lackey
	din
)

func (f format) String() string { return [...]string{"unknown", "lackey", "din"}[f] }

// Reader reads a trace. It is not safe for concurrent use.
type Reader struct {
	name string
	src  *packed.Source

	format     format
	buf        []byte
	start, end int    // buf[start:end] is not parsed yet
	lines      uint64 // parsed
	srcErr     error  // what ended src, for the time when the buffer is parsed
	err        error  // what ended the trace, for all later calls
}

// Open opens the trace at a path; "-" reads stdin.
func Open(path string, stdin io.Reader) (*Reader, error) {
	src, err := packed.Open(path, stdin)
	if err != nil {
		return nil, err
	}
	return begin(src)
}

// New reads the trace in src up to its first record. Errors call the trace by name. Close does not close src.
func New(src io.Reader, name string) (*Reader, error) {
	s, err := packed.New(src, name)
	if err != nil {
		return nil, err
	}
	return begin(s)
}

func begin(src *packed.Source) (*Reader, error) {
	r := &Reader{name: src.Name(), src: src, buf: make([]byte, bufferSize)}
	if err := r.detect(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Format returns the format of the trace, "lackey" or "din".
func (r *Reader) Format() string { return r.format.String() }

// Close frees the decompressor, and closes the file that Open opened.
func (r *Reader) Close() error {
	r.fail(fmt.Errorf("%s: %w", r.name, os.ErrClosed))
	return r.src.Close()
}

// Next reads records into batch, until it is full or the trace ends, and returns their number. At the end it returns 0 and io.EOF; at an error, 0 and the error, after the records before it were
// returned. An empty batch is never filled: it gets 0 and nil until the trace ends.
func (r *Reader) Next(batch []Record) (int, error) {
	n := 0
	for n < len(batch) && r.err == nil {
		switch r.format {
		case lackey:
			n += r.fastLackey(batch[n:])
		case din:
			n += r.fastDin(batch[n:])
		}
		if n == len(batch) {
			break
		}
		if r.end-r.start < fastBytes && r.srcErr == nil {
			r.fill()
			continue
		}
		if rec, ok := r.step(); ok {
			batch[n] = rec
			n++
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// fail ends the trace, unless something else ended it before.
func (r *Reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// detect finds the format by reading up to the first record, which it leaves in the buffer.
func (r *Reader) detect() error {
	for r.err == nil {
		before, lines := r.start, r.lines
		if _, ok := r.step(); ok {
			r.start, r.lines = before, lines
			return nil
		}
	}
	if r.err == io.EOF {
		return fmt.Errorf("%s: no record in %s: want a trace of lackey or din", r.name, count(r.lines, "line"))
	}
	return r.err
}

// step parses a line of any kind, or reads on where the buffer holds none. It returns false if that gave no record.
func (r *Reader) step() (Record, bool) {
	line, ok := r.line()
	if !ok {
		return Record{}, false
	}
	rec, ok, bad := parse(line, &r.format)
	if bad != "" {
		r.fail(fmt.Errorf("%s:%d: %s: %s", r.name, r.lines, quote(line), bad))
	}
	return rec, ok
}

// fill reads on, behind what is in the buffer, which must not be full. At the end of the source it sets srcErr.
func (r *Reader) fill() {
	if len(r.buf)-r.end < len(r.buf)/2 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	for range 100 {
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		r.srcErr = err
		if n > 0 || err != nil {
			return
		}
	}
	r.srcErr = io.ErrNoProgress
}

// line takes the next line out of the buffer, without its end. Without a line it returns false, after having read on or ended the trace. The line is valid until the next call of fill.
func (r *Reader) line() ([]byte, bool) {
	rest := r.buf[r.start:r.end]
	n := bytes.IndexByte(rest[:min(len(rest), maxLine+1)], '\n')
	switch {
	case n >= 0:
		r.start += n + 1
	case len(rest) > maxLine:
		r.lines++
		r.fail(fmt.Errorf("%s:%d: %s: the line has over %d bytes: this is no trace of lackey or din", r.name, r.lines, quote(rest[:maxLine]), maxLine))
		return nil, false
	case r.srcErr == nil:
		r.fill()
		return nil, false
	case r.srcErr != io.EOF:
		r.fail(r.src.Broken(r.srcErr, r.lines))
		return nil, false
	case len(rest) == 0:
		r.fail(io.EOF)
		return nil, false
	default: // the last line has no end
		n = len(rest)
		r.start = r.end
	}
	r.lines++
	line := rest[:n]
	if n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, true
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
