package v1_test

import (
	"strings"
	"testing"
	"time"
)

// TestUsers: what is said of a person is kept as it was said, from when on it is so and when it was recorded; what is
// wrong, or was said already, leaves nothing in the log.
func TestUsers(t *testing.T) {
	w := newFixture(t)
	w.get("/api/v1/users/7").problem(404, "")
	first := w.post("/api/v1/users", `{"user_id": "user_007", "age": 33, "gender": "F", "since": "2015-01-01T00:00:00Z"}`).want(201)
	if first.at("stream") != "user/7" || first.at("events.0.type") != "user.described" {
		t.Errorf("%s", first.Body)
	}
	before := w.get("/api/v1/users/7").want(200)
	w.post("/api/v1/users", `{"user_id": 7, "age": 34, "occupation": "writer"}`).want(201)
	if got := w.post("/api/v1/users", `{"user_id": 7, "age": 34}`).want(200); got.at("unchanged") != "true" {
		t.Errorf("the same again: %s", got.Body)
	}
	for query, want := range map[string]string{
		"":                                    "34 F writer 2",
		"?as_of=2016-01-01":                   "33 F  1",
		"?known_at=" + first.at("position"):   "33 F  1",
		"?known_at=mlops-events/0:1":          "",
		"?as_of=2014-12-31T23:59:59Z":         "",
		"?as_of=2016-01-01&known_at=2015-1-1": "400",
	} {
		if want == "" {
			w.get("/api/v1/users/7"+query).problem(404, "")
			continue
		}
		if want == "400" {
			w.get("/api/v1/users/7"+query).problem(400, "known_at")
			continue
		}
		a := w.get("/api/v1/users/user_7" + query).want(200)
		var v struct {
			Age                int
			Gender, Occupation string
			Said               []any
		}
		a.into(&v)
		if got := strings.Join([]string{a.at("age"), v.Gender, v.Occupation, string(rune('0' + len(v.Said)))}, " "); got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	head := w.head()
	for body, field := range map[string]string{
		`{"user_id": 7}`:               "age",
		`{"age": 3}`:                   "user_id",
		`{"user_id": "a/b", "age": 3}`: "user_id",
		`{"user_id": 7, "age": "3"}`:   "age",
		`{"user_id": 7, "age": 1000}`:  "age",
		`{"user_id": 7, "age": 3, "since": "2099-01-01T00:00:00Z"}`:        "since",
		`{"user_id": 7, "age": 3, "since": "now"}`:                         "since",
		`{"user_id": 7, "age": 3, "dataset": "ml-1m"}`:                     "dataset",
		`{"user_id": 7, "occupation": "` + strings.Repeat("x", 257) + `"}`: "occupation",
	} {
		w.post("/api/v1/users", body).problem(400, field)
	}
	w.post("/api/v1/users", `{"user_id": 7, "age": 3}`, "If-Match", before.Header.Get("ETag")).problem(412, "If-Match")
	if after := w.head(); after != head {
		t.Errorf("%d commits were made by what was refused", after-head)
	}
}

// head is how many commits the ledger has.
func (w *fixture) head() int64 {
	w.t.Helper()
	n, err := w.log.Ledger().Head(w.t.Context(), time.Time{})
	w.must(err)
	return n
}

// TestUserAttributes: the feature age is what was said of the person, as of the time asked for and as known then; read
// one by one, and joined row by row.
func TestUserAttributes(t *testing.T) {
	w := newFixture(t)
	age := func(query string) string {
		a := w.get("/api/v1/features/user/1?features=age,account_age_days" + query)
		if a.Status == 404 {
			return "unknown"
		}
		return a.want(200).at("features.age")
	}
	if got := age(""); got != "null" {
		t.Errorf("before anything was said: %s", got)
	}
	w.clock.set(day0.Add(time.Hour))
	first := w.post("/api/v1/users", `{"user_id": 1, "age": 33, "since": "2024-03-01T00:00:00Z"}`).want(201)
	w.clock.set(day0.Add(2 * time.Hour))
	w.post("/api/v1/users", `{"user_id": 1, "age": 34, "since": "2024-05-01T00:00:00Z"}`).want(201)
	for query, want := range map[string]string{
		"":                                  "34",
		"&as_of=2024-04-30":                 "33",
		"&as_of=2024-02-28":                 "null", // acts are known, the age is not
		"&as_of=2023-01-01":                 "unknown",
		"&known_at=" + first.at("position"): "33",
		"&known_at=2024-06-01T12:30:00Z":    "null",
		"&as_of=2024-05-15&known_at=2024-06-01T13:30:00Z": "33",
	} {
		if got := age(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	rows := "user_id,event_timestamp\n1,2024-04-30\n1,2024-05-01\n1,2024-02-28\n2,2024-05-01\n"
	for query, want := range map[string]string{
		"":                                  "1,2024-04-30,33\n1,2024-05-01,34\n1,2024-02-28,\n2,2024-05-01,\n",
		"&known_at=" + first.at("position"): "1,2024-04-30,33\n1,2024-05-01,33\n1,2024-02-28,\n2,2024-05-01,\n",
		"&known_at_row=true":                "1,2024-04-30,\n1,2024-05-01,\n1,2024-02-28,\n2,2024-05-01,\n",
		"&exclusive=true":                   "1,2024-04-30,33\n1,2024-05-01,33\n1,2024-02-28,\n2,2024-05-01,\n",
	} {
		a := w.post("/api/v1/features/historical?features=user_features:age"+query, rows, "Content-Type", "text/csv").want(200)
		if want = "user_id,event_timestamp,age\n" + want; string(a.Body) != want {
			t.Errorf("%s:\n%s\nwant\n%s", query, a.Body, want)
		}
	}
}
