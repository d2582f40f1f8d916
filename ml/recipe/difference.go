package recipe

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// Confidence is how often the intervals of differences hold what they estimate.
const Confidence = .95

// Difference is how much better one ranking was than another at the same moments, in NDCG@10: the mean over
// the moments, and the interval that holds it with [Confidence]. Low and High are -1 and 1, all that is
// possible, where fewer than two people leave the interval unknown.
type Difference struct {
	Mean, Low, High float64
}

// Worse says that the first was worse beyond doubt: all of the interval is below 0.
func (d Difference) Worse() bool { return d.High < 0 }

// Better says that the first was better beyond doubt: all of the interval is above 0.
func (d Difference) Better() bool { return d.Low > 0 }

// Interval is a mean with the interval that holds what it estimates with [Confidence]. Low and High are infinite where
// fewer than two people leave it unknown.
type Interval struct {
	Mean, Low, High float64
}

// Estimate estimates the mean of values, of which values[i] is person[i]'s, 0 ≤ person[i] < people; everybody
// has at least one. What one person meets hangs together, and a few people meet most of it. So the standard error
// is that of the jackknife that leaves out one person at a time, of the estimators for few clusters of unequal
// size the one that errs on the side of doubt (MacKinnon, Nielsen and Webb 2023), and Student's t has the degrees
// of freedom of the effective number of people (Kish: n²/Σnₚ²). No random number is in it.
func Estimate(values []float64, person []int, people int) Interval {
	if len(values) == 0 {
		return Interval{0, math.Inf(-1), math.Inf(1)}
	}
	sums, counts, sum := make([]float64, people), make([]float64, people), 0.
	for i, v := range values {
		sums[person[i]] += v
		counts[person[i]]++
		sum += v
	}
	n, g := float64(len(values)), float64(people)
	mean := sum / n
	if people < 2 {
		return Interval{mean, math.Inf(-1), math.Inf(1)}
	}
	var squares, concentration float64
	for p := range people {
		without := (sum-sums[p])/(n-counts[p]) - mean
		squares += float64(without * without)
		concentration += float64(counts[p] / n * counts[p] / n)
	}
	t := distuv.StudentsT{Sigma: 1, Nu: max(1, 1/concentration-1)}.Quantile((1 + Confidence) / 2)
	half := float64(t * math.Sqrt((g-1)/g*squares))
	return Interval{mean, mean - half, mean + half}
}

// difference is what [Estimate] says of values between -1 and 1.
func difference(values []float64, person []int, people int) Difference {
	e := Estimate(values, person, people)
	return Difference{e.Mean, max(-1, e.Low), min(1, e.High)}
}
