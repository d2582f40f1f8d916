package v1

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) workflowRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/workflows", (*Surface).workflows, "workflows")
	r.Handle("GET /api/v1/workflows/operators", s.operators)
	r.Handle("POST /api/v1/workflows/validate", s.validateWorkflow)
	s.then(r, "GET /api/v1/workflows/{workflow}", (*Surface).workflow, "workflows")
	s.then(r, "GET /api/v1/workflows/definitions/{workflow}", (*Surface).workflowSource, "workflows")
	r.Handle("PUT /api/v1/workflows/definitions/{workflow}", s.defineWorkflow)
	r.Handle("POST /api/v1/workflows/{workflow}/pause", s.pauseWorkflow)
	r.Handle("POST /api/v1/workflows/{workflow}/unpause", s.unpauseWorkflow)
	r.Handle("POST /api/v1/workflows/{workflow}/runs", s.requestWorkflowRun, "workflows")
	s.then(r, "GET /api/v1/workflows/runs", (*Surface).workflowRuns, "workflows")
	r.Handle("GET /api/v1/workflows/runs/{run}", s.workflowRun, "workflows")
	r.Handle("GET /api/v1/workflows/runs/{run}/tasks/{task}/logs", s.taskLog, "workflows")
	r.Handle("POST /api/v1/workflows/runs/{run}/cancel", s.cancelWorkflowRun)
	r.Handle("POST /api/v1/workflows/runs/{run}/clear", s.clearWorkflowRun, "workflows")
	r.Handle("POST /api/v1/workflows/runs/{run}/mark", s.markTask, "workflows")
	r.Handle("POST /api/v1/workflows/runs/{run}/retry", s.retryTask, "workflows")
	r.Handle("POST /api/v1/workflows/runs/{run}/note", s.noteWorkflow)
}

// shownWorkflow is a workflow as people are told of it.
type shownWorkflow struct {
	Name string `json:"name"`
	projections.Workflow
	*workflow.Definition
	TimeoutMillis int64  `json:"timeout_millis"`
	SLAMillis     int64  `json:"sla_millis,omitempty"`
	Schedule      string `json:"schedule,omitempty"`
	Timezone      string `json:"timezone,omitempty"`
	NextMillis    int64  `json:"next_millis,omitempty"` // its next slot
	Timeout       *int64 `json:"timeout,omitempty"`     // hides the definition's, which is in nanoseconds
	Error         string `json:"error,omitempty"`       // why this program cannot use it
}

func workflowOf(k *projections.KnownWorkflow, now time.Time) shownWorkflow {
	v := shownWorkflow{Name: k.Name, Workflow: k.Workflow, Definition: k.Definition}
	if k.Err != nil {
		v.Error = k.Err.Error()
	} else if k.Definition != nil {
		v.TimeoutMillis, v.SLAMillis = k.Definition.Timeout.Milliseconds(), k.Definition.SLA.Milliseconds()
		if s := k.Definition.Schedule; s != nil {
			v.Schedule, v.Timezone = s.String(), s.Zone()
			if next := s.Next(now); !next.IsZero() && !k.Paused {
				v.NextMillis = next.UnixMilli()
			}
		}
	}
	return v
}

func (s *Surface) workflows(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	all, err := s.Workflows.All()
	if err != nil {
		return err
	}
	items := []shownWorkflow{}
	for i := range all {
		items = append(items, workflowOf(&all[i], s.today()))
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[shownWorkflow]{Items: items})
}

func (s *Surface) operators(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	items := []*workflow.Operator{}
	for _, name := range s.Workflows.Operators.Names() {
		items = append(items, s.Workflows.Operators[name])
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[*workflow.Operator]{Items: items})
}

func (s *Surface) workflow(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	k, err := s.Workflows.Of(r.PathValue("workflow"))
	if err != nil {
		return err
	}
	api.SetETag(w, k.Revision)
	return api.WriteJSON(w, http.StatusOK, workflowOf(&k, s.today()))
}

// workflowSource gives a definition as it was written: the one in force, or that of a run.
func (s *Surface) workflowSource(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "run")
	if err := q.Err(); err != nil {
		return err
	}
	view, name := fold.Of[*projections.Workflows](s.Views), r.PathValue("workflow")
	k, err := s.Workflows.Of(name)
	if err != nil {
		return err
	}
	at := k.DefinedOffset + 1
	if id := q.Str("run"); id != "" {
		run, ok, err := view.Run(id)
		if err != nil {
			return err
		}
		if !ok || run.Workflow != name {
			return fault.New(fault.NotFound, "workflow %s has no run %q", api.Short(name), api.Short(id))
		}
		at = run.RequestedOffset
	}
	d, _, err := view.DefinitionAt(name, at)
	if err != nil {
		return err
	}
	w.Header().Set("X-Definition-Hash", d.Hash)
	return api.WriteText(w, "application/yaml", []byte(d.Source))
}

// readDefinition reads and checks a definition that is sent as YAML.
func (s *Surface) readDefinition(w http.ResponseWriter, r *http.Request) (*workflow.Definition, error) {
	if err := api.QueryOf(r).Err(); err != nil {
		return nil, err
	}
	body, err := api.ReadBody(w, r, commands.WorkflowBytesMax)
	if err != nil {
		return nil, err
	}
	d, err := workflow.Parse(body, s.Workflows.Operators)
	if err != nil {
		return nil, err
	}
	return d, s.Workflows.Operators.Allow(d)
}

func (s *Surface) validateWorkflow(w http.ResponseWriter, r *http.Request) error {
	d, err := s.readDefinition(w, r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"name": d.Name, "hash": d.Hash(), "tasks": d.Tasks})
}

