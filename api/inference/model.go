package inference

import (
	"cmp"
	_ "embed"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
)

// Bounds of the list of models: the weights of each are read once.
const (
	modelsDefault = 20
	modelsMax     = 100
	sizesKeptMax  = 4096
)

// model is a registered version.
type model struct {
	Name       string `json:"name"`
	Version    int    `json:"version"`
	Algorithm  string `json:"algorithm"`
	Stage      string `json:"stage"`
	Parameters *int   `json:"parameters"` // null where they are not here
	Bytes      int64  `json:"bytes"`
	Predicts   bool   `json:"predicts"` // ratings, for /predict
	Loaded     bool   `json:"loaded"`
	Deployed   bool   `json:"deployed"` // it ranks for the program's own lists
	Default    bool   `json:"default"`  // it answers here where no version is named
	Registered string `json:"registered"`
}

// models lists the versions that were registered last, newest first.
func (s *Surface) models(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "model", "version")
	of := versionOf(q)
	limit := q.Number("limit", modelsDefault, 1, modelsMax)
	if err := q.Err(); err != nil {
		return err
	}
	list, total, err := s.list(of, int(limit))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Models []model `json:"models"`
		Total  int     `json:"total"`
	}{list, total})
}

func (s *Surface) list(of recommend.Version, limit int) ([]model, int, error) {
	type one struct {
		key string // of its model
		projections.ModelVersion
	}
	var versions []one
	q := fold.PageQuery{Limit: fold.PageLimitMax}
	for {
		p, err := fold.Of[*projections.Registry](s.Views).Models(q)
		if err != nil {
			return nil, 0, err
		}
		for _, m := range p.Items {
			for _, v := range m.Versions {
				if of.Model == "" || of.Model == m.Name && (of.Number == 0 || of.Number == v.Version) {
					versions = append(versions, one{m.Key, v})
				}
			}
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			break
		}
	}
	slices.SortStableFunc(versions, func(a, b one) int {
		return cmp.Or(cmp.Compare(b.RecordedMillis, a.RecordedMillis), cmp.Compare(a.Name, b.Name), cmp.Compare(b.Version, a.Version))
	})
	if of.Model != "" && len(versions) == 0 {
		_, err := s.Recommend.Predicts(of) // there is none
		return nil, 0, err
	}
	slot, _, err := fold.Of[*projections.Deployments](s.Views).Slot(events.ProductionSlot)
	if err != nil {
		return nil, 0, err
	}
	first, err := s.Recommend.Predictor()
	if err != nil {
		first, err = s.Recommend.Predicts(recommend.Version{})
	}
	if err != nil && !fault.Is(err, fault.Unavailable) {
		return nil, 0, err
	}
	total := len(versions)
	list := make([]model, 0, min(limit, total))
	for _, v := range versions[:min(limit, total)] {
		m := model{Name: v.Name, Version: v.Version, Algorithm: v.Algorithm, Stage: v.Stage, Bytes: v.Bytes, Loaded: s.Recommend.Loaded(v.key, v.Version),
			Deployed: slot.Current.Model == v.key && slot.Current.Version == v.Version, Default: first.Model == v.Name && first.Number == v.Version,
			Parameters: s.sizes.of(v.Blob, s.Weights), Registered: time.UnixMilli(v.RecordedMillis).UTC().Format("2006-01-02T15:04:05.000Z")}
		if r, err := all.Find(v.Algorithm); err == nil && v.Algorithm != "" {
			m.Predicts = r.Predicts
		}
		list = append(list, m)
	}
	return list, total, nil
}

// sizes are the numbers of parameters that were counted, by the hash of the weights.
type sizes struct {
	mu    sync.Mutex
	known map[string]int
}

// of counts the numbers in a version's weights; nil where they cannot be had.
func (s *sizes) of(blob string, weights func(string) ([]byte, error)) *int {
	s.mu.Lock()
	defer s.mu.Unlock() // one reads at a time: weights may be large
	if n, ok := s.known[blob]; ok {
		return &n
	}
	b, err := weights(blob)
	if err != nil {
		return nil
	}
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil
	}
	n := a.Parameters()
	if s.known == nil || len(s.known) >= sizesKeptMax {
		s.known = map[string]int{}
	}
	s.known[blob] = n
	return &n
}

//go:embed home.html
var homeHTML string

var homePage = api.NewPage(homeHTML, nil)

// home is the page for people: what can be asked, and the models.
func (s *Surface) home(w http.ResponseWriter, _ *http.Request) error {
	list, total, err := s.list(recommend.Version{}, modelsDefault)
	if err != nil {
		return err
	}
	return api.WritePage(w, homePage, struct {
		Models []model
		Total  int
		State  state
	}{list, total, s.state(recommend.Version{})})
}
