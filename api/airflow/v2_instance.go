package airflow

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

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

func (f *taskFilter) keepRun(run *projections.WorkflowRun) bool {
	return !f.nothing && anyOf(f.runIDs, run.RunID) && f.runs.keep(run)
}

func (f *taskFilter) keep(t *runTask) bool {
	v := t.shown()
	state := "none"
	if t.state != workflow.None {
		state = string(t.state)
	}
	version := 0
	if t.version != nil {
		version = t.version.Number
	}
	return anyOf(f.tasks, v.Task) && anyOf(f.states, state) && anyOf(f.pools, v.Pool) && anyOf(f.queues, v.Queue) && anyOf(f.operators, v.Operator) &&
		anyOf(f.tries, strconv.Itoa(v.Try)) && anyOf(f.versions, strconv.Itoa(version)) && f.name.match(v.Task) && f.pool.match(v.Pool) && f.queue.match(v.Queue) && f.operator.match(v.Operator) &&
		f.start.hasMillis(t.last().StartedMillis) && f.end.hasMillis(t.endMillis()) && f.durations.hasSeconds(v.Duration)
}

var instanceAttributes = attributes[runTask]{by: map[string]func(*runTask) sortKey{
	"id": taskRequestedKey, "state": func(t *runTask) sortKey { return sortKey{Null: t.state == workflow.None, Text: string(t.state)} },
	"duration": func(t *runTask) sortKey { return secondsKey(t.seconds()) }, "start_date": func(t *runTask) sortKey { return millisKey(t.last().StartedMillis) },
	"end_date": func(t *runTask) sortKey { return millisKey(t.endMillis()) }, "map_index": func(*runTask) sortKey { return sortKey{Number: -1} },
	"try_number": func(t *runTask) sortKey { return sortKey{Number: float64(t.task().Try)} }, "logical_date": func(t *runTask) sortKey { return millisKey(dateMillis(t.run)) },
	"run_after": func(t *runTask) sortKey { return millisKey(afterMillis(t.run)) }, "data_interval_start": func(t *runTask) sortKey { return millisKey(dateMillis(t.run)) },
	"data_interval_end": func(t *runTask) sortKey {
		return sortKey{Null: dateMillis(t.run) == 0, Number: float64(t.run.IntervalEndMillis)}
	},
	"rendered_map_index": func(*runTask) sortKey { return sortKey{Null: true} }, "operator": func(t *runTask) sortKey { return textKey(t.d.Tasks[t.at].Operator) },
}, unique: []func(*runTask) sortKey{taskRequestedKey, func(t *runTask) sortKey { return textKey(t.run.RunID) }, func(t *runTask) sortKey { return sortKey{Number: float64(t.at)} }}}

func taskRequestedKey(t *runTask) sortKey { return millisKey(t.run.RequestedMillis) }

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
		return s.writeInstances(w, l, []projections.WorkflowRun{run}, f)
	case dag != "~":
		if _, err := s.known(r); err != nil {
			return err
		}
		return s.selectInstances(w, l, dag, f)
	}
	return s.selectInstances(w, l, "", f)
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
	f.runs.dags, f.runIDs, f.tasks = b.Texts("dag_ids"), b.Texts("dag_run_ids"), b.Texts("task_ids")
	for _, state := range b.Each("state", v2TaskStates...) {
		if state == "" {
			state = "none"
		}
		f.states = append(f.states, state)
	}
	f.runs.after, f.runs.logical = timeBounds(b, "run_after", true), timeBounds(b, "logical_date", true)
	f.start, f.end, f.durations = timeBounds(b, "start_date", true), timeBounds(b, "end_date", true), numberBounds(b, "duration")
	f.pools, f.queues, f.nothing = b.Texts("pool"), b.Texts("queue"), len(b.Texts("executor")) > 0
	if err := b.Done(); err != nil {
		return err
	}
	return s.selectInstances(w, l, "", f)
}

// selectInstances answers with tasks of the runs of a workflow, or of all, "".
func (s *V2) selectInstances(w http.ResponseWriter, l *listing, name string, f *taskFilter) error {
	runs, err := fold.Of[*projections.Workflows](s.Views).Select(name, f.keepRun)
	if err != nil {
		return err
	}
	return s.writeInstances(w, l, runs, f)
}

