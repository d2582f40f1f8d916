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

func (s *Surface) tryRoutes(r *api.Routes) {
	const at = "/api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}"
	r.Handle("GET "+at+"/tries", s.tries, "workflows")
	r.Handle("GET "+at+"/tries/{try}", s.try, "workflows")
	r.Handle("GET "+at+"/dependencies", s.dependencies, "workflows")
	r.Handle("GET "+at+"/links", s.links, "workflows")
	r.Handle("GET "+at+"/listMapped", s.listMapped, "workflows")
	// What Airflow has of each of the instances that a mapped task has in a run, by its number: there are none.
	r.Handle("GET "+at+"/{rest...}", s.notMapped, "workflows")
	r.Handle("PATCH "+at+"/{rest...}", s.notMapped, "workflows")
}

// tried is one try of a task.
type tried struct {
	DAG         string   `json:"dag_id"`
	Run         string   `json:"dag_run_id"`
	Task        string   `json:"task_id"`
	DisplayName string   `json:"task_display_name"`
	MapIndex    int      `json:"map_index"`
	Start       *string  `json:"start_date"`
	End         *string  `json:"end_date"`
	Duration    *float64 `json:"duration"` // seconds
	State       *string  `json:"state"`    // null before the task is due
	Try         int      `json:"try_number"`
	MaxTries    int      `json:"max_tries"`
	Hostname    string   `json:"hostname"`
	User        string   `json:"unixname"`
	Pool        string   `json:"pool"`
	PoolSlots   int      `json:"pool_slots"`
	Queue       string   `json:"queue"`
	Priority    int      `json:"priority_weight"`
	Operator    string   `json:"operator"`
	Queued      *string  `json:"queued_when"`
	PID         *int     `json:"pid"`
	Executor    *string  `json:"executor"`
	Config      string   `json:"executor_config"`
}

// triesOf are the tries of a task of a run, and the task as it stands where it has none.
func triesOf(run *projections.WorkflowRun, d *workflow.Definition, at int) []tried {
	now := instancesOf(run, d)[at].tried
	t := run.TaskOf(now.Task)
	all := []tried{}
	for i := range t.Tries {
		y := &t.Tries[i]
		one := now
		one.Start, one.End, one.Duration, one.State, one.Try, one.Hostname = optional(y.StartedMillis), optional(y.EndedMillis), seconds(y.StartedMillis, y.EndedMillis), &y.State, y.Try, y.Holder
		one.Queued = one.Start
		all = append(all, one)
	}
	if len(all) == 0 {
		all = append(all, now)
	}
	return all
}

func (s *Surface) tries(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by", "map_index")
	piece := asked(q)
	if err := q.Err(); err != nil {
		return err
	}
	run, d, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	all := triesOf(&run, d, at)
	return answerList(w, "task_instances", page(all, piece), int64(len(all)))
}

func (s *Surface) try(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.Atoi(r.PathValue("try"))
	if err != nil || number < 0 {
		return fault.Field("task_try_number", "is %s; want a whole number", api.Short(r.PathValue("try")))
	}
	run, d, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	for _, y := range triesOf(&run, d, at) {
		if y.Try == number {
			return api.WriteJSON(w, http.StatusOK, y)
		}
	}
	return missing("Task instance not found", "Task Instance not found for dag_id=%s, run_id=%s, task_id=%s, map_index=-1, try_number=%d.", run.Workflow, run.RunID, d.Tasks[at].Name, number)
}

// dependency is what a task waits for.
type dependency struct {
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// dependencies says why a task that has not started does not start: its run waits, or the tasks before it.
func (s *Surface) dependencies(w http.ResponseWriter, r *http.Request) error {
	run, d, at, err := s.taskOf(r)
	if err != nil {
		return err
	}
	states := run.States(d)
	t := &d.Tasks[at]
	all := []dependency{}
	if state := states[t.Name]; state == workflow.None || state == workflow.Queued {
		k, err := s.Workflows.Of(run.Workflow)
		if err == nil && k.Paused {
			all = append(all, dependency{"Dag Not Paused", fmt.Sprintf("Task's DAG '%s' is paused.", run.Workflow)})
		}
		if run.State != projections.StateRunning {
			all = append(all, dependency{"Dagrun Running", fmt.Sprintf("Task instance's dagrun was not in the 'running' state but in the state '%s'.", run.State)})
		}
		if state == workflow.None {
			var waits []string
			for _, n := range t.Needs {
				if !states[n].Over() {
					waits = append(waits, n)
				}
			}
			slices.Sort(waits)
			all = append(all, dependency{"Trigger Rule", fmt.Sprintf("Task's trigger rule '%s' waits for %d of its %d upstream tasks: %s.", t.Rule, len(waits), len(t.Needs), strings.Join(waits, ", "))})
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"dependencies": all})
}

// links are addresses that an operator gives for a task: none does.
func (s *Surface) links(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.workflow(r); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return missing("DAG Run not found", "DAG Run with ID = \"%s\" not found", api.Short(r.PathValue("run")))
	}
	d, err := s.Workflows.Under(&run)
	if err != nil {
		return err
	}
	if d.Task(r.PathValue("task")) == nil {
		return missing("Task not found", "Task with ID = \"%s\" not found", api.Short(r.PathValue("task")))
	}
	return api.WriteJSON(w, http.StatusOK, struct{}{})
}

func (s *Surface) listMapped(w http.ResponseWriter, r *http.Request) error {
	k, err := s.known(r)
	if err != nil {
		return err
	}
	task := api.Short(r.PathValue("task"))
	if k.Definition == nil || k.Definition.Task(r.PathValue("task")) == nil {
		return missing(fmt.Sprintf("Task id %s not found", task), "the DAG %s has no such task", k.Name)
	}
	return missing(fmt.Sprintf("Task id %s is not mapped", task), "a task has one instance in a run here")
}

func (s *Surface) notMapped(w http.ResponseWriter, r *http.Request) error {
	return missing("Task instance not found", "no task of %s is mapped: it has one instance in a run, without a map_index, and there is no %s of it", api.Short(r.PathValue("dag")), api.Short(r.PathValue("rest")))
}
