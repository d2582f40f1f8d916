package featurestore

import (
	"cmp"
	"context"
	"encoding/json"
	"hash/fnv"
	"iter"
	"slices"

	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// SampleDefault and SampleMax are how many entities statistics are made of: of more, a sample of them.
	SampleDefault = 20_000
	SampleMax     = 200_000
	// statisticsValuesMax bounds the values that are held at once: a view of very many features is sampled more thinly.
	statisticsValuesMax = 4 << 20
)

// ViewStatistics is how the features of a view are distributed over its entities.
type ViewStatistics struct {
	View     string       `json:"view"`
	Entities int64        `json:"entities"` // of whom anything is known now
	Sampled  int          `json:"sampled"`  // that were read: all, or those whose ids' hashes are the least
	Found    int64        `json:"found"`    // of them, of whom anything was known at the moment
	Features []Statistics `json:"features"`
}

// Statistics are those of the features of a view that is computed, each entity counting once: as of nowMillis, or as known at a moment.
// What is held does not depend on how many entities there are.
func (f *Store) Statistics(ctx context.Context, v *features.View, sel *features.Selection, at fold.At, nowMillis int64, sample int) (*ViewStatistics, error) {
	types := make([]string, len(sel.Names()))
	for i, value := range sel.Unknown() {
		types[i] = string(value.Type)
	}
	s := newSample(sel.Names(), types)
	ids, all, err := chosen(ctx, f.Entities(v.Entity), s.size(sample))
	if err != nil {
		return nil, err
	}
	known := fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut}
	var failed error
	in := features.Inputs{NowMillis: nowMillis, Catalogue: f.catalogueAt(ctx, known, &failed), People: f.peopleAt(known, &failed)}
	out := &ViewStatistics{View: v.Name, Entities: all, Sampled: len(ids)}
	var values []features.Value
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if v.Entity == features.Movie && at.IsZero() {
			values, err = f.Read(ctx, values[:0], sel, "", id, at, nowMillis)
		} else {
			// People are folded from their histories, so that those whom nobody asks for do not take the place of those who are.
			var one folded
			if one, err = f.fold(v.Entity, id, at, nowMillis); v.Entity == features.User {
				in.UserID, in.User = id, one.state
			} else {
				in.MovieID, in.Movie = id, one.state
			}
			if err == nil {
				values, err = sel.AppendValues(values[:0], in), failed
			}
		}
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(values, func(v features.Value) bool { return v.Status != features.NotFound }) {
			continue
		}
		out.Found++
		for i := range values {
			s.columns[i].add(&values[i])
		}
	}
	out.Features = s.statistics()
	return out, nil
}

// PushedStatistics are those of the named features of a view whose values are pushed, of what is served, or was.
func (f *Store) PushedStatistics(ctx context.Context, x *features.External, names []string, at fold.At, nowMillis int64, sample int) (*ViewStatistics, error) {
	types := make([]string, len(names))
	for i, name := range names {
		types[i] = x.Feature(name).Type
	}
	s := newSample(names, types)
	ids, all, err := chosen(ctx, fold.Of[*projections.FeatureValues](f.views).ServedEntities(x.Name), s.size(sample))
	if err != nil {
		return nil, err
	}
	out := &ViewStatistics{View: x.Name, Entities: all, Sampled: len(ids)}
	var values []PushedValue
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if values, err = f.ReadPushed(ctx, values[:0], x, names, id, at, nowMillis); err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(values, func(v PushedValue) bool { return v.Status != features.NotFound }) {
			continue
		}
		out.Found++
		for i := range values {
			if err := s.columns[i].addJSON(values[i].JSON, values[i].Status); err != nil {
				return nil, err
			}
		}
	}
	out.Features = s.statistics()
	return out, nil
}

// chosen are n ids of all, those whose hashes are the least, in order, and how many there are: the same of the same, and each as likely.
func chosen(ctx context.Context, ids iter.Seq2[string, error], n int) (out []string, all int64, err error) {
	type one struct {
		hash uint64
		id   string
	}
	var kept []one
	full, most := false, uint64(0) // the largest hash that is kept
	cut := func() {
		slices.SortFunc(kept, func(a, b one) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.id, b.id)) })
		if len(kept) > n {
			kept, full = kept[:n], true
		}
		if full {
			most = kept[n-1].hash
		}
	}
	for id, err := range ids {
		if err == nil && all%checkEvery == 0 {
			err = ctx.Err()
		}
		if err != nil {
			return nil, 0, err
		}
		all++
		if h := hashOf(id); !full || h <= most {
			kept = append(kept, one{h, id})
		}
		if len(kept) == 2*n {
			cut()
		}
	}
	cut()
	for _, k := range kept {
		out = append(out, k.id)
	}
	slices.Sort(out)
	return out, all, nil
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id)) //nolint:errcheck // it cannot fail
	return mixed(h.Sum64())
}

// mixed makes of a number one of which every bit depends on all of its (the finalizer of MurmurHash3).
func mixed(x uint64) uint64 {
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// Sample is the values of some features of some rows.
type Sample struct{ columns []*distribution }

func newSample(names, types []string) *Sample {
	s := &Sample{}
	texts := 0
	for i, name := range names {
		c := &distribution{name: name, typ: types[i], words: map[string]int64{}}
		if s.columns = append(s.columns, c); !c.numeric() {
			texts++
		}
	}
	for _, c := range s.columns {
		c.wordsMax = max(wordsMax/max(texts, 1), wordsLeast)
	}
	return s
}

// size is how many rows may be held of those that are asked for.
func (s *Sample) size(asked int) int {
	return max(min(asked, statisticsValuesMax/max(len(s.columns), 1)), 1)
}

func (s *Sample) statistics() []Statistics {
	out := make([]Statistics, len(s.columns))
	for i, c := range s.columns {
		out[i] = c.statistics()
	}
	return out
}

// Reference is the features of a table, as far as it is sampled: what others are compared with.
type Reference struct {
	Sample
	places []int // of the columns in the table
	limit  uint64
	rows   uint64
	left   int // how many may still be held
}

// NewReference samples a table of so many rows; places are where the columns of the features are in it.
func NewReference(names, types []string, places []int, rows int64, sample int) *Reference {
	r := &Reference{Sample: *newSample(names, types), places: places, limit: 1<<64 - 1}
	n := r.size(sample)
	if rows > int64(n) {
		r.limit = uint64(float64(n) / float64(rows) * (1 << 63) * 2)
	}
	r.left = 2 * n // a sample's size varies
	return r
}

// Add adds the next row, as text.
func (r *Reference) Add(cells []string) {
	r.rows++
	if mixed(r.rows) > r.limit || r.left == 0 {
		return
	}
	r.left--
	for i, c := range r.columns {
		c.addText(cells[r.places[i]])
	}
}

// Compare adds to the statistics of features how far they are from those of the same name in the table.
func (r *Reference) Compare(of *ViewStatistics) {
	for i := range of.Features {
		for _, c := range r.columns {
			if c.name == of.Features[i].Feature {
				of.Features[i].Drift = of.Features[i].of.drift(c)
			}
		}
	}
}

// Release lets go of the values that the figures are of; nothing can be compared with them any more.
func (v *ViewStatistics) Release() {
	for i := range v.Features {
		v.Features[i].of = nil
	}
}

// textOf is a JSON text without quotes, or JSON that is none as it is.
func textOf(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || raw[0] != '"' {
		return string(raw), nil
	}
	text := ""
	return text, json.Unmarshal(raw, &text)
}
