package v1_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// Who deploys says what the slot served as it was read: of two from the same reading one deploys, also of two models, by whatever words.
func TestDeployInsteadOf(t *testing.T) {
	w := newFixture(t)
	w.train()
	v := w.get("/api/v1/models/als/versions/1").want(200)
	for _, model := range []string{"als", "other"} {
		if model != "als" {
			w.dispatch(&commands.RegisterModel{Name: model})
		}
		for range 4 {
			res, err := w.cfg.Dispatcher.Dispatch(context.Background(), &commands.RegisterModelVersion{Name: model, RunID: strings.Repeat("a", 32), Algorithm: "als", Params: map[string]string{}, CodeVersion: v.at("code_version"),
				DatasetID: "d", DatasetCut: v.at("dataset_cut"), FeaturesHash: v.at("features_hash"), Blob: v.at("blob"), Bytes: 1, Slot: events.ProductionSlot}, handlers.Meta{})
			w.must(err)
			w.folded(res.Position)
		}
	}
	deploy := func(model string, n int, insteadOf string, header ...string) *answer {
		return w.post(fmt.Sprintf("/api/v1/models/%s/versions/%d/deploy", model, n), map[string]string{"instead_of": insteadOf}, header...)
	}
	slot := func() string { return w.get("/api/v1/deployments/production").want(200).at("position") }

	deploy("als", 1, "mlops-events/0@3").problem(409, "instead_of")
	deploy("als", 1, "none").want(200)
	first := slot()
	// The revision of a model that was read is that of its stream, also where a deployment was the last: it can be decided on.
	read := w.get("/api/v1/models/als").want(200).at("revision")
	deploy("als", 1, first, "If-Match", `"`+read+`"`).want(200)
	w.post("/api/v1/models/als/versions/1/deploy", `{"slot":"canary"}`, "If-Match", `"`+read+`"`).want(200)
	w.post("/api/v1/models/als/versions/1/deploy", `{"slot":"other"}`, "If-Match", `"`+read+`"`).problem(412, "If-Match")
	deploy("als", 2, "none").problem(409, "instead_of")
	deploy("other", 1, first, "Idempotency-Key", "k").want(200)
	if again := deploy("other", 1, first, "Idempotency-Key", "k").want(200); again.at("duplicate") != "true" {
		t.Errorf("the same again: %s", again.Body)
	}
	deploy("als", 2, slot()).want(200)
	if again := deploy("other", 1, first, "Idempotency-Key", "k").want(200); again.at("duplicate") != "true" || w.get("/api/v1/deployments/production").want(200).at("model") != "als" {
		t.Errorf("the same again, after another: %s", again.Body)
	}
	deploy("other", 1, slot()).want(200)
	if p := deploy("als", 2, first).problem(409, "instead_of"); !strings.Contains(p.Detail, "other 1") || !strings.Contains(p.Hint, "/api/v1/deployments/production") {
		t.Errorf("%+v", p)
	}
	stage := map[string]string{"stage": "Production", "instead_of": first}
	w.post("/api/v1/models/als/versions/2/stage", stage).problem(409, "instead_of")
	w.do("PUT", "/api/v1/models/als/aliases/champion", map[string]any{"version": 2, "instead_of": first}).problem(409, "instead_of")
	w.do("PUT", "/api/v1/models/als/aliases/best", map[string]any{"version": 2, "instead_of": first}).want(200) // it serves nothing by that
	stage["instead_of"] = slot()
	w.post("/api/v1/models/als/versions/2/stage", stage).want(200)
	w.do("PUT", "/api/v1/models/als/aliases/champion", map[string]any{"version": 1, "instead_of": slot()}).want(200)
	deploy("other", 2, "").want(200) // who says nothing takes what there is

	for range 5 {
		read := slot()
		var mu sync.Mutex
		answers := map[int]int{}
		var asking sync.WaitGroup
		for i, c := range []struct {
			model string
			n     int
		}{{"als", 3}, {"als", 4}, {"other", 3}, {"other", 4}} {
			asking.Go(func() {
				a := deploy(c.model, c.n, read, "X-Actor", fmt.Sprint("user", i))
				mu.Lock()
				defer mu.Unlock()
				answers[a.Status]++
			})
		}
		asking.Wait()
		if answers[200] != 1 || answers[409] != 3 {
			t.Fatalf("answers by status: %v", answers)
		}
		deploy("als", 5, "").want(200)
	}
}

// A model's revision is that of its stream, whatever came last: who has read it may change it.
func TestModelRevisionAfterDeployment(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.train()
	for i, command := range []struct{ method, path, body string }{
		{"POST", "/versions/1/deploy", `{}`}, {"POST", "/versions/2/deploy", `{}`}, {"POST", "/versions/1/stage", `{"stage":"Staging"}`}, {"POST", "/versions/1/deploy", `{"slot":"canary"}`}, {"PUT", "/aliases/best", `{"version":1}`}, {"POST", "/versions/1/deploy", `{}`}, {"DELETE", "/aliases/best", `{}`},
	} {
		m := w.get("/api/v1/models/als").want(200)
		at := m.at("revision")
		if m.Header.Get("ETag") != `"`+at+`"` || w.get("/api/v1/models/als?known_at="+url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))).at("revision") != at {
			t.Errorf("%d: revision %s, tag %s", i, at, m.Header.Get("ETag"))
		}
		w.do(command.method, "/api/v1/models/als"+command.path, command.body, "If-Match", `"`+at+`"`).want(200)
		w.do(command.method, "/api/v1/models/als"+command.path, command.body, "If-Match", `"`+at+`"`).want(412)
	}
}
