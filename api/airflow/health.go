package airflow

import (
	"context"
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
)

func (s *Surface) healthRoutes(r *api.Routes) {
	r.Handle("GET /health", s.health)
	r.Handle("GET /healthz", s.health)
	r.Handle("GET /api/v1/health", s.health)
	r.Handle("GET /api/v1/version", s.version)
}

// healthTimeout bounds how long the log is asked how far it is.
const healthTimeout = 2 * time.Second

// health says of the database whether the log and the view of the runs can be read, and of the scheduler whether tasks
// are worked on. The other processes of Airflow there are not.
func (s *Surface) health(w http.ResponseWriter, r *http.Request) error {
	word := func(well bool) *string {
		v := "unhealthy"
		if well {
			v = "healthy"
		}
		return &v
	}
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	views, err := s.Views.Status(ctx)
	read := err == nil
	for _, v := range views {
		if v.View == "workflows" && (v.Halted != nil || v.Error != "") {
			read = false
		}
	}
	now, works := iso(s.Now().UnixMilli()), s.Heartbeat == nil || s.Heartbeat()
	var beat *string
	if works {
		beat = &now
	}
	status := http.StatusOK
	return api.WriteJSON(w, status, map[string]any{
		"metadatabase":  map[string]any{"status": word(read)},
		"scheduler":     map[string]any{"status": word(works), "latest_scheduler_heartbeat": beat},
		"triggerer":     map[string]any{"status": nil, "latest_triggerer_heartbeat": nil},
		"dag_processor": map[string]any{"status": nil, "latest_dag_processor_heartbeat": nil},
	})
}

func (s *Surface) version(w http.ResponseWriter, _ *http.Request) error {
	return api.WriteJSON(w, http.StatusOK, map[string]any{"version": "2.10.5", "git_version": "projectionist " + s.Version})
}

// iso is a time as Airflow writes it; "" for none.
func iso(millis int64) string {
	if millis == 0 {
		return ""
	}
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000000+00:00")
}

// optional is a time as Airflow writes it, null for none.
func optional(millis int64) *string {
	if millis == 0 {
		return nil
	}
	v := iso(millis)
	return &v
}
