package v1

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) healthRoutes(r *api.Routes) {
	r.Handle("GET /healthz", s.healthz)
	r.Handle("GET /health", s.healthz)
	r.Handle("GET /readyz", s.readyz)
	s.then(r, "GET /api/v1/health/services", (*Surface).services, "health")
	s.then(r, "GET /api/v1/health/services/{service}", (*Surface).service, "health")
	s.then(r, "GET /api/v1/health/alerts", (*Surface).healthAlerts, "health")
	r.Handle("POST /api/v1/trigger/system-overload", s.triggerOverload)
}

func (s *Surface) healthz(w http.ResponseWriter, r *http.Request) error {
	if err := api.Now(r); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Status  string `json:"status"`
		Version string `json:"version,omitempty"`
	}{"ok", s.Version})
}

// readyz says whether recommendations can be served, and if not, all that is missing. A log that takes nothing
// more, such as one on a full disk, does not stop reading: the answer then says what does not go.
func (s *Surface) readyz(w http.ResponseWriter, r *http.Request) error {
	if err := api.Now(r); err != nil {
		return err
	}
	missing, err := s.missing(r.Context())
	if err != nil {
		return err
	}
	if len(missing) == 0 {
		return api.WriteJSON(w, http.StatusOK, struct {
			Status   string             `json:"status"`
			Degraded []api.FieldProblem `json:"degraded,omitempty"`
		}{"ready", s.degraded()})
	}
	p := &api.Problem{Type: "urn:projectionist:" + string(fault.Unavailable), Title: "Not ready", Status: http.StatusServiceUnavailable,
		Detail: missing[0].Message, Errors: missing, Hint: missing[0].Hint, RequestID: api.RequestID(r)}
	if n := len(missing); n > 1 {
		p.Detail = fmt.Sprintf("%d things are missing: %s; …", n, missing[0].Message)
	}
	api.Refuse(w, r, s, p)
	return nil
}

func (s *Surface) degraded() (list []api.FieldProblem) {
	add := func(field string, err error) {
		if err != nil {
			f := api.FieldProblemOf(err)
			f.Field = field
			list = append(list, f)
		}
	}
	if s.Writable != nil {
		add("log", s.Writable())
	}
	add("recommendations", s.Recommend.Behind()) // another version serves than the one deployed
	return list
}

func (s *Surface) missing(ctx context.Context) ([]api.FieldProblem, error) {
	var missing []api.FieldProblem
	if s.Draining() {
		missing = append(missing, api.FieldProblem{Field: "server", Message: "the server is shutting down"})
	}
	wctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	views, err := s.Views.Status(wctx)
	switch {
	case ctx.Err() != nil:
		return nil, err
	case err != nil:
		f := api.FieldProblemOf(err)
		f.Field = "log"
		missing = append(missing, f)
	}
	missing = append(append(missing, s.damaged()...), unread(views)...)
	for _, v := range views {
		switch {
		case v.Halted != nil && v.Halted.Unread:
		case v.Halted != nil:
			missing = append(missing, api.FieldProblem{Field: "view " + v.View, Message: v.Error,
				Hint: fmt.Sprintf(`mend what it cannot read, or pass over it: POST /api/v1/views/%s/skip {"position":"%s","reason":"…"}`, v.View, v.Halted.Position)})
		case v.Lag > 0 && v.Error != "":
			missing = append(missing, api.FieldProblem{Field: "view " + v.View, Message: fmt.Sprintf("lags %d events behind the log, which cannot be folded: %s", v.Lag, v.Error)})
		case v.Lag > lagEventsMax:
			missing = append(missing, api.FieldProblem{Field: "view " + v.View, Message: fmt.Sprintf("lags %d events behind the log", v.Lag), Hint: "it catches up by itself"})
		}
	}
	if err := s.Recommend.Ready(); err != nil {
		f := api.FieldProblemOf(err)
		if f.Field == "" {
			f.Field = "recommendations"
		}
		missing = append(missing, f)
	}
	return missing, nil
}

// damaged is what damage was met in files since the start. What lies elsewhere is answered from.
func (s *Surface) damaged() (list []api.FieldProblem) {
	add := func(field string, err error) {
		if err != nil {
			f := api.FieldProblemOf(err)
			f.Field = field
			list = append(list, f)
		}
	}
	if s.Damaged != nil {
		add("log", s.Damaged())
	}
	add("views", s.Views.Damaged())
	return list
}

// unread are the commits at which views have halted because this program cannot read them, each with its views.
func unread(views []fold.Status) (list []api.FieldProblem) {
	names := map[streams.Position][]string{}
	var order []*fold.Poison
	for _, v := range views {
		if p := v.Halted; p != nil && p.Unread {
			if names[p.Position] == nil {
				order = append(order, p)
			}
			names[p.Position] = append(names[p.Position], v.View)
		}
	}
	for _, p := range order {
		list = append(list, api.FieldProblem{Field: "ledger",
			Message: fmt.Sprintf("the event %s (%s) at %s cannot be read by this release, and %s halted there: %v", p.Type, p.EventID, p.Position,
				strings.Join(names[p.Position], ", "), p.Err),
			Hint: fmt.Sprintf(`run the release that knows it; or have everyone pass over it: POST /api/v1/views/%s/skip {"position":"%s","reason":"…"}`, events.AllViews, p.Position)})
	}
	return list
}

func (s *Surface) services(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Health](s.Views).Services(page)
	return api.Paged(w, p, err)
}

func (s *Surface) service(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	name := r.PathValue("service")
	v, ok, err := fold.Of[*projections.Health](s.Views).Service(name)
	return api.Found(w, v, ok, err, "service %q has said nothing of its health", api.Short(name))
}

// healthAlerts are the words of services that were not ok, newest first.
func (s *Surface) healthAlerts(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Health](s.Views).Alerts(page)
	return api.Paged(w, p, err)
}

func (s *Surface) triggerOverload(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		ServiceName    string  `json:"service_name"`
		Status         string  `json:"status"`
		CPUUsage       float64 `json:"cpu_usage"`
		MemoryUsage    float64 `json:"memory_usage"`
		ResponseTimeMs float64 `json:"response_time_ms"`
		Timestamp      string  `json:"timestamp"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Status == "" {
		v.Status = "degraded"
	}
	return s.publish(w, r, &commands.PublishHealth{SystemHealth: events.SystemHealth(v)}, "health")
}
