// Package trainset answers what models are trained on: the log folded up to a cut. The same cut gives the
// same set, so that a version that states its cut, parameters and code can be trained again bit for bit.
package trainset

import (
	"context"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/streams"
)

// Set is what the log says up to a cut, as far as training needs it.
type Set struct {
	Cut     streams.Cut
	Data    *ml.Dataset
	Signals []signal.Signal         // of Data.Samples, in their order
	Movies  map[string]events.Movie // of the catalogue, by id
	// SignalsHash is the hash of the definition of what acts mean that was in force, by which Signals are read.
	SignalsHash string
	// FeaturesHash is the hash of the feature definitions in force, "" without any.
	FeaturesHash string
	// People is what was said of people, in the order in which one is so over the other, by id; with Acts.
	People map[string][]events.UserDescribed
	// Acts are what the log itself says of each of Data.Samples, where it was asked for.
	Acts *Acts
	// Fits is where recipes keep what they fit on part of it; may be nil.
	Fits *recipe.Fits

	meanings *signal.Definition
}

// Acts are what people did, read by no definition.
type Acts struct {
	kinds []string
	kind  []int32
	stars []stars
}

// Kind is what the act was, such as "rating".
func (a *Acts) Kind(sample int) string { return a.kinds[a.kind[sample]] }

// Rating is in stars, to the hundredth; 0 for none.
func (a *Acts) Rating(sample int) float64 { return a.stars[sample].rating() }

// Load reads the log up to the cut. Facts are taken once each (by person, event time and id), and ordered
// by event time, so the same cut gives the same set whatever the order of arrival. Facts that
// cannot be read are left out, as every view leaves them out. progress may be nil; its unit is records.
func Load(ctx context.Context, log streams.Log, cut streams.Cut, progress func(done, total int64)) (*Set, error) {
	return new(Cache).Load(ctx, log, cut, progress)
}

// readLedger takes from the ledger what the set needs of it, that which belongs to acts too or not.
func (s *Set) readLedger(ctx context.Context, log streams.Log, acts bool, read func(n int64)) error {
	head, films := s.Cut[streams.TP{Topic: events.LedgerTopic}], events.Films{}
	s.meanings = signal.Default()
	for com, err := range log.Ledger().Read(ctx, 0) {
		if com != nil && com.Position.Offset >= head {
			break
		}
		if err != nil {
			return err
		}
		read(1)
		for i := range com.Events {
			films.Fold(com.Events[i].Data)
			if e, ok := com.Events[i].Data.(*events.UserDescribed); ok && acts {
				s.describe(e)
			}
			if e, ok := com.Events[i].Data.(*events.FeaturesDefined); ok {
				s.FeaturesHash = e.Hash
			}
			if e, ok := com.Events[i].Data.(*events.SignalsDefined); ok {
				if m, err := signal.Parse([]byte(e.Definitions)); err == nil { // else it puts nothing in force
					s.meanings = m
				}
			}
		}
	}
	s.Movies = films.Merged()
	s.SignalsHash = s.meanings.Hash()
	return nil
}

// describe takes what was said of a person to its place.
func (s *Set) describe(e *events.UserDescribed) {
	since, err := e.SinceMillis()
	if err != nil {
		return // the view of people halts at it
	}
	if s.People == nil {
		s.People = map[string][]events.UserDescribed{}
	}
	id := events.CanonicalUser(e.UserID)
	said := s.People[id]
	at := len(said)
	for at > 0 {
		if before, _ := said[at-1].SinceMillis(); before <= since {
			break
		}
		at--
	}
	s.People[id] = slices.Insert(said, at, *e)
}

// fill makes the samples of facts in order, of which there are at most so many.
func (s *Set) fill(n *names, most int, acts bool, facts func(yield func(*fact) bool)) {
	s.Data = &ml.Dataset{Users: n.users, Items: n.items, Samples: make([]ml.Sample, 0, most)}
	s.Signals = make([]signal.Signal, 0, most)
	if acts {
		s.Acts = &Acts{n.kinds, make([]int32, 0, most), make([]stars, 0, most)}
	}
	unrated, rated := make([]signal.Signal, len(n.kinds)), make([]signal.Signal, starsMax+1)
	for k, kind := range n.kinds {
		unrated[k] = s.meanings.Of(kind, 0)
	}
	for v := range rated {
		rated[v] = s.meanings.Of("", stars(v).rated())
	}
	var last fact
	for f := range facts {
		meaning := unrated[f.kind]
		if f.stars > 0 {
			meaning = rated[f.stars]
		}
		rating := float32(math.NaN())
		if meaning.RatingCenti() > 0 {
			rating = float32(meaning.Rating())
		}
		sample := ml.Sample{User: f.user, Item: f.item, Time: f.time, Rating: rating, Weight: meaning.Weight()}
		at := len(s.Signals)
		if at > 0 && last.time == f.time && last.user == f.user && last.id == f.id {
			// Two facts under one name: of those of the lesser film, the one with the lesser signal counts.
			if at--; last.item != f.item || s.Signals[at] <= meaning {
				continue
			}
			s.Data.Samples, s.Signals = s.Data.Samples[:at], s.Signals[:at]
			if acts {
				s.Acts.kind, s.Acts.stars = s.Acts.kind[:at], s.Acts.stars[:at]
			}
		}
		s.Data.Samples, s.Signals = append(s.Data.Samples, sample), append(s.Signals, meaning)
		if acts {
			s.Acts.kind, s.Acts.stars = append(s.Acts.kind, f.kind), append(s.Acts.stars, f.stars)
		}
		last = *f
	}
}

// Input is the set as recipes take it.
func (s *Set) Input() recipe.Input {
	movies := s.Movies // alone: who evaluates lets go of the samples
	return recipe.Input{Data: s.Data, Signals: s.Signals, FeaturesHash: s.FeaturesHash, Fits: s.Fits,
		Content: func(id string) recipe.Content {
			m := movies[id]
			return recipe.Content{Genres: m.Genres, Year: m.Year}
		}}
}
