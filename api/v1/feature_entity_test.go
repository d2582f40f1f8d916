package v1_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

type rowOf struct {
	AtMillis int64 `json:"at_millis"`
	Features []struct {
		Feature, Status string
		Value           any
		By              *struct {
			Position  string
			EventType string `json:"event_type"`
			UserID    string `json:"user_id"`
			From, To  any
		}
	}
	LookedTo int64 `json:"looked_to_millis"`
}

type seriesOf struct {
	Times    []int64
	Features []struct {
		Feature string
		Values  []any
	}
}

// A row has what the same read elsewhere has, of each feature the event that the history has last, and what came too late, whatever was known.
func TestFeatureRow(t *testing.T) {
	w := newFixture(t)
	rate := func(user, kind, at string) string {
		w.clock.set(w.clock.Now().Add(time.Hour))
		return w.post("/api/v1/feedback", `{"user_id":"`+user+`","movie_id":"12","interaction_type":"`+kind+`","timestamp":"`+at+`"}`).want(200).at("position")
	}
	in := rate("3", "like", "2024-05-20T00:00:00Z")
	between := w.clock.Now()
	late := rate("4", "click", "2024-05-10T00:00:00Z")
	later := rate("5", "click", "2024-05-30T00:00:00Z")
	row := func(path string) (v rowOf) {
		t.Helper()
		w.get(path).want(200).into(&v)
		return v
	}
	known := url.QueryEscape(events.FormatTime(between))
	for _, moment := range []string{"", "&as_of=2024-05-25", "&as_of=2024-05-15", "&known_at=" + known, "&as_of=2024-05-25&known_at=" + known, "&as_of=2024-05-25&known_at=" + in, "&as_of=2001-01-01", "&as_of=2024-05-25&known_at=1999-01-01"} {
		for _, view := range []string{"movie_features?movie_id=movie_012", "user_features?user_id=4"} {
			name, key, _ := strings.Cut(view, "?")
			v := row("/api/v1/features/views/" + name + "/row?" + key + moment)
			entity, id, _ := strings.Cut(key, "_id=")
			read := w.get("/api/v1/features/" + entity + "/" + id + "?view=" + name + moment)
			var one struct{ Features map[string]any }
			if read.Status == 200 {
				read.into(&one)
			}
			var history changed
			w.get("/api/v1/features/views/" + name + "/history?" + key + moment).want(200).into(&history)
			for _, f := range v.Features {
				if got, want := fmt.Sprint(f.Value), fmt.Sprint(one.Features[f.Feature]); got != want {
					t.Errorf("%s%s: %s is %s, read elsewhere %s", view, moment, f.Feature, got, want)
				}
				by := ""
				for _, c := range history.Items {
					for _, x := range c.Changes {
						if x.Feature == f.Feature && by == "" {
							by = c.Position
						}
					}
				}
				if f.By == nil && by != "" || f.By != nil && by != f.By.Position && f.By.EventType == "user.interaction" {
					t.Errorf("%s%s: %s is by %+v, the history has %q", view, moment, f.Feature, f.By, by)
				}
			}
			if len(v.Features) < 5 || v.LookedTo != 0 {
				t.Errorf("%s%s: %+v", view, moment, v)
			}
		}
	}
	const path = "/api/v1/features/views/movie_features/row?movie_id=12"
	tooLate := func(query string) string {
		t.Helper()
		var l struct{ Items []struct{ Position string } }
		w.get("/api/v1/features/views/" + query).want(200).into(&l)
		var all []string
		for _, i := range l.Items {
			all = append(all, i.Position)
		}
		return strings.Join(all, " ")
	}
	const films = "movie_features/late?movie_id=12&known_after="
	for query, want := range map[string]string{"&as_of=2024-05-31": later + " " + late, "&as_of=2024-05-25": late, "": later + " " + late, "&as_of=2024-05-31&known_at=" + late: late, "&as_of=2024-05-01": ""} {
		if got := tooLate(films + known + query); got != want {
			t.Errorf("too late for %s are %q, want %q", query, got, want)
		}
	}
	if got := tooLate(films + "1999-01-01&as_of=2024-05-25&features=title"); !strings.Contains(got, "mlops-events/") || !strings.Contains(got, late) {
		t.Errorf("before all, late are %q", got)
	}
	for _, f := range row(path + "&as_of=2024-05-25&features=title,interaction_count").Features {
		if f.By == nil || (f.Feature == "title") != (f.By.EventType == "movie.listed") || f.Feature != "title" && (f.By.Position != in || f.By.UserID != "3") {
			t.Errorf("%+v by %+v", f, f.By)
		}
	}

	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: score, type: float64}, {name: word, type: string}]}]\nfeature_views:", 1)
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	push := func(values, at string) string {
		return w.post("/api/v1/log/topics/feature-values/records", `{"entity_key": "movie_id=7", "feature_view": "critics", "values": `+values+`, "timestamp": "`+at+`"}`).want(200).at("items.0.position")
	}
	push(`{"score": 1, "word": "a"}`, "2024-01-01T00:00:00Z")
	first := push(`{"score": 2, "word": "a"}`, "2024-01-03T00:00:00Z")
	last := push(`{"score": 7, "word": "b"}`, "2024-01-02T00:00:00Z")
	const critics = "/api/v1/features/views/critics/row?movie_id=7&after="
	v := row(critics + last)
	if len(v.Features) != 2 || v.Features[0].Value != 2. || v.Features[0].By.Position != first || v.Features[0].By.From != 7. || v.Features[1].By.Position != first {
		t.Errorf("pushed: %+v", v)
	}
	if v = row(critics + last + "&known_at=" + first + "&as_of=2024-01-02T12:00:00Z"); v.Features[0].Value != 1. {
		t.Errorf("pushed late: %+v", v)
	}
	if got := tooLate("critics/late?movie_id=7&as_of=2024-01-02T12:00:00Z&known_after=" + first); got != last {
		t.Errorf("pushed late: %q", got)
	}

	w.get("/api/v1/features/views/nope/row?movie_id=7").problem(404, "")
	w.get("/api/v1/features/views/movie_features/row").problem(400, "movie_id")
	w.get("/api/v1/features/views/movie_features/row?movie_id=1&features=nope").problem(404, "features")
	w.get("/api/v1/features/views/movie_features/row?movie_id=1&as_of=soon").problem(400, "as_of")
	w.get("/api/v1/features/views/critics/row").problem(400, "movie_id")
	w.get("/api/v1/features/views/movie_features/late?movie_id=1").problem(400, "known_after")
	w.get("/api/v1/features/views/movie_features/late?movie_id=1&known_after=soon").problem(400, "known_after")
}

