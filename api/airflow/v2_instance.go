package airflow

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// v2TaskStates are those of Airflow 3; the ones that no task has here are asked for in vain.
var v2TaskStates = []string{"removed", "scheduled", "queued", "running", "success", "restarting", "failed", "up_for_retry", "up_for_reschedule", "upstream_failed", "skipped", "deferred", "awaiting_input"}

// taskFilter is which tasks of runs a query or a body asks for.
type taskFilter struct {
	runs             runFilter // dags, id and run_after, logical_date, updated_at of it
	runIDs           []string
	tasks, states    []string // "" stands for the state of one that waits
	pools, queues    []string
	operators, tries []string
	versions         []string
	name, pool       patterns
	queue, operator  patterns
	start, end       bounds
	durations        bounds
	nothing          bool // what no task has is asked for
}

func (f *taskFilter) keepRun(run *projections.RunDigest) bool { return !f.nothing && f.runs.keep(run) }

// listedTask is a task of a run as far as lists look at it.
type listedTask struct {
	run   *projections.RunDigest
	of    *workflow.Task
	at    int
	state workflow.State
	last  projections.TaskDigest // zero before the first try
}

func (f *taskFilter) keep(t *listedTask) bool {
	return anyOf(f.pools, t.of.Pool) && anyOf(f.queues, queueName) && anyOf(f.operators, t.of.Operator) && (len(f.tries) == 0 || slices.Contains(f.tries, strconv.Itoa(t.last.Try))) &&
		f.name.match(t.of.Name) && f.pool.match(t.of.Pool) && f.queue.match(queueName) && f.operator.match(t.of.Operator) &&
		f.start.hasMillis(t.last.StartedMillis) && f.end.hasMillis(t.last.EndedMillis) && f.durations.hasSpan(t.last.StartedMillis, t.last.EndedMillis)
}

var instanceAttributes = attributes[listedTask]{by: map[string]func(*listedTask) sortKey{
	"id": taskRequestedKey, "state": func(t *listedTask) sortKey { return sortKey{Null: t.state == workflow.None, Text: string(t.state)} },
	"duration": func(t *listedTask) sortKey { return spanKey(t.last.StartedMillis, t.last.EndedMillis) }, "start_date": func(t *listedTask) sortKey { return millisKey(t.last.StartedMillis) },
	"end_date": func(t *listedTask) sortKey { return millisKey(t.last.EndedMillis) }, "map_index": func(*listedTask) sortKey { return sortKey{} },
	"try_number": func(t *listedTask) sortKey { return sortKey{Number: float64(t.last.Try)} }, "logical_date": func(t *listedTask) sortKey { return millisKey(dateMillis(t.run)) },
	"run_after": func(t *listedTask) sortKey { return millisKey(afterMillis(t.run)) }, "data_interval_start": func(t *listedTask) sortKey { return millisKey(dateMillis(t.run)) },
	"data_interval_end": func(t *listedTask) sortKey {
		return sortKey{Null: dateMillis(t.run) == 0, Number: float64(t.run.IntervalEndMillis)}
	},
	"rendered_map_index": func(*listedTask) sortKey { return sortKey{Null: true} }, "operator": func(t *listedTask) sortKey { return textKey(t.of.Operator) },
}, unique: []func(*listedTask) sortKey{func(t *listedTask) sortKey { return textKey(t.run.Workflow) }, taskRequestedKey, func(t *listedTask) sortKey { return sortKey{Number: float64(t.at)} }}}

func taskRequestedKey(t *listedTask) sortKey { return requestedKey(t.run) }

func (s *V2) instances(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by", "state", "pool", "queue", "executor", "version_number", "try_number", "operator", "map_index")
	if err != nil {
		return err
	}
	l, f := readListing(q, true), &taskFilter{}
	if id, given := q.Text("task_id", 0); given {
		f.tasks = []string{id}
	}
	_, grouped := q.Text("task_group_id", 0)
	f.runs.after, f.runs.logical, f.runs.updated = timeBounds(q, "run_after", false), timeBounds(q, "logical_date", false), timeBounds(q, "updated_at", false)
	f.runs.dag, f.runs.id = readPatterns(q, "dag_id"), readPatterns(q, "run_id")
	f.start, f.end, f.durations = timeBounds(q, "start_date", false), timeBounds(q, "end_date", false), numberBounds(q, "duration")
	f.name, f.pool, f.queue, f.operator = readPatterns(q, "task_display_name"), readPatterns(q, "pool_name"), readPatterns(q, "queue_name"), readPatterns(q, "operator_name")
	f.pools, f.queues, f.operators, f.tries, f.versions = q.Texts("pool"), q.Texts("queue"), q.Texts("operator"), q.Texts("try_number"), q.Texts("version_number")
	rendered, indexes := readPatterns(q, "rendered_map_index"), q.Texts("map_index")
	f.nothing = grouped || rendered.given() || len(q.Texts("executor")) > 0 || len(indexes) > 0 && !slices.Contains(indexes, "-1")
	if f.states, err = statesOf(q, "state", "state", v2TaskStates...); err != nil {
		return err
	}
	for i, state := range f.states {
		if state == "none" {
			f.states[i] = ""
		}
	}
	if err := q.Done(); err != nil {
		return err
	}
	dag, id := r.PathValue("dag"), r.PathValue("run")
	switch {
	case id != "~" && dag == "~":
		return fastapi.Refuse(http.StatusBadRequest, "dag_id is required when dag_run_id is specified")
	case id != "~":
		run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
		if err != nil {
			return err
		}
		if !ok || run.Workflow != dag {
			return fastapi.Refuse(http.StatusNotFound, "DagRun with dag_id: `%s` and run_id: `%s` was not found", api.Short(dag), api.Short(id))
		}
		f.runIDs = []string{id}
	case dag != "~":
		if _, err := s.known(r); err != nil {
			return err
		}
	}
	return s.writeInstances(w, l, oneOrAll(dag), f)
}

