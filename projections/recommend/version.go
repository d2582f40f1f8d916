package recommend

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// version is a model version that ranks; the zero value is none, and the online model ranks alone.
type version struct {
	model  string // its key
	number int
	blob   string // SHA-256 of the weights
}

// loaded is a version's model with its ranker over the present films.
type loaded struct {
	recipe *recipe.Recipe // nil for none
	model  recipe.Model   // nil for none
	ranker recipe.Ranker
	views  []events.ViewRead // it was trained on
	used   int64             // grows; of the last use
}

func (l *loaded) over(f *recipe.Films) recipe.Ranker {
	if l.model == nil {
		return recipe.NewOnlineRanker(f)
	}
	return l.model.Ranker(f, l.ranker)
}

const (
	// loadedMax bounds the versions kept at hand: the slot's, the one before it, and some to compare them with.
	loadedMax = 4
	// lookBackMax bounds the versions that are tried in place of one that cannot be had.
	lookBackMax = 16
)

// loading is a version under way.
type loading struct {
	done chan struct{}
	got  *loaded
	err  error
}

// failure is a version that could not be loaded, for more than being on its way; it is tried again after
// loadAgain.
type failure struct {
	err error
	at  time.Time
}

const (
	loadAgain = time.Second
	// registryLag bounds the wait for the registry, when the deployments are ahead of it: views fold a chunk
	// side by side.
	registryLag = time.Second
)

// deployed is the version in the slot, and where the ledger says so.
func (s *Service) deployed() (version, string, error) {
	slot, ok, err := fold.Of[*projections.Deployments](s.views).Slot(events.ProductionSlot)
	if err != nil || !ok {
		return version{}, "", err
	}
	d := &slot.Current
	return version{d.Model, d.Version, d.Blob}, d.Position, nil
}

// isDeployed says whether a version is the one in the slot.
func (s *Service) isDeployed(v version) bool {
	is, _, err := s.deployed()
	return err == nil && is == v
}

// called is the name of a version's model.
func (s *Service) called(v version) (string, error) {
	return fold.Of[*projections.Registry](s.views).NameOf(v.model)
}

// named is a registered version.
func (s *Service) named(model string, number int) (version, error) {
	m, ok, err := fold.Of[*projections.Registry](s.views).Model(model)
	if err != nil {
		return version{}, err
	}
	v := m.Version(number)
	if !ok || v == nil {
		return version{}, fault.New(fault.NotFound, "no version %d of model %q", number, model)
	}
	return version{m.Key, number, v.Blob}, madeHere(v)
}

// madeHere is why a version that was registered by a client, and has no weights in the log, cannot answer.
func madeHere(v *projections.ModelVersion) error {
	if v.Blob != "" {
		return nil
	}
	return fault.New(fault.Conflict, "%s version %d was registered without weights that this program has: it cannot answer here", v.Name, v.Version).
		WithHint("bring weights in: projectionist models import ALGORITHM FILE")
}

// at is a version's ranker with the films it ranks; it loads the version if need be.
func (s *Service) at(v version, deployedAt string) (recipe.Ranker, *films, error) {
	s.mu.Lock()
	for {
		if l := s.loaded[v]; l != nil {
			defer s.mu.Unlock()
			s.uses++
			l.used = s.uses
			return l.ranker, s.films, nil
		}
		if f, ok := s.failed[v]; ok && s.now().Sub(f.at) < loadAgain {
			defer s.mu.Unlock()
			return nil, nil, f.err
		}
		under := s.loading[v]
		if under == nil {
			under = &loading{done: make(chan struct{})}
			s.loading[v] = under
			s.mu.Unlock()
			under.got, under.err = s.load(v, deployedAt)
			s.mu.Lock()
			s.arrived(v, under)
			close(under.done)
		} else {
			s.mu.Unlock()
			<-under.done
			s.mu.Lock()
		}
		if under.err != nil {
			defer s.mu.Unlock()
			return nil, nil, under.err
		}
	}
}

