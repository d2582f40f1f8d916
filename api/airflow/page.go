package airflow

import (
	"slices"
	"strings"
)

// Bounds of lists, as Airflow has them by default.
const (
	limitDefault = 100
	limitMax     = 1000
	offsetMax    = 1_000_000
)

// page is a piece of a list.
func page[T any](all []T, offset, limit int64) []T {
	from := min(offset, int64(len(all)))
	return all[from:min(from+limit, int64(len(all)))]
}

func sortBy[T any](all []T, key func(T) string, back bool) {
	slices.SortStableFunc(all, func(a, b T) int {
		if back {
			a, b = b, a
		}
		return strings.Compare(key(a), key(b))
	})
}

// matches is SQL's LIKE as dag_id_pattern has it: % is any text, _ any sign; without either the text may stand
// anywhere.
func matches(pattern, s string) bool {
	return pattern == "" || like([]rune(strings.ToLower("%"+pattern+"%")), []rune(strings.ToLower(s)))
}

// like matches greedily: a % takes as little as it can, and more when what follows does not fit.
func like(pattern, s []rune) bool {
	p, at, star, from := 0, 0, -1, 0
	for at < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '%':
			star, from, p = p, at, p+1
		case p < len(pattern) && (pattern[p] == '_' || pattern[p] == s[at]):
			p, at = p+1, at+1
		case star >= 0:
			from++
			p, at = star+1, from
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '%' {
		p++
	}
	return p == len(pattern)
}

// truth is a truth value as Python and others spell it.
func truth(v string) string { return strings.ToLower(v) }
