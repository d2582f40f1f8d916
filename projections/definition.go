package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Definitions is the feature definitions in force, and all that were.
//
//	d offset index -> Definition       h hash offset index -> Definition
type Definitions struct{ r Reader }

// NewDefinitions makes the view "definitions".
func NewDefinitions() *Definitions { return &Definitions{} }

// Definition is one set of feature definitions as it was put in force.
type Definition struct {
	events.FeaturesDefined
	Revision streams.Revision `json:"revision"` // of its event in the stream "features/definitions"
	Origin
}

func (*Definitions) Spec() Spec {
	return Spec{Name: "definitions", Format: 1, Topics: ledgerTopics}
}

func (v *Definitions) Open(r Reader) error { v.r = r; return nil }
func (*Definitions) Flush(Writer) error    { return nil }

func (*Definitions) Apply(w Writer, in []Input) error {
	for i := range in {
		d, ok := definitionOf(&in[i])
		if !ok {
			continue
		}
		for _, k := range []Key{Table('d').entry(&in[i]), Table('h').Str(d.Hash).entry(&in[i])} {
			if err := setJSON(w, k, &d); err != nil {
				return PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func definitionOf(in *Input) (Definition, bool) {
	if in.Event == nil {
		return Definition{}, false
	}
	x, ok := in.Event.Data.(*events.FeaturesDefined)
	if !ok {
		return Definition{}, false
	}
	return Definition{*x, in.Revision, originOf(in)}, true
}

// Current reads the definitions in force; false if there are none yet.
func (v *Definitions) Current() (Definition, bool, error) { return v.At(At{}) }

// At reads the definitions in force at a moment.
func (v *Definitions) At(at At) (Definition, bool, error) { return v.last(Table('d'), at) }

// ByHash reads definitions by the hash that data sets and models name.
func (v *Definitions) ByHash(hash string) (Definition, bool, error) {
	return v.last(Table('h').Str(hash), At{})
}

func (v *Definitions) last(prefix Key, at At) (Definition, bool, error) {
	for kv, err := range v.r.ScanBack(prefix, prefix.End()) {
		var d Definition
		if err == nil {
			err = decodeJSON(kv.Value, &d)
		}
		if err != nil {
			return d, false, err
		}
		if ok, err := d.admitted(at); ok || err != nil {
			return d, ok, err
		}
	}
	return Definition{}, false, nil
}

// History pages through all definitions, newest first.
func (v *Definitions) History(q PageQuery) (Page[Definition], error) {
	return pageJSON[Definition](v.r, Table('d'), true, q, nil)
}

// FoldDefinitions folds what at admits of the stream "features/definitions"; false when that is nothing.
func FoldDefinitions(commits iter.Seq2[*streams.Committed, error], at At) (last Definition, ok bool, err error) {
	for in, err := range inputs(commits) {
		if err != nil {
			return last, false, err
		}
		if d, is := definitionOf(in); is && at.admits(in) {
			last, ok = d, true
		}
	}
	return last, ok, nil
}
