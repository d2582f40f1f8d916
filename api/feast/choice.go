package feast

import (
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// choice is which features a request asks for, resolved.
type choice struct {
	names []string       // as they are answered
	at    []place        // of each
	parts []part         // by entity
	views []features.Pin // without a number where none is named

	derive *features.Derivation // of what on-demand views give; nil: nothing is asked of them
	base   []place              // of what it reads
	types  []string             // of that
}

// place is where a feature is: of which part which column, or behind the parts the place among what is derived.
type place struct{ part, column int }

// part is the features of one entity that are computed, or of one view whose values are pushed.
type part struct {
	entity   features.Entity
	joinKeys []string
	refs     []string // of features; of an external view, their names alone
	sel      *features.Selection
	external *features.External // nil where they are computed
}

// choose resolves what is asked for by what is declared, or says why it cannot.
func (s *Surface) choose(reg *featurestore.Registry, a *asked) (*choice, *refusal, error) {
	key := a.key()
	s.mu.Lock()
	if s.reg != reg || len(s.kept) >= keptMax || s.bytes > keptBytesMax {
		s.reg, s.kept, s.bytes = reg, map[string]*choice{}, 0
	}
	c := s.kept[string(key)]
	s.mu.Unlock()
	if c != nil {
		return c, nil, nil
	}
	c, refused, err := s.resolve(reg, a)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reg == reg && s.kept[string(key)] == nil {
		s.kept[string(key)] = c
		s.bytes += len(key)
	}
	return c, nil, nil
}

// key tells apart what is asked for.
func (a *asked) key() []byte {
	size := 24 + len(a.service)
	for _, f := range a.features {
		size += len(f) + 4
	}
	b := strconv.AppendBool(make([]byte, 0, size), a.full)
	add := func(text string) { b = append(append(strconv.AppendInt(b, int64(len(text)), 10), ':'), text...) }
	add(a.service)
	for _, f := range a.features {
		add(f)
	}
	return b
}

func (s *Surface) resolve(reg *featurestore.Registry, a *asked) (*choice, *refusal, error) {
	refs := a.features
	if a.service != "" {
		var ok bool
		if refs, ok = reg.Service(a.service); !ok {
			return nil, noService(a.service), nil
		}
	}
	if len(refs) == 0 {
		return nil, plainError("No features specified for retrieval"), nil
	}
	known, _ := s.Then()
	reg, err := s.Features.Pinned(reg, refs, known)
	if err != nil && !fault.Is(err, fault.NotFound) { // which version there is not is said below
		return nil, nil, err
	}
	c := &choice{}
	times, twice := map[string]int{}, []string(nil)
	all := make([]found, len(refs))
	for i, ref := range refs {
		f, refused := referred(reg, ref)
		if refused != nil {
			return nil, refused, nil
		}
		all[i] = f
		name := f.name
		if a.full {
			name = f.view() + "__" + name
		}
		if times[name]++; times[name] == 2 {
			twice = append(twice, name)
		}
		c.names = append(c.names, name)
	}
	if twice != nil {
		return nil, collision(twice, a.full), nil
	}
	var derived []string
	for _, f := range all {
		if !f.known() {
			return nil, noFeature(f.view(), f.name), nil
		}
		if f.onDemand != nil {
			c.at = append(c.at, place{isDerived, len(derived)})
			derived = append(derived, f.onDemand.Name+":"+f.name)
		} else {
			c.at = append(c.at, c.take(reg, &f))
		}
		if !slices.Contains(c.views, f.pin) {
			c.views = append(c.views, f.pin)
		}
	}
	if derived != nil {
		if c.derive, err = reg.Derive(derived, true, reg.ExternalNamed); err != nil {
			return nil, nil, err
		}
		for _, ref := range c.derive.Base {
			f, refused := referred(reg, ref)
			if refused == nil && !f.known() {
				refused = noFeature(f.view(), f.name)
			}
			if refused != nil {
				return nil, refused, nil
			}
			c.base, c.types = append(c.base, c.take(reg, &f)), append(c.types, f.typeOf())
		}
	}
	for i := range c.parts {
		var err error
		if p := &c.parts[i]; p.external == nil {
			if p.sel, err = reg.Select(p.refs, true); err != nil {
				return nil, nil, err
			}
		}
	}
	return c, nil, nil
}

// isDerived is the part of what on-demand views give.
const isDerived = -1

// take adds a feature to what is read.
func (c *choice) take(reg *featurestore.Registry, f *found) place {
	p := slices.IndexFunc(c.parts, f.in)
	if p < 0 {
		p = len(c.parts)
		c.parts = append(c.parts, f.part(reg))
	}
	refs := &c.parts[p].refs
	at := slices.Index(*refs, f.ref())
	if at < 0 {
		at = len(*refs)
		*refs = append(*refs, f.ref())
	}
	return place{p, at}
}

// found is a feature that is asked for: of a view whose values are computed, pushed, or made of others.
type found struct {
	computed *features.View
	external *features.External
	onDemand *features.OnDemand
	name     string
	pin      features.Pin // the view, and the version that is named
}

// view is how the reference calls the view.
func (f *found) view() string {
	if f.pin.Number > 0 {
		return f.pin.Name()
	}
	return f.pin.View
}

func (f *found) known() bool {
	switch {
	case f.computed != nil:
		return f.computed.Feature(f.name) != nil
	case f.onDemand != nil:
		return f.onDemand.Feature(f.name) != nil
	}
	return f.external.Feature(f.name) != nil
}

// in says whether the feature is read with a part.
func (f *found) in(p part) bool {
	if f.computed != nil {
		return p.external == nil && p.entity == f.computed.Entity
	}
	return p.external == f.external
}

func (f *found) part(reg *featurestore.Registry) part {
	if f.computed != nil {
		return part{entity: f.computed.Entity, joinKeys: []string{joinKey(reg.Definitions, f.computed.Entity)}}
	}
	p := part{external: f.external}
	for _, k := range f.external.JoinKeys {
		if k.Name == features.NobodysKey {
			continue
		}
		p.joinKeys = append(p.joinKeys, k.Name)
	}
	return p
}

// typeOf is the type of the feature's values.
func (f *found) typeOf() string {
	if f.computed != nil {
		return string(f.computed.Feature(f.name).Type)
	}
	return f.external.Feature(f.name).Type
}

func (f *found) ref() string {
	if f.computed != nil {
		return f.computed.Name + ":" + f.name
	}
	return f.name
}

// referred is what view:feature, view@latest:feature or view@vN:feature refers to.
func referred(reg *featurestore.Registry, ref string) (f found, refused *refusal) {
	view, name, ok := strings.Cut(features.Plain(ref), ":")
	if !ok || name == "" {
		return f, plainError("Invalid feature reference '%s'. Expected format: '<feature_view>:<feature>' or '<feature_view>@<version>:<feature>'", ref)
	}
	pin, pinned := features.PinOf(view)
	if !pinned {
		pin.View = view
	}
	f = found{reg.View(view), reg.ExternalNamed(view), nil, name, pin}
	if f.computed == nil && f.external == nil {
		f.onDemand = reg.OnDemandView(view)
	}
	switch {
	case f.computed != nil || f.external != nil || f.onDemand != nil:
		return f, nil
	case pinned && (reg.View(pin.View) != nil || reg.ExternalNamed(pin.View) != nil || reg.OnDemandView(pin.View) != nil):
		return f, noVersion(pin.View, pin.Number)
	}
	return f, noView(pin.View)
}

func joinKey(defs *features.Definitions, e features.Entity) string {
	for _, d := range defs.Entities {
		if d.Name == e {
			return d.JoinKey
		}
	}
	return ""
}
