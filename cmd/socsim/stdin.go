package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"
)

// stdin is a command's standard input, which ends with the command's context. It reads nothing before the first Read.
func stdin(cmd *cobra.Command) io.Reader {
	return &cancelable{ctx: cmd.Context(), src: cmd.InOrStdin()}
}

// cancelable reads a source that may block for long, such as a terminal or a pipe, until the context ends. Reading begins with the first Read.
type cancelable struct {
	ctx    context.Context
	src    io.Reader
	blocks chan block
	rest   []byte
	err    error
}

type block struct {
	data []byte
	err  error
}

// Read returns what the source gives, or the context's error.
func (c *cancelable) Read(p []byte) (int, error) {
	if c.blocks == nil {
		c.blocks = make(chan block, 4)
		go c.pump()
	}
	for len(c.rest) == 0 {
		if c.err != nil {
			return 0, c.err
		}
		var b block
		select {
		case b = <-c.blocks:
		case <-c.ctx.Done():
			select {
			case b = <-c.blocks: // came before the end
			default:
				return 0, c.ctx.Err()
			}
		}
		c.rest, c.err = b.data, b.err
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// pump reads ahead. It ends with the source or with the context; if the source blocks for ever, with the process.
func (c *cancelable) pump() {
	for {
		data := make([]byte, 64<<10)
		n, err := c.src.Read(data)
		select {
		case c.blocks <- block{data[:n], err}:
		case <-c.ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}
