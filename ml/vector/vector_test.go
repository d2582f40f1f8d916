package vector

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// odd are the values that vectors and loops might not agree on.
var odd = []float32{0, float32(math.Copysign(0, -1)), excluded, float32(math.Inf(1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
	math.SmallestNonzeroFloat32, 1, -1}

func values(r *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		if v[i] = float32(r.NormFloat64()); r.IntN(6) == 0 {
			v[i] = odd[r.IntN(len(odd))]
		}
	}
	return v
}

// same: a NaN is a NaN, whatever is in it.
func same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// Every pass gives what the plain loop gives, to the bit, and touches nothing behind its end.
func TestPasses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		for range 20 {
			x, y, a, b := values(r, n), values(r, n), values(r, 1)[0], values(r, 1)[0]
			check := func(what string, got, want []float32) {
				t.Helper()
				if !slices.EqualFunc(got, want, same) {
					t.Fatalf("%s of %v and %v, %v, %v: %v, want %v", what, x, y, a, b, got, want)
				}
			}
			on := func(v []float32) []float32 { return append(slices.Clone(v), 7)[:n] }
			got, want := on(x), make([]float32, n)
			for i := range want {
				want[i] = x[i] * a
			}
			Scale(got, a)
			check("Scale", got, want)
			check("behind the end", got[:n+1][n:], []float32{7})

			got = on(x)
			for i := range want {
				if want[i] = float32(a*x[i]) + float32(b*y[i]); x[i] == excluded {
					want[i] = excluded
				}
			}
			Mix(got, got, a, y, b)
			check("Mix", got, want)
			check("behind the end", got[:n+1][n:], []float32{7})

			got = on(y)
			greatest, allowed := float32(0), float32(0)
			for i := range want {
				if want[i] = x[i] * y[i]; want[i] > greatest {
					greatest = want[i]
				}
				if x[i] > allowed && !math.IsInf(float64(y[i]), -1) {
					allowed = x[i]
				}
			}
			check("the greatest product", []float32{Multiply(got, x, got)}, []float32{greatest})
			check("Multiply", got, want)
			check("behind the end", got[:n+1][n:], []float32{7})
			check("Greatest", []float32{Greatest(x, y)}, []float32{allowed})

			place := slices.IndexFunc(x, func(v float32) bool { return v > a })
			if place < 0 {
				place = n
			}
			if got := Above(x, a); got != place {
				t.Fatalf("Above(%v, %v) = %d, want %d", x, a, got, place)
			}
		}
	}
}

// A list that is too short is refused before anything is read behind its end.
func TestShort(t *testing.T) {
	long, short := make([]float32, 64), make([]float32, 63)
	for name, f := range map[string]func(){
		"Mix x": func() { Mix(long, short, 1, long, 1) }, "Mix y": func() { Mix(long, long, 1, short, 1) },
		"Multiply x": func() { Multiply(long, short, long) }, "Multiply y": func() { Multiply(long, long, short) },
		"Greatest": func() { Greatest(long, short) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Fatal("it was done")
				}
			}()
			f()
		})
	}
}

func BenchmarkPasses(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{27_000} {
		x, y := make([]float32, n), make([]float32, n)
		for i := range x {
			x[i], y[i] = r.Float32(), r.Float32()
		}
		dst := make([]float32, n)
		for name, f := range map[string]func(){
			"Scale": func() { Scale(x, 1) }, "Mix": func() { Mix(dst, x, .3, y, .7) }, "Multiply": func() { Multiply(dst, x, y) },
			"Greatest": func() { Greatest(x, y) }, "Above": func() { Above(x, 1) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					f()
				}
			})
		}
	}
}
