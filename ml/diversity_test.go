package ml

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDiversify(t *testing.T) {
	// Two films that are alike, one that is not, and one of which nothing is known.
	relevance := []float32{1, .9, .5, .1}
	vectors := []float32{1, 0, 2, 0, 0, 3, 0, 0}
	for _, c := range []struct {
		diversity float32
		want      []int
	}{{0, []int{0, 1, 2, 3}}, {.5, []int{0, 2, 3, 1}}, {1, []int{0, 2, 3, 1}}, {.2, []int{0, 1, 2, 3}}} {
		if got := Diversify(relevance, vectors, 2, 10, c.diversity); !slices.Equal(got, c.want) {
			t.Errorf("diversity %v: %v; want %v", c.diversity, got, c.want)
		}
	}
	if got := Diversify(relevance, vectors, 2, 0, .5); len(got) != 0 {
		t.Error(got)
	}
	if got := Diversify(nil, nil, 2, 3, .5); len(got) != 0 {
		t.Error(got)
	}
}

// As the definition says, computed the plainest way; and the beginning of a longer list is the shorter list.
func TestDiversifyIsMMR(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 30 {
		n, dim, d := 1+rng.IntN(40), 1+rng.IntN(9), float32(rng.IntN(11))/10
		relevance, vectors := make([]float32, n), make([]float32, n*dim)
		for i := range relevance {
			relevance[i] = rng.Float32()
		}
		for i := range vectors {
			vectors[i] = float32(rng.NormFloat64())
		}
		cosine := func(a, b int) float64 {
			var ab, aa, bb float64
			for c := range dim {
				x, y := float64(vectors[a*dim+c]), float64(vectors[b*dim+c])
				ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
			}
			return ab / math.Sqrt(aa*bb)
		}
		got := Diversify(relevance, vectors, dim, n, d)
		for at := range got {
			value := func(i int) float64 {
				var alike float64
				for _, j := range got[:at] {
					alike = max(alike, cosine(i, j))
				}
				return float64(1-d)*float64(relevance[i]) - float64(d)*alike
			}
			for _, later := range got[at+1:] {
				if value(later) > value(got[at])+1e-5 {
					t.Fatalf("place %d has %v, and %v was left", at, value(got[at]), value(later))
				}
			}
		}
		if k := rng.IntN(n + 1); !slices.Equal(Diversify(relevance, vectors, dim, k, d), got[:k]) {
			t.Fatalf("the first %d of %d are others", k, n)
		}
	}
}
