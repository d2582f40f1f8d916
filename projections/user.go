package projections

import (
	"iter"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Users is what sources say of people.
//
//	s id since offset index -> Said       since: in Unix milliseconds; the order in which one is so over the other
type Users struct{ r fold.Reader }

// NewUsers makes the view "users".
func NewUsers() *Users { return &Users{} }

// Said is what one source said of a person once.
type Said struct {
	events.UserDescribed
	Revision streams.Revision `json:"revision"` // of its event in the person's stream
	fold.Origin
}

// User is what is known of a person at a moment: everything that was said, see [events.UserDescribed].
type User struct {
	events.User
	Said     []Said           `json:"said"`     // at most a thousand
	Revision streams.Revision `json:"revision"` // of the last of it: the If-Match of a command
}

func (*Users) Spec() fold.Spec {
	return fold.Spec{Name: "users", Format: 1, Topics: fold.LedgerTopics}
}

func (v *Users) Open(r fold.Reader) error { v.r = r; return nil }
func (*Users) Flush(fold.Writer) error    { return nil }

func (*Users) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		x, ok := in[i].Event.Data.(*events.UserDescribed)
		if !ok {
			continue
		}
		since, err := x.SinceMillis()
		if err == nil {
			key := fold.Table('s').Str(events.CanonicalUser(x.UserID)).Millis(since).Entry(&in[i])
			err = fold.SetJSON(w, key, &Said{*x, in[i].Revision, fold.OriginOf(&in[i])})
		}
		if err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

// Said yields what was said of a person, by the canonical id, in the order in which one is so over the other. Of the
// moment, only what was known counts: what is of a later time than it asks for is among it.
func (v *Users) Said(id string, at fold.At) iter.Seq2[Said, error] {
	at.EventMillis = 0
	prefix := fold.Table('s').Str(id)
	return func(yield func(Said, error) bool) {
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			var s Said
			admitted := false
			if err == nil {
				err = fold.DecodeJSON(kv.Value, &s)
			}
			if err == nil {
				admitted, err = s.AdmittedBy(at)
			}
			if (admitted || err != nil) && !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// IDs are the people of whom anything was said, each once.
func (v *Users) IDs() iter.Seq2[string, error] { return v.ids(fold.Table('s')) }

// ids are those from a key of the table on.
func (v *Users) ids(from []byte) iter.Seq2[string, error] {
	return distinct(v.r, from, fold.Table('s').End(), func(k *fold.KeyParts) string { return k.Str() }, func(id string) fold.Key { return fold.Table('s').Str(id).End() })
}

// Known is what was said of a person as features take it.
func (v *Users) Known(id string, at fold.At) (all []features.Said, err error) {
	for s, err := range v.Said(id, at) {
		if err != nil {
			return nil, err
		}
		since, err := s.SinceMillis()
		if err != nil {
			return nil, err
		}
		all = append(all, features.Said{SinceMillis: since, RecordedMillis: s.RecordedMillis, User: s.User})
	}
	return all, nil
}

// User reads what is known of a person at a moment, by any spelling of the id; at no time given, everything is so.
// False is for somebody of whom nothing is.
func (v *Users) User(id string, at fold.At) (u User, ok bool, err error) {
	until := at.EventMillis
	if until == 0 {
		until = math.MaxInt64
	}
	for s, err := range v.Said(events.CanonicalUser(id), at) {
		if err != nil {
			return User{}, false, err
		}
		if since, err := s.SinceMillis(); err != nil || since > until {
			return u, len(u.Said) > 0, err
		}
		u.Overlay(&s.User)
		u.Said = append(u.Said, s)
		u.Revision = max(u.Revision, s.Revision)
	}
	slices.Reverse(u.Said)
	return u, len(u.Said) > 0, nil
}
