//go:build !amd64 || purego

package ml

// Kernel names the arithmetic kernels in use. Every kernel gives the same bits; the name says how
// fast a model was trained, and where to look should a rebuild ever differ.
func Kernel() string { return "go" }

func dotRows(out, x, base []float32, idx []int32, stride, cols int) {
	dotRowsGo(out, x, base, idx, stride, cols)
}

func axpyRows(dst, t, base []float32, idx []int32, stride, cols int) {
	axpyRowsGo(dst, t, base, idx, stride, cols)
}

func axpyTile(dst, coefs, tile []float32, n, rows, stride, step int) {
	axpyTileRows(dst, coefs, tile, n, rows, stride, step)
}

func coarseSums([]float32, *Coarse, []int16) int { return 0 }

func coarseWidths(_, _ []float32, _ *Coarse, _ *widths) int { return 0 }
