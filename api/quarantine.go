package api

import (
	"net/http"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Server) quarantineRoutes() {
	s.route("GET /api/v1/quarantine", s.quarantine, "quarantine")
	s.route("GET /api/v1/quarantine/counts", s.quarantineCounts, "quarantine")
	s.route("GET /api/v1/quarantine/records/{position...}", s.quarantined, "quarantine")
}

func (s *Server) quarantine(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "topic", "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Quarantine](s.Views).Facts(q.str("topic"), page)
	return paged(w, p, err)
}

func (s *Server) quarantineCounts(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
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
	return writeJSON(w, http.StatusOK, struct {
		Topics  map[string]int64 `json:"topics"`
		Refused map[string]int64 `json:"refused"` // before they were in the log
	}{counts, refused})
}

func (s *Server) quarantined(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	p, err := streams.ParsePosition(r.PathValue("position"))
	if err != nil {
		return fault.Field("position", "%v", err)
	}
	f, ok, err := fold.Of[*projections.Quarantine](s.Views).Fact(p)
	return found(w, f, ok, err, "the record at %s is not in quarantine", p)
}
