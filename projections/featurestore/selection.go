package featurestore

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// Selection is features of views that are computed and of views whose values are pushed, in the order in which they are
// answered. It is immutable.
type Selection struct {
	columns  []column
	computed *features.Selection // nil where none is
	at       []int               // the columns of those that are computed, in their order
	pushed   []pushedPart
	keys     []*features.External // one for each set of join keys that pushed features are of
	derive   *features.Derivation // of the columns; nil where they are what is asked for
}

type column struct {
	name string
	typ  features.Type
	ref  string // view:feature
}

// pushedPart is the features of one view of pushed values.
type pushedPart struct {
	view   *features.External
	fields []*events.FeatureField
	out    []int // the columns
	key    int   // among the sets of join keys
}

// keysMax bounds the sets of join keys of one selection: rows are sorted by each.
const keysMax = 32

// Computed is a selection of features that are all computed.
func Computed(sel *features.Selection) *Selection {
	s := &Selection{computed: sel}
	refs := sel.References()
	for i, v := range sel.Unknown() {
		s.columns, s.at = append(s.columns, column{v.Name, v.Type, refs[i]}), append(s.at, i)
	}
	return s
}

// Selection resolves references as [features.Definitions.Select] does, those to views of pushed values too.
func (r *Registry) Selection(refs []string, fullNames bool) (*Selection, error) {
	if x, err := r.Derive(refs, fullNames, r.ExternalNamed); x != nil || err != nil {
		s := &Selection{}
		if err == nil && len(x.Base) > 0 {
			s, err = r.Selection(x.Base, true)
		}
		if err != nil {
			return nil, err
		}
		s.derive = x
		return s, nil
	}
	if !slices.ContainsFunc(refs, func(ref string) bool { return r.ExternalNamed(viewOf(ref)) != nil }) {
		sel, err := r.Definitions.Select(refs, fullNames)
		if err != nil {
			return nil, err
		}
		return Computed(sel), nil
	}
	s, seen := &Selection{}, map[string]string{}
	var computed []string
	add := func(view, name string, t features.Type) error {
		short, full := name, view+":"+name
		if fullNames {
			short = view + "__" + name
		}
		if other, ok := seen[short]; ok {
			e := fault.New(fault.Conflict, "%s and %s are both called %s", other, full, short)
			e.Field = "features"
			if other == full {
				return e.WithHint("name each feature once")
			}
			return e.WithHint("ask for full feature names")
		}
		seen[short] = full
		s.columns = append(s.columns, column{short, t, full})
		return nil
	}
	for _, ref := range refs {
		view, name, one := strings.Cut(ref, ":")
		if x := r.ExternalNamed(view); x != nil {
			fields := x.Features
			if one {
				f := x.Feature(name)
				if f == nil {
					e := fault.New(fault.NotFound, "the view %s has no feature %q", view, name)
					e.Field = "features"
					return nil, e.WithHint("GET /api/v1/features/external lists what there is")
				}
				fields = []events.FeatureField{*f}
			}
			p := s.partOf(x)
			for i := range fields {
				if err := add(view, fields[i].Name, features.Type(fields[i].Type)); err != nil {
					return nil, err
				}
				p.fields, p.out = append(p.fields, &fields[i]), append(p.out, len(s.columns)-1)
			}
			continue
		}
		sel, err := r.Definitions.Select([]string{ref}, false)
		if err != nil {
			return nil, err
		}
		for _, v := range sel.Unknown() {
			if err := add(view, v.Name, v.Type); err != nil {
				return nil, err
			}
			computed = append(computed, view+":"+v.Name)
			s.at = append(s.at, len(s.columns)-1)
		}
	}
	if len(s.keys) > keysMax {
		return nil, fault.Field("features", "are of views with %d sets of join keys; the most is %d", len(s.keys), keysMax).WithHint("join the views one after the other")
	}
	if len(computed) > 0 {
		var err error
		if s.computed, err = r.Definitions.Select(computed, true); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func viewOf(ref string) string {
	view, _, _ := strings.Cut(ref, ":")
	return view
}

// partOf is the part of a view, a new one if there is none yet.
func (s *Selection) partOf(x *features.External) *pushedPart {
	for i := range s.pushed {
		if s.pushed[i].view == x {
			return &s.pushed[i]
		}
	}
	p := pushedPart{view: x, key: slices.IndexFunc(s.keys, func(k *features.External) bool { return sameKeys(k, x) })}
	if p.key < 0 {
		p.key = len(s.keys)
		s.keys = append(s.keys, x)
	}
	s.pushed = append(s.pushed, p)
	return &s.pushed[len(s.pushed)-1]
}

// sameKeys says whether the entities of two views are called by the same keys.
func sameKeys(a, b *features.External) bool {
	if len(a.JoinKeys) != len(b.JoinKeys) {
		return false
	}
	for i := range a.JoinKeys {
		k := b.JoinKey(a.JoinKeys[i].Name)
		if k == nil || k.Type != a.JoinKeys[i].Type {
			return false
		}
	}
	return true
}

// Names are the names of the features in order.
func (s *Selection) Names() []string {
	if s.derive != nil {
		return s.derive.Names()
	}
	names := make([]string, len(s.columns))
	for i := range s.columns {
		names[i] = s.columns[i].name
	}
	return names
}

// References are the features in order as view:feature.
func (s *Selection) References() []string {
	if s.derive != nil {
		return s.derive.References()
	}
	refs := make([]string, len(s.columns))
	for i := range s.columns {
		refs[i] = s.columns[i].ref
	}
	return refs
}

// Views are the views that are read, in the order in which they come: those of the features, and those that on-demand views among them read.
func (s *Selection) Views() (views []string) {
	refs := s.References()
	if s.derive != nil {
		refs = append(refs, s.derive.Base...)
	}
	known := map[string]bool{}
	for _, ref := range refs {
		if view := viewOf(ref); !known[view] {
			known[view] = true
			views = append(views, view)
		}
	}
	return views
}

// Unknown are the features in order, of nobody: all are NotFound.
func (s *Selection) Unknown() []features.Value {
	if s.derive != nil {
		return s.derive.Unknown()
	}
	return s.blank()
}

// Request is what a request has to say for expressions.
func (s *Selection) Request() []features.RequestField {
	if s.derive == nil {
		return nil
	}
	return s.derive.Request
}

// Unsaid is the first of what expressions want of each row that is no column of the rows; nil where all are.
func (s *Selection) Unsaid(column func(name string) bool) *features.RequestField {
	for i, f := range s.Request() {
		if !column(f.Name) {
			return &s.Request()[i]
		}
	}
	return nil
}

// Said appends what a row says for expressions, as a scratch file has it. cell gives a column's value as JSON. The error is
// fault.Invalid and names the column.
func (s *Selection) Said(dst []byte, cell func(f *events.FeatureField) (json.RawMessage, error)) ([]byte, error) {
	request := s.Request()
	for i := range request {
		f := &request[i].FeatureField
		raw, err := cell(f)
		var v features.Value
		if err == nil {
			v, err = features.RequestValue(f, raw)
		}
		if err != nil {
			return dst, err
		}
		dst = appendValue(dst, &v)
	}
	return dst, nil
}

// heard reads what Said wrote.
func (s *Selection) heard(b []byte, said []features.Operand) {
	for i, f := range s.Request() {
		v := features.Value{Type: features.Type(f.Type)}
		b = readValue(b, &v)
		said[i] = features.OperandOf(&v)
	}
}

// finish makes of what was read, and of what the row says, the features in order.
func (s *Selection) finish(read []features.Value, said []features.Operand) []features.Value {
	if s.derive == nil {
		return read
	}
	return s.derive.Finish(nil, read, said)
}

// blank is what is read, of nobody.
func (s *Selection) blank() []features.Value {
	values := make([]features.Value, len(s.columns))
	for i, c := range s.columns {
		values[i] = features.Value{Name: c.name, Type: c.typ, Status: features.NotFound}
	}
	return values
}

// Needs are the columns of ids that rows must have.
func (s *Selection) Needs() (all []string) {
	for _, e := range entities {
		if s.needs(e) {
			all = append(all, string(e)+"_id")
		}
	}
	for _, x := range s.keys {
		for _, k := range x.JoinKeys {
			if k.Name != features.NobodysKey && !slices.Contains(all, k.Name) {
				all = append(all, k.Name)
			}
		}
	}
	return all
}

func (s *Selection) needs(e features.Entity) bool { return s.computed != nil && s.computed.Needs(e) }

// Pushed says whether any of the features is of pushed values.
func (s *Selection) Pushed() bool { return len(s.pushed) > 0 }

// Externals are the views of pushed values that the features are of.
func (s *Selection) Externals() (all []*features.External) {
	for i := range s.pushed {
		all = append(all, s.pushed[i].view)
	}
	return all
}

// Row asks for features as of a moment.
type Row struct {
	features.Row
	Keys []string // whom the row is about by each set of join keys of the selection, see [Selection.EntityKeys]; "" is nobody
	Said []byte   // what it says for expressions, see [Selection.Said]; empty where they want nothing
}

// EntityKeys appends whom a row is about, by each set of join keys. cell gives the value of a join key as JSON. The error is
// fault.Invalid and names the join key.
func (s *Selection) EntityKeys(dst []string, cell func(k *events.FeatureField) json.RawMessage) ([]string, error) {
	for _, x := range s.keys {
		key, err := x.EntityKey(func(name string) json.RawMessage { return cell(x.JoinKey(name)) })
		if err != nil {
			return dst, err
		}
		dst = append(dst, key)
	}
	return dst, nil
}
