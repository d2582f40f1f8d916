package online

import (
	"cmp"
	"slices"
)

// calendar sums buckets by day.
type calendar struct {
	first int32    // day of near
	near  []uint32 // of calendarDays days, where nearly all are
	far   map[int32]uint32
}

// calendarDays is the century to either side of the first day that comes.
const calendarDays = 2 * 36525

func (c *calendar) add(b bucket) {
	if c.near == nil {
		c.near, c.far = make([]uint32, calendarDays), map[int32]uint32{}
		c.first = max(b.day, noDay+calendarDays) - calendarDays/2
	}
	if at := int64(b.day) - int64(c.first); at >= 0 && at < calendarDays {
		c.near[at] += b.count
	} else {
		c.far[b.day] += b.count
	}
}

// list is the sums, by day.
func (c *calendar) list() []bucket {
	var all []bucket
	for at, n := range c.near {
		if n > 0 {
			all = append(all, bucket{c.first + int32(at), n})
		}
	}
	for day, n := range c.far {
		all = append(all, bucket{day, n})
	}
	slices.SortFunc(all, func(a, b bucket) int { return cmp.Compare(a.day, b.day) })
	return all
}
