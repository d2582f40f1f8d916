package hybrid

import (
	"context"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// components are the scores of one moment: a person is about to like a film, and every film they have
// not met is ranked for them.
type components struct {
	target      int32
	trained     bool                          // the factors say something of this person
	als, counts []float32                     // by film; counts is online.Excluded for films already met
	baseline    func(online.Source) []float32 // scores of a baseline, by film
}

// rank is the target's place, from 1, with a share w of the factors; ties go before it.
func (c components) rank(w float32) int {
	if !c.trained {
		w = 0
	}
	return place(c.counts, c.target, func(i int) float32 {
		v := float32((1 - w) * c.counts[i])
		if w > 0 {
			v += float32(w * c.als[i])
		}
		return v
	})
}

// place counts the films not yet met that score at least as well as the target.
func place(counts []float32, target int32, score func(i int) float32) int {
	mine, rank := score(int(target)), 1
	for i := range counts {
		if i != int(target) && counts[i] != online.Excluded && score(i) >= mine {
			rank++
		}
	}
	return rank
}

// likedWithin is how long after meeting a film a person has to like it, for the meeting to count as one
// that a recommender should have foreseen: a view becomes a watch and a rating in one evening.
const likedWithin = 24 * 60 * 60 * 1000

// moments finds the samples of from..to at which a person meets a film for the first time, and likes it
// then or within likedWithin.
func (in Input) moments(from, to int) []int {
	type pair struct{ user, item int32 }
	met := map[pair]int{} // the first meeting
	liked := map[int]bool{}
	for i, s := range in.Data.Samples[:to] {
		p := pair{s.User, s.Item}
		first, again := met[p]
		if !again {
			first, met[p] = i, i
		}
		if first >= from && s.Weight > 0 && s.Time-in.Data.Samples[first].Time <= likedWithin {
			liked[first] = true
		}
	}
	var moments []int
	for i := from; i < to; i++ {
		if liked[i] {
			moments = append(moments, i)
		}
	}
	return moments
}

// replay goes through the samples from..to in time order, test-then-learn: before a person meets a film
// they are going to like, the online model as it stands and the frozen factors of m score every film. At
// most limit such moments are scored, evenly over the range.
func (in Input) replay(ctx context.Context, m *Model, from, to, limit int, score func(components)) error {
	moments := in.moments(from, to)
	every := max(1, (len(moments)+limit-1)/limit)
	model := online.New()
	ranker := NewRanker(m, in.Data.Items, in.Content)
	s := &scratch{}
	n := 0
	for i, sample := range in.Data.Samples[:to] {
		user := in.Data.Users[sample.User]
		if n < len(moments) && moments[n] == i {
			if n%every == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				trained := ranker.components(model, user, sample.Time, s)
				score(components{target: sample.Item, trained: trained, als: s.als, counts: s.counts,
					baseline: func(source online.Source) []float32 { return in.byFilm(model, ranker, sample, source, s) }})
			}
			n++
		}
		model.Add(user, in.Data.Items[sample.Item], sample.Time, uint64(i), in.Signals[i])
	}
	return nil
}

func (in Input) byFilm(m *online.Model, r *Ranker, sample ml.Sample, source online.Source, s *scratch) []float32 {
	place, _ := r.maps(m)
	out := make([]float32, r.Len())
	for i, v := range m.Score(nil, in.Data.Users[sample.User], sample.Time, source, &s.online) {
		if p := place[i]; p >= 0 {
			out[p] = v
		}
	}
	return out
}

// Report is an evaluation: metrics of the model and of the baselines on the same moments. The metrics
// are hr@10, ndcg@10 and mrr over the full ranking of unseen films, one relevant film a moment, plus
// coverage@10 and novelty@10 (bits) of the model's lists. A moment is a person meeting a film they will like.
type Report struct {
	Moments   int                // scored
	ALSWeight float32            // chosen on the part before the one judged
	Model     map[string]float64 // the blend that would be served
	Baselines map[string]map[string]float64
	// Gain is the mean difference in NDCG@10 between the model and popularity over the same moments, and
	// PValue the chance of one at least as large were there none (paired t-test, one-sided; 1 where fewer
	// than two moments were scored or no two differ).
	Gain, PValue float64
}

