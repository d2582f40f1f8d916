package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) experimentRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/experiments", (*Surface).experiments, "runs")
	r.Handle("GET /api/v1/experiments/{experiment}", s.experiment, "runs")
}

func (s *Surface) experiments(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Runs](s.Views).Experiments(page)
	return api.Paged(w, p, err)
}

// experiment is found by its id or by its name.
func (s *Surface) experiment(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	m, err := s.Moment(ctx, api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("experiment")
	view := fold.Of[*projections.Runs](s.Views)
	byID, byName := view.Experiment, view.ExperimentByName
	if m.Given() {
		byID = func(id string) (projections.Experiment, bool, error) {
			return projections.FoldExperiment(s.streamOf(ctx, "experiment", id), m.At)
		}
		byName = func(name string) (projections.Experiment, bool, error) {
			return projections.ExperimentNamed(ctx, s.Log.Ledger(), name, m.At)
		}
	}
	e, ok, err := byID(id)
	if err == nil && !ok {
		e, ok, err = byName(id)
	}
	if ok {
		api.SetETag(w, e.Revision)
	}
	return api.Found(w, e, ok, err, "no experiment %q", api.Short(id))
}
