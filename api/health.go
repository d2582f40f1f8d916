package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// lagEventsMax is the lag from which answers are called stale: a second's folding, on a slow day.
const lagEventsMax = 100_000

// logTimeout is how long readiness waits for the log to say how far it is: probes give up soon.
const logTimeout = 2 * time.Second

func (s *Server) healthRoutes() {
	s.route("GET /healthz", s.healthz)
	s.route("GET /health", s.healthz)
	s.route("GET /readyz", s.readyz)
	s.route("GET /api/v1/health/services", s.services, "health")
	s.route("GET /api/v1/health/services/{service}", s.service, "health")
	s.route("POST /api/v1/trigger/system-overload", s.triggerOverload)
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) error {
	return writeJSON(w, http.StatusOK, struct {
		Status  string `json:"status"`
		Version string `json:"version,omitempty"`
	}{"ok", s.Version})
}

// readyz says whether recommendations can be served, and if not, all that is missing.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	missing, err := s.missing(r.Context())
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return writeJSON(w, http.StatusOK, struct {
			Status string `json:"status"`
		}{"ready"})
	}
	p := &Problem{Type: "urn:projectionist:" + string(fault.Unavailable), Title: "Not ready", Status: http.StatusServiceUnavailable,
		Detail: missing[0].Message, Errors: missing, Hint: missing[0].Hint, RequestID: requestOf(r).id}
	if n := len(missing); n > 1 {
		p.Detail = fmt.Sprintf("%d things are missing: %s; …", n, missing[0].Message)
	}
	s.writeProblem(w, p)
	return nil
}

func (s *Server) missing(ctx context.Context) ([]FieldProblem, error) {
	var missing []FieldProblem
	if s.draining.Load() {
		missing = append(missing, FieldProblem{Field: "server", Message: "the server is shutting down"})
	}
	wctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	views, err := s.Views.Status(wctx)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err != nil:
		f := fieldProblem(err)
		f.Field = "log"
		missing = append(missing, f)
	}
	for _, v := range views {
		switch {
		case v.Halted != nil:
			missing = append(missing, FieldProblem{"view " + v.View, v.Error,
				fmt.Sprintf(`mend what it cannot read, or pass over it: POST /api/v1/views/%s/skip {"position":"%s","reason":"…"}`, v.View, v.Halted.Position)})
		case v.Lag > lagEventsMax:
			missing = append(missing, FieldProblem{"view " + v.View, fmt.Sprintf("lags %d events behind the log", v.Lag), "it catches up by itself"})
		}
	}
	if s.Writable != nil { // a recommendation is recorded before it is shown
		if err := s.Writable(); err != nil {
			f := fieldProblem(err)
			f.Field = "log"
			missing = append(missing, f)
		}
	}
	if err := s.Recommend.Ready(); err != nil {
		f := fieldProblem(err)
		if f.Field == "" {
			f.Field = "recommendations"
		}
		missing = append(missing, f)
	}
	return missing, nil
}

func (s *Server) services(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Health](s.Views).Services(page)
	return paged(w, p, err)
}

func (s *Server) service(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	name := r.PathValue("service")
	v, ok, err := fold.Of[*projections.Health](s.Views).Service(name)
	return found(w, v, ok, err, "service %q has said nothing of its health", short(name))
}

func (s *Server) triggerOverload(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		ServiceName    string  `json:"service_name"`
		Status         string  `json:"status"`
		CPUUsage       float64 `json:"cpu_usage"`
		MemoryUsage    float64 `json:"memory_usage"`
		ResponseTimeMs float64 `json:"response_time_ms"`
		Timestamp      string  `json:"timestamp"`
	}
	if err := readJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Status == "" {
		v.Status = "degraded"
	}
	return s.publish(w, r, &commands.PublishHealth{SystemHealth: events.SystemHealth(v)}, "health")
}
