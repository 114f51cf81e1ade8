package conf

import (
	"strings"
	"unicode"
)

// maxNearest is the longest word that Nearest considers, in bytes.
const maxNearest = 64

// Nearest returns the valid name that word most likely misspells, the first of
// equally near ones, or "" if none is close. Close is an edit distance (insert,
// delete, replace, swap neighbours) of at most a third of the length; case and
// the separators '-', '_' and ' ' do not count. A word that begins a single
// valid name is close to it too. Cost is O(len(word) * total length of valid).
func Nearest(word string, valid []string) string {
	if len(word) > maxNearest {
		return ""
	}
	w := fold(word)
	if w == "" || len(w) > maxNearest {
		return ""
	}
	best, bestDistance := "", maxNearest
	prefix, prefixes := "", 0
	for _, name := range valid {
		v := fold(name)
		if len(v) > maxNearest {
			continue
		}
		if len(w) >= 3 && strings.HasPrefix(v, w) {
			prefix = name
			prefixes++
		}
		limit := max(len(w), len(v)) / 3
		if len(w)-len(v) > limit || len(v)-len(w) > limit {
			continue
		}
		if d := editDistance(w, v); d <= limit && d < bestDistance {
			best, bestDistance = name, d
		}
	}
	if best == "" && prefixes == 1 {
		return prefix
	}
	return best
}

// fold drops what does not count in a comparison of names.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || r == ' ' {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// editDistance is the optimal string alignment distance of two strings of at
// most maxNearest bytes, by bytes.
func editDistance(a, b string) int {
	var rows [3][maxNearest + 1]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
