package recipe

import (
	"context"
	"math"

	"github.com/projectionist/projectionist/ml/online"
)

// forgets are how many times as fast as usual popularity may be forgotten ([online.Mix]), what is preferred first. More than twice is better still
// on streams where all is decided by what is talked about, and worse for whoever is asked for out of all time.
var forgets = [...]float32{1, 2, .5}

// Forgetting learns how fast popularity is to be forgotten: at the moments on the samples from there on, at most so many, test then learn,
// the online model's own blend ranks with each. What is best on a few hundred moments of some dozens of people may be so by chance: the usual
// speed stays unless another is better beyond doubt.
func (in Input) Forgetting(ctx context.Context, films *Films, from, most int) (float32, error) {
	counts := make([]Counts, len(forgets))
	gains := make([][]float64, len(forgets)) // by moment
	numbers, person := map[string]int{}, []int(nil)
	for k, f := range forgets {
		counts[k].Mix = online.Mix{Blend: 1, Forget: f}
	}
	err := in.Replay(ctx, from, len(in.Data.Samples), most, func(m *online.Model, user string, timeMillis int64, film int) {
		number, ok := numbers[user]
		if !ok {
			number = len(numbers)
			numbers[user] = number
		}
		person = append(person, number)
		for k := range counts {
			counts[k].Sum(m, films, user, timeMillis, false)
			gains[k] = append(gains[k], Gain(Rank(counts[k].Score, film)))
		}
	})
	if err != nil {
		return 0, err
	}
	return forgets[beyondDoubt(gains, person, len(numbers))], nil
}

// beyondDoubt is which of several is taken by their gains at the same moments: the first, or, of those that are better than it beyond
// doubt ([Estimate]), the first than which the best of them is not better beyond doubt.
func beyondDoubt(gains [][]float64, person []int, people int) int {
	better := func(a, b int) bool {
		lead := make([]float64, len(person))
		for i := range lead {
			lead[i] = gains[a][i] - gains[b][i]
		}
		return Estimate(lead, person, people).Low > 0
	}
	var sure []int
	best, most := 0, math.Inf(-1)
	for k := 1; k < len(gains); k++ {
		if !better(k, 0) {
			continue
		}
		sure = append(sure, k)
		var sum float64
		for _, v := range gains[k] {
			sum += v
		}
		if sum > most {
			best, most = k, sum
		}
	}
	for _, k := range sure {
		if k == best || !better(best, k) {
			return k
		}
	}
	return 0
}
