package recipe

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// Factors is a [Model] of a vector for each person and film, who likes what as their product says. Whom it has not learned
// the online model ranks for.
type Factors struct {
	*ml.Factors
	Kind         string // of the artifact
	Source       string // of the parts of a score
	FeaturesHash string
	Found        map[string]float64 // what training has found out
}

var _ Graph = (*Factors)(nil)

// factorsHeader is what the artifact says beside its tensors.
type factorsHeader struct {
	Dim   int                `json:"dim"`
	Found map[string]float64 `json:"found"`
}

// Encode writes the artifact: see [ml.Factors.Tensors].
func (m *Factors) Encode() ([]byte, error) {
	header, err := json.Marshal(factorsHeader{m.Dim, m.Found})
	if err != nil {
		return nil, err
	}
	a := ml.Artifact{Kind: m.Kind, Kernel: ml.Kernel(), FeatureHash: m.FeaturesHash, Params: header, Tensors: m.Tensors(),
		Strings: []ml.StringList{{Name: "users", Values: m.Users}, {Name: "items", Values: m.Items}}}
	return a.Encode()
}

// DecodeFactors reads what [Factors.Encode] wrote of a kind.
func DecodeFactors(b []byte, kind, source string) (*Factors, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	if a.Kind != kind {
		return nil, fmt.Errorf("the artifact holds a %q; want a %q", a.Kind, kind)
	}
	var header factorsHeader
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	f, err := ml.FactorsFromArtifact(a, header.Dim)
	if err != nil {
		return nil, err
	}
	return &Factors{Factors: f, Kind: kind, Source: source, FeaturesHash: a.FeatureHash, Found: header.Found}, nil
}

// Figures are what training has found out.
func (m *Factors) Figures() map[string]float64 { return maps.Clone(m.Found) }

// Ranker puts the films' vectors in their places.
func (m *Factors) Ranker(films *Films, _ Ranker) Ranker {
	r := &factored{model: m, films: films, factors: make([]float32, films.Len()*m.Dim), bias: make([]float32, films.Len())}
	r.scratch.New = func() any { return &factoredScratch{} }
	for p := range films.Len() {
		if row := m.ItemRow(films.At(p).ID); row >= 0 {
			copy(r.factors[p*m.Dim:(p+1)*m.Dim], m.Item[row*m.Dim:])
			r.bias[p] = m.ItemBias[row]
		}
	}
	return r
}

type factored struct {
	model   *Factors
	films   *Films
	factors []float32 // by place
	bias    []float32 // by place
	scratch sync.Pool
}

type factoredScratch struct {
	counts Counts
	score  []float32
}

func (r *factored) Films() *Films { return r.films }

// Vectors are those that films are ranked by.
func (r *factored) Vectors(places []int32) []float32 {
	return Gather(r.factors, r.model.Dim, places)
}

// compute gives the scores by place. A rating that is predicted is ranked as it is, not cut to the scale: films at its end
// would be equal. Other scores are scaled so that the best film that may be shown has 1.
func (r *factored) compute(m *online.Model, user string, nowMillis int64, again bool, s *factoredScratch) (score []float32, trained bool) {
	f, predicts := r.model, r.model.High > 0
	row := f.UserRow(user)
	if row < 0 && !predicts {
		s.counts.Compute(m, r.films, user, nowMillis, again)
		return s.counts.Score, false
	}
	s.score = Grow(s.score, r.films.Len())
	clear(s.score)
	base := f.Mean
	if row >= 0 {
		ml.ScoreAll(s.score, f.User[row*f.Dim:(row+1)*f.Dim], r.factors, f.Dim)
		base += f.UserBias[row]
	}
	for p, b := range r.bias {
		s.score[p] += base + b
	}
	if !again {
		Exclude(s.score, m, r.films, user, nowMillis)
	}
	if !predicts && !Scale(s.score, s.score) {
		s.counts.Compute(m, r.films, user, nowMillis, again)
		return s.counts.Score, false
	}
	return s.score, true
}

