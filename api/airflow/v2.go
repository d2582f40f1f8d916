package airflow

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

// V2 is Airflow 3's API: /api/v2 (https://airflow.apache.org/docs/apache-airflow/3.3.2/stable-rest-api-ref.html), and
// /auth/token, where its clients get the bearer token that it wants. It answers from what [Surface] reads, in files v2_….go.
//
// Bodies, statuses and errors are as Airflow 3.3.2 answers. A value that it would derive from what a workflow has not (bundles of
// files, assets, mapped tasks) is null or an empty list; what would change what has happened (writing XCom) has no route.
type V2 struct {
	*api.Core
	Config
	v1    *Surface
	waits *atomic.Int64 // for runs, under way
}

var _ api.Gated = (*V2)(nil)

// NewV2 makes the surface beside the one of /api/v1.
func NewV2(s *Surface) *V2 { return &V2{s.Core, s.Config, s, &atomic.Int64{}} }

func (s *V2) Name() string { return "airflow2" }

func (s *V2) Routes(r *api.Routes) {
	s.tokenRoutes(r)
	s.dagRoutes(v2Routes{r})
	s.runRoutes(v2Routes{r})
	s.taskRoutes(v2Routes{r})
	s.steerRoutes(v2Routes{r})
	s.bulkRoutes(v2Routes{r})
	s.actRoutes(v2Routes{r})
	s.variableRoutes(v2Routes{r})
	s.poolRoutes(v2Routes{r})
	s.backfillRoutes(v2Routes{r})
	s.aboutRoutes(v2Routes{r})
}

// v2Routes adds endpoints below /api/v2 that answer from the view of workflows.
type v2Routes struct{ *api.Routes }

func (r v2Routes) on(method, path string, h api.Handler) {
	r.Handle(method+" /api/v2"+path, fastapi.Handler(h), "workflows")
}

// Owns says which paths of the listener are of this API.
func (s *V2) Owns(path string) bool {
	return strings.HasPrefix(path, "/api/v2/") || path == "/api/v2" || strings.HasPrefix(path, "/auth/")
}

// Admit wants a token of /auth/token, or the program's own, where credentials are needed; one that is sent must be right in any
// case. How it is, and which version, may be asked by everybody.
func (s *V2) Admit(r *http.Request) (user string, refused *api.Problem) {
	path := r.URL.Path
	if !strings.HasPrefix(path, "/api/v2") || r.Method == http.MethodGet && (path == "/api/v2/monitor/health" || path == "/api/v2/version") {
		return "", nil
	}
	token, is := api.Bearer(r)
	switch {
	case is && s.IsToken(token):
		return "", nil
	case is:
		user, err := s.Verify(token)
		switch {
		case err == nil:
			return user, nil
		case errors.Is(err, api.ErrTokenExpired):
			return "", &api.Problem{Status: http.StatusUnauthorized, Detail: "Token Expired"}
		case errors.Is(err, api.ErrToken):
			return "", &api.Problem{Status: http.StatusForbidden, Detail: "Invalid JWT token"}
		}
		return "", api.ProblemOf(err, "")
	case s.Open() && r.Header.Get("Authorization") == "":
		return "", nil
	}
	return "", &api.Problem{Status: http.StatusUnauthorized, Detail: "Not authenticated"}
}

// Render writes a problem as FastAPI does, with the remedy at the end of its detail.
func (s *V2) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	detail := strings.TrimPrefix(p.Field+": "+p.Detail, ": ")
	if p.Hint != "" {
		detail += "; " + p.Hint
	}
	switch {
	case p.Status == http.StatusMethodNotAllowed:
		detail = http.StatusText(p.Status)
	case p.Status == http.StatusPreconditionFailed:
		p.Status = http.StatusConflict
	case p.Status == http.StatusNotFound && r.Pattern == "/":
		api.WriteJSON(w, p.Status, map[string]any{"detail": detail, "error": "API route not found"}) //nolint:errcheck // it has a JSON form
		return
	}
	fastapi.Write(w, p.Status, detail)
}

// noDAG is what is said where the workflow is needed.
func noDAG(name string) error {
	return fastapi.Refuse(http.StatusNotFound, "The Dag with ID: `%s` was not found", api.Short(name))
}

// known is the workflow that a request names, which this program may not be able to use.
func (s *V2) known(r *http.Request) (projections.KnownWorkflow, error) {
	k, err := s.Workflows.Of(r.PathValue("dag"))
	if fault.Is(err, fault.NotFound) {
		err = noDAG(r.PathValue("dag"))
	}
	return k, err
}

// usable is the workflow that a request names.
func (s *V2) usable(r *http.Request) (projections.KnownWorkflow, error) {
	k, err := s.known(r)
	if err == nil {
		err = k.Err
	}
	return k, err
}

// stamp is a time as Airflow 3 writes it; nil for none.
func stamp(millis int64) *string {
	if millis == 0 {
		return nil
	}
	form := "2006-01-02T15:04:05.000000Z"
	if millis%1000 == 0 {
		form = "2006-01-02T15:04:05Z"
	}
	v := time.UnixMilli(millis).UTC().Format(form)
	return &v
}
