package strategy

import (
	"fmt"
	"math/bits"
	"strings"

	"socsim/internal/conf"
	"socsim/soc/flush"
)

// An expression is a threshold of a rule: a size ("64KiB"), a count, a parameter, or these with *, /, max(a, b) and min(a, b). It is typed: sizes are multiplied and divided by counts only, and division
// is by a number that is written out, so that it cannot be by zero.
type expression struct {
	op          byte // 'n' number, 'p' parameter, '*', '/', 'M' max, 'm' min
	size        bool // a size, else a count
	number      int64
	parameter   string
	left, right *expression
}

// most is what an expression saturates at.
const most = int64(1) << 62

// eval computes the expression. It is off if it rests on a parameter that is 0 and for which 0 means off.
func (e *expression) eval(s flush.Settings, zeroIsOff map[string]bool) (v int64, off bool) {
	switch e.op {
	case 'n':
		return e.number, false
	case 'p':
		p, ok := s.Value(e.parameter)
		if !ok {
			panic("strategy: an expression of an unknown parameter " + e.parameter) // check has looked
		}
		return int64(p), p == 0 && zeroIsOff[e.parameter]
	}
	a, offA := e.left.eval(s, zeroIsOff)
	b, offB := e.right.eval(s, zeroIsOff)
	off = offA || offB
	switch e.op {
	case '*':
		hi, lo := bits.Mul64(uint64(a), uint64(b))
		if hi != 0 || lo > uint64(most) {
			return most, off
		}
		return int64(lo), off
	case '/':
		return a / b, off
	case 'M':
		return max(a, b), off
	default:
		return min(a, b), off
	}
}

// parameters calls visit with the name of each parameter of the expression.
func (e *expression) parameters(visit func(string)) {
	if e == nil {
		return
	}
	if e.op == 'p' {
		visit(e.parameter)
	}
	e.left.parameters(visit)
	e.right.parameters(visit)
}

// parseExpression reads an expression over parameters.
func parseExpression(text string, params []flush.Param) (*expression, error) {
	p := &exprParser{text: text, params: params}
	e, err := p.product(0)
	if err == nil && p.skip() < len(p.text) {
		err = fmt.Errorf("unexpected %q", p.text[p.at:])
	}
	if err != nil {
		return nil, fmt.Errorf("expression %q: %w", shorten(text), err)
	}
	return e, nil
}

// shorten keeps a message readable.
func shorten(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:60], "") + "..."
	}
	return s
}

// maxNesting bounds the parentheses of an expression.
const maxNesting = 8

type exprParser struct {
	text   string
	at     int
	params []flush.Param
}

// skip passes blanks and returns the place.
func (p *exprParser) skip() int {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	return p.at
}

func (p *exprParser) accept(c byte) bool {
	if p.skip() < len(p.text) && p.text[p.at] == c {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) product(depth int) (*expression, error) {
	e, err := p.term(depth)
	for err == nil {
		var right *expression
		switch {
		case p.accept('*'):
			if right, err = p.term(depth); err != nil {
				return nil, err
			}
			if e.size && right.size {
				return nil, fmt.Errorf("a size times a size")
			}
			e = &expression{op: '*', size: e.size || right.size, left: e, right: right}
		case p.accept('/'):
			if right, err = p.term(depth); err != nil {
				return nil, err
			}
			if right.op != 'n' || right.size || right.number == 0 {
				return nil, fmt.Errorf("what stands behind / is a plain number from 1")
			}
			e = &expression{op: '/', size: e.size, left: e, right: right}
		default:
			return e, nil
		}
	}
	return nil, err
}

func (p *exprParser) term(depth int) (*expression, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("more than %d parentheses inside each other", maxNesting)
	}
	if p.accept('(') {
		e, err := p.product(depth + 1)
		if err == nil && !p.accept(')') {
			err = fmt.Errorf("a ) is missing")
		}
		return e, err
	}
	start := p.skip()
	for p.at < len(p.text) && !strings.ContainsRune(" ()*/,", rune(p.text[p.at])) {
		p.at++
	}
	word := p.text[start:p.at]
	switch {
	case word == "":
		return nil, fmt.Errorf("a size, a number or a parameter is missing at %q", p.text[start:])
	case (word == "max" || word == "min") && p.accept('('):
		return p.choose(word, depth+1)
	case word[0] >= '0' && word[0] <= '9':
		return number(word)
	}
	for _, q := range p.params {
		if q.Name != word {
			continue
		}
		if q.Type != flush.Size && q.Type != flush.Count {
			return nil, fmt.Errorf("parameter %q is a %s, want a size or a count", word, q.Type)
		}
		return &expression{op: 'p', size: q.Type == flush.Size, parameter: word}, nil
	}
	return nil, fmt.Errorf("unknown parameter %q%s", shorten(word), suggest(word, "the table's parameters:", names(p.params)))
}

// choose reads the arguments of max or min.
func (p *exprParser) choose(word string, depth int) (*expression, error) {
	left, err := p.product(depth)
	if err != nil {
		return nil, err
	}
	if !p.accept(',') {
		return nil, fmt.Errorf("%s needs two arguments: %s(a, b)", word, word)
	}
	right, err := p.product(depth)
	if err != nil {
		return nil, err
	}
	if !p.accept(')') {
		return nil, fmt.Errorf("a ) is missing")
	}
	if left.size != right.size {
		return nil, fmt.Errorf("%s of a size and a count", word)
	}
	op := byte('M')
	if word == "min" {
		op = 'm'
	}
	return &expression{op: op, size: left.size, left: left, right: right}, nil
}

// number reads a count or a size.
func number(word string) (*expression, error) {
	t := flush.Size
	if strings.Trim(word, "0123456789") == "" {
		t = flush.Count
	}
	v, err := flush.Param{Type: t}.Parse(word)
	if err != nil {
		return nil, err
	}
	return &expression{op: 'n', size: t == flush.Size, number: int64(v)}, nil
}

func names(params []flush.Param) []string {
	var out []string
	for _, p := range params {
		out = append(out, p.Name)
	}
	return out
}

// suggest ends a message about an unknown name: what there is, and the nearest of it.
func suggest(word, what string, valid []string) string {
	if len(valid) == 0 {
		return "; there are none"
	}
	s := "; " + what + " " + strings.Join(valid, ", ")
	if near := conf.Nearest(word, valid); near != "" {
		s += fmt.Sprintf("; did you mean %q?", near)
	}
	return s
}
