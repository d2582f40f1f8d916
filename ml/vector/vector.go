// Package vector has passes over lists of float32 that rankings are made of: one value for each film, all of one length.
//
// What comes out is specified to the bit: each product and each sum is rounded by itself, value by value, so the vectors of
// a machine give what the plain loops give.
package vector

import "math"

// excluded marks what a list leaves out, as scores have it (online.Excluded).
var excluded = float32(math.Inf(-1))

// Scale multiplies each value of v.
func Scale(v []float32, by float32) {
	for i := scale(v, by); i < len(v); i++ {
		v[i] *= by
	}
}

// Mix sets dst to a·x + b·y, and to -Inf wherever x is that. It panics where x or y is shorter than dst, which may be one of
// them.
func Mix(dst, x []float32, a float32, y []float32, b float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	for i := mix(dst, x, a, y, b); i < len(dst); i++ {
		if x[i] == excluded {
			dst[i] = excluded
			continue
		}
		dst[i] = float32(a*x[i]) + float32(b*y[i])
	}
}

// Multiply sets dst to x·y, value by value, and gives the greatest of them, at least 0; NaN is none. It panics where x or y is
// shorter than dst, which may be one of them.
func Multiply(dst, x, y []float32) (greatest float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	i, greatest := multiply(dst, x, y)
	for ; i < len(dst); i++ {
		v := x[i] * y[i]
		if dst[i] = v; v > greatest {
			greatest = v
		}
	}
	return greatest
}

// Greatest is the greatest value of v where unless is not -Inf, at least 0; NaN is none. It panics where unless is shorter.
func Greatest(v, unless []float32) (greatest float32) {
	unless = unless[:len(v)]
	i, greatest := most(v, unless)
	for ; i < len(v); i++ {
		if v[i] > greatest && unless[i] != excluded {
			greatest = v[i]
		}
	}
	return greatest
}

// Above is the place of the first value of v that is greater than least, len(v) where none is.
func Above(v []float32, least float32) int {
	i := above(v, least)
	for i < len(v) && !(v[i] > least) {
		i++
	}
	return i
}
