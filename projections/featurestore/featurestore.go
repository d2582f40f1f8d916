// Package featurestore answers for features, joined from several views: as they are, as they were at a moment, as they
// were known at another, and for whole tables of rows joined point in time. It writes nothing.
package featurestore

import (
	"cmp"
	"context"
	"iter"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Store answers for features: as they are, as they were at a moment, as they were known at another,
// and for whole tables of rows joined point in time. It is a query over the views online, histories,
// catalogue and definitions; all of them are folded by the one function of ml/features.
type Store struct {
	views *fold.Runner
	log   streams.Log

	mu       sync.Mutex
	defs     *features.Definitions // in force
	defsN    int64                 // how far their view had folded the ledger when they were read
	catalog  map[string]*features.Attributes
	catalogN int64 // how far the catalogue had folded the ledger when catalog was begun
	people   map[string]folded

	registry  *Registry
	registryN string // the last change that it has

	registries map[string]*Registry             // of other moments
	others     map[string]*features.Definitions // parsed, by hash
	versions   *versions

	joins chan struct{} // a token for each under way
}

// peopleMax bounds the people whose present state is kept in memory, at about 10 bytes a fact.
const peopleMax = 4096

// New makes the query over a runner's views.
func New(views *fold.Runner, log streams.Log) *Store {
	return &Store{views: views, log: log, joins: make(chan struct{}, JoinsMax)}
}

// Definitions are the definitions in force at a moment; the zero At is now.
func (f *Store) Definitions(at fold.At) (*features.Definitions, error) {
	if at.IsZero() {
		return f.inForce()
	}
	d, ok, err := fold.Of[*projections.Definitions](f.views).At(at)
	return f.parsed(&d, ok, err)
}

// inForce are the definitions in force now: reading a feature must not read their file.
func (f *Store) inForce() (*features.Definitions, error) {
	folded := f.definitionsFolded()
	f.mu.Lock()
	if f.defs != nil && f.defsN == folded {
		defer f.mu.Unlock()
		return f.defs, nil
	}
	f.mu.Unlock()
	d, ok, err := fold.Of[*projections.Definitions](f.views).Current()
	defs, err := f.parsed(&d, ok, err)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.defs, f.defsN = defs, folded
	return defs, nil
}

// definitionsFolded is how far the view of definitions has folded the ledger.
func (f *Store) definitionsFolded() int64 {
	return f.views.FoldedTo("definitions", streams.TP{Topic: events.LedgerTopic})
}

// parsed are definitions as they were read; those in force, and some others, are parsed once.
func (f *Store) parsed(d *projections.Definition, ok bool, err error) (*features.Definitions, error) {
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fault.New(fault.NotFound, "no features are defined").WithHint("apply a definitions file: projectionist features apply FILE")
	}
	f.mu.Lock()
	defs := f.defs
	if defs == nil || defs.Hash() != d.Hash {
		defs = f.others[d.Hash]
	}
	f.mu.Unlock()
	if defs != nil {
		return defs, nil
	}
	if defs, err = features.Parse([]byte(d.Definitions)); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the feature definitions in force")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keepParsed(d.Hash, defs)
	return defs, nil
}

// film is what the catalogue says of a film now; nil if it does not know it.
func (f *Store) film(movieID string) (*features.Attributes, error) {
	view := fold.Of[*projections.Catalogue](f.views)
	now := f.views.FoldedTo("catalogue", streams.TP{Topic: events.LedgerTopic})
	f.mu.Lock()
	if f.catalog == nil || f.catalogN != now {
		f.catalog, f.catalogN = map[string]*features.Attributes{}, now
	}
	a, ok := f.catalog[movieID]
	f.mu.Unlock()
	if ok {
		return a, nil
	}
	m, found, err := view.Movie(movieID)
	if err != nil || !found { // not kept: anybody can make up ids
		return nil, err
	}
	a = attributes(&m)
	f.mu.Lock()
	if f.catalogN == now {
		f.catalog[movieID] = a
	}
	f.mu.Unlock()
	return a, nil
}

func attributes(m *projections.Movie) *features.Attributes {
	return &features.Attributes{Title: m.Title, Year: m.Year, Genres: m.Genres, Language: m.Language,
		RuntimeMinutes: m.RuntimeMinutes, TimeMillis: m.UpdatedMillis}
}

// catalogueAt is the catalogue as of a moment, each film folded from its own stream. The first error goes to failed.
func (f *Store) catalogueAt(ctx context.Context, at fold.At, failed *error) features.Catalogue {
	film := f.film
	if !at.IsZero() {
		known := map[string]*features.Attributes{}
		film = func(id string) (*features.Attributes, error) {
			if a, ok := known[id]; ok {
				return a, nil
			}
			m, ok, err := projections.FoldMovie(f.log.Ledger().ReadStream(ctx, "movie/"+id, 0), at)
			if err != nil || !ok { // not kept: anybody can make up ids
				return nil, err
			}
			known[id] = attributes(&m)
			return known[id], nil
		}
	}
	return func(id string) *features.Attributes {
		a, err := film(id)
		*failed = cmp.Or(*failed, err)
		return a
	}
}

