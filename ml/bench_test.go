package ml

import (
	"context"
	"fmt"
	"testing"
)

// million is a random world of MovieLens-1M's shape: 6,040 users, 3,706 items, about 656,000 pairs.
func million(b *testing.B) *Dataset {
	b.Helper()
	return synthetic(6040, 3706, 1_000_000, 1)
}

func BenchmarkALSSweep(b *testing.B) {
	d := million(b)
	for _, c := range []struct {
		name, solver string
		dim          int
	}{{"cg64", SolverCG, 64}, {"cholesky64", SolverCholesky, 64}, {"cg128", SolverCG, 128}, {"cg192", SolverCG, 192}} {
		b.Run(c.name, func(b *testing.B) {
			p := DefaultALSParams()
			p.Dim, p.Solver = c.dim, c.solver
			trainer, err := NewALSTrainer(d, p)
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := trainer.Sweep(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(trainer.byUser.cols)), "pairs")
		})
	}
	b.Run("loss64", func(b *testing.B) {
		trainer, err := NewALSTrainer(d, DefaultALSParams())
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			trainer.Loss()
		}
	})
}

func BenchmarkALSPrepare(b *testing.B) {
	d := million(b)
	for b.Loop() {
		if _, err := NewALSTrainer(d, DefaultALSParams()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFoldIn(b *testing.B) {
	r, p := newRNG(1), DefaultALSParams()
	f, err := NewFolder(randomRows(r, 27_000, p.Dim), p)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{50, 300} {
		items, weights := make([]int32, n), make([]float32, n)
		for i := range items {
			items[i], weights[i] = int32(r.intn(27_000)), 1
		}
		b.Run(fmt.Sprintf("history%d", n), func(b *testing.B) {
			dst := make([]float32, p.Dim)
			for b.Loop() {
				f.FoldIn(dst, items, weights)
			}
		})
	}
}

func BenchmarkTopK(b *testing.B) {
	r := newRNG(1)
	factors, query := randomRows(r, 27_000, 64), randomRows(r, 1, 64)
	seen := NewBitset(27_000)
	for range 100 {
		seen.Add(int32(r.intn(27_000)))
	}
	for b.Loop() {
		TopK(query, factors, 64, 10, seen.Has)
	}
}

// Between what the products of a query with 27,000 films lie, beside the products.
func BenchmarkCoarse(b *testing.B) {
	const films, dim = 27_000, 64
	r := newRNG(1)
	factors, query := make([]float32, films*dim), make([]float32, dim)
	for i := range factors {
		factors[i] = .1 * r.normal()
	}
	for i := range query {
		query[i] = r.normal()
	}
	lo, hi := make([]float32, films), make([]float32, films)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			ScoreAll(lo, query, factors, dim)
		}
	})
	c := coarse(factors, dim)
	b.Run("bounds", func(b *testing.B) {
		for b.Loop() {
			c.Bounds(lo, hi, query)
		}
	})
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			coarse(factors, dim)
		}
	})
}