// load reads a version's weights. Nothing is locked.
func (s *Service) load(v version, deployedAt string) (got *loaded, err error) {
	defer func() { // whoever waits for this must not wait for ever
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "loading %s version %d: panic: %v", v.model, v.number, p)
		}
	}()
	if v.blob == "" {
		return &loaded{}, nil
	}
	r, views, err := s.recipeOf(v, deployedAt)
	if err != nil {
		return nil, err
	}
	if same := s.alike(v, r); same != nil {
		same.views = views
		return same, nil
	}
	b, err := s.weights(v.blob)
	if err != nil {
		return nil, fmt.Errorf("weights of %s version %d: %w", v.model, v.number, err)
	}
	m, err := r.Decode(b)
	if err != nil {
		e := fault.New(fault.Corrupt, "weights of %s version %d", v.model, v.number)
		e.Err = err
		return nil, e.WithHint("train them again from the log: projectionist models rebuild %s %d", v.model, v.number)
	}
	return &loaded{recipe: r, model: m, views: views}, nil
}

// alike is another version at hand of the same weights and recipe, which is the same model; nil without one. The same weights by another
// recipe are another model, or none.
func (s *Service) alike(v version, r *recipe.Recipe) *loaded {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other, l := range s.loaded {
		if other.blob == v.blob && l.recipe == r {
			return &loaded{recipe: r, model: l.model, ranker: l.ranker}
		}
	}
	return nil
}

// recipeOf is the recipe that a version states, and the feature views, which are in force.
func (s *Service) recipeOf(v version, deployedAt string) (*recipe.Recipe, []events.ViewRead, error) {
	if deployedAt != "" {
		p, err := streams.ParsePosition(deployedAt)
		if err != nil {
			return nil, nil, err
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.registryLag)
		defer cancel()
		if err := s.views.Wait(ctx, p, "registry"); err != nil {
			return nil, nil, err
		}
	}
	registered, _, err := fold.Of[*projections.Registry](s.views).VersionOf(v.model, v.number)
	if err == nil {
		err = s.fits(v, registered.FeatureViews)
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := all.Find(registered.Algorithm)
	if err != nil {
		return nil, nil, fault.Wrap(fault.Conflict, err, "%s version %d cannot be served by this program", v.model, v.number)
	}
	return r, registered.FeatureViews, nil
}

// fits says why a version cannot be served as feature views are defined now.
func (s *Service) fits(v version, views []events.ViewRead) error {
	if s.Fits == nil || len(views) == 0 {
		return nil
	}
	name, err := s.called(v)
	if err != nil {
		return err
	}
	return s.Fits(fmt.Sprintf("version %d of model %s", v.number, name), views)
}

// arrived takes in what was loaded; s.mu is held. Rankers are made without it: films may go on meanwhile.
func (s *Service) arrived(v version, l *loading) {
	if l.err == nil {
		l.err = s.bringUp(l.got)
	}
	delete(s.loading, v)
	if l.err != nil {
		if !fault.Is(l.err, fault.Unavailable) {
			s.failed[v] = failure{l.err, s.now()}
		}
		return
	}
	delete(s.failed, v)
	s.uses++
	l.got.used = s.uses
	s.loaded[v] = l.got
	for len(s.loaded) > loadedMax {
		var oldest version
		var used int64 = math.MaxInt64
		for v, l := range s.loaded {
			if v != s.serving && v != s.rating.serving && l.used < used {
				oldest, used = v, l.used
			}
		}
		delete(s.loaded, oldest)
	}
}

// bringUp brings the ranker of a version that is not among the loaded yet up to the present films; s.mu is
// held, and let go meanwhile.
func (s *Service) bringUp(l *loaded) error {
	for l.ranker == nil || l.ranker.Films() != s.films.ranked {
		f := s.films.ranked
		s.mu.Unlock()
		ranker, err := protected(func() recipe.Ranker { return l.over(f) })
		s.mu.Lock()
		if err != nil {
			return err
		}
		l.ranker = ranker
	}
	return nil
}

// protected turns a panic of a recipe into an error.
func protected(f func() recipe.Ranker) (r recipe.Ranker, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.New(fault.Internal, "preparing to rank: panic: %v", p)
		}
	}()
	return f(), nil
}

