package dmaapi

import "reflect"

// A Forker is a policy whose history can be copied and compared, so that what it would do can be tried in many orders of events. Policies of a type without any state need not say so.
type Forker interface {
	Policy
	// Fork returns a policy with the same history that goes its own way from now on: the policy itself if its answers depend on no history.
	Fork() Policy
	// History appends the history as far as answers can depend on it. Two policies of one strategy that append the same bytes must answer all questions alike from then on.
	History(b []byte) []byte
}

// Fork copies a policy. It is false for one that may have a history and is no [Forker].
func Fork(p Policy) (Policy, bool) {
	if f, ok := p.(Forker); ok {
		return f.Fork(), true
	}
	return p, stateless(p)
}

// History appends a policy's history; that of a policy without any is empty.
func History(p Policy, b []byte) []byte {
	if f, ok := p.(Forker); ok {
		return f.History(b)
	}
	return b
}

// stateless tells whether a policy's type has no room for a history.
func stateless(p Policy) bool {
	t := reflect.TypeOf(p)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && t.Size() == 0
}
