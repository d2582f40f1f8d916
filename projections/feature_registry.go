package projections

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// FeatureRegistry is what is declared through Feast's registry.
//
//	P E S V F name -> Declared: projects, entities and sources (PROJECT.NAME), views, services
//	p e s v f name offset index -> Declared: what it was from there on
//	n -> the place of the last event
type FeatureRegistry struct{ r fold.Reader }

// NewFeatureRegistry makes the view "feature-registry".
func NewFeatureRegistry() *FeatureRegistry { return &FeatureRegistry{} }

// Declared is the last that was declared under a name.
type Declared[T any] struct {
	Is      T    `json:"is"`
	Deleted bool `json:"deleted,omitempty"`
	fold.Stamp
}

func (*FeatureRegistry) Spec() fold.Spec {
	return fold.Spec{Name: "feature-registry", Format: 2, Indexed: true, Topics: fold.LedgerTopics}
}

func (v *FeatureRegistry) Open(r fold.Reader) error { v.r = r; return nil }
func (*FeatureRegistry) Flush(fold.Writer) error    { return nil }

// declaredDocs are the documents of one kind. word is what an event declares, or nil with the name that it takes away.
func declaredDocs[T any](table byte, word func(events.Data) (name string, is *T)) *fold.Documents[Declared[T]] {
	return &fold.Documents[Declared[T]]{
		Table: table,
		ID: func(in *fold.Input) (string, bool) {
			name, _ := word(in.Event.Data)
			return name, name != ""
		},
		Fold: func(d *Declared[T], in *fold.Input) {
			_, is := word(in.Event.Data)
			if d.Deleted = is == nil; is != nil {
				d.Is = *is
			}
		},
		Stamp: func(d *Declared[T]) *fold.Stamp { return &d.Stamp },
		Beside: func(w fold.Writer, _, after *Declared[T], in *fold.Input) error {
			name, _ := word(in.Event.Data)
			return fold.SetJSON(w, fold.Table(wasTable(table)).Str(name).Entry(in), after)
		},
	}
}

// wasTable has what the documents of a table were.
func wasTable(table byte) byte { return table - 'A' + 'a' }

var (
	declaredProjects = declaredDocs('P', func(d events.Data) (string, *events.FeatureProjectApplied) {
		switch x := d.(type) {
		case *events.FeatureProjectApplied:
			return x.DeclaredName(), x
		case *events.FeatureProjectDeleted:
			return x.Project, nil
		}
		return "", nil
	})
	declaredEntities = declaredDocs('E', func(d events.Data) (string, *events.FeatureEntityApplied) {
		switch x := d.(type) {
		case *events.FeatureEntityApplied:
			return x.DeclaredName(), x
		case *events.FeatureEntityDeleted:
			return x.Project + "." + x.Entity, nil
		}
		return "", nil
	})
	declaredSources = declaredDocs('S', func(d events.Data) (string, *events.FeatureSourceApplied) {
		switch x := d.(type) {
		case *events.FeatureSourceApplied:
			return x.DeclaredName(), x
		case *events.FeatureSourceDeleted:
			return events.FeatureSourceID(x.Project, x.Source), nil
		}
		return "", nil
	})
	declaredViews = declaredDocs('V', func(d events.Data) (string, *events.FeatureViewApplied) {
		switch x := d.(type) {
		case *events.FeatureViewApplied:
			return x.DeclaredName(), x
		case *events.FeatureViewDeleted:
			return x.View, nil
		}
		return "", nil
	})
	declaredServices = declaredDocs('F', func(d events.Data) (string, *events.FeatureServiceApplied) {
		switch x := d.(type) {
		case *events.FeatureServiceApplied:
			return x.DeclaredName(), x
		case *events.FeatureServiceDeleted:
			return x.Service, nil
		}
		return "", nil
	})
)

