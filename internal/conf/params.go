package conf

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	maxParams   = 1000    // parameters
	maxParam    = 4096    // bytes of a parameter's value, and of a value made of them
	maxExpanded = maxFile // bytes of all values made of parameters
)

// param is a parameter of a composed file.
type param struct {
	name   string
	node   *node  // the value as it is written
	text   string // with the parameters in it replaced
	uses   []*param
	state  paramState
	broken bool // an error was reported already
	set    *source
}

type paramState uint8

const (
	paramNew paramState = iota
	paramActive
	paramDone
)

// params are the parameters of a composed file, in order of declaration.
type params struct {
	d        *decoder
	list     []*param
	byName   map[string]*param
	expanded int // bytes so far
	full     bool
}

// made is what a value was made of.
type made struct {
	text   string // as it is written
	params []*param
}

func newParams(d *decoder) *params { return &params{d: d, byName: map[string]*param{}} }

// declare takes the parameters of a file, which lies above those before it.
func (t *params) declare(n *node) {
	if n == nil || !t.d.isKind(n, kindMapping, paramsKey) {
		return
	}
	for _, c := range n.children {
		path := join(paramsKey, c.key)
		if !isName(c.key) {
			t.d.report(c.src, c.keyLine, c.keyCol, path, fmt.Sprintf("%s: %s cannot name a parameter; a name has letters, digits, _ and -, and is no number", paramsKey, quote(c.key)))
			continue
		}
		p := t.byName[c.key]
		if p == nil && len(t.list) == maxParams {
			t.d.report(c.src, c.keyLine, c.keyCol, path, fmt.Sprintf("more than %d parameters", maxParams))
			return
		}
		if p == nil {
			p = &param{name: c.key}
			t.byName[c.key] = p
			t.list = append(t.list, p)
		}
		p.node, p.broken = c, false
		if !t.d.isKind(c, kindScalar, path) {
			p.broken = true
		}
	}
}

// override takes the overrides of parameters and returns the others.
func (t *params) override(overrides []Override) []Override {
	var others []Override
	for i, o := range overrides {
		name, ours := strings.CutPrefix(o.Path, paramsKey+".")
		if !ours && o.Path != paramsKey && o.Path != includeKey && !strings.HasPrefix(o.Path, includeKey+".") {
			others = append(others, o)
			continue
		}
		src := o.source(i)
		fail := func(msg string) { t.d.report(src, 0, 0, o.Path, msg) }
		p := t.byName[name]
		switch {
		case !ours && o.Path == paramsKey:
			fail("parameters are set one by one: params.NAME=VALUE")
		case !ours:
			fail("what a file includes cannot be overridden")
		case p == nil && len(t.list) == 0:
			fail(fmt.Sprintf("unknown parameter %s; the file declares none under params", quote(name)))
		case p == nil:
			fail("unknown parameter " + quote(name) + suggest(name, "parameters", t.names()))
		default:
			value := t.d.overrideValue(src, o)
			p.node, p.set = value, src
			p.broken = value == nil || !t.d.isKind(value, kindScalar, o.Path)
		}
	}
	return others
}

func (t *params) names() []string {
	names := make([]string, len(t.list))
	for i, p := range t.list {
		names[i] = p.name
	}
	return names
}

func (t *params) resolveAll() {
	for _, p := range t.list {
		t.resolve(p, nil)
	}
}

// resolve finds a parameter's text. above are those whose values led to it.
func (t *params) resolve(p *param, above []string) {
	if p.state != paramNew || p.broken {
		return
	}
	p.state = paramActive
	above = append(above, p.name)
	text, err := expandText(p.node.text, func(name string) (string, error) {
		q := t.byName[name]
		if q == nil {
			return "", t.unknown(name)
		}
		if q.state == paramActive {
			from := slices.Index(above, name)
			return "", fmt.Errorf("the parameter is made of itself: %s", strings.Join(append(slices.Clone(above[from:]), name), " > "))
		}
		t.resolve(q, above)
		p.uses = append(p.uses, q)
		p.broken = p.broken || q.broken
		return q.text, nil
	})
	if err != nil {
		p.broken = true
		t.d.errorf(p.node, join(paramsKey, p.name), "%s: %v", join(paramsKey, p.name), err)
	}
	p.text, p.state = text, paramDone
}

func (t *params) unknown(name string) error {
	if len(t.list) == 0 {
		return fmt.Errorf(`unknown parameter ${%s}; the file declares none under params (a plain "${" is written "$${")`, shorten(name))
	}
	return fmt.Errorf("unknown parameter ${%s}%s", shorten(name), suggest(name, "parameters", t.names()))
}

