package ml

import (
	"context"
	"errors"
)

// Dense matrices of items by items: rows of stride = wide(n) values, so that a row is whole tiles.
const (
	tileCols    = 64 // columns that axpyRows keeps in registers
	invertBlock = 96 // rows that a step of invertSPD eliminates: a tile of as many rows stays in the first-level cache
	rowChunk    = 32 // rows per turn of a worker
)

func wide(n int) int { return (n + tileCols - 1) &^ (tileCols - 1) }

// errNotPositive says that a matrix cannot be inverted in float32.
var errNotPositive = errors.New("ml: the matrix is not positive definite in float32")

// invertSPD replaces a, n rows of wide(n) values whose upper triangle is that of a symmetric positive definite matrix, by
// its inverse, both triangles. It is the sweep operator (Goodnight 1979) over blocks of rows, n³ multiplications and
// additions on all cores; what a row becomes depends on no other worker. progress, where not nil, is told how many rows
// are eliminated.
func invertSPD(ctx context.Context, a []float32, n int, progress func(done, of int)) error {
	s := wide(n)
	tiles := s / tileCols
	panel := make([]float32, invertBlock*s)  // the block's rows, tile by tile
	solved := make([]float32, invertBlock*s) // the same, times the inverse of the block
	coefs := make([]float32, n*invertBlock)  // −panelᵀ
	block := make([]float64, invertBlock*invertBlock)
	small := make([]float32, invertBlock*invertBlock)
	for k0 := 0; k0 < n; k0 += invertBlock {
		k1 := min(k0+invertBlock, n)
		nb := k1 - k0
		for r := range nb {
			for c := range nb {
				lo, hi := min(r, c), max(r, c)
				block[r*nb+c] = float64(a[(k0+lo)*s+k0+hi])
			}
		}
		if !invertSmall(block[:nb*nb], nb) {
			return errNotPositive
		}
		for i, v := range block[:nb*nb] {
			small[i] = float32(v)
		}
		err := parallel(ctx, workerCount(), tiles, 1, func(_, lo, hi int) {
			for t := lo; t < hi; t++ {
				p, q := panel[t*invertBlock*tileCols:][:nb*tileCols], solved[t*invertBlock*tileCols:][:nb*tileCols]
				clear(q)
				for c := range tileCols {
					j := t*tileCols + c
					for r := range nb {
						v := float32(0)
						switch {
						case j < k0:
							v = a[j*s+k0+r]
						case j >= k1 && j < n:
							v = a[(k0+r)*s+j]
						}
						p[r*tileCols+c] = v
						if j < n {
							coefs[j*invertBlock+r] = -v
						}
					}
				}
				for r := range nb {
					axpyRows(q[r*tileCols:(r+1)*tileCols], small[r*nb:(r+1)*nb], p, iota32[:nb], tileCols, tileCols)
				}
			}
		})
		if err != nil {
			return err
		}
		err = parallel(ctx, workerCount(), n, rowChunk, func(_, lo, hi int) {
			for t := lo / tileCols; t < tiles; t++ {
				q, last := solved[t*invertBlock*tileCols:][:nb*tileCols], min(hi, (t+1)*tileCols)
				for _, rows := range [][2]int{{lo, min(last, k0)}, {max(lo, k1), last}} { // but the block's own
					if from, n := rows[0], rows[1]-rows[0]; n > 0 {
						axpyTile(a[from*s+t*tileCols:], coefs[from*invertBlock:], q, n, nb, s, invertBlock)
					}
				}
			}
			for i := lo; i < hi; i++ {
				switch row := a[i*s : (i+1)*s]; {
				case i < k0:
					t, c := i/tileCols, i%tileCols
					for r := range nb {
						row[k0+r] = solved[t*invertBlock*tileCols+r*tileCols+c]
					}
				case i < k1:
					r := i - k0
					for c := r; c < nb; c++ {
						row[k0+c] = -small[r*nb+c]
					}
					for j := k1; j < n; j++ {
						row[j] = solved[j/tileCols*invertBlock*tileCols+r*tileCols+j%tileCols]
					}
				}
			}
		})
		if err != nil {
			return err
		}
		if progress != nil {
			progress(k1, n)
		}
	}
	return mirror(ctx, a, n)
}

// mirror negates the upper triangle and copies it to the lower.
func mirror(ctx context.Context, a []float32, n int) error {
	s := wide(n)
	err := parallel(ctx, workerCount(), n, rowChunk, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			for j := i; j < n; j++ {
				a[i*s+j] = -a[i*s+j]
			}
		}
	})
	if err != nil {
		return err
	}
	return parallel(ctx, workerCount(), n, tileCols, func(_, lo, hi int) {
		for from := 0; from < hi; from += tileCols {
			for j := from; j < min(from+tileCols, hi); j++ {
				for i := max(lo, j+1); i < hi; i++ {
					a[i*s+j] = a[j*s+i]
				}
			}
		}
	})
}

// invertSmall inverts a symmetric positive definite matrix of n rows of n values in place; false where it is none.
func invertSmall(a []float64, n int) bool {
	for p := range n {
		pivot := a[p*n+p]
		if !(pivot > 0) || pivot-pivot != 0 {
			return false
		}
		inv := 1 / pivot
		row := a[p*n : (p+1)*n]
		for i := range n {
			if i == p {
				continue
			}
			f := float64(a[i*n+p] * inv)
			to := a[i*n : (i+1)*n]
			for j, v := range row {
				to[j] -= float64(f * v)
			}
			to[p] = -f
		}
		for j := range row {
			row[j] = float64(row[j] * inv)
		}
		row[p] = inv
	}
	return true
}

// multiplyRows gives every row of a·b to f, on all cores, several at once: a and b are n rows of wide(n) values. f must
// not keep values.
func multiplyRows(ctx context.Context, a, b []float32, n int, f func(row int, values []float32)) error {
	const chunk = 128
	s := wide(n)
	return parallel(ctx, workerCount(), n, chunk, func(_, lo, hi int) {
		out := make([]float32, (hi-lo)*s)
		tile := make([]float32, invertBlock*tileCols)
		for t := 0; t < s; t += tileCols {
			for k := 0; k < n; k += invertBlock {
				rows := min(invertBlock, n-k)
				for r := range rows {
					copy(tile[r*tileCols:(r+1)*tileCols], b[(k+r)*s+t:])
				}
				axpyTile(out[t:], a[lo*s+k:], tile, hi-lo, rows, s, s)
			}
		}
		for i := lo; i < hi; i++ {
			f(i, out[(i-lo)*s:][:n])
		}
	})
}
