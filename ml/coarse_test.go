package ml

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

func coarse(factors []float32, dim int) *Coarse {
	c := NewCoarse(len(factors)/dim, dim)
	for i := range c.Len() {
		c.Set(i, factors[i*dim:])
	}
	return c
}

// What is said of a product holds for what ScoreAll gives, to the last bit, whatever rows and queries are.
func TestCoarse(t *testing.T) {
	r := newRNG(5)
	kinds := map[string]func() float32{
		"normal": func() float32 { return .1 * r.normal() },
		"sparse": func() float32 { return float32(int(r.next()%10)/9) * r.normal() },
		"whole":  func() float32 { return float32(int(r.next()%255) - 127) },
		"spread": func() float32 { return r.normal() * float32(math.Exp(float64(4*r.normal()))) },
		"tiny":   func() float32 { return r.normal() * 1e-22 },
		"least":  func() float32 { return r.normal() * 1e-42 },
		"huge":   func() float32 { return r.normal() * 1e15 },
		"beyond": func() float32 { return float32(int(r.next()%10)/9) * r.normal() * 1e30 },
		"zero":   func() float32 { return 0 },
		"odd": func() float32 {
			return []float32{0, 1, -1, float32(math.Inf(1)), float32(math.NaN()), 1e-40}[r.next()%6]
		},
	}
	exact, told := 0, 0
	for rowKind, value := range kinds {
		for queryKind, ask := range kinds {
			for _, dim := range []int{1, 3, 8, 16, 20, 64, 100, 512} {
				for _, n := range []int{0, 1, 3, 4, 7, 8, 37} {
					factors, query := make([]float32, n*dim), make([]float32, dim)
					for i := range factors {
						factors[i] = value()
					}
					for i := range query {
						query[i] = ask()
					}
					what := fmt.Sprintf("%d rows, %s, dim %d, of a query, %s", n, rowKind, dim, queryKind)
					c := coarse(factors, dim)
					lo, hi, is := make([]float32, n+1), make([]float32, n+1), make([]float32, n)
					lo[n], hi[n] = 7, 7
					if !c.Bounds(lo, hi, query) {
						if slices.Max(append(lo, 0)) != 7 || queryKind == "normal" || queryKind == "huge" {
							t.Fatalf("nothing is told of %s: %v", what, query)
						}
						continue
					}
					if lo[n] != 7 || hi[n] != 7 {
						t.Fatalf("%s: written behind the end", what)
					}
					ScoreAll(is, query, factors, dim)
					for i, v := range is {
						told++
						if !(lo[i] <= v && v <= hi[i]) && (v == v || !math.IsInf(float64(hi[i]), 1)) {
							t.Fatalf("%s: row %d is %v, not in [%v, %v]", what, i, v, lo[i], hi[i])
						}
						if rowKind == "normal" && queryKind == "normal" && dim == 64 {
							// It is of use: half a percent of |row|·|query|, about.
							length := math.Sqrt(float64(dot(factors[i*dim:][:dim], factors[i*dim:][:dim], dim))) * math.Sqrt(float64(dot(query, query, dim)))
							if exact++; float64(hi[i]-lo[i]) > .02*length {
								t.Fatalf("%s: row %d is in [%v, %v], of a length of %v", what, i, lo[i], hi[i], length)
							}
						}
					}
				}
			}
		}
	}
	if exact == 0 || told < 1000 {
		t.Fatal("nothing was looked at")
	}
}

// The kernels of the machine give what the loops give.
func TestCoarseKernels(t *testing.T) {
	r := newRNG(6)
	for _, dim := range []int{8, 16, 33, 64, 512} {
		factors, query := make([]float32, 45*dim), make([]float32, dim)
		for i := range factors {
			factors[i] = r.normal()
		}
		for i := range query {
			query[i] = r.normal()
		}
		c := coarse(factors, dim)
		lo, hi := make([]float32, 45), make([]float32, 45)
		c.Bounds(lo, hi, query)
		for i := range lo { // one row at a time is too few for vectors
			one, ends := coarse(factors[i*dim:][:dim], dim), [2][]float32{{0}, {0}}
			one.Bounds(ends[0], ends[1], query)
			sameBits(t, fmt.Sprintf("row %d, dim %d", i, dim), []float32{lo[i], hi[i]}, []float32{ends[0][0], ends[1][0]})
		}
	}
}
