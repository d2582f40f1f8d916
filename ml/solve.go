package ml

import (
	"context"
	"math"
)

// gramian returns scale·FᵀF of n rows of s values (s a multiple of lanes), s×s, symmetric to the bit.
// Sums run over blocks of rows in float32 and over blocks in float64, in order.
func gramian(ctx context.Context, f []float32, n, s int, scale float32) ([]float32, error) {
	out := make([]float32, s*s)
	err := parallel(ctx, workerCount(), s, lanes, func(_, lo, hi int) {
		column := make([]float32, (hi-lo)*scanRows)
		part := make([]float32, (hi-lo)*s)
		sum := make([]float64, (hi-lo)*s)
		const tile = 64 // rows that stay in the first-level cache while all columns pass over them
		for from := 0; from < n; from += scanRows {
			clear(part)
			for b := from; b < min(from+scanRows, n); b += tile {
				rows := min(tile, n-b, from+scanRows-b)
				base := f[b*s : (b+rows)*s]
				for r := range rows {
					for c, v := range base[r*s+lo : r*s+hi] {
						column[c*tile+r] = v
					}
				}
				for c := range hi - lo {
					axpyRows(part[c*s:(c+1)*s], column[c*tile:], base, iota32[:rows], s, s)
				}
			}
			for i, v := range part {
				sum[i] += float64(v)
			}
		}
		for i, v := range sum {
			out[lo*s+i] = float32(v) * scale
		}
	})
	return out, err
}

// rowSolver solves (G + ridge·I + Σ c·f·fᵀ)·x = Σ c·f, the least-squares problem of one row.
// It is scratch space for one goroutine.
type rowSolver struct {
	dim, s      int
	r, p, ap, t []float32
	a           []float32 // s×s
	tile        []float32
	invert      []float32
}

func newRowSolver(dim int) *rowSolver {
	s := padded(dim)
	return &rowSolver{dim: dim, s: s,
		r: make([]float32, s), p: make([]float32, s), ap: make([]float32, s), invert: make([]float32, s)}
}

// conjugate improves x by some steps of the conjugate gradient method, never forming the matrix.
// gram is s×s; f holds rows of s values.
func (v *rowSolver) conjugate(x, gram []float32, ridge float32, f []float32, idx []int32, weight []float32, steps int) {
	s := v.s
	r, p, ap := v.r, v.p, v.ap
	v.t = grow(v.t, max(len(idx), s))
	t := v.t

	// r = Σ c·(1 − f·x)·f − ridge·x − G·x
	dotRows(t, x, f, idx, s, s)
	for i, w := range weight {
		t[i] = w * (1 - t[i])
	}
	clear(r)
	axpyRows(r, t, f, idx, s, s)
	axpy(r, -ridge, x, s)
	for i := range s {
		t[i] = -x[i]
	}
	timesGram(r, t, gram, v.dim, s)

	copy(p, r)
	rr := dot(r, r, s)
	for step := 0; step < steps && rr > 1e-20; step++ { // below, factors of about .1 no longer change
		dotRows(t, p, f, idx, s, s)
		for i, w := range weight {
			t[i] *= w
		}
		clear(ap)
		axpyRows(ap, t, f, idx, s, s)
		axpy(ap, ridge, p, s)
		timesGram(ap, p, gram, v.dim, s)
		pap := dot(p, ap, s)
		if !(pap > 0) {
			return
		}
		alpha := rr / pap
		axpy(x, alpha, p, s)
		if step == steps-1 {
			return
		}
		axpy(r, -alpha, ap, s)
		next := dot(r, r, s)
		beta := next / rr
		rr = next
		for i := range p {
			p[i] = r[i] + float32(beta*p[i])
		}
	}
}

// timesGram is dst += G·x, G symmetric.
func timesGram(dst, x, gram []float32, dim, s int) {
	for c := 0; c < dim; c += scanRows {
		axpyRows(dst, x[c:], gram[c*s:], iota32[:min(scanRows, dim-c)], s, s)
	}
}

