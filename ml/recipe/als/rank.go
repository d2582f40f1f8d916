package als

import (
	"math"
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
	r.scratch.New = func() any { return &scratch{of: r} }
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

// Vectors are the factors that films are ranked by.
func (r *ranker) Vectors(places []int32) []float32 {
	return recipe.Gather(r.factors, r.model.Params.ALS.Dim, places)
}

// scratch is an answer too.
type scratch struct {
	of         *ranker
	m          *online.Model // that is asked, of an answer
	counts     recipe.Counts
	als, score []float32 // by place
	items      []int32
	weights    []float32
	vector     []float32
}

// weightMin is the least that a film of a history weighs; older ones are left out.
const weightMin = 1e-4

// components fills s.counts and s.als, each scaled so that its best unseen film has 1. It reports whether
// the trained factors say anything. With again it is of all films, met or not.
func (r *ranker) components(m *online.Model, user string, nowMillis int64, again bool, s *scratch) bool {
	if r.known(m, user, nowMillis, again, s) {
		return true
	}
	if r.alone() {
		r.count(m, user, nowMillis, again, s)
	}
	return false
}

// alone says that counts are wanted only where the factors say nothing.
func (r *ranker) alone() bool { return r.model.Blend.ALSWeight == 1 }

// known is components of whom the trained factors say anything; where they say nothing and are not alone, it fills s.counts.
func (r *ranker) known(m *online.Model, user string, nowMillis int64, again bool, s *scratch) bool {
	if r.alone() {
		s.counts.Score = recipe.Grow(s.counts.Score, r.films.Len())
		clear(s.counts.Score)
		if !again {
			recipe.Exclude(s.counts.Score, m, r.films, user, nowMillis)
		}
	} else {
		r.count(m, user, nowMillis, again, s)
	}
	return r.fold(m, user, r.model.Blend.HistoryDecay, s)
}

func (r *ranker) count(m *online.Model, user string, nowMillis int64, again bool, s *scratch) {
	s.counts.Mix = r.model.Blend.Counts
	s.counts.Compute(m, r.films, user, nowMillis, again)
}

// fold fills s.als by a history of which each film weighs decay times what the one after it does.
func (r *ranker) fold(m *online.Model, user string, decay float32, s *scratch) bool {
	s.als = recipe.Grow(s.als, r.films.Len())
	if !r.vector(m, user, decay, s) {
		return false
	}
	ml.ScoreAll(s.als, s.vector, r.factors, r.model.Params.ALS.Dim)
	return recipe.Scale(s.als, s.counts.Score)
}

// vector sets s.vector to the person's.
func (r *ranker) vector(m *online.Model, user string, decay float32, s *scratch) bool {
	s.items, s.weights = s.items[:0], s.weights[:0]
	trained := r.model.rows.Of(m, r.model.Items)
	weight := float32(1)
	for e := range m.UserEntries(user) {
		if len(s.items) >= r.model.Params.ALS.HistoryMax {
			break
		}
		if w := e.Signal.Weight(); w > 0 && trained[e.Item] >= 0 {
			s.items, s.weights = append(s.items, trained[e.Item]), append(s.weights, float32(w*weight))
			if weight *= decay; weight < weightMin {
				break
			}
		}
	}
	if len(s.items) == 0 {
		return false
	}
	slices.Reverse(s.items)
	slices.Reverse(s.weights)
	s.vector = r.model.folder.FoldIn(s.vector, s.items, s.weights)
	return true
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
	defer s.Release()
	var w float32
	if r.components(m, q.User, q.NowMillis, q.Again, s) {
		w = r.model.Blend.ALSWeight
	}
	return r.ranked(m, &q, w, s)
}

// RankEach scores the factors of a film for everybody while they are at hand.
func (r *ranker) RankEach(m *online.Model, qs []recipe.Query) []recipe.Ranking {
	if r.alone() {
		out := make([]recipe.Ranking, len(qs))
		for i, q := range qs {
			out[i] = r.Rank(m, q)
		}
		return out
	}
	all := make([]*scratch, len(qs))
	var dst, vectors [][]float32
	for i, q := range qs {
		s := r.scratch.Get().(*scratch)
		defer s.Release()
		all[i] = s
		r.count(m, q.User, q.NowMillis, q.Again, s)
		s.als = recipe.Grow(s.als, r.films.Len())
		if r.vector(m, q.User, r.model.Blend.HistoryDecay, s) {
			dst, vectors = append(dst, s.als), append(vectors, s.vector)
		}
	}
	ml.ScoreEach(dst, vectors, r.factors, r.model.Params.ALS.Dim)
	out := make([]recipe.Ranking, len(qs))
	for i, s := range all {
		var w float32
		if len(s.items) > 0 && recipe.Scale(s.als, s.counts.Score) {
			w = r.model.Blend.ALSWeight
		}
		out[i] = r.ranked(m, &qs[i], w, s)
	}
	return out
}

// ranked is the list by the blend with a share w of the factors.
func (r *ranker) ranked(m *online.Model, q *recipe.Query, w float32, s *scratch) recipe.Ranking {
	s.mix(w)
	var out recipe.Ranking
	tops := q.Best(s.score)
	parts := make([]recipe.Part, 0, 2*len(tops))
	ids, shares := make([]string, len(tops)), make([]float32, len(tops)) // of counts
	out.Items = make([]recipe.Item, len(tops))
	for i, top := range tops {
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
		out.Items[i] = recipe.Item{Place: int(top.Index), Score: top.Score, Parts: parts[from:len(parts):len(parts)]}
		ids[i], shares[i] = r.films.At(int(top.Index)).ID, counts
	}
	if q.Explain != recipe.Unexplained && w < 1 {
		for i, because := range s.counts.Because(m, ids, shares, q.Explain) {
			out.Items[i].Because = because
		}
	}
	if q.Explain == recipe.Fully && w > 0 {
		r.explain(out.Items, s, w)
	}
	return out
}

// Ask is answered where the person likes a film that was learned.
func (r *ranker) Ask(m *online.Model, user string, nowMillis int64, again bool) (recipe.Answer, bool) {
	s := r.scratch.Get().(*scratch)
	if !r.known(m, user, nowMillis, again, s) {
		s.Release()
		return nil, false
	}
	s.m = m
	s.mix(r.model.Blend.ALSWeight)
	return s, true
}

func (s *scratch) Score() []float32 { return s.score }

func (s *scratch) Because(places []int, depth recipe.Depth) [][]recipe.Reason {
	r, w, out := s.of, s.of.model.Blend.ALSWeight, make([][]recipe.Reason, len(places))
	if w < 1 {
		ids, shares := make([]string, len(places)), make([]float32, len(places))
		for i, p := range places {
			ids[i], shares[i] = r.films.At(p).ID, (1-w)*s.counts.Score[p]
		}
		out = s.counts.Because(s.m, ids, shares, depth)
	}
	if depth != recipe.Fully || w == 0 {
		return out
	}
	items := make([]recipe.Item, len(places))
	for i, p := range places {
		items[i] = recipe.Item{Place: p, Because: out[i]}
	}
	r.explain(items, s, w)
	for i := range items {
		out[i] = items[i].Because
	}
	return out
}

func (s *scratch) Release() {
	s.m = nil
	s.of.scratch.Put(s)
}

// Score gives the blend, and the factors alone, which give every film 0 where they say nothing of the person.
func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.scratch.Get().(*scratch)
	defer s.Release()
	if r.components(m, user, nowMillis, false, s) {
		s.mix(r.model.Blend.ALSWeight)
		f("", s.score)
		s.mix(1)
	} else {
		s.mix(0)
		f("", s.score)
		recipe.Silence(s.score)
	}
	f(sourceFactors, s.score)
}

