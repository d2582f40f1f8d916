package features

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// A view's definition changes; each that it has had is a version, numbered from 1. A reference may name one: view@v2:feature. It is
// the view of that number, computed by the same function from the same facts, under a name of its own.

// Hash is the SHA-256, in hex, of what the view is: what counts for [Definitions.Hash] of it.
func (v *View) Hash() string { return hashOf("view", v.bare()) }

// bare is the view without what does not count.
func (v *View) bare() *View {
	c := &View{Name: v.Name, Entity: v.Entity, TTLMillis: v.TTLMillis}
	for _, f := range v.Features {
		f.Description = ""
		c.Features = append(c.Features, f)
	}
	return c
}

// Hash is the SHA-256, in hex, of what the view is: names, types, join keys, ttl.
func (x *External) Hash() string {
	c := x.bare()
	c.Project, c.PushSource, c.TimeColumn, c.CreatedIn, c.Entities = "", "", "", "", nil // how values come, not what they are
	return hashOf("external", c)
}

func hashOf(kind string, v any) string {
	canonical, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and finite numbers only
	}
	sum := sha256.Sum256(append(fmt.Appendf(nil, "features/%d %s\n", functionVersion, kind), canonical...))
	return hex.EncodeToString(sum[:])
}

// With is the definitions with what others have and they have not: entities, views and services, by name. The hash stays.
func (d *Definitions) With(other *Definitions) *Definitions {
	c := *d
	c.Entities, c.Views, c.Services = slices.Clip(d.Entities), slices.Clip(d.Views), slices.Clip(d.Services)
	c.External, c.OnDemand = slices.Clip(d.External), slices.Clip(d.OnDemand)
	has := func(view string) bool {
		return d.View(view) != nil || d.ExternalView(view) != nil || d.OnDemandView(view) != nil
	}
	for _, e := range other.Entities {
		if !d.entity(e.Name) {
			c.Entities = append(c.Entities, e)
		}
	}
	for _, v := range other.Views {
		if !has(v.Name) {
			c.Views = append(c.Views, v)
		}
	}
	for _, x := range other.External {
		if !has(x.Name) {
			c.External = append(c.External, x)
		}
	}
	for _, o := range other.OnDemand {
		if !has(o.Name) {
			c.OnDemand = append(c.OnDemand, o)
		}
	}
	for _, s := range other.Services {
		if d.Service(s.Name) == nil {
			c.Services = append(c.Services, s)
		}
	}
	if len(c.Entities)+len(c.Views)+len(c.External)+len(c.OnDemand)+len(c.Services) == len(d.Entities)+len(d.Views)+len(d.External)+len(d.OnDemand)+len(d.Services) {
		return d
	}
	c.takeTables(other)
	return &c
}

// Pinned is the definitions with one view more: a view of others, called as a reference has it. The hash stays.
func (d *Definitions) Pinned(name string, v *View, of *Definitions) *Definitions {
	c, view := *d, *v
	view.Name = name
	c.Views = append(slices.Clip(d.Views), &view)
	c.takeTables(of)
	return &c
}

// PinnedOnDemand is [Definitions.Pinned] for an on-demand view. What it reads is as it is now.
func (d *Definitions) PinnedOnDemand(name string, o *OnDemand) *Definitions {
	c, view := *d, *o
	view.Name = name
	c.OnDemand = append(slices.Clip(d.OnDemand), &view)
	return &c
}

func (d *Definitions) takeTables(other *Definitions) {
	tables := make(map[float64]*decayTable, len(d.tables)+len(other.tables))
	for _, all := range []map[float64]*decayTable{other.tables, d.tables} {
		for h, t := range all {
			tables[h] = t
		}
	}
	d.tables = tables
}

// Pin is a version of a view that a reference names.
type Pin struct {
	View   string
	Number int
}

// Name is the view as references have it.
func (p Pin) Name() string { return p.View + "@v" + strconv.Itoa(p.Number) }

var pinPattern = regexp.MustCompile(`^([^@:]*)@[vV]([0-9]{1,9})$`)

// PinOf is the version that a reference, view@vN or view@vN:feature, names; false for one that names none.
func PinOf(ref string) (p Pin, ok bool) {
	if strings.IndexByte(ref, '@') < 0 { // nearly all
		return p, false
	}
	view, _, _ := strings.Cut(ref, ":")
	m := pinPattern.FindStringSubmatch(view)
	if m == nil {
		return p, false
	}
	n, err := strconv.Atoi(m[2])
	if err != nil {
		panic(err) // nine digits
	}
	return Pin{m[1], n}, true
}

// Plain is a reference in the one form that it has: the latest version is the view itself, and v2 is written small.
func Plain(ref string) string {
	if strings.IndexByte(ref, '@') < 0 {
		return ref
	}
	view, feature, one := strings.Cut(ref, ":")
	name, version, at := strings.Cut(view, "@")
	switch p, ok := PinOf(view); {
	case ok:
		view = p.Name()
	case at && (version == "" || strings.EqualFold(version, "latest")):
		view = name
	default:
		return ref
	}
	if one {
		return view + ":" + feature
	}
	return view
}

// NoVersion says that a view has not had a version.
func NoVersion(p Pin, had int) *fault.Error {
	e := fault.New(fault.NotFound, "there is no version %d of feature view %q", p.Number, p.View)
	e.Field = "features"
	if had == 0 {
		return e.WithHint("there is no such view")
	}
	return e.WithHint("it has had versions 1 to %d: projectionist features versions %s", had, p.View)
}
