// Package recommend answers who should see what: it joins the deployed model version, the online model
// and the catalogue, as one set of views has them. The same code answers for now and, given views
// replayed to an earlier cut, for the past.
package recommend

import (
	"cmp"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// KMax bounds a ranking: nobody looks at more, and an answer stays small.
const KMax = 1000

// FilmsMax bounds what somebody without an id names: no recipe looks further back.
const FilmsMax = 100

// Service ranks. It is safe for concurrent use.
type Service struct {
	views   *fold.Runner
	weights func(blob string) ([]byte, error)
	now     func() time.Time

	registryLag time.Duration

	// Fits says why a version cannot be served as feature views are defined now; nil: whatever they are. Set it before use.
	Fits func(what string, views []events.ViewRead) error

	catching   sync.Mutex // held by who takes in films that have changed
	background sync.WaitGroup

	mu      sync.Mutex
	films   *films              // nil before the first request
	loaded  map[version]*loaded // every ranker of them ranks films
	loading map[version]*loading
	failed  map[version]failure // until they can be had
	uses    int64
	serving version // that ranked for the slot last
	served  bool    // there is such a one
	settled settled
	rating  rater
	closed  bool
}

// New makes a service over a set of views, the registry among them. weights reads a model version's blob by
// its hash.
func New(views *fold.Runner, weights func(blob string) ([]byte, error)) *Service {
	return &Service{views: views, weights: weights, now: time.Now, registryLag: registryLag,
		loaded: map[version]*loaded{}, loading: map[version]*loading{}, failed: map[version]failure{}}
}

// Close waits for what goes on in the background. The views may be closed then.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.background.Wait()
}

// Item is one place of a recommendation.
type Item struct {
	MovieID string   `json:"movie_id"`
	Title   string   `json:"title"`
	Year    int      `json:"year,omitempty"`
	Genres  []string `json:"genres,omitempty"`
	// Position is its place in the ranking, from 1, behind those of earlier pages; 0 in other lists.
	Position int                `json:"position,omitempty"`
	Score    float64            `json:"score"`             // as the model has it, whatever the order was made by
	Sources  map[string]float64 `json:"sources,omitempty"` // parts of the score
	Because  []Reason           `json:"because,omitempty"` // strongest first; without Explain a few that cost next to nothing
}

// Reason is what speaks for a recommended film: a film of the person's history, or, without an id,
// something that concerns no film of theirs.
type Reason struct {
	MovieID string  `json:"movie_id,omitempty"`
	Title   string  `json:"title,omitempty"` // with Explain
	Score   float64 `json:"score"`           // its part of the recommended film's score
	Source  string  `json:"source"`          // such as co_counts
}

// Request says for whom, as of when and how much.
type Request struct {
	UserID    string
	K         int // 1..KMax
	NowMillis int64
	Explain   bool             // with every reason there is, which add up to the score, and titles
	Again     bool             // films that the person has met may be shown too
	Rules     events.ListRules // what else the list has to keep to; Again is that of the request
	// Films make it a request of somebody without an id: they are what these have looked at, the last one last. Nothing
	// is kept of it.
	Films []string
	// Current wants all of the catalogue that its view has folded. Without it a request that comes while many
	// films are taken in is answered from the films before.
	Current bool
}

// Result is a ranking and what it was made with.
type Result struct {
	UserID       string `json:"user_id"`
	Guest        bool   `json:"-"` // it is for somebody without an id
	ModelName    string `json:"model_name,omitempty"`
	ModelKey     string `json:"-"` // what it is for good
	ModelVersion int    `json:"model_version,omitempty"`
	// Strategy is the recipe's word for what it does, such as "blend" (trained factors and online counts),
	// "online" (counts alone: no model is deployed, or it does not know any film of the person) or "cold"
	// (nothing is known of the person).
	Strategy  string           `json:"strategy"`
	Rules     events.ListRules `json:"rules,omitzero"` // that the list keeps to
	Cut       string           `json:"cut"`            // what of the log the online model had folded
	Simulated bool             `json:"simulated,omitempty"`
	Items     []Item           `json:"items"`
}

// Recommend ranks the films that the person has not met, by the version in the slot.
func (s *Service) Recommend(req Request) (*Result, error) { return s.one(Version{}, req) }

