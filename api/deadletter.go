package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) deadLetterRoutes() {
	s.route("GET /api/v1/dead-letters", s.deadLetters, "deadletters")
	s.route("GET /api/v1/dead-letters/{letter}", s.deadLetter, "deadletters")
	s.route("POST /api/v1/dead-letters/{letter}/retry", s.retryDeadLetter)
	s.route("POST /api/v1/dead-letters/{letter}/drop", s.dropDeadLetter)
}

var deadLetterStates = []string{projections.DeadLetterOpen, "retried", "dropped"}

func (s *Server) deadLetters(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "state", "limit", "cursor")
	page, state := q.page(), q.str("state")
	if state != "" && !slices.Contains(deadLetterStates, state) {
		q.fault("state", "is %q; want one of %s", short(state), strings.Join(deadLetterStates, ", "))
	}
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.DeadLetters](s.Views).List(state, page)
	return paged(w, p, err)
}

func (s *Server) deadLetter(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	id := r.PathValue("letter")
	d, ok, err := fold.Of[*projections.DeadLetters](s.Views).DeadLetter(id)
	return found(w, d, ok, err, "no dead letter %q", short(id))
}

func (s *Server) retryDeadLetter(w http.ResponseWriter, r *http.Request) error {
	if err := readJSON(w, r, &struct{}{}, true); err != nil {
		return err
	}
	return s.resolveDeadLetter(w, r, func(ctx context.Context, id, actor string) error { return s.Reactors.Retry(ctx, id, actor) })
}

func (s *Server) dropDeadLetter(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	if err := readJSON(w, r, &v, true); err != nil {
		return err
	}
	return s.resolveDeadLetter(w, r, func(ctx context.Context, id, actor string) error { return s.Reactors.Drop(ctx, id, actor, v.Reason) })
}

// resolveDeadLetter answers with the letter as its stream has it afterwards.
func (s *Server) resolveDeadLetter(w http.ResponseWriter, r *http.Request, resolve func(ctx context.Context, id, actor string) error) error {
	m, err := metaOf(r)
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
	return found(w, d, ok, err, "no dead letter %q", short(id))
}
