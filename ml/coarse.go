package ml

import (
	"fmt"
	"math"
)

// Coarse is a copy of factors in a quarter of their memory that says between what two values a dot product lies: what is
// to be the best of many need be computed for those alone that may be it. Each row has its values in steps of its own, a
// 127th of the greatest, and how far they are from them together. It is safe for concurrent use once its rows are set.
type Coarse struct {
	dim, stride int
	rows        []int8    // stride of each, 0 behind dim
	step        []float32 // of each row's values
	size        []float32 // of each row, Σ|value|
	rest        []float32 // of each row, the length of what rounding left out, or more; infinite where a row is not of numbers
}

// coarseLanes is what rows are padded to.
const coarseLanes = 16

// CoarseDimMax is the greatest dim of a [Coarse]: sums of products fit 32 bits.
const CoarseDimMax = 512

// NewCoarse has n rows of dim values, all 0; dim is 1 to 512. It panics where it is not.
func NewCoarse(n, dim int) *Coarse {
	if n < 0 || dim < 1 || dim > CoarseDimMax {
		panic(fmt.Sprintf("ml: %d coarse rows, dim %d", n, dim))
	}
	stride := (dim + coarseLanes - 1) &^ (coarseLanes - 1)
	return &Coarse{dim: dim, stride: stride, rows: make([]int8, n*stride), step: make([]float32, n), size: make([]float32, n), rest: make([]float32, n)}
}

// Set takes a row.
func (c *Coarse) Set(i int, row []float32) {
	c.step[i], c.size[i], c.rest[i] = coarsen(c.rows[i*c.stride:][:c.dim], row[:c.dim])
}

// Copy is Set of a row that another, of the same dim, has.
func (c *Coarse) Copy(i int, from *Coarse, at int) {
	copy(c.rows[i*c.stride:][:c.dim], from.rows[at*c.stride:][:c.dim])
	c.step[i], c.size[i], c.rest[i] = from.step[at], from.size[at], from.rest[at]
}

// coarsen rounds a row.
func coarsen(dst []int8, row []float32) (step, size, rest float32) {
	var most float32
	for _, v := range row {
		if a := float32(math.Abs(float64(v))); most == most && !(a <= most) { // NaN stays
			most = a
		}
	}
	if !(most <= coarseMost) {
		return 0, 0, float32(math.Inf(1))
	}
	if step = most / 127; step < coarseLeast {
		return 0, 0, roundUp(float64(most) * math.Sqrt(float64(len(row))))
	}
	var sum int32
	var left float64
	one, per := float64(step), 1/float64(step)
	for i, v := range row {
		q := int32(math.RoundToEven(float64(v) * per))
		q = max(-127, min(127, q)) // the step may have been rounded down
		dst[i] = int8(q)
		d := float64(v) - float64(q)*one
		sum += max(q, -q)
		left += d * d
	}
	return step, roundUp(float64(sum) * one), roundUp(math.Sqrt(left))
}

// roundUp is a float32 above v, by more than a few sums of floats lose.
func roundUp(v float64) float32 { return math.Nextafter32(float32(v*(1+1e-6)), float32(math.Inf(1))) }

// Len is the number of rows.
func (c *Coarse) Len() int { return len(c.step) }

// Bounds sets lo and hi, a value for each row, to what [ScoreAll] of the query is between, to the last bit of that. It reports
// false, and does nothing, where it cannot tell: of a query that is not of numbers, or of too small or too great ones. It panics where the
// lists or the query do not fit.
//
// The product with a row f = s·q + r, q of whole numbers, is s·(q·v) + r·v, and |r·v| ≤ |r|·|v|. The query is rounded, too, to
// 15 bits, which adds half of its step for each |s·q|.
func (c *Coarse) Bounds(lo, hi, query []float32) bool {
	n := c.Len()
	if len(query) != c.dim || len(lo) < n || len(hi) < n {
		panic(fmt.Sprintf("ml: bounds of %d rows, dim %d, of a query of %d into %d and %d", n, c.dim, len(query), len(lo), len(hi)))
	}
	var most, sum, square float64
	for _, v := range query {
		if a := math.Abs(float64(v)); most == most && !(a <= most) { // NaN stays
			most = a
		}
		sum += math.Abs(float64(v))
		square += float64(v) * float64(v)
	}
	step := float32(most / math.MaxInt16)
	if !(most <= coarseMost) || step < coarseLeast {
		return false
	}
	whole := make([]int16, c.stride)
	for i, v := range query {
		whole[i] = int16(max(-math.MaxInt16, min(math.MaxInt16, math.Round(float64(v)/float64(step)))))
	}
	w := widths{
		step: step, rest: roundUp(math.Sqrt(square)), size: roundUp(float64(step) * .51), least: coarseTiny,
		// Sums of floats, as ScoreAll's and those here, are off by at most so much of the greatest that they can be.
		each: roundUp(sum * 127 * float64(c.dim+8) / (1 << 23)),
	}
	done := coarseSums(lo, c, whole)
	for i := done; i < n; i++ {
		var sum int32
		for k, q := range c.rows[i*c.stride:][:c.stride] {
			sum += int32(q) * int32(whole[k])
		}
		lo[i] = float32(sum)
	}
	for i := coarseWidths(lo, hi, c, &w); i < n; i++ {
		middle := float32(lo[i] * float32(w.step*c.step[i]))
		width := float32(w.rest*c.rest[i]) + float32(w.size*c.size[i]) + float32(w.each*c.step[i]) + w.least
		lo[i], hi[i] = middle-width, middle+width
	}
	return true
}

// widths are the factors of a row's step in the middle of its bounds, and of its rest, size and step, and 1, in half of what is
// between them.
type widths struct{ step, rest, size, each, least float32 }

// Of steps below coarseLeast and values above coarseMost products may be lost, or have no end, as floats have them: a row of such is
// always multiplied, and of such a query nothing is told. coarseTiny is more than all that is lost otherwise of a product.
const (
	coarseLeast = 1e-18
	coarseMost  = 1e17
	coarseTiny  = 1e-36
)
