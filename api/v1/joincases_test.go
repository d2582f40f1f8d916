package v1_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// TestJoinCases: what tables of features are asked about, of a view that is computed and of one whose values are pushed. Both have the
// same: seen counts what was recorded of a person, or pushed as such, and last is the last rating.
func TestJoinCases(t *testing.T) {
	const defs = `
entities: [{name: user, join_key: user_id}, {name: movie, join_key: movie_id}]
feature_views:
  - name: computed
    entity: user
    features: [{name: seen, type: int64, aggregation: count}%s]
`
	type side struct {
		name, column string
		tell         func(w *fixture, at string, seen int, last float64, key string) // that as of a time so many were seen
		drop         func(w *fixture)
	}
	computed := side{"computed", "user_id", func(w *fixture, at string, _ int, last float64, key string) {
		w.do("POST", "/api/v1/feedback", fmt.Sprintf(`{"user_id":"901","movie_id":"1","rating":%g,"timestamp":%q}`, last, at), "Content-Type", "application/json", "Idempotency-Key", key).want(200)
	}, func(w *fixture) {
		w.do("POST", "/api/v1/features/definitions", fmt.Sprintf(defs, ""), "Content-Type", "application/yaml").want(200)
	}}
	declare := func(w *fixture, fields ...events.FeatureField) {
		res, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "pushed", Entities: []string{"person"},
			JoinKeys: []events.FeatureField{{Name: "person", Type: "int64"}}, Features: fields, FeatureMeta: events.FeatureMeta{Project: "test"}}}, handlers.Meta{Actor: "test"})
		w.must(err)
		w.folded(res.Position)
	}
	seen, last := events.FeatureField{Name: "seen", Type: "int64"}, events.FeatureField{Name: "last", Type: "float64"}
	pushed := side{"pushed", "person", func(w *fixture, at string, seen int, last float64, key string) {
		values := map[string]json.RawMessage{"seen": json.RawMessage(fmt.Sprint(seen)), "last": json.RawMessage(fmt.Sprint(last))}
		p, err := w.cfg.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "person=901", View: "pushed", Values: values, Timestamp: at}}},
			handlers.Meta{Actor: "test", IdempotencyKey: key})
		w.must(err)
		w.folded(p.Positions...)
	}, func(w *fixture) { declare(w, seen) }}
	for _, s := range []side{computed, pushed} {
		t.Run(s.name, func(t *testing.T) {
			w := newFixture(t)
			if s.name == "computed" {
				w.do("POST", "/api/v1/features/definitions", fmt.Sprintf(defs, ", {name: last, type: float64, aggregation: mean, window: 1d}"), "Content-Type", "application/yaml").want(200)
			} else {
				declare(w, seen, last)
			}
			join := func(query string, rows ...string) []string {
				t.Helper()
				out := w.joinedAs("text/csv", "?features="+s.name+":seen,"+s.name+":last"+query, []byte(s.column+",event_timestamp\n"+strings.Join(rows, "\n")+"\n"), 200).Body.String()
				return strings.Split(strings.TrimSpace(out), "\n")[1:]
			}
			is := func(what string, got, want []string) {
				t.Helper()
				if strings.Join(got, " ") != strings.Join(want, " ") {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
			s.tell(w, "2024-05-01T10:00:00Z", 1, 2, "a")
			w.clock.set(day0.Add(time.Hour))
			before := "&known_at=" + day0.Format(time.RFC3339)
			s.tell(w, "2024-05-03T10:00:00Z", 2, 4, "b")
			row1, row3 := "901,2024-05-01T10:00:00Z", "901,2024-05-03T10:00:00Z"
			is("at the time of a fact", join("", row1, row3), []string{row1 + ",1,2", row3 + ",2,4"})

			// Twice: sent again under its key it is one fact.
			s.tell(w, "2024-05-03T10:00:00Z", 2, 4, "b")
			is("a fact twice", join("", row3), []string{row3 + ",2,4"})

			// Of the same time: the one that was recorded later counts.
			w.clock.set(day0.Add(2 * time.Hour))
			s.tell(w, "2024-05-03T10:00:00Z", 2, 5, "c")
			is("two facts of one time", join("", row3), []string{row3 + ",2,5"})
			is("before the second was recorded", join("&known_at="+day0.Add(time.Hour).Format(time.RFC3339), row3), []string{row3 + ",2,4"})

			// Late: a row behind it has it, also one before the newest; what was known before is as it was.
			w.clock.set(day0.Add(3 * time.Hour))
			late, row2 := "2024-05-02T08:00:00Z", "901,2024-05-02T08:00:00Z"
			s.tell(w, late, 2, 3, "d")
			is("a late fact", join("", row1, row2), []string{row1 + ",1,2", row2 + ",2," + "3"})
			is("as it was known before", join(before, row3), []string{row3 + ",1," + map[string]string{"computed": "", "pushed": "2"}[s.name]})

			// Somebody without events, and nobody.
			is("without events", join("", "902,2024-05-03", ",2024-05-03", "901,2024-05-01T09:59:59.999Z"), []string{"902,2024-05-03,,", ",2024-05-03,,", "901,2024-05-01T09:59:59.999Z,,"})

			// Of the wrong type.
			r := w.joinedAs("text/csv", "?features="+s.name+":seen", []byte(s.column+",event_timestamp\n1.5,2024-05-03\n"), 400)
			if got := r.Body.String(); !strings.Contains(got, "line 2, column 1 ("+s.column+")") {
				t.Errorf("an id of another type: %s", got)
			}

			// A naive time is in UTC.
			is("a naive time", join("", "901,2024-05-01 10:00:00", "901,2024-05-01T09:59:59.999", "901,2024-05-01T12:00:00+02:00"),
				[]string{"901,2024-05-01 10:00:00,1,2", "901,2024-05-01T09:59:59.999,,", "901,2024-05-01T12:00:00+02:00,1,2"})

			// A feature that is dropped is not joined any more; the others are.
			s.drop(w)
			req := httptest.NewRequest("POST", "/api/v1/features/historical?features="+s.name+":last", strings.NewReader(s.column+",event_timestamp\n901,2024-05-03\n"))
			req.Host = "localhost:8000"
			req.Header.Set("Content-Type", "text/csv")
			out := httptest.NewRecorder()
			if w.server.ServeHTTP(out, req); out.Code != 404 || !strings.Contains(out.Body.String(), "last") {
				t.Errorf("a feature that was dropped: %d %s", out.Code, out.Body)
			}
			if got := w.joinedAs("text/csv", "?features="+s.name+":seen", []byte(s.column+",event_timestamp\n"+row1+"\n"), 200).Body.String(); !strings.HasSuffix(got, ",1\n") {
				t.Errorf("what is left of the view: %s", got)
			}
		})
	}
}
