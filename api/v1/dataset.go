package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) datasetRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/datasets", (*Surface).datasets, "datasets")
	r.Handle("GET /api/v1/datasets/{dataset}", s.dataset, "datasets")
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
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("dataset")
	d, ok, err := documentAt(m, fold.Of[*projections.Datasets](s.Views).Dataset, projections.FoldDataset, s.streamOf(r.Context(), "dataset", id), id)
	return api.Found(w, d, ok, err, "no data set %q", api.Short(id))
}
