package ml

import (
	"fmt"
	"math"
)

// Diversify orders candidates so that each says something new, by maximal marginal relevance (Carbonell, Goldstein 1998,
// "The Use of MMR, Diversity-Based Reranking"): again and again the one with the greatest
//
//	(1 - diversity) · relevance - diversity · max over those chosen of max(0, cosine of the vectors)
//
// is chosen, of equals the one that came first, until k are. It gives the indices of the candidates in that order. vectors
// are those of the candidates, dim values each; one of zeros is like nothing. diversity is 0 to 1. The same input gives
// the same order on any machine. It panics where relevance and vectors do not fit together.
func Diversify(relevance, vectors []float32, dim, k int, diversity float32) []int {
	n := len(relevance)
	if dim < 1 || len(vectors) != n*dim {
		panic(fmt.Sprintf("ml: Diversify of %d candidates and %d values, dim %d", n, len(vectors), dim))
	}
	stride := padded(dim) // as [ScoreAll] takes rows without a copy
	unit := make([]float32, n*stride)
	for i := range n {
		from, to := i*dim, (i+1)*dim
		row := unit[i*stride:]
		var squares float64
		for _, v := range vectors[from:to] {
			squares += float64(float64(v) * float64(v))
		}
		if squares == 0 {
			continue
		}
		by := 1 / math.Sqrt(squares)
		for c, v := range vectors[from:to] {
			row[c] = float32(float64(v) * by)
		}
	}
	alike, cosine, taken := make([]float32, n), make([]float32, n), make([]bool, n)
	order := make([]int, 0, max(0, min(k, n)))
	for len(order) < cap(order) {
		best, most := -1, float32(0)
		for i, r := range relevance {
			if taken[i] {
				continue
			}
			if v := float32((1-diversity)*r) - float32(diversity*alike[i]); best < 0 || v > most {
				best, most = i, v
			}
		}
		taken[best] = true
		order = append(order, best)
		ScoreAll(cosine, unit[best*stride:(best+1)*stride], unit, stride)
		for i, c := range cosine {
			alike[i] = max(alike[i], c)
		}
	}
	return order
}
