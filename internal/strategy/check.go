package strategy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"socsim/internal/conf"
	"socsim/soc/cpu"
	"socsim/soc/dmaapi"
	"socsim/soc/flush"
)

// checker finds what decoding cannot, and keeps what it parsed for compile.
type checker struct {
	*Table
	doc    *conf.Document
	errs   []error
	params []flush.Param
	used   map[string]bool
	parsed []parsed
}

// parsed is a rule with its texts read.
type parsed struct {
	*Rule
	events        []dmaapi.Event
	when          condition
	size, buffers interval
}

// interval is a pair of bounds as expressions; each may be nil.
type interval struct{ atLeast, above, below *expression }

// condition is what a parameter must be; it holds if there is none.
type condition struct {
	parameter string
	value     flush.Value
	not       bool
}

func (c *checker) errorf(path, format string, args ...any) {
	c.errs = append(c.errs, c.doc.Errorf(path, format, args...))
}

var nameRule = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func (c *checker) check() error {
	if c.APIVersion != APIVersion {
		c.errorf("apiVersion", "unknown version %q, want %s", c.APIVersion, APIVersion)
	}
	if !nameRule.MatchString(c.Name) || c.Name == "all" {
		c.errorf("name", "%q cannot name a strategy; a name has small letters, digits and hyphens, and is not \"all\"", shorten(c.Name))
	}
	c.checkParameters()
	if len(c.Rules) == 0 {
		c.errorf("rules", "there are none; a table without rules is the strategy range or none")
	}
	c.used = map[string]bool{}
	for i := range c.Rules {
		c.checkRule(i)
	}
	if len(c.errs) == 0 { // or else these would follow from the other mistakes
		c.checkUse()
		c.checkReach()
	}
	return conf.Join(c.errs...)
}

func (c *checker) checkParameters() {
	for _, p := range c.Parameters {
		path := "parameters." + p.Name
		param := flush.Param{Name: p.Name, Type: p.Type, Default: p.Default, Doc: p.Doc, Choices: p.Choices}
		c.params = append(c.params, param)
		if !nameRule.MatchString(strings.ReplaceAll(p.Name, "_", "-")) || p.Name == "max" || p.Name == "min" || p.Name == "not" {
			c.errorf(path, "%q cannot name a parameter; a name has small letters, digits, _ and -, and is none of max, min, not", shorten(p.Name))
		}
		if (p.Type == flush.Choice) != (len(p.Choices) > 0) {
			c.errorf(path, "choices go with type: choice, and that needs them")
			continue
		}
		for k, choice := range p.Choices {
			if !nameRule.MatchString(choice) || slices.Contains(p.Choices[:k], choice) {
				c.errorf(fmt.Sprintf("%s.choices.%d", path, k), "%q: a choice has small letters, digits and hyphens, and is there once", shorten(choice))
			}
		}
		if p.ZeroMeansOff && p.Type != flush.Size && p.Type != flush.Count {
			c.errorf(path+".zero_means_off", "only a size or a count can be 0")
		}
		if _, err := param.Parse(p.Default); err != nil {
			msg := err.Error()
			if near := conf.Nearest(p.Default, p.Choices); near != "" {
				msg += fmt.Sprintf("; did you mean %q?", near)
			}
			c.errorf(path+".default", "%s", msg)
		}
	}
}

// isHandover tells whether maintenance at the event is the profile's business.
func isHandover(e dmaapi.Event) bool {
	return e == dmaapi.MapDevice || e == dmaapi.UnmapDevice || e == dmaapi.ToDeviceHandover || e == dmaapi.ToCPUHandover
}

func isHandoverOrBatch(e dmaapi.Event) bool { return isHandover(e) || e == dmaapi.Batch }

func choosesAttr(e dmaapi.Event) bool { return e == dmaapi.Allocate || e == dmaapi.MapCPU }

func (c *checker) checkRule(i int) {
	r := &c.Rules[i]
	path := fmt.Sprintf("rules.%d", i)
	p := parsed{Rule: r}
	for k, on := range r.On {
		on.each(func(e dmaapi.Event) {
			if slices.Contains(p.events, e) {
				c.errorf(fmt.Sprintf("%s.on.%d", path, k), "%v is there twice", e)
				return
			}
			p.events = append(p.events, e)
		})
	}
	if len(r.On) == 0 {
		c.errorf(path+".on", "a rule needs an event")
	}
	c.checkKeys(path, &p)
	c.checkSense(path, &p)
	p.when = c.condition(path+".if", r.If)
	p.size = c.interval(path+".size", r.Size, true)
	p.buffers = c.interval(path+".buffers", r.Buffers, false)
	c.parsed = append(c.parsed, p)
}

// checkKeys complains about keys that mean nothing at one of the rule's events.
func (c *checker) checkKeys(path string, p *parsed) {
	r := p.Rule
	for _, k := range []struct {
		key  string
		set  bool
		fits func(dmaapi.Event) bool
	}{
		{"profile", r.Profile != nil, isHandoverOrBatch},
		{"hints", r.Hints != nil, isHandover},
		{"asked", r.Asked != nil, choosesAttr},
		{"buffers", r.Buffers != nil, func(e dmaapi.Event) bool { return e == dmaapi.Batch }},
		{"do", r.Do != "", func(e dmaapi.Event) bool { return isHandoverOrBatch(e) || e == dmaapi.CPUFault }},
		{"extent", r.Extent != "", func(e dmaapi.Event) bool { return isHandoverOrBatch(e) || e == dmaapi.CPUFault }},
		{"outer", r.Outer != "", isHandoverOrBatch},
		{"defer", r.Defer, isHandover},
		{"attr", r.Attr != "", choosesAttr},
		{"track", r.Track, func(e dmaapi.Event) bool { return e == dmaapi.MapCPU }},
		{"force", r.Force, func(e dmaapi.Event) bool { return e == dmaapi.Allocate }},
	} {
		if !k.set {
			continue
		}
		for _, e := range p.events {
			if !k.fits(e) {
				c.errorf(path+"."+k.key, "means nothing at %v", e)
				break
			}
		}
	}
}

