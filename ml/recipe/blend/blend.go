// Package blend is a recipe of recipes: films are ranked by the sum of what several others say, each by a weight that was
// learned on the last part of the data in time, which none of them had seen.
package blend

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

const name = "blend"

// Whether a part is one.
const (
	yes = "yes"
	no  = "no"
)

// Of is the recipe "blend" of parts, whose parameters it has beside whether each is used. The online model is a part always. Their
// rankers are [recipe.Member]s.
func Of(parts ...*recipe.Recipe) *recipe.Recipe {
	r := &recipe.Recipe{Name: name, Description: "What several recipes say, by weights learned on the newest part of the data", Code: "blend/4"}
	for _, part := range parts {
		r.Code += "+" + part.Code
		r.Params = append(r.Params, recipe.Param{Name: use(part), Type: recipe.Choice, Default: yes, Choices: []string{yes, no}, Meaning: "whether " + part.Name + " is a part"})
	}
	for _, part := range parts {
		r.Params = append(r.Params, part.Params...)
	}
	r.Check = func(p recipe.Params) error {
		for _, part := range parts {
			if part.Check != nil && p[use(part)] == yes {
				if err := part.Check(p); err != nil {
					return err
				}
			}
		}
		if len(used(parts, p)) == 0 {
			return fault.Field(use(parts[0]), "is %s, as for all others: say %s for one", no, yes)
		}
		return nil
	}
	r.Train = func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m, err := train(ctx, in, used(parts, p), p, h)
		if err != nil {
			return nil, err // not a nil *model in an interface
		}
		return m, nil
	}
	r.Decode = func(b []byte) (recipe.Model, error) {
		m, err := decode(b, parts)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return r
}

func use(part *recipe.Recipe) string { return name + "." + part.Name }

func used(parts []*recipe.Recipe, p recipe.Params) []*recipe.Recipe {
	return slices.DeleteFunc(slices.Clone(parts), func(part *recipe.Recipe) bool { return p[use(part)] != yes })
}

// paramsOf are the values of a part's own parameters.
func paramsOf(part *recipe.Recipe, p recipe.Params) recipe.Params {
	own := recipe.Params{}
	for _, d := range part.Declared() {
		own[d.Name] = p[d.Name]
	}
	return own
}

// training is where a training stands: its stage, what that has made, and what the stage before has found.
type training struct {
	Stage   string     `json:"stage"`
	Weights []float32  `json:"weights,omitempty"` // of the online model and the parts, once they are chosen
	Counts  online.Mix `json:"counts,omitzero"`   // of the online model, then
	Lengths []int      `json:"lengths"`           // of the parts that are made, and of the state of the one that is not
	made    [][]byte
	state   []byte
}

// stageTune trains parts on all but the holdout; recipe.StageFit on everything.
const stageTune = "tune"

func train(ctx context.Context, in recipe.Input, parts []*recipe.Recipe, p recipe.Params, h recipe.Hooks) (*model, error) {
	t := &training{Stage: stageTune}
	if h.Resume != nil {
		var err error
		if t, err = decodeTraining(h.Resume, len(parts)); err != nil {
			return nil, err
		}
	}
	if h.Sizes != nil {
		h.Sizes([]recipe.Size{{Name: "people", N: len(in.Data.Users)}, {Name: "films", N: len(in.Data.Items)}, {Name: "parts", N: len(parts)}})
	}
	if t.Stage == stageTune {
		split := in.At(1 - p.Number(recipe.HoldoutShare))
		models, err := t.each(ctx, in.Before(split), parts, p, h)
		if err != nil {
			return nil, err
		}
		weights, counts, err := choose(ctx, in, &model{parts: models}, split, p)
		if err != nil {
			return nil, err
		}
		*t = training{Stage: recipe.StageFit, Weights: weights, Counts: counts}
		if err := t.save(h); err != nil {
			return nil, err
		}
	}
	models, err := t.each(ctx, in, parts, p, h)
	if err != nil {
		return nil, err
	}
	return &model{parts: models, weights: t.Weights, counts: t.Counts, featuresHash: in.FeaturesHash}, ctx.Err()
}

