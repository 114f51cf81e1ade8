package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"socsim/soc/flush"
)

// Strategies prints a table of strategies: what each does, its parameters with their defaults, where it shipped and where that is written.
func Strategies(w io.Writer, list []flush.Info) error {
	t := table.NewWriter()
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	style.Options.SeparateRows = true
	t.SetStyle(style)
	var configs []table.ColumnConfig
	const paramWidth = 44
	for i, width := range []int{18, 50, 0, 22, 34} { // parameters are wrapped one by one
		if width > 0 {
			configs = append(configs, table.ColumnConfig{Number: i + 1, WidthMax: width, WidthMaxEnforcer: text.WrapSoft})
		}
	}
	t.SetColumnConfigs(configs)
	t.AppendHeader(table.Row{"strategy", "what it does", "parameters", "shipped in", "source"})
	for _, s := range list {
		var params []string
		for _, p := range s.Params {
			params = append(params, text.WrapSoft(fmt.Sprintf("%s=%s: %s", p.Name, p.Default, p.Doc), paramWidth))
		}
		t.AppendRow(table.Row{s.Name, s.Doc, orAbsent(strings.Join(params, "\n")), orAbsent(s.Shipped), s.Source})
	}
	_, err := fmt.Fprintln(w, t.Render())
	return err
}

func orAbsent(s string) string {
	if s == "" {
		return absent
	}
	return s
}

// parameter and strategy are how the list appears in JSON.
type parameter struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Default string   `json:"default"`
	Doc     string   `json:"doc"`
	Choices []string `json:"choices,omitempty"`
}

type strategy struct {
	Name       string      `json:"name"`
	Doc        string      `json:"doc"`
	Shipped    string      `json:"shipped,omitempty"`
	Source     string      `json:"source"`
	Parameters []parameter `json:"parameters"`
	InAll      bool        `json:"in_all"`
}

// StrategiesJSON writes the same as an array. in_all tells whether "all" stands for the strategy, too.
func StrategiesJSON(w io.Writer, list []flush.Info) error {
	out := []strategy{}
	for _, s := range list {
		params := []parameter{}
		for _, p := range s.Params {
			params = append(params, parameter{p.Name, string(p.Type), p.Default, p.Doc, p.Choices})
		}
		out = append(out, strategy{s.Name, s.Doc, s.Shipped, s.Source, params, !s.Baseline})
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(out)
}
