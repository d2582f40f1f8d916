package featurestore

import (
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Which features there were. What is declared is known from its recorded time on, and is in force from its event time on.
// A read as of a moment uses what was in force then. Of views that came later it uses what is known: what happened in 2013
// was defined by nobody in 2013.

// registriesMax and parsedMax bound what is kept of other moments.
const (
	registriesMax = 8
	parsedMax     = 8
)

// DefinitionsAt are the definitions that features are read by as of a moment: those in force then, with the views and services that came
// later where only the event time is another. Where nothing was known yet, those in force now.
func (f *Store) DefinitionsAt(at fold.At) (*features.Definitions, error) {
	if at.IsZero() {
		return f.inForce()
	}
	known := fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut}
	last, err := f.Definitions(known)
	if fault.Is(err, fault.NotFound) {
		last, err = f.inForce()
	}
	if err != nil || at.EventMillis == 0 {
		return last, err
	}
	then, err := f.Definitions(at)
	switch {
	case fault.Is(err, fault.NotFound):
		return last, nil
	case err != nil || then == last:
		return then, err
	}
	both := then.Hash() + last.Hash()
	f.mu.Lock()
	defer f.mu.Unlock()
	if d := f.others[both]; d != nil {
		return d, nil
	}
	d := then.With(last)
	f.keepParsed(both, d)
	return d, nil
}

// keepParsed keeps definitions under what they are found by. mu is held.
func (f *Store) keepParsed(key string, d *features.Definitions) {
	if len(f.others) >= parsedMax || f.others == nil {
		f.others = map[string]*features.Definitions{}
	}
	f.others[key] = d
}

// RegistryAt is what was declared as of a moment, as [Store.DefinitionsAt] has it; where nothing was known yet it is empty.
func (f *Store) RegistryAt(at fold.At) (*Registry, error) {
	if at.IsZero() {
		return f.Registry()
	}
	view := fold.Of[*projections.FeatureRegistry](f.views)
	changed, err := view.Changed()
	if err != nil {
		return nil, err
	}
	key := f.cutKey(at, changed)
	f.mu.Lock()
	r := f.registries[key]
	f.mu.Unlock()
	if r != nil {
		return r, nil
	}
	known := fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut}
	if r, err = f.registryOf(known); err == nil && at.EventMillis != 0 {
		var then *Registry
		if then, err = f.registryOf(at); err == nil {
			r = then.with(r)
		}
	}
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.registries) >= registriesMax || f.registries == nil {
		f.registries = map[string]*Registry{}
	}
	f.registries[key] = r
	return r, nil
}

// RegistryFor is [Store.RegistryAt], and what is declared now where nothing was known yet.
func (f *Store) RegistryFor(at fold.At) (*Registry, error) {
	r, err := f.RegistryAt(at)
	if err != nil || len(r.Views)+len(r.External)+len(r.OnDemand) > 0 {
		return r, err
	}
	return f.Registry()
}

// registryOf is what a moment admits of what was declared.
func (f *Store) registryOf(at fold.At) (*Registry, error) {
	if at.IsZero() {
		return f.Registry()
	}
	defs, err := f.Definitions(at)
	if fault.Is(err, fault.NotFound) {
		defs, err = noDefinitions, nil
	}
	if err != nil {
		return nil, err
	}
	declared, err := fold.Of[*projections.FeatureRegistry](f.views).Declarations(at)
	if err != nil {
		return nil, err
	}
	return newRegistry(defs, declared), nil
}

// with is the registry with what another has and it has not.
func (r *Registry) with(other *Registry) *Registry {
	defs, d := other.Definitions, r.Declared
	if r.Definitions != noDefinitions {
		defs = r.Definitions.With(defs)
	}
	d.Projects = also(d.Projects, other.Declared.Projects)
	d.Entities = also(d.Entities, other.Declared.Entities)
	d.Sources = also(d.Sources, other.Declared.Sources)
	d.Views = also(d.Views, other.Declared.Views)
	d.Services = also(d.Services, other.Declared.Services)
	return newRegistry(defs, d)
}

// also appends what is declared under names that have none yet.
func also[T any, P interface {
	*T
	DeclaredName() string
}](all, more []projections.Declared[T]) []projections.Declared[T] {
	all = slices.Clip(all)
	has := map[string]bool{}
	for i := range all {
		has[P(&all[i].Is).DeclaredName()] = true
	}
	for i := range more {
		if !has[P(&more[i].Is).DeclaredName()] {
			all = append(all, more[i])
		}
	}
	return all
}
