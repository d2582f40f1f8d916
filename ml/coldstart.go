package ml

import (
	"fmt"
	"math"
)

// ContentRidge predicts the factor of an item from its content (genres, year, …) by ridge
// regression: factor = intercept + Σ feature·weight. It gives films that nobody has rated a place
// among the others.
type ContentRidge struct {
	Features int       // number of features
	Dim      int       // length of a factor
	Weights  []float32 // (Features+1)×Dim, row-major; the last row is the intercept
}

// FitContentRidge fits the factors (row-major, dim values an item) on the items' features, a row of
// equal length for each item. Items count by support/(support+1), support being how many positives
// their factor was learned from; those with 0 are left out. lambda, above 0, shrinks the weights but
// not the intercept. Errors: rows of different length, values that are not finite.
func FitContentRidge(features [][]float32, factors []float32, dim int, support []float32, lambda float64) (*ContentRidge, error) {
	if dim < 1 || len(factors) != len(features)*dim || len(support) != len(features) {
		return nil, fmt.Errorf("ml: content ridge of %d feature rows, %d factor values of dim %d, %d supports", len(features), len(factors), dim, len(support))
	}
	if !(lambda > 0) || math.IsInf(lambda, 0) {
		return nil, fmt.Errorf("ml: lambda is %v: give a number above 0", lambda)
	}
	n := 1
	if len(features) > 0 {
		n = len(features[0]) + 1
	}
	// Normal equations, intercept last: (XᵀWX + λ)·B = XᵀWY. Features are mostly 0.
	a, b := make([]float64, n*n), make([]float64, n*dim)
	type nonzero struct {
		at    int
		value float64
	}
	var row []nonzero
	for i, f := range features {
		if len(f) != n-1 {
			return nil, fmt.Errorf("ml: item %d has %d features, the first has %d", i, len(f), n-1)
		}
		if c := notFinite(f); c >= 0 {
			return nil, fmt.Errorf("ml: feature %d of item %d is %v", c, i, f[c])
		}
		if !(support[i] > 0) {
			continue
		}
		if c := notFinite(factors[i*dim : (i+1)*dim]); c >= 0 {
			return nil, fmt.Errorf("ml: factor of item %d is not finite", i)
		}
		row = row[:0]
		for c, v := range f {
			if v != 0 {
				row = append(row, nonzero{c, float64(v)})
			}
		}
		row = append(row, nonzero{n - 1, 1})
		w := float64(support[i]) / (float64(support[i]) + 1)
		for _, p := range row {
			wp := w * p.value
			for _, q := range row {
				a[p.at*n+q.at] += float64(wp * q.value)
			}
			for c, y := range factors[i*dim : (i+1)*dim] {
				b[p.at*dim+c] += float64(wp * float64(y))
			}
		}
	}
	for c := range n {
		a[c*n+c] += lambda
	}
	a[n*n-1] += 1e-9 - lambda // keeps the intercept solvable where no item counts
	if !solveSymmetric(a, b, n, dim) {
		return nil, fmt.Errorf("ml: content ridge is singular: raise lambda (%v)", lambda)
	}
	r := &ContentRidge{Features: n - 1, Dim: dim, Weights: make([]float32, len(b))}
	for i, v := range b {
		r.Weights[i] = float32(v)
	}
	return r, nil
}

// Predict writes the factor that the features suggest to dst (Dim values; a short or nil one is
// replaced) and returns it. It panics where features has not the length fitted on.
func (r *ContentRidge) Predict(dst, features []float32) []float32 {
	if len(features) != r.Features {
		panic(fmt.Sprintf("ml: %d features given to a content ridge of %d", len(features), r.Features))
	}
	if cap(dst) < r.Dim {
		dst = make([]float32, r.Dim)
	}
	dst = dst[:r.Dim]
	copy(dst, r.Weights[r.Features*r.Dim:])
	for f, v := range features {
		if v == 0 {
			continue
		}
		for c, w := range r.Weights[f*r.Dim : (f+1)*r.Dim] {
			dst[c] = fma32(v, w, dst[c])
		}
	}
	return dst
}

// Blend writes n/(n+k)·learned + k/(n+k)·content to dst: an item with n positives is trusted as far
// as it has been seen, k being the number at which both count the same. dst may be either input.
func Blend(dst, learned, content []float32, n, k float32) {
	share := float32(1)
	if n+k > 0 {
		share = n / (n + k)
	}
	for i := range dst {
		dst[i] = fma32(share, learned[i], float32((1-share)*content[i]))
	}
}

// solveSymmetric solves A·X = B in place, A (n×n) symmetric positive definite, B n×m, by Cholesky.
// It returns false where A is not positive definite.
func solveSymmetric(a, b []float64, n, m int) bool {
	for i := range n {
		for j := range i + 1 {
			sum := a[i*n+j]
			for k := range j {
				sum -= float64(a[i*n+k] * a[j*n+k])
			}
			if i > j {
				a[i*n+j] = sum / a[j*n+j]
			} else if !(sum > 0) || math.IsInf(sum, 0) {
				return false
			} else {
				a[i*n+i] = math.Sqrt(sum)
			}
		}
	}
	sub := func(to, from int, f float64) {
		for c := range m {
			b[to*m+c] -= float64(f * b[from*m+c])
		}
	}
	scale := func(row int, f float64) {
		for c := range m {
			b[row*m+c] /= f
		}
	}
	for i := range n {
		for k := range i {
			sub(i, k, a[i*n+k])
		}
		scale(i, a[i*n+i])
	}
	for i := n - 1; i >= 0; i-- {
		for k := i + 1; k < n; k++ {
			sub(i, k, a[k*n+i])
		}
		scale(i, a[i*n+i])
	}
	return true
}
