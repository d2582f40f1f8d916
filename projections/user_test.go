package projections_test

import (
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// What data sets say is so at all times, what others say from a time on and over it; and what was recorded later was
// not known before.
func TestUsers(t *testing.T) {
	s := foldtest.NewScript()
	describe := func(recorded int, dataset string, since int, u events.User) {
		u.UserID = "7"
		d := &events.UserDescribed{User: u, Dataset: dataset}
		if dataset == "" {
			d.Since = events.FormatTime(events.TimeOf(foldtest.Day(since)))
		}
		s.Commit("user/7", recorded, recorded, d)
	}
	describe(1, "ml-1m", 0, events.User{Age: 25, Gender: "F", Zip: "1"})
	describe(2, "", 2, events.User{Age: 31, Occupation: "writer"})
	describe(3, "", 10, events.User{Age: 32})
	describe(4, "", 1, events.User{Age: 30})
	describe(5, "ml-1m", 0, events.User{Age: 26, Zip: "2"})
	s.Commit("user/70", 1, 1, &events.UserDescribed{User: events.User{UserID: "70", Age: 70}, Dataset: "ml-1m"})
	v := foldtest.Opened(t, projections.NewUsers(), s.In)
	for _, c := range []struct {
		what            string
		asOf, known     int // days; 0 is none
		age             int
		occupation, zip string
		said            int
	}{
		{"at all times", 0, 0, 32, "writer", "2", 5},
		{"by day 9", 9, 0, 31, "writer", "2", 4},
		{"by day 1", 1, 0, 30, "", "2", 3},
		{"before anything was said of a time", -5, 0, 26, "", "2", 2},
		{"before, as known on day 4", -5, 4, 25, "", "1", 1},
		{"by day 1, as known on day 3", 1, 3, 25, "", "1", 1},
		{"by day 9, as known on day 2", 9, 2, 31, "writer", "1", 2},
	} {
		var at fold.At
		if c.asOf != 0 {
			at.EventMillis = foldtest.Day(c.asOf)
		}
		if c.known != 0 {
			at.RecordedMillis = foldtest.Day(c.known)
		}
		u := found[projections.User](t)(v.User("user_007", at))
		equal(t, c.what, []any{u.UserID, u.Age, u.Gender, u.Occupation, u.Zip, len(u.Said)}, []any{"7", c.age, "F", c.occupation, c.zip, c.said})
	}
	equal(t, "the revision to build on", found[projections.User](t)(v.User("7", fold.At{EventMillis: foldtest.Day(1)})).Revision, 4)
	for id, at := range map[string]fold.At{"8": {}, "7": {RecordedMillis: foldtest.Day(0)}} {
		if _, ok, err := v.User(id, at); ok || err != nil {
			t.Errorf("of %s something is known at %+v: %v", id, at, err)
		}
	}
}
