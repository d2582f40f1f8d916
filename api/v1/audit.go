package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) auditRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/audit", s.audit, "audit")
}

func (s *Surface) audit(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "actor", "type", "correlation", "stream", "stream_prefix", "from", "to", api.AsOfParam, api.KnownAtParam, "limit", "cursor")
	page := q.Page()
	f := projections.AuditFilter{Actor: q.Str("actor"), Type: q.Str("type"), Correlation: q.Str("correlation"), Stream: q.Str("stream"),
		StreamPrefix: q.Str("stream_prefix"), FromMillis: q.Millis("from"), ToMillis: q.Millis("to")}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	f.At = m.At
	p, err := fold.Of[*projections.Audit](s.Views).Entries(f, page)
	return api.Paged(w, p, err)
}
