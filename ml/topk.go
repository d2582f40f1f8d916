package ml

import (
	"fmt"
	"slices"

	"github.com/projectionist/projectionist/ml/vector"
)

// Scored is an item with its score.
type Scored struct {
	Index int32
	Score float32
}

// before is the order of a ranking: higher scores first, of equal ones the lower index.
func (a Scored) before(b Scored) bool {
	return a.Score > b.Score || a.Score == b.Score && a.Index < b.Index
}

// Bitset is a set of indices; the zero value is empty.
type Bitset []uint64

// NewBitset returns a set that holds indices below n without growing.
func NewBitset(n int) Bitset { return make(Bitset, (n+63)/64) }

// Add puts i (0 or more) into the set.
func (b *Bitset) Add(i int32) {
	for int(i>>6) >= len(*b) {
		*b = append(*b, 0)
	}
	(*b)[i>>6] |= 1 << (i & 63)
}

// Remove takes i out of the set.
func (b Bitset) Remove(i int32) {
	if b.Has(i) {
		b[i>>6] &^= 1 << (i & 63)
	}
}

// Has reports whether i is in the set.
func (b Bitset) Has(i int32) bool {
	w := int(i >> 6)
	return i >= 0 && w < len(b) && b[w]>>(i&63)&1 != 0
}

// TopK returns the k rows of factors (row-major, dim values each) with the highest dot product with
// query, best first; equal scores are ordered by index. skip, where not nil, leaves rows out; it is
// asked only about rows that would otherwise be among the best so far. Scores that are NaN are left
// out. The scan is exact. It panics where query or factors do not fit dim.
func TopK(query, factors []float32, dim, k int, skip func(int32) bool) []Scored {
	if dim < 1 || len(query) != dim || len(factors)%dim != 0 {
		panic(fmt.Sprintf("ml: TopK of a query of %d and %d factor values, dim %d", len(query), len(factors), dim))
	}
	n := len(factors) / dim
	h := newRanking(k, n)
	var scores [scanRows]float32
	if dim%lanes == 0 {
		for from := 0; from < n; from += scanRows {
			rows := min(scanRows, n-from)
			dotRows(scores[:], query, factors[from*dim:], iota32[:rows], dim, dim)
			h.offer(scores[:rows], int32(from), skip)
		}
		return h.sorted()
	}
	s := padded(dim)
	q := padRows(query, 1, dim)
	block := make([]float32, scanRows*s)
	for from := 0; from < n; from += scanRows {
		rows := min(scanRows, n-from)
		for r := range rows {
			copy(block[r*s:r*s+dim], factors[(from+r)*dim:])
		}
		dotRows(scores[:], q, block, iota32[:rows], s, s)
		h.offer(scores[:rows], int32(from), skip)
	}
	return h.sorted()
}

// TopKScores returns the k highest of scores, as [TopK] does.
func TopKScores(scores []float32, k int, skip func(int32) bool) []Scored {
	h := newRanking(k, len(scores))
	h.offer(scores, 0, skip)
	return h.sorted()
}

// ScoreAll writes the dot product of query with every row of factors to dst. It panics where query, factors and dst do not fit.
func ScoreAll(dst, query, factors []float32, dim int) {
	if dim < 1 || len(query) != dim || len(factors)%dim != 0 || len(dst) < len(factors)/dim {
		panic(fmt.Sprintf("ml: scores of a query of %d and %d factor values into %d, dim %d", len(query), len(factors), len(dst), dim))
	}
	n, s := len(factors)/dim, padded(dim)
	q := padRows(query, 1, dim)
	for from := 0; from < n; from += scanRows {
		rows := min(scanRows, n-from)
		dotRows(dst[from:], q, padRows(factors[from*dim:], rows, dim), iota32[:rows], s, s)
	}
}

// ScoreSome is [ScoreAll] of the rows at some places: what they have there, to the bit.
func ScoreSome(dst, query, factors []float32, dim int, places []int32) {
	if dim < 1 || len(query) != dim || len(factors)%dim != 0 || len(dst) < len(places) {
		panic(fmt.Sprintf("ml: scores of a query of %d and %d factor values at %d places into %d, dim %d", len(query), len(factors), len(places), len(dst), dim))
	}
	for _, p := range places {
		_ = factors[int(p)*dim:][:dim]
	}
	if s := padded(dim); s != dim {
		rows := make([]float32, 0, len(places)*dim)
		for _, p := range places {
			rows = append(rows, factors[int(p)*dim:][:dim]...)
		}
		ScoreAll(dst, query, rows, dim)
		return
	}
	dotRows(dst, query, factors, places, dim, dim)
}

// ranking is a heap of the best k so far, the worst of them at its root.
type ranking struct {
	k    int
	heap []Scored
}

func newRanking(k, n int) *ranking {
	k = max(0, min(k, n))
	return &ranking{k, make([]Scored, 0, k)}
}

// offer looks at the scores of the indices from first on. Indices come in ascending order, so that
// an equal score never displaces one that is in.
func (h *ranking) offer(scores []float32, first int32, skip func(int32) bool) {
	if h.k == 0 {
		return
	}
	for i := 0; i < len(scores); i++ {
		if len(h.heap) == h.k {
			if i += vector.Above(scores[i:], h.heap[0].Score); i == len(scores) {
				return
			}
		} else if scores[i] != scores[i] {
			continue
		}
		c := Scored{first + int32(i), scores[i]}
		if skip != nil && skip(c.Index) {
			continue
		}
		if len(h.heap) < h.k {
			h.heap = append(h.heap, c)
			for at := len(h.heap) - 1; at > 0; {
				parent := (at - 1) / 2
				if !h.heap[parent].before(h.heap[at]) {
					break
				}
				h.heap[parent], h.heap[at] = h.heap[at], h.heap[parent]
				at = parent
			}
			continue
		}
		h.heap[0] = c
		for at := 0; ; {
			child := 2*at + 1
			if child >= len(h.heap) {
				break
			}
			if child+1 < len(h.heap) && h.heap[child].before(h.heap[child+1]) {
				child++
			}
			if !h.heap[at].before(h.heap[child]) {
				break
			}
			h.heap[at], h.heap[child] = h.heap[child], h.heap[at]
			at = child
		}
	}
}

func (h *ranking) sorted() []Scored {
	slices.SortFunc(h.heap, func(a, b Scored) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	return h.heap
}
