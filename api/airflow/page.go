package airflow

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
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
	return pattern == "" || api.Like(strings.ToLower("%"+pattern+"%"), strings.ToLower(s))
}

// truth is a truth value as Python and others spell it.
func truth(v string) string { return strings.ToLower(v) }
