package strategy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"socsim/internal/conf"
	"socsim/soc/flush"
)

// allName stands for all strategies in a list.
const allName = "all"

// Parse reads a list of strategies as the command line has it: NAME, NAME(PARAM=VALUE,...), @FILE or @FILE(PARAM=VALUE,...), separated by commas, or all. Files are looked for in dir. A strategy that is
// there twice counts once. All mistakes are reported at once.
func Parse(list, dir string) ([]flush.Info, error) {
	items, err := split(list)
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("no strategy is named; there are %s, and %s", strings.Join(Names(), ", "), allName)
	}
	var out []flush.Info
	var errs []error
	from := map[string]string{} // label -> what was written
	add := func(i flush.Info, written string) {
		label := i.Label()
		switch old, there := from[label]; {
		case !there:
			from[label] = written
			out = append(out, i)
		case old != written && strings.HasPrefix(label, "@"):
			errs = append(errs, fmt.Errorf("%s and %s both give %s, and their results could not be told apart; change the name in one of the files", old, written, label))
		}
	}
	for _, item := range items {
		if item == allName {
			for _, i := range All() {
				add(i, i.Name)
			}
			continue
		}
		i, err := One(item, dir)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		add(i, item)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return out, nil
}

// One reads a single strategy.
func One(text, dir string) (flush.Info, error) {
	text = strings.TrimSpace(text)
	name, args, err := cut(text)
	if err != nil {
		return flush.Info{}, err
	}
	var i flush.Info
	if path, isFile := strings.CutPrefix(name, "@"); isFile {
		if path == "" {
			return flush.Info{}, fmt.Errorf("strategy %q: a file name is missing behind @", shorten(text))
		}
		i, err = open(path, dir)
	} else {
		i, err = byNameOrHint(name)
	}
	if err != nil {
		return flush.Info{}, err
	}
	return configure(i, args)
}

// byNameOrHint is ByName with more advice.
func byNameOrHint(name string) (flush.Info, error) {
	switch {
	case name == "":
		return flush.Info{}, fmt.Errorf("a strategy has no name; there are %s", strings.Join(Names(), ", "))
	case name == allName:
		return flush.Info{}, fmt.Errorf("%s stands for many strategies, and here one is wanted; there are %s", allName, strings.Join(Names(), ", "))
	}
	i, err := ByName(name)
	switch {
	case err == nil:
	case strings.HasSuffix(name, ".yaml"):
		err = fmt.Errorf("%w; a rule table in a file is written @%s", err, name)
	case conf.Nearest(name, []string{allName}) != "" && conf.Nearest(name, Names()) == "":
		err = fmt.Errorf("%w; did you mean %q?", err, allName)
	}
	return i, err
}

// cut takes a strategy apart: its name, and what stands in parentheses behind it.
func cut(text string) (name string, args []string, err error) {
	body, closed := strings.CutSuffix(text, ")")
	open := strings.LastIndexByte(body, '(')
	if !closed || open < 0 {
		if !strings.HasPrefix(text, "@") && strings.ContainsAny(text, "()") {
			return "", nil, fmt.Errorf("strategy %q: parameters stand in parentheses at the end: NAME(PARAM=VALUE,...)", shorten(text))
		}
		return text, nil, nil
	}
	name = strings.TrimSpace(body[:open])
	if !strings.HasPrefix(name, "@") && strings.ContainsAny(name, "()") {
		return "", nil, fmt.Errorf("strategy %q: parameters stand in one pair of parentheses: NAME(PARAM=VALUE,...)", shorten(text))
	}
	if strings.TrimSpace(body[open+1:]) != "" {
		args = strings.Split(body[open+1:], ",")
	}
	return name, args, nil
}

// configure sets parameters.
func configure(i flush.Info, args []string) (flush.Info, error) {
	var errs []error
	var seen []string
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		p, known := i.Param(name)
		switch {
		case !ok || name == "":
			errs = append(errs, fmt.Errorf("strategy %s: %q is no parameter: write PARAM=VALUE%s", i.Name, shorten(arg), parameters(i)))
			continue
		case !known:
			errs = append(errs, fmt.Errorf("strategy %s has no parameter %q%s", i.Name, shorten(name), suggest(name, "there are", i.ParamNames())))
			continue
		case slices.Contains(seen, name):
			errs = append(errs, fmt.Errorf("strategy %s: parameter %s is set twice", i.Name, name))
			continue
		}
		seen = append(seen, name)
		set, err := i.With(name, value)
		if err != nil {
			if near := conf.Nearest(value, p.Choices); near != "" {
				err = fmt.Errorf("%w; did you mean %q?", err, near)
			}
			errs = append(errs, err)
			continue
		}
		i = set
	}
	return i, errors.Join(errs...)
}

// parameters ends a message with the parameters that there are.
func parameters(i flush.Info) string {
	if len(i.Params) == 0 {
		return "; the strategy has none"
	}
	return "; there are " + strings.Join(i.ParamNames(), ", ")
}

// split splits a list at commas outside parentheses, and drops what is blank.
func split(list string) ([]string, error) {
	var out []string
	depth, start := 0, 0
	for i := 0; i <= len(list); i++ {
		switch {
		case i == len(list) || list[i] == ',' && depth == 0:
			if item := strings.TrimSpace(list[start:i]); item != "" {
				out = append(out, item)
			}
			start = i + 1
		case list[i] == '(':
			depth++
		case list[i] == ')':
			if depth--; depth < 0 {
				return nil, fmt.Errorf("strategies %q: a ) without a (", shorten(list))
			}
		}
	}
	if depth > 0 {
		return nil, fmt.Errorf("strategies %q: a ( is not closed", shorten(list))
	}
	return out, nil
}
