package eval

import (
	"context"
	"maps"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

// What predictions of ratings are measured beside.
const (
	byMean   = "mean"   // of all ratings
	byBiases = "biases" // the mean, and how far a film's and a person's ratings are from it
)

// Damping of biases (Koren 2010): ratings of the mean that every film, and every person, is taken to have besides.
const (
	filmDamping   = 25
	personDamping = 10
)

// biases predict by a film's and a person's distance from the mean.
type biases struct {
	mean        float64
	film        []float64
	person      []float64
	least, most float64 // rating that there is
}

func biasesOf(d *Data, train []ml.Sample) *biases {
	b := &biases{film: make([]float64, len(d.Items)), person: make([]float64, len(d.Users)), least: math.Inf(1), most: math.Inf(-1)}
	if len(train) == 0 {
		return b
	}
	var sum float64
	for _, s := range train {
		sum += float64(s.Rating)
		b.least, b.most = min(b.least, float64(s.Rating)), max(b.most, float64(s.Rating))
	}
	b.mean = sum / float64(len(train))
	films, people := make([]float64, len(d.Items)), make([]float64, len(d.Users))
	for _, s := range train {
		b.film[s.Item] += float64(s.Rating) - b.mean
		films[s.Item]++
	}
	for i := range b.film {
		b.film[i] /= films[i] + filmDamping
	}
	for _, s := range train {
		b.person[s.User] += float64(s.Rating) - b.mean - b.film[s.Item]
		people[s.User]++
	}
	for u := range b.person {
		b.person[u] /= people[u] + personDamping
	}
	return b
}

func (b *biases) predict(s ml.Sample) float32 {
	return float32(min(max(b.mean+b.film[s.Item]+b.person[s.User], b.least), b.most))
}

// predicted are the errors of predictions of folds, in order.
type predicted struct {
	finding
	numbers map[int32]int
	person  []int
}

func (p *predicted) add(test []ml.Sample, ratings []float32) {
	if p.values == nil {
		p.values, p.numbers = make([][]float64, 2), map[int32]int{}
	}
	for i, s := range test {
		n, ok := p.numbers[s.User]
		if !ok {
			n = len(p.numbers)
			p.numbers[s.User] = n
		}
		e := float64(ratings[i]) - float64(s.Rating)
		p.person = append(p.person, n)
		p.values[0] = append(p.values[0], float64(e*e))
		p.values[1] = append(p.values[1], math.Abs(e))
	}
}

// rating predicts every fold from the others.
func (r *run) rating(ctx context.Context) error {
	f := foldsOf(r.d, r.Options)
	split := ""
	if f.given {
		split = f.of(0).name + "…"
	}
	var plain, biased predicted
	plain.part, biased.part = byMean, byBiases
	end := r.Measure()
	for k := range f.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		fold := f.of(k)
		if f.given {
			if err := fold.sealed(r.d); err != nil {
				return r.unjudged(Row{Split: split, Kind: KindCounting, Algorithm: byMean, Unjudged: err.Error()}, []string{Rating})
			}
		}
		if len(fold.train) == 0 && len(fold.test) > 0 {
			return r.unjudged(Row{Split: split, Kind: KindCounting, Algorithm: byMean, Unjudged: "without the ratings that are asked about none is left to learn from"}, []string{Rating})
		}
		b := biasesOf(r.d, fold.train)
		flat, full := make([]float32, len(fold.test)), make([]float32, len(fold.test))
		for i, s := range fold.test {
			flat[i], full[i] = float32(b.mean), b.predict(s)
		}
		plain.add(fold.test, flat)
		biased.add(fold.test, full)
	}
	cost := end()
	counted := []finding{plain.finding, biased.finding}
	metrics := MetricsOf(Rating)
	row := Row{Protocol: Rating, Split: split, Kind: KindCounting, JudgeSecs: cost.Seconds, PeakBytes: cost.PeakBytes}
	if len(plain.person) == 0 {
		row.Algorithm, row.Unjudged = byMean, "there are no ratings to predict"
		return r.row(row)
	}
	if err := r.rows(row, metrics, counted, counted, plain.person, len(plain.numbers)); err != nil {
		return err
	}
	for _, rec := range r.Recipes {
		if !rec.Predicts {
			continue
		}
		row := Row{Protocol: Rating, Split: split, Kind: KindRecipe, Algorithm: rec.Name}
		var got predicted
		for k := 0; k < f.n && row.Unjudged == ""; k++ {
			if err := r.predictFold(ctx, &row, rec, f.of(k), &got, k, f.n); err != nil {
				return err
			}
		}
		if row.Unjudged != "" {
			if err := r.row(row); err != nil {
				return err
			}
			continue
		}
		if err := r.rows(row, metrics, []finding{got.finding}, counted, got.person, len(got.numbers)); err != nil {
			return err
		}
	}
	return nil
}

// predictFold trains on a fold and predicts it.
func (r *run) predictFold(ctx context.Context, row *Row, rec *recipe.Recipe, f fold, got *predicted, k, of int) error {
	chosen, err := r.choose(ctx, row, rec, len(r.d.Users), func(ctx context.Context, p recipe.Params, share float64) (float64, error) {
		some := r.d.input(f.train, asServed).Some(share, r.Seed).Data.Samples
		inner := folds(r.d, some, foldCount, r.Options).of(0)
		if len(inner.train) == 0 || len(inner.test) == 0 {
			return 0, errUnfit
		}
		m, err := rec.Train(ctx, r.d.input(inner.train, asServed), p, recipe.Hooks{NoLoss: true})
		if err != nil {
			return 0, err
		}
		var v predicted
		v.add(inner.test, predictions(r.d, m, inner.test))
		return -mean(v.values[0]), nil
	})
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(row.Params, func(p map[string]string) bool { return maps.Equal(p, chosen) }) {
		row.Params = append(row.Params, chosen)
	}
	model, err := r.train(ctx, row, rec, r.d.input(f.train, asServed), chosen)
	if err != nil || row.Unjudged != "" {
		return err
	}
	end := r.Measure()
	ratings := predictions(r.d, model, f.test)
	cost := end()
	row.JudgeSecs += cost.Seconds
	row.PeakBytes = max(row.PeakBytes, cost.PeakBytes)
	if slices.ContainsFunc(ratings, func(v float32) bool { return v-v != 0 }) {
		row.Unjudged = "it predicts what is no number"
		return nil
	}
	got.add(f.test, ratings)
	r.Progress(Rating, rec.Name, "folds", k+1, of)
	return ctx.Err()
}

// predictions are what a model predicts of acts, person by person; NaN where it is no predictor.
func predictions(d *Data, m recipe.Model, acts []ml.Sample) []float32 {
	out := make([]float32, len(acts))
	p, ok := m.(recipe.Predictor)
	byUser := map[int32][]int{}
	var users []int32
	for i, s := range acts {
		if byUser[s.User] == nil {
			users = append(users, s.User)
		}
		byUser[s.User] = append(byUser[s.User], i)
	}
	for _, u := range users {
		films := make([]string, len(byUser[u]))
		for k, i := range byUser[u] {
			films[k] = d.Items[acts[i].Item]
		}
		var ratings []float32
		if ok {
			ratings = p.Predict(d.Users[u], films).Ratings
		}
		for k, i := range byUser[u] {
			out[i] = float32(math.NaN())
			if ok {
				out[i] = ratings[k]
			}
		}
	}
	return out
}
