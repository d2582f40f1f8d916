package airflow

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) taskRoutes(r v2Routes) {
	const of = "/dags/{dag}/dagRuns/{run}/taskInstances"
	r.on("GET", of, s.instances)
	r.on("POST", of+"/list", s.instanceBatch)
	r.on("GET", of+"/{task}", s.instance)
	r.on("GET", of+"/{task}/{index}", s.instance)
	r.on("GET", of+"/{task}/listMapped", s.mapped)
	r.on("GET", of+"/{task}/tries", s.tries)
	r.on("GET", of+"/{task}/tries/{try}", s.try)
	r.on("GET", of+"/{task}/dependencies", s.dependencies)
	r.on("GET", of+"/{task}/{index}/{what}", s.indexed)
	r.on("GET", of+"/{task}/{index}/tries/{try}", s.try)
	r.on("GET", of+"/{task}/links", s.links)
	r.on("GET", of+"/{task}/logs/{try}", s.log)
	r.on("GET", of+"/{task}/externalLogUrl/{try}", s.externalLog)
	r.on("GET", of+"/{task}/xcomEntries", s.outputs)
	r.on("GET", of+"/{task}/xcomEntries/{key}", s.output)
}

// v2Task is a task of a workflow.
type v2Task struct {
	ID          string         `json:"task_id"`
	DisplayName string         `json:"task_display_name"`
	Owner       string         `json:"owner"`
	Start       *string        `json:"start_date"`
	End         *string        `json:"end_date"`
	Trigger     string         `json:"trigger_rule"`
	DependsPast bool           `json:"depends_on_past"`
	WaitsBelow  bool           `json:"wait_for_downstream"`
	Retries     float64        `json:"retries"`
	Queue       string         `json:"queue"`
	Pool        string         `json:"pool"`
	PoolSlots   float64        `json:"pool_slots"`
	Timeout     delta          `json:"execution_timeout"`
	RetryDelay  delta          `json:"retry_delay"`
	RetryFactor float64        `json:"retry_exponential_backoff"`
	Priority    float64        `json:"priority_weight"`
	WeightRule  string         `json:"weight_rule"`
	Color       *string        `json:"ui_color"`
	TextColor   *string        `json:"ui_fgcolor"`
	Templates   []string       `json:"template_fields"`
	Downstream  []string       `json:"downstream_task_ids"`
	Doc         *string        `json:"doc_md"`
	Operator    string         `json:"operator_name"`
	Params      map[string]any `json:"params"`
	Class       map[string]any `json:"class_ref"`
	Mapped      bool           `json:"is_mapped"`
	Links       []string       `json:"extra_links"`
}

func v2TasksOf(d *workflow.Definition) []v2Task {
	all := []v2Task{}
	for i, v1 := range tasksOf(d) {
		t := &d.Tasks[i]
		v := v2Task{ID: v1.ID, DisplayName: v1.DisplayName, Owner: v1.Owner, Trigger: v1.Trigger, Retries: v1.Retries, Queue: v1.Queue, Pool: v1.Pool, PoolSlots: v1.PoolSlots,
			Timeout: deltaOf(t.Timeout), RetryDelay: deltaOf(t.RetryDelay), RetryFactor: t.RetryBackoff, Priority: float64(t.Priority), WeightRule: "absolute",
			Templates: []string{}, Downstream: v1.Downstream, Operator: v1.Operator, Params: v2Params(d), Class: v1.Class, Links: []string{}}
		for name := range t.With {
			v.Templates = append(v.Templates, name)
		}
		slices.Sort(v.Templates)
		if t.Description != "" {
			v.Doc = &t.Description
		}
		all = append(all, v)
	}
	return all
}

var taskOrders = attributes[v2Task]{by: map[string]func(*v2Task) sortKey{
	"task_id": func(t *v2Task) sortKey { return textKey(t.ID) }, "task_display_name": func(t *v2Task) sortKey { return textKey(t.ID) }, "owner": func(t *v2Task) sortKey { return textKey(t.Owner) },
	"trigger_rule": func(t *v2Task) sortKey { return textKey(t.Trigger) }, "retries": func(t *v2Task) sortKey { return sortKey{Number: t.Retries} },
	"queue": func(t *v2Task) sortKey { return textKey(t.Queue) }, "pool": func(t *v2Task) sortKey { return textKey(t.Pool) }, "pool_slots": func(t *v2Task) sortKey { return sortKey{Number: t.PoolSlots} },
	"priority_weight": func(t *v2Task) sortKey { return sortKey{Number: t.Priority} }, "operator_name": func(t *v2Task) sortKey { return textKey(t.Operator) },
}, unique: []func(*v2Task) sortKey{func(t *v2Task) sortKey { return textKey(t.ID) }}}

func (s *V2) dagTasks(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l := &listing{limit: 1 << 62, orderBy: q.Texts("order_by")}
	if err := q.Done(); err != nil {
		return err
	}
	k, err := s.usable(r)
	if err != nil {
		return err
	}
	return writeList(w, l, v2TasksOf(k.Definition), taskOrders, "tasks", func(t *v2Task) any { return t })
}