// checkSense complains about keys that contradict each other.
func (c *checker) checkSense(path string, p *parsed) {
	r := p.Rule
	if r.Do == "" && r.Attr == "" && !r.Track && !r.Force {
		c.errorf(path, "the rule does nothing: give it do, attr, track or force; do: nothing says so on purpose")
	}
	if r.Do == "" || r.Do == nothing {
		for _, k := range []struct {
			key string
			set bool
		}{{"extent", r.Extent != ""}, {"outer", r.Outer != ""}, {"defer", r.Defer}} {
			if k.set {
				c.errorf(path+"."+k.key, "there is no operation: give do one")
			}
		}
	}
	if slices.Contains(p.events, dmaapi.Batch) && r.Do != "" && r.Do != nothing && r.Extent != whole {
		c.errorf(path, "at batch an operation is on the whole cache: write extent: whole, or do: nothing to have each buffer asked about by itself")
	}
	if r.Do == profile && slices.Contains(p.events, dmaapi.CPUFault) {
		c.errorf(path+".do", "the profile does nothing at cpu-fault: name the operation")
	}
	if r.Attr == cpu.NoMapping {
		c.errorf(path+".attr", "a strategy cannot take the mapping away")
	}
}

// condition reads an if.
func (c *checker) condition(path, text string) condition {
	if text == "" {
		return condition{}
	}
	name, value, choice := strings.Cut(text, "=")
	name, not := strings.TrimSpace(name), false
	if choice {
		name, not = strings.CutSuffix(name, "!")
	} else {
		name, not = strings.CutPrefix(name, "not ")
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	i := slices.IndexFunc(c.params, func(p flush.Param) bool { return p.Name == name })
	if i < 0 {
		c.errorf(path, "unknown parameter %q%s", shorten(name), suggest(name, "the table's parameters:", names(c.params)))
		return condition{}
	}
	p := c.params[i]
	c.used[p.Name] = true
	switch {
	case p.Type == flush.Bool && !choice:
		return condition{parameter: name, value: 1, not: not}
	case p.Type == flush.Choice && choice:
		v, err := p.Parse(value)
		if err != nil {
			c.errorf(path, "%v%s", err, suggest(value, "choices:", p.Choices))
		}
		return condition{parameter: name, value: v, not: not}
	}
	c.errorf(path, "%q: write NAME or not NAME of a bool, NAME = VALUE or NAME != VALUE of a choice; %s is a %s", shorten(text), name, p.Type)
	return condition{}
}

// interval reads bounds, of sizes or of counts.
func (c *checker) interval(path string, b *Bounds, size bool) interval {
	if b == nil {
		return interval{}
	}
	read := func(key, text string) *expression {
		if text == "" {
			return nil
		}
		e, err := parseExpression(text, c.params)
		switch {
		case err != nil:
			c.errorf(path+"."+key, "%v", err)
			return nil
		case e.size && !size:
			c.errorf(path+"."+key, "%q is a size, want a count", shorten(text))
		case !e.size && size:
			c.errorf(path+"."+key, "%q is a count, want a size such as 64KiB", shorten(text))
		}
		e.parameters(func(name string) { c.used[name] = true })
		return e
	}
	if b.AtLeast == "" && b.Above == "" && b.Below == "" {
		c.errorf(path, "give it at_least, above or below")
	}
	if b.AtLeast != "" && b.Above != "" {
		c.errorf(path+".above", "give at_least or above, not both")
	}
	return interval{read("at_least", b.AtLeast), read("above", b.Above), read("below", b.Below)}
}

// checkUse complains about parameters that change nothing.
func (c *checker) checkUse() {
	for _, p := range c.params {
		if !c.used[p.Name] {
			c.errorf("parameters."+p.Name, "no rule uses it")
		}
	}
}

// checkReach complains about a rule that an earlier one always forestalls.
func (c *checker) checkReach() {
	for i, late := range c.parsed {
		for k, early := range c.parsed[:i] {
			if early.covers(&late) {
				c.errorf(fmt.Sprintf("rules.%d", i), "never reached: rule %d, counted from 1, matches whatever this one does", k+1)
				break
			}
		}
	}
}

// covers tells whether the rule surely matches wherever another does.
func (p *parsed) covers(q *parsed) bool {
	for _, e := range q.events {
		if !slices.Contains(p.events, e) {
			return false
		}
	}
	return p.Size == nil && p.Buffers == nil && p.If == "" && len(p.Hints) == 0 &&
		within(q.Direction, p.Direction) && within(q.Profile, p.Profile) && within(q.Asked, p.Asked)
}

// within tells whether all of a list are in another; an empty one stands for everything.
func within[T comparable](list, of []T) bool {
	if len(of) == 0 {
		return true
	}
	for _, x := range list {
		if !slices.Contains(of, x) {
			return false
		}
	}
	return len(list) > 0
}