// substitute puts the parameters' values into a tree, which it changes.
func (t *params) substitute(n *node, path string) {
	switch n.kind {
	case kindMapping:
		for _, c := range n.children {
			if strings.Contains(c.key, "${") {
				t.d.report(c.src, c.keyLine, c.keyCol, join(path, c.key), fmt.Sprintf("a key%s cannot hold a parameter; parameters stand in values", inside(path)))
			}
			t.substitute(c, join(path, c.key))
		}
	case kindList:
		for i, c := range n.children {
			step := c.itemName("name")
			if !isName(step) {
				step = fmt.Sprint(i)
			}
			t.substitute(c, join(path, step))
		}
	case kindScalar:
		t.scalar(n, path)
	}
}

// scalar puts the parameters' values into one value.
func (t *params) scalar(n *node, path string) {
	if !strings.Contains(n.text, "${") || t.full {
		return
	}
	from := &made{text: n.text}
	broken := false
	text, err := expandText(n.text, func(name string) (string, error) {
		p := t.byName[name]
		if p == nil {
			return "", t.unknown(name)
		}
		if !slices.Contains(from.params, p) {
			from.params = append(from.params, p)
		}
		broken = broken || p.broken
		return p.text, nil
	})
	t.expanded += len(text)
	if err == nil && t.expanded > maxExpanded {
		t.full = true
		err = fmt.Errorf("the values made of parameters have more than %d bytes", maxExpanded)
	}
	switch {
	case err != nil:
		t.d.errorf(n, path, "%s: %v", where(path), err)
		fallthrough
	case broken:
		n.text, n.broken = "", true
	default:
		n.text = text
		if len(from.params) > 0 {
			n.quoted, n.from = false, from
		}
	}
}

// checkUsed reports parameters that an override sets and no value in force is
// made of: setting them does nothing.
func (t *params) checkUsed(tree *node) {
	used := map[*param]bool{}
	var use func(list []*param)
	use = func(list []*param) {
		for _, p := range list {
			if !used[p] {
				used[p] = true
				use(p.uses)
			}
		}
	}
	var walk func(n *node)
	walk = func(n *node) {
		if n.from != nil {
			use(n.from.params)
		}
		for _, c := range n.children {
			walk(c)
		}
	}
	walk(tree)
	for _, p := range t.list {
		if p.set != nil && !used[p] {
			t.d.report(p.set, 0, 0, join(paramsKey, p.name), fmt.Sprintf("no value in force is made of ${%s}; setting it does nothing", p.name))
		}
	}
}

var (
	errUnclosed = errors.New(`"${" is not closed; a parameter is written ${name}, and a plain "${" is written "$${"`)
	errTooLong  = fmt.Errorf("parameters make the text longer than %d bytes", maxParam)
)

// expandText replaces each ${name} in a text by its value, and each "$${" by
// "${".
func expandText(text string, value func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			break
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		switch {
		case !closed:
			return "", errUnclosed
		case !isName(name):
			return "", fmt.Errorf("%s names no parameter; a name has letters, digits, _ and -, and is no number", quote("${"+name+"}"))
		}
		v, err := value(name)
		if err != nil {
			return "", err
		}
		b.WriteString(v)
		if text = rest; b.Len() > maxParam {
			return "", errTooLong
		}
	}
	return b.String(), nil
}

// escapeText is the text of which expandText makes text.
func escapeText(text string) string { return strings.ReplaceAll(text, "${", "$${") }

// written ends a message about a value that is made of parameters: how it is
// written, and where they come from.
func (n *node) written() string {
	const most = 4
	if n.from == nil {
		return ""
	}
	var list []string
	for i, p := range n.from.params {
		if i == most {
			list = append(list, "...")
			break
		}
		list = append(list, fmt.Sprintf("%s = %s (%s)", p.name, quote(p.text), p.place(n)))
	}
	return fmt.Sprintf("; it is written %s, with %s", quote(n.from.text), strings.Join(list, ", "))
}

// place says where a parameter of a value gets its own.
func (p *param) place(user *node) string {
	line, _ := p.node.place()
	switch {
	case p.set != nil:
		return p.set.name
	case p.node.src == user.src:
		return fmt.Sprintf("line %d", line)
	}
	return fmt.Sprintf("%s:%d", p.node.src.name, line)
}
