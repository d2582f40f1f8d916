package recipe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/projectionist/projectionist/ml"
)

// Search is where good values of a parameter are looked for.
type Search struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Within is the parameter with a range in which it is searched.
func (d Param) Within(low, high float64) Param {
	d.Search = &Search{low, high}
	return d
}

// How far from its default a parameter is searched that declares no range, as a factor.
const (
	numberFactor  = 8
	integerFactor = 4
)

const (
	// TrialsDefault is how many trials a search has where nobody says: one as things are, and a rung of nine is halved twice.
	TrialsDefault = 9
	// TrialsMax is how many trials a search may have.
	TrialsMax = 1000
)

// Searched are the parameters that a search varies, in the order in which they are declared: those that declare a range. Where
// none does, every number of the recipe's own that is above 0 by default, and where there is none of these either, every integer
// above 1.
func (r *Recipe) Searched() []Param {
	var ranged, numbers, integers []Param
	for _, d := range r.Params {
		v, err := strconv.ParseFloat(d.Default, 64)
		switch {
		case d.Search != nil:
			ranged = append(ranged, d)
		case err != nil:
		case d.Type == Number && v > 0:
			numbers = append(numbers, d.Within(v/numberFactor, v*numberFactor))
		case d.Type == Integer && v > 1:
			integers = append(integers, d.Within(v/integerFactor, v*integerFactor))
		}
	}
	if ranged != nil {
		return ranged
	}
	if numbers != nil {
		return numbers
	}
	return integers
}

// Trials are n configurations to try: the given parameters as they are, and random ones around them that the seed draws,
// each the same however many there are. A parameter that is given is not varied. Where nothing is left to vary, there is one.
// Errors: those of [Recipe.Parse].
func (r *Recipe) Trials(given map[string]string, n int, seed uint64) ([]Params, error) {
	first, err := r.Parse(given)
	if err != nil {
		return nil, err
	}
	all := []Params{first}
	vary := slices.DeleteFunc(r.Searched(), func(d Param) bool { _, fixed := given[d.Name]; return fixed })
	if len(vary) == 0 {
		return all, nil
	}
	for trial, miss := 1, 0; len(all) < n && miss < 100; trial++ {
		p := maps.Clone(map[string]string(first))
		for i, d := range vary {
			u := float64(ml.Mix64(ml.Mix64(seed+1)^uint64(trial)<<16^uint64(i+1))>>11) / (1 << 53)
			p[d.Name] = d.at(u)
		}
		parsed, err := r.Parse(p)
		if err != nil || slices.ContainsFunc(all, func(q Params) bool { return maps.Equal(p, q) || maps.Equal(parsed, q) }) {
			miss++ // values that do not go together, or were drawn before
			continue
		}
		all = append(all, parsed)
	}
	return all, nil
}

// at is the value at u of 0 to 1 of where a parameter is searched, by the logarithm where that is all above 0, with
// three digits.
func (d *Param) at(u float64) string {
	low, high := max(d.Search.Low, d.Min), min(d.Search.High, d.Max)
	v := low + float64(u*(high-low))
	if low > 0 {
		v = low * math.Pow(high/low, u)
	}
	if d.Type == Integer {
		return strconv.FormatInt(int64(math.Round(v)), 10)
	}
	v, _ = strconv.ParseFloat(fmt.Sprintf("%.3g", v), 64) //nolint:errcheck // it was written so
	return number(min(max(v, d.Min), d.Max))
}

// Rung is a round of a search: how many trials it has, and on what share of the people.
type Rung struct {
	Trials int
	Share  float64
}

// halving is how many times fewer trials the next rung has, on so many times more people.
const halving = 3

// Rungs are the rounds of successive halving (Jamieson, Talwalkar 2016) over n trials: each keeps the best third of the one
// before, and the last is on everybody. Few trials, or few people, have a single round.
func Rungs(n, people int) []Rung {
	const rungsMax, peopleMin = 3, 200 // people of whom a share still says something
	rounds := 1
	for share := 1. / halving; rounds < rungsMax && n >= int(math.Pow(halving, float64(rounds))) && float64(people)*share >= peopleMin; share /= halving {
		rounds++
	}
	rungs := make([]Rung, rounds)
	for i := range rungs {
		rungs[i] = Rung{max(1, n), math.Pow(halving, float64(i-rounds+1))}
		n = (n + halving - 1) / halving
	}
	return rungs
}

