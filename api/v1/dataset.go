package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) datasetRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/datasets", (*Surface).datasets, "datasets")
	s.then(r, "GET /api/v1/datasets/{dataset}", (*Surface).dataset, "datasets")
}

func (s *Surface) datasets(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Datasets](s.Views).List(page)
	return api.Paged(w, p, err)
}

func (s *Surface) dataset(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	id := r.PathValue("dataset")
	d, ok, err := fold.Of[*projections.Datasets](s.Views).Dataset(id)
	return api.Found(w, d, ok, err, "no data set %q", api.Short(id))
}
