package inference

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/recommend"
)

// Bounds of what is asked for.
const (
	kDefault  = 10
	moviesMax = recommend.KMax // of one request for ratings
)

// by is the version that a request names in its query, model=NAME&version=N; zero for none.
func by(r *http.Request) (recommend.Version, error) {
	q := api.QueryOf(r, "model", "version")
	v := recommend.Version{Model: q.Str("model"), Number: int(q.Number("version", 0, 1, 1<<31-1))}
	if v.Number != 0 && v.Model == "" {
		q.Fault("version", "is given without model")
	}
	return v, q.Err()
}

// predict gives the ratings that a person would give films.
func (s *Surface) predict(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	user, movies := b.user(), b.movies("movie_ids", moviesMax)
	if err := b.Done(); err != nil {
		return err
	}
	start := time.Now()
	res, err := s.Recommend.Predict(version, user, movies)
	if err != nil {
		return err
	}
	s.Predicted(api.OperationPredict, res.Algorithm, start)
	return api.WriteJSON(w, http.StatusOK, res)
}

// recommend gives films for a person, by the version that is named, else by the one that predicts ratings, else by
// what is deployed. That they were shown is an event.
func (s *Surface) recommend(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	req := recommend.Request{UserID: b.user(), K: int(b.Integer("k", kDefault, 1, recommend.KMax)), Again: !b.Flag("exclude_seen", true), Current: true}
	record := b.Flag("record", true)
	if err := b.Done(); err != nil {
		return err
	}
	start, now := time.Now(), s.Now()
	req.NowMillis = now.UnixMilli()
	res, err := s.ranked(version, req)
	if err != nil {
		return err
	}
	s.Predicted(api.OperationRank, res.Strategy, start)
	answer := struct {
		*recommend.Result
		api.Recorded
	}{Result: res}
	if answer.Recorded, err = s.Record(r, res, &record, now); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, answer)
}

func (s *Surface) ranked(v recommend.Version, req recommend.Request) (*recommend.Result, error) {
	named := v != recommend.Version{}
	v, err := s.Recommend.Predicts(v)
	switch {
	case err == nil && named:
		return s.Recommend.RecommendBy(v.Model, v.Number, req)
	case err == nil:
		if res, err := s.Recommend.RecommendBy(v.Model, v.Number, req); err == nil {
			return res, nil
		}
	case named:
		return nil, err
	}
	return s.Recommend.Recommend(req)
}

// similar gives films like one.
func (s *Surface) similar(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	var movie string
	if v, ok := b.Need("movie_id"); ok {
		movie = b.id(v, "movie_id")
	}
	k := int(b.Integer("k", kDefault, 1, recommend.KMax))
	if err := b.Done(); err != nil {
		return err
	}
	items, err := s.Recommend.Near(version, movie, k)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		MovieID string           `json:"movie_id"`
		Items   []recommend.Item `json:"items"`
	}{movie, items})
}
