package ml

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"
)

// TestFMA32 compares with exact arithmetic, near ties and in the subnormal range too.
func TestFMA32(t *testing.T) {
	r := newRNG(1)
	for n := 0; n < 200_000; n++ {
		x, y, z := anyFloat32(r), anyFloat32(r), anyFloat32(r)
		if n%2 == 0 { // force cancellation and ties: z near -x*y or far below it
			z = -float32(float64(x)*float64(y)) * (1 + float32(int64(r.next()%5))/(1<<23))
		}
		p := float64(x) * float64(y)
		if math.IsInf(float64(float32(p)), 0) || math.IsInf(float64(z), 0) {
			continue
		}
		exact := new(big.Float).SetPrec(600).SetFloat64(p)
		exact.Add(exact, new(big.Float).SetPrec(600).SetFloat64(float64(z)))
		want, _ := exact.Float32()
		got := fma32(x, y, z)
		if got != want {
			t.Fatalf("fma32(%g, %g, %g) = %g, want %g", x, y, z, got, want)
		}
	}
}

// TestFMA32Tie is a case that rounding twice gets wrong.
func TestFMA32Tie(t *testing.T) {
	x, y := float32(1+1.0/(1<<12)), float32(1+1.0/(1<<12)) // 1 + 2^-11 + 2^-24: a tie in float32
	z := float32(math.Ldexp(1, -80))                       // lost in float64, breaks the tie upwards
	naive := float32(float64(x)*float64(y) + float64(z))
	got, want := fma32(x, y, z), float32(1+1.0/(1<<11)+1.0/(1<<23))
	if got != want {
		t.Fatalf("fma32 = %v, want %v", got, want)
	}
	if naive == want {
		t.Fatal("the case no longer shows the double rounding")
	}
}

func anyFloat32(r *rng) float32 {
	for {
		f := math.Float32frombits(uint32(r.next()))
		if r.next()%4 != 0 {
			f = float32(int32(r.next())) / (1 << 20)
		}
		if !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) {
			return f
		}
	}
}

// TestKernels demands the same bits of the machine's kernels and of the portable ones.
func TestKernels(t *testing.T) {
	t.Logf("kernel %s", Kernel())
	r := newRNG(2)
	for _, cols := range []int{8, 16, 24, 32, 40, 56, 64, 72, 96, 104, 128, 192} {
		for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 33} {
			stride, rows := cols+8*int(r.next()%3), 50
			base := make([]float32, rows*stride)
			for i := range base {
				base[i] = r.normal()
			}
			idx, w, x := make([]int32, n), make([]float32, n), make([]float32, cols)
			for i := range idx {
				idx[i], w[i] = int32(r.next()%uint64(rows)), r.normal()
			}
			for i := range x {
				x[i] = r.normal()
			}
			got, want := make([]float32, n+1), make([]float32, n+1)
			got[n], want[n] = 7, 7
			dotRows(got, x, base, idx, stride, cols)
			dotRowsGo(want, x, base, idx, stride, cols)
			sameBits(t, "dotRows", got, want)

			got, want = append(append([]float32{}, x...), 7), append(append([]float32{}, x...), 7)
			axpyRows(got, w, base, idx, stride, cols)
			axpyRowsGo(want, w, base, idx, stride, cols)
			sameBits(t, "axpyRows", got, want)
		}
	}
}

// A tile that goes over several rows gives each of them what it has alone, and touches nothing else.
func TestTileKernel(t *testing.T) {
	r := newRNG(3)
	for _, n := range []int{0, 1, 2, 3, 4, 5, 7, 8, 33} {
		for _, rows := range []int{0, 1, 2, 5, 96} {
			stride, step := tileCols+8*int(r.next()%3), rows+int(r.next()%3)
			dst, coefs, tile := make([]float32, n*stride+tileCols), make([]float32, n*step+1), make([]float32, rows*tileCols+1)
			for _, list := range [][]float32{dst, coefs, tile} {
				for i := range list {
					list[i] = r.normal()
				}
			}
			got, want := slices.Clone(dst), slices.Clone(dst)
			axpyTile(got, coefs, tile, n, rows, stride, step)
			for i := range n {
				axpyRowsGo(want[i*stride:], coefs[i*step:], tile, iota32[:rows], tileCols, tileCols)
			}
			sameBits(t, fmt.Sprintf("%d rows of a tile of %d", n, rows), got, want)
		}
	}
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: value %d of %d is %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}