func (s *V2) instanceBatch(w http.ResponseWriter, r *http.Request) error {
	if err := every(r, [2]string{"dag", "dag_id"}, [2]string{"run", "dag_run_id"}); err != nil {
		return err
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	l, f := readBatchListing(b), &taskFilter{}
	dags := b.Texts("dag_ids")
	f.runIDs, f.tasks = b.Texts("dag_run_ids"), b.Texts("task_ids")
	f.states = b.Each("state", v2TaskStates...) // null is "", of those that wait
	f.runs.after, f.runs.logical = timeBounds(b, "run_after", true), timeBounds(b, "logical_date", true)
	f.start, f.end, f.durations = timeBounds(b, "start_date", true), timeBounds(b, "end_date", true), numberBounds(b, "duration")
	f.pools, f.queues, f.nothing = b.Texts("pool"), b.Texts("queue"), len(b.Texts("executor")) > 0
	if err := b.Done(); err != nil {
		return err
	}
	return s.writeInstances(w, l, some(dags), f)
}

// writeInstances answers with tasks of the runs of some workflows, nil for all, that a filter keeps.
func (s *V2) writeInstances(w http.ResponseWriter, l *listing, names []string, f *taskFilter) error {
	ask := &projections.TaskQuery{Workflows: names, Runs: some(f.runIDs), Tasks: some(f.tasks), States: some(f.states), KeepRun: f.keepRun}
	byState := slices.ContainsFunc(l.orderBy, func(o string) bool { return strings.HasSuffix(o, "state") })
	all, run, total, asFound := []listedTask{}, &projections.RunDigest{}, int64(0), len(l.orderBy) == 0 && l.cursor == nil
	err := s.Workflows.EachTask(ask, true, func(p *projections.TaskPlace) error {
		if run.RunID != p.Run.RunID { // what is given is not ours to keep
			kept := *p.Run
			kept.Tasks = nil
			run = &kept
		}
		t := listedTask{run: run, of: p.Task, at: p.At}
		if of := p.Of(); of != nil {
			t.last = *of
		}
		if !f.keep(&t) {
			return nil
		}
		if len(f.versions) > 0 {
			v, err := s.versionOf(run.Workflow, run.RequestedOffset)
			if err != nil || v == nil || !slices.Contains(f.versions, strconv.Itoa(v.Number)) {
				return err
			}
		}
		if total++; asFound && (total <= l.offset || total > l.offset+l.limit) { // it is in order, and not of the page
			return nil
		}
		if byState {
			var err error
			if t.state, err = p.State(); err != nil {
				return err
			}
		}
		all = append(all, t)
		return nil
	})
	if err != nil {
		return err
	}
	p := &piece[listedTask]{items: all, total: int(total)}
	if !asFound {
		if p, err = list(l, all, instanceAttributes); err != nil {
			return err
		}
	}
	places := make([]projections.PlaceOf, len(p.items))
	for i := range p.items {
		places[i] = projections.PlaceOf{Run: p.items[i].run.RunID, At: p.items[i].at}
	}
	found, err := s.Workflows.ReadTasks(places)
	if err != nil {
		return err
	}
	shown := make([]v2Instance, len(found))
	for i := range found {
		f := &found[i]
		version, err := s.versionOf(f.Run.Workflow, f.Run.RequestedOffset)
		if err != nil {
			return err
		}
		t := runTask{f.Run, f.Definition, f.At, f.State, version}
		shown[i] = t.shown()
	}
	return api.WriteJSON(w, http.StatusOK, p.counted(l, "task_instances", shown))
}

func shownTasks(tasks []runTask) []v2Instance {
	all := make([]v2Instance, len(tasks))
	for i := range tasks {
		all[i] = tasks[i].shown()
	}
	return all
}

// v2Output is what a task has handed on under a key.
type v2Output struct {
	Key         string  `json:"key"`
	Time        *string `json:"timestamp"`
	Logical     *string `json:"logical_date"`
	MapIndex    int     `json:"map_index"`
	Task        string  `json:"task_id"`
	DAG         string  `json:"dag_id"`
	Run         string  `json:"run_id"`
	DAGName     string  `json:"dag_display_name"`
	DisplayName string  `json:"task_display_name"`
	After       *string `json:"run_after"`

	millis int64
}

func v2OutputOf(run *projections.RunDigest, task, key string, millis int64) v2Output {
	return v2Output{Key: key, Time: stamp(millis), Logical: stamp(dateMillis(run)), MapIndex: -1, Task: task, DAG: run.Workflow, Run: run.RunID, DAGName: run.Workflow,
		DisplayName: task, After: stamp(afterMillis(run)), millis: millis}
}

var outputAttributes = attributes[projections.Output]{by: map[string]func(*projections.Output) sortKey{
	"key": outputKey, "dag_id": func(o *projections.Output) sortKey { return textKey(o.Workflow) }, "run_id": func(o *projections.Output) sortKey { return textKey(o.Run) },
	"task_id": func(o *projections.Output) sortKey { return textKey(o.Task) }, "map_index": func(*projections.Output) sortKey { return sortKey{} },
	"timestamp": func(o *projections.Output) sortKey { return millisKey(o.EventMillis) },
}, unique: []func(*projections.Output) sortKey{func(o *projections.Output) sortKey { return textKey(o.Workflow) }, func(o *projections.Output) sortKey { return textKey(o.Task) },
	func(o *projections.Output) sortKey { return textKey(o.Run) }, outputKey}}

func outputKey(o *projections.Output) sortKey { return textKey(o.Key) }

// outputsMax bounds the outputs that one request looks through.
const outputsMax = 1_000_000

// outputs lists what tasks have handed on: each output by its name, and all of a task's together as return_value.
func (s *V2) outputs(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, ask := readListing(q, false), projections.OutputQuery{Extra: returnValue, Page: projections.Page{Limit: outputsMax}}
	ask.Key, _ = q.Text("xcom_key", 0)
	keys, names, runs, tasks := readPatterns(q, "xcom_key"), readPatterns(q, "dag_display_name"), readPatterns(q, "run_id"), readPatterns(q, "task_id")
	of := runFilter{logical: timeBounds(q, "logical_date", false), after: timeBounds(q, "run_after", false)}
	nothing := q.Integer("map_index", -1, -1, 1<<63-1) != -1
	nothing = q.Integer("map_index_filter", -1, -1<<63, 1<<63-1) != -1 || nothing
	if err := q.Done(); err != nil {
		return err
	}
	for name, to := range map[string]*string{"dag": &ask.Workflow, "task": &ask.Task, "run": &ask.Run} {
		if v := r.PathValue(name); v != "~" {
			*to = v
		}
	}
	var found []projections.Output
	var total int64
	view := fold.Of[*projections.Workflows](s.Views)
	filtered := keys.given() || names.given() || runs.given() || tasks.given() || of.logical.any || of.after.any
	if !filtered && len(l.orderBy) == 0 { // as they come
		ask.Page = projections.Page{Offset: l.offset, Limit: l.limit}
		l = &listing{limit: l.limit}
	}
	if !nothing {
		if found, total, err = view.Outputs(&ask); err != nil {
			return err
		}
	}
	all := found[:0]
	for _, o := range found {
		if !keys.match(o.Key) || !names.match(o.Workflow) || !runs.match(o.Run) || !tasks.match(o.Task) {
			continue
		}
		if of.logical.any || of.after.any {
			run, ok, err := view.Run(o.Run)
			if err != nil {
				return err
			}
			if d := projections.DigestOf(&run); !ok || !of.logical.hasMillis(dateMillis(&d)) || !of.after.hasMillis(afterMillis(&d)) {
				continue
			}
		}
		all = append(all, o)
	}
	if filtered {
		total = int64(len(all))
	}
	p, err := list(l, all, outputAttributes)
	if err != nil {
		return err
	}
	shown := make([]v2Output, 0, len(p.items))
	for i := range p.items {
		o := &p.items[i]
		run, ok, err := view.Run(o.Run)
		if err != nil {
			return err
		}
		if d := projections.DigestOf(&run); ok {
			shown = append(shown, v2OutputOf(&d, o.Task, o.Key, o.EventMillis))
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"xcom_entries": shown, "total_entries": total})
}

// output is what a task has handed on under a key: a text, or all texts by their names. With stringify it is what Python makes of
// that.
func (s *V2) output(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	index := q.Integer("map_index", -1, -1, 1<<63-1)
	q.Flag("deserialize", false)
	asText := q.Flag("stringify", false)
	if err := q.Done(); err != nil {
		return err
	}
	run, err := s.runOf(r)
	var refused *fastapi.Refusal
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	key := r.PathValue("key")
	t := run.TaskOf(r.PathValue("task"))
	value, ok := t.Output[key]
	if err != nil || index != -1 || !ok && (key != returnValue || len(t.Output) == 0) {
		return fastapi.Refuse(http.StatusNotFound, "XCom entry with key: `%s` not found", api.Short(key))
	}
	d := projections.DigestOf(&run)
	v := struct {
		v2Output
		Value any `json:"value"`
	}{v2OutputOf(&d, t.Task, key, t.EndedMillis), value}
	switch {
	case !ok && asText:
		v.Value = pythonDict(t.Output)
	case !ok:
		v.Value = t.Output
	}
	return api.WriteJSON(w, http.StatusOK, v)
}