func (s *V2) dagTask(w http.ResponseWriter, r *http.Request) error {
	k, err := s.usable(r)
	if err != nil {
		return err
	}
	for _, t := range v2TasksOf(k.Definition) {
		if t.ID == r.PathValue("task") {
			return api.WriteJSON(w, http.StatusOK, t)
		}
	}
	return fastapi.Refuse(http.StatusNotFound, "Task with id %s was not found", api.Short(r.PathValue("task")))
}

// v2Try is a try of a task of a run.
type v2Try struct {
	Task        string     `json:"task_id"`
	DAG         string     `json:"dag_id"`
	Run         string     `json:"dag_run_id"`
	MapIndex    int        `json:"map_index"`
	Start       *string    `json:"start_date"`
	End         *string    `json:"end_date"`
	Duration    *float64   `json:"duration"` // seconds
	State       *string    `json:"state"`    // null before the task is due
	Try         int        `json:"try_number"`
	MaxTries    int        `json:"max_tries"` // that may follow the first
	DisplayName string     `json:"task_display_name"`
	DAGName     string     `json:"dag_display_name"`
	Hostname    string     `json:"hostname"`
	User        string     `json:"unixname"`
	Pool        string     `json:"pool"`
	PoolSlots   int        `json:"pool_slots"`
	Queue       string     `json:"queue"`
	Priority    int        `json:"priority_weight"`
	Operator    string     `json:"operator"`
	OperatorToo string     `json:"operator_name"`
	Queued      *string    `json:"queued_when"`
	Scheduled   *string    `json:"scheduled_when"`
	PID         *int       `json:"pid"`
	Executor    *string    `json:"executor"`
	Config      string     `json:"executor_config"`
	Version     *v2Version `json:"dag_version"`
}

// v2Instance is a task of a run, as its last try has it.
type v2Instance struct {
	v2Try
	ID       uuid.UUID      `json:"id"` // derives from run, task and try
	Logical  *string        `json:"logical_date"`
	After    *string        `json:"run_after"`
	Note     *string        `json:"note"`
	Index    *string        `json:"rendered_map_index"`
	Rendered map[string]any `json:"rendered_fields"`
	Trigger  *string        `json:"trigger"`
	Job      *string        `json:"triggerer_job"`
}

// runTask is a task of a run, by its place in the definition that the run goes by.
type runTask struct {
	run     *projections.WorkflowRun
	d       *workflow.Definition
	at      int
	state   workflow.State
	version *v2Version
}

func (t *runTask) task() projections.Task { return t.run.TaskOf(t.name()) }
func (t *runTask) name() string           { return t.d.Tasks[t.at].Name }

func (t *runTask) shown() v2Instance {
	v1, task, d := instanceOf(t.run, t.d, t.at, t.state), t.task(), projections.DigestOf(t.run)
	start := task.LastStartedMillis()
	return v2Instance{v2Try: v2Try{Task: v1.Task, DAG: v1.DAG, Run: v1.Run, MapIndex: -1, Start: stamp(start), End: stamp(task.EndedMillis), Duration: seconds(start, task.EndedMillis), State: v1.State,
		Try: v1.Try, MaxTries: max(v1.Try-1, t.d.Tasks[t.at].Retries), DisplayName: v1.DisplayName, DAGName: v1.DAG, Hostname: v1.Hostname, User: v1.User, Pool: v1.Pool, PoolSlots: v1.PoolSlots,
		Queue: v1.Queue, Priority: v1.Priority, Operator: v1.Operator, OperatorToo: v1.Operator, Queued: stamp(start), Config: v1.Config, Version: t.version},
		ID: idOf("task", v1.Run, v1.Task, strconv.Itoa(v1.Try)), Logical: stamp(dateMillis(&d)), After: stamp(afterMillis(&d)), Note: v1.Note, Rendered: map[string]any{}}
}

// of is a try of the task that is shown: as it ended, and by whom.
func (v v2Try) of(y *projections.Try) v2Try {
	state := y.State
	v.Try, v.State, v.Hostname, v.Start, v.End = y.Try, &state, y.Holder, stamp(y.StartedMillis), stamp(y.EndedMillis)
	v.Duration, v.Queued = seconds(y.StartedMillis, y.EndedMillis), v.Start
	return v
}

// tasksOfRun are all tasks of a run, in the order of its definition; none where this program cannot use it.
func (s *V2) tasksOfRun(run *projections.WorkflowRun) ([]runTask, error) {
	d, err := s.Workflows.Under(run)
	switch {
	case fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound):
		return nil, nil
	case err != nil:
		return nil, err
	}
	version, err := s.versionOf(run.Workflow, run.RequestedOffset)
	if err != nil {
		return nil, err
	}
	states := run.States(d)
	all := make([]runTask, len(d.Tasks))
	for i := range d.Tasks {
		all[i] = runTask{run, d, i, states[d.Tasks[i].Name], version}
	}
	return all, nil
}