// A series is what the reads of its times are, and with known_at_row what was known at each.
func TestFeatureSeries(t *testing.T) {
	w := newFixture(t)
	w.clock.set(day0.Add(48 * time.Hour))
	w.post("/api/v1/feedback", `{"user_id":"3","movie_id":"12","interaction_type":"click","timestamp":"2024-06-02T00:00:00Z"}`).want(200)
	const path = "/api/v1/features/views/movie_features/series?movie_id=12&features=interaction_count,rating,interactions_7d,title"
	for _, more := range []string{"", "&points=1", "&from=2024-06-01T10:00:00Z&to=2024-06-04T00:00:00Z&points=40&known_at_row=true", "&from=2024-05-01&points=7", "&known_at=2024-06-02T00:00:00Z"} {
		var v seriesOf
		w.get(path + more).want(200).into(&v)
		if len(v.Times) == 0 || len(v.Features) != 4 {
			t.Fatalf("%s: %+v", more, v)
		}
		for i, at := range v.Times {
			if i > 0 && at <= v.Times[i-1] {
				t.Errorf("%s: times do not increase: %v", more, v.Times)
			}
			if i%7 != 0 && i != len(v.Times)-1 {
				continue
			}
			moment := fmt.Sprint("&as_of=", at)
			switch {
			case strings.Contains(more, "row"):
				moment += fmt.Sprint("&known_at=", at)
			case strings.Contains(more, "known_at"):
				moment += "&known_at=2024-06-02T00:00:00Z"
			}
			a := w.get("/api/v1/features/movie/12?features=interaction_count,rating,interactions_7d,title" + moment)
			var one struct{ Features map[string]any }
			if a.Status != 200 { // nothing is known, where a row of a join has that of nothing
				continue
			}
			a.into(&one)
			for _, f := range v.Features {
				if got, want := fmt.Sprint(f.Values[i]), fmt.Sprint(one.Features[f.Feature]); got != want && f.Feature != "title" { // a row of a join has the title that is known
					t.Errorf("%s at %d: %s is %s, read %s", more, at, f.Feature, got, want)
				}
			}
		}
	}
	var all seriesOf
	w.get(path).want(200).into(&all)
	if last := len(all.Times) - 1; last != 199 || all.Times[last] != w.clock.Now().UnixMilli() || all.Features[0].Values[0] != 1. {
		t.Errorf("without from and to: %v … %v", all.Times[0], all.Features[0])
	}
	var none seriesOf
	w.get("/api/v1/features/views/movie_features/series?movie_id=nobody&features=rating").want(200).into(&none)
	if len(none.Times) != 1 || none.Features[0].Values[0] != nil {
		t.Errorf("of nobody: %+v", none)
	}
	w.get(path+"&points=1000000").problem(400, "points")
	w.get("/api/v1/features/views/movie_features/series?movie_id=12&points=2000&from=2024-01-01&features="+strings.TrimSuffix(strings.Repeat("rating,", 60), ",")).problem(400, "points")
	w.get(path+"&from=2024-06-02&to=2024-06-01").problem(400, "from")
	w.get(path+"&as_of=2024-06-02").problem(400, "as_of")
	w.get(path+"&known_at_row=perhaps").problem(400, "known_at_row")
	w.get("/api/v1/features/views/movie_features/series").problem(400, "movie_id")
}

// However long the values are, what a series holds is bounded.
func TestFeatureSeriesOfLongValues(t *testing.T) {
	w := newFixture(t)
	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: word, type: string}]}]\nfeature_views:", 1)
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	long := strings.Repeat("x", 900_000)
	at := w.post("/api/v1/log/topics/feature-values/records", `{"entity_key": "movie_id=7", "feature_view": "critics", "values": {"word": "`+long+`"}, "timestamp": "2024-01-01T00:00:00Z"}`).want(200).at("items.0.position")
	path := "/api/v1/features/views/critics/series?movie_id=7&features=word&after=" + at
	w.get(path+"&points=2000").problem(400, "points")
	var v seriesOf
	w.get(path + "&points=2").want(200).into(&v)
	if len(v.Times) != 2 || v.Features[0].Values[0] != long || v.Features[0].Values[1] != long {
		t.Errorf("two points: %v", v.Times)
	}
}
