package feast

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

// choice is which features a request asks for, resolved.
type choice struct {
	names []string // as they are answered
	at    []place  // of each
	parts []part   // by entity
	views []string
}

type place struct{ part, column int }

// part is the features of one entity.
type part struct {
	entity  features.Entity
	joinKey string
	refs    []string
	sel     *features.Selection
}

// definitions are those in force; of a folder that has none yet, empty ones.
func (s *Surface) definitions() (*features.Definitions, error) {
	defs, err := s.Features.Definitions(fold.At{})
	if fault.Is(err, fault.NotFound) {
		return &features.Definitions{}, nil
	}
	return defs, err
}

// choose resolves what is asked for by the definitions in force, or says why it cannot.
func (s *Surface) choose(defs *features.Definitions, a *asked) (*choice, *refusal, error) {
	key := fmt.Sprintf("%t %q %q", a.full, a.service, a.features)
	s.mu.Lock()
	if s.defs != defs || len(s.kept) >= keptMax || s.bytes > keptBytesMax {
		s.defs, s.kept, s.bytes = defs, map[string]*choice{}, 0
	}
	c := s.kept[key]
	s.mu.Unlock()
	if c != nil {
		return c, nil, nil
	}
	c, refused, err := resolve(defs, a)
	if refused != nil || err != nil {
		return nil, refused, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.defs == defs && s.kept[key] == nil {
		s.kept[key] = c
		s.bytes += len(key)
	}
	return c, nil, nil
}

func resolve(defs *features.Definitions, a *asked) (*choice, *refusal, error) {
	refs := a.features
	if a.service != "" {
		service := defs.Service(a.service)
		if service == nil {
			return nil, noService(a.service), nil
		}
		refs = spelt(defs, service.Features)
	}
	if len(refs) == 0 {
		return nil, plainError("No features specified for retrieval"), nil
	}
	c := &choice{}
	times, twice := map[string]int{}, []string(nil)
	type found struct {
		view *features.View
		name string
	}
	all := make([]found, len(refs))
	for i, ref := range refs {
		view, name, refused := referred(defs, ref)
		if refused != nil {
			return nil, refused, nil
		}
		all[i] = found{view, name}
		if a.full {
			name = view.Name + "__" + name
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
		if f.view.Feature(f.name) == nil {
			return nil, noFeature(f.view.Name, f.name), nil
		}
		p := slices.IndexFunc(c.parts, func(p part) bool { return p.entity == f.view.Entity })
		if p < 0 {
			p = len(c.parts)
			c.parts = append(c.parts, part{entity: f.view.Entity, joinKey: joinKey(defs, f.view.Entity)})
		}
		c.at = append(c.at, place{p, len(c.parts[p].refs)})
		c.parts[p].refs = append(c.parts[p].refs, f.view.Name+":"+f.name)
		if !slices.Contains(c.views, f.view.Name) {
			c.views = append(c.views, f.view.Name)
		}
	}
	for i := range c.parts {
		var err error
		if c.parts[i].sel, err = defs.Select(c.parts[i].refs, true); err != nil {
			return nil, nil, err
		}
	}
	return c, nil, nil
}

// spelt are the references of a service, each of one feature.
func spelt(defs *features.Definitions, refs []string) (all []string) {
	for _, ref := range refs {
		view := defs.View(ref)
		if view == nil {
			all = append(all, ref)
			continue
		}
		for _, f := range view.Features {
			all = append(all, view.Name+":"+f.Name)
		}
	}
	return all
}

// referred is what view:feature, view@latest:feature or view@vN:feature refers to. Definitions have no versions but the
// one in force.
func referred(defs *features.Definitions, ref string) (view *features.View, name string, refused *refusal) {
	viewName, name, ok := strings.Cut(ref, ":")
	if !ok || name == "" {
		return nil, "", plainError("Invalid feature reference '%s'. Expected format: '<feature_view>:<feature>' or '<feature_view>@<version>:<feature>'", ref)
	}
	viewName, version, versioned := strings.Cut(viewName, "@")
	if view = defs.View(viewName); view == nil {
		return nil, "", noView(viewName)
	}
	if versioned && version != "latest" {
		n, err := strconv.ParseUint(strings.TrimLeft(version, "vV"), 10, 31)
		if err != nil {
			return nil, "", plainError("Invalid version '%s'", version)
		}
		return nil, "", noVersion(viewName, int(n))
	}
	return view, name, nil
}

func joinKey(defs *features.Definitions, e features.Entity) string {
	for _, d := range defs.Entities {
		if d.Name == e {
			return d.JoinKey
		}
	}
	return ""
}
