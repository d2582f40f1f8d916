package recommend

import (
	"cmp"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// Names of what films may be alike by, beside the algorithm of a model.
const (
	sourceCounts  = "co_counts"  // people meet them together
	sourceContent = "content"    // their genres and years
	sourcePopular = "popularity" // nothing: of the film nothing is known
)

// Near is the k films nearest to one: those that people meet together with it, then those that a model has learned to be
// alike, and then those of like content. A model that is named comes first; else the one that serves, or the one
// that predicts ratings, is asked. Each film says in its sources by what it is there. It is empty only where there is no
// other film. Errors: fault.NotFound for a film or version that there is not, and why the version cannot be had.
func (s *Service) Near(by Version, movieID string, k int) ([]Item, error) {
	f, err := s.filmsFor(k)
	if err != nil {
		return nil, err
	}
	id := events.CanonicalMovie(movieID)
	at, ok := f.ranked.Place(id)
	if !ok {
		return nil, noMovie(movieID)
	}
	n := nearest{films: f, k: k, there: map[int]bool{at: true}, items: []Item{}}
	if by.Model != "" {
		v, err := s.versionOf(by)
		if err != nil {
			return nil, err
		}
		if err := s.addLearned(&n, v, id); err != nil {
			return nil, err
		}
	}
	if err := s.addMet(&n, id); err != nil {
		return nil, err
	}
	if by.Model == "" && !n.full() {
		s.addAny(&n, id)
	}
	s.addContent(&n, at)
	return n.items, nil
}

// nearest is a list while it grows.
type nearest struct {
	films *films
	k     int
	there map[int]bool // by place
	items []Item
}

func (n *nearest) full() bool { return len(n.items) >= n.k }

// add puts a film at the end, unless it is there.
func (n *nearest) add(place int, score float32, source string) {
	if !n.full() && !n.there[place] && !n.films.cards[place].hidden {
		n.there[place] = true
		it := n.films.show(place, float64(score))
		it.Sources = map[string]float64{source: it.Score}
		n.items = append(n.items, it)
	}
}

// addMet adds the films that people meet together with one.
func (s *Service) addMet(n *nearest, id string) error {
	var near []online.Neighbour
	err := fold.Of[*projections.Online](s.views).ReadAll(func(m *online.Model) { near = m.Similar(id, n.enough()) })
	for _, one := range near {
		if at, ok := n.films.ranked.Place(one.ItemID); ok {
			n.add(at, one.Score, sourceCounts)
		}
	}
	return err
}

// nearSpare is how many more are asked for, since some may be no films.
const nearSpare = 64

// enough is how many have to be asked for, of which those that are there already and those that are hidden do not count.
func (n *nearest) enough() int { return n.k + len(n.there) + n.films.hidden + nearSpare }

// addLearned adds the films that a version has learned to be like one.
func (s *Service) addLearned(n *nearest, v version, id string) error {
	if _, _, err := s.at(v, ""); err != nil {
		return err
	}
	registered, _, err := fold.Of[*projections.Registry](s.views).VersionOf(v.model, v.number)
	if err != nil {
		return err
	}
	s.mu.Lock()
	l := s.loaded[v]
	s.mu.Unlock()
	if l == nil { // others came meanwhile
		return putAside(v)
	}
	if m, ok := l.model.(recipe.Neighbours); ok {
		for _, one := range m.Near(id, n.enough()) {
			if at, ok := n.films.ranked.Place(one.ID); ok && one.Score > 0 {
				n.add(at, one.Score, cmp.Or(registered.Algorithm, all.Default().Name))
			}
		}
	}
	return nil
}

// addAny adds by the version that ranks for the slot or, where that has nothing to say, by the one that predicts ratings, as far as they
// can be had: without them the list is shorter of nothing but them.
func (s *Service) addAny(n *nearest, id string) {
	before := len(n.items)
	if v, _, _, _, err := s.slot(); err == nil && v.model != "" && s.addLearned(n, v, id) == nil && len(n.items) > before {
		return
	}
	if v, err := s.chosen(); err == nil && v.model != "" {
		_ = s.addLearned(n, v, id)
	}
}

// addContent adds the films of like content, of those that are equally so the most popular first; where nothing is known
// of the film and the list is empty, those that are popular.
func (s *Service) addContent(n *nearest, place int) {
	if n.full() {
		return
	}
	alike := n.films.ranked.Alike(place)
	var order []int
	for at, score := range alike {
		if score > 0 && !n.there[at] && !n.films.cards[at].hidden {
			order = append(order, at)
		}
	}
	source := sourceContent
	if len(order)+len(n.items) == 0 {
		source = sourcePopular
		for at := range alike {
			if at != place && !n.films.cards[at].hidden {
				order = append(order, at)
			}
		}
	}
	counted := make([]uint64, len(alike))
	fold.Of[*projections.Online](s.views).Read(func(m *online.Model) {
		for _, at := range order {
			counted[at] = m.Stats(n.films.ranked.At(at).ID).Counted
		}
	})
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(alike[b], alike[a]), cmp.Compare(counted[b], counted[a]), cmp.Compare(a, b))
	})
	for _, at := range order[:min(n.k-len(n.items), len(order))] {
		score := alike[at]
		if source == sourcePopular {
			score = float32(counted[at])
		}
		n.add(at, score, source)
	}
}

// versionOf is the version that is named, of a model without a number its newest.
func (s *Service) versionOf(by Version) (version, error) {
	by, err := s.newest(by)
	if err != nil {
		return version{}, err
	}
	return s.named(by.Model, by.Number)
}

func putAside(v version) error {
	return fault.New(fault.Unavailable, "%s version %d was put aside for others", v.model, v.number).WithHint("ask again")
}
