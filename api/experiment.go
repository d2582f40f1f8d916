package api

import (
	"net/http"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) experimentRoutes() {
	s.route("GET /api/v1/experiments", s.experiments, "runs")
	s.route("GET /api/v1/experiments/{experiment}", s.experiment, "runs")
}

func (s *Server) experiments(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Runs](s.Views).Experiments(page)
	return paged(w, p, err)
}

// experiment is found by its id or by its name.
func (s *Server) experiment(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	id := r.PathValue("experiment")
	view := fold.Of[*projections.Runs](s.Views)
	e, ok, err := view.Experiment(id)
	if err == nil && !ok {
		e, ok, err = view.ExperimentByName(id)
	}
	if ok {
		setETag(w, e.Revision)
	}
	return found(w, e, ok, err, "no experiment %q", short(id))
}
