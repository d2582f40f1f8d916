package projections

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections/fold"
)

// Beside each run's document stand rows for what lists ask of all runs: a digest of the run, how many runs are in which
// state, and which outputs its tasks have. A search reads digests, a twentieth of a document, and the documents of its page.

// RunDigest is what of a run lists can ask for.
type RunDigest struct {
	RunID, Workflow, State, RunType string
	RequestedOffset                 int64
	RequestedMillis, LogicalMillis  int64
	StartedMillis, EndedMillis      int64 // 0 is not yet
	UpdatedMillis                   int64
	Tasks                           []TaskDigest // that anything is known of
}

// TaskDigest is what of a task lists can ask for, as its last try has it.
type TaskDigest struct {
	Task, State                string
	Try                        int
	StartedMillis, EndedMillis int64 // of the last try; 0 is not yet
}

func digestOf(r *WorkflowRun) RunDigest {
	d := RunDigest{RunID: r.RunID, Workflow: r.Workflow, State: r.State, RunType: r.RunType, RequestedOffset: r.RequestedOffset, RequestedMillis: r.RequestedMillis,
		LogicalMillis: r.LogicalMillis, StartedMillis: r.StartedMillis, EndedMillis: r.EndedMillis, UpdatedMillis: r.UpdatedMillis, Tasks: make([]TaskDigest, len(r.Tasks))}
	for i := range r.Tasks {
		t := &r.Tasks[i]
		d.Tasks[i] = TaskDigest{t.Task, t.State, t.Try, t.LastStartedMillis(), t.EndedMillis}
	}
	return d
}

// LastStartedMillis is when the last try began; 0 before the first.
func (t *Task) LastStartedMillis() int64 {
	if n := len(t.Tries); n > 0 && t.Try == t.Tries[n-1].Try && t.StartedMillis != 0 {
		return t.Tries[n-1].StartedMillis
	}
	return t.StartedMillis
}

func digestKey(r *WorkflowRun) fold.Key {
	return fold.Table('R').Str(r.Workflow).Millis(r.RequestedOffset)
}

// encode is a digest without what its key says: texts behind their lengths, numbers as varints.
func (d *RunDigest) encode() []byte {
	b := make([]byte, 0, 64+48*len(d.Tasks))
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	text(d.RunID)
	text(d.State)
	text(d.RunType)
	for _, n := range []int64{d.RequestedMillis, d.LogicalMillis, d.StartedMillis, d.EndedMillis, d.UpdatedMillis, int64(len(d.Tasks))} {
		b = binary.AppendVarint(b, n)
	}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		text(t.Task)
		text(t.State)
		for _, n := range []int64{int64(t.Try), t.StartedMillis, t.EndedMillis} {
			b = binary.AppendVarint(b, n)
		}
	}
	return b
}

// digestReader reads digests, one after the other into the same memory. Names that return are the same strings.
type digestReader struct {
	names map[string]string
	b     []byte
	bad   bool
	run   RunDigest
	id    []byte // of the run, which RunID is not set to until it is wanted
	tasks int    // of the run, still to be read
}

// named is the run that was read last, with its id.
func (r *digestReader) named() *RunDigest {
	r.run.RunID = string(r.id)
	return &r.run
}

func (r *digestReader) number() int64 {
	n, size := binary.Varint(r.b)
	if size <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *digestReader) bytes() []byte {
	n, size := binary.Uvarint(r.b)
	if size <= 0 || n > uint64(len(r.b)-size) {
		r.bad = true
		return nil
	}
	v := r.b[size : size+int(n)]
	r.b = r.b[size+int(n):]
	return v
}

func (r *digestReader) name() string {
	return r.interned(r.bytes())
}

func (r *digestReader) interned(v []byte) string {
	if s, ok := r.names[string(v)]; ok {
		return s
	}
	s := string(v)
	if r.names == nil {
		r.names = map[string]string{}
	}
	r.names[s] = s
	return s
}

// read reads a run's digest without its id and tasks. It is valid until the next one is read.
func (r *digestReader) read(kv fold.KV) (*RunDigest, error) {
	const number = 8 // bytes of the offset, behind the workflow's name and a zero byte
	if len(kv.Key) < 2+number {
		return nil, fold.ErrKey
	}
	at := fold.PartsOf(kv.Key[len(kv.Key)-number:])
	d := &r.run
	*d = RunDigest{Workflow: r.interned(kv.Key[1 : len(kv.Key)-1-number]), RequestedOffset: at.Millis(), Tasks: d.Tasks[:0]}
	r.b, r.bad = kv.Value, false
	r.id = r.bytes()
	d.State, d.RunType = r.name(), r.name()
	d.RequestedMillis, d.LogicalMillis, d.StartedMillis, d.EndedMillis, d.UpdatedMillis = r.number(), r.number(), r.number(), r.number(), r.number()
	if r.tasks = int(r.number()); r.bad {
		return nil, fold.ErrKey
	}
	return d, nil
}

