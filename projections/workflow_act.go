package projections

import (
	"encoding/binary"
	"encoding/json"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// What was done to workflows, their runs, tasks and variables, and what they did, is a list of acts in the view [Workflows]: one for each
// event but the renewals of leases. Airflow's clients read it as its event log.

// WorkflowAct is one of those events.
type WorkflowAct struct {
	Offset        int64 // of the ledger
	Index         int   // in its commit
	EventMillis   int64
	Type          string // of the event
	Actor         string
	Workflow      string // "" of a variable
	Run, Task     string // "" where it is of none
	Try           int    // 0 where it is of none
	LogicalMillis int64  // of the run; 0 where it is of none
	Note          string // what tells events of a type apart: run_type, state
	Extra         string // the event's payload in JSON, "" where the rest says it all, or it is over extraBytesMax
}

// extraBytesMax bounds the payload that is kept with an act. The log has it whole.
const extraBytesMax = 4096

func actOf(in *fold.Input, d events.Data) *WorkflowAct {
	return &WorkflowAct{Offset: in.Position.Offset, Index: in.Index, EventMillis: in.Event.Time.UnixMilli(), Type: d.EventType(), Actor: in.Event.Actor}
}

// logRun keeps the act that an event of a run is.
func logRun(w fold.Writer, before, after *WorkflowRun, in *fold.Input) error {
	a := actOf(in, in.Event.Data)
	a.Run, a.Workflow, a.LogicalMillis = after.RunID, after.Workflow, after.LogicalMillis
	switch x := in.Event.Data.(type) {
	case *events.TaskLeaseRenewed:
		return nil
	case *events.WorkflowRunRequested:
		a.Note = x.RunType
	case *events.TaskStarted:
		a.Task, a.Try = x.Task, x.Try
		return setAct(w, a)
	case *events.TaskSucceeded:
		a.Task, a.Try = x.Task, x.Try
		return setAct(w, a)
	case *events.TaskFailed:
		a.Task, a.Try = x.Task, x.Try
	case *events.TaskMarked:
		a.Task, a.Note = x.Task, x.State
	case *events.WorkflowNoted:
		a.Task = x.Task
	case *events.WorkflowRunEnded:
		a.Note = x.State
	case *events.WorkflowRunDeleted:
		a.Workflow, a.LogicalMillis = before.Workflow, before.LogicalMillis
	}
	return setExtra(w, a, in.Event.Data)
}

// logWorkflow keeps the act that an event of a workflow itself is.
func logWorkflow(w fold.Writer, after *Workflow, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.WorkflowRunRequested:
		return nil // it is the run's
	case *events.WorkflowDefined:
		a := actOf(in, x)
		a.Workflow, a.Extra = x.Workflow, `{"hash":"`+x.Hash+`"}`
		return setAct(w, a)
	}
	a := actOf(in, in.Event.Data)
	a.Workflow = after.Name
	return setAct(w, a)
}

func setExtra(w fold.Writer, a *WorkflowAct, d events.Data) error {
	raw, err := json.Marshal(d)
	if err != nil {
		return err
	}
	if len(raw) <= extraBytesMax {
		a.Extra = string(raw)
	}
	return setAct(w, a)
}

func setAct(w fold.Writer, a *WorkflowAct) error {
	head := a.encode()
	place := fold.Key(nil).U64(uint64(a.Offset)).U32(uint32(a.Index))
	at := append(fold.Table('E'), place...)
	if _, ok, err := w.Get(at); err != nil || ok { // what comes again is in the list
		return err
	}
	if err := w.Set(at, append(head, a.Extra...)); err != nil {
		return err
	}
	if a.Workflow != "" {
		if err := w.Set(append(fold.Table('F').Str(a.Workflow), place...), head); err != nil {
			return err
		}
	}
	return addTo(w, fold.Table('M'), 1)
}

// encode is an act without its place and extra.
func (a *WorkflowAct) encode() []byte {
	b := make([]byte, 0, 128)
	for _, s := range []string{a.Type, a.Actor, a.Workflow, a.Run, a.Task, a.Note} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	for _, n := range []int64{a.EventMillis, a.LogicalMillis, int64(a.Try)} {
		b = binary.AppendVarint(b, n)
	}
	return b
}

