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
	"github.com/projectionist/projectionist/ml/vector"
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
	if !(mix.Forget >= 0) {
		return fmt.Errorf("the artifact forgets popularity %v times as fast as usual", mix.Forget)
	}
	return nil
}

// Figures are the weights, and what the parts have found out.
func (m *model) Figures() map[string]float64 {
	f := map[string]float64{"weight." + recipe.SourceOnline: float64(m.weights[0]), "online_forget": float64(m.counts.Speed())}
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
	r := &ranker{films: films, weights: m.weights, names: []string{recipe.SourceOnline}, members: []recipe.Member{recipe.NewMixRanker(films, m.counts)}}
	r.scratch.New = func() any {
		return &scratch{of: r, answers: make([]recipe.Answer, len(r.members)), weights: make([]float32, len(r.members))}
	}
	was, _ := before.(*ranker)
	for i, p := range m.parts {
		var earlier recipe.Ranker
		if was != nil && i+1 < len(was.members) {
			earlier = was.members[i+1]
		}
		r.names, r.members = append(r.names, p.recipe.Name), append(r.members, p.model.Ranker(films, earlier).(recipe.Member))
	}
	return r
}

// ranker adds up what the members say that say anything of a person, by their weights, which are then brought to 1. Where none of
// those that have a weight does, the online model ranks.
type ranker struct {
	films   *recipe.Films
	weights []float32
	names   []string // of the members
	members []recipe.Member
	scratch sync.Pool // of *scratch
}

// scratch is what the members say for a person, and an answer too.
type scratch struct {
	of      *ranker
	answers []recipe.Answer // nil of those that say nothing, or have no weight
	weights []float32       // 0 where there is no answer; they add up to 1
	score   []float32       // by place
	silent  []float32       // the same of who says nothing
}

func (r *ranker) Films() *recipe.Films { return r.films }

// Vectors are those of the first member that has any; nil without one.
func (r *ranker) Vectors(places []int32) []float32 {
	for _, p := range r.members {
		if v, ok := p.(recipe.Vectors); ok {
			return v.Vectors(places)
		}
	}
	return nil
}

// ask asks every member that has a weight, and adds up what they say.
func (r *ranker) ask(m *online.Model, user string, nowMillis int64, again bool) *scratch {
	s := r.scratch.Get().(*scratch)
	var known float32
	all := true
	for k, p := range r.members {
		s.weights[k] = 0
		if r.weights[k] == 0 {
			continue
		}
		a, ok := p.Ask(m, user, nowMillis, again)
		if !ok {
			all = false
			continue
		}
		s.answers[k], s.weights[k] = a, r.weights[k]
		known += r.weights[k]
	}
	switch {
	case known == 0:
		s.answers[0], _ = r.members[0].Ask(m, user, nowMillis, again)
		s.weights[0] = 1
	case !all:
		for k := range s.weights {
			s.weights[k] /= known
		}
	}
	s.score = recipe.Grow(s.score, r.films.Len())
	clear(s.score)
	for k, a := range s.answers {
		if a == nil {
			continue
		}
		vector.Mix(s.score, s.score, 1, a.Score(), s.weights[k]) // what is excluded stays so
	}
	return s
}

// trained says that somebody beside the online model has a say.
func (s *scratch) trained() bool {
	return slices.ContainsFunc(s.answers[1:], func(a recipe.Answer) bool { return a != nil })
}

func (r *ranker) Rank(m *online.Model, q recipe.Query) recipe.Ranking {
	s := r.ask(m, q.User, q.NowMillis, q.Again)
	defer s.Release()
	var out recipe.Ranking
	if s.trained() {
		out.Strategy = name
	}
	var places []int
	for _, top := range q.Best(s.score) {
		it := recipe.Item{Place: int(top.Index), Score: top.Score}
		for k, a := range s.answers {
			if a == nil {
				continue
			}
			if v := float32(s.weights[k] * a.Score()[top.Index]); v != 0 {
				it.Parts = append(it.Parts, recipe.Part{Source: r.names[k], Score: v})
			}
		}
		out.Items, places = append(out.Items, it), append(places, it.Place)
	}
	if q.Explain != recipe.Unexplained {
		for i, because := range s.Because(places, q.Explain) {
			out.Items[i].Because = because
		}
	}
	return out
}

// Ask is answered where somebody beside the online model has a say.
func (r *ranker) Ask(m *online.Model, user string, nowMillis int64, again bool) (recipe.Answer, bool) {
	s := r.ask(m, user, nowMillis, again)
	if !s.trained() {
		s.Release()
		return nil, false
	}
	return s, true
}

func (s *scratch) Score() []float32 { return s.score }

// Because is the reasons of each member that can say any, by its weight.
func (s *scratch) Because(places []int, depth recipe.Depth) [][]recipe.Reason {
	out := make([][]recipe.Reason, len(places))
	for k, a := range s.answers {
		if a == nil {
			continue
		}
		w := s.weights[k]
		for i, reasons := range a.Because(places, depth) {
			for _, why := range reasons {
				why.Score = float32(w * why.Score)
				out[i] = added(out[i], why)
			}
		}
	}
	for i := range out {
		recipe.Strongest(out[i])
	}
	return out
}

func (s *scratch) Release() {
	for k, a := range s.answers {
		if a != nil {
			a.Release()
			s.answers[k] = nil
		}
	}
	s.of.scratch.Put(s)
}

// added is reasons with another: several members may say the same by the same source.
func added(reasons []recipe.Reason, why recipe.Reason) []recipe.Reason {
	for i := range reasons {
		if r := &reasons[i]; r.ID == why.ID && r.Source == why.Source {
			r.Score += why.Score
			return reasons
		}
	}
	return append(reasons, why)
}

// Score gives the ensemble, and each member that has a weight alone.
func (r *ranker) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	s := r.ask(m, user, nowMillis, false)
	defer s.Release()
	f("", s.score)
	for k, a := range s.answers {
		switch {
		case k == 0 || r.weights[k] == 0:
		case a != nil:
			f(r.names[k], a.Score())
		default:
			s.silent = append(s.silent[:0], s.score...)
			recipe.Silence(s.silent)
			f(r.names[k], s.silent)
		}
	}
}