// Evaluate judges the recipe (not one set of weights) on the last part of the data: factors are fitted on
// all before the last two holdouts, the blend is chosen on the first of them, factors are fitted again
// up to the second, and that is judged, test-then-learn in time order, beside popularity, decayed
// popularity, the online model alone and the factors alone. Nothing judged was used for a choice.
func Evaluate(ctx context.Context, in Input, p Params, h Hooks) (*Report, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	a, b := in.at(1-2*p.HoldoutShare), in.at(1-p.HoldoutShare)
	n := len(in.Data.Samples)
	first, err := in.fit(ctx, a, p, "evaluate/choose", 0, checkpoint{}, Hooks{Progress: h.Progress})
	if err != nil {
		return nil, err
	}
	weight, err := chooseWeight(ctx, in, first, a, b, p)
	if err != nil {
		return nil, err
	}
	m, err := in.fit(ctx, b, p, "evaluate/judge", 0, checkpoint{}, Hooks{Progress: h.Progress})
	if err != nil {
		return nil, err
	}
	rep := &Report{ALSWeight: weight, Baselines: map[string]map[string]float64{}}
	sums := map[string]*tally{}
	names := []string{"blend", "popularity", "decayed_popularity", "online", "als"}
	for _, name := range names {
		sums[name] = &tally{}
	}
	counts := make([]int, len(in.Data.Items))
	for _, s := range in.Data.Samples[:b] {
		if s.Weight > 0 {
			counts[s.Item]++
		}
	}
	var lists [][]int32
	var differences []float64
	err = in.replay(ctx, m, b, n, p.HoldoutEvents, func(c components) {
		rep.Moments++
		blend := c.rank(weight)
		sums["blend"].add(blend)
		sums["online"].add(c.rank(0))
		sums["als"].add(c.rank(1))
		for _, source := range []online.Source{online.Popularity, online.DecayedPopularity} {
			scores := c.baseline(source)
			rank := place(c.counts, c.target, func(i int) float32 { return scores[i] })
			sums[source.String()].add(rank)
			if source == online.Popularity {
				differences = append(differences, gain(blend)-gain(rank))
			}
		}
		w := weight
		if !c.trained {
			w = 0
		}
		score := make([]float32, len(c.counts))
		mix(score, c.als, c.counts, w)
		var list []int32
		for _, top := range ml.TopKScores(score, 10, nil) {
			list = append(list, top.Index)
		}
		lists = append(lists, list)
	})
	if err != nil {
		return nil, err
	}
	if rep.Moments == 0 {
		return rep, nil
	}
	rep.Model = sums["blend"].metrics()
	rep.Model["coverage@10"] = ml.Coverage(lists, len(in.Data.Items))
	rep.Model["novelty@10"] = ml.Novelty(lists, counts, len(in.Data.Users))
	for _, name := range names[1:] {
		rep.Baselines[name] = sums[name].metrics()
	}
	rep.Gain, rep.PValue = paired(differences)
	return rep, nil
}

// paired is the mean of differences and the one-sided p-value of Student's paired t-test that it is not
// above 0.
func paired(differences []float64) (mean, p float64) {
	n := float64(len(differences))
	if n < 2 {
		return 0, 1
	}
	mean, sd := stat.MeanStdDev(differences, nil)
	if sd == 0 {
		return mean, 1
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}
	return mean, 1 - t.CDF(mean/stat.StdErr(sd, n))
}

type tally struct {
	n             int
	hr, ndcg, mrr float64
}

func (t *tally) add(rank int) {
	t.n++
	if rank <= 10 {
		t.hr++
	}
	t.ndcg += gain(rank)
	t.mrr += 1 / float64(rank)
}

func (t *tally) metrics() map[string]float64 {
	n := float64(max(t.n, 1))
	return map[string]float64{"hr@10": t.hr / n, "ndcg@10": t.ndcg / n, "mrr": t.mrr / n}
}
