package blend

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// encode writes where a training stands: a line of JSON, the parts that are made, and the state of the one that is not.
func (t *training) encode() ([]byte, error) {
	all := append(slices.Clone(t.made), t.state)
	t.Lengths = nil
	for _, b := range all {
		t.Lengths = append(t.Lengths, len(b))
	}
	line, err := json.Marshal(t)
	return slices.Concat(line, []byte{'\n'}, bytes.Join(all, nil)), err
}

func decodeTraining(b []byte, parts int) (*training, error) {
	t := &training{}
	line, rest, ok := bytes.Cut(b, []byte{'\n'})
	if err := json.Unmarshal(line, t); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if !ok || len(t.Lengths) < 1 || len(t.Lengths) > parts+1 || t.Stage != stageTune && (t.Stage != recipe.StageFit || len(t.Weights) != parts+1) {
		return nil, errors.New("checkpoint: it is of another training, or ends early: start anew")
	}
	for i, n := range t.Lengths {
		if n < 0 || n > len(rest) {
			return nil, errors.New("checkpoint: it ends early: start anew")
		}
		if i < len(t.Lengths)-1 {
			t.made = append(t.made, rest[:n])
		} else if n > 0 {
			t.state = rest[:n]
		}
		rest = rest[n:]
	}
	return t, nil
}

// part is a trained part.
type part struct {
	recipe *recipe.Recipe
	model  recipe.Model
}

// model is a trained version.
type model struct {
	parts        []part
	weights      []float32  // of the online model, and then of the parts; they add up to 1
	counts       online.Mix // of the online model; the zero value, its own blend, in versions that were trained before it was chosen
	featuresHash string
}

const artifactKind = "blend"

// header is what the artifact says beside what its parts have, each under its name: "NAME/…".
type header struct {
	Weights []float32    `json:"weights"`
	Counts  online.Mix   `json:"counts,omitzero"`
	Parts   []partHeader `json:"parts"`
}

type partHeader struct {
	Name        string          `json:"name"`
	Kind        string          `json:"kind"`
	FeatureHash string          `json:"feature_hash"`
	Params      json.RawMessage `json:"params"`
}

func (m *model) Encode() ([]byte, error) {
	h := header{Weights: m.weights, Counts: m.counts}
	out := ml.Artifact{Kind: artifactKind, Kernel: ml.Kernel(), FeatureHash: m.featuresHash}
	for _, p := range m.parts {
		b, err := p.model.Encode()
		if err != nil {
			return nil, err
		}
		a, err := ml.DecodeArtifact(b)
		if err != nil {
			return nil, err
		}
		h.Parts = append(h.Parts, partHeader{p.recipe.Name, a.Kind, a.FeatureHash, a.Params})
		for _, t := range a.Tensors {
			t.Name = p.recipe.Name + "/" + t.Name
			out.Tensors = append(out.Tensors, t)
		}
		for _, l := range a.Strings {
			l.Name = p.recipe.Name + "/" + l.Name
			out.Strings = append(out.Strings, l)
		}
	}
	var err error
	if out.Params, err = json.Marshal(h); err != nil {
		return nil, err
	}
	return out.Encode()
}