// Check says why a registered version of the model of that key cannot rank here; it reads its weights. Errors:
// fault.Conflict for one of an algorithm or of features that there are not, fault.Corrupt for weights that are none,
// fault.Unavailable while they are on their way.
func (s *Service) Check(key string, v *projections.ModelVersion) error {
	if err := madeHere(v); err != nil {
		return err
	}
	if err := s.catchUp(true); err != nil {
		return err
	}
	it := version{key, v.Version, v.Blob}
	if _, _, err := s.recipeOf(it, v.Position); err != nil { // also where the same weights are at hand by another name
		return err
	}
	_, _, err := s.at(it, v.Position)
	return err
}

// settled is for which deployed version that cannot be had another serves, as the ledger had it at a time.
type settled struct {
	bad version
	at  time.Time
}

// settledFor is how long that is not looked for again: weights may be put back, and definitions applied that a version fits.
const settledFor = 10 * time.Second

// lastGood is what serves in place of a deployed version that cannot be had, by the ledger: of the versions that were in the slot before it,
// [lookBackMax] of them, the last one that can be had; without one the online model alone. Error: [fault.Unavailable] while weights of such a one
// are on their way, and none before it can be had.
func (s *Service) lastGood(bad version) (v version, r recipe.Ranker, f *films, err error) {
	history := fold.Of[*projections.Deployments](s.views)
	tried := map[version]bool{bad: true}
	var coming error // of a version before which others are tried for now
	settle := func(v version) {
		if coming == nil {
			s.mu.Lock()
			s.serving, s.served, s.settled = v, true, settled{bad, s.now()}
			s.mu.Unlock()
		}
	}
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		page, err := history.History(events.ProductionSlot, fold.At{}, q)
		if err != nil {
			return version{}, nil, nil, err
		}
		for i := range page.Items {
			d := &page.Items[i]
			v := version{d.Model, d.Version, d.Blob}
			if tried[v] || len(tried) > lookBackMax {
				continue
			}
			tried[v] = true
			if r, f, err = s.at(v, ""); err == nil {
				settle(v)
				return v, r, f, nil
			}
			if coming == nil && fault.Is(err, fault.Unavailable) {
				coming = err
			}
		}
		if page.Next == "" || len(tried) > lookBackMax {
			break
		}
		q.Cursor = page.Next
	}
	if coming != nil {
		return version{}, nil, nil, coming
	}
	if r, f, err = s.at(version{}, ""); err == nil {
		settle(version{})
	}
	return version{}, r, f, err
}

// slot is what ranks for the slot: the version deployed or, where that cannot be had, the one that served before, in this process or, where
// that is not for weights on their way, by the ledger: see [Service.lastGood]. behind is why it is not the one deployed.
func (s *Service) slot() (v version, r recipe.Ranker, f *films, behind, err error) {
	v, position, err := s.deployed()
	if err != nil {
		return version{}, nil, nil, nil, err
	}
	r, f, err = s.at(v, position)
	s.mu.Lock()
	was, served := s.serving, s.served
	_, bad := s.failed[v] // also while it is tried again
	recent := s.settled.bad == v && s.now().Sub(s.settled.at) < settledFor
	var views []events.ViewRead
	if err == nil {
		s.serving, s.served = v, true
		if l := s.loaded[v]; l != nil {
			views = l.views
		}
	}
	s.mu.Unlock()
	if err == nil { // of other features than it was trained on it goes on serving, and that is said
		return v, r, f, s.fits(v, views), nil
	}
	if served && was != v && (!bad || recent) {
		if r, f, again := s.at(was, ""); again == nil {
			return was, r, f, err, nil
		}
	}
	if !bad {
		return v, nil, nil, nil, err
	}
	was, r, f, again := s.lastGood(v)
	if again != nil {
		return v, nil, nil, nil, again
	}
	return was, r, f, err, nil
}
