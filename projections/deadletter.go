package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// DeadLetters is the events reactors gave up on.
//
//	d id -> DeadLetter      c -> number of them     s state written id -> id     a written id -> id
type DeadLetters struct{ r fold.Reader }

// NewDeadLetters makes the view "deadletters".
func NewDeadLetters() *DeadLetters { return &DeadLetters{} }

// DeadLetterOpen is the state of a dead letter nobody has resolved; after that it is the resolution,
// "retried" or "dropped".
const DeadLetterOpen = "open"

// DeadLetter is one event a reactor gave up on.
type DeadLetter struct {
	events.DeadLettered
	State          string `json:"state"`
	ResolvedReason string `json:"resolved_reason,omitempty"`
	ResolvedBy     string `json:"resolved_by,omitempty"` // actor
	ResolvedMillis int64  `json:"resolved_millis,omitempty"`
	fold.Stamp
}

var deadLetterDocs = fold.Documents[DeadLetter]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.DeadLettered:
			return x.DeadLetterID, true
		case *events.DeadLetterResolved:
			return x.DeadLetterID, true
		}
		return "", false
	},
	Fold: func(d *DeadLetter, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.DeadLettered: // again, after a retry that failed: open again
			d.DeadLettered, d.State = *x, DeadLetterOpen
			d.ResolvedReason, d.ResolvedBy, d.ResolvedMillis = "", "", 0
		case *events.DeadLetterResolved:
			d.DeadLetterID, d.State, d.ResolvedReason = x.DeadLetterID, x.Resolution, x.Reason
			d.ResolvedBy, d.ResolvedMillis = in.Event.Actor, in.Event.Time.UnixMilli()
		}
	},
	Index: func(d *DeadLetter) []fold.Key {
		return []fold.Key{
			fold.Table('s').Str(d.State).Millis(d.CreatedMillis).Str(d.DeadLetterID),
			fold.Table('a').Millis(d.CreatedMillis).Str(d.DeadLetterID),
		}
	},
	Stamp: func(d *DeadLetter) *fold.Stamp { return &d.Stamp },
}

func (*DeadLetters) Spec() fold.Spec {
	return fold.Spec{Name: "deadletters", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *DeadLetters) Open(r fold.Reader) error                 { v.r = r; return nil }
func (*DeadLetters) Flush(fold.Writer) error                    { return nil }
func (*DeadLetters) Apply(w fold.Writer, in []fold.Input) error { return deadLetterDocs.Apply(w, in) }

// DeadLetter reads one dead letter.
func (v *DeadLetters) DeadLetter(id string) (DeadLetter, bool, error) {
	return deadLetterDocs.Get(v.r, id)
}

// Count is the number of dead letters, resolved or not.
func (v *DeadLetters) Count() (int64, error) { return deadLetterDocs.Number(v.r) }

// List pages through the dead letters in a state ("": any), newest first.
func (v *DeadLetters) List(state string, q fold.PageQuery) (fold.Page[DeadLetter], error) {
	if state == "" {
		return deadLetterDocs.Paginate(v.r, fold.Table('a'), true, q, nil)
	}
	return deadLetterDocs.Paginate(v.r, fold.Table('s').Str(state), true, q, nil)
}

// FoldDeadLetter folds what at admits of a "dead-letter/ID" stream; false when that is nothing.
func FoldDeadLetter(commits iter.Seq2[*streams.Committed, error], at fold.At) (DeadLetter, bool, error) {
	return deadLetterDocs.FoldStream(commits, at)
}
