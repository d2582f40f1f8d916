package als

import (
	"math"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/vector"
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
	factors []float32  // by place
	coarse  *ml.Coarse // of them; nil where they have too many dimensions
	scratch sync.Pool  // of *scratch
}

// Ranker prepares the factor of each film: learned, suggested by content, or between the two.
func (m *Model) Ranker(films *recipe.Films, before recipe.Ranker) recipe.Ranker {
	dim := m.Params.ALS.Dim
	r := &ranker{model: m, films: films, factors: make([]float32, films.Len()*dim)}
	r.scratch.New = func() any { return &scratch{of: r} }
	if dim <= ml.CoarseDimMax {
		r.coarse = ml.NewCoarse(films.Len(), dim)
	}
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
			if r.coarse != nil {
				r.coarse.Copy(i, was.coarse, at)
			}
			continue
		}
		m.factor(factor, film, features)
		if r.coarse != nil {
			r.coarse.Set(i, factor)
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
	scale      float32   // of als: what products with vector are multiplied by
	items      []int32
	weights    []float32
	vector     []float32
	lo, hi     []float32 // between what a product, and then a score, is
	places     []int32   // that may be on a list …
	products   []float32 // … and theirs
}

// weightMin is the least that a film of a history weighs; older ones are left out.
const weightMin = 1e-4

// components fills s.counts and s.als, each scaled so that its best unseen film has 1. It reports whether
// the trained factors say anything. With again it is of all films, met or not.
func (r *ranker) components(m *online.Model, user string, nowMillis int64, again bool, s *scratch) bool {
	if r.known(m, user, nowMillis, again, s) && r.fold(s) {
		return true
	}
	if r.alone() {
		r.count(m, user, nowMillis, again, s)
	}
	return false
}

// alone says that counts are wanted only where the factors say nothing.
func (r *ranker) alone() bool { return r.model.Blend.ALSWeight == 1 }

// known fills s.vector, and s.counts, of which factors alone need no more than what is not to be shown. It reports whether there is
// a vector.
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
	return r.vector(m, user, r.model.Blend.HistoryDecay, s)
}

func (r *ranker) count(m *online.Model, user string, nowMillis int64, again bool, s *scratch) {
	s.counts.Mix = r.model.Blend.Counts
	s.counts.Compute(m, r.films, user, nowMillis, again)
}

// fold fills s.als by s.vector. It reports whether that says anything.
func (r *ranker) fold(s *scratch) bool {
	s.als = recipe.Grow(s.als, r.films.Len())
	ml.ScoreAll(s.als, s.vector, r.factors, r.model.Params.ALS.Dim)
	if s.scale = recipe.ScaleOf(s.als, s.counts.Score); s.scale == 0 {
		return false
	}
	vector.Scale(s.als, s.scale)
	return true
}

// best fills s.score, and s.als, for the films that may be on a list: it is made of the same as after fold and mix, w being
// above 0. Which may, follows from between what products are. It reports whether they say anything.
func (r *ranker) best(q *recipe.Query, w float32, s *scratch) bool {
	n := r.films.Len()
	s.lo, s.hi = recipe.Grow(s.lo, n), recipe.Grow(s.hi, n)
	if r.coarse == nil || !r.coarse.Bounds(s.lo, s.hi, s.vector) {
		if !r.fold(s) {
			return false
		}
		s.mix(w)
		return true
	}
	excluded := s.counts.Score
	r.multiply(below(vector.Greatest(s.lo, excluded)), s) // the greatest product is not below what another is at least
	var greatest float32
	for i, p := range s.places {
		if v := s.products[i]; v > greatest && excluded[p] != online.Excluded {
			greatest = v
		}
	}
	if s.scale = recipe.ScaleBy(greatest); s.scale == 0 {
		return false
	}
	// A score does not fall where its product rises, so bounds of products give bounds of scores.
	for _, bound := range [][]float32{s.lo, s.hi} {
		vector.Scale(bound, s.scale)
		vector.Mix(bound, s.counts.Score, 1-w, bound, w)
	}
	from := online.Excluded
	if sure := ml.TopKScores(s.lo, q.Most(), q.Skip); len(sure) > 0 && len(sure) == q.Most() {
		from = below(sure[len(sure)-1].Score)
	}
	r.multiply(from, s)
	s.als, s.score = recipe.Grow(s.als, n), recipe.Grow(s.score, n)
	for i := range s.score {
		s.score[i] = online.Excluded
	}
	for i, p := range s.places {
		s.als[p] = s.products[i] * s.scale
		s.score[p] = float32((1-w)*s.counts.Score[p]) + float32(w*s.als[p])
	}
	return true
}

// multiply sets s.places to those whose s.hi is above a value, and s.products to their products.
func (r *ranker) multiply(above float32, s *scratch) {
	s.places = s.places[:0]
	for i := vector.Above(s.hi, above); i < len(s.hi); i += 1 + vector.Above(s.hi[i+1:], above) {
		s.places = append(s.places, int32(i))
	}
	s.products = recipe.Grow(s.products, len(s.places))
	ml.ScoreSome(s.products, s.vector, r.factors, r.model.Params.ALS.Dim, s.places)
}

// below is the greatest number that is less than v.
func below(v float32) float32 { return math.Nextafter32(v, online.Excluded) }

// vector sets s.vector to the person's, by a history of which each film weighs decay times what the one after it does. It reports
// whether there is any.
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
	if w == 0 {
		copy(s.score, s.counts.Score)
		return
	}
	vector.Mix(s.score, s.counts.Score, 1-w, s.als, w)
}

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	s := r.scratch.Get().(*scratch)
	defer s.Release()
	w := r.model.Blend.ALSWeight
	if !r.known(m, q.User, q.NowMillis, q.Again, s) || w == 0 || !r.best(&q, w, s) {
		if r.alone() {
			r.count(m, q.User, q.NowMillis, q.Again, s)
		}
		w = 0
		s.mix(w)
	}
	return r.ranked(m, &q, w, s)
}

// ranked is the list by s.score, a blend with a share w of the factors.
func (r *ranker) ranked(m *online.Model, q *recipe.Query, w float32, s *scratch) recipe.Ranking {
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
		if factors != 0 {
			parts = append(parts, recipe.Part{Source: sourceFactors, Score: factors})
			out.Strategy = strategyBlend
		}
		if counts != 0 {
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
	if !r.known(m, user, nowMillis, again, s) || !r.fold(s) {
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
	scale := float64(w) * float64(s.scale)
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
