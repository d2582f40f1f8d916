package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/recommend"
)

// similar is the films nearest to one.
func (s *Surface) similar(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "k")
	k := int(q.Number("k", kDefault, 1, KMax))
	if err := q.Err(); err != nil {
		return err
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	service := s.Recommend
	if s.now != nil { // of a moment: what s has is of now
		service = recommend.New(s.Views, s.Blobs.Get)
		defer service.Close()
	}
	items, err := service.Near(recommend.Version{}, id, k)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		MovieID string           `json:"movie_id"`
		Items   []recommend.Item `json:"items"`
	}{id, items})
}
