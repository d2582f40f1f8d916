package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) runRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/runs", (*Surface).runs, "runs")
	s.then(r, "GET /api/v1/runs/metrics", (*Surface).runCurves, "runs")
	r.Handle("GET /api/v1/runs/{run}", s.run, "runs")
	s.then(r, "GET /api/v1/runs/{run}/metrics/{metric...}", (*Surface).metricHistory, "runs")
}

// runs pages through the runs, newest first, or through those that are searched for: see [Surface.searchRuns].
func (s *Surface) runs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "experiment_id", "q", "order_by*", "columns*", "deleted", "limit", "cursor")
	if q.Str("q") != "" || q.Str("order_by") != "" || q.Str("columns") != "" || q.Str("deleted") != "" {
		return s.searchRuns(w, r, q)
	}
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Runs](s.Views).Runs(q.Str("experiment_id"), page)
	return api.Paged(w, p, err)
}

// filesShownMax is how many of a run's files are shown with it; MLflow's API lists them all, folder by folder.
const filesShownMax = 1000

func (s *Surface) run(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("run")
	view := fold.Of[*projections.Runs](s.Views)
	var run projections.Run
	var ok bool
	if m.Given() {
		run, ok, err = projections.FoldRun(s.streamOf(r.Context(), "run", id), m.At)
		run.Artifacts = run.Artifacts[:min(len(run.Artifacts), filesShownMax)]
	} else if run, ok, err = view.Run(id); ok && err == nil {
		run.Artifacts, err = view.Files(id).All(filesShownMax)
	}
	if ok {
		api.SetETag(w, run.Revision)
	}
	return api.Found(w, run, ok, err, "no run %q", api.Short(id))
}

func (s *Surface) metricHistory(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Runs](s.Views)
	id, metric := r.PathValue("run"), r.PathValue("metric")
	run, ok, err := view.Run(id)
	if err != nil {
		return err
	}
	if !ok {
		return fault.New(fault.NotFound, "no run %q", api.Short(id))
	}
	if _, ok := run.Metrics[metric]; !ok {
		return fault.New(fault.NotFound, "run %s has no metric %q", id, api.Short(metric))
	}
	p, err := view.MetricHistory(id, metric, page)
	return api.Paged(w, p, err)
}
