package projections

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections/fold"
)

// Pools are part of the view [Workflows].

// Pool is how many tasks may be at work at once that name it.
type Pool struct {
	Name            string `json:"name"`
	Slots           int    `json:"slots"` // -1: any number
	Description     string `json:"description"`
	IncludeDeferred bool   `json:"include_deferred"`
	Actor           string `json:"actor,omitempty"` // who defined it last
	MadeOffset      int64  `json:"made_offset"`     // of the ledger, when it was defined and was not before
	Removed         bool   `json:"removed,omitempty"`
	fold.Stamp
}

var poolDocs = fold.Documents[Pool]{
	Table: 'P',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.PoolDefined:
			return x.Pool, true
		case *events.PoolRemoved:
			return x.Pool, true
		}
		return "", false
	},
	Fold: func(p *Pool, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.PoolDefined:
			if (p.Name == "" || p.Removed) && x.Pool != events.PoolDefault {
				p.MadeOffset = in.Position.Offset
			}
			p.Name, p.Slots, p.Description, p.IncludeDeferred, p.Actor, p.Removed = x.Pool, x.Slots, x.Description, x.IncludeDeferred, in.Event.Actor, false
		case *events.PoolRemoved:
			p.Name, p.Removed = x.Pool, true
		}
	},
	Stamp: func(p *Pool) *fold.Stamp { return &p.Stamp },
}

// Pools are all there are, the default one among them, by name.
func (v *Workflows) Pools() ([]Pool, error) {
	all := []Pool{}
	if _, ok, err := poolDocs.Get(v.r, events.PoolDefault); err != nil {
		return nil, err
	} else if !ok {
		all = append(all, Pool{Name: events.PoolDefault, Slots: events.PoolSlotsDefault, Description: "Default pool"})
	}
	for p, err := range poolDocs.All(v.r) {
		if err != nil {
			return nil, err
		}
		if !p.Removed {
			all = append(all, p)
		}
	}
	sortPools(all)
	return all, nil
}

// PoolUse is how many slots tasks have, and wait for.
type PoolUse struct {
	Running int `json:"running_slots"`
	Waiting int `json:"waiting_slots"`
}

// PoolUse is the use of each pool by the runs that go on.
func (w *DefinedWorkflows) PoolUse() (map[string]PoolUse, error) {
	active, err := fold.Of[*Workflows](w.Views).Active()
	if err != nil {
		return nil, err
	}
	use := map[string]PoolUse{}
	for i := range active {
		d, err := w.Under(&active[i])
		if err != nil {
			continue // its run waits for a definition that can be used
		}
		for name, state := range active[i].States(d) {
			t := d.Task(name)
			u := use[t.Pool]
			switch state {
			case workflow.Running:
				u.Running += t.PoolSlots
			case workflow.Queued:
				u.Waiting += t.PoolSlots
			}
			use[t.Pool] = u
		}
	}
	return use, nil
}

func sortPools(all []Pool) {
	slices.SortFunc(all, func(a, b Pool) int { return strings.Compare(a.Name, b.Name) })
}
