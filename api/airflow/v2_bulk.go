package airflow

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) bulkRoutes(r v2Routes) {
	r.on("POST", "/dags/{dag}/clearDagRuns", s.clearRuns)
	r.on("PATCH", "/dags/{dag}/dagRuns", s.bulkRuns)
}

// namedRun is a run among several that a body names, with what is wanted of it.
type namedRun struct {
	dag, id           string
	state, note       string
	hasState, hasNote bool
}

// readRuns reads a list of runs, each an object, or, where texts are taken, its id.
func readRuns(b *fastapi.Values, name, dag string, texts bool) []namedRun {
	v, _ := b.Take(name)
	list, is := v.([]any)
	if v != nil && !is {
		b.Flaw("list_type", "Input should be a valid list", v, nil, name)
	}
	var all []namedRun
	for i, one := range list {
		fields, is := one.(map[string]any)
		if id, ok := one.(string); ok && texts {
			all = append(all, namedRun{dag: dag, id: id})
			continue
		}
		if !is {
			b.Flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", one, nil, name, i)
			continue
		}
		of := b.Within(fields, name, i)
		of.Need("dag_run_id")
		run := namedRun{dag: dag}
		run.id, _ = of.Text("dag_run_id", 0)
		if id, given := of.Text("dag_id", 0); given {
			run.dag = id
		}
		run.state, run.hasState = of.OneOf("enum", "state", "queued", "success", "failed")
		run.note, run.hasNote = of.Text("note", noteMax)
		b.Add(of)
		all = append(all, run)
	}
	if len(all) > selectMax {
		b.Wrong(len(all), fmt.Sprintf("at most %d runs are dealt with at once", selectMax), name)
	}
	return all
}

// find reads a run that is named among several.
func (s *V2) find(n *namedRun) (projections.WorkflowRun, error) {
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(n.id)
	if err == nil && (!ok || run.Workflow != n.dag) {
		err = fastapi.Refuse(http.StatusNotFound, "The DagRun with dag_id: `%s` and run_id: `%s` was not found", api.Short(n.dag), api.Short(n.id))
	}
	return run, err
}

// clearRuns is clearRun for several runs.
func (s *V2) clearRuns(w http.ResponseWriter, r *http.Request) error {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	path := r.PathValue("dag")
	wanted := readRuns(b, "dag_runs", path, false)
	dry, v, added := b.Flag("dry_run", true), selected{OnlyFailed: b.Flag("only_failed", false)}, b.Flag("only_new", false)
	note, hasNote := b.Text("note", noteMax)
	if added && v.OnlyFailed {
		b.Wrong(b.Whole(), "only_new and only_failed are mutually exclusive")
	}
	if len(wanted) == 0 {
		b.Wrong(b.Whole(), "Exactly one of dag_runs (non-empty), partition_key, or a partition date window (partition_date_start / partition_date_end) must be provided.")
	}
	refused := latest(b)
	if err := errors.Join(b.Done(), refused); err != nil {
		return err
	}
	picked, shown := []runTask{}, []v2Run{}
	var what []commands.Command
	for i := range wanted {
		n := &wanted[i]
		switch {
		case path == "~" && n.dag == "~":
			return fastapi.Refuse(http.StatusBadRequest, "When the URL dag_id is '~', every entry must provide a concrete dag_id (missing on dag_run_id: '%s').", api.Short(n.id))
		case path != "~" && n.dag != path:
			return fastapi.Refuse(http.StatusBadRequest, "Entry dag_id '%s' does not match the URL dag_id '%s'.", api.Short(n.dag), api.Short(path))
		}
		run, err := s.find(n)
		if err != nil {
			return err
		}
		all, err := s.tasksOfRun(&run)
		if err != nil {
			return err
		}
		if hasNote {
			what = append(what, &commands.NoteWorkflow{RunID: run.RunID, Note: note})
		}
		if len(all) == 0 || added {
			continue
		}
		names := v.among(all[0].d, run.States(all[0].d), nil)
		if picked = append(picked, namedTasks(all, names)...); len(names) > 0 {
			what = append(what, &commands.ClearTasks{RunID: run.RunID, Tasks: names})
		}
	}
	if dry {
		return api.WriteJSON(w, http.StatusOK, map[string]any{"task_instances": shownTasks(picked), "total_entries": len(picked)})
	}
	if err := s.v1.say(r, what...); err != nil {
		return err
	}
	for i := range wanted {
		run, err := s.find(&wanted[i])
		if err != nil {
			return err
		}
		version, err := s.versionOf(run.Workflow, run.RequestedOffset)
		if err != nil {
			return err
		}
		shown = append(shown, v2RunOf(&run, version))
	}
	p := piece[v2Run]{total: len(shown)}
	return api.WriteJSON(w, http.StatusOK, p.counted(&listing{}, "dag_runs", shown))
}

// bulkResult is what has come of one kind of action.
type bulkResult struct {
	Success []string    `json:"success"`
	Errors  []bulkError `json:"errors"`
}

type bulkError struct {
	Error  string `json:"error"`
	Status int    `json:"status_code"`
}