// readTasks reads the tasks of the digest that was read last.
func (r *digestReader) readTasks() error {
	for range r.tasks {
		t := TaskDigest{Task: r.name(), State: r.name(), Try: int(r.number())}
		t.StartedMillis, t.EndedMillis = r.number(), r.number()
		if r.bad {
			return fold.ErrKey
		}
		r.run.Tasks = append(r.run.Tasks, t)
	}
	r.tasks = 0
	return nil
}

func countKey(workflow, state string) fold.Key { return fold.Table('n').Str(workflow).Str(state) }

// addTo changes a number that is stored under a key; 0 is no row.
func addTo(w fold.Writer, key fold.Key, by int64) error {
	var n int64
	if _, err := fold.GetJSON(w, key, &n); err != nil {
		return err
	}
	if n += by; n == 0 {
		return w.Delete(key)
	}
	return fold.SetJSON(w, key, n)
}

// Which outputs a task has is a row under workflow, task and run: two times as varints, and the names, sorted, each behind its length.

func outputsKey(workflow, task, run string) fold.Key {
	return fold.Table('x').Str(workflow).Str(task).Str(run)
}

// besideRun keeps in step what stands beside a run's document.
func besideRun(w fold.Writer, before, after *WorkflowRun, in *fold.Input) error {
	if after.Workflow == "" && before.Workflow == "" { // of no request
		return nil
	}
	if before.State != after.State || before.Workflow != after.Workflow {
		if before.Workflow != "" {
			if err := addTo(w, countKey(before.Workflow, before.State), -1); err != nil {
				return err
			}
		}
		if after.Workflow != "" {
			if err := addTo(w, countKey(after.Workflow, after.State), 1); err != nil {
				return err
			}
		}
	}
	if before.Workflow != "" && (before.Workflow != after.Workflow || before.RequestedOffset != after.RequestedOffset) {
		if err := w.Delete(digestKey(before)); err != nil {
			return err
		}
	}
	if after.Workflow != "" {
		d := digestOf(after)
		if err := w.Set(digestKey(after), d.encode()); err != nil {
			return err
		}
	}
	return besideOutputs(w, before, after, in)
}

func besideOutputs(w fold.Writer, before, after *WorkflowRun, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.TaskSucceeded:
		if len(x.Output) == 0 {
			return w.Delete(outputsKey(after.Workflow, x.Task, x.RunID))
		}
		b := binary.AppendVarint(binary.AppendVarint(nil, in.Event.Time.UnixMilli()), after.LogicalMillis)
		for _, name := range slices.Sorted(maps.Keys(x.Output)) {
			b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
		}
		return w.Set(outputsKey(after.Workflow, x.Task, x.RunID), b)
	case *events.TasksCleared:
		for _, name := range x.Tasks {
			if err := w.Delete(outputsKey(after.Workflow, name, x.RunID)); err != nil {
				return err
			}
		}
	case *events.WorkflowRunDeleted:
		for i := range before.Tasks {
			if err := w.Delete(outputsKey(before.Workflow, before.Tasks[i].Task, x.RunID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// StateCounts are how many runs of a workflow are in which state.
func (v *Workflows) StateCounts(name string) (map[string]int64, error) {
	counts := map[string]int64{}
	prefix := fold.Table('n').Str(name)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return nil, err
		}
		p := fold.Parts(kv.Key)
		p.Str()
		state := p.Str()
		var n int64
		if err := json.Unmarshal(kv.Value, &n); err != nil || p.Err() != nil {
			return nil, fold.ErrKey
		}
		counts[state] = n
	}
	return counts, nil
}

// states are those of the tasks of a run under its definition, as [WorkflowRun.States] has them, in the definition's order.
// false where a digest does not tell: a task waits on a condition, which may look at outputs.
func (d *RunDigest) states(def *workflow.Definition, into []workflow.State) ([]workflow.State, bool) {
	into = into[:0]
	derived := false
	for i := range def.Tasks {
		into = append(into, workflow.None)
		if t := d.task(def.Tasks[i].Name); t != nil && t.State != StateQueued && t.State != StateUpstreamFailed {
			into[i] = workflow.State(t.State)
		} else {
			derived = true
			if def.Tasks[i].When != nil {
				return into, false
			}
		}
	}
	if derived {
		states := def.States(&workflow.Run{Outcome: func(name string) workflow.Outcome {
			if t := d.task(name); t != nil && t.State != StateQueued && t.State != StateUpstreamFailed {
				return workflow.Outcome{State: workflow.State(t.State)}
			}
			return workflow.Outcome{}
		}})
		for i := range def.Tasks {
			into[i] = states[def.Tasks[i].Name]
		}
	}
	if d.State != StateQueued && d.State != StateRunning {
		for i := range into {
			into[i] = overWith(into[i])
		}
	}
	return into, true
}

func (d *RunDigest) task(name string) *TaskDigest {
	for i := range d.Tasks {
		if d.Tasks[i].Task == name {
			return &d.Tasks[i]
		}
	}
	return nil
}

// overWith is what a task's state is once its run is over: it was cancelled, or took too long.
func overWith(s workflow.State) workflow.State {
	switch {
	case s.Over():
		return s
	case s == workflow.Running || s == workflow.UpForRetry:
		return workflow.Failed
	}
	return workflow.UpstreamFailed
}
