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
