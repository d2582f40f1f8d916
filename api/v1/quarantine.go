package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) quarantineRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/quarantine", (*Surface).quarantine, "quarantine")
	s.then(r, "GET /api/v1/quarantine/counts", (*Surface).quarantineCounts, "quarantine")
	s.then(r, "GET /api/v1/quarantine/records/{position...}", (*Surface).quarantined, "quarantine")
}

func (s *Surface) quarantine(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "topic", "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Quarantine](s.Views).Facts(q.Str("topic"), page)
	return api.Paged(w, p, err)
}

func (s *Surface) quarantineCounts(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	counts, err := fold.Of[*projections.Quarantine](s.Views).Counts()
	if err != nil {
		return err
	}
	refused, err := fold.Of[*projections.Quarantine](s.Views).Refused()
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Topics  map[string]int64 `json:"topics"`
		Refused map[string]int64 `json:"refused"` // before they were in the log
	}{counts, refused})
}

func (s *Surface) quarantined(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	p, err := streams.ParsePosition(r.PathValue("position"))
	if err != nil {
		return fault.Field("position", "%v", err)
	}
	f, ok, err := fold.Of[*projections.Quarantine](s.Views).Fact(p)
	return api.Found(w, f, ok, err, "the record at %s is not in quarantine", p)
}