// decode reads what Encode wrote; anything else is an error.
func decode(b []byte, recipes []*recipe.Recipe) (*model, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	if a.Kind != artifactKind {
		return nil, fmt.Errorf("the artifact holds a %q; want a %q", a.Kind, artifactKind)
	}
	var h header
	if err := json.Unmarshal(a.Params, &h); err != nil {
		return nil, fmt.Errorf("parameters of the artifact: %w", err)
	}
	if len(h.Parts) == 0 || len(h.Weights) != len(h.Parts)+1 {
		return nil, fmt.Errorf("the artifact has %d weights of %d parts and the online model", len(h.Weights), len(h.Parts))
	}
	var sum float64
	for _, w := range h.Weights {
		if !(w >= 0) {
			return nil, fmt.Errorf("the artifact has the weight %v", w)
		}
		sum += float64(w)
	}
	if math.Abs(sum-1) > 1e-4 {
		return nil, fmt.Errorf("the artifact's weights add up to %v; want 1", sum)
	}
	if err := checkMix(h.Counts); err != nil {
		return nil, err
	}
	m := &model{weights: h.Weights, counts: h.Counts, featuresHash: a.FeatureHash}
	read := 0
	last := -1
	for _, p := range h.Parts {
		at := slices.IndexFunc(recipes, func(r *recipe.Recipe) bool { return r.Name == p.Name })
		if at <= last {
			return nil, fmt.Errorf("the artifact has a part %q, which there is not, or not there", p.Name)
		}
		last = at
		own := ml.Artifact{Kind: p.Kind, Kernel: a.Kernel, FeatureHash: p.FeatureHash, Params: p.Params}
		for _, t := range a.Tensors {
			if rest, ok := strings.CutPrefix(t.Name, p.Name+"/"); ok {
				t.Name = rest
				own.Tensors = append(own.Tensors, t)
			}
		}
		for _, l := range a.Strings {
			if rest, ok := strings.CutPrefix(l.Name, p.Name+"/"); ok {
				l.Name = rest
				own.Strings = append(own.Strings, l)
			}
		}
		read += len(own.Tensors) + len(own.Strings)
		b, err := own.Encode()
		if err != nil {
			return nil, err
		}
		trained, err := recipes[at].Decode(b)
		if err != nil {
			return nil, fmt.Errorf("the part %s: %w", p.Name, err)
		}
		m.parts = append(m.parts, part{recipes[at], trained})
	}
	if read != len(a.Tensors)+len(a.Strings) {
		return nil, errors.New("the artifact holds what is of none of its parts")
	}
	return m, nil
}

// checkMix wants weights that add up to 1, or none.
func checkMix(mix online.Mix) error {
	if mix == (online.Mix{}) {
		return nil
	}
	var sum float64
	for _, w := range mix.Weights() {
		if !(w >= 0) {
			return fmt.Errorf("the artifact weighs counts by %+v", mix)
		}
		sum += float64(w)
	}
	if math.Abs(sum-1) > 1e-4 {
		return fmt.Errorf("the artifact's weights of counts add up to %v; want 1", sum)
	}
	return nil
}

// Figures are the weights, and what the parts have found out.
func (m *model) Figures() map[string]float64 {
	f := map[string]float64{"weight." + recipe.SourceOnline: float64(m.weights[0])}
	mix := m.counts
	if mix == (online.Mix{}) {
		mix.Blend = 1
	}
	for i, w := range mix.Weights() {
		f["online_weight."+online.MixSources[i]] = float64(w)
	}
	for i, p := range m.parts {
		f["weight."+p.recipe.Name] = float64(m.weights[i+1])
		for name, v := range p.model.Figures() {
			f[p.recipe.Name+"."+name] = v
		}
	}
	return f
}

// Near gives the films that the parts find most like one, each part by its weight.
func (m *model) Near(film string, k int) []recipe.Near {
	score := map[string]float32{}
	var ids []string
	for i, p := range m.parts {
		n, ok := p.model.(recipe.Neighbours)
		if !ok || m.weights[i+1] == 0 {
			continue
		}
		near := n.Near(film, k)
		for _, one := range near {
			if near[0].Score <= 0 || one.Score <= 0 {
				break
			}
			if _, ok := score[one.ID]; !ok {
				ids = append(ids, one.ID)
			}
			score[one.ID] += float32(m.weights[i+1] * (one.Score / near[0].Score))
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(score[b], score[a]), cmp.Compare(a, b)) })
	near := make([]recipe.Near, 0, min(k, len(ids)))
	for _, id := range ids[:min(k, len(ids))] {
		near = append(near, recipe.Near{ID: id, Score: score[id]})
	}
	return near
}

// Ranker makes one of the online model, and one of each part.
func (m *model) Ranker(films *recipe.Films, before recipe.Ranker) recipe.Ranker {
	r := &ranker{films: films, weights: m.weights, names: []string{recipe.SourceOnline}, parts: []recipe.Ranker{recipe.NewMixRanker(films, m.counts)}}
	r.scratch.New = func() any { return &scratch{parts: make([][]float32, len(r.parts))} }
	was, _ := before.(*ranker)
	for i, p := range m.parts {
		var earlier recipe.Ranker
		if was != nil && i+1 < len(was.parts) {
			earlier = was.parts[i+1]
		}
		r.names, r.parts = append(r.names, p.recipe.Name), append(r.parts, p.model.Ranker(films, earlier))
	}
	return r
}

