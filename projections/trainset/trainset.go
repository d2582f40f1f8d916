// Package trainset answers what models are trained on: the log folded up to a cut. The same cut gives the
// same set, so that a version that states its cut, parameters and code can be trained again bit for bit.
package trainset

import (
	"context"
	"iter"
	"math"

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
	acts *acts
	act  []int32 // of each sample
}

// Kind is what the act was, such as "rating".
func (a *Acts) Kind(sample int) string { return a.acts.kinds[a.acts.kind[a.act[sample]]] }

// Rating is in stars, to the hundredth; 0 for none.
func (a *Acts) Rating(sample int) float64 { return a.acts.stars[a.act[sample]].rating() }

// Load reads the log up to the cut. Facts are taken once each (by person, event time and id), of several ratings of one
// person, film, kind and event time the one recorded last, and all ordered by event time, so the same cut gives the same set whatever the order of arrival. Facts that
// cannot be read are left out, as every view leaves them out. progress may be nil; its unit is records. Of a log without
// facts the error is fault.Conflict, and comes with the empty set.
func Load(ctx context.Context, log streams.Log, cut streams.Cut, progress func(done, total int64)) (*Set, error) {
	return new(Cache).Load(ctx, log, cut, progress)
}

// fill makes the samples of those facts that count, in order, of which there are at most so many.
func (s *Set) fill(n *names, acts *acts, most int, withActs bool, facts iter.Seq2[*fact, bool]) {
	s.Data = &ml.Dataset{Users: n.users, Items: n.items, Samples: make([]ml.Sample, 0, most)}
	s.Signals = make([]signal.Signal, 0, most)
	if withActs {
		s.Acts = &Acts{acts, make([]int32, 0, most)}
	}
	meanings := make([]signal.Signal, len(acts.kind))
	for a, kind := range acts.kind {
		meanings[a] = s.meanings.Of(acts.kinds[kind], acts.stars[a].rating())
	}
	var last fact
	for f, counts := range facts {
		if !counts {
			continue
		}
		meaning := meanings[f.act]
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
			if withActs {
				s.Acts.act = s.Acts.act[:at]
			}
		}
		s.Data.Samples, s.Signals = append(s.Data.Samples, sample), append(s.Signals, meaning)
		if withActs {
			s.Acts.act = append(s.Acts.act, f.act)
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
