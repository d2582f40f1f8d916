package projections

import (
	"encoding/json"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Operations is the long work that goes on whether anybody follows it or not: verifications, backups, imports and the like.
//
//	d id -> Operation      c -> number of them
//	s started id -> id     k kind started id -> id     r started id -> id, of those that have not ended
type Operations struct{ r fold.Reader }

// NewOperations makes the view "operations".
func NewOperations() *Operations { return &Operations{} }

// OperationRunning is the state of an operation that has not ended, as far as the log knows; after that it is how it ended.
const OperationRunning = "running"

// Operation is one long piece of work. All times are event times; 0 is not yet.
type Operation struct {
	OperationID   string          `json:"operation_id"`
	Kind          string          `json:"kind"`
	State         string          `json:"state"`
	Actor         string          `json:"actor,omitempty"` // who wanted it
	EndedBy       string          `json:"ended_by,omitempty"`
	Holder        string          `json:"holder"`
	Request       json.RawMessage `json:"request,omitempty"`
	Result        json.RawMessage `json:"result,omitempty"`
	ResultBytes   int64           `json:"result_bytes,omitempty"` // of all of it; it is left out where it is long
	Error         string          `json:"error,omitempty"`
	StartedMillis int64           `json:"started_millis"`
	EndedMillis   int64           `json:"ended_millis,omitempty"`
	fold.Stamp
}

var operationDocs = fold.Documents[Operation]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.OperationStarted:
			return x.OperationID, true
		case *events.OperationEnded:
			return x.OperationID, true
		}
		return "", false
	},
	Fold: func(o *Operation, in *fold.Input) {
		millis := in.Event.Time.UnixMilli()
		switch x := in.Event.Data.(type) {
		case *events.OperationStarted:
			o.OperationID, o.Kind, o.Request, o.Holder = x.OperationID, x.Kind, x.Request, x.Holder
			o.State, o.Actor, o.StartedMillis = OperationRunning, in.Event.Actor, millis
		case *events.OperationEnded:
			o.OperationID, o.State, o.Result, o.ResultBytes, o.Error = x.OperationID, x.State, x.Result, x.ResultBytes, x.Error
			o.EndedBy, o.EndedMillis = in.Event.Actor, millis
		}
	},
	Index: func(o *Operation) []fold.Key {
		keys := []fold.Key{
			fold.Table('s').Millis(o.StartedMillis).Str(o.OperationID),
			fold.Table('k').Str(o.Kind).Millis(o.StartedMillis).Str(o.OperationID),
		}
		if o.State == OperationRunning {
			keys = append(keys, fold.Table('r').Millis(o.StartedMillis).Str(o.OperationID))
		}
		return keys
	},
	Stamp: func(o *Operation) *fold.Stamp { return &o.Stamp },
}

func (*Operations) Spec() fold.Spec {
	return fold.Spec{Name: "operations", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Operations) Open(r fold.Reader) error                 { v.r = r; return nil }
func (*Operations) Flush(fold.Writer) error                    { return nil }
func (*Operations) Apply(w fold.Writer, in []fold.Input) error { return operationDocs.Apply(w, in) }

// Operation reads one operation.
func (v *Operations) Operation(id string) (Operation, bool, error) {
	return operationDocs.Get(v.r, id)
}

// operationListedMax bounds a result in a list, in bytes.
const operationListedMax = 32 << 10

// List pages through the operations of a kind ("": any), newest first. Results of more than 32 KiB are left out.
func (v *Operations) List(kind string, q fold.PageQuery) (fold.Page[Operation], error) {
	prefix := fold.Table('s')
	if kind != "" {
		prefix = fold.Table('k').Str(kind)
	}
	return operationDocs.Paginate(v.r, prefix, true, q, func(o *Operation) bool {
		if len(o.Result) > operationListedMax {
			o.Result = nil
		}
		return true
	})
}

// Running pages through the operations that have not ended, newest first.
func (v *Operations) Running(q fold.PageQuery) (fold.Page[Operation], error) {
	return operationDocs.Paginate(v.r, fold.Table('r'), true, q, nil)
}

// FoldOperation folds what at admits of an "operation/ID" stream; false when that is nothing.
func FoldOperation(commits iter.Seq2[*streams.Committed, error], at fold.At) (Operation, bool, error) {
	return operationDocs.FoldStream(commits, at)
}
