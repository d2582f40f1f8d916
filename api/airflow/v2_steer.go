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

func (s *V2) steerRoutes(r v2Routes) {
	const of = "/dags/{dag}/dagRuns/{run}"
	r.on("PATCH", "/dags", s.patchDAGs)
	r.on("PATCH", "/dags/{dag}", s.patchDAG)
	r.on("DELETE", "/dags/{dag}", s.deleteDAG)
	r.on("PATCH", of, s.patchRun)
	r.on("DELETE", of, s.deleteRun)
	r.on("POST", of+"/clear", s.clearRun)
	r.on("PATCH", of+"/taskInstances/{task}", s.patchTask)
	r.on("PATCH", of+"/taskInstances/{task}/{index}", s.patchTask)
	r.on("PATCH", of+"/taskInstances/{task}/dry_run", s.patchTaskDry)
	r.on("PATCH", of+"/taskInstances/{task}/{index}/dry_run", s.patchTaskDry)
	r.on("POST", "/dags/{dag}/clearTaskInstances", s.clearTasks)
}

// mask reads update_mask= of a query: nil for every field.
func mask(r *http.Request) ([]string, error) {
	q, err := fastapi.Query(r, "update_mask")
	if err != nil {
		return nil, err
	}
	m := q.Texts("update_mask")
	return m, q.Done()
}

// readPause reads the body and mask of a change of a workflow, of which there is one.
func readPause(w http.ResponseWriter, r *http.Request, m []string) (paused bool, err error) {
	if len(m) > 0 && !slices.Equal(m, []string{"is_paused"}) {
		return false, fastapi.Refuse(http.StatusBadRequest, "Only `is_paused` field can be updated through the REST API")
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return false, err
	}
	b.Need("is_paused")
	paused = b.Flag("is_paused", false)
	return paused, b.Done()
}

func (s *V2) patchDAG(w http.ResponseWriter, r *http.Request) error {
	m, err := mask(r)
	if err != nil {
		return err
	}
	paused, err := readPause(w, r, m)
	if err != nil {
		return err
	}
	k, err := s.Workflows.Of(r.PathValue("dag"))
	if fault.Is(err, fault.NotFound) {
		return fastapi.Refuse(http.StatusNotFound, "Dag with id: %s was not found", api.Short(r.PathValue("dag")))
	}
	if err != nil {
		return err
	}
	if err := s.v1.say(r, pauseOf(k.Name, paused)); err != nil {
		return err
	}
	return s.dag(w, r)
}

// patchDAGs pauses all workflows that a query asks for by their names, or lets them go on; without a pattern none.
func (s *V2) patchDAGs(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "tags", "owners", "update_mask", "order_by")
	if err != nil {
		return err
	}
	l, keep, m := readListing(q, false), dagFilter(q), q.Texts("update_mask")
	if err := q.Done(); err != nil {
		return err
	}
	paused, err := readPause(w, r, m)
	if err != nil {
		return err
	}
	named := r.URL.Query().Has("dag_id_pattern") || r.URL.Query().Has("dag_id_prefix_pattern")
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	var names []string
	var pauses []commands.Command
	for i := range known {
		if d := v2DAGOf(&known[i], s.Now()); named && keep(&d) {
			names, pauses = append(names, d.ID), append(pauses, pauseOf(d.ID, paused))
		}
	}
	if err := s.v1.say(r, pauses...); err != nil {
		return err
	}
	all := []listedDAG{}
	if known, err = s.Workflows.All(); err != nil {
		return err
	}
	for i := range known {
		if slices.Contains(names, known[i].Name) {
			all = append(all, listedDAG{v2DAG: v2DAGOf(&known[i], s.Now())})
		}
	}
	return writeList(w, l, all, dagAttributes, "dags", func(d *listedDAG) any { return d.v2DAG })
}

