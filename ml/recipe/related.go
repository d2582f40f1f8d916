package recipe

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/vector"
)

// Related is a [Model] of how much having met one film speaks for another. A person's score of a film is the sum of what
// the films that they liked say of it, the newest of these counting most.
type Related struct {
	Kind         string // of the artifact
	Source       string // of the parts of a score
	FeaturesHash string
	Items        []string // sorted
	Weights      *ml.ItemWeights
	History      History
	Found        map[string]float64 // what training has found out

	rows Rows
}

// History says how the films that a person liked are weighed.
type History struct {
	Decay float64 `json:"history_decay"` // of a film beside the one liked after it, above 0, at most 1
	Max   int     `json:"history_max"`   // films, the newest
}

// HistoryParams declare a History for the recipe of that name.
func HistoryParams(name string, h History) []Param {
	return []Param{
		AboveParam(name+".history_decay", h.Decay, 0, 1, "what a film weighs beside the one liked after it when a person is ranked for"),
		IntegerParam(name+".history_max", h.Max, 1, historyMax, "newest films of a person that they are ranked for by"),
	}
}

const historyMax = 10_000

// HistoryOf are the values of what HistoryParams declares.
func HistoryOf(name string, p Params) History {
	return History{p.Number(name + ".history_decay"), p.Int(name + ".history_max")}
}

// relatedHeader is what the artifact says beside its tensors.
type relatedHeader struct {
	History
	Found map[string]float64 `json:"found"`
}

// Encode writes the artifact: the weights over the list "items".
func (m *Related) Encode() ([]byte, error) {
	header, err := json.Marshal(relatedHeader{m.History, m.Found})
	if err != nil {
		return nil, err
	}
	a := ml.Artifact{Kind: m.Kind, Kernel: ml.Kernel(), FeatureHash: m.FeaturesHash, Params: header, Tensors: m.Weights.Tensors(),
		Strings: []ml.StringList{{Name: "items", Values: m.Items}}}
	return a.Encode()
}

// DecodeRelated reads what [Related.Encode] wrote of a kind.
func DecodeRelated(b []byte, kind, source string) (*Related, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	if a.Kind != kind {
		return nil, fmt.Errorf("the artifact holds a %q; want a %q", a.Kind, kind)
	}
	var header relatedHeader
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	h := header.History
	if !(h.Decay > 0 && h.Decay <= 1) || h.Max < 1 || h.Max > historyMax {
		return nil, fmt.Errorf("the artifact weighs histories by %+v", h)
	}
	m := &Related{Kind: kind, Source: source, FeaturesHash: a.FeatureHash, History: h, Found: header.Found}
	if m.Items, err = a.List("items"); err != nil {
		return nil, err
	}
	if !ascending(m.Items) {
		return nil, errors.New("the artifact's items are not in order, each once")
	}
	if m.Weights, err = ml.ItemWeightsFromArtifact(a, len(m.Items)); err != nil {
		return nil, err
	}
	return m, nil
}

func ascending(list []string) bool {
	for i := 1; i < len(list); i++ {
		if list[i-1] >= list[i] {
			return false
		}
	}
	return true
}

// Figures are what training has found out.
func (m *Related) Figures() map[string]float64 { return maps.Clone(m.Found) }

// Near gives the films for which having met one speaks most.
func (m *Related) Near(film string, k int) []Near {
	row, ok := slices.BinarySearch(m.Items, film)
	if !ok {
		return nil
	}
	items, weights := m.Weights.Row(int32(row))
	var near []Near
	for i, item := range items {
		if weights[i] > 0 && int(item) != row {
			near = append(near, Near{m.Items[item], weights[i]})
		}
	}
	slices.SortStableFunc(near, func(a, b Near) int { return cmp.Compare(b.Score, a.Score) })
	return near[:min(k, len(near))]
}

// Ranker finds the place of each item.
func (m *Related) Ranker(films *Films, _ Ranker) Ranker {
	r := &related{model: m, films: films, place: make([]int32, len(m.Items)), item: make([]int32, films.Len())}
	r.scratch.New = func() any { return &relatedScratch{of: r, met: ml.NewBitset(len(m.Items))} }
	for i := range r.item {
		r.item[i] = -1
	}
	at := 0 // in films: both are in order
	for i, id := range m.Items {
		for at < films.Len() && films.At(at).ID < id {
			at++
		}
		r.place[i] = -1
		if at < films.Len() && films.At(at).ID == id {
			r.place[i], r.item[at] = int32(at), int32(i)
		}
	}
	return r
}

type related struct {
	model   *Related
	films   *Films
	place   []int32   // by item of the model, -1 where it is none of the films
	item    []int32   // by place, -1 where the model has not learned it
	scratch sync.Pool // of *relatedScratch
}

