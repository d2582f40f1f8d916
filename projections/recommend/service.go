// Package recommend answers who should see what: it joins the deployed model version, the online model
// and the catalogue, as one set of views has them. The same code answers for now and, given views
// replayed to an earlier cut, for the past.
package recommend

import (
	"fmt"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/hybrid"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// KMax bounds a ranking: nobody looks at more, and an answer stays small.
const KMax = 1000

// Service ranks. It is safe for concurrent use.
type Service struct {
	views   *fold.Runner
	weights func(blob string) ([]byte, error)

	mu     sync.Mutex
	ranker *hybrid.Ranker
	made   made // what ranker was made of
	model  *hybrid.Model
}

type made struct {
	deployed events.ModelDeployed
	films    int64
}

// New makes a service over a set of views. weights reads a model version's blob by its hash.
func New(views *fold.Runner, weights func(blob string) ([]byte, error)) *Service {
	return &Service{views: views, weights: weights}
}

// Item is one place of a recommendation.
type Item struct {
	MovieID string             `json:"movie_id"`
	Title   string             `json:"title"`
	Year    int                `json:"year,omitempty"`
	Genres  []string           `json:"genres,omitempty"`
	Score   float64            `json:"score"`
	Sources map[string]float64 `json:"sources,omitempty"` // parts of the score
	Because []Reason           `json:"because,omitempty"` // with Explain
}

// Reason is a film of the person's history that speaks for a recommended one.
type Reason struct {
	MovieID string  `json:"movie_id"`
	Title   string  `json:"title"`
	Score   float64 `json:"score"`  // its part of the recommended film's score
	Source  string  `json:"source"` // als or co_counts
}

// Request says for whom, as of when and how much.
type Request struct {
	UserID    string
	K         int // 1..KMax
	NowMillis int64
	Explain   bool
}

// Result is a ranking and what it was made with.
type Result struct {
	UserID       string `json:"user_id"`
	ModelName    string `json:"model_name,omitempty"`
	ModelVersion int    `json:"model_version,omitempty"`
	// Strategy is "blend" (trained factors and online counts), "online" (counts alone: no model is
	// deployed, or it does not know any film of the person) or "cold" (nothing is known of the person).
	Strategy  string `json:"strategy"`
	Cut       string `json:"cut"` // what of the log the online model had folded
	Simulated bool   `json:"simulated,omitempty"`
	Items     []Item `json:"items"`
}

// Recommend ranks the films that the person has not met.
func (s *Service) Recommend(req Request) (*Result, error) {
	if req.K < 1 || req.K > KMax {
		return nil, fault.Field("k", "is %d: want 1 to %d", req.K, KMax)
	}
	ranker, deployed, err := s.current()
	if err != nil {
		return nil, err
	}
	res := &Result{UserID: req.UserID, ModelName: deployed.Model, ModelVersion: deployed.Version, Strategy: "cold"}
	var ranked []hybrid.Item
	var reasons [][]hybrid.Reason
	fold.Of[*projections.Online](s.views).ReadAt(func(m *online.Model, cut streams.Cut) {
		res.Cut = cut.String()
		for range m.UserEntries(req.UserID) {
			res.Strategy = "online"
			break
		}
		ranked = ranker.Rank(m, req.UserID, req.NowMillis, req.K)
		if res.Strategy != "cold" {
			reasons = ranker.Explain(m, req.UserID, req.NowMillis, ranked, req.Explain)
		}
	})
	catalogue := fold.Of[*projections.Catalogue](s.views)
	for i, r := range ranked {
		movie, ok, err := catalogue.Movie(r.ID)
		if err != nil {
			return nil, err
		}
		if !ok { // taken since the ranker was made
			movie.MovieID = r.ID
		}
		it := Item{MovieID: r.ID, Title: movie.Title, Year: movie.Year, Genres: movie.Genres, Score: float64(r.Score),
			Sources: map[string]float64{}}
		res.Simulated = res.Simulated || movie.Simulated
		if r.Factors > 0 {
			it.Sources["als"] = float64(r.Factors)
			res.Strategy = "blend"
		}
		if r.Counts > 0 {
			it.Sources["online"] = float64(r.Counts)
		}
		if i < len(reasons) {
			for _, why := range reasons[i][:min(len(reasons[i]), reasonsMax)] {
				because, _, err := catalogue.Movie(why.ID)
				if err != nil {
					return nil, err
				}
				it.Because = append(it.Because, Reason{why.ID, because.Title, float64(why.Score), why.Source})
			}
		}
		res.Items = append(res.Items, it)
	}
	if res.Items == nil {
		res.Items = []Item{}
	}
	return res, nil
}

// reasonsMax is how many films of a history an explanation names.
const reasonsMax = 5

// Popular is the baseline everyone is compared with: the k films with the most interactions.
func (s *Service) Popular(k int) ([]Item, error) {
	if k < 1 || k > KMax {
		return nil, fault.Field("k", "is %d: want 1 to %d", k, KMax)
	}
	type counted struct {
		id string
		n  uint64
	}
	var all []counted
	fold.Of[*projections.Online](s.views).Read(func(m *online.Model) {
		for i := range m.ItemCount() {
			id := m.ItemID(i)
			all = append(all, counted{id, m.Stats(id).Counted})
		}
	})
	slices.SortFunc(all, func(a, b counted) int {
		switch {
		case a.n != b.n && a.n > b.n:
			return -1
		case a.n != b.n:
			return 1
		case a.id < b.id:
			return -1
		}
		return 1
	})
	catalogue := fold.Of[*projections.Catalogue](s.views)
	items := []Item{}
	for _, c := range all {
		if len(items) == k {
			break
		}
		movie, ok, err := catalogue.Movie(c.id)
		if err != nil {
			return nil, err
		}
		if ok {
			items = append(items, Item{MovieID: c.id, Title: movie.Title, Year: movie.Year, Genres: movie.Genres, Score: float64(c.n)})
		}
	}
	return items, nil
}

// Similar is the k films that people meet together with one, best first.
func (s *Service) Similar(movieID string, k int) ([]Item, error) {
	if k < 1 || k > KMax {
		return nil, fault.Field("k", "is %d: want 1 to %d", k, KMax)
	}
	catalogue := fold.Of[*projections.Catalogue](s.views)
	if _, ok, err := catalogue.Movie(movieID); err != nil {
		return nil, err
	} else if !ok {
		return nil, fault.New(fault.NotFound, "no movie %q", movieID)
	}
	var near []online.Neighbour
	fold.Of[*projections.Online](s.views).Read(func(m *online.Model) { near = m.Similar(movieID, k+64) })
	items := []Item{}
	for _, n := range near {
		if len(items) == k {
			break
		}
		movie, ok, err := catalogue.Movie(n.ItemID)
		if err != nil {
			return nil, err
		}
		if ok {
			items = append(items, Item{MovieID: n.ItemID, Title: movie.Title, Year: movie.Year, Genres: movie.Genres, Score: float64(n.Score)})
		}
	}
	return items, nil
}

// Ready is nil when recommendations can be served; otherwise it says what is missing.
func (s *Service) Ready() error {
	ranker, deployed, err := s.current()
	switch {
	case err != nil:
		return err
	case ranker.Len() == 0:
		return fault.New(fault.Unavailable, "the catalogue is empty").WithHint("import a data set: projectionist import PATH")
	case deployed.Model != "":
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

// current is the ranker of the deployed version over the present catalogue. It is made anew when either
// has changed.
func (s *Service) current() (*hybrid.Ranker, events.ModelDeployed, error) {
	slot, _, err := fold.Of[*projections.Deployments](s.views).Slot(events.ProductionSlot)
	if err != nil {
		return nil, events.ModelDeployed{}, err
	}
	deployed := slot.Current.ModelDeployed
	catalogue := fold.Of[*projections.Catalogue](s.views)
	films, err := catalogue.Count()
	if err != nil {
		return nil, deployed, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	want := made{deployed, films}
	if s.ranker != nil && s.made == want {
		return s.ranker, deployed, nil
	}
	if s.made.deployed.Blob != deployed.Blob || s.model == nil {
		s.model = nil
		if deployed.Blob != "" {
			b, err := s.weights(deployed.Blob)
			if err != nil {
				return nil, deployed, fmt.Errorf("weights of %s version %d: %w", deployed.Model, deployed.Version, err)
			}
			if s.model, err = hybrid.Decode(b); err != nil {
				return nil, deployed, fault.Wrap(fault.Corrupt, err, "weights of %s version %d", deployed.Model, deployed.Version)
			}
		}
	}
	content := map[string]hybrid.Content{}
	var ids []string
	for m, err := range catalogue.All() {
		if err != nil {
			return nil, deployed, err
		}
		ids = append(ids, m.MovieID)
		content[m.MovieID] = hybrid.Content{Genres: m.Genres, Year: m.Year}
	}
	s.ranker = hybrid.NewRanker(s.model, ids, func(id string) hybrid.Content { return content[id] })
	s.made = want
	return s.ranker, deployed, nil
}
