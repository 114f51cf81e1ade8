// Package packed opens traces that may be compressed: text, or text packed by gzip or zstd, which are recognised by their first bytes, from a file or from standard input. It reads as a stream: the
// memory is two buffers, and for zstd the window of the file (8 MiB as zstd writes by default).
package packed

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

const (
	sourceBuffer = 64 << 10  // packed bytes read at a time
	maxWindow    = 128 << 20 // of zstd; enough for zstd --long
)

// Source is the text of a trace. It is not safe for concurrent use.
type Source struct {
	io.Reader
	name    string
	packing string // gzip, zstd or none
	file    io.Closer
	zstd    *zstd.Decoder
}

// Open opens the trace at a path; "-" reads stdin.
func Open(path string, stdin io.Reader) (*Source, error) {
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
	s, err := New(f, path)
	if err != nil {
		f.Close()
		return nil, err
	}
	s.file = f
	return s, nil
}

// magics are the first bytes of packed files.
var magics = []struct{ begin, packing string }{
	{"\x1f\x8b", "gzip"},
	{"\x28\xb5\x2f\xfd", "zstd"},
	{"\xfd7zXZ\x00", "xz"},
	{"BZh", "bzip2"},
	{"PK\x03\x04", "zip"},
}

// New unpacks src. Errors call it by name. Close does not close src.
func New(src io.Reader, name string) (*Source, error) {
	s := &Source{name: name}
	in := bufio.NewReaderSize(src, sourceBuffer)
	begin, err := in.Peek(6)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, m := range magics {
		if bytes.HasPrefix(begin, []byte(m.begin)) {
			s.packing = m.packing
		}
	}
	if len(begin) >= 4 && begin[0]&0xf0 == 0x50 && bytes.Equal(begin[1:4], []byte("\x2a\x4d\x18")) {
		s.packing = "zstd" // begins with a frame to skip, as pzstd writes
	}
	switch s.packing {
	case "":
		s.Reader = in
	case "gzip":
		if s.Reader, err = gzip.NewReader(in); err != nil {
			return nil, s.Broken(err, 0)
		}
	case "zstd":
		// One goroutine and little memory is the fastest, too: several only pass blocks around.
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, s.Broken(err, 0)
		}
		s.Reader, s.zstd = z, z
	default:
		return nil, fmt.Errorf("%s: compressed by %s: want text, gzip or zstd", name, s.packing)
	}
	return s, nil
}

// Name returns what errors call the trace.
func (s *Source) Name() string { return s.name }

// Packing returns "gzip", "zstd", or "" for plain text.
func (s *Source) Packing() string { return s.packing }

// Close frees the decompressor, and closes the file that Open opened. It may be called again.
func (s *Source) Close() error {
	if s.zstd != nil {
		s.zstd.Close()
	}
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file = nil
	return f.Close()
}

// Broken describes an error of the source, and the place where it ended the trace: after so many lines.
func (s *Source) Broken(err error, lines uint64) error {
	at := "at its beginning"
	switch {
	case lines == 1:
		at = "after 1 line"
	case lines > 1:
		at = fmt.Sprintf("after %d lines", lines)
	}
	switch {
	case s.packing == "":
		return fmt.Errorf("%s: %s: %w", s.name, at, err)
	case errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %s: the %s data is cut off: %w", s.name, at, s.packing, io.ErrUnexpectedEOF)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%s: %s: the zstd window is larger than %d MiB: compress it without --ultra and --long, or decompress it: %w", s.name, at, maxWindow>>20, err)
	default:
		return fmt.Errorf("%s: %s: the %s data is damaged: %w", s.name, at, s.packing, err)
	}
}
