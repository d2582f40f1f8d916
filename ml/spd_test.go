package ml

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

// covariance is a random symmetric positive definite matrix: of n columns by more rows, and a ridge.
func covariance(n int, seed uint64) []float32 {
	s, r := wide(n), newRNG(seed)
	x := randomRows(r, 2*n, n)
	a := make([]float32, n*s)
	for i := range n {
		for j := i; j < n; j++ {
			var sum float64
			for k := range 2 * n {
				sum += float64(x[k*n+i]) * float64(x[k*n+j])
			}
			a[i*s+j] = float32(sum)
		}
		a[i*s+i] += float32(n) / 10
	}
	return a
}

// What is inverted gives one with what it was, for sizes around those of blocks and tiles, by any number of workers.
func TestInvertSPD(t *testing.T) {
	for _, n := range []int{1, 2, 7, 63, 64, 65, 95, 96, 97, 130, 193, 260} {
		a := covariance(n, uint64(n))
		s := wide(n)
		for i := range n { // what is left of the diagonal is not read
			for j := range i {
				a[i*s+j] = float32(math.NaN())
			}
		}
		var want []float32
		for _, workers := range []int{1, 2, 5} {
			old := runtime.GOMAXPROCS(workers)
			got, last := slices.Clone(a), 0
			err := invertSPD(context.Background(), got, n, func(done, of int) { last = done })
			runtime.GOMAXPROCS(old)
			if err != nil || last != n {
				t.Fatal(n, last, err)
			}
			if want == nil {
				want = got
			}
			sameBits(t, fmt.Sprintf("%d rows by %d workers", n, workers), got, want)
		}
		at := func(i, j int) float64 { return float64(a[min(i, j)*s+max(i, j)]) }
		for i := range n {
			for j := range n {
				var sum float64
				for k := range n {
					sum += at(i, k) * float64(want[k*s+j])
				}
				if one := map[bool]float64{true: 1}[i == j]; math.Abs(sum-one) > 1e-3 {
					t.Fatalf("%d rows: the product has %v at %d, %d", n, sum, i, j)
				}
				if want[i*s+j] != want[j*s+i] {
					t.Fatalf("%d rows: not symmetric at %d, %d", n, i, j)
				}
			}
		}
	}
	for what, a := range map[string][]float32{"indefinite": {1, 2}, "zero": {0, 0}, "NaN": {float32(math.NaN()), 0}, "infinite": {float32(math.Inf(1)), 0}} {
		m := make([]float32, 2*wide(2))
		m[0], m[1], m[wide(2)+1] = a[0], a[1], 1
		if err := invertSPD(context.Background(), m, 2, nil); err == nil {
			t.Errorf("%s: inverted", what)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := invertSPD(ended, covariance(100, 1), 100, nil); err != context.Canceled {
		t.Error(err)
	}
}

func TestMultiplyRows(t *testing.T) {
	for _, n := range []int{1, 64, 97, 130} {
		s, r := wide(n), newRNG(3)
		a, b := make([]float32, n*s), make([]float32, n*s)
		for i := range n {
			for j := range n {
				a[i*s+j], b[i*s+j] = r.normal(), r.normal()
			}
		}
		rows := make([][]float32, n)
		if err := multiplyRows(context.Background(), a, b, n, func(row int, values []float32) { rows[row] = slices.Clone(values) }); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			for j := range n {
				var sum float64
				for k := range n {
					sum += float64(a[i*s+k]) * float64(b[k*s+j])
				}
				if math.Abs(sum-float64(rows[i][j])) > 1e-3 {
					t.Fatalf("%d rows: %v at %d, %d; want %v", n, rows[i][j], i, j, sum)
				}
			}
		}
	}
}

// BenchmarkInvert is what EASE takes on so many items.
func BenchmarkInvert(b *testing.B) {
	for _, n := range []int{1000, 4000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, r := wide(n), newRNG(1)
			a := make([]float32, n*s)
			for i := range n {
				for j := i; j < n; j++ {
					a[i*s+j] = r.normal()
				}
				a[i*s+i] = float32(4 * n)
			}
			scratch := make([]float32, len(a))
			var took time.Duration
			for b.Loop() {
				copy(scratch, a)
				began := time.Now()
				if err := invertSPD(context.Background(), scratch, n, nil); err != nil {
					b.Fatal(err)
				}
				took += time.Since(began)
			}
			b.ReportMetric(float64(b.N)*math.Pow(float64(n), 3)/took.Seconds()/1e9, "Gmul/s")
		})
	}
}
