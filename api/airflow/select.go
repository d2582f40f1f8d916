package airflow

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// selected is what is asked for of tasks, of one run or of several.
type selected struct {
	Dry        bool     `json:"dry_run"`
	Run        string   `json:"dag_run_id"`
	Date       *string  `json:"execution_date"` // of the run, in place of its id
	From       *string  `json:"start_date"`     // of the runs' logical dates
	To         *string  `json:"end_date"`
	Tasks      []string `json:"task_ids"`
	Task       string   `json:"task_id"`
	Upstream   bool     `json:"include_upstream"`
	Downstream bool     `json:"include_downstream"`
	OnlyFailed bool     `json:"only_failed"`
	OnlyActive bool     `json:"only_running"`
	State      string   `json:"new_state"`
	Future     bool     `json:"include_future"` // later runs too
	Past       bool     `json:"include_past"`   // earlier ones

	// What clients send and has no meaning here: a run goes on by itself when tasks of it are cleared, and has no other
	// workflow in it.
	Reset  bool `json:"reset_dag_runs"`
	Sub    bool `json:"include_subdags"`
	Parent bool `json:"include_parentdag"`
}

// selectMax bounds the runs that one request reaches into.
const selectMax = 1000

// selection is tasks of a run.
type selection struct {
	run   *projections.WorkflowRun
	tasks []string
}

// between are the logical dates of the runs that are asked for.
func (v *selected) between(run *projections.WorkflowRun) (projections.Between, error) {
	var span projections.Between
	var errs faults
	for _, end := range []struct {
		name string
		text *string
		at   *int64
	}{{"start_date", v.From, &span.From}, {"end_date", v.To, &span.To}} {
		if end.text == nil {
			continue
		}
		millis, err := momentOf(*end.text)
		if *end.at = millis; err != nil {
			errs.add(fault.Field(end.name, "%v", err))
		}
	}
	if span.From != 0 && span.To != 0 && span.From > span.To {
		errs.add(fault.New(fault.Invalid, "{'_schema': ['end_date is sooner than start_date']}"))
	}
	if run != nil {
		span = projections.Between{From: max(run.LogicalMillis, 1), To: max(run.LogicalMillis, 1)}
	}
	if v.Past {
		span.From = 0
	}
	if v.Future {
		span.To = math.MaxInt64
	}
	return span, errs.err()
}

// reached are the runs that are asked for.
func (s *Surface) reached(r *http.Request, v *selected) ([]projections.WorkflowRun, error) {
	name := r.PathValue("dag")
	if _, err := s.workflow(r); err != nil {
		return nil, err
	}
	if v.Run != "" && (v.From != nil || v.To != nil || v.Date != nil) {
		return nil, fault.New(fault.Invalid, "{'_schema': ['Exactly one of dag_run_id or (start_date and end_date) must be provided']}")
	}
	view := fold.Of[*projections.Workflows](s.Views)
	var one *projections.WorkflowRun
	switch {
	case v.Run != "":
		r.SetPathValue("run", v.Run)
		run, err := s.steered(r)
		if err != nil {
			return nil, err
		}
		one = &run
	case v.Date != nil:
		millis, err := momentOf(*v.Date)
		if err != nil {
			return nil, fault.Field("execution_date", "%v", err)
		}
		at := projections.Between{From: millis, To: millis}
		found, _, err := view.SearchRuns(&projections.RunQuery{Workflows: []string{name}, Logical: at, Page: projections.Page{Limit: 1}})
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fault.New(fault.NotFound, "Task instance not found for task '%s' on execution_date %s", api.Short(v.Task), api.Short(*v.Date))
		}
		one = &found[0]
	}
	if one != nil && !v.Past && !v.Future {
		return []projections.WorkflowRun{*one}, nil
	}
	span, err := v.between(one)
	if err != nil {
		return nil, err
	}
	runs, total, err := view.SearchRuns(&projections.RunQuery{Workflows: []string{name}, Logical: span, Page: projections.Page{Limit: selectMax}})
	if err == nil && total > selectMax {
		err = fault.New(fault.Invalid, "%d runs are asked for; at most %d are dealt with at once", total, selectMax).WithHint("give start_date and end_date, or name a run")
	}
	return runs, err
}

// choose finds the tasks that are asked for.
func (s *Surface) choose(r *http.Request, v *selected) (all []selection, err error) {
	runs, err := s.reached(r, v)
	if err != nil {
		return nil, err
	}
	wanted := v.Tasks
	if v.Task != "" {
		wanted = append(wanted, v.Task)
	}
	for i := range runs {
		d, err := s.Workflows.Under(&runs[i])
		if err != nil {
			return nil, err
		}
		for _, name := range wanted {
			if d.Task(name) == nil && len(runs) == 1 {
				r.SetPathValue("task", name)
				return nil, noTask(r)
			}
		}
		if tasks := v.among(d, runs[i].States(d), wanted); len(tasks) > 0 {
			all = append(all, selection{&runs[i], tasks})
		}
	}
	return all, nil
}

// among are the tasks of one run that are asked for.
func (v *selected) among(d *workflow.Definition, states map[string]workflow.State, wanted []string) (tasks []string) {
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

// answerSelected says the commands for what was chosen, unless it is a dry run, and answers with its names.
func (s *Surface) answerSelected(w http.ResponseWriter, r *http.Request, v *selected, all []selection, say func(selection) []commands.Command) error {
	var said []commands.Command
	list := []reference{}
	for _, one := range all {
		said = append(said, say(one)...)
		for _, t := range one.tasks {
			list = append(list, reference{one.run.Workflow, one.run.RunID, iso(one.run.LogicalMillis), t})
		}
	}
	if !v.Dry {
		if err := s.say(r, said...); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"task_instances": list})
}

func (s *Surface) clearTasks(w http.ResponseWriter, r *http.Request) error {
	v := selected{Dry: true, OnlyFailed: true}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.OnlyFailed && v.OnlyActive {
		return fault.New(fault.Invalid, "{'_schema': ['only_failed and only_running both are set to True']}")
	}
	if v.Tasks != nil && len(v.Tasks) == 0 {
		return fault.New(fault.Invalid, "[] is too short - 'task_ids'")
	}
	all, err := s.choose(r, &v)
	if err != nil {
		return err
	}
	return s.answerSelected(w, r, &v, all, func(one selection) []commands.Command {
		return []commands.Command{&commands.ClearTasks{RunID: one.run.RunID, Tasks: one.tasks}}
	})
}

func (s *Surface) markTasks(w http.ResponseWriter, r *http.Request) error {
	v := selected{Dry: true}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Task == "" {
		return fault.New(fault.Invalid, "'task_id' is a required property")
	}
	if err := oneOf("new_state", v.State, "success", "failed", "skipped"); err != nil {
		return err
	}
	if (v.Run == "") == (v.Date == nil) {
		return fault.New(fault.Invalid, "{'_schema': ['Exactly one of execution_date or dag_run_id must be provided']}")
	}
	if k, err := s.known(r); err != nil || k.Definition != nil && v.Run == "" && k.Definition.Task(v.Task) == nil {
		return cmp.Or(err, missing(fmt.Sprintf("Task ID %s not found", api.Short(v.Task)), "the DAG has no such task"))
	}
	all, err := s.choose(r, &v)
	if err != nil {
		return err
	}
	return s.answerSelected(w, r, &v, all, func(one selection) (marks []commands.Command) {
		for _, name := range one.tasks {
			marks = append(marks, &commands.MarkTask{RunID: one.run.RunID, Task: name, State: v.State})
		}
		return marks
	})
}
