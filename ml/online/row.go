package online

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"sort"
	"sync"
)

// row counts what came after an item. What was counted stands packed, two bytes for most pairs; what is counted
// lies loose beside it until there is enough of it to be packed too. (A hash table took 8 bytes a pair and its
// empty slots, four to five times as much, and a cache miss for every pair counted.)
type row struct {
	// By item, ascending: the difference of the item's index to the one before, the first counted from -1,
	// and the count, which is never 0, both as uvarints.
	packed []byte
	marks  []mark
	loose  []uint32 // item<<1, and 1 more where one is taken back
}

// mark says where every markEvery-th pair of a row begins, so that few have to be read for one.
type mark struct {
	after uint32 // the index before which all earlier ones are, + 1
	at    uint32 // place in packed
}

const (
	markEvery = 64

	// A row is packed when what is loose takes half of what is packed, and not before there are looseMin of it.
	looseMin   = 64
	looseShare = 8 // bytes of packed for one that is loose
)

// add counts (delta +1) or takes back (-1) an item, and says whether the row is to be packed.
func (r *row) add(item uint32, delta int32) (full bool) {
	r.loose = append(r.loose, item<<1|uint32(delta)>>31)
	return len(r.loose) >= looseMin && len(r.loose) >= len(r.packed)/looseShare
}

// change is what a loose entry adds to the count of its item.
func change(loose uint32) uint32 { return 1 - loose&1<<1 }

// count is that of one item.
func (r *row) count(item uint32) uint32 {
	n := r.packedCount(item)
	for _, l := range r.loose {
		if l>>1 == item {
			n += change(l)
		}
	}
	return n
}

func (r *row) packedCount(item uint32) uint32 {
	at, after := 0, uint32(0)
	if k := sort.Search(len(r.marks), func(k int) bool { return r.marks[k].after > item }); k > 0 {
		at, after = int(r.marks[k-1].at), r.marks[k-1].after
	}
	for at < len(r.packed) {
		var delta, n uint32
		delta, at = uvarint32(r.packed, at)
		n, at = uvarint32(r.packed, at)
		if after += delta; after > item {
			if after == item+1 {
				return n
			}
			break
		}
	}
	return 0
}

// uvarint32 reads a number of packed at a place, and gives the place after it.
func uvarint32(b []byte, at int) (uint32, int) {
	if v := b[at]; v < 0x80 { // most are this short
		return uint32(v), at + 1
	}
	return uvarint32Long(b, at)
}

func uvarint32Long(b []byte, at int) (uint32, int) {
	v := uint32(0)
	for shift := 0; ; shift += 7 {
		c := uint32(b[at])
		at++
		if v |= c & 0x7f << shift; c < 0x80 {
			return v, at
		}
	}
}

// spread writes all counts to dst, which has a place for every item, all 0.
func (r *row) spread(dst []uint32) {
	after := uint32(0)
	for at := 0; at < len(r.packed); {
		var delta, n uint32
		delta, at = uvarint32(r.packed, at)
		n, at = uvarint32(r.packed, at)
		after += delta
		dst[after-1] = n
	}
	for _, l := range r.loose {
		dst[l>>1] += change(l)
	}
}

// weigh adds to dst, which has a place for every item, w times each count. The table has a place for every item too, all 0,
// and so again afterwards.
func (r *row) weigh(dst []float32, w float32, table []uint32) {
	table = table[:len(dst)]
	for _, l := range r.loose {
		table[l>>1] += change(l)
	}
	b, after := r.packed, uint32(0)
	for at := 0; at < len(b); {
		var delta, n uint32
		if d, c := b[at], b[at+1]; d|c < 0x80 { // most pairs are this short
			delta, n = uint32(d), uint32(c)
			at += 2
		} else {
			delta, at = uvarint32(b, at)
			n, at = uvarint32(b, at)
		}
		after += delta
		i := after - 1
		if len(r.loose) > 0 {
			n += table[i]
			table[i] = 0
		}
		dst[i] += float32(w * float32(n))
	}
	for _, l := range r.loose {
		if i := l >> 1; table[i] != 0 {
			dst[i] += float32(w * float32(table[i]))
			table[i] = 0
		}
	}
}

// pack takes in what is loose, of a model of so many items.
func (r *row) pack(s *sheet, items int) {
	s.take(r, len(r.loose), items, nil)
	r.loose = r.loose[:0]
	r.fill(s)
}

// fill makes what a sheet holds the packed counts, and empties the sheet.
func (r *row) fill(s *sheet) {
	r.marks = r.marks[:0]
	b, after, pairs := s.buffer[:0], uint32(0), 0
	for w, set := range s.used {
		if set == 0 {
			continue
		}
		s.used[w] = 0
		for ; set != 0; set &= set - 1 {
			item := uint32(w*64 + bits.TrailingZeros64(set))
			n := s.counts[item]
			if n == 0 {
				continue
			}
			s.counts[item] = 0
			if pairs%markEvery == 0 && pairs > 0 {
				r.marks = append(r.marks, mark{after, uint32(len(b))})
			}
			if delta := item + 1 - after; delta|n < 0x80 {
				b = append(b, byte(delta), byte(n))
			} else {
				b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(delta)), uint64(n))
			}
			after = item + 1
			pairs++
		}
	}
	if len(b) > cap(r.packed) {
		r.packed = make([]byte, 0, len(b)+len(b)/16)
	}
	r.packed = append(r.packed[:0], b...)
	s.buffer = b
}

// trim gives back what a row that was just packed does not need.
func (r *row) trim() { r.loose, r.packed, r.marks = nil, slices.Clip(r.packed), slices.Clip(r.marks) }

// sheet counts by places in one table over all of them, and gives them in order without sorting.
type sheet struct {
	counts []uint32 // by place, 0 where used does not have it
	used   []uint64 // a bit for each place that may have a count
	buffer []byte
}

// sheets are those at hand, all empty.
var sheets = sync.Pool{New: func() any { return new(sheet) }}

// widen makes room for n places in an empty sheet.
func (s *sheet) widen(n int) {
	if n > len(s.counts) {
		s.counts, s.used = make([]uint32, n+n/8), make([]uint64, (n+n/8+63)/64)
	}
}

func (s *sheet) add(place, n uint32) {
	s.counts[place] += n
	s.used[place/64] |= 1 << (place % 64)
}

// take adds a row as it was with the first of what is loose, of a model of so many items: each item at its place by a
// table, or by its index without one.
func (s *sheet) take(r *row, loose, items int, place []uint32) {
	s.widen(items)
	after := uint32(0)
	for at := 0; at < len(r.packed); {
		var delta, n uint32
		delta, at = uvarint32(r.packed, at)
		n, at = uvarint32(r.packed, at)
		after += delta
		if place == nil {
			s.add(after-1, n)
		} else {
			s.add(place[after-1], n)
		}
	}
	for _, l := range r.loose[:loose] {
		if place == nil {
			s.add(l>>1, change(l))
		} else {
			s.add(place[l>>1], change(l))
		}
	}
}

// drain gives every place whose count is not 0, in ascending order, and leaves the sheet empty; it is not to be left
// early.
func (s *sheet) drain(yield func(place, n uint32) bool) {
	for w, set := range s.used {
		s.used[w] = 0
		for ; set != 0; set &= set - 1 {
			place := uint32(w*64 + bits.TrailingZeros64(set))
			if n := s.counts[place]; n != 0 {
				s.counts[place] = 0
				yield(place, n)
			}
		}
	}
}

// empty forgets what is in it.
func (s *sheet) empty() {
	clear(s.counts)
	clear(s.used)
}
