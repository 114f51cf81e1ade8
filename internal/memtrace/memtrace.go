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
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// MaxSize is the size in bytes of the largest access that a trace may hold.
const MaxSize = 4096

const (
	bufferSize   = 128 << 10
	sourceBuffer = 64 << 10  // compressed bytes read at a time
	maxWindow    = 128 << 20 // of zstd; enough for zstd --long
	maxLine      = 4096      // bytes of a line, without its "\n"
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
	name    string
	src     io.Reader // of text
	packing string    // gzip, zstd or none
	file    io.Closer // of Open, or nil
	zstd    *zstd.Decoder

	format     format
	buf        []byte
	start, end int    // buf[start:end] is not parsed yet
	lines      uint64 // parsed
	srcErr     error  // what ended src, for the time when the buffer is parsed
	err        error  // what ended the trace, for all later calls
}

// Open opens the trace at a path; "-" reads stdin.
func Open(path string, stdin io.Reader) (*Reader, error) {
	if path == "-" {
		return New(stdin, "<stdin>")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the trace: %w", err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fmt.Errorf("opening the trace: %s is a directory, want a file", path)
	}
	r, err := New(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.file = f
	return r, nil
}

// New reads the trace in src up to its first record. Errors call the trace by name. Close does not close src.
func New(src io.Reader, name string) (*Reader, error) {
	r := &Reader{name: name}
	if err := r.unpack(src); err != nil {
		return nil, err
	}
	r.buf = make([]byte, bufferSize)
	if err := r.detect(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// magics are the first bytes of compressed files.
var magics = []struct{ begin, packing string }{
	{"\x1f\x8b", "gzip"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\xfd7zXZ\x00", "xz"},
	{"BZh", "bzip2"},
	{"PK\x03\x04", "zip"},
}

// unpack sets the source of text.
func (r *Reader) unpack(src io.Reader) error {
	in := bufio.NewReaderSize(src, sourceBuffer)
	begin, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	for _, m := range magics {
		if bytes.HasPrefix(begin, []byte(m.begin)) {
			r.packing = m.packing
		}
	}
	if len(begin) >= 4 && begin[0]&0xf0 == 0x50 && bytes.Equal(begin[1:4], []byte("\x2a\x4d\x18")) {
		r.packing = "zstd" // begins with a frame to skip, as pzstd writes
	}
	switch r.packing {
	case "":
		r.src = in
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return r.broken(err)
		}
		r.src = z
	case "zstd":
		// One goroutine and little memory is the fastest, too: several only pass blocks around.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return r.broken(err)
		}
		r.src, r.zstd = z, z
	default:
		return fmt.Errorf("%s: compressed by %s: want text, gzip or zstd", r.name, r.packing)
	}
	return nil
}

// Format returns the format of the trace, "lackey" or "din".
func (r *Reader) Format() string { return r.format.String() }

// Close frees the decompressor, and closes the file that Open opened.
func (r *Reader) Close() error {
	if r.zstd != nil {
		r.zstd.Close()
	}
	r.fail(fmt.Errorf("%s: %w", r.name, os.ErrClosed))
	if r.file == nil {
		return nil
	}
	f := r.file
	r.file = nil
	return f.Close()
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
		r.fail(r.broken(r.srcErr))
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

// broken describes an error of the source, and the place where it ended the trace.
func (r *Reader) broken(err error) error {
	at := "at its beginning"
	if r.lines > 0 {
		at = "after " + count(r.lines, "line")
	}
	switch {
	case r.packing == "":
		return fmt.Errorf("%s: %s: %w", r.name, at, err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %s: the %s data is cut off: %w", r.name, at, r.packing, io.ErrUnexpectedEOF)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%s: %s: the zstd window is larger than %d MiB: compress it without --ultra and --long, or decompress it: %w", r.name, at, maxWindow>>20, err)
	default:
		return fmt.Errorf("%s: %s: the %s data is damaged: %w", r.name, at, r.packing, err)
	}
}

func count(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
