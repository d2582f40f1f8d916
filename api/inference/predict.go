package inference

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/recommend"
)

// by is the version that a request names in its query, model=NAME&version=N; zero for none.
func by(r *http.Request) (recommend.Version, error) {
	q := api.QueryOf(r, "model", "version")
	return versionOf(q), q.Err()
}

func versionOf(q *api.Query) recommend.Version {
	v := recommend.Version{Model: q.Str("model"), Number: int(q.Number("version", 0, 1, 1<<31-1))}
	if v.Number != 0 && v.Model == "" {
		q.Fault("version", "is given without model")
	}
	return v
}

// predict gives the ratings that a person would give films, or that several would, pair by pair.
func (s *Surface) predict(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	if b.has("pairs", "user_id", "movie_ids") {
		return s.predictPairs(w, version, b)
	}
	user, movies := b.user(), b.ids("movie_ids", moviesMax)
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

// paired is what a person would rate a film.
type paired struct {
	UserID    string `json:"user_id"`
	KnownUser bool   `json:"known_user"`
	recommend.Rated
}

func (s *Surface) predictPairs(w http.ResponseWriter, version recommend.Version, b body) error {
	pairs := b.pairs(pairsMax)
	if err := b.Done(); err != nil {
		return err
	}
	start := time.Now()
	got, err := s.Recommend.PredictPairs(version, pairs)
	if err != nil {
		return err
	}
	s.Predicted(api.OperationPredict, got[0].Algorithm, start)
	out := make([]paired, len(got))
	for i, one := range got {
		out[i] = paired{one.UserID, one.KnownUser, one.Predictions[0]}
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		ModelName    string   `json:"model_name"`
		ModelVersion int      `json:"model_version"`
		Algorithm    string   `json:"algorithm"`
		Predictions  []paired `json:"predictions"`
	}{got[0].ModelName, got[0].ModelVersion, got[0].Algorithm, out})
}
