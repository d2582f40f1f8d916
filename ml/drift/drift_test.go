package drift_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml/drift"
)

// TestDistance: known distances, and where there is none.
func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{10, 20, 30}, 0},
		{[]float64{1, 0}, []float64{0, 9}, 1},
		{[]float64{5}, []float64{0, 0, 2}, 1},
		{[]float64{.5, .5}, []float64{1, 0}, math.Sqrt(.31127812445913283)}, // H(.75) - H(.5)/2
		{[]float64{3, -1}, []float64{7, 0}, 0},
	} {
		if got, ok := drift.Distance(c.a, c.b); !ok || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%v, %v: %v, %v; want %v", c.a, c.b, got, ok, c.want)
		}
	}
	for _, none := range [][]float64{nil, {0, 0}, {-1}} {
		if got, ok := drift.Distance(none, []float64{1}); ok || got != 0 {
			t.Errorf("%v: %v", none, got)
		}
	}
}

// TestDistanceIsMetric: between 0 and 1, the same both ways, and never longer than by way of a third.
func TestDistanceIsMetric(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func() []float64 {
		h := make([]float64, 1+rng.IntN(12))
		for i := range h {
			h[i] = float64(rng.IntN(4) * rng.IntN(100))
		}
		h[rng.IntN(len(h))]++
		return h
	}
	between := func(a, b []float64) float64 {
		d, ok := drift.Distance(a, b)
		if !ok || d < 0 || d > 1 || math.IsNaN(d) {
			t.Fatalf("%v, %v: %v, %v", a, b, d, ok)
		}
		return d
	}
	for range 5000 {
		a, b, c := random(), random(), random()
		if between(a, b) != between(b, a) {
			t.Fatalf("%v, %v", a, b)
		}
		if between(a, c) > between(a, b)+between(b, c)+1e-9 {
			t.Fatalf("%v, %v, %v", a, b, c)
		}
		if between(a, a) > 1e-7 {
			t.Fatalf("%v", a)
		}
	}
}

// TestSteps: bins of about the same share, the most frequent first; what was never met is in the last.
func TestSteps(t *testing.T) {
	if got, want := drift.Steps([]float64{1, 50, 0, 24, 25}, 4), []int{3, 0, 4, 3, 2}; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
	counts, rng := make([]float64, 1000), rand.New(rand.NewPCG(3, 4))
	all := 0.
	for i := range counts {
		counts[i] = float64(1 + rng.IntN(20))
		all += counts[i]
	}
	shares := make([]float64, 10)
	for i, bin := range drift.Steps(counts, 10) {
		shares[bin] += counts[i] / all
	}
	for bin, share := range shares {
		if share < .09 || share > .11 {
			t.Errorf("bin %d has %v of all", bin, share)
		}
	}
	if got := drift.Steps(nil, 3); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// TestChance: what chance alone makes of few acts, which is what a threshold must be above.
func TestChance(t *testing.T) {
	rng, all := rand.New(rand.NewPCG(5, 6)), 0.
	const bins, acts, times = 11, 500, 400
	even := slices.Repeat([]float64{1}, bins)
	for range times {
		h := make([]float64, bins)
		for range acts {
			h[rng.IntN(bins)]++
		}
		d, ok := drift.Distance(even, h)
		if !ok || d > .12 {
			t.Errorf("%v: %v", h, d)
		}
		all += d / times
	}
	if all < .05 || all > .07 {
		t.Errorf("%v on average", all)
	}
}
