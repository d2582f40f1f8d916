package als

import (
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Names of the parts of a score: "online" beside sourceFactors, and "blend" of both in one word.
const (
	sourceFactors = "als"
	strategyBlend = "blend"
)

// ranker blends the trained factors with the online model's counts.
type ranker struct {
	model   *Model
	films   *recipe.Films
	factors []float32 // by place
	scratch sync.Pool // of *scratch
}

// Ranker prepares the factor of each film: learned, suggested by content, or between the two.
func (m *Model) Ranker(films *recipe.Films, before recipe.Ranker) recipe.Ranker {
	dim := m.Params.ALS.Dim
	r := &ranker{model: m, films: films, factors: make([]float32, films.Len()*dim)}
	r.scratch.New = func() any { return &scratch{} }
	was, ok := before.(*ranker)
	if !ok || was.model != m {
		was = &ranker{films: recipe.NewFilms(nil)}
	}
	features := make([]float32, contentFeatures(len(m.Genres)))
	at := 0 // in was.films: both are in order
	for i := range films.Len() {
		film, factor := films.At(i), r.factors[i*dim:(i+1)*dim]
		for at < was.films.Len() && was.films.At(at).ID < film.ID {
			at++
		}
		if at < was.films.Len() && was.films.At(at) == film {
			copy(factor, was.factors[at*dim:(at+1)*dim])
		} else {
			m.factor(factor, film, features)
		}
	}
	return r
}

func (r *ranker) Films() *recipe.Films { return r.films }

type scratch struct {
	counts     recipe.Counts
	als, score []float32 // by place
	items      []int32
	weights    []float32
	vector     []float32
}

// components fills s.counts and s.als, each scaled so that its best unseen film has 1. It reports whether
// the trained factors say anything. With again it is of all films, met or not.
func (r *ranker) components(m *online.Model, user string, nowMillis int64, again bool, s *scratch) bool {
	s.counts.Compute(m, r.films, user, nowMillis, again)
	s.als = recipe.Grow(s.als, r.films.Len())
	s.items, s.weights = s.items[:0], s.weights[:0]
	trained := r.model.rows.Of(m, r.model.Items)
	for e := range m.UserEntries(user) {
		if len(s.items) >= r.model.Params.ALS.HistoryMax {
			break
		}
		if w := e.Signal.Weight(); w > 0 && trained[e.Item] >= 0 {
			s.items, s.weights = append(s.items, trained[e.Item]), append(s.weights, w)
		}
	}
	if len(s.items) == 0 {
		return false
	}
	slices.Reverse(s.items)
	slices.Reverse(s.weights)
	s.vector = r.model.folder.FoldIn(s.vector, s.items, s.weights)
	ml.ScoreAll(s.als, s.vector, r.factors, r.model.Params.ALS.Dim)
	return recipe.Scale(s.als, s.counts.Score)
}

// mix sets s.score to the blend with a share w of the factors.
func (s *scratch) mix(w float32) {
	s.score = recipe.Grow(s.score, len(s.counts.Score))
	for i, c := range s.counts.Score {
		if c == online.Excluded {
			s.score[i] = c
			continue
		}
		v := float32((1 - w) * c)
		if w > 0 {
			v += float32(w * s.als[i])
		}
		s.score[i] = v
	}
}

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	var w float32
	if r.components(m, q.User, q.NowMillis, q.Again, s) {
		w = r.model.ALSWeight
	}
	s.mix(w)
	var out recipe.Ranking
	tops := ml.TopKScores(s.score, q.K, nil)
	parts := make([]recipe.Part, 0, 2*len(tops))
	for _, top := range tops {
		if top.Score == online.Excluded {
			break
		}
		counts, factors := (1-w)*s.counts.Score[top.Index], float32(0)
		if w > 0 {
			factors = w * s.als[top.Index]
		}
		from := len(parts)
		if factors > 0 {
			parts = append(parts, recipe.Part{Source: sourceFactors, Score: factors})
			out.Strategy = strategyBlend
		}
		if counts > 0 {
			parts = append(parts, recipe.Part{Source: recipe.SourceOnline, Score: counts})
		}
		it := recipe.Item{Place: int(top.Index), Score: top.Score, Parts: parts[from:len(parts):len(parts)]}
		if q.Explain != recipe.Unexplained {
			it.Because = s.counts.Because(m, r.films.At(it.Place).ID, counts)
		}
		out.Items = append(out.Items, it)
	}
	if q.Explain == recipe.Fully && w > 0 {
		r.explain(out.Items, s, w)
	}
	return out
}

// Explain gives the reasons that Rank gives, for the films at places.
func (r *ranker) Explain(m *online.Model, q recipe.Query, places []int) [][]recipe.Reason {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	var w float32
	if r.components(m, q.User, q.NowMillis, q.Again, s) {
		w = r.model.ALSWeight
	}
	items := make([]recipe.Item, len(places))
	for i, p := range places {
		items[i] = recipe.Item{Place: p, Because: s.counts.Because(m, r.films.At(p).ID, (1-w)*s.counts.Score[p])}
	}
	if q.Explain == recipe.Fully && w > 0 {
		r.explain(items, s, w)
	}
	out := make([][]recipe.Reason, len(places))
	for i := range items {
		out[i] = items[i].Because
	}
	return out
}

// Score gives the blend, and the factors alone (counts, where they say nothing of the person).
func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	trained := r.components(m, user, nowMillis, false, s)
	share := func(w float32) float32 {
		if trained {
			return w
		}
		return 0
	}
	s.mix(share(r.model.ALSWeight))
	f("", s.score)
	s.mix(share(1))
	f(sourceFactors, s.score)
}

// explainHistory bounds how many films of a history the factors' part is explained by.
const explainHistory = 50

// explain adds what each film of the history gives to the factors' part of a score: what is missing when
// it is left out.
func (r *ranker) explain(films []recipe.Item, s *scratch, w float32) {
	dim := r.model.Params.ALS.Dim
	dot := func(v []float32, place int) float32 {
		var sum float32
		for c, x := range r.factors[place*dim : (place+1)*dim] {
			sum += float32(x * v[c])
		}
		return sum
	}
	var vector []float32
	for h := max(0, len(s.items)-explainHistory); h < len(s.items); h++ {
		vector = r.model.folder.FoldIn(vector, slices.Delete(slices.Clone(s.items), h, h+1), slices.Delete(slices.Clone(s.weights), h, h+1))
		for i := range films {
			it := &films[i]
			was, factors := dot(s.vector, it.Place), w*s.als[it.Place]
			if was <= 0 || factors <= 0 {
				continue
			}
			if part := (was - dot(vector, it.Place)) / was * factors; part > 0 {
				it.Because = append(it.Because, recipe.Reason{ID: r.model.Items[s.items[h]], Score: part, Source: sourceFactors})
			}
		}
	}
	for i := range films {
		recipe.Strongest(films[i].Because)
	}
}
