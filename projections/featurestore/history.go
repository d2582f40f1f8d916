package featurestore

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Cause is an event that may change features of an entity.
type Cause struct {
	fold.Origin
	Event string `json:"event_type"`

	// Of what somebody did:
	UserID  string  `json:"user_id,omitempty"`
	MovieID string  `json:"movie_id,omitempty"`
	Kind    string  `json:"interaction_type,omitempty"`
	Rating  float64 `json:"rating,omitempty"`

	Offline bool `json:"offline,omitempty"` // pushed for training alone
}

// Changed is an event that changed features of an entity, and to what.
type Changed struct {
	Cause
	Changes []Change `json:"changes"`
}

// Change is a feature's value before and after; null is none.
type Change struct {
	Feature string          `json:"feature"`
	From    json.RawMessage `json:"from"`
	To      json.RawMessage `json:"to"`
}

// factsLookedAt is how many facts a page of a history looks at, at least and at most: many change none of the features that are asked for.
const factsLookedAtLeast, factsLookedAt = 200, fold.PageLimitMax

// History pages through the events that changed features of an entity, the newest first by event time: each with the values as they were
// at its own time without it, and with it. Of several of one time each shows what it made of those before it in the log. The selection is of
// one kind of entity. What changes as time goes by, such as windows, changes by no event.
//
// What the catalogue says of a film, and what is said of a person, is in the list by its own time; it has no cursor of its own, but is on the page of the facts
// around it, beyond the limit.
func (f *Store) History(ctx context.Context, sel *features.Selection, e features.Entity, id string, at fold.At, q fold.PageQuery) (fold.Page[Changed], error) {
	out := fold.Page[Changed]{Items: []Changed{}}
	from, until := int64(math.MinInt64), int64(math.MaxInt64) // of what is said on this page
	limit, err := q.Size()
	if err == nil && q.Cursor != "" {
		until, err = projections.CursorMillis(q.Cursor)
	}
	if err != nil {
		return out, err
	}
	ageless := sel.Ageless()
	if slices.Contains(ageless, false) {
		if err := f.byFacts(ctx, sel, e, id, at, q.Cursor, limit, &out); err != nil {
			return out, err
		}
		if out.Next != "" {
			if from, err = projections.CursorMillis(out.Next); err != nil {
				return out, err
			}
		}
	}
	if !slices.Contains(ageless, true) {
		return out, nil
	}
	said, err := f.bySaying(ctx, sel, e, id, fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut})
	if err != nil {
		return out, err
	}
	for i := range said {
		s := &said[i]
		if s.millis < from || s.millis >= until || at.EventMillis != 0 && s.millis > at.EventMillis {
			continue
		}
		place := slices.IndexFunc(out.Items, func(c Changed) bool { return c.EventMillis <= s.millis })
		if place < 0 {
			place = len(out.Items)
		}
		out.Items = slices.Insert(out.Items, place, s.Changed)
	}
	return out, nil
}

// place is where a fact is.
type place struct {
	millis, offset int64
	partition      int32
}

func placeOf(x *projections.Fact) place { return place{x.EventMillis, x.Offset, x.Partition} }

// byFacts adds what facts changed, and where to go on.
func (f *Store) byFacts(ctx context.Context, sel *features.Selection, e features.Entity, id string, at fold.At, cursor string, limit int, out *fold.Page[Changed]) error {
	h := fold.Of[*projections.Histories](f.views)
	read := h.UserPage
	if e == features.Movie {
		read = h.MoviePage
	}
	looked := fold.PageQuery{Cursor: cursor, Limit: min(max(2*limit, factsLookedAtLeast), factsLookedAt)}
	facts, err := read(id, projections.HistoryQuery{At: at, Newest: true, Page: looked})
	if err != nil {
		return err
	}
	page := facts.Items
	if out.Next = facts.Next; len(page) == 0 {
		return nil
	}
	wanted := map[place]int{} // in the page
	for i := range page {
		wanted[placeOf(&page[i])] = i
	}
	at.EventMillis = page[0].EventMillis // none after it has a part
	var failed error
	known := fold.At{RecordedMillis: at.RecordedMillis, Cut: at.Cut}
	in := features.Inputs{Catalogue: f.catalogueAt(ctx, known, &failed), People: f.peopleAt(known, &failed)}
	if in.UserID = id; e == features.Movie {
		in.UserID, in.MovieID = "", id
	}
	var now place
	folded := func(yield func(features.Fact, error) bool) {
		n := 0
		for x, err := range f.history(e, id, at) {
			if n++; n%checkEvery == 0 && err == nil {
				err = ctx.Err()
			}
			if now = placeOf(&x); err == nil && x.Superseded {
				continue
			}
			if !yield(factOf(e, &x), err) || err != nil {
				return
			}
		}
	}
	changes, names, columns := make([][]Change, len(page)), sel.Names(), sel.Columns(e)
	err = sel.Trace(e, in, folded, func(int) bool { _, told := wanted[now]; return told }, func(_ int, before, after []features.Value) error {
		changes[wanted[now]] = changesOf(names, columns, before, after)
		return failed
	})
	if err = cmp.Or(err, failed); err != nil {
		return err
	}
	for i := range page {
		if len(changes[i]) == 0 {
			continue
		}
		x := &page[i]
		if len(out.Items) == limit {
			last := &out.Items[limit-1]
			pos, err := streams.ParsePosition(last.Position)
			out.Next = projections.HistoryCursor(last.EventMillis, pos)
			return err
		}
		if e == features.Movie {
			if *x, err = h.Whole(*x); err != nil {
				return err
			}
		}
		out.Items = append(out.Items, Changed{causeOf(x), changes[i]})
	}
	return nil
}

