package run

import (
	"strings"

	"socsim/internal/conf"
)

// overrides turns PATH=VALUE strings into overrides.
func overrides(sets ...string) []conf.Override {
	var out []conf.Override
	for _, s := range sets {
		path, value, _ := strings.Cut(s, "=")
		out = append(out, conf.Override{Path: path, Value: value})
	}
	return out
}
