package conf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const maxFile = 4 << 20 // bytes

// parse reads the one YAML document of a source. It reports what is wrong and
// returns nil if there is none.
func (d *decoder) parse(src *source) *yaml.Node {
	fail := func(line, col int, msg string) *yaml.Node {
		d.report(src, line, col, "", msg)
		return nil
	}
	src.data = bytes.TrimPrefix(src.data, []byte("\uFEFF"))
	if len(src.data) > maxFile {
		return fail(1, 1, fmt.Sprintf("the file has %d bytes; more than 4 MiB are refused", len(src.data)))
	}
	if bytes.HasPrefix(src.data, []byte("\xFF\xFE")) || bytes.HasPrefix(src.data, []byte("\xFE\xFF")) {
		return fail(1, 1, "the file is UTF-16 text; save it as UTF-8")
	}
	if i := bytes.IndexByte(src.data, 0); i >= 0 {
		line, col := src.locate(i)
		return fail(line, col, "the file contains a NUL byte; it is not text")
	}
	if i := invalidUTF8(src.data); i >= 0 {
		line, col := src.locate(i)
		return fail(line, col, "the file is not UTF-8 text")
	}
	var root, second yaml.Node
	next, err := newYAML(src.data)
	if err == nil {
		err = next(&root)
	}
	switch {
	case err == io.EOF:
		return fail(1, 1, "the file is empty")
	case err != nil:
		line, col, msg := src.diagnose(err)
		return fail(line, col, msg)
	}
	if err := next(&second); err == nil {
		return fail(max(second.Line, 1), max(second.Column, 1), "a second YAML document begins here; a file holds one")
	} else if err != io.EOF {
		line, col, msg := src.diagnose(err)
		return fail(line, col, msg)
	}
	if len(root.Content) != 1 || root.Content[0].ShortTag() == "!!null" && root.Content[0].Value == "" {
		return fail(1, 1, "the file is empty")
	}
	return root.Content[0]
}

// newYAML returns a function that reads the next document. Should the YAML
// library give up by a run-time panic, that is an error of the file too.
func newYAML(data []byte) (next func(*yaml.Node) error, err error) {
	guard := func(err *error) {
		if r := recover(); r != nil {
			*err = errors.New("yaml: this is not understood as YAML")
		}
	}
	defer guard(&err)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	return func(n *yaml.Node) (err error) {
		defer guard(&err)
		return dec.Decode(n)
	}, nil
}

// invalidUTF8 is the offset of the first byte that is not UTF-8, -1 if there is
// none.
func invalidUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// locate is the line and column of an offset.
func (s *source) locate(offset int) (line, col int) {
	lines := splitLines(string(s.data[:offset]))
	return len(lines), utf8.RuneCountInString(lines[len(lines)-1]) + 1
}

var (
	lineInError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	noBlank     = regexp.MustCompile(`^( *(?:- )?)([A-Za-z_]+):([^ /].*)$`)
	anchorName  = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)
)

