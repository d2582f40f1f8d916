package v1

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) deadLetterRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/dead-letters", (*Surface).deadLetters, "deadletters")
	r.Handle("GET /api/v1/dead-letters/{letter}", s.deadLetter, "deadletters")
	r.Handle("POST /api/v1/dead-letters/{letter}/retry", s.retryDeadLetter)
	r.Handle("POST /api/v1/dead-letters/{letter}/drop", s.dropDeadLetter)
}

var deadLetterStates = []string{projections.DeadLetterOpen, "retried", "dropped"}

func (s *Surface) deadLetters(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "state", "limit", "cursor")
	page, state := q.Page(), q.Str("state")
	if state != "" && !slices.Contains(deadLetterStates, state) {
		q.Fault("state", "is %q; want one of %s", api.Short(state), strings.Join(deadLetterStates, ", "))
	}
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.DeadLetters](s.Views).List(state, page)
	return api.Paged(w, p, err)
}

func (s *Surface) deadLetter(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("letter")
	d, ok, err := documentAt(m, fold.Of[*projections.DeadLetters](s.Views).DeadLetter, projections.FoldDeadLetter, s.streamOf(r.Context(), "dead-letter", id), id)
	return api.Found(w, d, ok, err, "no dead letter %q", api.Short(id))
}

func (s *Surface) retryDeadLetter(w http.ResponseWriter, r *http.Request) error {
	if err := api.ReadJSON(w, r, &struct{}{}, true); err != nil {
		return err
	}
	return s.resolveDeadLetter(w, r, func(ctx context.Context, id, actor string) error { return s.Reactors.Retry(ctx, id, actor) })
}

func (s *Surface) dropDeadLetter(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	return s.resolveDeadLetter(w, r, func(ctx context.Context, id, actor string) error { return s.Reactors.Drop(ctx, id, actor, v.Reason) })
}

// resolveDeadLetter answers with the letter as its stream has it afterwards.
func (s *Surface) resolveDeadLetter(w http.ResponseWriter, r *http.Request, resolve func(ctx context.Context, id, actor string) error) error {
	m, err := api.MetaOf(r)
	if err == nil {
		err = s.needReactors()
	}
	if err != nil {
		return err
	}
	id := r.PathValue("letter")
	if err := resolve(r.Context(), id, m.Actor); err != nil {
		return err
	}
	d, ok, err := projections.FoldDeadLetter(s.Log.Ledger().ReadStream(r.Context(), "dead-letter/"+id, 0), fold.At{})
	return api.Found(w, d, ok, err, "no dead letter %q", api.Short(id))
}