// RecommendBy ranks by a registered version, whatever is in the slot.
func (s *Service) RecommendBy(model string, number int, req Request) (*Result, error) {
	return s.one(Version{model, number}, req)
}

func (s *Service) one(by Version, req Request) (*Result, error) {
	lists, err := s.RecommendEach(by, []string{req.UserID}, req)
	if err != nil {
		return nil, err
	}
	return lists[0], nil
}

// RecommendEach ranks for several people, all by one version: the one in the slot, where none is named.
func (s *Service) RecommendEach(by Version, users []string, req Request) ([]*Result, error) {
	if err := s.prepare(req); err != nil {
		return nil, err
	}
	var err error
	if req.Rules, err = CheckRules(req.Rules, req.K); err != nil {
		return nil, err
	}
	req.Rules.Again = req.Again
	var v version
	var r recipe.Ranker
	var f *films
	if by.Model == "" {
		v, r, f, err = s.slotFor(req)
	} else {
		v, r, f, err = s.by(by, req)
	}
	if err != nil {
		return nil, err
	}
	name, err := s.called(v)
	if err != nil {
		return nil, err
	}
	if len(users) > 1 {
		if err := fold.Of[*projections.Online](s.views).Fetch(users); err != nil {
			return nil, err
		}
	}
	return each(users, func(user string) (*Result, error) { return s.rank(v, name, r, f, user, req) })
}