// patchRun sets the note of a run, and its state: as a success or a failure.
func (s *V2) patchRun(w http.ResponseWriter, r *http.Request) error {
	m, err := mask(r)
	if err != nil {
		return err
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	state, hasState := b.OneOf("enum", "state", "queued", "success", "failed")
	note, hasNote := b.Text("note", noteMax)
	if err := b.Done(); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	all, err := s.patching(&run, &namedRun{state: state, note: note, hasState: hasState && anyOf(m, "state"), hasNote: hasNote && anyOf(m, "note")})
	if err != nil {
		return err
	}
	if err := s.v1.say(r, all...); err != nil {
		return err
	}
	return s.run(w, r)
}

// deleteRun takes a run out of what is shown, which does not go on. The log keeps it.
func (s *V2) deleteRun(w http.ResponseWriter, r *http.Request) error {
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	if run.State == projections.StateRunning {
		return fastapi.Refuse(http.StatusConflict, "The DagRun with dag_id: `%s` and run_id: `%s` cannot be deleted in running state", run.Workflow, run.RunID)
	}
	if err := s.v1.say(r, &commands.DeleteWorkflowRun{RunID: run.RunID}); err != nil {
		return err
	}
	return gone(w)
}

// deleteDAG takes a workflow out of force. Its runs, and the log, keep what was.
func (s *V2) deleteDAG(w http.ResponseWriter, r *http.Request) error {
	k, err := s.known(r)
	var refused *fastapi.Refusal
	if errors.As(err, &refused) {
		return fastapi.Refuse(http.StatusNotFound, "Dag with id: %s was not found", api.Short(r.PathValue("dag")))
	}
	if err != nil {
		return err
	}
	if err := s.v1.outOfForce(r, k.Name); err != nil {
		return err
	}
	return gone(w)
}

// latest refuses that a run goes by another definition than its own.
func latest(b *fastapi.Values) error {
	if v, ok := b.Take("run_on_latest_version"); ok && v != nil && b.Flag("run_on_latest_version", false) {
		return fastapi.Refuse(http.StatusBadRequest, "run_on_latest_version: a run goes by the definition that was in force when it was asked for; trigger another one")
	}
	return nil
}

// clearRun has the tasks of a run done again, all or those that failed; unless it is told that this is no dry run, it only says which.
func (s *V2) clearRun(w http.ResponseWriter, r *http.Request) error {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	dry, v, added := b.Flag("dry_run", true), selected{OnlyFailed: b.Flag("only_failed", false)}, b.Flag("only_new", false)
	note, hasNote := b.Text("note", noteMax)
	if added && v.OnlyFailed {
		b.Wrong(b.Whole(), "only_new and only_failed are mutually exclusive")
	}
	refused := latest(b)
	if err := errors.Join(b.Done(), refused); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	all, err := s.tasksOfRun(&run)
	if err != nil {
		return err
	}
	var names []string
	if len(all) > 0 && !added { // a run has no tasks beside those of its definition
		names = v.among(all[0].d, run.States(all[0].d), nil)
	}
	if dry {
		picked := namedTasks(all, names)
		return api.WriteJSON(w, http.StatusOK, map[string]any{"task_instances": shownTasks(picked), "total_entries": len(picked)})
	}
	var what []commands.Command
	if hasNote {
		what = append(what, &commands.NoteWorkflow{RunID: run.RunID, Note: note})
	}
	if len(names) > 0 {
		what = append(what, &commands.ClearTasks{RunID: run.RunID, Tasks: names})
	}
	if err := s.v1.say(r, what...); err != nil {
		return err
	}
	return s.run(w, r)
}

// namedTasks are those of some tasks of a run that have one of some names.
func namedTasks(all []runTask, names []string) []runTask {
	var picked []runTask
	for _, t := range all {
		if slices.Contains(names, t.name()) {
			picked = append(picked, t)
		}
	}
	return picked
}

// patch is a change of a task of a run.
type patch struct {
	selected
	note             string
	hasNote, hasMark bool
}

func readPatch(w http.ResponseWriter, r *http.Request) (*patch, error) {
	m, err := mask(r)
	if err != nil {
		return nil, err
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return nil, err
	}
	p := readPatchIn(b, m)
	if err := b.Done(); err != nil {
		return nil, err
	}
	return p, p.within()
}

// readPatchIn reads what of a change a mask names.
func readPatchIn(b *fastapi.Values, m []string) *patch {
	p := &patch{}
	p.note, p.hasNote = b.Text("note", noteMax)
	if v, given := b.Take("new_state"); given {
		states := []string{"success", "failed", "skipped"}
		text, is := v.(string)
		switch p.State = strings.ToLower(text); {
		case v == nil:
			b.Wrong(v, "'new_state' should not be empty", "new_state")
		case !is || !slices.Contains(states, p.State):
			b.Wrong(v, fmt.Sprintf("'%s' is not one of ['%s']", api.Short(p.State), strings.Join(states, "', '")), "new_state")
		}
		p.hasMark = true
	}
	p.Upstream, p.Downstream = b.Flag("include_upstream", false), b.Flag("include_downstream", false)
	p.Future, p.Past = b.Flag("include_future", false), b.Flag("include_past", false)
	p.hasNote, p.hasMark = p.hasNote && anyOf(m, "note"), p.hasMark && anyOf(m, "new_state")
	return p
}

// within refuses a change of more than one run.
func (p *patch) within() error {
	if p.Future || p.Past {
		return fastapi.Refuse(http.StatusBadRequest, "include_future and include_past reach into other runs, which are dealt with by themselves; leave them out, and name each run")
	}
	return nil
}

// marks are the tasks that a change of one of them marks.
func (p *patch) marks(t *runTask) (marks []string) {
	if !p.hasMark {
		return nil
	}
	states := t.run.States(t.d)
	for _, name := range p.among(t.d, states, []string{t.name()}) {
		if string(states[name]) != p.State {
			marks = append(marks, name)
		}
	}
	return marks
}

// said is what a change of a task says. One that would mark nothing is refused.
func (p *patch) said(t *runTask) (all []commands.Command, err error) {
	marks := p.marks(t)
	if p.hasMark && len(marks) == 0 {
		return nil, fastapi.Refuse(http.StatusConflict, "Task id %s is already in %s state", t.name(), p.State)
	}
	if p.hasNote {
		all = append(all, &commands.NoteWorkflow{RunID: t.run.RunID, Task: t.name(), Note: p.note})
	}
	for _, name := range marks {
		all = append(all, &commands.MarkTask{RunID: t.run.RunID, Task: name, State: p.State})
	}
	return all, nil
}

// patched is the task that a change is of.
func (s *V2) patched(w http.ResponseWriter, r *http.Request) (p *patch, t runTask, err error) {
	if p, err = readPatch(w, r); err != nil {
		return nil, t, err
	}
	k, err := s.usable(r)
	if err != nil {
		return nil, t, err
	}
	if t, err = s.taskOf(r); err != nil {
		if k.Definition.Task(r.PathValue("task")) == nil {
			err = fastapi.Refuse(http.StatusNotFound, "Task '%s' not found in Dag '%s'", api.Short(r.PathValue("task")), k.Name)
		}
		return nil, t, err
	}
	return p, t, nil
}

func (s *V2) writeTasks(w http.ResponseWriter, run *projections.WorkflowRun, names []string) error {
	all, err := s.tasksOfRun(run)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, tasksShown(namedTasks(all, names)))
}