func (v *FeatureRegistry) Apply(w fold.Writer, in []fold.Input) error {
	for _, docs := range []interface {
		Apply(fold.Writer, []fold.Input) error
	}{declaredProjects, declaredEntities, declaredSources, declaredViews, declaredServices} {
		if err := docs.Apply(w, in); err != nil {
			return err
		}
	}
	for i := range in {
		if in[i].Event == nil || !declares(in[i].Event.Data) {
			continue
		}
		if err := w.Set(fold.Table('n'), fold.Key{}.U64(uint64(in[i].Position.Offset)).U32(uint32(in[i].Index))); err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

func declares(d events.Data) bool {
	switch d.(type) {
	case *events.FeatureProjectApplied, *events.FeatureProjectDeleted, *events.FeatureEntityApplied, *events.FeatureEntityDeleted, *events.FeatureSourceApplied,
		*events.FeatureSourceDeleted, *events.FeatureViewApplied, *events.FeatureViewDeleted, *events.FeatureServiceApplied, *events.FeatureServiceDeleted:
		return true
	}
	return false
}

// Declarations are all that is declared, each kind by name.
type Declarations struct {
	Projects []Declared[events.FeatureProjectApplied]
	Entities []Declared[events.FeatureEntityApplied]
	Sources  []Declared[events.FeatureSourceApplied]
	Views    []Declared[events.FeatureViewApplied]
	Services []Declared[events.FeatureServiceApplied]
}

// Named are the projects that something is declared in, by name.
func (d *Declarations) Named() (all []string) {
	for i := range d.Entities {
		all = append(all, d.Entities[i].Is.Project)
	}
	for i := range d.Sources {
		all = append(all, d.Sources[i].Is.Project)
	}
	for i := range d.Views {
		all = append(all, d.Views[i].Is.Project)
	}
	for i := range d.Services {
		all = append(all, d.Services[i].Is.Project)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Changed is the place of the last event in the ledger that the declarations are folded from; "" is none.
func (v *FeatureRegistry) Changed() (string, error) {
	raw, _, err := v.r.Get(fold.Table('n'))
	return string(raw), err
}

// Declarations reads all that is declared at a moment; the zero At is now.
func (v *FeatureRegistry) Declarations(at fold.At) (d Declarations, err error) {
	for _, read := range []func() error{
		func() (err error) { d.Projects, err = standing(v.r, declaredProjects, at); return err },
		func() (err error) { d.Entities, err = standing(v.r, declaredEntities, at); return err },
		func() (err error) { d.Sources, err = standing(v.r, declaredSources, at); return err },
		func() (err error) { d.Views, err = standing(v.r, declaredViews, at); return err },
		func() (err error) { d.Services, err = standing(v.r, declaredServices, at); return err },
	} {
		if err := read(); err != nil {
			return d, err
		}
	}
	return d, nil
}

func standing[T any](r fold.Reader, docs *fold.Documents[Declared[T]], at fold.At) (all []Declared[T], err error) {
	if at.IsZero() {
		for d, err := range docs.All(r) {
			if err != nil {
				return nil, err
			}
			if !d.Deleted {
				all = append(all, d)
			}
		}
		return all, nil
	}
	name, last := "", Declared[T]{Deleted: true}
	for n, d := range was[T](r, fold.Table(wasTable(docs.Table)), &err) {
		if n != name && !last.Deleted {
			all = append(all, last)
		}
		if n != name {
			name, last = n, Declared[T]{Deleted: true}
		}
		if at.Admits(d.UpdatedMillis, d.RecordedMillis, d.place()) {
			last = *d
		}
	}
	if !last.Deleted {
		all = append(all, last)
	}
	return all, err
}

// was yields what things were, below a prefix: by name, and of one in the order of the log. The first error goes to failed.
func was[T any](r fold.Reader, prefix fold.Key, failed *error) iter.Seq2[string, *Declared[T]] {
	return func(yield func(string, *Declared[T]) bool) {
		for kv, err := range r.Scan(prefix, prefix.End()) {
			d := &Declared[T]{}
			if err == nil {
				err = fold.DecodeJSON(kv.Value, d)
			}
			if err != nil {
				*failed = err
				return
			}
			if !yield(strings.Clone(fold.Parts(kv.Key).Str()), d) {
				return
			}
		}
	}
}

// place is that of the event that says so.
func (d *Declared[T]) place() streams.Position {
	return streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: d.Offset}
}

// ViewsWere yields what the views of pushed values were, with those that were deleted: by name, and of one in the order of the log. The first error
// goes to failed.
func (v *FeatureRegistry) ViewsWere(failed *error) iter.Seq2[string, *Declared[events.FeatureViewApplied]] {
	return was[events.FeatureViewApplied](v.r, fold.Table(wasTable(declaredViews.Table)), failed)
}

// External is an applied view as features are read from it.
func External(e *events.FeatureViewApplied) *features.External {
	x := &features.External{Name: e.View, Project: e.Project, Entities: e.Entities, JoinKeys: e.JoinKeys, TTLMillis: e.TTLMillis,
		PushSource: e.PushSource, TimeColumn: e.TimeColumn, CreatedIn: e.CreatedIn, Description: e.Description, Features: e.Features}
	return x.Index()
}

// declaration says what one of the registry's events says.
func declaration(d events.Data) string {
	switch x := d.(type) {
	case *events.FeatureProjectApplied:
		return "feature project " + x.Project + " applied"
	case *events.FeatureProjectDeleted:
		return "feature project " + x.Project + " deleted"
	case *events.FeatureEntityApplied:
		return "feature entity " + x.Entity + " applied: " + x.JoinKey
	case *events.FeatureEntityDeleted:
		return "feature entity " + x.Entity + " deleted"
	case *events.FeatureSourceApplied:
		return "feature source " + x.Source + " applied"
	case *events.FeatureSourceDeleted:
		return "feature source " + x.Source + " deleted"
	case *events.FeatureViewApplied:
		return fmt.Sprintf("feature view %s applied: %d features of pushed values", x.View, len(x.Features))
	case *events.FeatureViewDeleted:
		return "feature view " + x.View + " deleted"
	case *events.FeatureServiceApplied:
		return fmt.Sprintf("feature service %s applied: %d features", x.Service, len(x.Features))
	case *events.FeatureServiceDeleted:
		return "feature service " + x.Service + " deleted"
	}
	return ""
}
