//go:build amd64 && !purego

package vector

import "golang.org/x/sys/cpu"

// Each takes a multiple of eight values, at least eight.

//go:noescape
func scaleAVX2(v *float32, by float32, n int)

//go:noescape
func mixAVX2(dst, x *float32, a float32, y *float32, b float32, n int)

//go:noescape
func multiplyAVX2(dst, x, y *float32, n int) float32

//go:noescape
func mostAVX2(v, unless *float32, n int) float32

// aboveAVX2 gives the place of the first eight of which one is greater, n where none is.
//
//go:noescape
func aboveAVX2(v *float32, least float32, n int) int

var hasAVX2 = cpu.X86.HasAVX2

// wide is how many of n values are done by vectors.
func wide(n int) int {
	if !hasAVX2 {
		return 0
	}
	return n &^ 7
}

func scale(v []float32, by float32) int {
	n := wide(len(v))
	if n > 0 {
		scaleAVX2(&v[0], by, n)
	}
	return n
}

func mix(dst, x []float32, a float32, y []float32, b float32) int {
	n := wide(len(dst))
	if n > 0 {
		mixAVX2(&dst[0], &x[0], a, &y[0], b, n)
	}
	return n
}

func multiply(dst, x, y []float32) (n int, greatest float32) {
	if n = wide(len(dst)); n > 0 {
		greatest = multiplyAVX2(&dst[0], &x[0], &y[0], n)
	}
	return n, greatest
}

func most(v, unless []float32) (n int, greatest float32) {
	if n = wide(len(v)); n > 0 {
		greatest = mostAVX2(&v[0], &unless[0], n)
	}
	return n, greatest
}

func above(v []float32, least float32) int {
	if n := wide(len(v)); n > 0 {
		return aboveAVX2(&v[0], least, n)
	}
	return 0
}
