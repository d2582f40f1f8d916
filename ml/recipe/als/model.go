// Package als is the recipe "als": item factors trained in batch (iALS), blended with the online model's
// counts, which learn from every click, and with content for films nobody has met.
package als

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Params are the parameters of training. Everything that decides the bytes of a model is in them.
type Params struct {
	ALS ml.ALSParams `json:"als"`
	// ContentTrust is how many positives an item needs for its learned factor to count as much as the
	// one its content suggests.
	ContentTrust float64 `json:"content_trust"`
	// ContentLambda is the ridge penalty of predicting factors from content.
	ContentLambda float64 `json:"content_lambda"`
	// HoldoutShare is the last part in time of the data on which the blend is chosen (and, in an
	// evaluation, the part after it on which it is judged).
	HoldoutShare float64 `json:"holdout_share"`
	// HoldoutEvents bounds how many events of a holdout are scored; they are taken evenly over time.
	HoldoutEvents int `json:"holdout_events"`
}

// DefaultParams are the parameters used unless told otherwise.
func DefaultParams() Params {
	return Params{ALS: ml.DefaultALSParams(), ContentTrust: 2, ContentLambda: 10, HoldoutShare: .1, HoldoutEvents: 1000}
}

// Validate reports the first parameter out of range.
func (p Params) Validate() error {
	if err := p.ALS.Validate(); err != nil {
		return err
	}
	switch {
	case !(p.ContentTrust >= 0) || math.IsInf(p.ContentTrust, 0):
		return fmt.Errorf("content_trust is %v: want a number from 0", p.ContentTrust)
	case !(p.ContentLambda > 0) || math.IsInf(p.ContentLambda, 0):
		return fmt.Errorf("content_lambda is %v: want a number above 0", p.ContentLambda)
	case !(p.HoldoutShare > 0 && p.HoldoutShare <= .4):
		return fmt.Errorf("holdout_share is %v: want above 0, at most 0.4", p.HoldoutShare)
	case p.HoldoutEvents < 1:
		return fmt.Errorf("holdout_events is %d: want at least 1", p.HoldoutEvents)
	}
	return nil
}

// Model is a trained version. Its bytes ([Model.Encode]) are what a registry names by their hash.
type Model struct {
	Params       Params
	Blend        Blend
	FeaturesHash string
	Items        []string  // sorted
	Factors      []float32 // learned, len(Items)×Dim row-major
	Support      []float32 // positives each factor was learned from
	Genres       []string  // vocabulary of the content features
	Ridge        *ml.ContentRidge

	folder *ml.Folder
	rows   recipe.Rows
}

// Blend is how a score is made; training chooses it.
type Blend struct {
	ALSWeight    float32    `json:"als_weight"`    // share of the factors for a person with history, 0..1
	HistoryDecay float32    `json:"history_decay"` // what a film weighs in a person's vector beside the one after it, above 0 to 1
	Counts       online.Mix `json:"counts"`        // of the rest
}

// Figures are what training chose.
func (m *Model) Figures() map[string]float64 {
	b := &m.Blend
	f := map[string]float64{"als_weight": float64(b.ALSWeight), "history_decay": float64(b.HistoryDecay)}
	for i, w := range b.Counts.Weights() {
		f["online_weight."+online.MixSources[i]] = float64(w)
	}
	f["online_forget"] = float64(b.Counts.Speed())
	return f
}

// Uncounted is the model whose factors alone rank for whom they say something of.
func (m *Model) Uncounted() recipe.Model {
	return &Model{Params: m.Params, Blend: Blend{1, m.Blend.HistoryDecay, online.Mix{Blend: 1}}, FeaturesHash: m.FeaturesHash, Items: m.Items, Factors: m.Factors,
		Support: m.Support, Genres: m.Genres, Ridge: m.Ridge, folder: m.folder}
}

const artifactKind = "hybrid-ials"

// Encode writes the model; the same model always gives the same bytes.
func (m *Model) Encode() ([]byte, error) {
	params, err := json.Marshal(m.Params)
	if err != nil {
		return nil, err
	}
	dim, counts := m.Params.ALS.Dim, m.Blend.Counts.Weights()
	mix := append(counts[:], m.Blend.Counts.Speed())
	a := ml.Artifact{
		Kind: artifactKind, Kernel: ml.Kernel(), FeatureHash: m.FeaturesHash, Params: params,
		Tensors: []ml.Tensor{
			{Name: "item_factors", Shape: []int{len(m.Items), dim}, Data: m.Factors},
			{Name: "item_support", Shape: []int{len(m.Items)}, Data: m.Support},
			{Name: "content_ridge", Shape: []int{m.Ridge.Features + 1, dim}, Data: m.Ridge.Weights},
			{Name: "als_weight", Shape: []int{1}, Data: []float32{m.Blend.ALSWeight}},
			{Name: "history_decay", Shape: []int{1}, Data: []float32{m.Blend.HistoryDecay}},
			{Name: "online_mix", Shape: []int{len(mix)}, Data: mix},
		},
		Strings: []ml.StringList{{Name: "items", Values: m.Items}, {Name: "genres", Values: m.Genres}},
	}
	return a.Encode()
}