// causeOf is what somebody did, as a history has it; of a film's, made whole.
func causeOf(x *projections.Fact) Cause {
	return Cause{Origin: fold.Origin{Position: x.Position().String(), EventID: x.EventID, EventMillis: x.EventMillis, RecordedMillis: x.RecordedMillis, Source: x.Source},
		Event: (*events.Interaction)(nil).EventType(), UserID: x.UserID, MovieID: x.MovieID, Kind: x.Kind, Rating: x.Rating}
}

// pushedCause is a row that was pushed.
func pushedCause(row *projections.PushedValues) Cause {
	return Cause{Origin: row.Origin, Event: (*events.FeatureValues)(nil).EventType(), Offline: row.Offline}
}

// changesOf are the features that have another value, in the order of the selection.
func changesOf(names []string, columns []int, before, after []features.Value) (all []Change) {
	order := make([]int, len(columns))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return columns[a] - columns[b] })
	for _, i := range order {
		if !before[i].Same(&after[i]) {
			all = append(all, Change{names[columns[i]], before[i].AppendJSON(nil), after[i].AppendJSON(nil)})
		}
	}
	return all
}

// sayings is a change by what was said, and from when on it is so.
type sayings struct {
	Changed
	millis int64
}

// bySaying are what the catalogue, or what was said of a person, changed of what does not follow from facts; in the order of time.
func (f *Store) bySaying(ctx context.Context, sel *features.Selection, e features.Entity, id string, known fold.At) (all []sayings, err error) {
	names, ageless := sel.Names(), sel.Ageless()
	columns := make([]int, len(names))
	for i := range columns {
		columns[i] = i
	}
	add := func(origin fold.Origin, event string, millis int64, before, after features.Inputs) {
		was, is := sel.AppendValues(nil, before), sel.AppendValues(nil, after)
		for i := range was {
			if !ageless[i] {
				is[i] = was[i] // it follows from facts
			}
		}
		if changes := changesOf(names, columns, was, is); len(changes) > 0 {
			all = append(all, sayings{Changed{Cause{Origin: origin, Event: event}, changes}, millis})
		}
	}
	if e == features.User {
		var said []features.Said
		for s, err := range fold.Of[*projections.Users](f.views).Said(id, known) {
			if err != nil {
				return nil, err
			}
			since, err := s.SinceMillis()
			if err != nil {
				return nil, err
			}
			inputs := func() features.Inputs {
				until := said
				return features.Inputs{UserID: id, People: func(string) []features.Said { return until }, NowMillis: max(since, 0)}
			}
			before := inputs()
			said = append(said, features.Said{SinceMillis: since, RecordedMillis: s.RecordedMillis, User: s.User})
			origin := s.Origin
			if since != events.Always {
				origin.EventMillis = since
			}
			add(origin, s.EventType(), since, before, inputs())
		}
		return all, nil
	}
	film := events.Film{}
	entry := func(millis int64) features.Inputs {
		var a *features.Attributes
		if film.Listed != nil || film.Fetched != nil {
			m := film.Merged()
			a = attributes(&projections.Movie{Movie: m})
		}
		return features.Inputs{MovieID: id, Catalogue: func(string) *features.Attributes { return a }, NowMillis: millis}
	}
	for in, err := range f.movieInputs(ctx, id, known) {
		if err != nil {
			return nil, err
		}
		millis := in.Event.Time.UnixMilli()
		before := entry(millis)
		if film.Fold(in.Event.Data) {
			add(fold.OriginOf(in), in.Event.Type(), millis, before, entry(millis))
		}
	}
	slices.SortStableFunc(all, func(a, b sayings) int { return cmp.Compare(a.millis, b.millis) })
	return all, nil
}

func (f *Store) movieInputs(ctx context.Context, id string, known fold.At) iter.Seq2[*fold.Input, error] {
	return fold.Inputs(f.log.Ledger().ReadStream(ctx, "movie/"+id, 0), known)
}

// PushedHistory pages through the rows that were pushed of an entity of an external view, the one that counts first: each with the features
// that it changed, of those that are named. What was pushed for training alone is among them; it changes what joins see.
func (f *Store) PushedHistory(x *features.External, names []string, entityKey string, at fold.At, q fold.PageQuery) (fold.Page[Changed], error) {
	view := fold.Of[*projections.FeatureValues](f.views)
	rows, err := view.HistoryPage(x.Name, entityKey, at, q)
	out := fold.Page[Changed]{Items: []Changed{}, Next: rows.Next}
	if err != nil {
		return out, err
	}
	for i := range rows.Items {
		is, was := &rows.Items[i], (*projections.PushedValues)(nil)
		if i+1 < len(rows.Items) {
			was = &rows.Items[i+1]
		} else if before, ok, err := view.Before(x.Name, entityKey, is, at); err != nil {
			return out, err
		} else if ok {
			was = &before
		}
		c := Changed{Cause: pushedCause(is)}
		for _, name := range names {
			from, to := null, null
			if value, ok := coerced(x.Feature(name), is); ok {
				to = value
			}
			if was != nil {
				if value, ok := coerced(x.Feature(name), was); ok {
					from = value
				}
			}
			if string(from) != string(to) {
				c.Changes = append(c.Changes, Change{name, from, to})
			}
		}
		if len(c.Changes) > 0 {
			out.Items = append(out.Items, c)
		}
	}
	return out, nil
}
