// Package popularity is the recipe "popularity": everyone is shown what many people have liked of late and
// they have not met. What a better model has to beat.
package popularity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name     = "popularity"
	halfLife = "popularity.half_life_days"
)

// Recipe is the recipe "popularity". Of half-lives from 3 to 3,650 days, 90 is one that beat popularity
// without forgetting on the first halves of both MovieLens latest-small and MovieTweetings; each for itself
// does better with another (a year, and 3 days).
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Popularity, of which half is forgotten every so many days",
	Code:        "decayed-popularity/1",
	Params: []recipe.Param{{Name: halfLife, Type: recipe.Number, Default: "90", Min: 0, AboveMin: true, Max: 36_525,
		Meaning: "days after which a like counts half", Search: &recipe.Search{Low: 1, High: 3650}}},
	Train: func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m, err := train(ctx, in, p.Number(halfLife))
		if err != nil {
			return nil, err
		}
		if h.Progress != nil {
			h.Progress(recipe.StageFit, 1, 1, math.NaN())
		}
		return m, nil
	},
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := decode(b)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
}

// model is the popularity of each item at the end of what was trained on.
type model struct {
	params       params
	featuresHash string
	items        []string  // sorted
	scores       []float32 // likes, each halved every half-life; 0 or more
}

type params struct {
	HalfLifeDays float64 `json:"half_life_days"`
}

func train(ctx context.Context, in recipe.Input, halfLifeDays float64) (*model, error) {
	m := &model{params: params{halfLifeDays}, featuresHash: in.FeaturesHash, items: in.Data.Items, scores: make([]float32, len(in.Data.Items))}
	if n := len(in.Data.Samples); n > 0 {
		m.scores = ml.NewPopularity(in.Data).Scores(in.Data.Samples[n-1].Time, halfLifeDays)
	}
	return m, ctx.Err()
}

const artifactKind = "decayed-popularity"

// Encode writes the artifact: the tensor "popularity" over the list "items".
func (m *model) Encode() ([]byte, error) {
	p, err := json.Marshal(m.params)
	if err != nil {
		return nil, err
	}
	a := ml.Artifact{Kind: artifactKind, Kernel: ml.Kernel(), FeatureHash: m.featuresHash, Params: p,
		Tensors: []ml.Tensor{{Name: "popularity", Shape: []int{len(m.items)}, Data: m.scores}},
		Strings: []ml.StringList{{Name: "items", Values: m.items}}}
	return a.Encode()
}

func decode(b []byte) (*model, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	if a.Kind != artifactKind {
		return nil, fmt.Errorf("the artifact holds a %q; want a %q", a.Kind, artifactKind)
	}
	m := &model{featuresHash: a.FeatureHash}
	if err := json.Unmarshal(a.Params, &m.params); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	if m.items, err = a.List("items"); err != nil {
		return nil, err
	}
	if m.scores, err = a.Tensor("popularity", len(m.items)); err != nil {
		return nil, err
	}
	switch {
	case !slices.IsSorted(m.items):
		return nil, errors.New("the artifact's items are not in order")
	case slices.ContainsFunc(m.scores, func(v float32) bool { return v < 0 }):
		return nil, errors.New("the artifact has a popularity below 0")
	}
	return m, nil
}

func (*model) Figures() map[string]float64 { return nil }

func (m *model) Ranker(films *recipe.Films, _ recipe.Ranker) recipe.Ranker {
	r := &ranker{films: films, popularity: make([]float32, films.Len())}
	r.answers.New = func() any { return &answer{of: r} }
	for i := range r.popularity {
		if at, ok := slices.BinarySearch(m.items, films.At(i).ID); ok {
			r.popularity[i] = m.scores[at]
		}
	}
	return r
}

type ranker struct {
	films      *recipe.Films
	popularity []float32 // by place
	answers    sync.Pool // of *answer
}

// answer is popularity, scaled so that the most popular film that may be shown has 1.
type answer struct {
	of    *ranker
	score []float32 // by place
}

func (r *ranker) Films() *recipe.Films { return r.films }

// lately is how a score is explained: by no film of the person's.
const lately = "popular lately"

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	a, _ := r.ask(m, q.User, q.NowMillis, q.Again)
	defer a.Release()
	out := recipe.Ranking{Strategy: name}
	for _, top := range q.Best(a.score) {
		it := recipe.Item{Place: int(top.Index), Score: top.Score}
		if top.Score != 0 {
			it.Parts = []recipe.Part{{Source: name, Score: top.Score}}
			if q.Explain != recipe.Unexplained {
				it.Because = []recipe.Reason{{Score: top.Score, Source: lately}}
			}
		}
		out.Items = append(out.Items, it)
	}
	return out
}

func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	a, _ := r.ask(m, user, nowMillis, false)
	defer a.Release()
	f("", a.score)
}

// Ask is answered where a film that may be shown is popular.
func (r *ranker) Ask(m *online.Model, user string, nowMillis int64, again bool) (recipe.Answer, bool) {
	a, ok := r.ask(m, user, nowMillis, again)
	if !ok {
		a.Release()
		return nil, false
	}
	return a, true
}

// ask is of what the person has not met, or with again of all. It reports whether any of it is popular.
func (r *ranker) ask(m *online.Model, user string, nowMillis int64, again bool) (*answer, bool) {
	a := r.answers.Get().(*answer)
	a.score = append(a.score[:0], r.popularity...)
	if !again {
		recipe.Exclude(a.score, m, r.films, user, nowMillis)
	}
	return a, recipe.Scale(a.score, a.score)
}

func (a *answer) Score() []float32 { return a.score }

// Because says that the films at places are popular, as far as they are.
func (a *answer) Because(places []int, _ recipe.Depth) [][]recipe.Reason {
	out := make([][]recipe.Reason, len(places))
	for i, p := range places {
		if a.score[p] > 0 {
			out[i] = []recipe.Reason{{Score: a.score[p], Source: lately}}
		}
	}
	return out
}

func (a *answer) Release() { a.of.answers.Put(a) }