type ranker struct {
	films   *recipe.Films
	weights []float32
	names   []string // of the parts
	parts   []recipe.Ranker
	scratch sync.Pool // of *scratch
}

type scratch struct {
	parts [][]float32 // scores by place
	score []float32
}

func (r *ranker) Films() *recipe.Films { return r.films }

// Vectors are those of the first part that has any; nil without one.
func (r *ranker) Vectors(places []int32) []float32 {
	for _, p := range r.parts {
		if v, ok := p.(recipe.Vectors); ok {
			return v.Vectors(places)
		}
	}
	return nil
}

// compute fills s.parts.
func (r *ranker) compute(m *online.Model, user string, nowMillis int64, again bool, s *scratch) {
	for k, p := range r.parts {
		score := recipe.Grow(s.parts[k], r.films.Len())
		s.parts[k] = score
		if r.weights != nil && r.weights[k] == 0 {
			clear(score)
			if !again {
				recipe.Exclude(score, m, r.films, user, nowMillis)
			}
			continue
		}
		if !again {
			p.Score(m, user, nowMillis, func(part string, all []float32) {
				if part == "" {
					copy(score, all)
				}
			})
			continue
		}
		clear(score)
		for _, it := range p.Rank(m, recipe.Query{User: user, NowMillis: nowMillis, K: r.films.Len(), Again: true}).Items {
			score[it.Place] = it.Score
		}
	}
}

// sum fills s.score.
func (r *ranker) sum(s *scratch) {
	s.score = recipe.Grow(s.score, r.films.Len())
	clear(s.score)
	for k, part := range s.parts {
		w := r.weights[k]
		for i, v := range part {
			if v == online.Excluded {
				s.score[i] = v
			} else {
				s.score[i] += float32(w * v)
			}
		}
	}
}

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	r.compute(m, q.User, q.NowMillis, q.Again, s)
	r.sum(s)
	out := recipe.Ranking{Strategy: name}
	var places []int
	for _, top := range q.Best(s.score) {
		it := recipe.Item{Place: int(top.Index), Score: top.Score}
		for k, part := range s.parts {
			if v := float32(r.weights[k] * part[top.Index]); v > 0 {
				it.Parts = append(it.Parts, recipe.Part{Source: r.names[k], Score: v})
			}
		}
		out.Items, places = append(out.Items, it), append(places, it.Place)
	}
	if q.Explain != recipe.Unexplained {
		r.explain(m, q, out.Items, places)
	}
	return out
}

// Explain gives the reasons that Rank gives, for the films at places.
func (r *ranker) Explain(m *online.Model, q recipe.Query, places []int) [][]recipe.Reason {
	items, out := make([]recipe.Item, len(places)), make([][]recipe.Reason, len(places))
	r.explain(m, q, items, places)
	for i := range items {
		out[i] = items[i].Because
	}
	return out
}

// explain adds the reasons of each part that can say any, by its weight.
func (r *ranker) explain(m *online.Model, q recipe.Query, items []recipe.Item, places []int) {
	for k, p := range r.parts {
		e, ok := p.(recipe.Explainer)
		if w := r.weights[k]; ok && w > 0 {
			for i, reasons := range e.Explain(m, q, places) {
				for _, why := range reasons {
					why.Score = float32(w * why.Score)
					items[i].Because = added(items[i].Because, why)
				}
			}
		}
	}
	for i := range items {
		recipe.Strongest(items[i].Because)
	}
}

// added is reasons with another: several parts may say the same by the same source.
func added(reasons []recipe.Reason, why recipe.Reason) []recipe.Reason {
	for i := range reasons {
		if r := &reasons[i]; r.ID == why.ID && r.Source == why.Source {
			r.Score += why.Score
			return reasons
		}
	}
	return append(reasons, why)
}

// Score gives the blend, and each part that it is made of alone.
func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.scratch.Get().(*scratch)
	defer r.scratch.Put(s)
	r.compute(m, user, nowMillis, false, s)
	r.sum(s)
	f("", s.score)
	for k, part := range s.parts {
		if r.weights[k] > 0 && k > 0 {
			f(r.names[k], part)
		}
	}
}
