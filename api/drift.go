package api

import (
	"net/http"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) driftRoutes() {
	s.route("POST /api/v1/trigger/model-drift", s.triggerDrift)
	s.route("GET /api/v1/drift/alerts", s.driftAlerts, "health")
}

func (s *Server) triggerDrift(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		ModelName    string             `json:"model_name"`
		ModelVersion id                 `json:"model_version"`
		DriftScore   *float64           `json:"drift_score"`
		Threshold    *float64           `json:"threshold"`
		Timestamp    string             `json:"timestamp"`
		Metrics      map[string]float64 `json:"metrics"`
	}
	if err := readJSON(w, r, &v, false); err != nil {
		return err
	}
	q := &query{}
	if v.DriftScore == nil {
		q.fault("drift_score", "is needed")
	}
	if v.Threshold == nil {
		q.fault("threshold", "is needed")
	}
	if err := q.err(); err != nil {
		return err
	}
	return s.publish(w, r, &commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: v.ModelName, ModelVersion: string(v.ModelVersion),
		DriftScore: *v.DriftScore, Threshold: *v.Threshold, Timestamp: v.Timestamp, Metrics: v.Metrics}}, "health")
}

// publish writes one fact and answers once the views have it, or after a while without them.
func (s *Server) publish(w http.ResponseWriter, r *http.Request, f commands.Fact, views ...string) error {
	m, err := metaOf(r)
	if err != nil {
		return err
	}
	if f.Time() != "" {
		millis, err := events.TimeMillis(f.Time())
		if err == nil && millis > s.Now().Add(futureMax).UnixMilli() {
			return fault.Field("timestamp", "%s is more than a day ahead of this server's clock", short(f.Time()))
		}
	}
	p, err := s.Dispatcher.Publish(r.Context(), []commands.Fact{f}, m)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, factAnswer{p.Events[0].ID, p.Positions[0].String(), events.FormatTime(p.Events[0].Time),
		p.Duplicate, s.settle(r.Context(), p.Positions, views...)})
}

func (s *Server) driftAlerts(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "model", "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Health](s.Views).Alerts(q.str("model"), page)
	return paged(w, p, err)
}
