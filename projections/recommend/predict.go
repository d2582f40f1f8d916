package recommend

import (
	"cmp"
	"slices"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// rater is the version that predicts ratings where a request names none.
type rater struct {
	view    *projections.Registry // that best was read from
	folded  int64                 // up to where
	best    []version             // that predict, lookBackMax at most: the first is asked, the others where it cannot be had
	serving version               // that has answered last
}

// Version names a registered version; the zero value leaves it to the service.
type Version struct {
	Model  string
	Number int // 0: the newest
}

// Rated is what a person would rate a film.
type Rated struct {
	MovieID string  `json:"movie_id"`
	Title   string  `json:"title"`
	Rating  float64 `json:"rating"` // stars, on the scale of what the model was trained on
	Known   bool    `json:"known"`  // the model has learned the film; else it takes the mean one
}

// Ratings are predictions and what they were made with.
type Ratings struct {
	UserID       string  `json:"user_id"`
	KnownUser    bool    `json:"known_user"` // the model has learned the person; else it takes the mean one
	ModelName    string  `json:"model_name"`
	ModelVersion int     `json:"model_version"`
	Algorithm    string  `json:"algorithm"`
	Predictions  []Rated `json:"predictions"`
}

// Predict says what the person would rate the films. Errors: fault.NotFound for a film that is not in the catalogue or
// a version that is not registered, fault.Conflict for a version that predicts no ratings, fault.Unavailable where
// none does or its weights are on their way.
func (s *Service) Predict(by Version, user string, films []string) (*Ratings, error) {
	if err := s.catchUp(true); err != nil {
		return nil, err
	}
	v, err := s.Predicts(by)
	if err != nil {
		return nil, err
	}
	p, f, algorithm, err := s.predictor(v, by == Version{})
	if err != nil {
		return nil, err
	}
	name, err := s.called(p.version)
	if err != nil {
		return nil, err
	}
	out := &Ratings{UserID: user, ModelName: name, ModelVersion: p.version.number, Algorithm: algorithm, Predictions: make([]Rated, len(films))}
	ids := make([]string, len(films))
	for i, id := range films {
		ids[i] = events.CanonicalMovie(id)
		c, ok := f.card(ids[i])
		if !ok {
			return nil, noMovie(id)
		}
		out.Predictions[i] = Rated{MovieID: ids[i], Title: c.title}
	}
	got := p.model.Predict(user, ids)
	out.KnownUser = got.KnowsUser
	for i := range ids {
		out.Predictions[i].Rating, out.Predictions[i].Known = float64(got.Ratings[i]), got.Knows[i]
	}
	return out, nil
}

// Pair is a person and a film.
type Pair struct{ User, Film string }

// PredictPairs is Predict for pairs of a person and a film, all by one version; the first of what it gives says by which.
func (s *Service) PredictPairs(by Version, pairs []Pair) ([]Ratings, error) {
	v, err := s.Predicts(by)
	if err != nil {
		return nil, err
	}
	places := map[string][]int{}
	var users []string
	for i, p := range pairs {
		if places[p.User] == nil {
			users = append(users, p.User)
		}
		places[p.User] = append(places[p.User], i)
	}
	out := make([]Ratings, len(pairs))
	for i, user := range users {
		films := make([]string, len(places[user]))
		for k, at := range places[user] {
			films[k] = pairs[at].Film
		}
		ask := v
		if i == 0 {
			ask = by // where none was named, the one that answered before may
		}
		one, err := s.Predict(ask, user, films)
		if err != nil {
			return nil, err
		}
		v = Version{one.ModelName, one.ModelVersion}
		for k, at := range places[user] {
			out[at] = *one
			out[at].Predictions = one.Predictions[k : k+1]
		}
	}
	return out, nil
}

func noMovie(id string) error { return fault.New(fault.NotFound, "no movie %q", id) }

// predicting is a version that is at hand.
type predicting struct {
	version version
	model   recipe.Predictor
}

// predictor loads a version. Where the request named none and it cannot be had, the one that answered before does or, where that is not for
// weights on their way, the best of the others that can be had.
func (s *Service) predictor(v Version, any bool) (predicting, *films, string, error) {
	named, err := s.named(v.Model, v.Number)
	if err != nil {
		return predicting{}, nil, "", err
	}
	p, f, algorithm, err := s.predictorOf(named)
	if err == nil {
		if any {
			s.mu.Lock()
			s.rating.serving = named
			s.mu.Unlock()
		}
		return p, f, algorithm, nil
	}
	if !any {
		return p, f, "", err
	}
	s.mu.Lock()
	others := []version{s.rating.serving}
	_, bad := s.failed[named]
	s.mu.Unlock()
	if bad {
		best, again := s.best()
		if again != nil {
			return p, f, "", again
		}
		others = append(others, best...)
	}
	for _, v := range others {
		if v.model == "" || v == named {
			continue
		}
		if p, f, algorithm, again := s.predictorOf(v); again == nil {
			s.mu.Lock()
			s.rating.serving = v
			s.mu.Unlock()
			return p, f, algorithm, nil
		}
	}
	return p, f, "", err
}

// predictorOf is a version's model as a predictor, with the films there are.
func (s *Service) predictorOf(v version) (predicting, *films, string, error) {
	registered, ok, err := fold.Of[*projections.Registry](s.views).VersionOf(v.model, v.number)
	if err != nil {
		return predicting{}, nil, "", err
	}
	if r, err := all.Find(registered.Algorithm); !ok || err != nil || !r.Predicts {
		return predicting{}, nil, "", fault.New(fault.Conflict, "%s version %d predicts no ratings", v.model, v.number).WithHint("name one that does, or none")
	}
	if _, _, err := s.at(v, ""); err != nil {
		return predicting{}, nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loaded[v]
	if l == nil { // others came meanwhile
		return predicting{}, nil, "", putAside(v)
	}
	m, ok := l.model.(recipe.Predictor)
	if !ok {
		return predicting{}, nil, "", fault.New(fault.Internal, "%s version %d: a recipe that predicts has made a model that does not", v.model, v.number)
	}
	return predicting{v, m}, s.films, registered.Algorithm, nil
}

// Predicts is the version that answers for by: the one named, of a model without a number its newest, and of no name
// the version in the slot if it predicts ratings, else the champion of a model whose versions do, else the newest in
// the stage Production, else the newest that is not archived.
func (s *Service) Predicts(by Version) (Version, error) {
	if by.Model != "" {
		return s.newest(by)
	}
	v, err := s.chosen()
	if err == nil && v.model == "" {
		err = fault.New(fault.Unavailable, "no registered version predicts ratings yet").WithHint("train one: projectionist train %s", predictors()[0])
	}
	if err != nil {
		return Version{}, err
	}
	name, err := s.called(v)
	return Version{name, v.number}, err
}

// Predictor is the version that answers where none is named: the one of [Service.Predicts] or, where that cannot be had, what [Service.Predict] takes in its place.
func (s *Service) Predictor() (Version, error) {
	if err := s.catchUp(false); err != nil {
		return Version{}, err
	}
	v, err := s.Predicts(Version{})
	if err != nil {
		return v, err
	}
	p, _, _, err := s.predictor(v, true)
	if err != nil {
		return Version{}, err
	}
	name, err := s.called(p.version)
	return Version{name, p.version.number}, err
}

// predictors are the names of the recipes whose models predict ratings.
func predictors() (names []string) {
	for _, r := range all.Recipes() {
		if r.Predicts {
			names = append(names, r.Name)
		}
	}
	return names
}

// newest gives a model without a number that of its newest version, of those that this program has weights of.
func (s *Service) newest(by Version) (Version, error) {
	m, ok, err := fold.Of[*projections.Registry](s.views).Model(by.Model)
	switch {
	case err != nil:
		return by, err
	case !ok || len(m.Versions) == 0:
		return by, fault.New(fault.NotFound, "no model %q", by.Model)
	case by.Number == 0:
		at := len(m.Versions) - 1
		for k := at; k >= 0; k-- {
			if madeHere(&m.Versions[k]) == nil {
				at = k
				break
			}
		}
		by.Number = m.Versions[at].Version
	case m.Version(by.Number) == nil:
		return by, fault.New(fault.NotFound, "no version %d of model %q", by.Number, by.Model)
	}
	return by, madeHere(m.Version(by.Number))
}

// chosen is the version that predicts where none is named.
func (s *Service) chosen() (version, error) {
	slot, _, err := s.deployed()
	if err != nil {
		return version{}, err
	}
	if slot.model != "" {
		if v, ok, err := fold.Of[*projections.Registry](s.views).VersionOf(slot.model, slot.number); err != nil {
			return version{}, err
		} else if ok && predicts(&v) {
			return slot, nil
		}
	}
	best, err := s.best()
	if err != nil || len(best) == 0 {
		return version{}, err
	}
	return best[0], nil
}

// best are the versions that predict, best first; they are looked for again when the ledger has gone on.
func (s *Service) best() ([]version, error) {
	view := fold.Of[*projections.Registry](s.views)
	folded := s.views.FoldedTo(view.Spec().Name, ledger)
	s.mu.Lock()
	known := s.rating
	s.mu.Unlock()
	if known.view == view && known.folded >= folded {
		return known.best, nil
	}
	best, err := bestPredictors(view)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.rating.view, s.rating.folded, s.rating.best = view, folded, best
	s.mu.Unlock()
	return best, nil
}

func predicts(v *projections.ModelVersion) bool {
	r, err := all.Find(v.Algorithm)
	return err == nil && v.Algorithm != "" && r.Predicts
}

// predictorRank is what a version that predicts ratings is compared by.
type predictorRank struct {
	version
	standing int   // 2 a champion, 1 in the stage Production, else 0
	at       int64 // offset of its registration
}

// bestPredictors looks through the registry: champions first, then those in Production, and of each the newest. What is archived answers by
// its name alone.
func bestPredictors(view *projections.Registry) ([]version, error) {
	var best []predictorRank
	q := fold.PageQuery{Limit: fold.PageLimitMax}
	for {
		page, err := view.Models(q)
		if err != nil {
			return nil, err
		}
		for i := range page.Items {
			m := &page.Items[i]
			for j := range m.Versions {
				v := &m.Versions[j]
				standing := 0
				switch {
				case m.Aliases[commands.AliasChampion] == v.Version:
					standing = 2
				case v.Stage == commands.StageProduction:
					standing = 1
				}
				if !predicts(v) || v.Stage == commands.StageArchived && standing == 0 {
					continue
				}
				at, err := streams.ParsePosition(v.Position)
				if err != nil {
					return nil, err
				}
				best = append(best, predictorRank{version{m.Key, v.Version, v.Blob}, standing, at.Offset})
			}
		}
		slices.SortStableFunc(best, func(a, b predictorRank) int {
			return cmp.Or(cmp.Compare(b.standing, a.standing), cmp.Compare(b.at, a.at))
		})
		best = best[:min(len(best), lookBackMax)]
		if page.Next == "" {
			break
		}
		q.Cursor = page.Next
	}
	list := make([]version, len(best))
	for i := range best {
		list[i] = best[i].version
	}
	return list, nil
}

// Loaded says whether a version of the model of that key is at hand.
func (s *Service) Loaded(key string, number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for v, l := range s.loaded {
		if v.model == key && v.number == number && l.model != nil { // else it is counting
			return true
		}
	}
	return false
}
