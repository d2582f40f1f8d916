package v1_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// TestBackfill: what a backfill would do, what is wrong with one, how far it is, and that it can be cancelled once.
func TestBackfill(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	w.do("PUT", "/api/v1/workflows/definitions/daily", "name: daily\nschedule: '@daily'\ntasks: [{name: a, operator: watch_log}]\n", "Content-Type", "application/yaml").want(200)
	slot := day0.Truncate(24 * 3600e9)
	res, err := w.core.Dispatcher.Dispatch(t.Context(), &commands.RequestWorkflowRun{RunID: workflow.ScheduledRunID("daily", slot), Workflow: "daily", RunType: "scheduled",
		LogicalMillis: slot.AddDate(0, 0, -1).UnixMilli(), IntervalEndMillis: slot.UnixMilli()}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(res.Position)
	const at = "/api/v1/workflows/daily/backfills"
	dry := w.post(at, `{"from":"2024-05-29","to":"2024-06-05","dry_run":true}`).want(200)
	if dry.at("items.0.run_id") != "daily@scheduled__2024-05-30T00:00:00+00:00" || dry.at("items.1.run_id") != "daily@scheduled__2024-05-31T00:00:00+00:00" || strings.Count(string(dry.Body), "run_id") != 2 {
		t.Errorf("%s", dry.Body)
	}
	w.post(at, `{"from":"2024-05-29"}`).problem(400, "to")
	w.post(at, `{"from":"soon","to":"2024-06-05"}`).problem(400, "from")
	w.post(at, `{"from":"2024-06-05","to":"2024-05-29"}`).problem(400, "to")
	w.post(at, `{"from":"2024-05-29","to":"2024-06-05","max_active":0}`).problem(400, "max_active")
	w.post(at, `{"from":"1971-01-01","to":"2024-06-05"}`).problem(413, "")
	w.post("/api/v1/workflows/movie_data_collection/backfills", `{"from":"2024-05-29","to":"2024-06-05"}`).problem(400, "")
	w.post("/api/v1/workflows/none/backfills", `{"from":"2024-05-29","to":"2024-06-05"}`).problem(404, "")
	w.post(at, `{"from":"2024-05-29","to":"2024-06-05","max_active":2}`, "Idempotency-Key", "k").want(201)
	w.post(at, `{"from":"2024-05-29","to":"2024-06-05","max_active":2}`, "Idempotency-Key", "k").want(200) // the same
	list := w.get("/api/v1/workflows/backfills").want(200)
	id := list.at("items.0.backfill_id")
	if strings.Count(string(list.Body), "backfill_id") != 1 || list.at("items.0.state") != "running" || list.at("items.0.actor") == "" {
		t.Errorf("%s", list.Body)
	}
	if one := w.get("/api/v1/workflows/backfills/" + id).want(200); one.at("states.none") != "2" || one.at("states.queued") != "1" {
		t.Errorf("%s", one.Body)
	}
	w.post("/api/v1/workflows/backfills/"+id+"/pause", `{}`).want(200)
	if one := w.get("/api/v1/workflows/backfills/" + id).want(200); one.at("paused") != "true" || one.at("state") != "running" {
		t.Errorf("%s", one.Body)
	}
	w.post("/api/v1/workflows/backfills/"+id+"/unpause", `{}`).want(200)
	w.post("/api/v1/workflows/backfills/none/pause", `{}`).problem(404, "backfill_id")
	w.post(fmt.Sprintf("/api/v1/workflows/backfills/%s/cancel", id), `{"reason":"enough"}`).want(200)
	w.post("/api/v1/workflows/backfills/"+id+"/pause", `{}`).problem(409, "backfill_id")
	w.post(at, `{"from":"2024-05-29","to":"2024-06-05","conf":{"nope":1}}`).problem(400, "conf.nope")
	w.post(at, `{"from":"2024-05-29","to":"2024-06-05","rerun_done":true,"latest_first":true}`).want(201)
	if list := w.get("/api/v1/workflows/backfills").want(200); !strings.Contains(string(list.Body), `"rerun_done":true,"latest_first":true`) { // of one moment either may be the first
		t.Errorf("%s", list.Body)
	}
	w.get("/api/v1/workflows/backfills/none").problem(404, "")
	if one := w.get("/api/v1/workflows/backfills/" + id).want(200); one.at("state") != "cancelled" || one.at("reason") != "enough" {
		t.Errorf("%s", one.Body)
	}
}