// Some is the input with a share of the people, drawn by the seed; people and items stay.
func (in Input) Some(share float64, seed uint64) Input {
	if share >= 1 {
		return in
	}
	kept := make([]bool, len(in.Data.Users))
	for u := range kept {
		kept[u] = float64(ml.Mix64(ml.Mix64(seed+1)^uint64(u))>>11)/(1<<53) < share
	}
	out := in
	out.Data = &ml.Dataset{Users: in.Data.Users, Items: in.Data.Items}
	out.Signals, out.replay = nil, nil
	for i, s := range in.Data.Samples {
		if kept[s.User] {
			out.Data.Samples = append(out.Data.Samples, s)
			out.Signals = append(out.Signals, in.Signals[i])
		}
	}
	return out
}

// Find tries configurations by rungs and gives the best, by the scores that judge gives of some of them on a share of the
// people; the greater the better, and of equals the first. The first configuration is in every rung, so that what is found is no
// worse than it. One whose score is NaN is out. An error of judge ends the search.
func Find(all []Params, rungs []Rung, judge func(rung int, trials []int, share float64) ([]float64, error)) (best int, err error) {
	left := make([]int, len(all))
	for i := range left {
		left[i] = i
	}
	for n, rung := range rungs {
		if n > 0 {
			left = left[:min(rung.Trials, len(left))]
			if !slices.Contains(left, 0) {
				left = append(left, 0)
			}
			slices.Sort(left)
		}
		scores, err := judge(n, slices.Clone(left), rung.Share)
		if err != nil {
			return 0, err
		}
		score := map[int]float64{}
		for i, trial := range left {
			if score[trial] = scores[i]; math.IsNaN(scores[i]) {
				score[trial] = math.Inf(-1)
			}
		}
		slices.SortStableFunc(left, func(a, b int) int { return cmp.Or(cmp.Compare(score[b], score[a]), a-b) })
	}
	return left[0], nil
}

// Score is how well parameters do on the last part of the data, trained on what is before it.
type Score struct {
	Value   float64            // the greater the better: ndcg@10, or of what predicts ratings -rmse
	Figures map[string]float64 // by which it was judged
}

// Score judges parameters for a search, by what the recipe is for: of the last share ([HoldoutShare]) either ratings are
// predicted, or films ranked as [Recipe.Evaluate] does. Error: nothing to judge by, those of training.
func (r *Recipe) Score(ctx context.Context, in Input, p Params, progress func(stage string, done, of int)) (Score, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	if r.Predicts {
		return r.predicted(ctx, in, p, progress)
	}
	report, err := r.Evaluate(ctx, in, p, nil, progress)
	if err != nil {
		return Score{}, err
	}
	if report.Moments == 0 {
		return Score{}, errUnjudged
	}
	return Score{report.Model["ndcg@10"], report.Model}, nil
}

var errUnjudged = errors.New("there is nothing to judge by in the last part of the data: it needs more acts, or a greater " + HoldoutShare)

// predicted is the score of predictions.
func (r *Recipe) predicted(ctx context.Context, in Input, p Params, progress func(stage string, done, of int)) (Score, error) {
	from := in.At(1 - p.Number(HoldoutShare))
	m, err := r.Train(ctx, in.Before(from), p, Hooks{NoLoss: true, Progress: func(stage string, done, of int, _ float64) { progress(stage, done, of) }})
	if err != nil {
		return Score{}, err
	}
	predictor, ok := m.(Predictor)
	if !ok {
		return Score{}, fmt.Errorf("models of %s predict nothing", r.Name)
	}
	var predicted, actual []float32
	for i, s := range in.Data.Samples[from:] {
		if stars := in.Signals[from+i]; stars.RatingCenti() > 0 {
			predicted = append(predicted, predictor.Predict(in.Data.Users[s.User], in.Data.Items[s.Item:s.Item+1]).Ratings[0])
			actual = append(actual, float32(stars.Rating()))
		}
	}
	if len(actual) == 0 {
		return Score{}, errUnjudged
	}
	rmse := ml.RMSE(predicted, actual)
	return Score{-rmse, map[string]float64{"rmse": rmse, "mae": ml.MAE(predicted, actual)}}, nil
}
