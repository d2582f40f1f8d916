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

// TestPSI: known values; a bin that one of both lacks is no infinity.
func TestPSI(t *testing.T) {
	for _, c := range []struct {
		a, b []float64
		want float64
	}{
		{[]float64{1, 2, 3}, []float64{10, 20, 30}, 0},
		{[]float64{1, 1}, []float64{3, 1}, .25*math.Log(1.5) - .25*math.Log(.5)},
		{[]float64{1}, []float64{0, 1}, 2 * (1 - 1e-4) * math.Log(1e4)},
	} {
		if got, ok := drift.PSI(c.a, c.b); !ok || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%v, %v: %v, %v; want %v", c.a, c.b, got, ok, c.want)
		}
	}
	if _, ok := drift.PSI(nil, []float64{1}); ok {
		t.Error("of nothing there is an index")
	}
}

// TestKS compares with the difference of the distribution functions at every number.
func TestKS(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		a, b := make([]float64, 1+rng.IntN(20)), make([]float64, 1+rng.IntN(20))
		for _, x := range [][]float64{a, b} {
			for i := range x {
				x[i] = float64(rng.IntN(12))
			}
			slices.Sort(x)
		}
		below := func(h []float64, x float64) (n float64) {
			for _, v := range h {
				if v <= x {
					n++
				}
			}
			return n / float64(len(h))
		}
		want := 0.
		for x := range 12 {
			want = max(want, math.Abs(below(a, float64(x))-below(b, float64(x))))
		}
		if got, ok := drift.KS(a, b); !ok || math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v, %v: %v; want %v", a, b, got, want)
		}
	}
	if _, ok := drift.KS(nil, []float64{1}); ok {
		t.Error("of nothing there is a statistic")
	}
}

// TestEdges: every number of what the edges are of is in a bin of its own share, and what is outside is in one of the two outer bins.
func TestEdges(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	x := make([]float64, 1000)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	slices.Sort(x)
	edges, bins := drift.Edges(x, 10), make([]int, 12)
	for _, v := range x {
		bins[drift.Bin(edges, v)]++
	}
	if want := []int{0, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 0}; !slices.Equal(bins, want) {
		t.Errorf("%v", bins)
	}
	if drift.Bin(edges, x[0]-1) != 0 || drift.Bin(edges, x[999]+1) != 11 {
		t.Error("what is outside is not in the outer bins")
	}
	same := drift.Edges([]float64{5, 5, 5}, 10)
	if got := []int{drift.Bin(same, 4), drift.Bin(same, 5), drift.Bin(same, 6)}; len(same) != 2 || !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("of one number alone: %v, %v", same, got)
	}
}

// TestChanceOfSamples: the distance of samples of one distribution is about what Chance says, and twice that is hardly ever reached.
func TestChanceOfSamples(t *testing.T) {
	rng, all, above := rand.New(rand.NewPCG(11, 12)), 0., 0
	const bins, n, m, times = 12, 400, 900, 2000
	sample := func(n int) []float64 {
		h := make([]float64, bins)
		for range n {
			h[rng.IntN(bins)]++
		}
		return h
	}
	chance := drift.Chance(bins, n, m)
	for range times {
		d, _ := drift.Distance(sample(n), sample(m))
		if all += d / times; d >= 2*chance {
			above++
		}
	}
	if all < .85*chance || all > 1.05*chance || above > 0 {
		t.Errorf("%v on average, %v expected; %d of %d above twice that", all, chance, above, times)
	}
}