// uncounted is a part without counts of the online model in it, which the blend adds itself.
func uncounted(m recipe.Model) recipe.Model {
	if c, ok := m.(recipe.Counted); ok {
		return c.Uncounted()
	}
	return m
}

// each trains the parts that are not made yet.
func (t *training) each(ctx context.Context, in recipe.Input, parts []*recipe.Recipe, p recipe.Params, h recipe.Hooks) ([]part, error) {
	var models []part
	for i, r := range parts {
		if i < len(t.made) {
			m, err := r.Decode(t.made[i])
			if err != nil {
				return nil, fmt.Errorf("checkpoint: %s: %w", r.Name, err)
			}
			models = append(models, part{r, uncounted(m)})
			continue
		}
		inner := recipe.Hooks{NoLoss: h.NoLoss, Resume: t.state}
		if h.Progress != nil {
			inner.Progress = func(stage string, done, of int, loss float64) {
				h.Progress(t.Stage+"/"+r.Name+"/"+stage, done, of, loss)
			}
		}
		if h.Save != nil {
			inner.Save = func(state func() ([]byte, error)) error {
				return h.Save(func() ([]byte, error) {
					s, err := state()
					if err != nil {
						return nil, err
					}
					return (&training{Stage: t.Stage, Weights: t.Weights, Counts: t.Counts, made: t.made, state: s}).encode()
				})
			}
		}
		made, err := r.Make(ctx, in, paramsOf(r, p), inner)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name, err)
		}
		models = append(models, part{r, uncounted(made.Model)})
		t.made, t.state = append(t.made, made.Bytes), nil
		if h.Progress != nil {
			h.Progress(t.Stage, i+1, len(parts), math.NaN())
		}
		if err := t.save(h); err != nil {
			return nil, err
		}
	}
	return models, nil
}

func (t *training) save(h recipe.Hooks) error {
	if h.Save == nil {
		return nil
	}
	return h.Save(t.encode)
}

// moment is a person about to like a film: what each of [online.MixSources], and then each part, says of the films that any puts forward, that film
// first. Nil are parts that say nothing of the person.
type moment [][]float32

// Of each part the best films at a moment are put forward; and rounds of choosing.
const (
	candidates = 100
	momentsMax = 5_000 // each takes up to 50 KB
	rounds     = 30
	priorUnits = 3 // of the online model's own blend, which is where choosing begins
)

// choose learns how fast popularity is forgotten ([recipe.Input.Forgetting]), the mix of what the online model counts, beside the parts, and then the weights of the online model with it and of the parts; both
// as [selected] does, over people ([recipe.Shares]).
func choose(ctx context.Context, in recipe.Input, m *model, from int, p recipe.Params) ([]float32, online.Mix, error) {
	r, most := m.Ranker(in.Films(), nil).(*ranker), min(momentsMax, p.Int(recipe.HoldoutEvents))
	forget, err := in.Forgetting(ctx, r.films, from, most)
	if err != nil {
		return nil, online.Mix{}, err
	}
	moments, people, err := momentsOf(ctx, in, r, from, most, forget)
	if err != nil {
		return nil, online.Mix{}, err
	}
	const sources = len(online.MixSources)
	shares := recipe.Shares(people)
	units := make([]int, sources+len(m.parts))
	units[0] = priorUnits
	if units, err = selected(ctx, moments, shares, units); err != nil {
		return nil, online.Mix{}, err
	}
	var mix [sources]float32
	copy(mix[:], weightsOf(units[:sources]))
	for i, said := range moments {
		moments[i] = append(moment{said.counts(mix)}, said[sources:]...)
	}
	if units, err = selected(ctx, moments, shares, make([]int, 1+len(m.parts))); err != nil {
		return nil, online.Mix{}, err
	}
	counts := online.MixOf(mix)
	counts.Forget = forget
	return weightsOf(units), counts, nil
}