// explain adds what each film of the history gives to the factors' part of a score. The person's vector is a sum over them
// with a matrix that stands, so the parts add up to it; the strongest takes what is rounded.
func (r *ranker) explain(films []recipe.Item, s *scratch, w float32) {
	dim := r.model.Params.ALS.Dim
	rows := make([]float32, 0, len(films)*dim)
	for i := range films {
		rows = append(rows, r.factors[films[i].Place*dim:(films[i].Place+1)*dim]...)
	}
	shares := r.model.folder.Shares(s.items, s.weights, rows)
	scale := float64(w) * r.scale(s)
	for i := range films {
		it := &films[i]
		from, rest, strongest := len(it.Because), float64(w*s.als[it.Place]), -1
		at := map[int32]int{} // of a film that was met more than once, its reason
		for h, share := range shares[i] {
			item := s.items[h]
			if _, ok := at[item]; !ok {
				at[item] = len(it.Because)
				it.Because = append(it.Because, recipe.Reason{ID: r.model.Items[item], Source: sourceFactors})
			}
			it.Because[at[item]].Score += float32(share * scale)
		}
		kept := it.Because[:from]
		for _, why := range it.Because[from:] {
			if why.Score == 0 {
				continue
			}
			rest -= float64(why.Score)
			kept = append(kept, why)
			if strongest < 0 || math.Abs(float64(why.Score)) > math.Abs(float64(kept[strongest].Score)) {
				strongest = len(kept) - 1
			}
		}
		if strongest >= 0 {
			kept[strongest].Score += float32(rest)
		}
		it.Because = kept
		recipe.Strongest(it.Because)
	}
}

// scale is what products with the person's vector were multiplied by to be s.als.
func (r *ranker) scale(s *scratch) float64 {
	best := 0 // by which it is known best
	for p, v := range s.als {
		if math.Abs(float64(v)) > math.Abs(float64(s.als[best])) {
			best = p
		}
	}
	dim := r.model.Params.ALS.Dim
	var product float64
	for c, x := range r.factors[best*dim : (best+1)*dim] {
		product += float64(float64(x) * float64(s.vector[c]))
	}
	return float64(s.als[best]) / product
}