// taskOf is the task of a run that a request names. A map index beside -1 there is not.
func (s *V2) taskOf(r *http.Request) (t runTask, err error) {
	dag, id, name := api.Short(r.PathValue("dag")), api.Short(r.PathValue("run")), r.PathValue("task")
	index := int64(-1)
	if r.PathValue("index") != "" {
		if index, err = wholeInPath(r, "map_index", "index", -1<<63); err != nil {
			return t, err
		}
	}
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(r.PathValue("run"))
	if err != nil {
		return t, err
	}
	if ok && run.Workflow == r.PathValue("dag") && index == -1 {
		all, err := s.tasksOfRun(&run)
		if err != nil {
			return t, err
		}
		if i := slices.IndexFunc(all, func(t runTask) bool { return t.name() == name }); i >= 0 {
			return all[i], nil
		}
	}
	if index != -1 {
		return t, fastapi.Refuse(http.StatusNotFound, "The Mapped Task Instance with dag_id: `%s`, run_id: `%s`, task_id: `%s`, and map_index: `%d` was not found", dag, id, api.Short(name), index)
	}
	return t, fastapi.Refuse(http.StatusNotFound, "The Task Instance with dag_id: `%s`, run_id: `%s` and task_id: `%s` was not found", dag, id, api.Short(name))
}

// ofIndex reads map_index= of a query, which is -1: nothing is mapped.
func (s *V2) ofIndex(r *http.Request, q *fastapi.Values) (runTask, error) {
	index := q.Integer("map_index", -1, -1<<63, 1<<63-1)
	if err := q.Done(); err != nil {
		return runTask{}, err
	}
	if index != -1 {
		r.SetPathValue("index", strconv.FormatInt(index, 10))
	}
	return s.taskOf(r)
}

func (s *V2) instance(w http.ResponseWriter, r *http.Request) error {
	t, err := s.taskOf(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, t.shown())
}

func (s *V2) mapped(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.taskOf(r); err != nil {
		return err
	}
	return fastapi.Refuse(http.StatusNotFound, "Task id %s is not mapped", api.Short(r.PathValue("task")))
}

// indexed is what stands below a task's map index in a path.
func (s *V2) indexed(w http.ResponseWriter, r *http.Request) error {
	switch r.PathValue("what") {
	case "tries":
		return s.tries(w, r)
	case "dependencies":
		return s.dependencies(w, r)
	}
	return fault.New(fault.NotFound, "there is nothing at %s", api.Short(r.URL.Path))
}

func (s *V2) tries(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	t, err := s.ofIndex(r, q)
	if err != nil {
		return err
	}
	all, shown := []v2Try{}, t.shown().v2Try
	tries := t.task().Tries
	for i := range tries {
		all = append(all, shown.of(&tries[i]))
	}
	if len(all) == 0 {
		all = append(all, shown)
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"task_instances": all, "total_entries": len(all)})
}

// tryOf is the try that a request names.
func (s *V2) tryOf(r *http.Request, t *runTask, missing error) (*projections.Try, error) {
	number, err := wholeInPath(r, "try_number", "try", 0)
	if err != nil {
		return nil, err
	}
	tries := t.task().Tries
	i := slices.IndexFunc(tries, func(y projections.Try) bool { return int64(y.Try) == number })
	if i < 0 {
		return nil, missing
	}
	return &tries[i], nil
}

func (s *V2) try(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	t, err := s.ofIndex(r, q)
	if err != nil {
		return err
	}
	y, err := s.tryOf(r, &t, fastapi.Refuse(http.StatusNotFound, "The Task Instance with dag_id: `%s`, run_id: `%s`, task_id: `%s`, try_number: `%s` and map_index: `-1` was not found",
		t.run.Workflow, t.run.RunID, t.name(), api.Short(r.PathValue("try"))))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, t.shown().of(y))
}

func (s *V2) dependencies(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	t, err := s.ofIndex(r, q)
	if err != nil {
		return err
	}
	all := []dependency{}
	if t.state == workflow.None || t.state == workflow.Queued {
		k, err := s.Workflows.Of(t.run.Workflow)
		if err != nil {
			return err
		}
		if k.Paused {
			all = append(all, dependency{"Dag Not Paused", fmt.Sprintf("Dag '%s' is paused", k.Name)})
		}
	}
	if t.state == workflow.None {
		states, task := t.run.States(t.d), t.d.Tasks[t.at]
		var waits []string
		for _, name := range task.Needs {
			if state := states[name]; state != workflow.Success {
				waits = append(waits, fmt.Sprintf("%s (%s)", name, cmp.Or(string(state), "none")))
			}
		}
		all = append(all, dependency{"Trigger Rule", fmt.Sprintf("Task's trigger rule '%s' is not met yet; upstream tasks that have not succeeded: %s", task.Rule, strings.Join(waits, ", "))})
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"dependencies": all})
}

// links are addresses of other systems that operators give for what they did: there are none.
func (s *V2) links(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	q.Integer("try_number", 0, -1<<63, 1<<63-1)
	if _, err := s.ofIndex(r, q); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"extra_links": map[string]any{}, "total_entries": 0})
}
