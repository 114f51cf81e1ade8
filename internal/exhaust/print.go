package exhaust

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Verdict says what a search found, in a line.
func (o *Outcome) Verdict() string {
	switch {
	case o.Failed():
		var kinds []string
		for _, k := range o.Kinds() {
			kinds = append(kinds, k.String())
		}
		return fmt.Sprintf("%s after %s, in %s", strings.Join(kinds, " and "), count(len(o.Path), "step"), count(o.States, "state"))
	case o.Full:
		return fmt.Sprintf("no violation in %s; the bound of states was met at depth %d", count(o.States, "state"), o.Depth)
	case o.Closed:
		return fmt.Sprintf("no violation in %s; they are all there are, at depth %d", count(o.States, "state"), o.Depth-1)
	}
	return fmt.Sprintf("no violation in %s to depth %d; there are more", count(o.States, "state"), o.Depth)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// Print writes the failing steps, with where each leaves the lines.
func (o *Outcome) Print(ctx context.Context, w io.Writer) error {
	steps, err := o.Show(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s fails in %s:\n", o.Strategy.Label(), count(len(o.Path), "step"))
	for i, s := range steps {
		fmt.Fprintf(w, "%4d. %s", i, s.Words)
		if s.Did != "" && i > 0 {
			fmt.Fprintf(w, " (%s)", s.Did)
		}
		fmt.Fprintln(w)
		for l, at := range s.Lines {
			if i == 0 || at != steps[i-1].Lines[l] {
				fmt.Fprintf(w, "        line %d: %s\n", l, at)
			}
		}
	}
	for _, v := range o.Violations {
		fmt.Fprintf(w, "      %v of line %d\n", v.Kind, v.Line)
	}
	return nil
}
