package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) workflowRoutes() {
	s.route("GET /api/v1/workflows", s.workflows)
	s.route("GET /api/v1/workflows/runs", s.workflowRuns, "workflows")
	s.route("GET /api/v1/workflows/runs/{run}", s.workflowRun, "workflows")
	s.route("POST /api/v1/workflows/{workflow}/runs", s.requestWorkflowRun)
}

func (s *Server) workflows(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, fold.Page[react.Workflow]{Items: react.Workflows()})
}

var workflowStates = []string{projections.StateQueued, projections.StateRunning, projections.StateSuccess, projections.StateFailed}

func (s *Server) workflowRuns(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "workflow", "state", "limit", "cursor")
	page, state := q.page(), q.str("state")
	if state != "" && !slices.Contains(workflowStates, state) {
		q.fault("state", "is %q; want one of %s", short(state), strings.Join(workflowStates, ", "))
	}
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Workflows](s.Views).Runs(q.str("workflow"), state, page)
	return paged(w, p, err)
}

func (s *Server) workflowRun(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	id := r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if ok {
		setETag(w, run.Revision)
	}
	return found(w, run, ok, err, "no workflow run %q", short(id))
}

func (s *Server) requestWorkflowRun(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Conf map[string]scalar `json:"conf"`
		Note string            `json:"note"`
	}
	if err := readJSON(w, r, &v, true); err != nil {
		return err
	}
	name := r.PathValue("workflow")
	var names []string
	for _, wf := range react.Workflows() {
		names = append(names, wf.Name)
	}
	if !slices.Contains(names, name) {
		return fault.New(fault.NotFound, "no workflow %q", short(name)).WithHint("there are %s", strings.Join(names, ", "))
	}
	m, err := metaOf(r)
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
	return s.dispatchAs(w, r, &commands.RequestWorkflowRun{RunID: keyed(m, "workflow-run/"+name), Workflow: name, RunType: "manual",
		Conf: conf, Note: v.Note}, m, http.StatusCreated, "workflows")
}
