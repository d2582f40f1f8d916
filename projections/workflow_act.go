package projections

import (
	"cmp"
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
	return addTo(w, fold.Table('G').Str(a.Workflow), 1)
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

// readAct reads an act that is stored, without its extra.
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
	return a, nil
}

// Act is the act of a place in the ledger.
func (v *Workflows) Act(offset int64, index int) (WorkflowAct, bool, error) {
	key := fold.Table('E').U64(uint64(offset)).U32(uint32(index))
	raw, ok, err := v.r.Get(key)
	if err != nil || !ok {
		return WorkflowAct{}, false, err
	}
	r := &digestReader{}
	a, err := readAct(r, fold.KV{Key: key, Value: raw})
	a.Extra = string(r.b)
	return a, err == nil, err
}

// ActQuery asks for acts. Keep nil lets all through, of Workflow where that is not "". Without Order, and where they are alike in it, they
// come as in the log.
type ActQuery struct {
	Workflow string
	Types    []string                // of events; nil is all
	Keep     func(*WorkflowAct) bool // neither may look at Extra
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
	if q.Keep == nil && q.Types == nil && q.Order == nil {
		if total, err = v.countActs(q.Workflow); err != nil {
			return nil, 0, err
		}
		items, err = v.actsOf(prefix, q)
	} else {
		items, total, err = v.searchActs(prefix, q)
	}
	for i := range items { // what was read of them has no extra
		whole, ok, err := v.Act(items[i].Offset, items[i].Index)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			items[i] = whole
		}
	}
	return items, total, err
}

// countActs is how many acts there are of a workflow, or of all and of variables.
func (v *Workflows) countActs(workflow string) (total int64, err error) {
	prefix := fold.Table('G')
	if workflow != "" {
		prefix = prefix.Str(workflow)
	}
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		var n int64
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &n)
		}
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// actsOf are those of a page under a prefix, as in the log.
func (v *Workflows) actsOf(prefix fold.Key, q *ActQuery) (items []WorkflowAct, err error) {
	scan := v.r.Scan
	if q.Back {
		scan = v.r.ScanBack
	}
	r, seen := &digestReader{}, int64(0)
	for kv, err := range scan(prefix, prefix.End()) {
		if err != nil {
			return nil, err
		}
		if seen++; seen <= q.Offset {
			continue
		}
		if seen > q.Offset+q.Limit {
			break
		}
		a, err := readAct(r, kv)
		if err != nil {
			return nil, err
		}
		items = append(items, a)
	}
	return items, nil
}

func (v *Workflows) searchActs(prefix fold.Key, q *ActQuery) (items []WorkflowAct, total int64, err error) {
	t := newTop(q.Page, func(a, b *WorkflowAct) int {
		c := 0
		if q.Order != nil {
			c = q.Order(a, b)
		}
		if q.Back && (c != 0 || q.Order == nil) {
			c = -c
		}
		place := cmp.Or(cmp.Compare(a.Offset, b.Offset), cmp.Compare(a.Index, b.Index))
		if q.Back && q.Order == nil {
			place = -place
		}
		return cmp.Or(c, place)
	})
	r := &digestReader{}
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return nil, 0, err
		}
		if r.b, r.bad = kv.Value, false; q.Types != nil && !slices.Contains(q.Types, r.name()) {
			continue
		}
		a, err := readAct(r, kv)
		if err != nil {
			return nil, 0, err
		}
		if q.Keep == nil || q.Keep(&a) {
			total++
			t.add(&a)
		}
	}
	return t.page(), total, nil
}
