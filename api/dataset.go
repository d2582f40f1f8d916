package api

import (
	"net/http"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) datasetRoutes() {
	s.route("GET /api/v1/datasets", s.datasets, "datasets")
	s.route("GET /api/v1/datasets/{dataset}", s.dataset, "datasets")
}

func (s *Server) datasets(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "limit", "cursor")
	page := q.page()
	if err := q.err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Datasets](s.Views).List(page)
	return paged(w, p, err)
}

func (s *Server) dataset(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err(); err != nil {
		return err
	}
	id := r.PathValue("dataset")
	d, ok, err := fold.Of[*projections.Datasets](s.Views).Dataset(id)
	return found(w, d, ok, err, "no data set %q", short(id))
}