// relatedScratch is an answer too: of what the weights say.
type relatedScratch struct {
	of      *related
	counts  Counts    // where they say nothing
	score   []float32 // by place
	met     ml.Bitset
	items   []int32   // of the history, the newest first
	weights []float32 // of them
	scale   float32   // that score was multiplied by
}

func (r *related) Films() *Films { return r.films }

// history fills s.items and s.weights.
func (r *related) history(m *online.Model, user string, s *relatedScratch) {
	s.items, s.weights = s.items[:0], s.weights[:0]
	rows := r.model.rows.Of(m, r.model.Items)
	weight := 1.0
	for e := range m.UserEntries(user) {
		if len(s.items) == r.model.History.Max {
			break
		}
		row := rows[e.Item]
		if row < 0 || e.Signal.Weight() <= 0 || s.met.Has(row) {
			continue
		}
		s.met.Add(row)
		s.items, s.weights = append(s.items, row), append(s.weights, float32(weight))
		weight = float64(weight * r.model.History.Decay)
	}
	for _, row := range s.items {
		s.met.Remove(row)
	}
}

// weigh fills s.score by place, the best film that may be shown having 1. It reports whether the weights say anything of the
// person.
func (r *related) weigh(m *online.Model, user string, nowMillis int64, again bool, s *relatedScratch) bool {
	r.history(m, user, s)
	if len(s.items) == 0 {
		return false
	}
	s.score = Grow(s.score, r.films.Len())
	clear(s.score)
	for h, row := range s.items {
		x := s.weights[h]
		items, weights := r.model.Weights.Row(row)
		for k, j := range items {
			if p := r.place[j]; p >= 0 {
				s.score[p] += float32(x * weights[k])
			}
		}
	}
	if !again {
		Exclude(s.score, m, r.films, user, nowMillis)
	}
	if s.scale = ScaleOf(s.score, s.score); s.scale == 0 {
		return false
	}
	vector.Scale(s.score, s.scale)
	return true
}

// compute gives the scores of the weights, or, where these have nothing to say of the person, of the online model.
func (r *related) compute(m *online.Model, user string, nowMillis int64, again bool, s *relatedScratch) (score []float32, trained bool) {
	if r.weigh(m, user, nowMillis, again, s) {
		return s.score, true
	}
	s.counts.Compute(m, r.films, user, nowMillis, again)
	return s.counts.Score, false
}

func (r *related) Rank(m *online.Model, q Query) Ranking {
	s := r.scratch.Get().(*relatedScratch)
	defer s.Release()
	score, trained := r.compute(m, q.User, q.NowMillis, q.Again, s)
	return ranked(score, q, r.model.Source, trained, func(places []int) [][]Reason {
		if trained {
			return s.Because(places, q.Explain)
		}
		return s.counts.becauseAt(m, r.films, places, score, q.Explain)
	})
}

// Ask is answered where the person likes a film that was learned.
func (r *related) Ask(m *online.Model, user string, nowMillis int64, again bool) (Answer, bool) {
	s := r.scratch.Get().(*relatedScratch)
	if !r.weigh(m, user, nowMillis, again, s) {
		s.Release()
		return nil, false
	}
	return s, true
}

func (s *relatedScratch) Score() []float32 { return s.score }

// Because gives what each film of the history says of those at places.
func (s *relatedScratch) Because(places []int, _ Depth) [][]Reason {
	out := make([][]Reason, len(places))
	for i, p := range places {
		out[i] = s.of.because(p, s)
	}
	return out
}

func (s *relatedScratch) Release() { s.of.scratch.Put(s) }

// because is what each film of the history says of the one at a place, for it and against it: up to rounding it adds up to
// the score.
func (r *related) because(place int, s *relatedScratch) (reasons []Reason) {
	item := r.item[place]
	if item < 0 {
		return nil
	}
	for h, row := range s.items {
		items, weights := r.model.Weights.Row(row)
		if k, ok := slices.BinarySearch(items, item); ok && weights[k] != 0 {
			reasons = append(reasons, Reason{r.model.Items[row], float32(float32(s.weights[h]*weights[k]) * s.scale), r.model.Source})
		}
	}
	Strongest(reasons)
	return reasons
}

func (r *related) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.scratch.Get().(*relatedScratch)
	defer s.Release()
	score, _ := r.compute(m, user, nowMillis, false, s)
	f("", score)
}

// ScaleOf is what scores are multiplied by so that the greatest of those that excluded does not have as
// [online.Excluded] becomes 1; 0 where that is not above 0.
func ScaleOf(v, excluded []float32) float32 { return ScaleBy(vector.Greatest(v, excluded)) }

// ScaleBy is what a score is multiplied by to be 1; 0 where it is not above 0.
func ScaleBy(top float32) float32 {
	if inv := 1 / top; top > 0 && inv <= math.MaxFloat32 {
		return inv
	}
	return 0
}