func (s *Surface) defineWorkflow(w http.ResponseWriter, r *http.Request) error {
	d, err := s.readDefinition(w, r)
	if err != nil {
		return err
	}
	if name := r.PathValue("workflow"); d.Name != name {
		return fault.Field("name", "is %q, and the address says %q", d.Name, api.Short(name)).WithHint("send it to the address of its own name")
	}
	return s.dispatch(w, r, &commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()}, http.StatusOK, "workflows")
}

func (s *Surface) pauseWorkflow(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.PauseWorkflow{Workflow: r.PathValue("workflow")}, http.StatusOK, "workflows")
}

func (s *Surface) unpauseWorkflow(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.UnpauseWorkflow{Workflow: r.PathValue("workflow")}, http.StatusOK, "workflows")
}

var workflowStates = []string{projections.StateQueued, projections.StateRunning, projections.StateSuccess, projections.StateFailed, projections.StateCancelled}

func (s *Surface) workflowRuns(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "workflow", "state", "limit", "cursor")
	page, state := q.Page(), q.Str("state")
	if state != "" && !slices.Contains(workflowStates, state) {
		q.Fault("state", "is %q; want one of %s", api.Short(state), strings.Join(workflowStates, ", "))
	}
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Workflows](s.Views).Runs(q.Str("workflow"), state, page)
	return api.Paged(w, p, err)
}

func (s *Surface) workflowRun(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("run")
	run, ok, err := documentAt(m, fold.Of[*projections.Workflows](s.Views).Run, projections.FoldWorkflowRun, s.streamOf(r.Context(), "workflow-run", id), id)
	ok = ok && !run.Deleted
	if ok {
		api.SetETag(w, run.Revision)
	}
	return api.Found(w, run, ok, err, "no workflow run %q", api.Short(id))
}

func (s *Surface) requestWorkflowRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		RunID string                `json:"run_id"`
		Conf  map[string]api.Scalar `json:"conf"`
		Note  string                `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	name := r.PathValue("workflow")
	k, err := s.Workflows.Of(name)
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	conf := confOf(v.Conf)
	if _, err := s.Workflows.Conf(&k, conf); err != nil {
		return err
	}
	if v.RunID == "" {
		v.RunID = api.Keyed(m, "workflow-run/"+name)
	}
	return s.dispatchAs(w, r, &commands.RequestWorkflowRun{RunID: v.RunID, Workflow: name, RunType: "manual",
		Conf: conf, Note: v.Note}, m, http.StatusCreated, "workflows")
}

// confOf is a run's conf as it is kept: texts.
func confOf(given map[string]api.Scalar) (conf map[string]string) {
	for name, value := range given {
		if conf == nil {
			conf = map[string]string{}
		}
		conf[name] = string(value)
	}
	return conf
}

func (s *Surface) cancelWorkflowRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.EndWorkflowRun{RunID: r.PathValue("run"), State: projections.StateCancelled, Reason: v.Reason}, http.StatusOK, "workflows")
}

// runUnder is a run that a request names, and its definition.
func (s *Surface) runUnder(r *http.Request) (*projections.WorkflowRun, *workflow.Definition, error) {
	id := r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no workflow run %q", api.Short(id))
	}
	if err != nil {
		return nil, nil, err
	}
	d, err := s.Workflows.Under(&run)
	return &run, d, err
}

// runWith is a run that a request names, which has a task of that name.
func (s *Surface) runWith(r *http.Request, task string) (*projections.WorkflowRun, error) {
	run, d, err := s.runUnder(r)
	if err == nil && d.Task(task) == nil {
		err = fault.Field("task", "%q is no task of workflow %s", api.Short(task), run.Workflow)
	}
	return run, err
}

// clearWorkflowRun has tasks done again: those named, or those that failed, and, unless it is said otherwise, all that
// need them.
func (s *Surface) clearWorkflowRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Tasks      []string `json:"tasks"`
		Downstream *bool    `json:"downstream"`
		Note       string   `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	run, d, err := s.runUnder(r)
	if err != nil {
		return err
	}
	for i, name := range v.Tasks {
		if d.Task(name) == nil {
			return fault.Field("tasks", "%q is no task of workflow %s", api.Short(v.Tasks[i]), run.Workflow)
		}
	}
	if len(v.Tasks) == 0 {
		for name, state := range run.States(d) {
			if state == workflow.Failed || state == workflow.UpstreamFailed {
				v.Tasks = append(v.Tasks, name)
			}
		}
		if slices.Sort(v.Tasks); len(v.Tasks) == 0 {
			return fault.Field("tasks", "is missing, and no task of the run has failed").WithHint("name the tasks that are to be done again")
		}
	}
	if v.Downstream == nil || *v.Downstream {
		v.Tasks = d.Downstream(v.Tasks...)
	}
	return s.dispatch(w, r, &commands.ClearTasks{RunID: run.RunID, Tasks: v.Tasks, Note: v.Note}, http.StatusOK, "workflows")
}

func (s *Surface) markTask(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Task  string `json:"task"`
		State string `json:"state"`
		Note  string `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	run, err := s.runWith(r, v.Task)
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.MarkTask{RunID: run.RunID, Task: v.Task, State: v.State, Note: v.Note}, http.StatusOK, "workflows")
}

// retryTask has a task that waits for its next try begin it at once.
func (s *Surface) retryTask(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Task string `json:"task"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	run, err := s.runWith(r, v.Task)
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.HastenTask{RunID: run.RunID, Task: v.Task}, http.StatusOK, "workflows")
}

func (s *Surface) noteWorkflow(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Task string `json:"task"`
		Note string `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.NoteWorkflow{RunID: r.PathValue("run"), Task: v.Task, Note: v.Note}, http.StatusOK, "workflows")
}