func (b *bulkResult) fail(status int, format string, args ...any) {
	b.Errors = append(b.Errors, bulkError{fmt.Sprintf(format, args...), status})
}

// bulkAction is one of the actions of a body.
type bulkAction struct {
	kind string
	runs []namedRun
	skip bool // what there is not
}

func readActions(w http.ResponseWriter, r *http.Request) ([]bulkAction, error) {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return nil, err
	}
	v, _ := b.Need("actions")
	list, is := v.([]any)
	if v != nil && !is {
		b.Flaw("list_type", "Input should be a valid list", v, nil, "actions")
	}
	var all []bulkAction
	for i, one := range list {
		fields, is := one.(map[string]any)
		if !is {
			b.Flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", one, nil, "actions", i)
			continue
		}
		of := b.Within(fields, "actions", i)
		of.Need("action")
		of.Need("entities")
		a := bulkAction{}
		a.kind, _ = of.OneOf("enum", "action", "create", "update", "delete")
		a.runs = readRuns(of, "entities", r.PathValue("dag"), a.kind == "delete")
		existing, _ := of.OneOf("enum", "action_on_non_existence", "fail", "skip")
		a.skip = existing == "skip"
		of.OneOf("enum", "action_on_existence", "fail", "skip", "overwrite")
		m := of.Texts("update_mask")
		for i := range a.runs {
			a.runs[i].hasState, a.runs[i].hasNote = a.runs[i].hasState && anyOf(m, "state"), a.runs[i].hasNote && anyOf(m, "note")
		}
		b.Add(of)
		all = append(all, a)
	}
	return all, b.Done()
}

// bulkRuns changes and deletes several runs, and says of each kind of action what has come of it.
func (s *V2) bulkRuns(w http.ResponseWriter, r *http.Request) error {
	actions, err := readActions(w, r)
	if err != nil {
		return err
	}
	results := map[string]*bulkResult{"create": nil, "update": nil, "delete": nil}
	for i := range actions {
		a := &actions[i]
		if results[a.kind] == nil {
			results[a.kind] = &bulkResult{Success: []string{}, Errors: []bulkError{}}
		}
		if a.kind == "create" {
			results[a.kind].fail(http.StatusMethodNotAllowed, "Dag Runs bulk create is not supported. Use the trigger Dag Run endpoint instead.")
			continue
		}
		if err := s.bulk(r, a, results[a.kind]); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, results)
}

func (s *V2) bulk(r *http.Request, a *bulkAction, result *bulkResult) error {
	var found []projections.WorkflowRun
	var wanted []namedRun
	var missing []string
	for _, n := range a.runs {
		if n.dag == "~" {
			result.fail(http.StatusBadRequest, "When using wildcard in path, dag_id must be specified in request body for dag_run_id: %s", api.Short(n.id))
			continue
		}
		run, err := s.find(&n)
		var refused *fastapi.Refusal
		switch {
		case errors.As(err, &refused):
			missing = append(missing, fmt.Sprintf("('%s', '%s')", api.Short(n.dag), api.Short(n.id)))
		case err != nil:
			return err
		default:
			found, wanted = append(found, run), append(wanted, n)
		}
	}
	if len(missing) > 0 && !a.skip {
		slices.Sort(missing)
		result.fail(http.StatusNotFound, "The DagRuns with these identifiers: [%s] were not found", strings.Join(missing, ", "))
		return nil
	}
	for i := range found {
		run := &found[i]
		var what []commands.Command
		var err error
		if a.kind == "delete" {
			if run.State == projections.StateRunning {
				result.fail(http.StatusConflict, "The DagRun with dag_id: `%s` and run_id: `%s` cannot be deleted in running state", run.Workflow, run.RunID)
				continue
			}
			what = append(what, &commands.DeleteWorkflowRun{RunID: run.RunID})
		} else if what, err = s.patching(run, &wanted[i]); err != nil {
			result.fail(http.StatusBadRequest, "%v", err)
			continue
		}
		one := r
		if key := r.Header.Get("Idempotency-Key"); key != "" { // which stands for one command
			one = r.Clone(r.Context())
			one.Header.Set("Idempotency-Key", key+"/"+a.kind+"/"+run.RunID)
		}
		switch err := s.v1.say(one, what...); {
		case fault.Is(err, fault.Conflict):
			result.fail(http.StatusConflict, "%v", err)
		case err != nil:
			return err
		default:
			result.Success = append(result.Success, run.Workflow+"."+run.RunID)
		}
	}
	return nil
}

// patching sets the note and the state of a run.
func (s *V2) patching(run *projections.WorkflowRun, n *namedRun) (all []commands.Command, err error) {
	if n.hasNote {
		all = append(all, &commands.NoteWorkflow{RunID: run.RunID, Note: n.note})
	}
	if n.hasState {
		d, err := s.Workflows.Under(run)
		if err != nil {
			return nil, err
		}
		marks, err := marking(run, d, n.state)
		if err != nil {
			return nil, err
		}
		all = append(all, marks...)
	}
	return all, nil
}