// counts is what a mix says, the best film having 1 as when it ranks.
func (m moment) counts(mix [len(online.MixSources)]float32) []float32 {
	sum := make([]float32, len(m[0]))
	for k, w := range mix {
		for i, v := range m[k] {
			sum[i] += float32(w * v)
		}
	}
	recipe.Scale(sum, sum)
	return sum
}

// selected adds units to those that there are: one after another to that source which makes the mean gain greatest (Caruana et al. 2004, "Ensemble
// Selection from Libraries of Models"), as long as that rises. Where nothing is gained by any, the first has all.
func selected(ctx context.Context, moments []moment, shares []float64, units []int) ([]int, error) {
	best := -1.
	chosen := slices.Clone(units)
	if slices.Max(units) > 0 {
		best = mean(moments, shares, units)
	} else {
		chosen[0] = 1
	}
	for range rounds {
		round, at := -1., 0
		for k := range units {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			units[k]++
			gain := mean(moments, shares, units)
			units[k]--
			if gain > round {
				round, at = gain, k
			}
		}
		units[at]++
		if len(moments) > 0 && round > best {
			best, chosen = round, slices.Clone(units)
		}
	}
	return chosen, nil
}

// weightsOf are the shares of units, which are not all 0.
func weightsOf(units []int) []float32 {
	total := 0
	for _, u := range units {
		total += u
	}
	weights := make([]float32, len(units))
	for k, u := range units {
		weights[k] = float32(u) / float32(total)
	}
	return weights
}

// momentsOf are at most so many moments on the samples from there on, and whose they are; counts forget popularity so many times as fast as
// usual.
func momentsOf(ctx context.Context, in recipe.Input, r *ranker, from, most int, forget float32) (moments []moment, people []string, err error) {
	counts := make([]recipe.Counts, len(online.MixSources))
	for k := range counts {
		var w [len(online.MixSources)]float32
		w[k] = 1
		counts[k].Mix = online.MixOf(w)
		counts[k].Mix.Forget = forget
	}
	err = in.Replay(ctx, from, len(in.Data.Samples), most, func(o *online.Model, user string, timeMillis int64, film int) {
		var all [][]float32
		for k := range counts {
			counts[k].Sum(o, r.films, user, timeMillis, false)
			all = append(all, counts[k].Score)
		}
		var answers []recipe.Answer
		for _, member := range r.members[1:] { // the first counts
			a, ok := member.Ask(o, user, timeMillis, false)
			if !ok {
				all = append(all, nil)
				continue
			}
			answers = append(answers, a)
			all = append(all, a.Score())
		}
		forward := []int32{int32(film)}
		known := map[int32]bool{int32(film): true}
		for _, score := range all {
			for _, top := range ml.TopKScores(score, candidates, nil) {
				if top.Score > 0 && !known[top.Index] {
					known[top.Index] = true
					forward = append(forward, top.Index)
				}
			}
		}
		said := make(moment, len(all))
		for k, score := range all {
			if score == nil {
				continue
			}
			for _, place := range forward {
				said[k] = append(said[k], score[place])
			}
		}
		for _, a := range answers {
			a.Release()
		}
		moments, people = append(moments, said), append(people, user)
	})
	return moments, people, err
}

// mean is the mean gain of moments, each by its share, with weights of so many units. As in a ranking, parts that say nothing of the person are
// left out, and where no other has a unit the first counts.
func mean(moments []moment, shares []float64, units []int) float64 {
	var sum float64
	var score []float32
	for n, m := range moments {
		score = recipe.Grow(score, len(m[0]))
		clear(score)
		known := false
		for k, u := range units {
			if u > 0 && m[k] != nil {
				known = true
				w := float32(u)
				for i, v := range m[k] {
					score[i] += float32(w * v)
				}
			}
		}
		if !known {
			copy(score, m[0])
		}
		sum += float64(shares[n] * recipe.Gain(recipe.Rank(score, 0)))
	}
	return sum
}
