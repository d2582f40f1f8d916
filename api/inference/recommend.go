package inference

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/recommend"
)

// listed is a list, and whether the log has that it was shown.
type listed struct {
	*recommend.Result
	api.Recorded
}

// recommend gives films for a person, for several, or for somebody without an id by the films that they have looked at.
// That they were shown to people is an event.
func (s *Surface) recommend(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	var users, films []string
	many := false
	switch {
	case b.has("movie_ids", "user_id", "user_ids"):
		users, films = []string{""}, b.ids("movie_ids", recommend.FilmsMax)
	case b.has("user_ids", "user_id"):
		users, many = b.users("user_ids", peopleMax), true
	default:
		users = []string{b.user()}
	}
	req := recommend.Request{K: b.k(len(users)), Again: !b.Flag("exclude_seen", true), Explain: b.Flag("explain", false), Current: true, Films: films}
	req.Rules = b.rules(len(users), req.K)
	record := b.Flag("record", true)
	if err := b.Done(); err != nil {
		return err
	}
	lists, err := s.lists(r, version, users, req, record)
	if err != nil {
		return err
	}
	if !many {
		return api.WriteJSON(w, http.StatusOK, lists[0])
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Lists []listed `json:"lists"`
	}{lists})
}

// lists are those for people, all by one version, in the log if they are to be.
func (s *Surface) lists(r *http.Request, v recommend.Version, users []string, req recommend.Request, record bool) ([]listed, error) {
	start, now := time.Now(), s.Now()
	req.NowMillis = now.UnixMilli()
	lists, err := s.ranked(v, users, req)
	if err != nil {
		return nil, err
	}
	s.Predicted(api.OperationRank, lists[0].Strategy, start)
	recorded, err := s.RecordAll(r, lists, &record, now)
	if err != nil {
		return nil, err
	}
	out := make([]listed, len(lists))
	for i, list := range lists {
		out[i] = listed{list, recorded[i]}
	}
	return out, nil
}

// ranked ranks by the version that is named, else by the one that predicts ratings, else by what is deployed; for somebody
// without an id, whom nothing that predicts ratings knows, by what is deployed.
func (s *Surface) ranked(v recommend.Version, users []string, req recommend.Request) ([]*recommend.Result, error) {
	named := v != recommend.Version{}
	if !named && len(req.Films) > 0 {
		return s.Recommend.RecommendEach(v, users, req)
	}
	var err error
	if named {
		v, err = s.Recommend.Predicts(v)
	} else {
		v, err = s.Recommend.Predictor()
	}
	switch {
	case err == nil && named:
		return s.Recommend.RecommendEach(v, users, req)
	case err == nil:
		if lists, err := s.Recommend.RecommendEach(v, users, req); err == nil {
			return lists, nil
		}
	case named:
		return nil, err
	}
	return s.Recommend.RecommendEach(recommend.Version{}, users, req)
}

// like is films like one.
type like struct {
	MovieID string           `json:"movie_id"`
	Items   []recommend.Item `json:"items"`
}

// similar gives films like one, or like each of several.
func (s *Surface) similar(w http.ResponseWriter, r *http.Request) error {
	version, err := by(r)
	if err != nil {
		return err
	}
	b, err := readBody(w, r)
	if err != nil {
		return err
	}
	var movies []string
	many := b.has("movie_ids", "movie_id")
	if many {
		movies = b.ids("movie_ids", similarMax)
	} else {
		movies = []string{b.movie()}
	}
	k := b.k(len(movies))
	if err := b.Done(); err != nil {
		return err
	}
	lists := make([]like, len(movies))
	for i, movie := range movies {
		items, err := s.Recommend.Near(version, movie, k)
		if err != nil {
			return err
		}
		lists[i] = like{movie, items}
	}
	if !many {
		return api.WriteJSON(w, http.StatusOK, lists[0])
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Lists []like `json:"lists"`
	}{lists})
}
