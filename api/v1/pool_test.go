package v1_test

import (
	"fmt"
	"strings"
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

// TestRetryNow: a task that waits for its next try is told to begin it, and no other is.
func TestRetryNow(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	var at handlers.Result
	for _, c := range []commands.Command{&commands.RequestWorkflowRun{RunID: "r", Workflow: "movie_data_collection", RunType: "manual"},
		&commands.StartTask{RunID: "r", Task: "fetch_movies", Holder: "h", LeaseMillis: 1000},
		&commands.FailTask{RunID: "r", Task: "fetch_movies", Try: 1, Holder: "h", Error: "x", RetryAtMillis: w.clock.Now().UnixMilli() + 60_000},
		&commands.MissSLA{RunID: "r", Workflow: "movie_data_collection", Task: "fetch_movies", SLAMillis: 1, DueMillis: 1}} {
		var err error
		at, err = w.core.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"})
		w.must(err)
	}
	w.folded(at.Position)
	w.post("/api/v1/workflows/runs/r/retry", `{"task":"none"}`).problem(400, "task")
	w.post("/api/v1/workflows/runs/r/retry", `{"task":"process_movies"}`).problem(409, "task")
	w.post("/api/v1/workflows/runs/none/retry", `{"task":"fetch_movies"}`).problem(404, "")
	w.post("/api/v1/workflows/runs/r/retry", `{"task":"fetch_movies"}`).want(200)
	if v := w.get("/api/v1/workflows/runs/r").want(200); v.at("tasks.0.retry_at_millis") != fmt.Sprint(w.clock.Now().UnixMilli()) || v.at("late") != "true" {
		t.Errorf("%s", v.Body)
	}
	if v := w.get("/api/v1/workflows/movie_data_collection").want(200); v.at("sla_missed") != "1" {
		t.Errorf("%s", v.Body)
	}
	if text := string(w.get("/metrics").want(200).Body); !strings.Contains(text, `workflow_sla_missed_total{workflow="movie_data_collection"} 1`) {
		t.Error("the metrics do not say it")
	}
}
