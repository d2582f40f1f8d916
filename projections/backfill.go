package projections

import (
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Backfills are part of the view [Workflows].

// Backfill is one, with what it has come to: running, done or cancelled.
type Backfill struct {
	events.BackfillRequested
	Actor           string `json:"actor,omitempty"` // who asked for it
	State           string `json:"state"`
	Reason          string `json:"reason,omitempty"`
	RequestedMillis int64  `json:"requested_millis"`
	RequestedOffset int64  `json:"requested_offset"` // of the ledger: it goes by the schedule in force there
	EndedMillis     int64  `json:"ended_millis,omitempty"`
	EndedBy         string `json:"ended_by,omitempty"`
	fold.Stamp
}

var backfillDocs = fold.Documents[Backfill]{
	Table: 'B',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.BackfillRequested:
			return x.BackfillID, true
		case *events.BackfillEnded:
			return x.BackfillID, true
		}
		return "", false
	},
	Fold: func(b *Backfill, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.BackfillRequested:
			b.BackfillRequested, b.Actor, b.State = *x, in.Event.Actor, StateRunning
			b.RequestedMillis, b.RequestedOffset = in.Event.Time.UnixMilli(), in.Position.Offset
		case *events.BackfillEnded:
			b.BackfillID, b.State, b.Reason, b.EndedMillis, b.EndedBy = x.BackfillID, x.State, x.Reason, in.Event.Time.UnixMilli(), in.Event.Actor
		}
	},
	Index: func(b *Backfill) []fold.Key {
		return []fold.Key{fold.Table('b').Millis(b.RequestedMillis).Str(b.BackfillID)}
	},
	Stamp: func(b *Backfill) *fold.Stamp { return &b.Stamp },
}

// Backfill reads one.
func (v *Workflows) Backfill(id string) (Backfill, bool, error) { return backfillDocs.Get(v.r, id) }

// Backfills pages through all, newest first.
func (v *Workflows) Backfills(q fold.PageQuery) (fold.Page[Backfill], error) {
	return backfillDocs.Paginate(v.r, fold.Table('b'), true, q, nil)
}

// OpenBackfills are the ids of those that go on.
func (v *Workflows) OpenBackfills() (ids []string, err error) {
	for b, err := range backfillDocs.All(v.r) {
		if err != nil {
			return nil, err
		}
		if b.State == StateRunning {
			ids = append(ids, b.BackfillID)
		}
	}
	return ids, nil
}
