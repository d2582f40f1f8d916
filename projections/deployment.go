package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Deployments is which model version serves each slot, and which did before.
//
//	d slot -> Slot
//	h slot offset index -> Deployment
type Deployments struct{ r Reader }

// NewDeployments makes the view "deployments".
func NewDeployments() *Deployments { return &Deployments{} }

// Slot is a place a model is served from, such as "production".
type Slot struct {
	Slot        string     `json:"slot"`
	Current     Deployment `json:"current"`
	Deployments int64      `json:"deployments"` // so far
	Stamp
}

// Deployment is one change of what a slot serves.
type Deployment struct {
	events.ModelDeployed
	Origin
}

var slotDocs = docs[Slot]{
	table: 'd',
	id: func(in *Input) (string, bool) {
		x, ok := in.Event.Data.(*events.ModelDeployed)
		if !ok {
			return "", false
		}
		return x.Slot, true
	},
	fold: func(s *Slot, in *Input) {
		x := in.Event.Data.(*events.ModelDeployed)
		s.Slot, s.Current = x.Slot, Deployment{*x, originOf(in)}
		s.Deployments++
	},
	stamp: func(s *Slot) *Stamp { return &s.Stamp },
}

func (*Deployments) Spec() Spec {
	return Spec{Name: "deployments", Format: 1, Topics: ledgerTopics, Indexed: true}
}

func (v *Deployments) Open(r Reader) error { v.r = r; return nil }
func (*Deployments) Flush(Writer) error    { return nil }

func (*Deployments) Apply(w Writer, in []Input) error {
	if err := slotDocs.apply(w, in); err != nil {
		return err
	}
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.ModelDeployed); ok {
			if err := setJSON(w, Table('h').Str(x.Slot).entry(&in[i]), Deployment{*x, originOf(&in[i])}); err != nil {
				return PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

// entry appends the input's place in the ledger.
func (k Key) entry(in *Input) Key { return k.U64(uint64(in.Position.Offset)).U32(uint32(in.Index)) }

// Slot reads one slot.
func (v *Deployments) Slot(slot string) (Slot, bool, error) { return slotDocs.get(v.r, slot) }

// Slots are all slots, by name.
func (v *Deployments) Slots() iter.Seq2[Slot, error] { return slotDocs.all(v.r) }

// At reads what the slot served at a moment; false if nothing yet.
func (v *Deployments) At(slot string, at At) (Deployment, bool, error) {
	prefix := Table('h').Str(slot)
	for kv, err := range v.r.ScanBack(prefix, prefix.End()) {
		var d Deployment
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
	return Deployment{}, false, nil
}

// History pages through a slot's deployments that at admits, newest first.
func (v *Deployments) History(slot string, at At, q PageQuery) (Page[Deployment], error) {
	return pageJSON(v.r, Table('h').Str(slot), true, q, func(d *Deployment) (bool, error) { return d.admitted(at) })
}

// FoldSlot folds what at admits of a "deployment/SLOT" stream; false when that is nothing.
func FoldSlot(commits iter.Seq2[*streams.Committed, error], at At) (Slot, bool, error) {
	return slotDocs.foldStream(commits, at)
}
