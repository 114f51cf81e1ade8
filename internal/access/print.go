package access

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"socsim/sim"
)

// MarshalJSON writes the total as a number of picoseconds.
func (r Report) MarshalJSON() ([]byte, error) {
	type plain Report
	return json.Marshal(struct {
		plain
		Total int64 `json:"total_ps"`
	}{plain(r), int64(r.Total)})
}

// MarshalJSON writes the time as a number of picoseconds.
func (t Term) MarshalJSON() ([]byte, error) {
	type plain Term
	return json.Marshal(struct {
		plain
		Time int64 `json:"ps"`
	}{plain(t), int64(t.Time)})
}

// MarshalJSON writes the time as a number of picoseconds.
func (a After) MarshalJSON() ([]byte, error) {
	type plain After
	return json.Marshal(struct {
		plain
		Time int64 `json:"ps"`
	}{plain(a), int64(a.Time)})
}

// JSON writes the report as a document.
func (r *Report) JSON(w io.Writer) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("printing the access: %w", err)
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// Table writes the report as text.
func (r *Report) Table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\n", r.Access)
	for _, facts := range [][]Fact{r.Address, r.Lookups} {
		fmt.Fprintln(t)
		for _, f := range facts {
			fmt.Fprintf(t, "  %s\t%s\n", f.What, f.Text)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if err := table(w, r.Terms); err != nil {
		return err
	}
	fmt.Fprintf(w, "\ntotal %s ns = %s core cycles\n", nanoseconds(r.Total), cycles(r.Total, r.Clock))
	if len(r.Memory) > 0 {
		fmt.Fprint(w, "\nA barrier right behind it waits until memory has the data:\n")
		if err := table(w, r.Memory); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, a := range r.Then {
		if _, err := fmt.Fprintf(w, "%s: %s ns\n", a.What, nanoseconds(a.Time)); err != nil {
			return err
		}
	}
	for _, x := range slices.Concat(r.Terms, r.Memory) {
		if x.Estimated {
			_, err := fmt.Fprintf(w, "* no source backs this value; socsim explain %s --soc %s tells why it was chosen\n", x.Setting, r.SoC)
			return err
		}
	}
	return nil
}

// table writes terms with their running sum.
func table(w io.Writer, terms []Term) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\n  \tterm\tsetting\tvalue\tformula\t        ns\t       sum\n")
	var sum sim.Time
	part := ""
	for _, x := range terms {
		shown := x.Part
		if shown == part {
			shown = ""
		}
		part = x.Part
		sum += x.Time
		formula := x.Formula
		if x.Count > 1 {
			formula = fmt.Sprintf("%d x %s", x.Count, formula)
		}
		if x.Estimated {
			x.Value += "*"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%10s\t%10s\n", shown, x.Name, x.Setting, x.Value, formula, nanoseconds(x.Time), nanoseconds(sum))
	}
	return t.Flush()
}

// nanoseconds prints a time to the picosecond.
func nanoseconds(t sim.Time) string {
	sign := ""
	if t < 0 {
		sign, t = "-", -t
	}
	return fmt.Sprintf("%s%d.%03d", sign, t/sim.Nanosecond, t%sim.Nanosecond)
}

// cycles prints a time in cycles of a clock, to a tenth.
func cycles(t sim.Time, hz int64) string {
	tenths := (int64(t)/1000*(hz/1000) + int64(t)%1000*(hz/1000)/1000 + 50_000) / 100_000
	return fmt.Sprintf("%d.%d", tenths/10, tenths%10)
}