// exact writes the solution to x, by Cholesky. It returns false where the matrix is not positive
// definite in float32.
func (v *rowSolver) exact(x, gram []float32, ridge float32, f []float32, idx []int32, weight []float32) bool {
	s, dim := v.s, v.dim
	v.assemble(gram, ridge, f, idx, weight)
	clear(x)
	axpyRows(x, weight, f, idx, s, s)
	return cholesky(v.a, v.invert, v.p, dim, s) && solveCholesky(v.a, v.invert, x, dim, s)
}

// assemble makes v.a the matrix of the problem, its upper triangle.
func (v *rowSolver) assemble(gram []float32, ridge float32, f []float32, idx []int32, weight []float32) {
	s, dim := v.s, v.dim
	if v.a == nil {
		v.a = make([]float32, s*s)
	}
	copy(v.a, gram)
	for i := range dim {
		v.a[i*s+i] += ridge
	}
	// The upper triangle of Σ c·f·fᵀ, row by row, over tiles of history that fit the cache.
	const tile = 64
	v.tile = grow(v.tile, s*tile)
	for from := 0; from < len(idx); from += tile {
		part, w := idx[from:min(from+tile, len(idx))], weight[from:]
		for r, j := range part {
			for c, value := range f[int(j)*s : int(j)*s+dim] {
				v.tile[c*tile+r] = value * w[r]
			}
		}
		for i := range dim {
			from := i &^ (blockCols - 1)
			axpyRows(v.a[i*s+from:(i+1)*s], v.tile[i*tile:], f[from:], part, s, s-from)
		}
	}
}

// blockCols is the width that triangular work is rounded to: axpyRows passes 32 columns in the time of 8.
// What it computes left of the diagonal is not used.
const blockCols = 32

// cholesky replaces the upper triangle of a (dim×dim in rows of s) by R with RᵀR = a, and puts
// 1/R[i,i] in invert. It returns false where a is not positive definite.
// t is scratch for dim values.
func cholesky(a, invert, t []float32, dim, s int) bool {
	for i := range dim {
		from := i &^ (blockCols - 1)
		for k := range i {
			t[k] = -a[k*s+i]
		}
		for k := 0; k < i; k += scanRows {
			axpyRows(a[i*s+from:(i+1)*s], t[k:], a[k*s+from:], iota32[:min(scanRows, i-k)], s, s-from)
		}
		pivot := a[i*s+i]
		if !(pivot > 0) || !finite(pivot) {
			return false
		}
		root := float32(math.Sqrt(float64(pivot)))
		invert[i] = 1 / root
		row := a[i*s+i : i*s+dim]
		for c := range row {
			row[c] *= invert[i]
		}
		clear(a[i*s+from : i*s+i]) // so that whole vectors can be used below
		clear(a[i*s+dim : (i+1)*s])
	}
	return true
}

// solveCholesky solves RᵀR·x = b in place, b given in x.
func solveCholesky(a, invert, x []float32, dim, s int) bool {
	solveLower(a, invert, x, dim, s)
	return solveUpper(a, invert, x, dim, s)
}

// solveLower solves Rᵀ·y = b in place, b given in x.
func solveLower(a, invert, x []float32, dim, s int) {
	for i := range dim {
		y := x[i] * invert[i]
		from := i &^ (blockCols - 1)
		axpy(x[from:], -y, a[i*s+from:], s-from)
		x[i] = y
	}
}

// solveUpper solves R·x = y in place, y given in x.
func solveUpper(a, invert, x []float32, dim, s int) bool {
	for i := dim - 1; i >= 0; i-- {
		from := i &^ (blockCols - 1)
		y := x[i]
		x[i] = 0
		x[i] = (y - dot(x[from:], a[i*s+from:], s-from)) * invert[i]
	}
	return notFinite(x[:dim]) < 0
}