// diagnose finds place and words for a syntax error of the YAML library, whose
// errors have no column and sometimes the wrong line or none.
func (s *source) diagnose(err error) (line, col int, msg string) {
	line, msg = 1, err.Error()
	if m := lineInError.FindStringSubmatch(msg); m != nil {
		msg = m[2]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	if m := anchorName.FindStringSubmatch(msg); m != nil {
		line, col := s.locate(max(bytes.Index(s.data, []byte("*"+m[1])), 0))
		return line, col, fmt.Sprintf("alias *%s names nothing; an anchor &%s must come before it", m[1], m[1])
	}
	if strings.Contains(msg, "exceeded max depth") {
		return line, 1, fmt.Sprintf("nested deeper than %d levels", maxDepth)
	}
	scan := scanner{src: s, yamlLine: line}
	if scan.run(); scan.msg != "" {
		return scan.line, scan.col, scan.msg
	}
	if at := scan.param; at.line > 0 {
		return at.line, scan.column(at), `in brackets a value with a parameter stands in quotes: "${name}"`
	}
	text := s.line(line)
	col = utf8.RuneCountInString(text) - utf8.RuneCountInString(strings.TrimLeft(text, " ")) + 1
	switch {
	case strings.Contains(msg, "mapping values are not allowed"):
		if m := noBlank.FindStringSubmatch(s.line(line - 1)); m != nil {
			return line - 1, utf8.RuneCountInString(m[1]) + 1, fmt.Sprintf("expected \"key: value\"; a blank is missing behind the colon: %s", quote(m[2]+": "+m[3]))
		}
		if at := scan.notKey; at.line == line {
			return line, scan.column(at), "expected a key in line with those above; check the indentation"
		}
		// Point at the colon that is one too many.
		if i := strings.Index(text, ":"); i >= 0 {
			if j := strings.Index(text[i+1:], ": "); j >= 0 {
				i += j + 1
			}
			col = utf8.RuneCountInString(text[:i]) + 1
		}
		msg = "a mapping cannot begin here; check the indentation, and put a text that contains \": \" in quotes"
	case strings.Contains(msg, "could not find expected ':'"):
		msg = "expected \"key: value\""
		if m := noBlank.FindStringSubmatch(text); m != nil {
			msg = fmt.Sprintf("expected \"key: value\"; a blank is missing behind the colon: %s", quote(m[2]+": "+m[3]))
		}
	case strings.Contains(msg, "did not find expected key"):
		msg = "expected a key; check the indentation"
		if at := scan.notKey; at.line > 0 {
			return at.line, scan.column(at), "expected a key in line with those above; check the indentation"
		}
	case strings.Contains(msg, "did not find expected '-' indicator"):
		msg = "expected an item \"- ...\" of the list; check the indentation"
		if at := scan.notItem; at.line > 0 {
			return at.line, scan.column(at), "expected an item \"- ...\" of the list above; check the indentation"
		}
	case strings.Contains(msg, "found unknown escape character"):
		if at := scan.escape; at.line > 0 {
			line, col = at.line, scan.column(at)
		}
		msg = "unknown escape in a quoted text; a backslash is written \\\\, or put the text in single quotes"
	case strings.Contains(msg, "found character that cannot start any token"):
		if i := strings.IndexAny(text, "@`%\t"); i >= 0 {
			col = utf8.RuneCountInString(text[:i]) + 1
			msg = fmt.Sprintf("a value cannot begin with %q; put it in quotes", text[i])
		}
	}
	return line, col, msg
}

// scanner looks through a file that is not YAML for the mistakes whose place
// the YAML library does not tell: brackets and quotes left open, brackets that
// do not match, tabs in the indentation, and indentation that matches no
// enclosing level. It keeps the first of them as line, col and msg; of brackets
// left open, the last opened, or the one that a closing bracket of another kind
// meets.
type scanner struct {
	src      *source
	yamlLine int // where the library stopped: indentation is not judged beyond
	line     int
	col      int
	msg      string

	open    []mark // brackets open
	indents []int  // columns of the enclosing blocks
	lists   []bool // and whether they are lists
	ended   bool   // the value of the last line is complete
	quote   byte   // open quote, 0 if none
	quoted  mark   // its place
	literal int    // indentation of the line that opened a block of text, -1 if none
	param   mark   // the first ${ in brackets without quotes
	escape  mark   // the first \ before what no escape begins with
	notKey  mark   // the first line from yamlLine on that fits no mapping
	notItem mark   // and the first that fits no list
}

// mark is a character with its place: a line, and an offset in bytes there.
type mark struct {
	char       byte
	line, byte int
}

// column is the mark's column. Cost is O(its value).
func (s *scanner) column(m mark) int {
	return utf8.RuneCountInString(s.src.line(m.line)[:m.byte]) + 1
}

// fail notes the first mistake, at byte i of a line.
func (s *scanner) fail(line, i int, format string, args ...any) {
	if s.msg == "" {
		s.line, s.col, s.msg = line, s.column(mark{0, line, i}), fmt.Sprintf(format, args...)
	}
}

func (s *scanner) run() {
	s.literal = -1
	s.src.line(1)
	for n := 1; n <= len(s.src.lines) && s.msg == ""; n++ {
		s.scanLine(n, s.src.line(n))
	}
	switch {
	case s.quote != 0:
		s.fail(s.quoted.line, s.quoted.byte, "the quote %c is not closed", s.quote)
	case len(s.open) > 0:
		last := s.open[len(s.open)-1]
		s.fail(last.line, last.byte, "the bracket %c is not closed", last.char)
	}
}

// scanLine looks through one line.
func (s *scanner) scanLine(n int, text string) {
	body := strings.TrimLeft(text, " ")
	indent := len(text) - len(body)
	if s.quote == 0 && strings.Trim(body, " \t") == "" {
		return
	}
	if s.literal >= 0 {
		if indent > s.literal {
			return
		}
		s.literal = -1
	}
	i := indent
	if s.quote == 0 && len(s.open) == 0 {
		if body[0] == '\t' {
			s.fail(n, indent, "a tab in the indentation; YAML indents by spaces")
			return
		}
		if body[0] == '#' {
			return
		}
		if r, _ := utf8.DecodeRuneInString(body); r >= utf8.RuneSelf && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)) {
			s.fail(n, indent, "the character %U in the indentation; YAML indents by plain spaces", r)
			return
		}
		if body == "---" || body == "..." {
			s.indents, s.lists = nil, nil
			return
		}
		s.indentation(n, indent, body)
	}
	defer func() {
		code := text
		if c := lineComment(text); c != "" {
			code = text[:len(text)-len(c)-1]
		}
		code = strings.TrimRight(code, " \t")
		s.ended = code != "" && strings.IndexByte(":-?|>", code[len(code)-1]) < 0
	}()
	start := true // a value may begin here
	for ; i < len(text); i++ {
		c := text[i]
		switch {
		case s.quote != 0:
			i = s.inQuote(n, text, i)
			start = false
			s.after(n, text, i)
		case c == ' ' || c == '\t':
			if start = start || i > 0 && strings.IndexByte(":,-?", text[i-1]) >= 0; i+1 < len(text) && text[i+1] == '#' {
				return
			}
		case c == '#' && i == indent:
			return
		case start && (c == '"' || c == '\''):
			s.quote, s.quoted = c, mark{c, n, i}
		case (start || len(s.open) > 0) && (c == '[' || c == '{'):
			if c == '{' && len(s.open) > 0 && i > 0 && text[i-1] == '$' && s.param.line == 0 {
				s.param = mark{c, n, i - 1}
			}
			s.open = append(s.open, mark{c, n, i})
			start = true
		case len(s.open) > 0 && (c == ']' || c == '}'):
			last := s.open[len(s.open)-1]
			if last.char == '[' && c == '}' || last.char == '{' && c == ']' {
				s.fail(n, i, "%c does not close the bracket %c of line %d, column %d", c, last.char, last.line, s.column(last))
				return
			}
			s.open = s.open[:len(s.open)-1]
			start = false
			s.after(n, text, i)
		case len(s.open) > 0 && c == ',':
			start = true
		case start && len(s.open) == 0 && (c == '|' || c == '>'):
			s.literal = indent
			return
		case start && (c == '-' || c == '?') && i+1 < len(text) && text[i+1] == ' ':
		default:
			start = false
		}
	}
}