func (s *V2) writeInstances(w http.ResponseWriter, l *listing, runs []projections.WorkflowRun, f *taskFilter) error {
	known := map[string][]namedVersion{}
	var all []runTask
	for i := range runs {
		if !f.keepRun(&runs[i]) {
			continue
		}
		tasks, err := s.tasksOfRun(&runs[i], known)
		if err != nil {
			return err
		}
		for _, t := range tasks {
			if f.keep(&t) {
				all = append(all, t)
			}
		}
	}
	p, err := list(l, all, instanceAttributes)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, p.counted(l, "task_instances", shownTasks(p.items)))
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

	run    *projections.WorkflowRun
	millis int64
}

func v2OutputOf(run *projections.WorkflowRun, t *projections.Task, key string) v2Output {
	return v2Output{Key: key, Time: stamp(t.EndedMillis), Logical: stamp(dateMillis(run)), MapIndex: -1, Task: t.Task, DAG: run.Workflow, Run: run.RunID, DAGName: run.Workflow,
		DisplayName: t.Task, After: stamp(afterMillis(run)), run: run, millis: t.EndedMillis}
}

var outputAttributes = attributes[v2Output]{by: map[string]func(*v2Output) sortKey{
	"key": outputKey, "dag_id": func(o *v2Output) sortKey { return textKey(o.DAG) }, "run_id": func(o *v2Output) sortKey { return textKey(o.Run) },
	"task_id": func(o *v2Output) sortKey { return textKey(o.Task) }, "map_index": func(*v2Output) sortKey { return sortKey{Number: -1} },
	"timestamp": func(o *v2Output) sortKey { return millisKey(o.millis) }, "run_after": func(o *v2Output) sortKey { return millisKey(afterMillis(o.run)) },
}, unique: []func(*v2Output) sortKey{func(o *v2Output) sortKey { return textKey(o.DAG) }, func(o *v2Output) sortKey { return textKey(o.Task) },
	func(o *v2Output) sortKey { return textKey(o.Run) }, outputKey}}

func outputKey(o *v2Output) sortKey { return textKey(o.Key) }

// outputs lists what tasks have handed on: each output by its name, and all of a task's together as return_value.
func (s *V2) outputs(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, f := readListing(q, false), &runFilter{}
	key, byKey := q.Text("xcom_key", 0)
	keys, names, tasks := readPatterns(q, "xcom_key"), readPatterns(q, "dag_display_name"), readPatterns(q, "task_id")
	f.id, f.logical, f.after = readPatterns(q, "run_id"), timeBounds(q, "logical_date", false), timeBounds(q, "run_after", false)
	nothing := q.Integer("map_index", -1, -1, 1<<63-1) != -1
	nothing = q.Integer("map_index_filter", -1, -1<<63, 1<<63-1) != -1 || nothing
	if err := q.Done(); err != nil {
		return err
	}
	dag, id, task := r.PathValue("dag"), r.PathValue("run"), r.PathValue("task")
	keep := func(run *projections.WorkflowRun) bool {
		return !nothing && (dag == "~" || run.Workflow == dag) && names.match(run.Workflow) && f.keep(run)
	}
	var runs []projections.WorkflowRun
	view := fold.Of[*projections.Workflows](s.Views)
	if id != "~" {
		run, ok, err := view.Run(id)
		if err != nil {
			return err
		}
		if ok && keep(&run) {
			runs = append(runs, run)
		}
	} else {
		name := dag
		if dag == "~" {
			name = ""
		}
		if runs, err = view.Select(name, keep); err != nil {
			return err
		}
	}
	all := []v2Output{}
	for i := range runs {
		for k := range runs[i].Tasks {
			t := &runs[i].Tasks[k]
			if task != "~" && t.Task != task || !tasks.match(t.Task) {
				continue
			}
			for _, name := range outputKeys(t) {
				if (!byKey || name == key) && keys.match(name) {
					all = append(all, v2OutputOf(&runs[i], t, name))
				}
			}
		}
	}
	return writeList(w, l, all, outputAttributes, "xcom_entries", func(o *v2Output) any { return o })
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
	if err != nil || index != -1 || !slices.Contains(outputKeys(&t), key) {
		return fastapi.Refuse(http.StatusNotFound, "XCom entry with key: `%s` not found", api.Short(key))
	}
	v := struct {
		v2Output
		Value any `json:"value"`
	}{v2OutputOf(&run, &t, key), t.Output[key]}
	switch {
	case key == returnValue && asText:
		v.Value = pythonMap(t.Output)
	case key == returnValue:
		v.Value = t.Output
	}
	return api.WriteJSON(w, http.StatusOK, v)
}
