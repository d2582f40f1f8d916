package projections

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections/fold"
)

// Between is a span of Unix milliseconds, both ends in it; 0 is no bound. A time that is not there yet, 0, lies in no span but the whole.
type Between struct{ From, To int64 }

func (b Between) holds(millis int64) bool {
	return (b.From == 0 || millis >= b.From) && (b.To == 0 || millis != 0 && millis <= b.To)
}

// RunQuery asks for runs of workflows. Lists that are nil let all through.
type RunQuery struct {
	Workflows, States, Types         []string
	Logical, Started, Ended, Updated Between
	Order                            string // one of [RunOrders]; "" is as they were requested
	Back                             bool
	Page
}

// RunOrders are what runs can be ordered by. Runs that are alike in it stand in the order of their requests.
var RunOrders = map[string]func(a, b *RunDigest) int{
	"id":       nil,
	"run_id":   func(a, b *RunDigest) int { return strings.Compare(a.RunID, b.RunID) },
	"workflow": func(a, b *RunDigest) int { return strings.Compare(a.Workflow, b.Workflow) },
	"state":    func(a, b *RunDigest) int { return strings.Compare(a.State, b.State) },
	"run_type": func(a, b *RunDigest) int { return strings.Compare(a.RunType, b.RunType) },
	"logical":  func(a, b *RunDigest) int { return cmp.Compare(a.LogicalMillis, b.LogicalMillis) },
	"started":  func(a, b *RunDigest) int { return cmp.Compare(a.StartedMillis, b.StartedMillis) },
	"ended":    func(a, b *RunDigest) int { return cmp.Compare(a.EndedMillis, b.EndedMillis) },
	"updated":  func(a, b *RunDigest) int { return cmp.Compare(a.UpdatedMillis, b.UpdatedMillis) },
}

func (q *RunQuery) keeps(d *RunDigest) bool {
	return oneOf(q.States, d.State) && oneOf(q.Types, d.RunType) && q.Logical.holds(d.LogicalMillis) &&
		q.Started.holds(d.StartedMillis) && q.Ended.holds(d.EndedMillis) && q.Updated.holds(d.UpdatedMillis)
}

func oneOf(all []string, v string) bool { return all == nil || slices.Contains(all, v) }

