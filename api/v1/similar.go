package v1

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
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
	items, err := s.near(r.Context(), id, k)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, similarAnswer{id, items})
}

// similarAnswer is the films nearest to one, the nearest first.
type similarAnswer struct {
	MovieID string           `json:"movie_id"`
	Items   []recommend.Item `json:"items"`
}

// near finds them, of a moment after a while at most.
func (s *Surface) near(ctx context.Context, id string, k int) ([]recommend.Item, error) {
	if s.now == nil {
		return s.Recommend.Near(recommend.Version{}, id, k)
	}
	ctx, cancel := context.WithTimeout(ctx, similarThenWait)
	defer cancel()
	return s.now.nearThen(ctx, s.Views, id, k)
}

// nearThen finds them in views of a moment. A ranker is made for it alone, of all films and perhaps of a version's weights: few at once, and others wait for a
// place.
func (s *Surface) nearThen(ctx context.Context, views *fold.Runner, id string, k int) ([]recommend.Item, error) {
	select {
	case s.similarThen <- struct{}{}:
		defer func() { <-s.similarThen }()
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "similar films are being found as of %d moments already", similarThenMax).(*fault.Error).
			WithHint("ask again when one of them is done with")
	}
	service := recommend.New(views, s.Blobs.Get) // what s has is of now
	defer service.Close()
	return service.Near(recommend.Version{}, id, k)
}
