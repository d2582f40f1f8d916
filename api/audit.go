package api

import (
	"net/http"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) auditRoutes() {
	s.route("GET /api/v1/audit", s.audit, "audit")
}

func (s *Server) audit(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "actor", "type", "correlation", "stream", "stream_prefix", "from", "to", asOfParam, knownAtParam, "limit", "cursor")
	page := q.page()
	f := projections.AuditFilter{Actor: q.str("actor"), Type: q.str("type"), Correlation: q.str("correlation"), Stream: q.str("stream"),
		StreamPrefix: q.str("stream_prefix"), FromMillis: q.millis("from"), ToMillis: q.millis("to")}
	m, err := s.moment(r.Context(), q)
	if err != nil {
		return err
	}
	f.At = m.at
	p, err := fold.Of[*projections.Audit](s.Views).Entries(f, page)
	return paged(w, p, err)
}
