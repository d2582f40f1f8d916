package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Definitions is the definitions in force, of features and of what acts mean, and all that were.
//
//	d offset index -> Definition       h hash offset index -> Definition       s offset index -> SignalsDefinition
type Definitions struct{ r fold.Reader }

// NewDefinitions makes the view "definitions".
func NewDefinitions() *Definitions { return &Definitions{} }

// Definition is one set of feature definitions as it was put in force.
type Definition struct {
	events.FeaturesDefined
	Revision streams.Revision `json:"revision"` // of its event in the stream "features/definitions"
	fold.Origin
}

func (*Definitions) Spec() fold.Spec {
	return fold.Spec{Name: "definitions", Format: 1, Topics: fold.LedgerTopics}
}

func (v *Definitions) Open(r fold.Reader) error { v.r = r; return nil }
func (*Definitions) Flush(fold.Writer) error    { return nil }

func (*Definitions) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if s, ok := signalsOf(&in[i]); ok {
			if err := fold.SetJSON(w, fold.Table('s').Entry(&in[i]), &s); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
		d, ok := definitionOf(&in[i])
		if !ok {
			continue
		}
		for _, k := range []fold.Key{fold.Table('d').Entry(&in[i]), fold.Table('h').Str(d.Hash).Entry(&in[i])} {
			if err := fold.SetJSON(w, k, &d); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func definitionOf(in *fold.Input) (Definition, bool) {
	x, ok := in.Event.Data.(*events.FeaturesDefined)
	if !ok {
		return Definition{}, false
	}
	return Definition{*x, in.Revision, fold.OriginOf(in)}, true
}

// Current reads the definitions in force; false if there are none yet.
func (v *Definitions) Current() (Definition, bool, error) { return v.At(fold.At{}) }

// At reads the definitions in force at a moment.
func (v *Definitions) At(at fold.At) (Definition, bool, error) {
	return lastAdmitted[Definition](v.r, fold.Table('d'), at)
}

// ByHash reads definitions by the hash that data sets and models name.
func (v *Definitions) ByHash(hash string) (Definition, bool, error) {
	return lastAdmitted[Definition](v.r, fold.Table('h').Str(hash), fold.At{})
}

// lastAdmitted reads the last document below a prefix that was there at a moment.
func lastAdmitted[T any, P interface {
	*T
	AdmittedBy(fold.At) (bool, error)
}](r fold.Reader, prefix fold.Key, at fold.At) (d T, ok bool, err error) {
	for kv, err := range r.ScanBack(prefix, prefix.End()) {
		var d T
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &d)
		}
		if err != nil {
			return d, false, err
		}
		if ok, err := P(&d).AdmittedBy(at); ok || err != nil {
			return d, ok, err
		}
	}
	return d, false, nil
}

// All yields all definitions in the order of the log.
func (v *Definitions) All() iter.Seq2[Definition, error] {
	return func(yield func(Definition, error) bool) {
		for kv, err := range v.r.Scan(fold.Table('d'), fold.Table('d').End()) {
			var d Definition
			if err == nil {
				err = fold.DecodeJSON(kv.Value, &d)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// History pages through all definitions, newest first.
func (v *Definitions) History(q fold.PageQuery) (fold.Page[Definition], error) {
	return fold.PageJSON[Definition](v.r, fold.Table('d'), true, q, nil)
}

// FoldDefinitions folds what at admits of the stream "features/definitions"; false when that is nothing.
func FoldDefinitions(commits iter.Seq2[*streams.Committed, error], at fold.At) (last Definition, ok bool, err error) {
	for in, err := range fold.Inputs(commits, at) {
		if err != nil {
			return last, false, err
		}
		if d, is := definitionOf(in); is {
			last, ok = d, true
		}
	}
	return last, ok, nil
}
