package inference_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

func idsOf(v map[string]any) (ids []string) {
	for _, it := range v["items"].([]any) {
		ids = append(ids, it.(map[string]any)["movie_id"].(string))
	}
	return ids
}

// Many people, pairs or films in one request are answered as each alone, all by one version.
func TestBatches(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	w.train("ease", "ease", nil)
	for _, query := range []string{"", "?model=ease&version=1"} {
		before := w.records()
		lists := w.want(200, "POST", "/recommend"+query, `{"user_ids": [1, "user_002", "somebody", 1], "k": 7}`)["lists"].([]any)
		if n := w.records() - before; len(lists) != 4 || n != 4 {
			t.Fatalf("%d lists, %d records", len(lists), n)
		}
		requests := map[any]bool{}
		for i, user := range []string{"1", "2", "somebody", "1"} {
			list := lists[i].(map[string]any)
			alone := w.want(200, "POST", "/recommend"+query, fmt.Sprintf(`{"user_id": %q, "k": 7, "record": false}`, user))
			if requests[list["request_id"]] = true; list["user_id"] != user || list["recorded"] != true || !slices.Equal(idsOf(list), idsOf(alone)) || list["model_name"] != alone["model_name"] {
				t.Errorf("%s: %v, alone %v", user, list, alone)
			}
		}
		if len(requests) != 4 {
			t.Errorf("request ids %v", requests)
		}
		again := w.want(200, "POST", "/recommend"+query, `{"user_ids": [1], "k": 30, "exclude_seen": false, "record": false}`)["lists"].([]any)[0].(map[string]any)
		if len(idsOf(again)) != 30 || again["unrecorded"] != "asked" {
			t.Errorf("with what was met: %v", again)
		}
		likes := w.want(200, "POST", "/similar"+query, `{"movie_ids": [3, "movie_030"], "k": 4}`)["lists"].([]any)
		for i, movie := range []string{"3", "movie_030"} {
			alone := w.want(200, "POST", "/similar"+query, fmt.Sprintf(`{"movie_id": %q, "k": 4}`, movie))
			if list := likes[i].(map[string]any); list["movie_id"] != movie || len(idsOf(list)) != 4 || !slices.Equal(idsOf(list), idsOf(alone)) {
				t.Errorf("like %s: %v, alone %v", movie, list, alone)
			}
		}
		if first := likes[0].(map[string]any)["items"].([]any)[0].(map[string]any); query != "" && first["sources"].(map[string]any)["ease"] == nil {
			t.Errorf("by ease: %v", first)
		}
	}
	v := w.want(200, "POST", "/predict", `{"pairs": [{"user_id": 1, "movie_id": 2}, {"user_id": "user_2", "movie_id": "movie_30"}, {"user_id": 1, "movie_id": 1}]}`)
	got := v["predictions"].([]any)
	for i, pair := range [][2]string{{"1", "2"}, {"2", "30"}, {"1", "1"}} {
		alone := w.want(200, "POST", "/predict", fmt.Sprintf(`{"user_id": %q, "movie_ids": [%q]}`, pair[0], pair[1]))
		p, want := got[i].(map[string]any), alone["predictions"].([]any)[0].(map[string]any)
		if p["user_id"] != pair[0] || p["movie_id"] != pair[1] || p["rating"] != want["rating"] || p["known"] != want["known"] || p["known_user"] != alone["known_user"] || v["model_name"] != "neural_cf" {
			t.Errorf("%v: %v, alone %v", pair, p, alone)
		}
	}
}

// By films that somebody without an id has looked at, films are ranked, and nothing is kept of it.
func TestGuest(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	w.train("ease", "ease", nil)
	w.Do(&commands.DeployModel{Slot: events.ProductionSlot, Model: "ease", Version: 1})
	before := w.records()
	v := w.want(200, "POST", "/recommend", `{"movie_ids": [1, "movie_003", 30], "k": 5, "exclude_seen": true}`)
	if v["model_name"] != "ease" || v["strategy"] != "ease" || v["recorded"] != false || v["unrecorded"] != "guest" || v["user_id"] != "" || len(idsOf(v)) != 5 {
		t.Errorf("%v", v)
	}
	for _, id := range idsOf(v) {
		if slices.Contains([]string{"1", "3", "30"}, id) {
			t.Errorf("%s was looked at: %v", id, v)
		}
	}
	other := w.want(200, "POST", "/recommend", `{"movie_ids": [2, 4, 6], "k": 5}`)
	if slices.Equal(idsOf(v), idsOf(other)) {
		t.Errorf("whatever was looked at, the list is %v", idsOf(v))
	}
	all := w.want(200, "POST", "/recommend?model=ease", `{"movie_ids": [1, 3, 30], "k": 30, "exclude_seen": false}`)
	if len(idsOf(all)) != 30 {
		t.Errorf("%v", idsOf(all))
	}
	for body, want := range map[string]int{`{"movie_ids": [1], "user_id": 1}`: 422, `{"movie_ids": []}`: 422, `{"movie_ids": [1, 999]}`: 404,
		`{"movie_ids": [` + strings.Repeat("1,", 100) + `1]}`: 422, `{"movie_ids": [1, null]}`: 422} {
		w.want(want, "POST", "/recommend", body)
	}
	if n := w.records(); n != before {
		t.Errorf("%d records", n-before)
	}
	w.train("bpr", "bpr", map[string]string{"bpr.epochs": "2", "bpr.dim": "4"})
	for _, ofPeople := range []string{"neural_cf", "bpr"} {
		if v := w.want(409, "POST", "/recommend?model="+ofPeople, `{"movie_ids": [1]}`); !strings.Contains(v["detail"].(string), "name another model") {
			t.Errorf("%v", v)
		}
	}
	w.Do(&commands.DeployModel{Slot: events.ProductionSlot, Model: "bpr", Version: 1})
	if v := w.want(200, "POST", "/recommend", `{"movie_ids": [1, 3, 30]}`); v["model_name"] != nil || v["strategy"] != "online" {
		t.Errorf("by a model of people that serves: %v", v)
	}
}
