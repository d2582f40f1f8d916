//go:build amd64 && !purego

package ml

import "golang.org/x/sys/cpu"

//go:noescape
func dotRowsAVX2(out, x, base *float32, idx *int32, n, stride, cols int)

//go:noescape
func axpyRowsAVX2(dst, t, base *float32, idx *int32, n, stride, cols int)

var hasAVX2 = cpu.X86.HasAVX2 && cpu.X86.HasFMA

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
