package feast

import (
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// choice is which features a request asks for, resolved.
type choice struct {
	names []string // as they are answered
	at    []place  // of each
	parts []part   // by entity
	views []string
}

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
	c := s.kept[key]
	s.mu.Unlock()
	if c != nil {
		return c, nil, nil
	}
	c, refused, err := resolve(reg, a)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reg == reg && s.kept[key] == nil {
		s.kept[key] = c
		s.bytes += len(key)
	}
	return c, nil, nil
}

// key tells apart what is asked for.
func (a *asked) key() string {
	size := 16 + len(a.service)
	for _, f := range a.features {
		size += len(f) + 4
	}
	b := strconv.AppendBool(make([]byte, 0, size), a.full)
	for _, text := range append([]string{a.service}, a.features...) {
		b = append(append(strconv.AppendInt(b, int64(len(text)), 10), ':'), text...)
	}
	return string(b)
}

func resolve(reg *featurestore.Registry, a *asked) (*choice, *refusal, error) {
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
	for _, f := range all {
		if !f.known() {
			return nil, noFeature(f.view(), f.name), nil
		}
		p := slices.IndexFunc(c.parts, f.in)
		if p < 0 {
			p = len(c.parts)
			c.parts = append(c.parts, f.part(reg))
		}
		c.at = append(c.at, place{p, len(c.parts[p].refs)})
		c.parts[p].refs = append(c.parts[p].refs, f.ref())
		if !slices.Contains(c.views, f.view()) {
			c.views = append(c.views, f.view())
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

// found is a feature that is asked for: of a view whose values are computed, or of one whose values are pushed.
type found struct {
	computed *features.View
	external *features.External
	name     string
}

func (f *found) view() string {
	if f.computed != nil {
		return f.computed.Name
	}
	return f.external.Name
}

func (f *found) known() bool {
	if f.computed != nil {
		return f.computed.Feature(f.name) != nil
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

func (f *found) ref() string {
	if f.computed != nil {
		return f.computed.Name + ":" + f.name
	}
	return f.name
}

// referred is what view:feature, view@latest:feature or view@vN:feature refers to. Definitions have no versions but the
// one in force.
func referred(reg *featurestore.Registry, ref string) (f found, refused *refusal) {
	viewName, name, ok := strings.Cut(ref, ":")
	if !ok || name == "" {
		return f, plainError("Invalid feature reference '%s'. Expected format: '<feature_view>:<feature>' or '<feature_view>@<version>:<feature>'", ref)
	}
	viewName, version, versioned := strings.Cut(viewName, "@")
	f = found{reg.View(viewName), reg.ExternalNamed(viewName), name}
	if f.computed == nil && f.external == nil {
		return f, noView(viewName)
	}
	if versioned && version != "latest" {
		n, err := strconv.ParseUint(strings.TrimLeft(version, "vV"), 10, 31)
		if err != nil {
			return f, plainError("Invalid version '%s'", version)
		}
		return f, noVersion(viewName, int(n))
	}
	return f, nil
}

func joinKey(defs *features.Definitions, e features.Entity) string {
	for _, d := range defs.Entities {
		if d.Name == e {
			return d.JoinKey
		}
	}
	return ""
}
