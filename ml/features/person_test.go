package features

import (
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
)

// What is said of a person is so from its time on. Somebody of whom something is said is known, also without facts.
func TestUserAttributes(t *testing.T) {
	d := mustParse(t, `
entities: [{name: user, join_key: user_id}]
feature_views:
- name: u
  entity: user
  ttl: 1d
  features:
  - {name: age, aggregation: attribute, of: age}
  - {name: years, type: float64, aggregation: attribute, of: age}
  - {name: gender, aggregation: attribute, of: gender}
  - {name: occupation, aggregation: attribute, of: occupation}
  - {name: n, aggregation: count}
`)
	sel := d.View("u").Selection()
	people := map[string][]Said{"7": {
		{SinceMillis: events.Always, User: events.User{UserID: "7", Age: 25, Gender: "F"}},
		{SinceMillis: 100 * dayMillis, User: events.User{UserID: "7", Age: 31, Occupation: "writer"}},
	}, "8": {{SinceMillis: 100 * dayMillis, User: events.User{UserID: "8", Gender: "M"}}}}
	old := NewState(User)
	old.Add(Fact{TimeMillis: dayMillis, Kind: "view"})
	for _, c := range []struct {
		id    string
		state *State
		day   int64
		want  string
		since int64 // of the age
	}{
		{"7", nil, 99, `{"age":25,"years":25,"gender":"F","occupation":null,"n":0}`, 0},
		{"7", nil, 100, `{"age":31,"years":31,"gender":"F","occupation":"writer","n":0}`, 100 * dayMillis},
		{"7", old, 100, `{"age":31,"years":31,"gender":"F","occupation":"writer","n":null}`, 100 * dayMillis}, // facts expire, attributes do not
		{"8", nil, 100, `{"age":null,"years":null,"gender":"M","occupation":null,"n":0}`, 100 * dayMillis},
		{"8", nil, 99, `{"age":null,"years":null,"gender":null,"occupation":null,"n":null}`, 0},
	} {
		got := sel.AppendValues(nil, Inputs{User: c.state, UserID: c.id, People: func(id string) []Said { return people[id] }, NowMillis: c.day * dayMillis})
		if text := string(AppendJSON(nil, got)); text != c.want || got[0].EventTimeMillis != c.since {
			t.Errorf("%s on day %d: %s of %d, want %s of %d", c.id, c.day, text, got[0].EventTimeMillis, c.want, c.since)
		}
	}
	if got := sel.AppendValues(nil, Inputs{UserID: "8", People: func(id string) []Said { return people[id] }, NowMillis: dayMillis}); got[0].Status != NotFound {
		t.Errorf("before anything was said: %s", got[0].Status)
	}
	// A training row looks back to just before its own time, at what is said as at what was done.
	for exclusive, want := range map[bool]string{false: "31 31", true: "25 31"} {
		j := &Join{Selection: sel, Exclusive: exclusive, Facts: source(nil), People: func(id string) []Said { return people[id] }}
		columns, err := j.Historical([]Row{{UserID: "7", TimeMillis: 100 * dayMillis}, {UserID: "7", TimeMillis: 100*dayMillis + 1}})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(columns[0].Ints[0], columns[0].Ints[1]); got != want {
			t.Errorf("exclusive %v: %s, want %s", exclusive, got, want)
		}
	}
	_, err := Parse([]byte("entities: [{name: user, join_key: user_id}]\nfeature_views: [{name: u, entity: user, features: [{name: x, aggregation: attribute, of: title}]}]"))
	if err == nil || !strings.Contains(err.Error(), `"title" is not an attribute of a user`) || !strings.Contains(err.Error(), "features[0].of") {
		t.Errorf("a film's attribute of a user: %v", err)
	}
}