// after checks what follows the bracket or quote that text[i] closes: outside
// of brackets only a colon or a comment.
func (s *scanner) after(n int, text string, i int) {
	if len(s.open) > 0 || s.quote != 0 {
		return
	}
	rest := strings.TrimLeft(text[i+1:], " \t")
	if rest != "" && rest[0] != ':' && rest[0] != '#' {
		r, _ := utf8.DecodeRuneInString(rest)
		s.fail(n, len(text)-len(rest), "unexpected %q after the closing %c", r, text[i])
	}
}

// escapes are the characters that may follow a backslash in double quotes.
const escapes = "0abt\tnvfre \"/\\N_LPxuU"

// inQuote passes over a quoted text from text[i] on and returns the index of
// its last character in this line.
func (s *scanner) inQuote(n int, text string, i int) int {
	for ; i < len(text); i++ {
		switch {
		case s.quote == '"' && text[i] == '\\':
			if i++; s.escape.line == 0 && i < len(text) && strings.IndexByte(escapes, text[i]) < 0 {
				s.escape = mark{text[i], n, i - 1}
			}
		case text[i] == s.quote && s.quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == s.quote:
			s.quote = 0
			return i
		}
	}
	return i
}

// indentation follows the columns at which blocks begin.
func (s *scanner) indentation(n, indent int, body string) {
	deeper := false
	for len(s.indents) > 0 && s.indents[len(s.indents)-1] > indent {
		s.indents, s.lists = s.indents[:len(s.indents)-1], s.lists[:len(s.lists)-1]
		deeper = true
	}
	item := strings.HasPrefix(body, "- ") || body == "-"
	top := -1
	if len(s.indents) > 0 {
		top = s.indents[len(s.indents)-1]
	}
	if top < indent {
		if deeper && n <= s.yamlLine+1 {
			s.fail(n, indent, "the indentation matches no enclosing level")
			return
		}
		if !item && s.ended && n >= s.yamlLine && s.notKey.line == 0 && strings.Contains(body, ":") {
			s.notKey = mark{0, n, indent}
		}
		s.indents, s.lists = append(s.indents, indent), append(s.lists, item)
	} else if list := s.lists[len(s.lists)-1]; n >= s.yamlLine {
		if list && !item && s.notItem.line == 0 {
			s.notItem = mark{0, n, indent}
		}
		if !list && item && s.ended && s.notKey.line == 0 {
			s.notKey = mark{0, n, indent}
		}
	}
	for strings.HasPrefix(body, "- ") {
		rest := strings.TrimLeft(body[1:], " ")
		indent += len(body) - len(rest)
		body = rest
		s.indents, s.lists = append(s.indents, indent), append(s.lists, false)
	}
}