func (r *factored) Rank(m *online.Model, q Query) Ranking {
	s := r.scratch.Get().(*factoredScratch)
	defer r.scratch.Put(s)
	score, trained := r.compute(m, q.User, q.NowMillis, q.Again, s)
	return ranked(score, q, r.model.Source, trained, func(places []int) [][]Reason {
		if trained {
			return make([][]Reason, len(places))
		}
		return s.counts.becauseAt(m, r.films, places, score, q.Explain)
	})
}

func (r *factored) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.scratch.Get().(*factoredScratch)
	defer r.scratch.Put(s)
	score, _ := r.compute(m, user, nowMillis, false, s)
	f("", score)
}

// Ratings is [Factors] whose products are ratings.
type Ratings struct{ *Factors }

var _ Predictor = Ratings{}

// Predict is the mean, what is learned of the person and of the film, and the product of their vectors, cut to the scale.
func (m Ratings) Predict(user string, films []string) Prediction {
	row := m.UserRow(user)
	p := Prediction{Ratings: make([]float32, len(films)), KnowsUser: row >= 0, Knows: make([]bool, len(films))}
	for i, id := range films {
		item := m.ItemRow(id)
		p.Ratings[i], p.Knows[i] = m.Cut(m.Of(row, item)), item >= 0
	}
	return p
}

// Near gives the films whose vectors point most nearly where one's does.
func (m *Factors) Near(film string, k int) []Near {
	item := m.ItemRow(film)
	if item < 0 {
		return nil
	}
	var near []Near
	for _, top := range m.Factors.Near(item, k) {
		near = append(near, Near{m.Items[top.Index], top.Score})
	}
	return near
}

// Stepwise is a training that goes on step by step.
type Stepwise interface {
	Step(ctx context.Context) (loss float64, err error)
	Done() int
	Checkpoint() ([]byte, error)
	Restore(checkpoint []byte) error
}

// Steps takes the steps that are left of so many, and has the hooks follow them.
func Steps(ctx context.Context, t Stepwise, of int, h Hooks) error {
	if h.Resume != nil {
		if err := t.Restore(h.Resume); err != nil {
			return err
		}
	}
	if t.Done() > of {
		return fmt.Errorf("the checkpoint claims %d of %d steps: start anew", t.Done(), of)
	}
	for t.Done() < of {
		loss, err := t.Step(ctx)
		if err != nil {
			return err
		}
		if h.Progress != nil {
			h.Progress(StageFit, t.Done(), of, loss)
		}
		if h.Save != nil {
			if err := h.Save(t.Checkpoint); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// TellRatings tells the hooks what ratings factors of a length are trained on.
func TellRatings(set ml.RatingSet, dim int, h Hooks) {
	if h.Sizes != nil {
		rows := len(set.Users) + len(set.Items)
		h.Sizes([]Size{{Name: "people", N: len(set.Users)}, {Name: "films", N: len(set.Items)}, {Name: "training ratings", N: len(set.Ratings)},
			{Name: "parameters", N: 1 + rows*(1+dim)}})
	}
}

// RatingModel is a model of ratings with what is to be known of its training: how many numbers it has, and its error, in
// stars, on what it was trained on.
func RatingModel(f *ml.Factors, set ml.RatingSet, kind, source string, in Input) Ratings {
	var squares float64
	for _, r := range set.Ratings {
		e := float64(f.Cut(f.Of(int(r.User), int(r.Item)))) - float64(r.Stars)
		squares += float64(e * e)
	}
	found := map[string]float64{"parameters": float64(f.Parameters())}
	if n := len(set.Ratings); n > 0 {
		found["train_rmse"] = math.Sqrt(squares / float64(n))
	}
	return Ratings{&Factors{Factors: f, Kind: kind, Source: source, FeaturesHash: in.FeaturesHash, Found: found}}
}