// readAct reads an act that is stored; its strings are names' where that has them.
func readAct(r *digestReader, kv fold.KV) (a WorkflowAct, err error) {
	if len(kv.Key) < 12 {
		return a, fold.ErrKey
	}
	place := fold.PartsOf(kv.Key[len(kv.Key)-12:])
	a.Offset, a.Index = int64(place.U64()), int(place.U32())
	r.b, r.bad = kv.Value, false
	a.Type, a.Actor, a.Workflow, a.Run, a.Task, a.Note = r.name(), r.name(), r.name(), r.name(), r.name(), r.name()
	a.EventMillis, a.LogicalMillis, a.Try = r.number(), r.number(), int(r.number())
	if r.bad {
		return a, fold.ErrKey
	}
	a.Extra = string(r.b)
	return a, nil
}

// Act is the act of a place in the ledger.
func (v *Workflows) Act(offset int64, index int) (WorkflowAct, bool, error) {
	key := fold.Table('E').U64(uint64(offset)).U32(uint32(index))
	raw, ok, err := v.r.Get(key)
	if err != nil || !ok {
		return WorkflowAct{}, false, err
	}
	a, err := readAct(&digestReader{}, fold.KV{Key: key, Value: raw})
	return a, err == nil, err
}

// ActQuery asks for acts. Keep nil lets all through, of Workflow where that is not "". Without Order they come as in the log.
type ActQuery struct {
	Workflow string
	Keep     func(*WorkflowAct) bool // it may look at all but Extra, and keep nothing
	Order    func(a, b *WorkflowAct) int
	Back     bool
	Page
}

// Acts are those of a page, and how many there are in all.
func (v *Workflows) Acts(q *ActQuery) (items []WorkflowAct, total int64, err error) {
	prefix := fold.Table('E')
	if q.Workflow != "" {
		prefix = fold.Table('F').Str(q.Workflow)
	}
	known := q.Keep == nil && q.Workflow == "" // how many there are
	if known {
		if _, err := fold.GetJSON(v.r, fold.Table('M'), &total); err != nil {
			return nil, 0, err
		}
	}
	scan := v.r.Scan
	if q.Back && q.Order == nil {
		scan = v.r.ScanBack
	}
	top := newTop[WorkflowAct](q.Page, q.Order, q.Back)
	r, seen := &digestReader{}, int64(0)
	for kv, err := range scan(prefix, prefix.End()) {
		if err != nil {
			return nil, 0, err
		}
		if q.Keep == nil && q.Order == nil { // what is passed over need not be read
			if seen++; seen <= q.Offset || seen > q.Offset+q.Limit {
				if known && seen > q.Offset+q.Limit {
					break
				}
				continue
			}
			a, err := readAct(r, kv)
			if err != nil {
				return nil, 0, err
			}
			items = append(items, a)
			continue
		}
		a, err := readAct(r, kv)
		if err != nil {
			return nil, 0, err
		}
		if q.Keep == nil || q.Keep(&a) {
			seen++
			top.add(a)
		}
	}
	if q.Keep != nil || q.Order != nil {
		items = top.page()
	}
	if q.Workflow != "" { // their rows have no extra
		for i := range items {
			whole, ok, err := v.Act(items[i].Offset, items[i].Index)
			if err != nil {
				return nil, 0, err
			}
			if ok {
				items[i] = whole
			}
		}
	}
	if !known {
		total = seen
	}
	return items, total, nil
}

// Page is a piece of a list: Limit items, after Offset of them.
type Page struct{ Offset, Limit int64 }

// top keeps of what it is given, in its order, as much as a page needs.
type top[T any] struct {
	Page
	order func(a, b *T) int // nil: that of coming
	back  bool
	all   []T
}

func newTop[T any](p Page, order func(a, b *T) int, back bool) *top[T] {
	return &top[T]{Page: p, order: order, back: back}
}

// topSlack is how many more are kept than are needed before they are sorted.
const topSlack = 4096

func (t *top[T]) add(v T) {
	needed := t.Offset + t.Limit
	if t.order == nil && int64(len(t.all)) >= needed {
		return
	}
	if t.all = append(t.all, v); int64(len(t.all)) >= 2*needed+topSlack {
		t.sort()
		t.all = t.all[:needed]
	}
}

// sort is stable: what is alike stays as it came.
func (t *top[T]) sort() {
	if t.order == nil {
		return
	}
	slices.SortStableFunc(t.all, func(a, b T) int {
		if t.back {
			return t.order(&b, &a)
		}
		return t.order(&a, &b)
	})
}

func (t *top[T]) page() []T {
	t.sort()
	from := min(t.Offset, int64(len(t.all)))
	return t.all[from:min(from+t.Limit, int64(len(t.all)))]
}
