package v1_test

import (
	"context"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// TestDeployByFeatureViews: a version that says which feature views it was trained on serves while they are as they were, whatever else is defined.
func TestDeployByFeatureViews(t *testing.T) {
	w := newFixture(t)
	w.train()
	v := w.get("/api/v1/models/als/versions/1").want(200)
	hash := w.get("/api/v1/features/views/movie_features/versions").at("items.0.hash")
	register := func(views []events.ViewRead) {
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), &commands.RegisterModelVersion{Name: "als", RunID: strings.Repeat("a", 32), Algorithm: "als", Params: map[string]string{}, CodeVersion: v.at("code_version"),
			DatasetID: "d", DatasetCut: v.at("dataset_cut"), FeaturesHash: v.at("features_hash"), Blob: v.at("blob"), Bytes: 1, Slot: events.ProductionSlot, FeatureViews: views}, handlers.Meta{})
		w.must(err)
		w.folded(res.Position)
	}
	register([]events.ViewRead{})
	register([]events.ViewRead{{View: "movie_features", Hash: hash}})
	before := w.get("/api/v1/log/moment").at("cut")
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "{name: account_age_days, type: int64, aggregation: age", "{name: account_age_days, type: float64, aggregation: age", 1)).want(200)
	deploy := func(version string) *answer { return w.post("/api/v1/models/als/versions/"+version+"/deploy", nil) }
	deploy("1").problem(409, "features_hash") // it says nothing: it may have read anything
	deploy("2").want(200)
	deploy("3").want(200)
	deploy("2").want(200)
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "half_life: 30d", "half_life: 31d", 1)).want(200)
	deploy("2").want(200)
	p := deploy("3").problem(409, "feature_views")
	if !strings.Contains(p.Detail, "version 3 of model als was trained on feature view movie_features as version 1 had it, "+hash+"; in force is version 2") || !strings.Contains(p.Hint, "/api/v1/features/views/movie_features/versions/1") {
		t.Errorf("%+v", p)
	}
	if got := w.get("/api/v1/lineage?node=model/als/3").want(200); !strings.Contains(string(got.Body), `"feature-view/movie_features/`+hash+`"`) {
		t.Errorf("upstream: %s", got.Body)
	}
	if got := w.get("/api/v1/lineage?direction=downstream&node=feature-view/movie_features@v1").want(200); !strings.Contains(string(got.Body), `"model/als/3"`) || strings.Contains(string(got.Body), `"model/als/2"`) {
		t.Errorf("downstream: %s", got.Body)
	}
	if got := w.get("/api/v1/lineage?direction=downstream&node=feature-view/movie_features").want(200); strings.Contains(string(got.Body), "model/als") {
		t.Errorf("of what is in force: %s", got.Body)
	}
	if got := w.get("/api/v1/lineage?direction=downstream&node=feature-view/movie_features&known_at=" + before).want(200); !strings.Contains(string(got.Body), `"model/als/3"`) {
		t.Errorf("of what was in force: %s", got.Body)
	}
	w.get("/api/v1/lineage?node=feature-view/movie_features@v2&known_at="+before).problem(404, "node")
	w.get("/api/v1/lineage?node=feature-view/nope").problem(404, "node")
}
