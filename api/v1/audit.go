package v1

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) auditRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/audit", s.audit, "audit")
}

const knownAfterParam = "known_after"

var ledgerPartition = streams.TP{Topic: events.LedgerTopic}

// auditPage is a piece of what happened, newest first. Of what came between two moments Facts are how many records the feeds took, by topic.
type auditPage struct {
	fold.Page[projections.AuditEntry]
	Facts map[string]int64 `json:"facts,omitempty"`
}

// audit gives the events of the ledger that fit. known_after and known_at are two moments: what the log took after the one, up to the other.
func (s *Surface) audit(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	q := api.QueryOf(r, "actor", "type", "correlation", "stream", "stream_prefix", "from", "to", api.AsOfParam, api.KnownAtParam, knownAfterParam, "limit", "cursor")
	page := q.Page()
	f := projections.AuditFilter{Actor: q.Str("actor"), Type: q.Str("type"), Correlation: q.Str("correlation"), Stream: q.Str("stream"),
		StreamPrefix: q.Str("stream_prefix"), FromMillis: q.Millis("from"), ToMillis: q.Millis("to")}
	m, err := s.Moment(ctx, q)
	if err != nil {
		return err
	}
	f.At.EventMillis = m.EventMillis
	known, err := s.known(ctx, &m)
	if err != nil {
		return err
	}
	out := auditPage{}
	if text := q.Str(knownAfterParam); text != "" {
		after, err := s.knownAfter(ctx, text)
		if err != nil {
			return err
		}
		if !m.Given() {
			known = nil // whatever there is by the time it is read
		} else if beyond(after, known) {
			return fault.Field(knownAfterParam, "is not before %s", api.KnownAtParam)
		}
		f.FromOffset = after[ledgerPartition]
		if out.Facts, err = s.factsBetween(ctx, after, known); err != nil {
			return err
		}
	}
	if m.Given() {
		if f.ToOffset = known[ledgerPartition]; f.ToOffset == 0 { // nothing was known
			out.Items = []projections.AuditEntry{}
			return api.WriteJSON(w, http.StatusOK, out)
		}
	}
	out.Page, err = fold.Of[*projections.Audit](s.Views).Entries(f, page)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// knownAfter is what the earlier of two moments knows.
func (s *Surface) knownAfter(ctx context.Context, text string) (streams.Cut, error) {
	m, err := s.momentAfter(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.known(ctx, &m)
}

// momentAfter is the moment that known_after stands for.
func (s *Surface) momentAfter(ctx context.Context, text string) (api.Moment, error) {
	m, err := s.MomentOf(ctx, "", text)
	if f, ok := err.(*fault.Error); ok && f.Field == api.KnownAtParam {
		other := *f
		other.Field = knownAfterParam
		return m, &other
	}
	return m, err
}

// factsBetween is how many records the feeds took between two cuts, by topic; to nil is now.
func (s *Surface) factsBetween(ctx context.Context, from, to streams.Cut) (map[string]int64, error) {
	if to == nil {
		var err error
		if to, err = s.known(ctx, &api.Moment{}); err != nil {
			return nil, err
		}
	}
	facts := map[string]int64{}
	for tp, next := range to {
		if n := next - from[tp]; n > 0 && tp.Topic != events.LedgerTopic {
			facts[tp.Topic] += n
		}
	}
	return facts, nil
}
