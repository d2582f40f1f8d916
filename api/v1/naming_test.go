package v1_test

import (
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestRenamedModelServes: a model that serves is renamed, its name is taken by another, and whatever named it still means it.
func TestRenamedModelServes(t *testing.T) {
	w := newFixture(t)
	w.train()
	before := w.post("/api/v1/models/als/versions/1/deploy", nil).want(200).at("position")
	w.post("/api/v1/models/als/rename", `{"name":"films"}`, "If-Match", `"3"`).problem(412, "If-Match")
	renamed := w.post("/api/v1/models/als/rename", `{"name":"films"}`).want(200)
	if renamed.at("stream") != "model/als" || renamed.at("events.0.type") != "model.name_claimed" || renamed.at("events.1.data.to") != "films" {
		t.Errorf("%s", renamed.Body)
	}
	w.get("/api/v1/models/als").problem(404, "")
	w.post("/api/v1/models/als/versions/1/deploy", nil).problem(404, "name")

	res, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.RegisterModel{Name: "als", Description: "the second"}, handlers.Meta{})
	w.must(err)
	w.folded(res.Position)

	check := func(path, at, want string) {
		t.Helper()
		if got := w.get(path).want(200); got.at(at) != want {
			t.Errorf("%s: %s is %s, want %s: %.600s", path, at, got.at(at), want, got.Body)
		}
	}
	check("/api/v1/models/als", "description", "the second")
	check("/api/v1/models/als", "key", "als:2")
	check("/api/v1/models/films", "key", "als")
	check("/api/v1/models/films/versions/1", "name", "films")
	check("/api/v1/models?limit=1", "items.0.name", "als")
	check("/api/v1/models", "items.1.name", "films")
	check("/api/v1/deployments", "items.0.model", "films")
	check("/api/v1/deployments/production", "model", "films")
	check("/api/v1/deployments/production/history", "items.0.model", "films")
	check("/api/v1/lineage?node=model/films/1&direction=downstream", "nodes.0", "deployment/production")
	check("/api/v1/lineage?node=deployment/production", "nodes.0", "model/films/1")
	check("/api/v1/lineage?node=deployment/production", "edges.0.from", "model/films/1")
	given := w.post("/api/v1/recommendations", `{"user_id":"1"}`).want(200)
	if given.at("model_name") != "films" || given.at("model_version") != "1" {
		t.Errorf("served by %.300s", given.Body)
	}
	check("/api/v1/recommendations/"+given.at("request_id"), "model_name", "films")
	if served, ok, err := fold.Of[*projections.Served](w.cfg.Views).ByRequest(given.at("request_id")); err != nil || !ok || served.ModelName != "als" {
		t.Errorf("the log has %+v %v", served, err)
	}
	check("/api/v1/engagement?after="+given.at("position"), "days.0.model_name", "films")
	if got := string(w.get("/metrics").Body); !strings.Contains(got, `{model="films",slot="production",version="1"}`) {
		t.Error("the figures do not say that films serves")
	}
	if r := w.post("/api/v1/ops/models/films/1/rebuild", nil).result(); r["equal"] != true || r["model"] != "films" {
		t.Errorf("rebuilt: %v", r)
	}
	w.post("/api/v1/ops/models/als/1/rebuild", nil).problem(404, "")

	// It serves, so that its version stays; another takes over, and says what was before.
	w.post("/api/v1/models/films/versions/1/stage", `{"stage":"Archived"}`).problem(409, "version")
	registered := w.version("als")
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	check("/api/v1/deployments/production", "model", "als")
	check("/api/v1/deployments/production", "previous_model", "films")
	if d, _, err := fold.Of[*projections.Deployments](w.cfg.Views).Slot(events.ProductionSlot); err != nil || d.Current.Model != "als:2" || d.Current.Version != registered {
		t.Errorf("the log has %+v %v", d.Current, err)
	}
	w.post("/api/v1/models/films/versions/1/stage", `{"stage":"Archived"}`).want(200)

	// As it was known before.
	then := "?known_at=" + before
	check("/api/v1/models/als"+then, "aliases.champion", "1")
	w.get("/api/v1/models/films"+then).problem(404, "")
	check("/api/v1/models/films?known_at="+renamed.at("position"), "name", "films")
	w.get("/api/v1/models/als?known_at="+renamed.at("position")).problem(404, "")
}

// version registers a version of a model with the weights of the first of "films".
func (w *fixture) version(name string) int {
	w.t.Helper()
	v, _, err := fold.Of[*projections.Registry](w.cfg.Views).Version("films", 1)
	w.must(err)
	res, err := w.cfg.Dispatcher.Dispatch(w.t.Context(), &commands.RegisterModelVersion{Name: name, RunID: v.RunID, Algorithm: v.Algorithm, Params: v.Params, Seed: v.Seed,
		CodeVersion: v.CodeVersion, DatasetID: v.DatasetID, DatasetCut: v.DatasetCut, FeaturesHash: v.FeaturesHash, Blob: v.Blob, Bytes: v.Bytes, Slot: v.Slot}, handlers.Meta{})
	w.must(err)
	w.folded(res.Position)
	return res.Events[0].Data.(*events.ModelVersionRegistered).Version
}
