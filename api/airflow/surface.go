// Package airflow answers Airflow's clients: workflows as DAGs, their runs and tasks, by Airflow's stable REST API v1
// (https://airflow.apache.org/docs/apache-airflow/2.10.5/stable-rest-api-ref.html). A DAG is a workflow, a DAG run a
// run of it, a task instance its task in that run; run, tasks and logs are read from the run's own events.
//
// What of that API there is, the routes say: all but what changes users, roles, connections and datasets, which is refused, or not found, with a
// sentence. What a workflow has not (queues, mapped tasks) is answered as Airflow does for a DAG that does without. list.go has what lists share.
package airflow

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Config is what a [Surface] answers from.
type Config struct {
	Workflows *projections.DefinedWorkflows
	// TaskLog gives the lines of the log of a task's try, and a line without bytes when what was given may be shown.
	TaskLog   func(ctx context.Context, views *fold.Runner, q tasklog.Query, to func(line []byte) error) error
	Heartbeat func() bool // whether tasks are worked on by this process
	// Reparse reads the file of a workflow again, if it has one; nil: there are no files.
	Reparse     func(ctx context.Context, name string) error
	Connections []Connection // that the program has been configured with
	Users       []string     // that may ask, by name
	Version     string
}

// Surface is Airflow's API.
type Surface struct {
	*api.Core
	Config
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface { return &Surface{core, c} }

func (s *Surface) Name() string { return "airflow" }

func (s *Surface) Routes(r *api.Routes) {
	s.healthRoutes(r)
	s.dagRoutes(r)
	s.runRoutes(r)
	s.taskRoutes(r)
	s.steerRoutes(r)
	s.poolRoutes(r)
	s.tryRoutes(r)
	s.outputRoutes(r)
	s.actRoutes(r)
	s.variableRoutes(r)
	s.inventoryRoutes(r)
	s.accessRoutes(r)
	s.pageRoutes(r)
}

// document is where Airflow explains its errors; clients take it for the error's type.
const document = "https://airflow.apache.org/docs/apache-airflow/2.10.5/stable-rest-api-ref.html#section/Errors/"

// sections are that page's parts by status.
var sections = map[int]string{
	http.StatusBadRequest: "BadRequest", http.StatusUnauthorized: "Unauthenticated", http.StatusForbidden: "PermissionDenied",
	http.StatusNotFound: "NotFound", http.StatusConflict: "AlreadyExists",
}

var titles = map[int]string{http.StatusBadRequest: "Bad Request", http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden",
	http.StatusNotFound: "Not Found", http.StatusMethodNotAllowed: "Method Not Allowed", http.StatusConflict: "Conflict"}

// Render writes a problem as Airflow's clients expect one, with the remedy at the end of its detail.
func (s *Surface) Render(w http.ResponseWriter, _ *http.Request, p *api.Problem) {
	if p.Status == http.StatusPreconditionFailed { // of a run that is there already
		p.Status = http.StatusConflict
	}
	if p.Status == http.StatusRequestEntityTooLarge {
		p.Status = http.StatusBadRequest
	}
	v := struct {
		Detail string `json:"detail"`
		Status int    `json:"status"`
		Title  string `json:"title"`
		Type   string `json:"type"`
	}{strings.TrimPrefix(p.Field+": "+p.Detail, ": "), p.Status, titles[p.Status], "about:blank"}
	if p.Hint != "" {
		v.Detail += "; " + p.Hint
	}
	if v.Title == "" {
		v.Title = p.Title
	}
	var t titled
	if errors.As(p.Err, &t) {
		v.Title = t.title
	}
	if section, ok := sections[p.Status]; ok {
		v.Type = document + section
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	api.WriteBody(w, v)
}

// known is the workflow that a request names, which this program may not be able to use.
func (s *Surface) known(r *http.Request) (projections.KnownWorkflow, error) {
	k, err := s.Workflows.Of(r.PathValue("dag"))
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.NotFound {
		err = titled{"DAG not found", fault.New(fault.NotFound, "The DAG with dag_id: %s was not found", api.Short(r.PathValue("dag"))).WithHint("%s", f.Hint)}
	}
	return k, err
}

// workflow is the one that a request names.
func (s *Surface) workflow(r *http.Request) (projections.KnownWorkflow, error) {
	k, err := s.known(r)
	if err == nil {
		err = k.Err
	}
	return k, err
}