// decode reads what Encode wrote; anything else is an error.
func decode(b []byte) (*Model, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	if a.Kind != artifactKind {
		return nil, fmt.Errorf("the artifact holds a %q; want a %q", a.Kind, artifactKind)
	}
	m := &Model{FeaturesHash: a.FeatureHash}
	if err := json.Unmarshal(a.Params, &m.Params); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	if err := m.Params.Validate(); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	if m.Items, err = a.List("items"); err != nil {
		return nil, err
	}
	if m.Genres, err = a.List("genres"); err != nil {
		return nil, err
	}
	if !slices.IsSorted(m.Items) || !slices.IsSorted(m.Genres) {
		return nil, fmt.Errorf("the artifact's items or genres are not in order")
	}
	dim, features := m.Params.ALS.Dim, contentFeatures(len(m.Genres))
	if m.Factors, err = a.Tensor("item_factors", len(m.Items), dim); err != nil {
		return nil, err
	}
	if m.Support, err = a.Tensor("item_support", len(m.Items)); err != nil {
		return nil, err
	}
	ridge, err := a.Tensor("content_ridge", features+1, dim)
	if err != nil {
		return nil, err
	}
	weight, err := a.Tensor("als_weight", 1)
	if err != nil {
		return nil, err
	}
	if m.Blend, err = blendOf(a, weight[0]); err != nil {
		return nil, err
	}
	m.Ridge = &ml.ContentRidge{Features: features, Dim: dim, Weights: ridge}
	return m, m.ready()
}

// blendOf is how scores are made; before generation 3 nothing but the share of the factors was chosen, and before 4 not how fast
// popularity is forgotten.
func blendOf(a *ml.Artifact, share float32) (b Blend, err error) {
	b = Blend{share, 1, online.Mix{Blend: 1}}
	has := func(name string) bool {
		return slices.ContainsFunc(a.Tensors, func(t ml.Tensor) bool { return t.Name == name })
	}
	if has("online_mix") || has("online_weights") || has("history_decay") {
		decay, err := a.Tensor("history_decay", 1)
		if err != nil {
			return b, err
		}
		const sources = len(online.MixSources)
		name, n := "online_weights", sources
		if has("online_mix") {
			name, n = "online_mix", sources+1
		}
		mix, err := a.Tensor(name, n)
		if err != nil {
			return b, err
		}
		b.HistoryDecay, b.Counts = decay[0], online.MixOf([sources]float32(mix))
		if n > sources {
			if b.Counts.Forget = mix[sources]; !(b.Counts.Forget > 0) {
				return b, fmt.Errorf("the artifact forgets popularity %v times as fast as usual; want a number above 0", b.Counts.Forget)
			}
		}
	}
	var sum float32
	for _, w := range b.Counts.Weights() {
		if w < 0 {
			return b, fmt.Errorf("the artifact weighs counts by %+v", b.Counts)
		}
		sum += w
	}
	if !(b.ALSWeight >= 0 && b.ALSWeight <= 1) || !(b.HistoryDecay > 0 && b.HistoryDecay <= 1) || sum == 0 {
		return b, fmt.Errorf("the artifact makes scores by %+v", b)
	}
	return b, nil
}

func (m *Model) ready() (err error) {
	m.folder, err = ml.NewFolder(m.Factors, m.Params.ALS)
	return err
}

// Content features: one per genre of the vocabulary (1 over the square root of the film's number of
// genres, so that films weigh alike) and one per decade from firstDecade on.
const (
	firstDecade = 1910
	decades     = 13 // 1910s and before … 2030s and after
)

func contentFeatures(genres int) int { return genres + decades }

func (m *Model) contentVector(dst []float32, c recipe.Content) []float32 {
	dst = append(dst[:0], make([]float32, contentFeatures(len(m.Genres)))...)
	if len(c.Genres) > 0 {
		w := float32(1 / math.Sqrt(float64(len(c.Genres))))
		for _, g := range c.Genres {
			if i, ok := slices.BinarySearch(m.Genres, g); ok {
				dst[i] = w
			}
		}
	}
	if c.Year > 0 {
		d := min(max((c.Year-firstDecade)/10, 0), decades-1)
		dst[len(m.Genres)+d] = 1
	}
	return dst
}

// factor writes the factor an item is ranked by: learned, suggested by content, or between the two.
func (m *Model) factor(dst []float32, film *recipe.Film, scratch []float32) {
	dim := m.Params.ALS.Dim
	m.Ridge.Predict(dst, m.contentVector(scratch, film.Content))
	if i, ok := slices.BinarySearch(m.Items, film.ID); ok {
		ml.Blend(dst, m.Factors[i*dim:(i+1)*dim], dst, m.Support[i], float32(m.Params.ContentTrust))
	}
}

// Near gives the films whose factors point most nearly where one's does, of those that were learned.
func (m *Model) Near(film string, k int) []recipe.Near {
	f := ml.Factors{Items: m.Items, Item: m.Factors, Dim: m.Params.ALS.Dim}
	at, ok := slices.BinarySearch(m.Items, film)
	if !ok {
		return nil
	}
	var near []recipe.Near
	for _, top := range f.Near(at, k) {
		near = append(near, recipe.Near{ID: m.Items[top.Index], Score: top.Score})
	}
	return near
}

func vocabulary(items []string, content func(string) recipe.Content) []string {
	seen := map[string]bool{}
	for _, id := range items {
		for _, g := range content(id).Genres {
			seen[g] = true
		}
	}
	genres := make([]string, 0, len(seen))
	for g := range seen {
		genres = append(genres, g)
	}
	sort.Strings(genres)
	return genres
}
