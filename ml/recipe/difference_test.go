package recipe

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestDifference(t *testing.T) {
	// Everybody with one moment: the t-interval of a mean. By hand: mean 1.5, sd 1.29099, t₃ = 3.18245.
	d := difference([]float64{0, .1, .2, .3}, []int{0, 1, 2, 3}, 4)
	if half := 3.18245 * .129099 / 2; math.Abs(d.Mean-.15) > 1e-12 || math.Abs(d.Low-(.15-half)) > 1e-6 || math.Abs(d.High-(.15+half)) > 1e-6 {
		t.Errorf("%+v", d)
	}
	// Two people, with 3 and 1 moments: leaving out the one gives .4, the other .1; mean .175, t₁ = 12.7062.
	d = difference([]float64{.1, .4, .2, 0}, []int{0, 1, 0, 0}, 2)
	if half := 12.7062 * math.Sqrt(.5*(.225*.225+.075*.075)); math.Abs(d.Mean-.175) > 1e-12 || d.Low != -1 || math.Abs(d.High-min(1, .175+half)) > 1e-9 {
		t.Errorf("%+v", d)
	}
	for _, d := range []Difference{difference(nil, nil, 0), difference([]float64{-.5, -.5}, []int{0, 0}, 1)} {
		if d.Low != -1 || d.High != 1 || d.Worse() || d.Better() {
			t.Errorf("of fewer than two people %+v is known", d)
		}
	}
	if d := difference([]float64{0, 0, 0}, []int{0, 1, 2}, 3); d != (Difference{}) || d.Worse() || d.Better() {
		t.Errorf("of equals %+v", d)
	}
	for _, sign := range []float64{1, -1} { // mean .12, sd .0447, t₄ = 2.776: .0645 to .1755
		d := difference([]float64{sign * .1, sign * .1, sign * .2, sign * .1, sign * .1}, []int{0, 1, 2, 3, 4}, 5)
		if d.Better() != (sign > 0) || d.Worse() != (sign < 0) || math.Abs(d.High-d.Low-.1110) > 1e-4 {
			t.Errorf("%+v", d)
		}
	}
}

// judgement draws what two rankings of a quality apart have as differences: people with numbers of moments
// as skewed as in real data, whose taste suits the one or the other, and at most moments a difference of 0.
func judgement(rng *rand.Rand, people int, apart float64) (values []float64, person []int) {
	for p := range people {
		n := 1 + int(math.Exp(1.3*rng.NormFloat64()+.8))
		taste := .04 * rng.NormFloat64()
		for range min(n, 300) {
			v := 0.
			if rng.IntN(6) == 0 {
				v = .5 * (2*rng.Float64() - 1)
			}
			values, person = append(values, v+taste+apart), append(person, p)
		}
	}
	return values, person
}

// Over many judgements one of equals in some forty is called worse, as the interval promises, and what is clearly
// worse nearly always. Were moments taken for independent, one in four would lie outside.
func TestIntervalHolds(t *testing.T) {
	const judgements = 2000
	for people, least := range map[int]float64{5: .2, 20: .85, 80: .99, 300: .99} {
		rng := rand.New(rand.NewPCG(7, uint64(people)))
		var worse, outside, independent, found float64
		for range judgements {
			values, person := judgement(rng, people, 0)
			d := difference(values, person, people)
			if d.Worse() {
				worse += 1. / judgements
			}
			if d.Worse() || d.Better() {
				outside += 1. / judgements
			}
			alone := make([]int, len(values))
			for i := range alone {
				alone[i] = i
			}
			if d := difference(values, alone, len(values)); d.Worse() || d.Better() {
				independent += 1. / judgements
			}
			values, person = judgement(rng, people, -.08)
			if difference(values, person, people).Worse() {
				found += 1. / judgements
			}
		}
		t.Logf("%d people: worse %.3f, outside %.3f, were moments independent %.3f; of what is worse %.3f is found", people, worse, outside, independent, found)
		if worse > .04 || outside > .07 {
			t.Errorf("of equals judged by %d people %.3f are called worse, and %.3f lie outside; want some .025 and .05", people, worse, outside)
		}
		if found < least {
			t.Errorf("of what is worse %.3f is found by %d people; want %.2f", found, people, least)
		}
		if independent < .15 {
			t.Errorf("moments of %d people hang together so little (%.3f outside) that the test tells nothing", people, independent)
		}
	}
}

// An estimate has no bounds but those of its values; of fewer than two people nothing is known.
func TestEstimate(t *testing.T) {
	e := Estimate([]float64{0, 10, 20, 30}, []int{0, 1, 2, 3}, 4) // as TestDifference, a hundred times as large
	if half := 3.18245 * 12.9099 / 2; math.Abs(e.Mean-15) > 1e-12 || math.Abs(e.Low-(15-half)) > 1e-4 || math.Abs(e.High-(15+half)) > 1e-4 {
		t.Errorf("%+v", e)
	}
	if e := Estimate([]float64{3, 5}, []int{0, 0}, 1); e.Mean != 4 || !math.IsInf(e.Low, -1) || !math.IsInf(e.High, 1) {
		t.Errorf("%+v", e)
	}
}
