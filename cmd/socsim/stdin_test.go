package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A pipe that is open and says nothing more must not hold up an interrupt, and what was read before is told.
func TestAnInterruptEndsTheWaitForStandardInput(t *testing.T) {
	for _, c := range []struct {
		name    string
		new     func() *cobra.Command
		args    string
		input   string
		message string
		stdout  string
	}{
		{"cache replay", newCache, "replay - --l1 32KiB,4,64", "", "interrupted before the first access", ""},
		{"dram replay", newDRAM, "replay - --preset lpddr-333-x32", "", "interrupted before the first request", ""},
		{"dram replay, begun", newDRAM, "replay - --preset lpddr-333-x32", "0x40 READ 1\n0x80 READ 2\n", "interrupted: the figures are of the first 2 requests", "reads"},
		{"dram verify", newDRAM, "verify -", "", "interrupted: - is not checked to its end", ""},
		{"dram verify, begun", newDRAM, "verify -", "9,activate,3,2048,0\n12,read,3,2048,0\n", "interrupted: - is not checked to its end", "legal so far"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			cmd, out := c.new(), new(bytes.Buffer)
			cmd.SetArgs(strings.Fields(c.args))
			cmd.SetIn(&silent{strings.NewReader(c.input), cancel})
			cmd.SetOut(out)
			cmd.SilenceErrors, cmd.SilenceUsage = true, true
			err := cmd.ExecuteContext(ctx)
			var code *codeError
			if !errors.As(err, &code) || code.code != exitUnfinish || err.Error() != c.message {
				t.Errorf("%v, want %q with code %d", err, c.message, exitUnfinish)
			}
			if !strings.Contains(out.String(), c.stdout) || c.stdout == "" && out.Len() > 0 {
				t.Errorf("printed %q, want %q", out, c.stdout)
			}
		})
	}
}

// silent gives its text, then interrupts and blocks for ever.
type silent struct {
	text      io.Reader
	interrupt func()
}

func (s *silent) Read(p []byte) (int, error) {
	if n, err := s.text.Read(p); err == nil {
		return n, nil
	}
	s.interrupt()
	select {}
}
