package airflow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) steerRoutes(r *api.Routes) {
	r.Handle("PATCH /api/v1/dags", s.patchDAGs, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}", s.patchDAG, "workflows")
	r.Handle("DELETE /api/v1/dags/{dag}", s.deleteDAG, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}", s.patchRun, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/setNote", s.noteRun, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/dagRuns/{run}/clear", s.clearRun, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}", s.patchTask, "workflows")
	r.Handle("PATCH /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}/setNote", s.noteTask, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/clearTaskInstances", s.clearTasks, "workflows")
	r.Handle("POST /api/v1/dags/{dag}/updateTaskInstancesState", s.markTasks, "workflows")
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
	s.Settle(r.Context(), positions, "workflows", "variables")
	return nil
}

// readPaused reads whether workflows are to be paused. Nothing else of them is changed so.
func readPaused(w http.ResponseWriter, r *http.Request, q *api.Query) (paused bool, err error) {
	for _, mask := range several(q, "update_mask") {
		if mask != "is_paused" {
			q.Add(fault.New(fault.Invalid, "Only `is_paused` field can be updated through the REST API"))
		}
	}
	if err := q.Err(); err != nil {
		return false, err
	}
	var v map[string]json.RawMessage
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return false, err
	}
	for name := range v {
		if name != "is_paused" {
			return false, fault.New(fault.Invalid, "Property is read-only - '%s'", api.Short(name))
		}
	}
	if raw, ok := v["is_paused"]; !ok || json.Unmarshal(raw, &paused) != nil || string(raw) == "null" {
		return false, fault.Field("is_paused", "is missing, or neither true nor false")
	}
	return paused, nil
}

func pauseOf(name string, paused bool) commands.Command {
	if paused {
		return &commands.PauseWorkflow{Workflow: name}
	}
	return &commands.UnpauseWorkflow{Workflow: name}
}

// patchDAG pauses a workflow, or lets it go on.
func (s *Surface) patchDAG(w http.ResponseWriter, r *http.Request) error {
	paused, err := readPaused(w, r, api.QueryOf(r, "update_mask*"))
	if err != nil {
		return err
	}
	k, err := s.known(r)
	if fault.Is(err, fault.NotFound) {
		return missing(fmt.Sprintf("Dag with id: '%s' not found", api.Short(r.PathValue("dag"))), "there is no workflow of that name")
	}
	if err == nil {
		err = s.say(r, pauseOf(k.Name, paused))
	}
	if err != nil {
		return err
	}
	return s.dag(w, r)
}

// patchDAGs pauses the workflows of a page, or lets them go on. Airflow wants a pattern; ~ is any.
func (s *Surface) patchDAGs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "tags*", "update_mask*", "only_active", "dag_id_pattern")
	piece := asked(q)
	pattern := q.Str("dag_id_pattern")
	if pattern == "" {
		q.Add(fault.New(fault.Invalid, "Missing query parameter 'dag_id_pattern'").WithHint("~ is all of them"))
	}
	paused, err := readPaused(w, r, q)
	if err != nil {
		return err
	}
	if pattern == "~" {
		pattern = "%"
	}
	all, err := s.chosen(q, pattern)
	if err != nil {
		return err
	}
	var said []commands.Command
	some := page(all, piece)
	for i := range some {
		if some[i].Paused != paused {
			said = append(said, pauseOf(some[i].ID, paused))
		}
		some[i].Paused = paused
	}
	if err := s.say(r, said...); err != nil {
		return err
	}
	return answerList(w, "dags", some, int64(len(all)))
}

// deleteDAG takes a workflow out of force. Its runs, and the log, keep what was.
func (s *Surface) deleteDAG(w http.ResponseWriter, r *http.Request) error {
	k, err := s.known(r)
	if fault.Is(err, fault.NotFound) {
		return missing(fmt.Sprintf("Dag with id: '%s' not found", api.Short(r.PathValue("dag"))), "there is no workflow of that name")
	}
	if err != nil {
		return err
	}
	if err := s.outOfForce(r, k.Name); err != nil {
		return err
	}
	return gone(w)
}

// outOfForce deletes a workflow none of whose runs goes on. Errors: fault.Conflict.
func (s *Surface) outOfForce(r *http.Request, workflow string) error {
	counts, err := fold.Of[*projections.Workflows](s.Views).StateCounts(workflow)
	if err != nil {
		return err
	}
	if counts[projections.StateQueued]+counts[projections.StateRunning] > 0 {
		return fault.New(fault.Conflict, "Task instances of dag with id: '%s' are still running", workflow)
	}
	return s.say(r, &commands.DeleteWorkflow{Workflow: workflow})
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
	run, d, err := s.steeredUnder(r)
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

// noteMax is how long a note may be, in characters.
const noteMax = 1000

// steered is the run that a request to change it names.
func (s *Surface) steered(r *http.Request) (projections.WorkflowRun, error) {
	run, err := s.runOf(r)
	if fault.Is(err, fault.NotFound) {
		err = missing(fmt.Sprintf("Dag Run id %s not found in dag %s", api.Short(r.PathValue("run")), api.Short(r.PathValue("dag"))), "there is no such run")
	}
	return run, err
}

// steeredUnder is that run, and its definition.
func (s *Surface) steeredUnder(r *http.Request) (projections.WorkflowRun, *workflow.Definition, error) {
	run, err := s.steered(r)
	if err != nil {
		return run, nil, err
	}
	d, err := s.Workflows.Under(&run)
	return run, d, err
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
	if n := utf8.RuneCountInString(v.Note); n > noteMax {
		return fault.New(fault.Invalid, "{'note': ['Longer than maximum length %d.']}", noteMax)
	}
	run, err := s.steered(r)
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
	run, d, err := s.steeredUnder(r)
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
