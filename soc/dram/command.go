package dram

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// Kind is a command to the memory.
type Kind uint8

// The kinds of command. Those with auto-precharge close the row by themselves.
const (
	Activate Kind = iota
	Precharge
	Read
	ReadPrecharge
	Write
	WritePrecharge
	Refresh // of all banks
)

func (k Kind) String() string {
	return [...]string{"activate", "precharge", "read", "read_p", "write", "write_p", "refresh"}[k]
}

// Command is one command on a channel's command bus. What a command has not is -1: the bank, row and column of a refresh; the row and column of a precharge. The row and column of an activate or a
// precharge are those of the access it is given for, which a precharge before a refresh has not. Columns count in bursts.
type Command struct {
	Clk      int64
	Kind     Kind
	Channel  int
	Bank     int
	Row, Col int64
}

// Observer is shown each command. Those of one call are in no order of clocks; see [Sorter].
type Observer func(Command)

// Sorter puts commands into the order of their clocks. The in-order controller fixes the times of a request's commands when it accepts the request, when older requests may have commands to come: a
// Sorter holds commands back until no earlier one can follow. O(log n) for n commands held, no more than a few a transaction in flight; nothing is allocated once it has grown.
type Sorter struct {
	heap []held
	next Observer
	n    uint64
}

type held struct {
	Command
	seq uint64
}

// NewSorter passes commands on to next.
func NewSorter(next Observer) *Sorter { return &Sorter{next: next} }

// Add holds a command.
func (s *Sorter) Add(c Command) {
	s.n++
	h := append(s.heap, held{c, s.n})
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	s.heap = h
}

func (c *held) before(d *held) bool {
	return c.Clk < d.Clk || c.Clk == d.Clk && c.seq < d.seq
}

// Release passes on what comes before clock clk: no command before it will be added.
func (s *Sorter) Release(clk int64) {
	for len(s.heap) > 0 && s.heap[0].Clk < clk {
		s.next(s.heap[0].Command)
		n := len(s.heap) - 1
		s.heap[0] = s.heap[n]
		h := s.heap[:n]
		s.heap = h
		for i := 0; ; {
			least := i
			for _, k := range [...]int{2*i + 1, 2*i + 2} {
				if k < n && h[k].before(&h[least]) {
					least = k
				}
			}
			if least == i {
				break
			}
			h[i], h[least] = h[least], h[i]
			i = least
		}
	}
}

// Flush passes on all there is.
func (s *Sorter) Flush() { s.Release(1<<63 - 1) }

// CSV writes commands as lines of clk,cmd,bank,row,col, with the channel behind them where there are several.
type CSV struct {
	w        *bufio.Writer
	line     []byte
	channels bool
	err      error
}

// NewCSV writes the head.
func NewCSV(w io.Writer, channels int) *CSV {
	c := &CSV{w: bufio.NewWriter(w), channels: channels > 1}
	head := "clk,cmd,bank,row,col"
	if c.channels {
		head += ",channel"
	}
	c.line = append(c.line, head+"\n"...)
	c.flushLine()
	return c
}

// Write writes a command. Errors are kept for Close.
func (c *CSV) Write(cmd Command) {
	b := strconv.AppendInt(c.line[:0], cmd.Clk, 10)
	b = append(b, ',')
	b = append(b, cmd.Kind.String()...)
	for _, n := range [...]int64{int64(cmd.Bank), cmd.Row, cmd.Col} {
		b = strconv.AppendInt(append(b, ','), n, 10)
	}
	if c.channels {
		b = strconv.AppendInt(append(b, ','), int64(cmd.Channel), 10)
	}
	c.line = append(b, '\n')
	c.flushLine()
}

func (c *CSV) flushLine() {
	if _, err := c.w.Write(c.line); err != nil && c.err == nil {
		c.err = err
	}
}

// Close writes what is left and returns the first error. It does not close the writer below.
func (c *CSV) Close() error {
	if err := c.w.Flush(); err != nil && c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return fmt.Errorf("writing commands: %w", c.err)
	}
	return nil
}
