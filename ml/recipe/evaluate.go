package recipe

import (
	"context"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// Report is an evaluation: metrics of the model and of the baselines on the same moments. The metrics
// are hr@10, ndcg@10 and mrr over the full ranking of unseen films, one relevant film a moment, plus
// coverage@10 and novelty@10 (bits) of the model's lists. A moment is a person meeting a film they will like.
type Report struct {
	Moments   int                           // judged
	Model     map[string]float64            // what would be served
	Baselines map[string]map[string]float64 // popularity, decayed_popularity, online, and the recipe's parts alone
	Figures   map[string]float64            // of the model that was judged
	// Gain is the mean difference in NDCG@10 between the model and popularity over the same moments, and
	// PValue the chance of one at least as large were there none (paired t-test, one-sided; 1 where fewer
	// than two moments were judged or no two differ).
	Gain, PValue float64
}

// Evaluate judges the recipe (not one set of weights) on the last part of the data: a model is trained on
// all before it, and ranks it test-then-learn in time order, beside popularity, decayed popularity, the
// online model alone and each part of the recipe alone. Nothing judged was used for a choice. How much is
// judged is in the parameters that every recipe has ([HoldoutShare], [HoldoutEvents]). progress may be nil.
func (r *Recipe) Evaluate(ctx context.Context, in Input, p Params, progress func(stage string, done, of int)) (*Report, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	in.replay = &replay{} // the judged part follows the one that training replays
	from, most := in.At(1-p.Number(HoldoutShare)), p.Int(HoldoutEvents)
	model, err := r.Train(ctx, in.Before(from), p, Hooks{NoLoss: true, Progress: func(stage string, done, of int, _ float64) { progress("evaluate/"+stage, done, of) }})
	if err != nil {
		return nil, err
	}
	j := newJudge(in, model, from)
	err = in.Replay(ctx, from, len(in.Data.Samples), most, func(m *online.Model, user string, timeMillis int64, film int) {
		j.moment(m, user, timeMillis, film)
		progress("evaluate/judge", j.report.Moments, most)
	})
	if err != nil {
		return nil, err
	}
	return j.result(), nil
}

// judge collects what an evaluation finds.
type judge struct {
	report    *Report
	in        Input
	ranker    Ranker
	counting  Ranker
	positives []int // by item, of what was trained on

	served      tally
	baselines   map[string]*tally
	lists       [][]int32
	differences []float64

	raw, byPlace []float32
	scratch      online.Scratch
}

func newJudge(in Input, m Model, trained int) *judge {
	films := in.Films()
	j := &judge{report: &Report{Baselines: map[string]map[string]float64{}, Figures: m.Figures()}, in: in, ranker: m.Ranker(films, nil),
		counting: NewOnlineRanker(films), positives: make([]int, len(in.Data.Items)), baselines: map[string]*tally{}}
	for _, s := range in.Data.Samples[:trained] {
		if s.Weight > 0 {
			j.positives[s.Item]++
		}
	}
	return j
}

// moment judges how everyone ranks the film that a person is about to like.
func (j *judge) moment(m *online.Model, user string, timeMillis int64, film int) {
	j.report.Moments++
	var served float64
	j.ranker.Score(m, user, timeMillis, func(part string, score []float32) {
		rank := Rank(score, film)
		if part != "" {
			j.baseline(part, rank)
			return
		}
		served = Gain(rank)
		j.served.add(rank)
		var list []int32
		for _, top := range ml.TopKScores(score, 10, nil) {
			list = append(list, top.Index)
		}
		j.lists = append(j.lists, list)
	})
	j.counting.Score(m, user, timeMillis, func(_ string, score []float32) { j.baseline(SourceOnline, Rank(score, film)) })
	for _, source := range []online.Source{online.Popularity, online.DecayedPopularity} {
		rank := Rank(j.scores(m, user, timeMillis, source), film)
		j.baseline(source.String(), rank)
		if source == online.Popularity {
			j.differences = append(j.differences, served-Gain(rank))
		}
	}
}

func (j *judge) baseline(name string, rank int) {
	t := j.baselines[name]
	if t == nil {
		t = &tally{}
		j.baselines[name] = t
	}
	t.add(rank)
}

// scores are a source's scores by place.
func (j *judge) scores(m *online.Model, user string, timeMillis int64, source online.Source) []float32 {
	place := j.ranker.Films().Places(m)
	j.byPlace = Grow(j.byPlace, j.ranker.Films().Len())
	clear(j.byPlace)
	j.raw = m.Score(j.raw, user, timeMillis, source, &j.scratch)
	for i, v := range j.raw {
		if p := place[i]; p >= 0 {
			j.byPlace[p] = v
		}
	}
	return j.byPlace
}

func (j *judge) result() *Report {
	rep := j.report
	if rep.Moments == 0 {
		return rep
	}
	rep.Model = j.served.metrics()
	rep.Model["coverage@10"] = ml.Coverage(j.lists, len(j.in.Data.Items))
	rep.Model["novelty@10"] = ml.Novelty(j.lists, j.positives, len(j.in.Data.Users))
	for name, t := range j.baselines {
		rep.Baselines[name] = t.metrics()
	}
	rep.Gain, rep.PValue = paired(j.differences)
	return rep
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
	t.ndcg += Gain(rank)
	t.mrr += 1 / float64(rank)
}

func (t *tally) metrics() map[string]float64 {
	n := float64(max(t.n, 1))
	return map[string]float64{"hr@10": t.hr / n, "ndcg@10": t.ndcg / n, "mrr": t.mrr / n}
}
