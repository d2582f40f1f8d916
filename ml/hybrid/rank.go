package hybrid

import (
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// Ranker ranks a fixed set of films for anyone, with a trained model (or none) and the state of the
// online model at the moment of asking. It is safe for concurrent use, as long as the online model is
// not changed during a call.
type Ranker struct {
	model   *Model
	ids     []string // the films that may be recommended, sorted; ties rank by their order
	factors []float32
	index   map[string]int32

	mu       sync.Mutex
	known    *online.Model // the online model that place and trained map
	place    []int32       // online index -> index in ids, or -1
	trained  []int32       // online index -> row of the model, or -1
	scratchs sync.Pool
}

// NewRanker prepares ranking the films with the given ids, each with its content. model may be nil: then
// only the online model ranks.
func NewRanker(model *Model, ids []string, content func(id string) Content) *Ranker {
	r := &Ranker{model: model, ids: slices.Clone(ids), index: make(map[string]int32, len(ids))}
	slices.Sort(r.ids)
	r.ids = slices.Compact(r.ids)
	for i, id := range r.ids {
		r.index[id] = int32(i)
	}
	if model != nil {
		dim := model.Params.ALS.Dim
		r.factors = make([]float32, len(r.ids)*dim)
		scratch := make([]float32, contentFeatures(len(model.Genres)))
		for i, id := range r.ids {
			model.factor(r.factors[i*dim:(i+1)*dim], id, content(id), scratch)
		}
	}
	r.scratchs.New = func() any { return &scratch{} }
	return r
}

// Len is the number of films.
func (r *Ranker) Len() int { return len(r.ids) }

type scratch struct {
	online      online.Scratch
	byOnline    []float32 // blend score by online index
	counts, als []float32 // by film
	score       []float32
	items       []int32
	weights     []float32
	vector      []float32
}

// maps brings the index maps up to the online model's present universe.
func (r *Ranker) maps(m *online.Model) (place, trained []int32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known != m {
		r.known, r.place, r.trained = m, nil, nil
	}
	for i := len(r.place); i < m.ItemCount(); i++ {
		id := m.ItemID(i)
		at, ok := r.index[id]
		if !ok {
			at = -1
		}
		row := int32(-1)
		if r.model != nil {
			if k, ok := slices.BinarySearch(r.model.Items, id); ok {
				row = int32(k)
			}
		}
		r.place, r.trained = append(r.place, at), append(r.trained, row)
	}
	return r.place, r.trained
}

// Item is one place of a ranking.
type Item struct {
	ID    string
	Score float32
	// Factors and Counts are the parts of Score from the trained factors and from the online model.
	Factors, Counts float32
}

// components fills s.als and s.counts, by film, each scaled so that its best unseen film has 1; seen
// films have online.Excluded in counts. It reports whether the trained factors say anything.
func (r *Ranker) components(m *online.Model, user string, nowMillis int64, s *scratch) (trainedSpeaks bool) {
	place, trained := r.maps(m)
	n := len(r.ids)
	s.counts, s.als = grow(s.counts, n), grow(s.als, n)
	clear(s.counts)
	s.byOnline = m.Score(s.byOnline, user, nowMillis, online.Blend, &s.online)
	for i, v := range s.byOnline {
		if p := place[i]; p >= 0 {
			s.counts[p] = v
		}
	}
	scale(s.counts, s.counts)
	if r.model == nil {
		return false
	}
	s.items, s.weights = s.items[:0], s.weights[:0]
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
	return scale(s.als, s.counts)
}

// scale divides by the greatest value among films not excluded; it reports whether that is above 0.
func scale(v, excluded []float32) bool {
	var top float32
	for i, x := range v {
		if x > top && excluded[i] != online.Excluded {
			top = x
		}
	}
	if top <= 0 {
		return false
	}
	inv := 1 / top
	for i := range v {
		v[i] *= inv
	}
	return true
}

// Rank gives the k best films that the person has not met, as of nowMillis (event time), best first.
func (r *Ranker) Rank(m *online.Model, user string, nowMillis int64, k int) []Item {
	s := r.scratchs.Get().(*scratch)
	defer r.scratchs.Put(s)
	var w float32
	if r.components(m, user, nowMillis, s) {
		w = r.model.ALSWeight
	}
	s.score = grow(s.score, len(r.ids))
	mix(s.score, s.als, s.counts, w)
	var items []Item
	for _, top := range ml.TopKScores(s.score, k, nil) {
		if top.Score == online.Excluded {
			break
		}
		i := top.Index
		it := Item{ID: r.ids[i], Score: top.Score, Counts: (1 - w) * s.counts[i]}
		if w > 0 {
			it.Factors = w * s.als[i]
		}
		items = append(items, it)
	}
	return items
}

func mix(dst, als, counts []float32, w float32) {
	for i, c := range counts {
		v := float32((1 - w) * c)
		if w > 0 {
			v += float32(w * als[i])
		}
		dst[i] = v
	}
}

// Reason says how much of a film's score came from one film of the person's history.
type Reason struct {
	ID     string // of the history
	Score  float32
	Source string // "als" or "co_counts"
}

// explainHistory bounds how many films of a history the factors' part is explained by.
const explainHistory = 50

// Explain gives for each of the films the reasons, strongest first: from co-counts exactly, and where
// factors is set from the trained factors, by leaving each film of the history out in turn.
func (r *Ranker) Explain(m *online.Model, user string, nowMillis int64, films []Item, factors bool) [][]Reason {
	out := make([][]Reason, len(films))
	s := r.scratchs.Get().(*scratch)
	defer r.scratchs.Put(s)
	ids := make([]string, len(films))
	for i, f := range films {
		ids[i] = f.ID
	}
	for i, parts := range m.Explain(user, nowMillis, &s.online, ids...) {
		var total float32
		for _, p := range parts {
			total += p.Score
		}
		for _, p := range parts {
			if p.ItemID != "" {
				out[i] = append(out[i], Reason{p.ItemID, p.Score / total * films[i].Counts, online.CoCounts.String()})
			}
		}
	}
	if factors && r.components(m, user, nowMillis, s) && r.model.ALSWeight > 0 {
		r.explainFactors(out, films, s)
	}
	for i := range out {
		slices.SortStableFunc(out[i], func(a, b Reason) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return 0
		})
	}
	return out
}

func (r *Ranker) explainFactors(out [][]Reason, films []Item, s *scratch) {
	dim := r.model.Params.ALS.Dim
	dot := func(v []float32, film int32) float32 {
		var sum float32
		for c, x := range r.factors[int(film)*dim : (int(film)+1)*dim] {
			sum += float32(x * v[c])
		}
		return sum
	}
	items, weights := slices.Clone(s.items), slices.Clone(s.weights)
	full := slices.Clone(s.vector)
	var vector []float32
	for h := max(0, len(items)-explainHistory); h < len(items); h++ {
		vector = r.model.folder.FoldIn(vector, slices.Delete(slices.Clone(items), h, h+1), slices.Delete(slices.Clone(weights), h, h+1))
		for i, f := range films {
			at, ok := r.index[f.ID]
			if !ok {
				continue
			}
			was := dot(full, at)
			if was <= 0 || f.Factors <= 0 {
				continue
			}
			if part := (was - dot(vector, at)) / was * f.Factors; part > 0 {
				out[i] = append(out[i], Reason{r.model.Items[items[h]], part, "als"})
			}
		}
	}
}

func grow(b []float32, n int) []float32 {
	if cap(b) < n {
		return make([]float32, n)
	}
	return b[:n]
}
