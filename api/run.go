package api

import (
	"net/http"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) runRoutes() {
	s.route("GET /api/v1/runs", s.runs, "runs")
	s.route("GET /api/v1/runs/{run}", s.run, "runs")
	s.route("GET /api/v1/runs/{run}/metrics/{metric...}", s.metricHistory, "runs")
}

func (s *Server) runs(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "experiment_id", "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Runs](s.Views).Runs(q.str("experiment_id"), page)
	return paged(w, p, err)
}

func (s *Server) run(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	id := r.PathValue("run")
	run, ok, err := fold.Of[*projections.Runs](s.Views).Run(id)
	if ok {
		setETag(w, run.Revision)
	}
	return found(w, run, ok, err, "no run %q", short(id))
}

func (s *Server) metricHistory(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Runs](s.Views)
	id, metric := r.PathValue("run"), r.PathValue("metric")
	run, ok, err := view.Run(id)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.NotFound, "no run %q", short(id))
	}
	if _, ok := run.Metrics[metric]; !ok {
		return fault.New(fault.NotFound, "run %s has no metric %q", id, short(metric))
	}
	p, err := view.MetricHistory(id, metric, page)
	return paged(w, p, err)
}
