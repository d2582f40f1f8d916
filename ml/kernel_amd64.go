//go:build amd64 && !purego

package ml

import "golang.org/x/sys/cpu"

//go:noescape
func dotRowsAVX2(out, x, base *float32, idx *int32, n, stride, cols int)

//go:noescape
func axpyRowsAVX2(dst, t, base *float32, idx *int32, n, stride, cols int)

//go:noescape
func axpyTileAVX512(dst, coefs, tile *float32, fours, rows, stride, step int)

//go:noescape
func coarseSumsAVX2(out *float32, rows *int8, query *int16, fours, stride int)

//go:noescape
func coarseWidthsAVX2(lo, hi, step, size, rest *float32, w *widths, n int)

var (
	hasAVX2   = cpu.X86.HasAVX2 && cpu.X86.HasFMA
	hasAVX512 = hasAVX2 && cpu.X86.HasAVX512F
)

// Kernel names the arithmetic kernels in use. Every kernel gives the same bits; the name says how
// fast a model was trained, and where to look should a rebuild ever differ.
func Kernel() string {
	if hasAVX2 {
		return "amd64-avx2"
	}
	return "go"
}

func dotRows(out, x, base []float32, idx []int32, stride, cols int) {
	if len(idx) == 0 || cols == 0 {
		return
	}
	_, _, _ = out[len(idx)-1], x[cols-1], base[0]
	if hasAVX2 {
		dotRowsAVX2(&out[0], &x[0], &base[0], &idx[0], len(idx), stride, cols)
		return
	}
	dotRowsGo(out, x, base, idx, stride, cols)
}

func axpyRows(dst, t, base []float32, idx []int32, stride, cols int) {
	if len(idx) == 0 || cols == 0 {
		return
	}
	_, _, _ = dst[cols-1], t[len(idx)-1], base[0]
	if hasAVX2 {
		axpyRowsAVX2(&dst[0], &t[0], &base[0], &idx[0], len(idx), stride, cols)
		return
	}
	axpyRowsGo(dst, t, base, idx, stride, cols)
}

func axpyTile(dst, coefs, tile []float32, n, rows, stride, step int) {
	if n == 0 || rows == 0 {
		return
	}
	_, _, _ = dst[(n-1)*stride+tileCols-1], coefs[(n-1)*step+rows-1], tile[rows*tileCols-1]
	done := 0
	if hasAVX512 && n >= 4 {
		axpyTileAVX512(&dst[0], &coefs[0], &tile[0], n/4, rows, stride, step)
		if done = n &^ 3; done == n {
			return
		}
	}
	axpyTileRows(dst[done*stride:], coefs[done*step:], tile, n-done, rows, stride, step)
}

// coarseSums sets out to the products of the first rows with a query, and gives how many it has done.
func coarseSums(out []float32, c *Coarse, query []int16) int {
	n := c.Len() &^ 3
	if n == 0 || !hasAVX2 {
		return 0
	}
	_, _, _ = out[n-1], c.rows[n*c.stride-1], query[c.stride-1]
	coarseSumsAVX2(&out[0], &c.rows[0], &query[0], n/4, c.stride)
	return n
}

// coarseWidths makes bounds of what coarseSums has left in lo, and gives of how many.
func coarseWidths(lo, hi []float32, c *Coarse, w *widths) int {
	n := c.Len() &^ 7
	if n == 0 || !hasAVX2 {
		return 0
	}
	_, _ = lo[n-1], hi[n-1]
	coarseWidthsAVX2(&lo[0], &hi[0], &c.step[0], &c.size[0], &c.rest[0], w, n)
	return n
}
