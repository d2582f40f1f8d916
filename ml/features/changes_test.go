package features

import (
	"strings"
	"testing"
)

// What changes the hash is said, and what does not is not.
func TestChanges(t *testing.T) {
	base := mustParse(t, small)
	for what, c := range map[string]struct{ yaml, want string }{
		"nothing":     {"# a word\n" + small, ""},
		"description": {strings.Replace(small, "ttl: 90d", "ttl: 90d\n    description: films", 1), ""},
		"window":      {strings.Replace(small, "window: 7d", "window: 8d", 1), "updated feature view m\n  updated feature n: int64 count kinds=click+view window=8d, was int64 count kinds=click+view window=7d"},
		"ttl":         {strings.Replace(small, "ttl: 90d", "ttl: 91d", 1), "updated feature view m: of a movie, ttl 2184h0m0s, was of a movie, ttl 2160h0m0s"},
		"another":     {strings.Replace(small, "{name: n, aggregation", "{name: added, aggregation: age}\n      - {name: n, aggregation", 1), "updated feature view m\n  created feature added: float64 age"},
		"a name":      {strings.Replace(small, "name: n,", "name: o,", 1), "updated feature view m\n  created feature o: int64 count kinds=click+view window=7d\n  deleted feature n"},
		"the order":   {strings.Replace(small, `[m, "u:n"]`, `["u:n", m]`, 1), "updated feature service both: u:n, m, was m, u:n"},
	} {
		d := mustParse(t, c.yaml)
		got := strings.Join(d.Changes(base), "\n")
		if got != c.want || (got == "") != (d.Hash() == base.Hash()) {
			t.Errorf("%s:\n%s\nwant\n%s", what, got, c.want)
		}
	}
	got := base.Changes(&Definitions{})
	if len(got) != 5 || !strings.HasPrefix(got[0], "created entity user: user_id") && !strings.HasPrefix(got[0], "created entity movie: movie_id") || !strings.HasPrefix(got[4], "created feature service both") {
		t.Errorf("from nothing: %q", got)
	}
	if got := (&Definitions{}).Changes(base); len(got) != 5 || !strings.HasPrefix(got[4], "deleted feature service both") {
		t.Errorf("to nothing: %q", got)
	}
	views := *base
	views.Views = []*View{base.Views[1], base.Views[0]}
	if got := views.Changes(base); len(got) != 1 || got[0] != "another order of each feature view" {
		t.Errorf("views the other way round: %q", got)
	}
}
