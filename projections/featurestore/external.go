package featurestore

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Registry is all that is declared at one moment: the definitions in force, and what Feast's registry has beside them.
// It is immutable.
type Registry struct {
	*features.Definitions // empty where there are none yet
	Declared              projections.Declarations
	External              []*features.External // views whose values are pushed, of both, by name
	external              map[string]*features.External
	keys                  map[string]string // join keys, by their own name and by that of the entity
}

// Registry is what is declared now.
func (f *Store) Registry() (*Registry, error) {
	defs, err := f.inForce()
	if fault.Is(err, fault.NotFound) {
		defs, err = noDefinitions, nil
	}
	if err != nil {
		return nil, err
	}
	view := fold.Of[*projections.FeatureRegistry](f.views)
	changed, err := view.Changed()
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	r, before := f.registry, f.registryN
	f.mu.Unlock()
	if r != nil && r.Definitions == defs && before == changed {
		return r, nil
	}
	declared, err := view.Declarations(fold.At{})
	if err != nil {
		return nil, err
	}
	r = newRegistry(defs, declared)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.registry, f.registryN = r, changed
	return r, nil
}

func newRegistry(defs *features.Definitions, declared projections.Declarations) *Registry {
	r := &Registry{Definitions: defs, Declared: declared, external: map[string]*features.External{}}
	for i := range r.Declared.Views {
		x := projections.External(&r.Declared.Views[i].Is)
		r.external[x.Name] = x
	}
	for _, x := range defs.External { // the file is what the program's own people wrote
		r.external[x.Name] = x
	}
	for _, x := range r.external {
		if defs.View(x.Name) == nil && defs.OnDemandView(x.Name) == nil { // what can be computed is not pushed
			r.External = append(r.External, x)
		}
	}
	r.keys = map[string]string{}
	for _, x := range r.External {
		for _, k := range x.JoinKeys {
			r.keys[k.Name] = k.Name
		}
	}
	for i := range r.Declared.Entities {
		e := &r.Declared.Entities[i].Is
		r.keys[e.Entity], r.keys[e.JoinKey] = e.JoinKey, e.JoinKey
	}
	for _, e := range defs.Entities {
		r.keys[string(e.Name)], r.keys[e.JoinKey] = e.JoinKey, e.JoinKey
	}
	slices.SortFunc(r.External, func(a, b *features.External) int { return strings.Compare(a.Name, b.Name) })
	return r
}

// HashOf is the hash of the definitions, with the views of pushed values among a selection's that they do not have: what its values
// are by.
func (r *Registry) HashOf(s *Selection) string {
	var views []*features.External
	for _, x := range s.Externals() {
		if r.Definitions.ExternalView(x.Name) != x {
			views = append(views, x)
		}
	}
	return features.HashWith(r.Definitions.Hash(), views)
}

// noDefinitions are those of a folder that has none yet.
var noDefinitions = &features.Definitions{}

// ExternalNamed is the view of pushed values of a name, or nil.
func (r *Registry) ExternalNamed(name string) *features.External {
	if r.Definitions.View(name) != nil || r.Definitions.OnDemandView(name) != nil {
		return nil
	}
	return r.external[name]
}

// JoinKey is the join key of a name, or of the entity of a name, as Feast once had it; "" for neither.
func (r *Registry) JoinKey(name string) string { return r.keys[name] }

// PushedTo are the views whose values are pushed to a source.
func (r *Registry) PushedTo(source string) (all []*features.External) {
	for _, x := range r.External {
		if x.PushSource == source {
			all = append(all, x)
		}
	}
	return all
}

// Service is what a service chooses, as view:feature; false for one that there is not. One of Feast's registry goes over
// one of the definitions.
func (r *Registry) Service(name string) (refs []string, ok bool) {
	for i := range r.Declared.Services {
		if s := &r.Declared.Services[i].Is; s.Service == name {
			return s.Features, true
		}
	}
	s := r.Definitions.Service(name)
	if s == nil {
		return nil, false
	}
	for _, ref := range s.Features {
		view, o := r.Definitions.View(ref), r.Definitions.OnDemandView(ref)
		switch {
		case view != nil:
			for _, f := range view.Features {
				refs = append(refs, view.Name+":"+f.Name)
			}
		case o != nil:
			for _, f := range o.Features {
				refs = append(refs, o.Name+":"+f.Name)
			}
		default:
			refs = append(refs, ref)
		}
	}
	return refs, true
}

// Pushed yields what was pushed of an entity of an external view, as far as a moment admits it, in the order in which one
// row counts over the other: by event time, then by place in the log. The key is [features.External.EntityKey]. A value
// is as it was pushed: [features.Coerce] gives it the form of the feature's type.
//
// It is what joins read: of the rows with an event time at or before a row's own, within the view's ttl, the last one is
// the one that counts. Rows that were pushed for training alone say so (Offline); the others were served too.
func (f *Store) Pushed(x *features.External, entityKey string, at fold.At) iter.Seq2[projections.PushedValues, error] {
	return fold.Of[*projections.FeatureValues](f.views).History(x.Name, entityKey, at)
}

// PushedValue is the value of one feature of an external view, in its one form as JSON.
type PushedValue struct {
	JSON            []byte
	Status          features.Status
	EventTimeMillis int64
}

// ReadPushed appends the named features of one entity of an external view, as they are served at nowMillis, or were at a
// moment.
func (f *Store) ReadPushed(ctx context.Context, dst []PushedValue, x *features.External, names []string, entityKey string, at fold.At, nowMillis int64) ([]PushedValue, error) {
	view := fold.Of[*projections.FeatureValues](f.views)
	row, ok, err := view.Served(ctx, x.Name, entityKey, at)
	if err == nil && ok && row.EventMillis > nowMillis { // values of the future: what was there before them
		row, ok, err = view.Served(ctx, x.Name, entityKey, fold.At{EventMillis: nowMillis, RecordedMillis: at.RecordedMillis, Cut: at.Cut})
	}
	if err != nil {
		return dst, err
	}
	return AppendPushed(dst, x, names, ok, &row, nowMillis), nil
}

// AppendPushed appends the named features of a row of an external view as they are at a moment; ok is false for an entity
// of whom there is none.
func AppendPushed(dst []PushedValue, x *features.External, names []string, ok bool, row *projections.PushedValues, nowMillis int64) []PushedValue {
	dst = slices.Grow(dst, len(names))
	for _, name := range names {
		v := PushedValue{JSON: null, Status: features.NotFound}
		if ok {
			v.EventTimeMillis, v.Status = row.EventMillis, features.NullValue
			switch value, is := coerced(x.Feature(name), row); {
			case expired(x, row.EventMillis, nowMillis):
				v.Status = features.OutsideMaxAge
			case is:
				v.JSON, v.Status = value, features.Present
			}
		}
		dst = append(dst, v)
	}
	return dst
}

var null = []byte("null")

// expired says whether values are older than their view's ttl at a moment.
func expired(x *features.External, eventMillis, nowMillis int64) bool {
	return x.TTLMillis > 0 && eventMillis < nowMillis-x.TTLMillis
}

// coerced is a row's value of a feature in its one form; false where there is none of the feature's type: declarations
// may change after values were pushed, and Kafka's clients push without being asked.
func coerced(f *events.FeatureField, row *projections.PushedValues) ([]byte, bool) {
	if f == nil {
		return nil, false
	}
	if pushed := row.Values[f.Name]; features.Canonical(f.Type, pushed) {
		return pushed, true
	}
	value, err := features.Coerce(f.Type, row.Values[f.Name])
	if err != nil || string(value) == "null" {
		return nil, false
	}
	return value, true
}
