package v1_test

import (
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
)

// TestPools: pools are defined and removed, and one that tasks wait for and nobody has defined is listed as such.
func TestPools(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	w.do("PUT", "/api/v1/workflows/pools/gpu", `{"slots":2,"description":"cards"}`).want(200)
	w.do("PUT", "/api/v1/workflows/pools/gpu", `{}`).problem(400, "slots")
	w.do("PUT", "/api/v1/workflows/pools/gpu", `{"slots":-3}`).problem(400, "slots")
	w.do("PUT", "/api/v1/workflows/definitions/w", "name: w\ntasks: [{name: a, operator: watch_log, pool: none, pool_slots: 3}]\n", "Content-Type", "application/yaml").want(200)
	res, err := w.core.Dispatcher.Dispatch(t.Context(), &commands.RequestWorkflowRun{RunID: "r", Workflow: "w", RunType: "manual"}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	v := w.get("/api/v1/workflows/pools").want(200)
	if v.at("items.0.name") != "default_pool" || v.at("items.1.name") != "gpu" || v.at("items.1.slots") != "2" || v.at("items.2.name") != "none" || v.at("items.2.undefined") != "true" || v.at("items.2.waiting_slots") != "3" {
		t.Errorf("%s", v.Body)
	}
	w.do("DELETE", "/api/v1/workflows/pools/gpu", nil).want(200)
	w.do("DELETE", "/api/v1/workflows/pools/gpu", nil).problem(404, "pool")
	w.do("DELETE", "/api/v1/workflows/pools/default_pool", nil).problem(400, "pool")
}
