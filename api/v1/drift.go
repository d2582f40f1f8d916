package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) driftRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/trigger/model-drift", s.triggerDrift)
	s.then(r, "GET /api/v1/drift/alerts", (*Surface).driftAlerts, "drift")
}

func (s *Surface) triggerDrift(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		ModelName    string             `json:"model_name"`
		ModelVersion api.ID             `json:"model_version"`
		DriftScore   *float64           `json:"drift_score"`
		Threshold    *float64           `json:"threshold"`
		Timestamp    string             `json:"timestamp"`
		Metrics      map[string]float64 `json:"metrics"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	q := &api.Query{}
	if v.DriftScore == nil {
		q.Fault("drift_score", "is needed")
	}
	if v.Threshold == nil {
		q.Fault("threshold", "is needed")
	}
	if err := q.Err(); err != nil {
		return err
	}
	return s.publish(w, r, &commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: v.ModelName, ModelVersion: string(v.ModelVersion),
		DriftScore: *v.DriftScore, Threshold: *v.Threshold, Timestamp: v.Timestamp, Metrics: v.Metrics}}, "drift")
}

// publish writes one fact and answers once the views have it, or after a while without them.
func (s *Surface) publish(w http.ResponseWriter, r *http.Request, f commands.Fact, views ...string) error {
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	if f.Time() != "" {
		if err := checkTime(f.Time(), s.Now()); err != nil {
			return err
		}
	}
	p, err := s.Dispatcher.Publish(r.Context(), []commands.Fact{f}, m)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusAccepted, factAnswer{p.Events[0].ID, p.Positions[0].String(), events.FormatTime(p.Events[0].Time),
		p.Duplicate, s.Settle(r.Context(), p.Positions, views...)})
}

func (s *Surface) driftAlerts(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "model", "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Drift](s.Views).Alerts(q.Str("model"), page)
	return api.Paged(w, p, err)
}