func tasksShown(tasks []runTask) map[string]any {
	p := piece[runTask]{total: len(tasks)}
	return p.counted(&listing{}, "task_instances", shownTasks(tasks))
}

func (s *V2) patchTask(w http.ResponseWriter, r *http.Request) error {
	p, t, err := s.patched(w, r)
	if err != nil {
		return err
	}
	all, err := p.said(&t)
	if err != nil {
		return err
	}
	if err := s.v1.say(r, all...); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	return s.writeTasks(w, &run, []string{t.name()})
}

// patchTaskDry says which tasks a change would mark.
func (s *V2) patchTaskDry(w http.ResponseWriter, r *http.Request) error {
	p, t, err := s.patched(w, r)
	if err != nil {
		return err
	}
	marks := p.marks(&t)
	if !p.hasMark {
		marks = []string{t.name()}
	}
	return s.writeTasks(w, t.run, marks)
}

// clearing is what is asked for of tasks of one run, or of those of a time.
type clearing struct {
	selected
	run       string
	named     bool // by their names
	tasks     []string
	dates     bounds
	unrunning bool // none may be running
	note      string
	hasNote   bool
}

func readClearing(w http.ResponseWriter, r *http.Request) (*clearing, error) {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return nil, err
	}
	c := &clearing{dates: noBounds()}
	c.Dry, c.OnlyFailed, c.OnlyActive = b.Flag("dry_run", true), b.Flag("only_failed", true), b.Flag("only_running", false)
	c.Upstream, c.Downstream, c.Future, c.Past = b.Flag("include_upstream", false), b.Flag("include_downstream", false), b.Flag("include_future", false), b.Flag("include_past", false)
	b.Flag("reset_dag_runs", true) // a run goes on by itself when tasks of it are cleared
	c.unrunning = b.Flag("prevent_running_task", false)
	c.note, c.hasNote = b.Text("note", noteMax)
	start, end := b.Time("start_date", true), b.Time("end_date", true)
	id, hasRun := b.Text("dag_run_id", 0)
	c.run = id
	given, _ := b.Take("task_ids")
	if list, is := given.([]any); is {
		c.named = true
		for i, v := range list {
			if pair, is := v.([]any); is && len(pair) == 2 { // with a map index
				v = pair[0]
			}
			name, is := v.(string)
			if !is {
				b.Flaw("string_type", "Input should be a valid string", v, nil, "task_ids", i, "str")
			}
			c.tasks = append(c.tasks, name)
		}
		if len(list) == 0 {
			b.Wrong(b.Whole(), "task_ids list should have at least 1 element.")
		}
	} else if given != nil {
		b.Flaw("list_type", "Input should be a valid list", given, nil, "task_ids")
	}
	onlyFailed, _ := b.Take("only_failed")
	switch {
	case onlyFailed == true && c.OnlyActive:
		b.Wrong(b.Whole(), "only_failed and only_running both are set to True")
	case !start.IsZero() && !end.IsZero() && start.After(end):
		b.Wrong(b.Whole(), "end_date is sooner than start_date")
	case hasRun && (!start.IsZero() || !end.IsZero()):
		b.Wrong(b.Whole(), "Exactly one of dag_run_id or (start_date and end_date) must be provided")
	}
	if !start.IsZero() {
		c.dates.gte, c.dates.any = float64(start.UnixMilli()), true
	}
	if !end.IsZero() {
		c.dates.lte, c.dates.any = float64(end.UnixMilli()), true
	}
	refused := latest(b)
	if err := b.Done(); err != nil {
		return nil, err
	}
	return c, refused
}

