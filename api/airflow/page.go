package airflow

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
)

// Bounds of lists. Airflow has the first by default; its most is set where it is installed.
const (
	limitDefault = 100
	limitMax     = 1000
	offsetMax    = 1_000_000
)

// page is a piece of a list.
func page[T any](all []T, p projections.Page) []T {
	from := min(p.Offset, int64(len(all)))
	return all[from:min(from+p.Limit, int64(len(all)))]
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
