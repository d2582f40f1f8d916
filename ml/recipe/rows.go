package recipe

import (
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml/online"
)

// Rows map the online model's items to those of a trained one, which are sorted. The zero value is ready.
type Rows struct {
	mu    sync.Mutex
	known *online.Model // that row maps
	row   []int32       // by index of the online model: of the items, or -1
}

// Of brings the map up to date; m is at rest, and items are the same at each call. The slice is the caller's to read.
func (r *Rows) Of(m *online.Model, items []string) []int32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if origin := m.Origin(); r.known != origin {
		r.known, r.row = origin, nil
	}
	for i := len(r.row); i < m.ItemCount(); i++ {
		row, ok := slices.BinarySearch(items, m.ItemID(i))
		if !ok {
			row = -1
		}
		r.row = append(r.row, int32(row))
	}
	return r.row
}