// peopleAt is what was said of people, as known at a moment. The first error goes to failed.
func (f *Store) peopleAt(at fold.At, failed *error) features.People {
	return func(id string) []features.Said {
		said, err := fold.Of[*projections.Users](f.views).Known(id, at)
		*failed = cmp.Or(*failed, err)
		return said
	}
}

// Read appends the selected features of one user, one film, or both, to dst. With the zero At they are
// as of nowMillis from the online states; otherwise the histories are folded up to at, and nowMillis is
// the moment they are read as of.
func (f *Store) Read(ctx context.Context, dst []features.Value, sel *features.Selection, userID, movieID string, at fold.At, nowMillis int64) ([]features.Value, error) {
	// A catalogue entry is about a film's content: films imported today existed in 2013. So attributes
	// are taken as known at the recorded time asked for, whatever the event time. What is said of people
	// has a time of its own from which on it is so.
	known := fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut}
	var failed error
	in := features.Inputs{UserID: userID, MovieID: movieID, NowMillis: nowMillis, Catalogue: f.catalogueAt(ctx, known, &failed), People: f.peopleAt(known, &failed)}
	if userID != "" && sel.Needs(features.User) {
		s, err := f.person(userID, at, nowMillis)
		if err != nil {
			return dst, err
		}
		in.User = s
	}
	if movieID != "" && sel.Needs(features.Movie) {
		if at.IsZero() {
			done := false
			err := fold.Of[*projections.Online](f.views).Film(movieID, func(s *features.State) {
				if s != nil && s.LastMillis() > nowMillis {
					return // facts of the future: fold without them
				}
				in.Movie = s
				dst, done = sel.AppendValues(dst, in), true
			})
			if done || err != nil {
				return dst, cmp.Or(err, failed)
			}
		}
		s, err := f.fold(features.Movie, movieID, at, nowMillis)
		if err != nil {
			return dst, err
		}
		in.Movie = s.state
	}
	return sel.AppendValues(dst, in), failed
}

// folded is a state, nil without facts, and which facts it is of: the sum of their hashes.
type folded struct {
	state *features.State
	sum   uint64
}

// person is a person's state. The present one is kept until what they did is another.
func (f *Store) person(id string, at fold.At, nowMillis int64) (*features.State, error) {
	if !at.IsZero() {
		p, err := f.fold(features.User, id, at, nowMillis)
		return p.state, err
	}
	var facts int
	var sum uint64
	err := fold.Of[*projections.Online](f.views).ReadFor(id, func(m *online.Model, _ streams.Cut) { facts, sum = m.UserDigest(id) })
	if err != nil {
		return nil, err
	}
	same := func(p folded) bool { return p.state != nil && p.state.Facts() == int64(facts) && p.sum == sum }
	f.mu.Lock()
	p := f.people[id]
	f.mu.Unlock()
	if same(p) && p.state.LastMillis() <= nowMillis {
		return p.state, nil
	}
	p, err = f.fold(features.User, id, at, nowMillis)
	// Whoever is kept must have all facts: histories may be a moment behind online, and facts dated after
	// now are not in it.
	if err != nil || !same(p) {
		return p.state, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.people == nil || len(f.people) >= peopleMax {
		f.people = map[string]folded{}
	}
	f.people[strings.Clone(id)] = p
	return p.state, nil
}

// fold folds an entity's facts up to nowMillis, as admitted by at.
func (f *Store) fold(e features.Entity, id string, at fold.At, nowMillis int64) (s folded, err error) {
	if at.EventMillis == 0 || nowMillis < at.EventMillis {
		at.EventMillis = nowMillis
	}
	for x, err := range f.history(e, id, at) {
		if err != nil {
			return folded{}, err
		}
		if x.Superseded {
			continue
		}
		if s.state == nil {
			s.state = features.NewState(e)
		}
		s.state.Add(factOf(e, &x))
		s.sum += x.Hash()
	}
	return s, nil
}

func (f *Store) history(e features.Entity, id string, at fold.At) iter.Seq2[projections.Fact, error] {
	h := fold.Of[*projections.Histories](f.views)
	if e == features.User {
		return h.User(id, at)
	}
	return h.Movie(id, at)
}

// facts are an entity's facts in the order of event time, superseded ratings too.
func (f *Store) facts(e features.Entity, id string, at fold.At) iter.Seq2[features.Fact, error] {
	return func(yield func(features.Fact, error) bool) {
		for x, err := range f.history(e, id, at) {
			if !yield(factOf(e, &x), err) || err != nil {
				return
			}
		}
	}
}

func factOf(e features.Entity, x *projections.Fact) features.Fact {
	fact := features.Fact{TimeMillis: x.EventMillis, RecordedMillis: x.RecordedMillis, Kind: x.Kind, Rating: x.Rating, Other: x.MovieID, Turn: x.Turn}
	if e == features.Movie {
		fact.Other = x.UserID
	}
	return fact
}
