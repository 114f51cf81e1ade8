package dramcheck

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Header is the first line of a command trace.
const Header = "clk,cmd,bank,row,col"

const (
	readBuffer = 64 << 10
	maxLine    = 1024 // bytes, with the end of the line
)

// Reader reads a command trace: CSV with the columns of Header, a command a line, plain or gzip. The header may be missing; lines end in "\n" or "\r\n". Bank, row and column are -1 where they have no
// meaning. Reading a line does not allocate.
type Reader struct {
	name string
	src  *bufio.Reader
	line int64
	err  error // for all later calls
}

// NewReader reads from src; errors call it by name.
func NewReader(src io.Reader, name string) (*Reader, error) {
	in := bufio.NewReaderSize(src, readBuffer)
	begin, err := in.Peek(2)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r := &Reader{name: name, src: in}
	if bytes.Equal(begin, []byte("\x1f\x8b")) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("%s: begins as gzip does, but is not: %w", name, err)
		}
		r.src = bufio.NewReaderSize(z, readBuffer)
	}
	return r, nil
}

// Next reads the next command. The error is io.EOF after the last one, and names the file and the line if there is a mistake.
func (r *Reader) Next(c *Command) error {
	if r.err != nil {
		return r.err
	}
	text, err := r.readLine()
	if err == nil && r.line == 1 && string(text) == Header {
		text, err = r.readLine()
	}
	if err == nil {
		err = r.parse(text, c)
	}
	r.err = err
	return err
}

// readLine returns a line without its end.
func (r *Reader) readLine() ([]byte, error) {
	text, err := r.src.ReadSlice('\n')
	if len(text) == 0 && err == io.EOF {
		return nil, io.EOF
	}
	r.line++
	switch {
	case errors.Is(err, bufio.ErrBufferFull) || len(text) > maxLine:
		return nil, fmt.Errorf("%s:%d: found a line of more than %d bytes, expected %s", r.name, r.line, maxLine, Header)
	case err != nil && err != io.EOF:
		return nil, fmt.Errorf("%s:%d: %w", r.name, r.line, err)
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	return bytes.TrimSuffix(text, []byte("\r")), nil
}

func (r *Reader) parse(text []byte, c *Command) error {
	var fields [5][]byte
	rest := text
	for i := range fields {
		comma := bytes.IndexByte(rest, ',')
		if last := i == len(fields)-1; last != (comma < 0) {
			return r.expected(text, "five fields, "+Header)
		}
		if comma < 0 {
			comma = len(rest)
		}
		fields[i] = rest[:comma]
		rest = rest[min(comma+1, len(rest)):]
	}
	var ok bool
	if c.Clk, ok = number(fields[0]); !ok || c.Clk < 0 {
		if r.line == 1 {
			return r.expected(text, "the header "+Header+" or a command")
		}
		return r.expected(fields[0], "the clock, a whole number from 0")
	}
	if c.Kind, ok = kindOf(fields[1]); !ok {
		return &UnknownCommandError{File: r.name, Line: r.line, Name: string(fields[1])}
	}
	var bank int64
	if bank, ok = number(fields[2]); !ok || bank < -1 || bank > maxBanks {
		return r.expected(fields[2], "the bank, a whole number, -1 for all")
	}
	c.Bank = int(bank)
	if c.Row, ok = number(fields[3]); !ok || c.Row < -1 {
		return r.expected(fields[3], "the row, a whole number, -1 for none")
	}
	if c.Col, ok = number(fields[4]); !ok || c.Col < -1 {
		return r.expected(fields[4], "the column, a whole number, -1 for none")
	}
	return nil
}

func (r *Reader) expected(found []byte, what string) error {
	return fmt.Errorf("%s:%d: found %s, expected %s", r.name, r.line, quote(string(found)), what)
}

// quote quotes the beginning of a text.
func quote(text string) string {
	const most = 40
	if len(text) <= most {
		return strconv.Quote(text)
	}
	return strconv.Quote(text[:most]) + "..."
}

// UnknownCommandError is a command of a trace that has no such name.
type UnknownCommandError struct {
	File string
	Line int64
	Name string
}

func (e *UnknownCommandError) Error() string {
	return fmt.Sprintf("%s:%d: found command %s, expected one of %s", e.File, e.Line, quote(e.Name), strings.Join(KindNames(), ", "))
}

func kindOf(name []byte) (Kind, bool) {
	for k, n := range kindNames {
		if k > 0 && string(name) == n {
			return Kind(k), true
		}
	}
	return 0, false
}

// number reads a decimal whole number below maxClock.
func number(text []byte) (int64, bool) {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	var n uint64 // ten times maxClock fits
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		if n = n*10 + uint64(d-'0'); n >= maxClock {
			return 0, false
		}
	}
	if len(digits) < len(text) {
		return -int64(n), true
	}
	return int64(n), true
}