// SearchRuns gives a page of the runs that are asked for, and how many there are in all.
func (v *Workflows) SearchRuns(q *RunQuery) (items []WorkflowRun, total int64, err error) {
	order := RunOrders[q.Order]
	compare := func(a, b *RunDigest) int {
		place := cmp.Compare(a.RequestedOffset, b.RequestedOffset)
		switch {
		case order == nil && q.Back:
			return -place
		case order == nil:
			return place
		case q.Back:
			return cmp.Or(-order(a, b), place)
		}
		return cmp.Or(order(a, b), place)
	}
	t := newTop(q.Page, compare)
	byID := q.Order == "run_id"
	err = v.digests(q.Workflows, func(r *digestReader, d *RunDigest) error {
		if !q.keeps(d) {
			return nil
		}
		if byID {
			r.named()
		}
		if total++; t.takes(d) {
			kept := *r.named()
			kept.Tasks = nil
			t.add(&kept)
		}
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	items = []WorkflowRun{}
	for _, d := range t.page() {
		run, ok, err := v.Run(d.RunID)
		if err != nil {
			return nil, 0, err
		}
		if ok { // it may have been deleted since
			items = append(items, run)
		}
	}
	return items, total, nil
}

// digests reads the digests of all runs, or of those of some workflows: by workflow and then as they were requested.
func (v *Workflows) digests(names []string, each func(*digestReader, *RunDigest) error) error {
	prefixes := []fold.Key{fold.Table('R')}
	if names != nil {
		prefixes = nil
		for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
			prefixes = append(prefixes, fold.Table('R').Str(name))
		}
	}
	r := &digestReader{}
	for _, prefix := range prefixes {
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			if err != nil {
				return err
			}
			d, err := r.read(kv)
			if err != nil {
				return err
			}
			if err := each(r, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// TaskQuery asks for tasks of runs. Lists that are nil let all through; "" among States is of tasks that wait for others.
type TaskQuery struct {
	Workflows, Runs, Tasks, States, Pools []string
	Logical, Started, Ended, Updated      Between
	LeastMillis, MostMillis               *int64 // that the last try has taken
	Page
}

// FoundTask is a task of a run, by its place in the definition.
type FoundTask struct {
	Run        *WorkflowRun
	Definition *workflow.Definition
	At         int
	State      workflow.State
}

// SearchTasks gives a page of the tasks that are asked for, and how many there are in all: by workflow, the order that their runs
// were requested in, and that of the definition. Runs whose definition this program cannot read have none.
func (w *DefinedWorkflows) SearchTasks(q *TaskQuery) (items []FoundTask, total int64, err error) {
	view := fold.Of[*Workflows](w.Views)
	type place struct {
		run string
		at  int
	}
	t := newTop[place](q.Page, nil)
	asksTasks := q.States != nil || q.timed()
	force := map[string][]inForce{} // definitions are in the view before the runs that go by them
	one := func(d *RunDigest, id func() string, states func(*workflow.Definition) ([]workflow.State, error)) error {
		if !q.Logical.holds(d.LogicalMillis) {
			return nil
		}
		known, ok := force[d.Workflow]
		if !ok {
			var err error
			if known, err = w.upTo(d.Workflow, math.MaxInt64); err != nil {
				return err
			}
			force[d.Workflow] = known
		}
		found := forceAt(known, d.RequestedOffset)
		if found == nil || found.err != nil {
			return nil
		}
		def := found.Definition
		var all []workflow.State
		if q.States != nil {
			var err error
			if all, err = states(def); err != nil {
				return err
			}
		}
		for i := range def.Tasks {
			if q.keeps(d, &def.Tasks[i]) && (all == nil || slices.Contains(q.States, string(all[i]))) {
				if total++; !t.full() {
					t.add(&place{id(), i})
				}
			}
		}
		return nil
	}
	if q.Runs != nil {
		err = w.ofRuns(view, q, one)
	} else {
		var states []workflow.State
		err = view.digests(q.Workflows, func(r *digestReader, d *RunDigest) error {
			if asksTasks {
				if err := r.readTasks(); err != nil {
					return err
				}
			}
			return one(d, func() string { return string(r.id) }, func(def *workflow.Definition) ([]workflow.State, error) {
				ok := false
				if states, ok = d.states(def, states); ok {
					return states, nil
				}
				run, ok, err := view.Run(string(r.id))
				if err != nil || !ok {
					return make([]workflow.State, len(def.Tasks)), err
				}
				return inOrder(&run, def), nil
			})
		})
	}
	if err != nil {
		return nil, 0, err
	}
	items = []FoundTask{}
	var run *WorkflowRun
	var states []workflow.State
	for _, p := range t.page() {
		if run == nil || run.RunID != p.run {
			read, ok, err := view.Run(p.run)
			if err != nil {
				return nil, 0, err
			}
			if !ok {
				continue
			}
			run = &read
			states = nil
		}
		def, err := w.Under(run)
		if err != nil {
			return nil, 0, err
		}
		if states == nil {
			states = inOrder(run, def)
		}
		if p.at >= len(def.Tasks) { // it is another run by now
			continue
		}
		items = append(items, FoundTask{run, def, p.at, states[p.at]})
	}
	return items, total, nil
}

// ofRuns looks at runs by their ids.
func (w *DefinedWorkflows) ofRuns(view *Workflows, q *TaskQuery, one func(*RunDigest, func() string, func(*workflow.Definition) ([]workflow.State, error)) error) error {
	var found []WorkflowRun
	for _, id := range slices.Compact(slices.Sorted(slices.Values(q.Runs))) {
		run, ok, err := view.Run(id)
		if err != nil {
			return err
		}
		if ok && oneOf(q.Workflows, run.Workflow) {
			found = append(found, run)
		}
	}
	slices.SortFunc(found, func(a, b WorkflowRun) int {
		return cmp.Or(strings.Compare(a.Workflow, b.Workflow), cmp.Compare(a.RequestedOffset, b.RequestedOffset))
	})
	for i := range found {
		d := digestOf(&found[i])
		if err := one(&d, func() string { return d.RunID }, func(def *workflow.Definition) ([]workflow.State, error) { return inOrder(&found[i], def), nil }); err != nil {
			return err
		}
	}
	return nil
}

func inOrder(run *WorkflowRun, def *workflow.Definition) []workflow.State {
	by := run.States(def)
	all := make([]workflow.State, len(def.Tasks))
	for i := range def.Tasks {
		all[i] = by[def.Tasks[i].Name]
	}
	return all
}

// timed says whether it matters when a task began, ended or how long it took.
func (q *TaskQuery) timed() bool {
	return q.Started != (Between{}) || q.Ended != (Between{}) || q.Updated != (Between{}) || q.LeastMillis != nil || q.MostMillis != nil
}

func (q *TaskQuery) keeps(d *RunDigest, def *workflow.Task) bool {
	if !oneOf(q.Tasks, def.Name) || !oneOf(q.Pools, def.Pool) {
		return false
	}
	if !q.timed() {
		return true
	}
	t := d.task(def.Name)
	if t == nil {
		return false
	}
	if q.LeastMillis != nil || q.MostMillis != nil {
		took := t.EndedMillis - t.StartedMillis
		if t.StartedMillis == 0 || t.EndedMillis == 0 || q.LeastMillis != nil && took < *q.LeastMillis || q.MostMillis != nil && took > *q.MostMillis {
			return false
		}
	}
	return q.Started.holds(t.StartedMillis) && q.Ended.holds(t.EndedMillis) && q.Updated.holds(max(t.StartedMillis, t.EndedMillis))
}

// OutputQuery asks for what tasks have handed on.
type OutputQuery struct {
	Workflow, Task, Run, Key string // "" is any
	Extra                    string // a key that every task with outputs has besides; "" is none
	Page
}

// Output is one thing that a task of a run has handed on, without its value.
type Output struct {
	Workflow, Task, Run, Key   string
	EventMillis, LogicalMillis int64
}

// Outputs gives a page of outputs, by workflow, task, run and key, and how many there are in all.
func (v *Workflows) Outputs(q *OutputQuery) (items []Output, total int64, err error) {
	prefix := fold.Table('x')
	if q.Workflow != "" {
		if prefix = prefix.Str(q.Workflow); q.Task != "" {
			if prefix = prefix.Str(q.Task); q.Run != "" {
				prefix = prefix.Str(q.Run)
			}
		}
	}
	t, r := newTop[Output](q.Page, nil), &digestReader{}
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return nil, 0, err
		}
		r.b, r.bad = kv.Value, false
		o := Output{EventMillis: r.number(), LogicalMillis: r.number()}
		if q.Task != "" || q.Run != "" || !t.full() {
			p := fold.Parts(kv.Key)
			if o.Workflow, o.Task, o.Run = p.Str(), p.Str(), p.Str(); p.Err() != nil {
				return nil, 0, p.Err()
			}
			if q.Task != "" && o.Task != q.Task || q.Run != "" && o.Run != q.Run {
				continue
			}
		}
		extra := q.Extra
		one := func(key string) {
			if q.Key != "" && q.Key != key {
				return
			}
			if total++; !t.full() {
				o.Key = key
				t.add(&o)
			}
		}
		for len(r.b) > 0 && !r.bad {
			key := r.name()
			if extra != "" && key >= extra {
				if key > extra {
					one(extra)
				}
				extra = ""
			}
			one(key)
		}
		if extra != "" {
			one(extra)
		}
		if r.bad {
			return nil, 0, fold.ErrKey
		}
	}
	return t.page(), total, nil
}
