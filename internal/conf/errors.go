package conf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPrinted = 20   // errors that Errors.Error prints
	maxErrors  = 500  // errors that one Decode collects
	maxQuoted  = 60   // runes of user text quoted in a message
	maxText    = 140  // runes of an offending line printed
	maxMessage = 2000 // bytes of a message
)

// Error is one error at one place.
type Error struct {
	File      string // file name, or the override as it was given
	Line, Col int    // from 1, Col in characters; 0 if the error has no place in a file
	Path      string // dotted path of the setting, if known
	Msg       string // names the path where that helps
	Text      string // the offending line

	rank int // order of the error's source among those of one Decode
}

// Error prints the error in the style of compilers: position and message, then
// the offending line with a caret below the place.
func (e *Error) Error() string {
	if e.Line == 0 {
		if e.File == "" {
			return e.Msg
		}
		return e.File + ": " + e.Msg
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.File, e.Line, e.Col, e.Msg)
	if strings.TrimSpace(e.Text) != "" {
		text, pad := excerpt(e.Text, e.Col)
		fmt.Fprintf(&b, "\n%5d | %s\n      | %s^", e.Line, text, pad)
	}
	return b.String()
}

// excerpt makes a line fit to print, and the blanks that bring a caret below its
// column col. Tabs are kept in both, so that they line up.
func excerpt(line string, col int) (text, pad string) {
	length := utf8.RuneCountInString(line)
	at := min(max(col-1, 0), length)
	from, to := 0, length
	if length > maxText {
		if at > maxText*3/4 {
			from = min(at-maxText/2, length-maxText)
		}
		to = from + maxText
	}
	runes := make([]rune, 0, maxText+6)
	if from > 0 {
		runes = append(runes, '.', '.', '.')
	}
	at += len(runes) - from
	i := 0
	for _, r := range line {
		if i >= from && i < to {
			runes = append(runes, r)
		}
		i++
	}
	if to < length {
		runes = append(runes, '.', '.', '.')
	}
	blanks := make([]rune, at)
	for i, r := range runes {
		if r != '\t' && !unicode.IsPrint(r) {
			runes[i] = utf8.RuneError
		}
		if i < at {
			blanks[i] = ' '
			if r == '\t' {
				blanks[i] = '\t'
			}
		}
	}
	return string(runes), string(blanks)
}

// Errors are the errors of a file, in order of position: the file's first,
// then those of overrides, then those in presets.
type Errors []*Error

// Error prints the first twenty errors, and says how many more there are.
func (e Errors) Error() string {
	var b strings.Builder
	for i, err := range e {
		if i == maxPrinted {
			fmt.Fprintf(&b, "\nand %d more", len(e)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

// Unwrap lists the errors for errors.Is and errors.As.
func (e Errors) Unwrap() []error {
	list := make([]error, len(e))
	for i, err := range e {
		list[i] = err
	}
	return list
}

// sorted orders the errors by position and drops repeated ones: an aliased
// value or a preset used twice meets its errors twice, under two paths.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
	type key struct {
		file      string
		line, col int
		msg       string
	}
	seen := make(map[key]bool, len(e))
	return slices.DeleteFunc(e, func(err *Error) bool {
		k := key{err.File, err.Line, err.Col, err.withoutPath()}
		twice := seen[k]
		seen[k] = true
		return twice
	})
}

// withoutPath is the message without the paths that name its place.
func (e *Error) withoutPath() string {
	msg := e.Msg
	if e.Path != "" && e.Line > 0 {
		msg = strings.ReplaceAll(msg, e.Path, "")
		if i := strings.LastIndexByte(e.Path, '.'); i > 0 {
			msg = strings.ReplaceAll(msg, e.Path[:i], "")
		}
	}
	return msg
}

// Join gathers errors into one of type Errors that prints them in order of
// position. Errors of other packages come last, by their text. It returns nil
// if all are nil.
func Join(errs ...error) error {
	var all Errors
	for _, err := range errs {
		var one *Error
		var many Errors
		switch {
		case err == nil:
		case errors.As(err, &many):
			all = append(all, many...)
		case errors.As(err, &one):
			all = append(all, one)
		default:
			all = append(all, &Error{Msg: err.Error(), rank: rankOther})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return all.sorted()
}

// quote prints user text for a message, shortened.
func quote(s string) string {
	return fmt.Sprintf("%q", shorten(s))
}

// limited is a message, cut if a text of the user's made it long.
func limited(msg string) string {
	if len(msg) <= maxMessage {
		return msg
	}
	return strings.ToValidUTF8(msg[:maxMessage], "") + "..."
}

// shorten cuts user text to what a message holds.
func shorten(s string) string {
	if r := []rune(s); len(r) > maxQuoted {
		return string(r[:maxQuoted]) + "..."
	}
	return s
}

// suggest ends a message about an unknown name: the nearest valid one, or all
// of them.
func suggest(word, what string, valid []string) string {
	const most = 24
	near := Nearest(word, valid)
	switch {
	case near != "":
		return fmt.Sprintf("; did you mean %q?", near)
	case len(valid) == 0:
		return ""
	case len(valid) > most:
		return fmt.Sprintf("; %s: %s and %d more", what, strings.Join(valid[:most], ", "), len(valid)-most)
	}
	return fmt.Sprintf("; %s: %s", what, strings.Join(valid, ", "))
}
