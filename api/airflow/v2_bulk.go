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
	r.on("PATCH", "/dags/{dag}/dagRuns/{run}/taskInstances", s.bulkTasks)
}

// namedRun is a run among several that a body names, with what is wanted of it.
type namedRun struct {
	dag, id           string
	state, note       string
	hasState, hasNote bool
}

// readEach reads a list of objects, and of texts where those are taken.
func readEach(b *fastapi.Values, name string, text func(string), object func(of *fastapi.Values)) {
	v, _ := b.Take(name)
	list, is := v.([]any)
	if v != nil && !is {
		b.Flaw("list_type", "Input should be a valid list", v, nil, name)
	}
	for i, one := range list {
		if id, is := one.(string); is && text != nil {
			text(id)
			continue
		}
		fields, is := one.(map[string]any)
		if !is {
			b.Flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", one, nil, name, i)
			continue
		}
		of := b.Within(fields, name, i)
		object(of)
		b.Add(of)
	}
	if len(list) > selectMax {
		b.Wrong(len(list), fmt.Sprintf("at most %d are dealt with at once", selectMax), name)
	}
}

// readRuns reads a list of runs, each an object, or, where texts are taken, its id.
func readRuns(b *fastapi.Values, name, dag string, texts bool) (all []namedRun) {
	text := func(id string) { all = append(all, namedRun{dag: dag, id: id}) }
	if !texts {
		text = nil
	}
	readEach(b, name, text, func(of *fastapi.Values) {
		of.Need("dag_run_id")
		run := namedRun{dag: dag}
		run.id, _ = of.Text("dag_run_id", 0)
		if id, given := of.Text("dag_id", 0); given {
			run.dag = id
		}
		run.state, run.hasState = of.OneOf("enum", "state", "queued", "success", "failed")
		run.note, run.hasNote = of.Text("note", noteMax)
		all = append(all, run)
	})
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

// tell notes what has come of one of several things: it is done, under a name, or was refused. Other errors are of the request.
func (b *bulkResult) tell(name string, err error) error {
	var refused *fastapi.Refusal
	switch {
	case err == nil:
		b.Success = append(b.Success, name)
	case errors.As(err, &refused):
		b.fail(refused.Status, "%v", refused.Detail)
	case fault.Is(err, fault.Conflict):
		b.fail(http.StatusConflict, "%v", err)
	case fault.Is(err, fault.NotFound):
		b.fail(http.StatusNotFound, "%v", err)
	case fault.Is(err, fault.Invalid):
		b.fail(http.StatusBadRequest, "%v", err)
	default:
		return err
	}
	return nil
}

// bulkAction is one of the actions of a body: what is to be done with some things, and with what there is not, or is already.
type bulkAction[T any] struct {
	kind            string
	of              []T
	skip, overwrite bool
	mask            []string
}

// readActions reads a body of actions; read reads the things that one names.
func readActions[T any](w http.ResponseWriter, r *http.Request, read func(b *fastapi.Values, a *bulkAction[T])) ([]bulkAction[T], error) {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return nil, err
	}
	b.Need("actions")
	var all []bulkAction[T]
	readEach(b, "actions", nil, func(of *fastapi.Values) {
		of.Need("action")
		of.Need("entities")
		a := bulkAction[T]{}
		a.kind, _ = of.OneOf("enum", "action", "create", "update", "delete")
		a.mask = of.Texts("update_mask")
		missing, _ := of.OneOf("enum", "action_on_non_existence", "fail", "skip")
		existing, _ := of.OneOf("enum", "action_on_existence", "fail", "skip", "overwrite")
		a.skip, a.overwrite = missing == "skip" || existing == "skip", existing == "overwrite"
		read(of, &a)
		all = append(all, a)
	})
	return all, b.Done()
}

// answerActions does actions in their order, and says of each kind what has come of it.
func answerActions[T any](w http.ResponseWriter, actions []bulkAction[T], do func(a *bulkAction[T], result *bulkResult) error) error {
	results := map[string]*bulkResult{"create": nil, "update": nil, "delete": nil}
	for i := range actions {
		a := &actions[i]
		if results[a.kind] == nil {
			results[a.kind] = &bulkResult{Success: []string{}, Errors: []bulkError{}}
		}
		if err := do(a, results[a.kind]); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, results)
}

// amongSeveral is a request for one of several things: an idempotency key stands for one command.
func amongSeveral(r *http.Request, parts ...string) *http.Request {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return r
	}
	one := r.Clone(r.Context())
	one.Header.Set("Idempotency-Key", strings.Join(append([]string{key}, parts...), "/"))
	return one
}

// pythonSet is a set of names as Python writes it.
func pythonSet(names []string) string {
	names = slices.Sorted(slices.Values(names))
	for i, name := range names {
		names[i] = "'" + api.Short(name) + "'"
	}
	return "{" + strings.Join(slices.Compact(names), ", ") + "}"
}

// bulkRuns changes and deletes several runs, and says of each kind of action what has come of it.
func (s *V2) bulkRuns(w http.ResponseWriter, r *http.Request) error {
	actions, err := readActions(w, r, func(b *fastapi.Values, a *bulkAction[namedRun]) {
		a.of = readRuns(b, "entities", r.PathValue("dag"), a.kind == "delete")
		for i := range a.of {
			n := &a.of[i]
			n.hasState, n.hasNote = n.hasState && anyOf(a.mask, "state"), n.hasNote && anyOf(a.mask, "note")
		}
	})
	if err != nil {
		return err
	}
	return answerActions(w, actions, func(a *bulkAction[namedRun], result *bulkResult) error {
		if a.kind == "create" {
			result.fail(http.StatusMethodNotAllowed, "Dag Runs bulk create is not supported. Use the trigger Dag Run endpoint instead.")
			return nil
		}
		return s.bulk(r, a, result)
	})
}

func (s *V2) bulk(r *http.Request, a *bulkAction[namedRun], result *bulkResult) error {
	var found []projections.WorkflowRun
	var wanted []namedRun
	var missing []string
	for _, n := range a.of {
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
		err = s.v1.say(amongSeveral(r, a.kind, run.RunID), what...)
		if err := result.tell(run.Workflow+"."+run.RunID, err); err != nil {
			return err
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

// pick is what of an action's things is to be dealt with. Where something that is to be made is there, or else is not, and this is to be neither passed over nor overwritten,
// all are refused in the words that are given, with the names of those.
func pick[T any](a *bulkAction[T], result *bulkResult, there func(*T) (name string, ok bool), exist, missing string) (wanted []*T) {
	var wrong []string
	seen := map[string]bool{}
	for i := range a.of {
		name, ok := there(&a.of[i])
		if a.kind == "delete" && seen[name] {
			continue
		}
		seen[name] = true
		if ok == (a.kind == "create") && !(ok && a.overwrite) {
			wrong = append(wrong, name)
			continue
		}
		wanted = append(wanted, &a.of[i])
	}
	switch {
	case len(wrong) == 0 || a.skip:
		return wanted
	case a.kind == "create":
		result.fail(http.StatusConflict, exist, pythonSet(wrong))
	default:
		result.fail(http.StatusNotFound, missing, pythonSet(wrong))
	}
	return nil
}
