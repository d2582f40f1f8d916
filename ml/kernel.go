package ml

import "math"

// All heavy arithmetic goes through two kernels over rows of a float32 matrix, chosen by index, and a third that is the
// second of several destinations at once, from rows that lie side by side:
//
//	dotRows:  out[i] = x · row(idx[i])
//	axpyRows: dst   += Σ t[i]·row(idx[i]), in the order of i
//	axpyTile: dst_r += Σ coefs_r[i]·tile_i, in the order of i
//
// where row(j) is base[j*stride : j*stride+cols] and cols is a multiple of [lanes]. Callers have
// checked that every index is in range: the assembly does not. Slices hold what is read and written.
//
// The result is specified to the bit, so that a model trained on one machine can be rebuilt on
// another: each product is fused with its addition, a dot product is summed in eight lanes
// ((l0+l1)+(l2+l3))+((l4+l5)+(l6+l7)), and rows are added in order.

// lanes is the number of float32 in the vector of the kernels; matrices are padded to it.
const lanes = 8

// scanRows is how many rows one call of a kernel covers when it walks a whole matrix.
const scanRows = 1024

// iota32 is the index of a walk over consecutive rows.
var iota32 = func() (idx [scanRows]int32) {
	for i := range idx {
		idx[i] = int32(i)
	}
	return
}()

func padded(dim int) int { return (dim + lanes - 1) &^ (lanes - 1) }

// padRows copies n rows of dim values into rows of padded(dim), filled up with zeros.
// Where nothing is to be filled, it returns the rows themselves.
func padRows(rows []float32, n, dim int) []float32 {
	s := padded(dim)
	if s == dim {
		return rows[:n*dim]
	}
	out := make([]float32, n*s)
	for i := 0; i < n; i++ {
		copy(out[i*s:i*s+dim], rows[i*dim:(i+1)*dim])
	}
	return out
}

// unpadRows undoes padRows; it always copies.
func unpadRows(rows []float32, n, dim int) []float32 {
	s, out := padded(dim), make([]float32, n*dim)
	for i := 0; i < n; i++ {
		copy(out[i*dim:(i+1)*dim], rows[i*s:i*s+dim])
	}
	return out
}

// dot is x·y over cols values, a multiple of lanes.
func dot(x, y []float32, cols int) float32 {
	var out [1]float32
	dotRows(out[:], x, y[:cols], iota32[:1], cols, cols)
	return out[0]
}

// axpy is dst += a·x over cols values, a multiple of lanes.
func axpy(dst []float32, a float32, x []float32, cols int) {
	t := [1]float32{a}
	axpyRows(dst, t[:], x[:cols], iota32[:1], cols, cols)
}

// axpyTileRows is axpyTile row by row: dst has n rows, each the first [tileCols] of stride values, coefs has rows values in
// each of n rows of step, and tile has as many rows of tileCols.
func axpyTileRows(dst, coefs, tile []float32, n, rows, stride, step int) {
	for i := range n {
		axpyRows(dst[i*stride:][:tileCols], coefs[i*step:][:rows], tile, iota32[:rows], tileCols, tileCols)
	}
}

func dotRowsGo(out, x, base []float32, idx []int32, stride, cols int) {
	x = x[:cols]
	for i, j := range idx {
		row := base[int(j)*stride:][:cols]
		var l [lanes]float32
		for c := 0; c < cols; c += lanes {
			for k := range l {
				l[k] = fma32(x[c+k], row[c+k], l[k])
			}
		}
		out[i] = ((l[0] + l[1]) + (l[2] + l[3])) + ((l[4] + l[5]) + (l[6] + l[7]))
	}
}

func axpyRowsGo(dst, t, base []float32, idx []int32, stride, cols int) {
	dst = dst[:cols]
	for i, j := range idx {
		row, a := base[int(j)*stride:][:cols], t[i]
		for c := range dst {
			dst[c] = fma32(a, row[c], dst[c])
		}
	}
}

// fma32 is x*y + z, rounded once, as the vector instructions do it. In float64 the product is
// exact and only the sum is rounded; the second rounding, to float32, can go wrong only where the
// sum fell on what looks like a tie. There the sum is first rounded to odd
// (Boldo, Melquiond 2008, "Emulation of FMA and correctly rounded sums").
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	bits := math.Float64bits(s)
	if bits&(1<<28-1) != 0 {
		return float32(s)
	}
	b := s - p
	e := (p - (s - b)) + (c - b)
	if e == 0 || math.IsNaN(e) {
		return float32(s)
	}
	if (e > 0) == (s > 0) {
		return float32(math.Float64frombits(bits + 1))
	}
	return float32(math.Float64frombits(bits - 1))
}
