package ml

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func TestTopK(t *testing.T) {
	r := newRNG(11)
	for _, dim := range []int{1, 5, 8, 20, 64} {
		for _, n := range []int{0, 1, 7, 1024, 1025, 2500} {
			factors, query := randomRows(r, n, dim), randomRows(r, 1, dim)
			for i := range factors { // coarse values, so that many scores are equal
				factors[i] = float32(math.Round(float64(factors[i])))
			}
			for i := range query {
				query[i] = float32(math.Round(float64(query[i])))
			}
			var want []Scored
			scores := make([]float32, n)
			ScoreAll(scores, query, factors, dim)
			for i := range n {
				var s float32
				for k, q := range query {
					s += q * factors[i*dim+k]
				}
				if s != scores[i] { // small integers: exact in any order
					t.Fatalf("dim %d: score %d is %v, want %v", dim, i, scores[i], s)
				}
				if i%3 != 0 {
					want = append(want, Scored{int32(i), s})
				}
			}
			slices.SortStableFunc(want, func(a, b Scored) int { return -cmpFloat(a.Score, b.Score) })
			skip := func(i int32) bool { return i%3 == 0 }
			for _, k := range []int{-1, 0, 1, 10, 5000} {
				want := want[:max(0, min(k, len(want)))]
				if got := TopK(query, factors, dim, k, skip); !slices.Equal(got, want) {
					t.Fatalf("dim %d, n %d, k %d: %v, want %v", dim, n, k, got, want)
				}
				if got := TopKScores(scores, k, skip); !slices.Equal(got, want) {
					t.Fatalf("TopKScores: dim %d, n %d, k %d: %v, want %v", dim, n, k, got, want)
				}
			}
		}
	}
}

func cmpFloat(a, b float32) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestTopKScoresNaN(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	got := TopKScores([]float32{nan, 1, -inf, nan, inf, 1}, 4, nil)
	want := []Scored{{4, inf}, {1, 1}, {5, 1}, {2, -inf}}
	if !slices.Equal(got, want) {
		t.Fatalf("%v, want %v", got, want)
	}
}

func TestBitset(t *testing.T) {
	var b Bitset
	for _, i := range []int32{0, 63, 64, 1000} {
		b.Add(i)
	}
	for i := int32(-3); i < 1100; i++ {
		if got, want := b.Has(i), i == 0 || i == 63 || i == 64 || i == 1000; got != want {
			t.Fatalf("Has(%d) = %v", i, got)
		}
	}
}

// Every row is scored, whatever the dimension; some rows have, alone, the same to the bit.
func TestScoreAll(t *testing.T) {
	r := newRNG(5)
	for _, dim := range []int{1, 8, 13, 64} {
		for _, n := range []int{0, 1, scanRows, 2*scanRows + 5} {
			factors, q, all := randomRows(r, n, dim), randomRows(r, 1, dim), make([]float32, n)
			ScoreAll(all, q, factors, dim)
			for i := range n {
				var want float64
				for c := range dim {
					want += float64(q[c]) * float64(factors[i*dim+c])
				}
				if math.Abs(float64(all[i])-want) > 1e-5 {
					t.Fatalf("dim %d: row %d has %v; want %v", dim, i, all[i], want)
				}
			}
			var places []int32
			for i := 0; i < n; i += 1 + int(r.next()%7) {
				places = append(places, int32(i))
			}
			some := make([]float32, len(places))
			ScoreSome(some, q, factors, dim, places)
			for i, p := range places {
				sameBits(t, fmt.Sprintf("row %d of %d, dim %d", p, n, dim), some[i:i+1], all[p:p+1])
			}
		}
	}
}
