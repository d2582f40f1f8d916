// Package drift measures how far what people do now is from what a model was trained on. It is pure: histograms in, a number out.
package drift

import (
	"cmp"
	"math"
	"slices"
)

// Distance is the Jensen-Shannon distance of two histograms over the same bins (Endres and Schindelin, A new metric for probability distributions, 2003), by
// logarithms of base 2: 0 where both have the same shares, 1 where no bin has something of both. It is a metric, and finite where a bin is empty. ok is false
// where one of them has nothing, of which no distance can be told. Bins that are not above 0 count as empty.
func Distance(reference, current []float64) (distance float64, ok bool) {
	var all [2]float64
	for i, h := range [][]float64{reference, current} {
		for _, x := range h {
			all[i] += max(x, 0)
		}
	}
	if all[0] == 0 || all[1] == 0 {
		return 0, false
	}
	share := func(h []float64, i int, all float64) float64 {
		if i >= len(h) {
			return 0
		}
		return max(h[i], 0) / all
	}
	part := func(p, m float64) float64 {
		if p == 0 {
			return 0
		}
		return p * math.Log2(p/m)
	}
	divergence := 0.
	for i := range max(len(reference), len(current)) {
		p, q := share(reference, i, all[0]), share(current, i, all[1])
		m := (p + q) / 2
		divergence += (part(p, m) + part(q, m)) / 2
	}
	return math.Sqrt(min(max(divergence, 0), 1)), true
}

// Steps puts things, of which one was met so often, into bins from 0 on: the most frequent first, and in each about as large a share of all. What was never met
// is in the bin after them, n. Of things as frequent the first is before the others.
func Steps(counts []float64, n int) []int {
	order, all := make([]int, len(counts)), 0.
	for i, c := range counts {
		order[i] = i
		all += max(c, 0)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(counts[b], counts[a]) })
	bins, before := make([]int, len(counts)), 0.
	for _, i := range order {
		if counts[i] <= 0 {
			bins[i] = n
			continue
		}
		bins[i] = min(int(before/all*float64(n)), n-1)
		before += counts[i]
	}
	return bins
}