// each makes a list for everybody, side by side on all processors, and gives them in the order of the people. Error: the first
// of theirs.
func each(users []string, list func(user string) (*Result, error)) ([]*Result, error) {
	lists, errs := make([]*Result, len(users)), make([]error, len(users))
	var next atomic.Int64
	one := func(i int64) {
		defer func() {
			if p := recover(); p != nil { // of a goroutine that no server watches over
				errs[i] = fault.New(fault.Internal, "the list of %q met a defect: %v\n%s", users[i], p, debug.Stack())
			}
		}()
		lists[i], errs[i] = list(users[i])
	}
	work := func() {
		for i := next.Add(1) - 1; i < int64(len(users)); i = next.Add(1) - 1 {
			one(i)
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(users)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return lists, nil
}

// by is what a version that is named ranks by.
func (s *Service) by(by Version, req Request) (v version, r recipe.Ranker, f *films, err error) {
	if v, err = s.named(by.Model, by.Number); err != nil {
		return v, nil, nil, err
	}
	if r, f, err = s.at(v, ""); err != nil || len(req.Films) == 0 {
		return v, r, f, err
	}
	is, err := s.byPeople(v)
	if err == nil && is {
		err = fault.New(fault.Conflict, "%s version %d ranks for people that it has learned, and not by films", by.Model, by.Number).WithHint("name another model, or none")
	}
	return v, r, f, err
}

// slotFor is what ranks for the slot: the online model, where the version there cannot rank by films.
func (s *Service) slotFor(req Request) (version, recipe.Ranker, *films, error) {
	v, r, f, _, err := s.slot()
	if err != nil || len(req.Films) == 0 || v.model == "" {
		return v, r, f, err
	}
	by, err := s.byPeople(v)
	if err == nil && by {
		v = version{}
		r, f, err = s.at(v, "")
	}
	return v, r, f, err
}

// byPeople says that a version ranks for people that it has learned, and for nobody by what they have met.
func (s *Service) byPeople(v version) (bool, error) {
	registered, ok, err := fold.Of[*projections.Registry](s.views).VersionOf(v.model, v.number)
	if !ok || err != nil {
		return false, err
	}
	r, err := all.Find(registered.Algorithm)
	return err == nil && registered.Algorithm != "" && r.OfPeople, nil
}

// chosen are films as somebody without an id names them, each of the catalogue.
func (f *films) chosen(ids []string) ([]string, error) {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = events.CanonicalMovie(id)
		if _, ok := f.card(out[i]); !ok {
			return nil, noMovie(id)
		}
	}
	return out, nil
}

func (s *Service) prepare(req Request) error {
	switch {
	case len(req.Films) > FilmsMax:
		return fault.Field("movie_ids", "are %d films; want at most %d", len(req.Films), FilmsMax)
	case len(req.Films) > 0 && req.UserID != "":
		return fault.Field("movie_ids", "are given with user_id: they are of somebody without an id").WithHint("leave one of them out")
	}
	if req.K < 1 || req.K > KMax {
		return fault.Field("k", "is %d: want 1 to %d", req.K, KMax)
	}
	return s.catchUp(req.Current)
}

// rank makes a list, by a version of the model of that name.
func (s *Service) rank(v version, name string, r recipe.Ranker, f *films, user string, req Request) (*Result, error) {
	chosen, err := f.chosen(req.Films)
	if err != nil {
		return nil, err
	}
	met := chosen // of which the online model does not know those that nobody else has met
	if req.Again {
		met = nil
	}
	q := recipe.Query{User: user, NowMillis: req.NowMillis, K: req.K, Explain: recipe.Briefly, Again: req.Again, Skip: f.skips(&req.Rules, met)}
	if req.Explain {
		q.Explain = recipe.Fully
	}
	f.page(&q, &req.Rules, r)
	res := &Result{UserID: user, Guest: len(chosen) > 0, ModelName: name, ModelKey: v.model, ModelVersion: v.number, Strategy: "cold", Rules: req.Rules}
	var ranking recipe.Ranking
	rank := func(m *online.Model, cut streams.Cut) {
		res.Cut = cut.String()
		if m.UserEvents(user) > 0 {
			res.Strategy = "online"
		}
		ranking = r.Rank(m, q)
	}
	if view := fold.Of[*projections.Online](s.views); len(chosen) == 0 {
		err = view.ReadFor(user, rank)
	} else {
		err = view.ReadGuest(chosen, req.NowMillis, rank)
	}
	if err != nil {
		return nil, err
	}
	if ranking.Strategy != "" {
		res.Strategy = ranking.Strategy
	}
	res.Items = make([]Item, len(ranking.Items))
	for k := range ranking.Items {
		res.Items[k] = f.item(&ranking.Items[k], req.Explain, req.K)
		res.Items[k].Position = req.Rules.Offset + k + 1
		res.Simulated = res.Simulated || f.cards[ranking.Items[k].Place].simulated
	}
	return res, nil
}

// Bounds of reasons.
const (
	reasonsMax   = 5       // of a film, where nobody has asked for all
	explainedMax = 100     // of a film, where somebody has, …
	listMax      = 100_000 // … and of a list
)

// sourceMore is what reasons have come to that are not told one by one.
const sourceMore = "more"

// reasons are those that are told: with all, those that are weakest stand as one, so that they add up to the score.
func reasons(because []recipe.Reason, all bool, k int) []recipe.Reason {
	if !all {
		return because[:min(len(because), reasonsMax)]
	}
	most := max(reasonsMax, min(explainedMax, listMax/k))
	if len(because) <= most {
		return because
	}
	because = slices.Clone(because)
	slices.SortStableFunc(because, func(a, b recipe.Reason) int {
		return cmp.Compare(math.Abs(float64(b.Score)), math.Abs(float64(a.Score)))
	})
	var more float64
	for _, why := range because[most-1:] {
		more += float64(why.Score)
	}
	because = append(because[:most-1], recipe.Reason{Score: float32(more), Source: sourceMore})
	recipe.Strongest(because)
	return because
}

func (f *films) item(ranked *recipe.Item, titles bool, k int) Item {
	it := f.show(ranked.Place, float64(ranked.Score))
	it.Sources = make(map[string]float64, len(ranked.Parts))
	for _, p := range ranked.Parts {
		it.Sources[p.Source] = float64(p.Score)
	}
	because := reasons(ranked.Because, titles, k)
	if len(because) > 0 {
		it.Because = make([]Reason, len(because))
	}
	for i, why := range because {
		it.Because[i] = Reason{MovieID: why.ID, Score: float64(why.Score), Source: why.Source}
		if c, ok := f.card(why.ID); ok && titles {
			it.Because[i].Title = c.title
		}
	}
	return it
}

func (f *films) show(place int, score float64) Item {
	c := &f.cards[place]
	return Item{MovieID: c.film.ID, Title: c.title, Year: c.film.Year, Genres: c.film.Genres, Score: score}
}

// Popular is the baseline everyone is compared with: the k films with the most interactions.
func (s *Service) Popular(k int) ([]Item, error) {
	f, err := s.filmsFor(k)
	if err != nil {
		return nil, err
	}
	items := []Item{}
	fold.Of[*projections.Online](s.views).Read(func(m *online.Model) {
		place := f.ranked.Places(m)
		for _, i := range m.MostCounted(k, func(i int) bool { return place[i] >= 0 && !f.cards[place[i]].hidden }) {
			items = append(items, f.show(int(place[i]), float64(m.Stats(m.ItemID(i)).Counted)))
		}
	})
	return items, nil
}

// filmsFor are the films for a list of k.
func (s *Service) filmsFor(k int) (*films, error) {
	if err := s.prepare(Request{K: k}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.films, nil
}

// Ready is nil when recommendations can be served; otherwise it says what is missing.
func (s *Service) Ready() error {
	if err := s.catchUp(true); err != nil {
		return err
	}
	v, r, _, behind, err := s.slot()
	switch {
	case err != nil:
		return err
	case r.Films().Len() == 0:
		return fault.New(fault.Unavailable, "the catalogue is empty").WithHint("import a data set: projectionist import PATH")
	case behind != nil && (v.model == "" || fault.Is(behind, fault.Conflict) && s.isDeployed(v)):
		return behind // a model is deployed, and only the online model serves, or its features are others now
	case v.model != "":
		return nil
	}
	// Without a model the online counts rank alone. That is a service once a training run has had its
	// chance, and its model was not good enough; before that, wait for it.
	workflows := fold.Of[*projections.Workflows](s.views)
	active, err := workflows.Active()
	if err != nil {
		return err
	}
	ended, err := workflows.Count()
	if err != nil {
		return err
	}
	if len(active) > 0 || ended == 0 {
		return fault.New(fault.Unavailable, "no model is deployed yet").WithHint("a training run deploys one: projectionist workflows list")
	}
	return nil
}

// Behind says why another version than the deployed one ranks for the slot; nil when none does.
func (s *Service) Behind() error {
	if err := s.catchUp(false); err != nil {
		return err
	}
	_, _, _, behind, err := s.slot()
	return cmp.Or(behind, err)
}

// TakeIn takes in what has changed in the catalogue: every list that is asked for afterwards is of it.
func (s *Service) TakeIn() error { return s.catchUp(true) }

// catchUp takes in what has changed in the catalogue. Few changes are taken in at once; while many are, in
// the background, requests that do not want the current films go on with those there are.
func (s *Service) catchUp(current bool) error {
	view, folded := s.head()
	fresh := func() (*films, bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.films, s.films != nil && s.films.view == view && s.films.folded >= folded
	}
	f, ok := fresh()
	if ok {
		return nil
	}
	if f == nil || current {
		s.catching.Lock()
	} else if !s.catching.TryLock() {
		return nil
	}
	if f, ok = fresh(); ok {
		s.catching.Unlock()
		return nil
	}
	take := func() error {
		defer s.catching.Unlock()
		var next *films
		var err error
		if f == nil || f.view != view {
			next, err = readFilms(view, folded)
		} else {
			next, err = f.after(folded)
		}
		if err == nil {
			s.publish(next)
		}
		return err
	}
	if f == nil || current {
		return take()
	}
	if f.view == view {
		ids, _, err := f.changed(changesFew + 1)
		if err != nil {
			s.catching.Unlock()
			return err
		}
		if len(ids) <= changesFew {
			return take()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.catching.Unlock()
		return fault.New(fault.Unavailable, "the program is about to end")
	}
	s.background.Go(func() { _ = take() }) // its error is the next request's, which finds as much to do
	return nil
}

// publish makes these the films that are ranked, once every ranker is over them.
func (s *Service) publish(next *films) {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := map[*loaded]recipe.Ranker{}
	for again := s.films != nil && s.films.ranked != next.ranked; again; {
		again = false
		for v, l := range s.loaded {
			if _, ok := made[l]; ok {
				continue
			}
			again = true // others may have come meanwhile
			s.mu.Unlock()
			r, err := protected(func() recipe.Ranker { return l.over(next.ranked) })
			s.mu.Lock()
			if err != nil {
				delete(s.loaded, v)
				s.failed[v] = failure{err, s.now()}
				break
			}
			made[l] = r
			break
		}
	}
	for l, r := range made {
		l.ranker = r
	}
	s.films = next
}
