package projections

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"iter"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// People is everybody of whom the log has anything: acts, or what was said.
type People struct {
	Histories *Histories
	Users     *Users
}

// Person is what is known of somebody at a moment, and how much they did.
type Person struct {
	events.User
	Acts     int  `json:"acts"`                // repetitions left out
	ActsMore bool `json:"acts_more,omitempty"` // there may be more than were counted
	First    *Act `json:"first,omitempty"`     // by event time
	Last     *Act `json:"last,omitempty"`
}

// Act is when an act happened, when it was recorded, and where.
type Act struct {
	EventMillis    int64  `json:"event_millis"`
	RecordedMillis int64  `json:"recorded_millis"`
	Position       string `json:"position"`
}

// PeopleQuery asks for a piece of the list of people.
type PeopleQuery struct {
	Prefix     string  // of the ids; whoever has it as the id, by any spelling, comes first
	UserID     string  // nobody but this one
	At         fold.At // which acts count
	SaidMillis int64   // event time: what was said is so by then
	Page       fold.PageQuery
}

const (
	peopleScanMax = 20_000  // people that one page looks at: some 100 ms of seeks
	peopleActsMax = 100_000 // acts that one page reads before it ends: some 200 ms
	actsCountMax  = 100_000 // acts that are counted of one person
)

// Tables of [Histories] and [Users] in which the two parts of the list are.
const (
	peopleActed = 'u'
	peopleSaid  = 's'
)

// List pages through the people who acted, in the order of [Histories.UserIDs], and behind them those of whom something was said alone. A page
// may have fewer than it may have, even nobody, and still a next one.
func (p People) List(ctx context.Context, q PeopleQuery) (fold.Page[Person], error) {
	l := &peopleList{People: p, PeopleQuery: q, page: fold.Page[Person]{Items: []Person{}}}
	var err error
	if l.limit, err = q.Page.Size(); err != nil {
		return l.page, err
	}
	table, after := byte(peopleActed), fold.Table(peopleActed)
	if q.Page.Cursor != "" {
		if table, after, err = peoplePlace(q.Page.Cursor); err != nil {
			return l.page, err
		}
	}
	if wanted := cmp.Or(q.UserID, q.Prefix); wanted != "" {
		l.exact = events.CanonicalUser(wanted)
	}
	if l.exact != "" && q.Page.Cursor == "" {
		one, err := l.person(ctx, l.exact)
		if err != nil {
			return l.page, err
		}
		if one != nil {
			l.page.Items = append(l.page.Items, *one)
		}
	}
	if q.UserID != "" {
		return l.page, nil
	}
	l.last = after
	if table == peopleActed {
		if ended, err := l.take(ctx, table, p.Histories.ids(table, behind(after))); ended || err != nil {
			return l.page, err
		}
		after = fold.Table(peopleSaid)
		l.last = after
	}
	_, err = l.take(ctx, peopleSaid, p.Users.ids(behind(after)))
	return l.page, err
}

// behind is where a part of the list goes on after somebody.
func behind(after fold.Key) []byte {
	if len(after) == 1 { // nobody
		return after
	}
	return after.End()
}

// peoplePlace is behind whom a cursor goes on, as a key; of a table alone, at its beginning.
func peoplePlace(cursor string) (table byte, after fold.Key, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil && len(raw) > 0 && (raw[0] == peopleActed || raw[0] == peopleSaid) {
		parts := fold.Parts(raw)
		switch {
		case len(raw) == 1:
		case raw[0] == peopleActed:
			after = fold.Table(peopleActed).ID(parts.ID())
		default:
			after = fold.Table(peopleSaid).Str(parts.Str())
		}
		if parts.Err() == nil && (len(raw) == 1 || string(after) == string(raw)) {
			return raw[0], raw, nil
		}
	}
	return 0, nil, fault.Field("cursor", "is not one that this list gave out").WithHint("leave it out to start at the beginning")
}

// peopleList is a page under way.
type peopleList struct {
	People
	PeopleQuery
	limit  int
	exact  string   // who has the first place, and no other
	looked int      // at people
	read   int      // acts
	last   fold.Key // of who was looked at last
	page   fold.Page[Person]
}

// take takes in people of one part of the list, and says whether the page ended before that.
func (l *peopleList) take(ctx context.Context, table byte, ids iter.Seq2[string, error]) (bool, error) {
	for id, err := range ids {
		if err != nil {
			return true, err
		}
		if len(l.page.Items) == l.limit || l.looked >= peopleScanMax || l.read >= peopleActsMax {
			l.page.Next = fold.PageCursor(l.last)
			return true, ctx.Err()
		}
		l.looked++
		if table == peopleActed {
			l.last = fold.Table(table).ID(id)
		} else {
			l.last = fold.Table(table).Str(id)
		}
		if id == l.exact || !strings.HasPrefix(id, l.Prefix) {
			continue
		}
		one, err := l.person(ctx, id)
		if err != nil {
			return true, err
		}
		if one != nil && (one.Acts > 0 || one.ActsMore) == (table == peopleActed) {
			l.page.Items = append(l.page.Items, *one)
		}
	}
	return false, ctx.Err()
}

// person is what is known of somebody; nil for nothing.
func (l *peopleList) person(ctx context.Context, id string) (*Person, error) {
	at := l.At
	at.EventMillis = l.SaidMillis
	said, known, err := l.Users.User(id, at)
	if err != nil {
		return nil, err
	}
	p := &Person{User: said.User}
	p.UserID = id
	stop := actsUpTo(ctx, historyTimesMax)
	q := HistoryQuery{At: l.At, stop: func(looked int) error {
		l.read++
		return stop(looked)
	}}
	for f, err := range l.Histories.facts('u', id, q) {
		if errors.Is(err, errEnough) || err == nil && p.Acts == actsCountMax {
			p.ActsMore = true
			break
		}
		if err != nil {
			return nil, err
		}
		if p.Acts++; p.First == nil {
			p.First = f.act()
		}
		p.Last = f.act()
	}
	if p.ActsMore {
		q.Newest, p.Last = true, nil
		for f, err := range l.Histories.facts('u', id, q) {
			if errors.Is(err, errEnough) {
				break
			}
			if err != nil {
				return nil, err
			}
			p.Last = f.act()
			break
		}
	}
	if !known && p.Acts == 0 && !p.ActsMore {
		return nil, nil
	}
	return p, nil
}

func (f *Fact) act() *Act { return &Act{f.EventMillis, f.RecordedMillis, f.Position().String()} }
