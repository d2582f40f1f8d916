package airflow

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) steerRoutes(r *api.Routes) {
	r.Handle("PATCH /api/v1/dags/{dag}", s.patchDAG, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}", s.patchRun, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/setNote", s.noteRun, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/dagRuns/{run}/clear", s.clearRun, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}", s.patchTask, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}/setNote", s.noteTask, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/clearTaskInstances", s.clearTasks, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/updateTaskInstancesState", s.markTasks, "workflows")
	r.Handle("GET /api/v1/importErrors", s.importErrors, "workflows")
}

// say dispatches commands, and waits until the view has what came of them.
func (s *Surface) say(r *http.Request, all ...commands.Command) error {
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	var positions []streams.Position
	key := m.IdempotencyKey
	for i, c := range all {
		if key != "" && i > 0 { // a key stands for one command
			m.IdempotencyKey = key + "/" + strconv.Itoa(i)
		}
		res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
		if err != nil {
			return err
		}
		positions = append(positions, res.Position)
	}
	s.Settle(r.Context(), positions, "workflows")
	return nil
}

// patchDAG pauses a workflow, or lets it go on. Nothing else of it is changed so.
func (s *Surface) patchDAG(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "update_mask")
	if mask := q.Str("update_mask"); mask != "" && mask != "is_paused" {
		q.Fault("update_mask", "Property is read-only - '%s'", api.Short(mask))
	}
	if err := q.Err(); err != nil {
		return err
	}
	var v map[string]json.RawMessage
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	for name := range v {
		if name != "is_paused" {
			return fault.New(fault.Invalid, "Property is read-only - '%s'", api.Short(name))
		}
	}
	var paused bool
	if raw, ok := v["is_paused"]; !ok || json.Unmarshal(raw, &paused) != nil {
		return fault.Field("is_paused", "is missing, or neither true nor false")
	}
	k, err := s.workflow(r)
	if err != nil {
		return err
	}
	if err := s.say(r, pausing(k.Name, paused)); err != nil {
		return err
	}
	return s.dag(w, r)
}

// pausing pauses a workflow, or lets it go on.
func pausing(name string, paused bool) commands.Command {
	if paused {
		return &commands.PauseWorkflow{Workflow: name}
	}
	return &commands.UnpauseWorkflow{Workflow: name}
}

// oneOf refuses a state that is none of some, in Airflow's words.
func oneOf(field, state string, all ...string) error {
	if slices.Contains(all, state) {
		return nil
	}
	return fault.New(fault.Invalid, "'%s' is not one of ['%s'] - '%s'", api.Short(state), strings.Join(all, "', '"), field)
}

// patchRun gives a run a state. As a success, it is that each of its tasks which is not over well is marked so; queued
// is refused: a run is done again by clearing it.
func (s *Surface) patchRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		State string `json:"state"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if err := oneOf("state", v.State, "success", "failed", "queued"); err != nil {
		return err
	}
	run, d, err := s.runAndWorkflow(r)
	if err != nil {
		return err
	}
	marks, err := marking(&run, d, v.State)
	if err == nil {
		err = s.say(r, marks...)
	}
	if err != nil {
		return err
	}
	return s.run(w, r)
}

// marking gives a run a state.
func marking(run *projections.WorkflowRun, d *workflow.Definition, state string) (all []commands.Command, err error) {
	switch state {
	case "queued":
		return nil, fault.Field("state", "a run is not queued by word").WithHint("clear it, or the tasks that are to be done again")
	case "failed":
		if run.State != projections.StateFailed {
			all = append(all, &commands.EndWorkflowRun{RunID: run.RunID, State: projections.StateFailed, Reason: "marked as failed"})
		}
		return all, nil
	}
	states := run.States(d)
	for i := range d.Tasks {
		if state := states[d.Tasks[i].Name]; state != workflow.Success && state != workflow.Skipped {
			all = append(all, &commands.MarkTask{RunID: run.RunID, Task: d.Tasks[i].Name, State: "success", Note: "its run was marked as success"})
		}
	}
	return all, nil
}

func (s *Surface) noteRun(w http.ResponseWriter, r *http.Request) error {
	return s.note(w, r, func() (string, error) { return "", nil }, s.run)
}

func (s *Surface) noteTask(w http.ResponseWriter, r *http.Request) error {
	return s.note(w, r, func() (string, error) {
		_, d, at, err := s.taskOf(r)
		if err != nil {
			return "", err
		}
		return d.Tasks[at].Name, nil
	}, s.instance)
}

func (s *Surface) note(w http.ResponseWriter, r *http.Request, task func() (string, error), answer api.Handler) error {
	var v struct {
		Note string `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	name, err := task()
	if err != nil {
		return err
	}
	if err := s.say(r, &commands.NoteWorkflow{RunID: run.RunID, Task: name, Note: v.Note}); err != nil {
		return err
	}
	return answer(w, r)
}

// reference names a task of a run.
type reference struct {
	DAG       string `json:"dag_id"`
	Run       string `json:"dag_run_id"`
	Execution string `json:"execution_date"`
	Task      string `json:"task_id"`
}

func references(run *projections.WorkflowRun, tasks []string) map[string]any {
	list := []reference{}
	for _, t := range tasks {
		list = append(list, reference{run.Workflow, run.RunID, iso(run.LogicalMillis), t})
	}
	return map[string]any{"task_instances": list}
}

