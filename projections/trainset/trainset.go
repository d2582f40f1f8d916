// Package trainset answers what models are trained on: the log folded up to a cut. The same cut gives the
// same set, so that a version that states its cut, parameters and code can be trained again bit for bit.
package trainset

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
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
}

// fact is one interaction while a set is being read.
type fact struct {
	time       int64
	user, item int32
	id         uint64
	signal     signal.Signal
}

// Load reads the log up to the cut. Facts are taken once each (by person, event time and id), and ordered
// by event time, so the same cut gives the same set whatever the order of arrival. Facts that
// cannot be read are left out, as every view leaves them out. progress may be nil; its unit is records.
func Load(ctx context.Context, log streams.Log, cut streams.Cut, progress func(done, total int64)) (*Set, error) {
	s := &Set{Cut: cut.Clone()}
	var total, done int64
	for _, n := range cut {
		total += n
	}
	report := func() {
		if done++; progress != nil && done%65536 == 0 {
			progress(done, total)
		}
	}
	ledger, films := streams.TP{Topic: events.LedgerTopic}, events.Films{}
	meanings := signal.Default()
	for com, err := range log.Ledger().Read(ctx, 0) {
		if com != nil && com.Position.Offset >= cut[ledger] {
			break
		}
		if err != nil {
			return nil, err
		}
		report()
		for i := range com.Events {
			films.Fold(com.Events[i].Data)
			if e, ok := com.Events[i].Data.(*events.FeaturesDefined); ok {
				s.FeaturesHash = e.Hash
			}
			if e, ok := com.Events[i].Data.(*events.SignalsDefined); ok {
				if m, err := signal.Parse([]byte(e.Definitions)); err == nil { // else it puts nothing in force
					meanings = m
				}
			}
		}
	}
	s.Movies = films.Merged()
	s.SignalsHash = meanings.Hash()
	var facts []fact
	users, items := newInterner(), newInterner()
	for _, tp := range cut.Partitions() {
		if tp.Topic != events.UserEventsTopic {
			continue
		}
		for rec, err := range log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				return nil, err
			}
			if rec.Offset >= cut[tp] {
				break
			}
			report()
			ev, err := streams.ReadFact(rec)
			if err != nil {
				continue
			}
			x, ok := ev.Data.(*events.Interaction)
			if !ok {
				continue
			}
			facts = append(facts, fact{
				time: ev.Time.UnixMilli(), user: users.of(x.UserID), item: items.of(x.MovieID),
				id: events.FactHash(ev.Source, ev.ID, x), signal: meanings.Of(x.Kind, x.Rating),
			})
		}
	}
	s.Data = &ml.Dataset{}
	var userRank, itemRank []int32
	s.Data.Users, userRank = users.sorted()
	s.Data.Items, itemRank = items.sorted()
	for i := range facts {
		facts[i].user, facts[i].item = userRank[facts[i].user], itemRank[facts[i].item]
	}
	slices.SortFunc(facts, func(a, b fact) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.user, b.user), cmp.Compare(a.id, b.id),
			cmp.Compare(a.item, b.item), cmp.Compare(a.signal, b.signal))
	})
	facts = slices.CompactFunc(facts, func(a, b fact) bool { return a.time == b.time && a.user == b.user && a.id == b.id })
	s.Data.Samples = make([]ml.Sample, len(facts))
	s.Signals = make([]signal.Signal, len(facts))
	for i, f := range facts {
		rating := float32(math.NaN())
		if f.signal.RatingCenti() > 0 {
			rating = float32(f.signal.Rating())
		}
		s.Data.Samples[i] = ml.Sample{User: f.user, Item: f.item, Time: f.time, Rating: rating, Weight: f.signal.Weight()}
		s.Signals[i] = f.signal
	}
	if len(s.Data.Samples) == 0 {
		return s, fault.New(fault.Conflict, "the log holds no interactions up to %s: there is nothing to train on", cut).
			WithHint("import ratings first: projectionist import PATH")
	}
	return s, nil
}

// Input is the set as recipes take it.
func (s *Set) Input() recipe.Input {
	return recipe.Input{Data: s.Data, Signals: s.Signals, FeaturesHash: s.FeaturesHash,
		Content: func(id string) recipe.Content {
			m := s.Movies[id]
			return recipe.Content{Genres: m.Genres, Year: m.Year}
		}}
}

// interner numbers strings as they come.
type interner struct {
	index map[string]int32
	names []string
}

func newInterner() *interner { return &interner{index: map[string]int32{}} }

func (n *interner) of(s string) int32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	s = strings.Clone(s)
	i := int32(len(n.names))
	n.index[s] = i
	n.names = append(n.names, s)
	return i
}

// sorted gives the names in order, and the rank of each number.
func (n *interner) sorted() (names []string, rank []int32) {
	order := make([]int32, len(n.names))
	for i := range order {
		order[i] = int32(i)
	}
	sort.Slice(order, func(a, b int) bool { return n.names[order[a]] < n.names[order[b]] })
	rank = make([]int32, len(order))
	names = make([]string, len(order))
	for r, i := range order {
		rank[i], names[r] = int32(r), n.names[i]
	}
	return names, rank
}
