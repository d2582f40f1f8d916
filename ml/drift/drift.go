// Package drift measures how far what people do now is from what a model was trained on, and features from those of a training set. It is pure: histograms in, a number out.
package drift

import (
	"cmp"
	"math"
	"slices"
	"sort"
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

// shareLeast is what a share counts as at least in [PSI], as is usual: there is no logarithm of nothing.
const shareLeast = 1e-4

// PSI is the population stability index of two histograms over the same bins, by natural logarithms: 0 where both have the same shares, and
// without bound. It is known by its rules of thumb, .1 for a small change and .25 for a large one. ok is as for [Distance].
func PSI(reference, current []float64) (psi float64, ok bool) {
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
			return shareLeast
		}
		return max(h[i]/all, shareLeast)
	}
	for i := range max(len(reference), len(current)) {
		p, q := share(current, i, all[1]), share(reference, i, all[0])
		psi += (p - q) * math.Log(p/q)
	}
	return psi, true
}

// KS is the two-sample statistic of Kolmogorov and Smirnov: the largest difference of the two distributions' functions, of 0 to 1. Both are
// given in ascending order. ok is false where one of them is empty.
func KS(a, b []float64) (most float64, ok bool) {
	if len(a) == 0 || len(b) == 0 {
		return 0, false
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x := min(a[i], b[j])
		for i < len(a) && a[i] <= x {
			i++
		}
		for j < len(b) && b[j] <= x {
			j++
		}
		most = max(most, math.Abs(float64(i)/float64(len(a))-float64(j)/float64(len(b))))
	}
	return most, true
}

// Edges are where bins begin that have about the same share of some numbers each, n of them and fewer where numbers repeat; then the end of
// the last. They are given in ascending order, and there is one at least. What is below the first edge and what is at or above the last are bins, too, of which
// the numbers have nothing.
func Edges(ascending []float64, n int) []float64 {
	edges := []float64{ascending[0]}
	for i := 1; i < n; i++ {
		if x := ascending[i*len(ascending)/n]; x > edges[len(edges)-1] {
			edges = append(edges, x)
		}
	}
	return append(edges, math.Nextafter(ascending[len(ascending)-1], math.Inf(1)))
}

// Bin is the bin of a number, from 0 to the number of edges.
func Bin(edges []float64, x float64) int {
	return sort.Search(len(edges), func(i int) bool { return edges[i] > x })
}

// Chance is about the distance that chance alone makes of two samples of n and m from one distribution over so many bins: 8·ln 2·nm/(n+m)
// times the square of [Distance] has the distribution χ² of bins-1 degrees of freedom, about, whose mean that is.
func Chance(bins int, n, m float64) float64 {
	if bins < 2 || n <= 0 || m <= 0 {
		return 0
	}
	return min(math.Sqrt(float64(bins-1)/(8*math.Ln2)*(1/n+1/m)), 1)
}
