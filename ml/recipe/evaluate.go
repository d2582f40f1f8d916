package recipe

import (
	"context"
	"maps"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// Configuration is what a model is made by, whatever it is trained on.
type Configuration struct {
	Recipe *Recipe
	Params Params // of all its parameters: see [Recipe.Parse]
}

// Equal says whether both make the same model of the same data.
func (c Configuration) Equal(d Configuration) bool {
	return c.Recipe.Name == d.Recipe.Name && maps.Equal(c.Params, d.Params)
}

// Report is an evaluation: metrics of the model, of the champion and of the baselines at the same moments. The
// metrics are hr@10, ndcg@10 and mrr over the full ranking of unseen films, one relevant film a moment, plus
// coverage@10 and novelty@10 (bits) of the model's lists. A moment is a person meeting a film they will like.
type Report struct {
	Moments   int                           // judged
	People    int                           // whose moments they are
	Model     map[string]float64            // of the configuration that is judged
	Champion  map[string]float64            // of the one it is compared with; nil without one
	Baselines map[string]map[string]float64 // popularity, decayed_popularity, online, and the recipe's parts alone
	// Figures are of the model that was judged. It was trained on less than all, and is not the one that a
	// run of the same configuration registers.
	Figures      map[string]float64
	VsPopularity Difference // of the model from popularity
	VsChampion   Difference // of the model from the champion; of no meaning without one
	// ChampionError is why a champion that was asked for could not be trained, and so was not judged.
	ChampionError error
}

// Evaluate judges the recipe (not one set of weights) on the last part of the data: a model is trained on
// all before it, and ranks it test-then-learn in time order, beside popularity, decayed popularity, the
// online model alone and each part of the recipe alone. champion, where not nil, is trained on the same part and
// ranks at the same moments. Nothing judged was used for a choice. How much is judged is in the
// parameters that every recipe has ([HoldoutShare], [HoldoutEvents]), p's for both. The same acts give the same
// report, whatever the ids of their events. progress may be nil.
func (r *Recipe) Evaluate(ctx context.Context, in Input, p Params, champion *Configuration, progress func(stage string, done, of int)) (*Report, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	in = in.byAct()
	in.replay = &replay{} // the judged part follows the one that training replays
	from, most := in.At(1-p.Number(HoldoutShare)), p.Int(HoldoutEvents)
	train := func(c Configuration, prefix string) (Model, error) {
		return c.Recipe.Train(ctx, in.Before(from), c.Params, Hooks{NoLoss: true, Progress: func(stage string, done, of int, _ float64) { progress(prefix+stage, done, of) }})
	}
	model, err := train(Configuration{r, p}, "evaluate/")
	if err != nil {
		return nil, err
	}
	j := newJudge(in, model, from)
	if champion != nil {
		switch m, err := train(*champion, "evaluate/champion/"); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			j.report.ChampionError = err
		default:
			j.champion = m.Ranker(j.ranker.Films(), nil)
		}
	}
	progress("evaluate/learn", 0, from)
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
	champion  Ranker // nil without one
	counting  Ranker
	positives []int // by item, of what was trained on

	served, rival tally
	baselines     map[string]*tally
	lists         [][]int32

	numbers      map[string]int // of people, in order of appearance
	person       []int          // by moment
	vsPopularity []float64      // by moment
	vsChampion   []float64      // by moment; empty without one

	raw, byPlace []float32
	scratch      online.Scratch
}

func newJudge(in Input, m Model, trained int) *judge {
	films := in.Films()
	j := &judge{report: &Report{Baselines: map[string]map[string]float64{}, Figures: m.Figures()}, in: in, ranker: m.Ranker(films, nil),
		counting: NewOnlineRanker(films), positives: make([]int, len(in.Data.Items)), baselines: map[string]*tally{}, numbers: map[string]int{}}
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
	number, known := j.numbers[user]
	if !known {
		number = len(j.numbers)
		j.numbers[user] = number
	}
	j.person = append(j.person, number)
	var served float64
	j.ranker.Score(m, user, timeMillis, func(part string, score []float32) {
		rank := Rank(score, film)
		switch part {
		case "":
		case SourceOnline, online.Popularity.String(), online.DecayedPopularity.String(): // names of counting, which is judged below
			return
		default:
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
	if j.champion != nil {
		j.champion.Score(m, user, timeMillis, func(part string, score []float32) {
			if part == "" {
				rank := Rank(score, film)
				j.rival.add(rank)
				j.vsChampion = append(j.vsChampion, served-Gain(rank))
			}
		})
	}
	j.counting.Score(m, user, timeMillis, func(_ string, score []float32) { j.baseline(SourceOnline, Rank(score, film)) })
	for _, source := range []online.Source{online.Popularity, online.DecayedPopularity} {
		rank := Rank(j.scores(m, user, timeMillis, source), film)
		j.baseline(source.String(), rank)
		if source == online.Popularity {
			j.vsPopularity = append(j.vsPopularity, served-Gain(rank))
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
	rep.People = len(j.numbers)
	rep.VsPopularity = difference(j.vsPopularity, j.person, rep.People)
	rep.VsChampion = difference(j.vsChampion, j.person, rep.People)
	if rep.Moments == 0 {
		return rep
	}
	rep.Model = j.served.metrics()
	rep.Model["coverage@10"] = ml.Coverage(j.lists, len(j.in.Data.Items))
	rep.Model["novelty@10"] = ml.Novelty(j.lists, j.positives, len(j.in.Data.Users))
	if j.champion != nil {
		rep.Champion = j.rival.metrics()
	}
	for name, t := range j.baselines {
		rep.Baselines[name] = t.metrics()
	}
	return rep
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
