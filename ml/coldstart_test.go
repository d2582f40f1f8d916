package ml

import (
	"math"
	"strings"
	"testing"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// TestContentRidge recovers a linear rule from items that follow it, and ignores those unseen.
func TestContentRidge(t *testing.T) {
	r, n, features, dim := newRNG(5), 200, 4, 3
	truth := randomRows(r, features+1, dim)
	x, y, support := make([][]float32, n), make([]float32, n*dim), make([]float32, n)
	for i := range x {
		x[i], support[i] = make([]float32, features), float32(1+r.intn(50))
		for f := range x[i] {
			x[i][f] = float32(r.intn(2))
		}
		for c := range dim {
			v := truth[features*dim+c]
			for f := range x[i] {
				v += x[i][f] * truth[f*dim+c]
			}
			y[i*dim+c] = v
		}
	}
	for i := 0; i < n; i += 4 {
		support[i], y[i*dim] = 0, 1e6
	}
	ridge, err := FitContentRidge(x, y, dim, support, 1e-6)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range ridge.Weights {
		if !near(float64(w), float64(truth[i]), 1e-4) {
			t.Fatalf("weight %d is %v, want %v", i, w, truth[i])
		}
	}
	got := ridge.Predict(nil, []float32{1, 0, 1, 0})
	for c := range got {
		if want := truth[features*dim+c] + truth[c] + truth[2*dim+c]; !near(float64(got[c]), float64(want), 1e-4) {
			t.Fatalf("predicted %v, want %v", got[c], want)
		}
	}

	t.Run("Shrinks", func(t *testing.T) { // one feature on half of the items, by hand
		// W = 1/2 each: minimise ½Σ(y−a−bx)² + λb². With y = 1 where x = 1, else 0, n = 4, λ = ½:
		// b = ½·S/(½·S + λ), S = Σ(x−x̄)² = 1, so b = ½, a = ½ − ½·½ = ¼.
		ridge, err := FitContentRidge([][]float32{{1}, {1}, {0}, {0}}, []float32{1, 1, 0, 0}, 1, []float32{1, 1, 1, 1}, .5)
		if err != nil {
			t.Fatal(err)
		}
		if !near(float64(ridge.Weights[0]), .5, 1e-6) || !near(float64(ridge.Weights[1]), .25, 1e-6) {
			t.Fatal(ridge.Weights)
		}
	})
	t.Run("NothingSeen", func(t *testing.T) {
		ridge, err := FitContentRidge([][]float32{{1}, {0}}, []float32{1, 1}, 1, []float32{0, 0}, 1)
		if err != nil || ridge.Predict(nil, []float32{1})[0] != 0 {
			t.Fatal(ridge, err)
		}
	})
	t.Run("Err", func(t *testing.T) {
		nan := float32(math.NaN())
		for want, call := range map[string]func() (*ContentRidge, error){
			"lambda": func() (*ContentRidge, error) { return FitContentRidge(nil, nil, 1, nil, 0) },
			"item 1": func() (*ContentRidge, error) {
				return FitContentRidge([][]float32{{1}, {}}, []float32{1, 1}, 1, []float32{1, 1}, 1)
			},
			"feature 0": func() (*ContentRidge, error) {
				return FitContentRidge([][]float32{{nan}}, []float32{1}, 1, []float32{1}, 1)
			},
			"supports": func() (*ContentRidge, error) { return FitContentRidge([][]float32{{1}}, []float32{1}, 1, nil, 1) },
		} {
			if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want one that names %q", err, want)
			}
		}
	})
}

func TestBlend(t *testing.T) {
	dst := make([]float32, 2)
	Blend(dst, []float32{4, 8}, []float32{0, 4}, 3, 1)
	if dst[0] != 3 || dst[1] != 7 {
		t.Fatal(dst)
	}
	Blend(dst, []float32{4, 8}, []float32{0, 4}, 0, 5)
	if dst[0] != 0 || dst[1] != 4 {
		t.Fatal(dst)
	}
	Blend(dst, []float32{4, 8}, []float32{0, 4}, 0, 0)
	if dst[0] != 4 || dst[1] != 8 {
		t.Fatal(dst)
	}
}
