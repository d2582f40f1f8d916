package eval

import (
	"context"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// retrained are the shares of a stream, in order, at which models are trained again; judging begins at the first.
var retrained = []float64{.2, .4, .6, .8}

// prequential goes through acts in time order.
func (r *run) prequential(ctx context.Context, protocol string, acts []ml.Sample) error {
	in := r.d.input(acts, asServed)
	films := in.Films()
	bounds := make([]int, 0, len(retrained)+1)
	for _, share := range retrained {
		bounds = append(bounds, in.At(share))
	}
	bounds = append(bounds, len(acts))
	limit := len(acts)
	if r.Moments > 0 {
		limit = max(1, r.Moments/len(retrained))
	}
	metrics := MetricsOf(protocol)
	var counted []finding
	// judge collects what scorers, one of each stretch, find.
	judge := func(row *Row, of func(stretch int) (scorer, error)) error {
		numbers := map[string]int{}
		var person, ranks []int
		relevant := make([]int32, 0, 1)
		var found []finding
		list := make([]measure, len(metrics))
		for k, name := range metrics {
			list[k] = measureOf(name)
		}
		for i := range retrained {
			if bounds[i] == 0 || bounds[i] == bounds[i+1] {
				continue
			}
			s, err := of(i)
			if err != nil {
				return err
			}
			if s == nil {
				return nil
			}
			end := r.Measure()
			judged := 0
			err = in.Replay(ctx, bounds[i], bounds[i+1], limit, func(m *online.Model, user string, timeMillis int64, film int) {
				number, ok := numbers[user]
				if !ok {
					number = len(numbers)
					numbers[user] = number
				}
				person = append(person, number)
				s.score(m, user, timeMillis, func(part string, score []float32) {
					at := slices.IndexFunc(found, func(f finding) bool { return f.part == part })
					if at < 0 { // what it would have had before is nothing
						at = len(found)
						found = append(found, finding{part: part, values: make([][]float64, len(metrics))})
						for k := range metrics {
							found[at].values[k] = make([]float64, len(person)-1)
						}
					}
					ranks = ranksOf(score, append(relevant[:0], int32(film)), ranks)
					for k := range list {
						found[at].values[k] = append(found[at].values[k], list[k].of(ranks, 0))
					}
				})
				for i := range found {
					for k := range metrics {
						if v := &found[i].values[k]; len(*v) < len(person) {
							*v = append(*v, 0)
						}
					}
				}
				judged++
				r.Progress(protocol, row.Algorithm, "judge", i*limit+judged, len(retrained)*limit)
			})
			if err != nil {
				return err
			}
			cost := end()
			row.JudgeSecs += cost.Seconds
			row.PeakBytes = max(row.PeakBytes, cost.PeakBytes)
		}
		if len(person) == 0 {
			if row.Unjudged = "nobody meets a film that they like"; len(acts) > 0 && acts[0].Time == acts[len(acts)-1].Time {
				row.Unjudged = errOneMoment.Error()
			}
			if row.Kind == KindCounting {
				row.Algorithm = OfOnline(online.Popularity)
			}
			return r.row(*row)
		}
		if row.Kind == KindCounting {
			counted = found
		}
		return r.rows(*row, metrics, found, counted, person, len(numbers))
	}
	counts := newCounts(films)
	if err := judge(&Row{Protocol: protocol, Kind: KindCounting}, func(int) (scorer, error) { return counts, nil }); err != nil || counted == nil {
		return err
	}
	for _, rec := range r.Recipes {
		row := Row{Protocol: protocol, Kind: KindRecipe, Algorithm: rec.Name}
		before := in.Before(bounds[0])
		var some recipe.Input
		var of float64
		chosen, err := r.choose(ctx, &row, rec, len(r.d.Users), func(ctx context.Context, p recipe.Params, share float64) (float64, error) {
			if share != of {
				of, some = share, before.Some(share, r.Seed)
			}
			report, err := rec.Evaluate(ctx, some, p, nil, nil)
			if err != nil {
				return 0, err
			}
			if report.Moments == 0 {
				return 0, errUnfit
			}
			return report.Model["ndcg@10"], nil
		})
		if err != nil {
			return err
		}
		row.Params = []map[string]string{chosen}
		err = judge(&row, func(i int) (scorer, error) {
			model, err := r.train(ctx, &row, rec, in.Before(bounds[i]), chosen)
			if err != nil || row.Unjudged != "" {
				return nil, err
			}
			return byRanker{model.Ranker(films, nil)}, nil
		})
		if err == nil && row.Unjudged != "" {
			err = r.row(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