// clearRun has all tasks of a run done again; unless it is told that this is no dry run, it only says which.
func (s *Surface) clearRun(w http.ResponseWriter, r *http.Request) error {
	v := struct {
		Dry bool `json:"dry_run"`
	}{true}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	run, d, err := s.runAndWorkflow(r)
	if err != nil {
		return err
	}
	var tasks []string
	for i := range d.Tasks {
		tasks = append(tasks, d.Tasks[i].Name)
	}
	if v.Dry {
		return api.WriteJSON(w, http.StatusOK, references(&run, tasks))
	}
	if err := s.say(r, &commands.ClearTasks{RunID: run.RunID, Tasks: tasks}); err != nil {
		return err
	}
	return s.run(w, r)
}

// selected is what is asked for of tasks of a run.
type selected struct {
	Dry        bool     `json:"dry_run"`
	Run        string   `json:"dag_run_id"`
	Tasks      []string `json:"task_ids"`
	Task       string   `json:"task_id"`
	Upstream   bool     `json:"include_upstream"`
	Downstream bool     `json:"include_downstream"`
	OnlyFailed bool     `json:"only_failed"`
	OnlyActive bool     `json:"only_running"`
	State      string   `json:"new_state"`
	Future     bool     `json:"include_future"`
	Past       bool     `json:"include_past"`

	// What clients send and has no meaning here: a run goes on by itself when tasks of it are cleared, and has no other
	// workflow in it.
	Reset  bool `json:"reset_dag_runs"`
	Sub    bool `json:"include_subdags"`
	Parent bool `json:"include_parentdag"`
}

// choose reads which tasks of a run are asked for.
func (s *Surface) choose(w http.ResponseWriter, r *http.Request, v *selected) (run projections.WorkflowRun, tasks []string, err error) {
	if err := api.ReadJSON(w, r, v, false); err != nil {
		return run, nil, err
	}
	if v.Run == "" {
		return run, nil, fault.Field("dag_run_id", "is missing").WithHint("name the run; each is dealt with by itself")
	}
	if v.Future || v.Past {
		return run, nil, fault.Field("include_future", "and include_past reach into other runs, which are dealt with by themselves").WithHint("leave them out, and name each run")
	}
	r.SetPathValue("run", v.Run)
	run, d, err := s.runAndWorkflow(r)
	if err != nil {
		return run, nil, err
	}
	wanted := v.Tasks
	if v.Task != "" {
		wanted = append(wanted, v.Task)
	}
	for _, name := range wanted {
		if d.Task(name) == nil {
			r.SetPathValue("task", name)
			return run, nil, noTask(r)
		}
	}
	return run, v.of(&run, d, wanted), nil
}

// of are the tasks of a run that are asked for, where some are named, or of all.
func (v *selected) of(run *projections.WorkflowRun, d *workflow.Definition, wanted []string) (tasks []string) {
	states := run.States(d)
	for i := range d.Tasks {
		name := d.Tasks[i].Name
		in := len(wanted) == 0 || slices.Contains(wanted, name) ||
			v.Downstream && slices.Contains(d.Downstream(wanted...), name) ||
			v.Upstream && slices.ContainsFunc(wanted, func(t string) bool { return slices.Contains(d.Downstream(name), t) })
		state := states[name]
		if v.OnlyFailed && state != workflow.Failed && state != workflow.UpstreamFailed || v.OnlyActive && state != workflow.Running {
			in = false
		}
		if in {
			tasks = append(tasks, name)
		}
	}
	return tasks
}

func (s *Surface) clearTasks(w http.ResponseWriter, r *http.Request) error {
	v := selected{Dry: true, OnlyFailed: true}
	run, tasks, err := s.choose(w, r, &v)
	if err != nil {
		return err
	}
	if !v.Dry && len(tasks) > 0 {
		if err := s.say(r, &commands.ClearTasks{RunID: run.RunID, Tasks: tasks}); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, references(&run, tasks))
}

func (s *Surface) markTasks(w http.ResponseWriter, r *http.Request) error {
	v := selected{Dry: true}
	run, tasks, err := s.choose(w, r, &v)
	if err != nil {
		return err
	}
	if v.Task == "" {
		return fault.Field("task_id", "is missing")
	}
	if err := oneOf("new_state", v.State, "success", "failed", "skipped"); err != nil {
		return err
	}
	if !v.Dry {
		var marks []commands.Command
		for _, name := range tasks {
			marks = append(marks, &commands.MarkTask{RunID: run.RunID, Task: name, State: v.State})
		}
		if err := s.say(r, marks...); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, references(&run, tasks))
}

func (s *Surface) patchTask(w http.ResponseWriter, r *http.Request) error {
	v := struct {
		Dry   bool   `json:"dry_run"`
		State string `json:"new_state"`
	}{Dry: true}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	run, d, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	if err := oneOf("new_state", v.State, "success", "failed", "skipped"); err != nil {
		return err
	}
	name := d.Tasks[at].Name
	if !v.Dry {
		if err := s.say(r, &commands.MarkTask{RunID: run.RunID, Task: name, State: v.State}); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, reference{run.Workflow, run.RunID, iso(run.LogicalMillis), name})
}

// importErrors are the workflows whose definition in force this program cannot use.
func (s *Surface) importErrors(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	limit, offset := q.Number("limit", limitDefault, 1, limitMax), q.Number("offset", 0, 0, offsetMax)
	if err := q.Err(); err != nil {
		return err
	}
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	all := []map[string]any{}
	for i := range known {
		if k := &known[i]; k.Err != nil {
			all = append(all, map[string]any{"import_error_id": k.DefinedOffset, "timestamp": iso(k.DefinedMillis), "filename": k.Name + ".yaml", "stack_trace": k.Err.Error()})
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"import_errors": page(all, offset, limit), "total_entries": len(all)})
}