// runs are those of a workflow whose tasks are asked for.
func (s *V2) runsToClear(c *clearing, name string) ([]projections.WorkflowRun, error) {
	view := fold.Of[*projections.Workflows](s.Views)
	if c.run != "" {
		run, ok, err := view.Run(c.run)
		if err == nil && (!ok || run.Workflow != name) {
			err = fastapi.Refuse(http.StatusNotFound, "Dag Run id %s not found in dag %s", api.Short(c.run), name)
		}
		d := projections.DigestOf(&run)
		at := dateMillis(&d)
		switch {
		case err != nil:
			return nil, err
		case !c.Past && !c.Future:
			return []projections.WorkflowRun{run}, nil
		case at == 0:
			return nil, fastapi.Refuse(http.StatusBadRequest, "Cannot use include_past or include_future with no logical_date(e.g. manually or asset-triggered).")
		}
		if c.dates.any = true; !c.Past {
			c.dates.gte = float64(at)
		}
		if !c.Future {
			c.dates.lte = float64(at)
		}
	}
	found, err := view.Digests([]string{name}, func(run *projections.RunDigest) bool { return c.dates.hasMillis(dateMillis(run)) })
	if err != nil {
		return nil, err
	}
	if len(found) > selectMax {
		return nil, fastapi.Refuse(http.StatusBadRequest, "tasks of %d runs are asked for, of at most %d at once; name a run with dag_run_id, or a shorter time with start_date and end_date", len(found), selectMax)
	}
	var all []projections.WorkflowRun
	for i := range found {
		run, ok, err := view.Run(found[i].RunID)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, run)
		}
	}
	return all, nil
}

// clearTasks has tasks of a run, or of several, done again; unless it is told that this is no dry run, it only says which.
func (s *V2) clearTasks(w http.ResponseWriter, r *http.Request) error {
	c, err := readClearing(w, r)
	if err != nil {
		return err
	}
	k, err := s.known(r)
	if err != nil {
		return err
	}
	runs, err := s.runsToClear(c, k.Name)
	if err != nil {
		return err
	}
	picked := []runTask{}
	var what []commands.Command
	for i := range runs {
		all, err := s.tasksOfRun(&runs[i])
		if err != nil {
			return err
		}
		if len(all) == 0 {
			continue
		}
		wanted := c.tasks
		if c.named && len(wanted) == 0 {
			continue
		}
		names := c.among(all[0].d, runs[i].States(all[0].d), wanted)
		of := namedTasks(all, names)
		if picked = append(picked, of...); len(of) == 0 {
			continue
		}
		what = append(what, &commands.ClearTasks{RunID: runs[i].RunID, Tasks: names})
		for _, t := range of {
			if c.unrunning && t.task().State == projections.StateRunning {
				return fastapi.Refuse(http.StatusConflict, "Task %s is running, stopping attempt to clear.", t.name())
			}
			if c.hasNote {
				what = append(what, &commands.NoteWorkflow{RunID: runs[i].RunID, Task: t.name(), Note: c.note})
			}
		}
	}
	if !c.Dry {
		if err := s.v1.say(r, what...); err != nil {
			return err
		}
		if picked, err = s.reread(picked); err != nil {
			return err
		}
	}
	return api.WriteJSON(w, http.StatusOK, tasksShown(picked))
}

// reread are tasks of runs as they are now.
func (s *V2) reread(tasks []runTask) ([]runTask, error) {
	fresh := []runTask{}
	for i := 0; i < len(tasks); {
		id := tasks[i].run.RunID
		var names []string
		for ; i < len(tasks) && tasks[i].run.RunID == id; i++ {
			names = append(names, tasks[i].name())
		}
		run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
		if err != nil || !ok {
			return nil, err
		}
		all, err := s.tasksOfRun(&run)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, namedTasks(all, names)...)
	}
	return fresh, nil
}
