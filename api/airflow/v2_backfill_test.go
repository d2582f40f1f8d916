package airflow_test

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestV2Backfills: backfills as Airflow 3's client asks for them, says what they would be, holds and ends them, with its words for what is wrong.
func TestV2Backfills(t *testing.T) {
	w := newV2(t)
	const at = "/api/v2/backfills"
	d, err := workflow.Parse([]byte("name: daily\nschedule: '@daily'\nparams: [{name: heat, type: whole, default: 1, maximum: 9}]\ntasks: [{name: a, operator: watch_log}]\n"), roles.Operators())
	if err != nil {
		t.Fatal(err)
	}
	w.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
	run := func(day int) string { return fmt.Sprintf("daily@scheduled__2024-01-%02dT00:00:00+00:00", day) }
	const millis, day = 1704067200000, 86400000 // of 2024-01-01
	w.Do(&commands.RequestWorkflowRun{RunID: run(3), Workflow: "daily", RunType: "scheduled", LogicalMillis: millis + day, IntervalEndMillis: millis + 2*day})
	w.Do(&commands.EndWorkflowRun{RunID: run(3), State: "failed"})
	w.Do(&commands.RequestWorkflowRun{RunID: run(4), Workflow: "daily", RunType: "scheduled", LogicalMillis: millis + 2*day, IntervalEndMillis: millis + 3*day})
	body := func(more string) string {
		return `{"dag_id": "daily", "from_date": "2024-01-01T00:00:00Z", "to_date": "2024-01-04T00:00:00Z"` + more + `}`
	}
	dates := func(more string) string {
		t.Helper()
		v, told := w.want(200, "POST", at+"/dry_run", body(more)), ""
		list := v["backfills"].([]any)
		for _, b := range list {
			told += b.(map[string]any)["logical_date"].(string)[8:10] + " "
		}
		if v["total_entries"] != float64(len(list)) {
			t.Errorf("%v", v)
		}
		return told
	}
	for more, want := range map[string]string{``: "01 04 ", `, "run_backwards": true`: "04 01 ", `, "reprocess_behavior": "failed"`: "01 02 04 ", `, "reprocess_behavior": "completed"`: "01 02 04 "} {
		if got := dates(more); got != want {
			t.Errorf("%s: %s; want %s", more, got, want)
		}
	}
	w.refuse([]refusal{
		{404, "POST", at, `{"dag_id": "nope", "from_date": "2024-01-01", "to_date": "2024-01-02"}`, "Could not find dag nope"},
		{422, "POST", at, `{"dag_id": "movie_data_collection", "from_date": "2024-01-01", "to_date": "2024-01-02"}`, "movie_data_collection has a non-periodic schedule that does not support backfills"},
		{422, "POST", at, `{"dag_id": "daily", "from_date": null}`, `"loc":["body","to_date"],"msg":"Field required"`},
		{422, "POST", at, `{"dag_id": "daily", "from_date": "soon", "to_date": "2024-01-02"}`, "Input should be a valid datetime or date"},
		{422, "POST", at, `{"dag_id": "daily", "from_date": "2024-01-02", "to_date": "2024-01-01"}`, "from_date (2024-01-02T00:00:00+00:00) must not be after to_date (2024-01-01T00:00:00+00:00)."},
		{422, "POST", at, `{"dag_id": "daily", "from_date": "2124-01-02", "to_date": "2124-01-03"}`, "Backfill cannot be executed for future dates."},
		{422, "POST", at, `{"dag_id": "daily", "from_date": "2024-01-01T01:00:00Z", "to_date": "2024-01-01T02:00:00Z"}`, "No runs to create for Dag daily in the range [2024-01-01 01:00:00+00:00, 2024-01-01 02:00:00+00:00]"},
		{422, "POST", at, `{"dag_id": "daily", "from_date": "1971-01-01", "to_date": "2024-01-02"}`, "more than 10000 runs"},
		{422, "POST", at, body(`, "reprocess_behavior": "some"`), "'failed', 'completed' or 'none'"},
		{422, "POST", at, body(`, "dag_run_conf": {"heat": 10}`), "conf.heat"},
		{422, "POST", at, body(`, "dag_run_conf": [1]`), "Input should be a valid dictionary"},
		{422, "POST", at, body(`, "dag_run_conf": {"heat": 2}, "reprocess_behavior": "failed"`), "dag_run_conf: a run that is done again"},
		{422, "POST", at, body(`, "run_on_latest_version": true, "reprocess_behavior": "failed"`), "run_on_latest_version: a run goes by"},
		{400, "POST", at, body(`, "max_active_runs": 0`), "max_active"},
		{422, "GET", at, "", `"loc":["query","dag_id"],"msg":"Field required"`},
		{400, "GET", at + "?dag_id=daily&order_by=dag_id", "", "Ordering with 'dag_id'"},
		{404, "GET", at + "/7", "", "Backfill not found"},
		{422, "GET", at + "/x", "", `"loc":["path","backfill_id"]`},
		{404, "PUT", at + "/7/pause", "", "Backfill not found"},
	}...)
	v := w.want(200, "POST", at, body(`, "dag_run_conf": {"heat": 2}, "max_active_runs": 3, "run_backwards": true`))
	for way, want := range map[string]any{"dag_id": "daily", "from_date": "2024-01-01T00:00:00Z", "to_date": "2024-01-04T00:00:00Z", "dag_run_conf.heat": "2", "is_paused": false, "reprocess_behavior": "none",
		"max_active_runs": 3., "completed_at": nil, "dag_display_name": "daily"} {
		if got := of(v, way); got != want {
			t.Errorf("%s: %v; want %v", way, got, want)
		}
	}
	id := fmt.Sprintf("%s/%.0f", at, v["id"])
	list := w.want(200, "GET", at+"?dag_id=daily", "")
	if list["total_entries"] != 1. || of(list, "backfills.0.id") != v["id"] {
		t.Errorf("%v", list)
	}
	key := of(w.want(200, "GET", "/api/v2/backfills?dag_id=movie_data_collection", ""), "backfills")
	if n := len(key.([]any)); n != 0 {
		t.Errorf("%v", key)
	}
	w.refuse(refusal{409, "POST", at, body(""), "There is already a running backfill for dag daily"})
	if v := w.want(200, "PUT", id+"/pause", ""); v["is_paused"] != true {
		t.Errorf("%v", v)
	}
	w.want(200, "PUT", id+"/pause", "")
	if v := w.want(200, "PUT", id+"/unpause", ""); v["is_paused"] != false || w.want(200, "GET", id, "")["is_paused"] != false {
		t.Errorf("%v", v)
	}
	// Of its runs one has begun, and one waits: this one fails with the backfill, unlike that of the schedule, which waits too.
	b, ok, err := w.workflows().BackfillAt(int64(v["id"].(float64)))
	if err != nil || !ok {
		t.Fatal(err)
	}
	w.Do(&commands.RequestWorkflowRun{RunID: run(2), Workflow: "daily", RunType: "backfill", Note: "backfill " + b.BackfillID, LogicalMillis: millis, IntervalEndMillis: millis + day})
	w.Do(&commands.RequestWorkflowRun{RunID: run(5), Workflow: "daily", RunType: "backfill", Note: "backfill " + b.BackfillID, LogicalMillis: millis + 3*day, IntervalEndMillis: millis + 4*day})
	w.Do(&commands.StartTask{RunID: run(2), Task: "a", Holder: "h", LeaseMillis: 60_000})
	if v := w.want(200, "PUT", id+"/cancel", ""); v["completed_at"] == nil || v["is_paused"] != true {
		t.Errorf("%v", v)
	}
	for day, want := range map[int]string{2: "running", 4: "queued", 5: "failed"} {
		if r, _, err := w.workflows().Run(run(day)); err != nil || r.State != want {
			t.Errorf("%d: %s, %v; want %s", day, r.State, err, want)
		}
	}
	for _, verb := range []string{"pause", "unpause", "cancel"} {
		w.refuse(refusal{409, "PUT", id + "/" + verb, "", "Backfill is already completed."})
	}
	w.want(200, "POST", at, body(""))
	if list := w.want(200, "GET", at+"?dag_id=daily&order_by=-id", ""); list["total_entries"] != 2. || of(list, "backfills.1.id") != v["id"] {
		t.Errorf("%v", list)
	}
}

func (w *v2) workflows() *projections.Workflows { return fold.Of[*projections.Workflows](w.Views) }
