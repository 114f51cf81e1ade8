package compare

import "socsim/internal/conf"

// Settings returns the settings whose values differ between two lists, in the order of the first; those that only the second has come last. It is never nil.
func Settings(a, b []conf.Setting) []Setting {
	differ := []Setting{}
	other := map[string]string{}
	for _, s := range b {
		other[s.Path] = s.Value
	}
	seen := map[string]bool{}
	for _, s := range a {
		seen[s.Path] = true
		if v := other[s.Path]; v != s.Value {
			differ = append(differ, Setting{Path: s.Path, A: s.Value, B: v})
		}
	}
	for _, s := range b {
		if !seen[s.Path] {
			differ = append(differ, Setting{Path: s.Path, B: s.Value})
		}
	}
	return differ
}
