package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/streams"
)

// similar is the films nearest to one, now or, by views that are folded up to there, at a moment.
func (s *Surface) similar(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "k", api.AsOfParam, api.KnownAtParam)
	k := int(q.Number("k", kDefault, 1, KMax))
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	near := func(service *recommend.Service) error {
		items, err := service.Near(recommend.Version{}, id, k)
		if err != nil {
			return err
		}
		return api.WriteJSON(w, http.StatusOK, struct {
			MovieID string           `json:"movie_id"`
			Items   []recommend.Item `json:"items"`
		}{id, items})
	}
	if !m.Given() {
		return near(s.Recommend)
	}
	done, err := s.Begin()
	if err != nil {
		return err
	}
	defer done()
	return s.viewsAt(r.Context(), m, nil, func(views *fold.Runner, _ streams.Cut) error {
		service := recommend.New(views, s.Blobs.Get)
		defer service.Close()
		return near(service)
	})
}
