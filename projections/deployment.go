package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Deployments is which model version serves each slot, and which did before.
//
//	d slot -> Slot
//	h slot offset index -> Deployment
type Deployments struct{ r fold.Reader }

// NewDeployments makes the view "deployments".
func NewDeployments() *Deployments { return &Deployments{} }

// Slot is a place a model is served from, such as [events.ProductionSlot].
type Slot struct {
	Slot        string     `json:"slot"`
	Current     Deployment `json:"current"`
	Deployments int64      `json:"deployments"` // so far
	fold.Stamp
}

// Deployment is one change of what a slot serves.
type Deployment struct {
	events.ModelDeployed
	fold.Origin
}

var slotDocs = fold.Documents[Slot]{
	Table: 'd',
	ID: func(in *fold.Input) (string, bool) {
		x, ok := in.Event.Data.(*events.ModelDeployed)
		if !ok {
			return "", false
		}
		return x.Slot, true
	},
	Fold: func(s *Slot, in *fold.Input) {
		x := in.Event.Data.(*events.ModelDeployed)
		s.Slot, s.Current = x.Slot, Deployment{*x, fold.OriginOf(in)}
		s.Deployments++
	},
	Stamp: func(s *Slot) *fold.Stamp { return &s.Stamp },
}

func (*Deployments) Spec() fold.Spec {
	return fold.Spec{Name: "deployments", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Deployments) Open(r fold.Reader) error { v.r = r; return nil }
func (*Deployments) Flush(fold.Writer) error    { return nil }

func (*Deployments) Apply(w fold.Writer, in []fold.Input) error {
	if err := slotDocs.Apply(w, in); err != nil {
		return err
	}
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.ModelDeployed); ok {
			if err := fold.SetJSON(w, fold.Table('h').Str(x.Slot).Entry(&in[i]), Deployment{*x, fold.OriginOf(&in[i])}); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

// Slot reads one slot.
func (v *Deployments) Slot(slot string) (Slot, bool, error) { return slotDocs.Get(v.r, slot) }

// Slots are all slots, by name.
func (v *Deployments) Slots() iter.Seq2[Slot, error] { return slotDocs.All(v.r) }

// At reads what the slot served at a moment; false if nothing yet.
func (v *Deployments) At(slot string, at fold.At) (Deployment, bool, error) {
	prefix := fold.Table('h').Str(slot)
	for kv, err := range v.r.ScanBack(prefix, prefix.End()) {
		var d Deployment
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &d)
		}
		if err != nil {
			return d, false, err
		}
		if ok, err := d.AdmittedBy(at); ok || err != nil {
			return d, ok, err
		}
	}
	return Deployment{}, false, nil
}

// History pages through a slot's deployments that at admits, newest first.
func (v *Deployments) History(slot string, at fold.At, q fold.PageQuery) (fold.Page[Deployment], error) {
	return fold.PageJSON(v.r, fold.Table('h').Str(slot), true, q, func(d *Deployment) (bool, error) { return d.AdmittedBy(at) })
}
