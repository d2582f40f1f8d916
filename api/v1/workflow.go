package v1

import (
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) workflowRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/workflows", s.workflows)
	r.Handle("GET /api/v1/workflows/runs", s.workflowRuns, "workflows")
	r.Handle("GET /api/v1/workflows/runs/{run}", s.workflowRun, "workflows")
	r.Handle("POST /api/v1/workflows/{workflow}/runs", s.requestWorkflowRun)
}

func (s *Surface) workflows(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[react.Workflow]{Items: s.Workflows})
}

var workflowStates = []string{projections.StateQueued, projections.StateRunning, projections.StateSuccess, projections.StateFailed}

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
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	id := r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if ok {
		api.SetETag(w, run.Revision)
	}
	return api.Found(w, run, ok, err, "no workflow run %q", api.Short(id))
}

func (s *Surface) requestWorkflowRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Conf map[string]api.Scalar `json:"conf"`
		Note string                `json:"note"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	name := r.PathValue("workflow")
	var names []string
	for _, wf := range s.Workflows {
		names = append(names, wf.Name)
	}
	if !slices.Contains(names, name) {
		return fault.New(fault.NotFound, "no workflow %q", api.Short(name)).WithHint("there are %s", strings.Join(names, ", "))
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	var conf map[string]string
	for k, value := range v.Conf {
		if conf == nil {
			conf = map[string]string{}
		}
		conf[k] = string(value)
	}
	if err := s.CheckConf(name, conf); err != nil {
		return err
	}
	return s.dispatchAs(w, r, &commands.RequestWorkflowRun{RunID: api.Keyed(m, "workflow-run/"+name), Workflow: name, RunType: "manual",
		Conf: conf, Note: v.Note}, m, http.StatusCreated, "workflows")
}
