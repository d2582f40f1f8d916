package airflow

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) taskRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/taskInstances", s.instances, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}", s.instance, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}/logs/{try}", s.log, "workflows")
	r.Read("POST /api/v1/dags/~/dagRuns/~/taskInstances/list", s.instanceBatch, "workflows")
}

// instance is a task of a run, as its last try has it.
type instance struct {
	tried
	Execution string   `json:"execution_date"`
	Note      *string  `json:"note"`
	Rendered  struct{} `json:"rendered_fields"`
	MapShown  *string  `json:"rendered_map_index"`
	SLAMiss   *string  `json:"sla_miss"`
	Trigger   *string  `json:"trigger"`
	Triggerer *string  `json:"triggerer_job"`
}

// instancesOf are all tasks of a run, in the order of its definition.
func instancesOf(run *projections.WorkflowRun, d *workflow.Definition) []instance {
	states := run.States(d)
	all := make([]instance, len(d.Tasks))
	for i := range d.Tasks {
		all[i] = instanceOf(run, d, i, states[d.Tasks[i].Name])
	}
	return all
}

func instanceOf(run *projections.WorkflowRun, d *workflow.Definition, at int, state workflow.State) instance {
	t := run.TaskOf(d.Tasks[at].Name)
	v := instance{Execution: iso(run.LogicalMillis), tried: tried{DAG: run.Workflow, Run: run.RunID, Task: t.Task, DisplayName: t.Task,
		Start: optional(t.LastStartedMillis()), End: optional(t.EndedMillis), Try: t.Try, MaxTries: max(t.Try, d.Tasks[at].Retries+1), MapIndex: -1, Hostname: t.Holder, User: "projectionist",
		Pool: d.Tasks[at].Pool, PoolSlots: d.Tasks[at].PoolSlots, Queue: queueName, Priority: d.Tasks[at].Priority, Operator: d.Tasks[at].Operator, Config: "{}", Queued: optional(t.LastStartedMillis()),
		Duration: seconds(t.LastStartedMillis(), t.EndedMillis)}}
	if state != workflow.None { // else it waits for tasks before it
		text := string(state)
		v.State = &text
	}
	if t.Note != "" {
		v.Note = &t.Note
	}
	return v
}

// queueName is the queue of every task: there are no others.
const queueName = "default"

// seconds are what lies between two times; null where one of them is not there.
func seconds(from, to int64) *float64 {
	if from == 0 || to == 0 {
		return nil
	}
	v := float64(to-from) / 1000
	return &v
}

// runAndWorkflow are the run that a request names, and its definition.
func (s *Surface) runAndWorkflow(r *http.Request) (projections.WorkflowRun, *workflow.Definition, error) {
	run, err := s.runOf(r)
	if err != nil {
		return run, nil, err
	}
	d, err := s.Workflows.Under(&run)
	return run, d, err
}

// taskOf is the run and the task that a request names, by its place in the definition.
func (s *Surface) taskOf(r *http.Request) (run projections.WorkflowRun, d *workflow.Definition, at int, err error) {
	if run, d, err = s.runAndWorkflow(r); err != nil {
		return run, d, 0, err
	}
	at = slices.IndexFunc(d.Tasks, func(t workflow.Task) bool { return t.Name == r.PathValue("task") })
	if at < 0 {
		err = missing("Task instance not found", "the DAG %s has no task %s", api.Short(r.PathValue("dag")), api.Short(r.PathValue("task")))
	}
	return run, d, at, err
}

func (s *Surface) instance(w http.ResponseWriter, r *http.Request) error {
	run, wf, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, instancesOf(&run, wf)[at])
}

// log is what the events of a run say of a try of a task, a line each. It is text, or a document around it where JSON
// is asked for.
func (s *Surface) log(w http.ResponseWriter, r *http.Request) error {
	run, wf, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(r.PathValue("try"))
	if err != nil || number < 1 {
		return fault.Field("task_try_number", "is %s; want a number from 1", api.Short(r.PathValue("try")))
	}
	t := run.TaskOf(wf.Tasks[at].Name)
	i := slices.IndexFunc(t.Tries, func(y projections.Try) bool { return y.Try == number })
	if i < 0 {
		return fault.New(fault.NotFound, "there was no try %d of the task %s", number, t.Task)
	}
	text, err := s.logText(r.Context(), &run, &t, &t.Tries[i])
	if err != nil {
		return err
	}
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		return api.WriteText(w, "text/plain", []byte(text))
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"content": fmt.Sprintf("[(%s, %s)]", python(t.Tries[i].Holder), python(text)), "continuation_token": endOfLog})
}

// endOfLog is the token of a log that is whole: clients want a text.
const endOfLog = "end_of_log"

func logOf(t *projections.Task, y *projections.Try) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] {%s} INFO - try %d of the task %s began\n", timeOf(y.StartedMillis), y.Holder, y.Try, t.Task)
	for _, name := range sortedKeys(t.Output) {
		if y.State == projections.StateSuccess {
			fmt.Fprintf(&b, "[%s] {%s} INFO - %s = %s\n", timeOf(y.EndedMillis), y.Holder, name, t.Output[name])
		}
	}
	switch {
	case y.Error != "":
		fmt.Fprintf(&b, "[%s] {%s} ERROR - %s\n", timeOf(y.EndedMillis), y.Holder, y.Error)
		if t.RetryAtMillis != 0 && y.Try == t.Try {
			fmt.Fprintf(&b, "[%s] {%s} INFO - Marking task as UP_FOR_RETRY, at %s\n", timeOf(y.EndedMillis), y.Holder, iso(t.RetryAtMillis))
		}
	case y.State == projections.StateSuccess:
		fmt.Fprintf(&b, "[%s] {%s} INFO - Marking task as SUCCESS\n", timeOf(y.EndedMillis), y.Holder)
	}
	return b.String()
}

// python spells text as Python's repr does, which is how Airflow's clients are given values.
func python(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + "'"
}
