// Command socsim simulates a system-on-chip whose devices share buffers with a CPU that they do not snoop, and tells what cache maintenance costs and whether it is correct.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailed   = 1 // ran, but an expectation failed
	exitUsage    = 2 // the request or the scenario is wrong
	exitUnfinish = 3 // could not finish
)

// codeError is an error that chose its exit code.
type codeError struct {
	code int
	err  error // nil if everything to say was said
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

func main() {
	os.Exit(mainCode(os.Args[1:], os.Stdout, os.Stderr))
}

// mainCode runs the command line and returns the exit code.
func mainCode(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // the latter is how a runner cancels a job
	defer stop()
	// A second interrupt ends the process at once.
	context.AfterFunc(ctx, stop)
	root := newRoot(stdout, stderr)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var ce *codeError
	if !errors.As(err, &ce) {
		// cobra's own errors: unknown commands and flags.
		fmt.Fprintf(stderr, "socsim: %v\n", err)
		return exitUsage
	}
	if ce.err != nil {
		fmt.Fprintf(stderr, "socsim: %v\n", ce.err)
	}
	return ce.code
}

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "socsim",
		Short: "What does cache maintenance cost, and is it correct?",
		Long: `socsim simulates an OMAP3-class system-on-chip: a Cortex-A8 with its caches, the
interconnect, LPDDR, and a camera ISP, a GPU and a display that share buffers
through dma-buf and do not snoop the caches. It tells which buffer-sharing and
cache-maintenance strategy is correct, and what each costs.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().Bool("no-color", false, "never use colours (so does the environment variable NO_COLOR)")
	root.AddCommand(newRun(), newCheck(), newCompare(), newCalibrate(), newFuzz(), newCache(), newDRAM(), newList(), newShow(), newExplain(), newSchema(), newInit(), newVersion())
	return root
}

// badRequest marks an error of reading what the user asked for: the user's, unless it was interrupted.
func badRequest(err error) error {
	if errors.Is(err, context.Canceled) {
		return &codeError{exitUnfinish, errors.New("interrupted while reading the scenario")}
	}
	return usage(err)
}

// usage marks an error as the user's.
func usage(err error) error { return &codeError{exitUsage, err} }
