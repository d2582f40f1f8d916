package ml

import (
	"context"
	"fmt"
	"sync"
)

// Folder computes vectors of users against frozen item factors: the exact solution of the user's
// part of the loss in [ALSParams], as a sweep would find it. The Gramian of the items is computed
// once. It is safe for concurrent use.
type Folder struct {
	params  ALSParams
	items   int
	factors []float32 // rows of padded(Dim)
	gram    []float32 // w₀·YᵀY, padded
	solvers sync.Pool
}

// NewFolder prepares folding in against itemFactors, rows of p.Dim values.
func NewFolder(itemFactors []float32, p ALSParams) (*Folder, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(itemFactors)%p.Dim != 0 {
		return nil, fmt.Errorf("ml: %d item factor values are no whole rows of %d", len(itemFactors), p.Dim)
	}
	if i := notFinite(itemFactors); i >= 0 {
		return nil, fmt.Errorf("ml: factor of item %d is %v", i/p.Dim, itemFactors[i])
	}
	n, s := len(itemFactors)/p.Dim, padded(p.Dim)
	f := &Folder{params: p, items: n, factors: padRows(itemFactors, n, p.Dim)}
	var err error
	f.gram, err = gramian(context.Background(), f.factors, n, s, float32(p.UnobservedWeight))
	f.solvers.New = func() any { return &foldScratch{solver: newRowSolver(p.Dim), x: make([]float32, s)} }
	return f, err
}

type foldScratch struct {
	solver *rowSolver
	x      []float32
	items  []int32
	weight []float32
	at     []int // of items, in the history
}

// FoldIn writes the vector of a user with this history, oldest first, to dst (Dim values; a short
// or nil dst is replaced) and returns it. Only the last Params.HistoryMax entries with a weight
// above 0 and a known item count; repeated items add up. Without any, the vector is 0.
func (f *Folder) FoldIn(dst []float32, items []int32, weights []float32) []float32 {
	dim := f.params.Dim
	if cap(dst) < dim {
		dst = make([]float32, dim)
	}
	dst = dst[:dim]
	scratch := f.solvers.Get().(*foldScratch)
	defer f.solvers.Put(scratch)
	if !f.solve(scratch, items, weights) {
		clear(dst)
		return dst
	}
	copy(dst, scratch.x)
	return dst
}

// solve makes scratch.x the vector of a history, and notes which entries of it count. It returns false where nothing
// sensible is known of the user: none counts, or weights are beyond float32.
func (f *Folder) solve(scratch *foldScratch, items []int32, weights []float32) bool {
	idx, weight, at := scratch.items[:0], scratch.weight[:0], scratch.at[:0]
	var sum float32
	for i := min(len(items), len(weights)) - 1; i >= 0 && len(idx) < f.params.HistoryMax; i-- {
		if j, w := items[i], weights[i]; j >= 0 && int(j) < f.items && w > 0 && finite(w) {
			idx, weight, at = append(idx, j), append(weight, w), append(at, i)
			sum += w
		}
	}
	scratch.items, scratch.weight, scratch.at = idx, weight, at
	return len(idx) > 0 && finite(sum) && scratch.solver.exact(scratch.x, f.gram, f.params.ridge(sum, f.items), f.factors, idx, weight)
}

// Shares gives, for rows of Dim values, how much of the product of each with the vector that [Folder.FoldIn] makes of a
// history comes from each of its entries, which add up to it but for rounding: the vector is A⁻¹·Σ w·y, and A is the same for
// all of them. An entry that does not count has 0.
func (f *Folder) Shares(items []int32, weights []float32, rows []float32) [][]float64 {
	dim, s := f.params.Dim, padded(f.params.Dim)
	out := make([][]float64, len(rows)/dim)
	for i := range out {
		out[i] = make([]float64, len(items))
	}
	scratch := f.solvers.Get().(*foldScratch)
	defer f.solvers.Put(scratch)
	if !f.solve(scratch, items, weights) {
		return out
	}
	v := scratch.solver
	for i := range out {
		clear(scratch.x)
		copy(scratch.x, rows[i*dim:(i+1)*dim])
		if !solveCholesky(v.a, v.invert, scratch.x, dim, s) {
			continue
		}
		for k, j := range scratch.items {
			var share float64
			for c, y := range f.factors[int(j)*s : int(j)*s+dim] {
				share += float64(float64(y) * float64(scratch.x[c]))
			}
			out[i][scratch.at[k]] = share * float64(scratch.weight[k])
		}
	}
	return out
}

// FoldIn returns the vector of a user with this history, oldest first; see [Folder.FoldIn].
func (m *ALS) FoldIn(items []int32, weights []float32) []float32 {
	return m.folder.FoldIn(nil, items, weights)
}

// FoldInTo is FoldIn into dst, which it returns.
func (m *ALS) FoldInTo(dst []float32, items []int32, weights []float32) []float32 {
	return m.folder.FoldIn(dst, items, weights)
}
