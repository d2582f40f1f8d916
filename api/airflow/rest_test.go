package airflow_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api/airflow"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
)

const prepare, train = "prepare_training_data", "train_movie_model"

// TestRefusedAsAirflow: what there is nothing of is not found, and what is the configuration's is refused, under Airflow's titles.
func TestRefusedAsAirflow(t *testing.T) {
	w := newFixture(t)
	w.want(200, "POST", dagRuns, `{"dag_run_id": "r1"}`)
	before := w.Head()
	at := dagRuns + "/r1/taskInstances/" + prepare
	for _, c := range []struct {
		status             int
		method, path, body string
		title, says        string
	}{
		{404, "GET", "/api/v1/dags/nope", "", "DAG not found", "The DAG with dag_id: nope was not found"},
		{404, "GET", "/api/v1/dags/nope/details", "", "DAG not found", "nope"},
		{404, "GET", training + "/tasks/nope", "", "Task not found", "nope"},
		{400, "GET", training + "?fields=nope", "", "DAGSchema error", "nope"},
		{400, "GET", training + "/tasks?order_by=nope", "", "Bad Request", "Ordering with 'nope'"},
		{404, "PATCH", "/api/v1/dags/nope", `{"is_paused": true}`, "Dag with id: 'nope' not found", ""},
		{400, "PATCH", training + "?update_mask=description", `{"is_paused": true}`, "Bad Request", "Only `is_paused`"},
		{400, "PATCH", "/api/v1/dags", `{"is_paused": true}`, "Bad Request", "dag_id_pattern"},
		{404, "DELETE", "/api/v1/dags/nope", "", "Dag with id: 'nope' not found", ""},
		{409, "DELETE", training, "", "Conflict", "are still running"},
		{404, "GET", dagRuns + "/nope", "", "DAGRun not found", "DAGRun with DAG ID: 'movie_training_pipeline' and DagRun ID: 'nope' not found"},
		{404, "DELETE", dagRuns + "/nope", "", "Not Found", "nope"},
		{400, "GET", dagRuns + "/r1?fields=nope", "", "DAGRunSchema error", "nope"},
		{404, "GET", dagRuns + "/nope/upstreamDatasetEvents", "", "DAGRun not found", "nope"},
		{400, "POST", "/api/v1/dags/~/dagRuns/list", `{"page_limit": 0}`, "Bad Request", "page_limit"},
		{400, "POST", "/api/v1/dags/~/dagRuns/list", `{"page_limit": "x"}`, "Bad Request", "page_limit"},
		{400, "POST", "/api/v1/dags/~/dagRuns/list", `{"start_date_gte": "2024-01-01T00:00:00"}`, "Bad Request", "Naive datetime"},
		{400, "POST", "/api/v1/dags/~/dagRuns/list", `{"states": ["nope"]}`, "Bad Request", "nope"},
		{400, "POST", "/api/v1/dags/~/dagRuns/~/taskInstances/list", `{"state": ["nope"]}`, "Bad Request", "nope"},
		{400, "GET", dagRuns + "/~/taskInstances?state=nope", "", "Bad Request", "nope"},
		{400, "GET", dagRuns + "/~/taskInstances?duration_gte=x", "", "Bad Request", "duration_gte"},
		{400, "GET", dagRuns + "/~/taskInstances?order_by=state", "", "Bad Request", "order_by"},
		{404, "GET", dagRuns + "/r1/taskInstances/nope", "", "Task instance not found", "nope"},
		{404, "GET", at + "/tries/9", "", "Task instance not found", "try_number=9"},
		{400, "GET", at + "/tries/x", "", "Bad Request", "x"},
		{404, "GET", at + "/0", "", "Task instance not found", "mapped"},
		{404, "GET", at + "/0/tries/1", "", "Task instance not found", "mapped"},
		{404, "PATCH", at + "/0", `{"new_state": "success"}`, "Task instance not found", "mapped"},
		{404, "GET", at + "/listMapped", "", "Task id prepare_training_data is not mapped", ""},
		{404, "GET", at + "/xcomEntries/rows", "", "XCom entry not found", ""},
		{400, "GET", at + "/xcomEntries/rows?deserialize=true", "", "Bad Request", "disabled"},
		{400, "PATCH", dagRuns + "/r1/setNote", `{"note": "` + strings.Repeat("x", 1001) + `"}`, "Bad Request", "1000"},
		{404, "POST", training + "/updateTaskInstancesState", `{"task_id": "nope", "new_state": "success", "execution_date": "2024-01-01T00:00:00Z"}`, "Task ID nope not found", ""},
		{400, "POST", training + "/updateTaskInstancesState", `{"task_id": "train_movie_model", "new_state": "success"}`, "Bad Request", "Exactly one of"},
		{404, "POST", training + "/updateTaskInstancesState", `{"task_id": "train_movie_model", "new_state": "success", "execution_date": "2024-01-01T00:00:00Z"}`, "Not Found", "execution_date"},
		{404, "GET", "/api/v1/dagSources/nope", "", "Dag source not found", ""},
		{404, "PUT", "/api/v1/parseDagFile/nope", "", "File not found", ""},
		{404, "GET", "/api/v1/eventLogs/5", "", "Event Log not found", ""},
		{404, "GET", "/api/v1/eventLogs/x", "", "Event Log not found", ""},
		{400, "GET", "/api/v1/eventLogs?order_by=nope", "", "Bad Request", "nope"},
		{404, "GET", "/api/v1/importErrors/7", "", "Import error not found", "The ImportError with import_error_id: `7` was not found"},
		{400, "GET", "/api/v1/dagStats", "", "Bad Request", "dag_ids"},
		{400, "GET", "/api/v1/dagWarnings?order_by=nope", "", "Bad Request", "nope"},
		{403, "GET", "/api/v1/config", "", "Forbidden", "chose not to expose the configuration"},
		{403, "GET", "/api/v1/config/section/core/option/parallelism", "", "Forbidden", "chose not to expose"},
		{404, "GET", "/api/v1/connections/nope", "", "Connection not found", "`nope`"},
		{403, "POST", "/api/v1/connections", `{"connection_id": "x", "conn_type": "http"}`, "Forbidden", "configured"},
		{403, "DELETE", "/api/v1/connections/tmdb", "", "Forbidden", "configured"},
		{403, "PATCH", "/api/v1/users/admin", `{}`, "Forbidden", "configured"},
		{403, "POST", "/api/v1/roles", `{}`, "Forbidden", "configured"},
		{404, "GET", "/api/v1/users/nope", "", "User not found", "nope"},
		{404, "GET", "/api/v1/roles/nope", "", "Role not found", "nope"},
		{404, "GET", "/api/v1/datasets/s3%3A%2F%2Ffilms", "", "Dataset not found", "s3://films"},
		{404, "POST", "/api/v1/datasets/events", `{"dataset_uri": "s3://films"}`, "Dataset not found", "s3://films"},
		{404, "GET", training + "/datasets/queuedEvent", "", "Queue event not found", "movie_training_pipeline"},
		{404, "DELETE", training + "/datasets/queuedEvent/s3%3A%2F%2Ffilms", "", "Queue event not found", "s3://films"},
		{404, "GET", "/api/v1/datasets/queuedEvent/s3%3A%2F%2Ffilms", "", "Queue event not found", "s3://films"},
		{404, "GET", "/api/v1/variables/nope", "", "Variable not found", "Variable does not exist"},
		{404, "DELETE", "/api/v1/variables/nope", "", "Variable not found", ""},
		{404, "PATCH", "/api/v1/variables/nope", `{"key": "nope", "value": "x"}`, "Variable not found", ""},
		{400, "PATCH", "/api/v1/variables/nope", `{"key": "other", "value": "x"}`, "Invalid post body", "doesn't match"},
		{400, "POST", "/api/v1/variables", `{"key": "k"}`, "Invalid Variable schema", "'value': ['Missing data for required field.']"},
		{400, "POST", "/api/v1/variables", `{"key": "a/b", "value": "x"}`, "Bad Request", "slash"},
		{400, "POST", "/api/v1/variables", `{"key": "` + strings.Repeat("k", 251) + `", "value": "x"}`, "Bad Request", "251"},
		{400, "POST", "/api/v1/variables", `{"key": "k", "value": "` + strings.Repeat("x", commands.VariableBytesMax+1) + `"}`, "Bad Request", "65536"},
		{400, "GET", "/api/v1/variables?order_by=nope", "", "Bad Request", "nope"},
		{400, "GET", "/api/v1/dags?limit=-1", "", "Bad Request", "limit"},
	} {
		code, text, v := w.ask(c.method, c.path, c.body)
		if code != c.status || v["title"] != c.title || !strings.Contains(text, c.says) || v["status"] != float64(c.status) {
			t.Errorf("%s %s %.80s: %d %.300s; want %d, %q, %q", c.method, c.path, c.body, code, text, c.status, c.title, c.says)
		}
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestDetails: what a definition says, and its text.
func TestDetails(t *testing.T) {
	w := newFixture(t)
	v := w.want(200, "GET", "/api/v1/dags/movie_data_collection/details?fields=params&fields=timezone", "")
	pages := v["params"].(map[string]any)["pages"].(map[string]any)
	if len(v) != 2 || pages["value"] != 5. || pages["schema"].(map[string]any)["type"] != "integer" || pages["schema"].(map[string]any)["maximum"] != 500. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v1/dags?fields=dag_id&fields=is_paused&tags=data&tags=nope", ""); len(v["dags"].([]any)) != 1 || len(v["dags"].([]any)[0].(map[string]any)) != 2 {
		t.Errorf("%v", v)
	}
	token := w.want(200, "GET", training, "")["file_token"].(string)
	for accept, want := range map[string]string{"": "name: movie_training_pipeline", "*/*": "name: movie_training_pipeline", "text/plain": "name: movie_training_pipeline", "application/json": `{"content":"`} {
		code, text, _ := w.ask("GET", "/api/v1/dagSources/"+token, "", func(r *http.Request) { r.Header.Set("Accept", accept) })
		if code != 200 || !strings.Contains(text, want) {
			t.Errorf("%q: %d %s", accept, code, text)
		}
	}
	if code, text, _ := w.ask("GET", "/api/v1/dagSources/"+token, "", func(r *http.Request) { r.Header.Set("Accept", "image/png") }); code != 406 || text != "Not Allowed Accept Header" {
		t.Errorf("%d %s", code, text)
	}
	if v := w.want(200, "PATCH", "/api/v1/dags?dag_id_pattern=~&limit=1", `{"is_paused": true}`); v["total_entries"] != 4. || len(v["dags"].([]any)) != 1 || w.want(200, "GET", "/api/v1/dags?paused=True", "")["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
}

// TestDated: a run for a day of before has its id and interval, and is found by it; tasks of several runs are cleared at once.
func TestDated(t *testing.T) {
	w := newFixture(t)
	for _, day := range []string{"2024-01-01", "2024-01-02", "2024-01-03"} {
		v := w.want(200, "POST", dagRuns, `{"logical_date": "`+day+`T00:00:00+00:00", "data_interval_start": "`+day+`T00:00:00+00:00", "data_interval_end": "`+day+`T12:00:00+00:00"}`)
		if v["dag_run_id"] != "manual__"+day+"T00:00:00.000000+00:00" || v["data_interval_end"] != day+"T12:00:00.000000+00:00" {
			t.Errorf("%v", v)
		}
		id := v["dag_run_id"].(string)
		w.Do(&commands.StartTask{RunID: id, Task: prepare, Holder: "h", LeaseMillis: 60_000})
		w.Do(&commands.FailTask{RunID: id, Task: prepare, Try: 1, Holder: "h", Error: "full"})
	}
	w.want(409, "POST", dagRuns, `{"logical_date": "2024-01-01T00:00:00Z"}`)
	runs := func(body string) int {
		seen := map[string]bool{}
		for _, v := range w.want(200, "POST", training+"/clearTaskInstances", body)["task_instances"].([]any) {
			seen[v.(map[string]any)["dag_run_id"].(string)] = true
		}
		return len(seen)
	}
	for body, n := range map[string]int{
		`{}`:                                     3,
		`{"start_date": "2024-01-02T00:00:00Z"}`: 2,
		`{"start_date": "2024-01-02T00:00:00Z", "end_date": "2024-01-02T23:00:00Z"}`:                                         1,
		`{"dag_run_id": "manual__2024-01-02T00:00:00.000000+00:00"}`:                                                         1,
		`{"dag_run_id": "manual__2024-01-02T00:00:00.000000+00:00", "include_past": true}`:                                   2,
		`{"dag_run_id": "manual__2024-01-02T00:00:00.000000+00:00", "include_future": true}`:                                 2,
		`{"dag_run_id": "manual__2024-01-02T00:00:00.000000+00:00", "include_future": true, "include_past": true}`:           3,
		`{"only_failed": false, "task_ids": ["prepare_training_data"], "end_date": "2024-01-01T00:00:00Z", "dry_run": true}`: 1,
	} {
		if got := runs(body); got != n {
			t.Errorf("%s: tasks of %d runs; want %d", body, got, n)
		}
	}
	v := w.want(200, "POST", training+"/updateTaskInstancesState", `{"dry_run": false, "task_id": "prepare_training_data", "new_state": "success", "execution_date": "2024-01-02T00:00:00Z", "include_future": true, "include_past": false, "include_upstream": false, "include_downstream": false}`)
	if len(v["task_instances"].([]any)) != 2 || w.want(200, "GET", dagRuns+"/~/taskInstances?state=success", "")["total_entries"] != 2. {
		t.Errorf("%v", v)
	}
	if n := runs(`{"dry_run": false}`); n != 1 || w.want(200, "GET", dagRuns+"/~/taskInstances?state=failed", "")["total_entries"] != 0. {
		t.Errorf("%d runs were cleared", n)
	}
	tries := w.want(200, "GET", dagRuns+"/manual__2024-01-01T00:00:00.000000+00:00/taskInstances/"+prepare+"/tries", "")
	if one := tries["task_instances"].([]any)[0].(map[string]any); tries["total_entries"] != 1. || one["state"] != "failed" || one["try_number"] != 1. {
		t.Errorf("%v", tries)
	}
	waits := w.want(200, "GET", dagRuns+"/manual__2024-01-01T00:00:00.000000+00:00/taskInstances/"+train+"/dependencies", "")["dependencies"].([]any)
	if len(waits) != 1 || waits[0].(map[string]any)["name"] != "Trigger Rule" || !strings.Contains(waits[0].(map[string]any)["reason"].(string), prepare) {
		t.Errorf("%v", waits)
	}
}

// TestOutputs: XComs over all runs, in order, and each as it is asked for.
func TestOutputs(t *testing.T) {
	w := newFixture(t)
	for _, id := range []string{"r2", "r1"} {
		w.want(200, "POST", dagRuns, `{"dag_run_id": "`+id+`"}`)
		w.Do(&commands.StartTask{RunID: id, Task: prepare, Holder: "h", LeaseMillis: 60_000})
		w.Do(&commands.SucceedTask{RunID: id, Task: prepare, Try: 1, Holder: "h", Output: map[string]string{"zone": "x", "rows": "7"}})
		w.Do(&commands.StartTask{RunID: id, Task: train, Holder: "h", LeaseMillis: 60_000})
		w.Do(&commands.SucceedTask{RunID: id, Task: train, Try: 1, Holder: "h"})
	}
	all := func(path string) (keys string) {
		v := w.want(200, "GET", path, "")
		for _, x := range v["xcom_entries"].([]any) {
			x := x.(map[string]any)
			keys += strings.TrimPrefix(x["task_id"].(string), "prepare_") + "/" + x["key"].(string) + " "
		}
		return keys
	}
	const some = "training_data/return_value training_data/rows training_data/zone "
	if got := all("/api/v1/dags/~/dagRuns/~/taskInstances/~/xcomEntries"); got != some+some {
		t.Error(got)
	}
	if got := all(dagRuns + "/r1/taskInstances/~/xcomEntries"); got != some {
		t.Error(got)
	}
	if got := all(dagRuns + "/~/taskInstances/" + prepare + "/xcomEntries?xcom_key=rows&limit=1&offset=1"); got != "training_data/rows " {
		t.Error(got)
	}
	if got := all(dagRuns+"/r1/taskInstances/"+train+"/xcomEntries") + all(dagRuns+"/r1/taskInstances/"+prepare+"/xcomEntries?map_index=3"); got != "" {
		t.Error(got)
	}
	at := dagRuns + "/r1/taskInstances/" + prepare + "/xcomEntries/return_value"
	if v := w.want(200, "GET", at, ""); v["value"] != "{'rows': '7', 'zone': 'x'}" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"?stringify=False", ""); v["value"].(map[string]any)["rows"] != "7" {
		t.Errorf("%v", v)
	}
	w.want(200, "POST", training+"/clearTaskInstances", `{"dry_run": false, "dag_run_id": "r1", "only_failed": false}`)
	if got := all("/api/v1/dags/~/dagRuns/~/taskInstances/~/xcomEntries"); got != some {
		t.Errorf("after a clear: %s", got)
	}
}

// TestVariablesAndActs: variables are set, changed in part and deleted, by whom the event log says.
func TestVariablesAndActs(t *testing.T) {
	w := newFixture(t)
	w.want(200, "POST", "/api/v1/variables", `{"key": "region", "value": "eu", "description": "where"}`)
	if v := w.want(200, "PATCH", "/api/v1/variables/region?update_mask=value", `{"key": "region", "value": "us", "description": "other"}`); v["value"] != "us" || v["description"] != "where" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", "/api/v1/variables/region", `{"key": "region", "value": "asia"}`); v["value"] != "asia" || v["description"] != "where" {
		t.Errorf("%v", v)
	}
	w.want(200, "POST", "/api/v1/variables", `{"key": "empty", "value": ""}`)
	if v := w.want(200, "GET", "/api/v1/variables?order_by=key&limit=1", ""); v["total_entries"] != 2. || v["variables"].([]any)[0].(map[string]any)["key"] != "empty" {
		t.Errorf("%v", v)
	}
	if code, text, _ := w.ask("DELETE", "/api/v1/variables/region", ""); code != 204 || text != "" {
		t.Errorf("%d %s", code, text)
	}
	v := w.want(200, "GET", "/api/v1/eventLogs?event=variable.edit&owner=admin&order_by=-event_log_id", "")
	last := v["event_logs"].([]any)[0].(map[string]any)
	if v["total_entries"] != 4. || last["dag_id"] != nil || last["extra"] != `{"key":"empty","value":""}` {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v1/eventLogs?after=2020-01-01T00:00:00Z&event=variable.delete", ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
}

// TestDeletedDAG: a DAG that is deleted is gone, and back when it is defined again, with the runs that it had.
func TestDeletedDAG(t *testing.T) {
	w := newFixture(t)
	w.want(200, "POST", dagRuns, `{"dag_run_id": "r1"}`)
	w.Do(&commands.EndWorkflowRun{RunID: "r1", State: "cancelled"})
	if code, text, _ := w.ask("DELETE", training, ""); code != 204 {
		t.Fatalf("%d %s", code, text)
	}
	w.want(404, "GET", training, "")
	w.want(404, "POST", dagRuns, `{}`)
	if v := w.want(200, "GET", "/api/v1/dags", ""); v["total_entries"] != 3. {
		t.Errorf("%v", v)
	}
	for _, d := range roles.Definitions() {
		w.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
	}
	if v := w.want(200, "GET", dagRuns, ""); v["total_entries"] != 1. || v["dag_runs"].([]any)[0].(map[string]any)["state"] != "failed" {
		t.Errorf("%v", v)
	}
	stats := w.want(200, "GET", "/api/v1/dagStats?dag_ids=movie_training_pipeline,nope", "")
	if failed := stats["dags"].([]any)[0].(map[string]any)["stats"].([]any)[3].(map[string]any); stats["total_entries"] != 1. || failed["state"] != "failed" || failed["count"] != 1. {
		t.Errorf("%v", stats)
	}
	if code, _, _ := w.ask("DELETE", dagRuns+"/r1", ""); code != 204 {
		t.Error(code)
	}
	w.want(404, "GET", dagRuns+"/r1", "")
	if v := w.want(200, "POST", dagRuns, `{"dag_run_id": "r1"}`); v["state"] != "queued" {
		t.Errorf("%v", v)
	}
}

// TestConfigured: connections and users are what the program was given; a file is read again when that is asked for.
func TestConfigured(t *testing.T) {
	w := newFixture(t)
	host, port, reread := "themoviedb.org", 443, ""
	w.server = w.Core.Serve(airflow.New(w.Core, airflow.Config{Workflows: &projections.DefinedWorkflows{Views: w.Views, Operators: roles.Operators()}, Version: "test", Users: []string{"admin", "ada"},
		Connections: []airflow.Connection{{ID: "tmdb", Type: "https", Host: &host, Port: &port}, {ID: "log", Type: "kafka"}},
		Reparse:     func(_ context.Context, name string) error { reread = name; return nil }}))
	if v := w.want(200, "GET", "/api/v1/connections?order_by=connection_id&limit=1", ""); v["total_entries"] != 2. || v["connections"].([]any)[0].(map[string]any)["connection_id"] != "log" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v1/connections/tmdb", ""); v["host"] != host || v["port"] != 443. || v["extra"] != nil {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v1/users/ada", ""); v["username"] != "ada" || v["roles"].([]any)[0].(map[string]any)["name"] != "Admin" {
		t.Errorf("%v", v)
	}
	if code, _, _ := w.ask("PUT", "/api/v1/parseDagFile/movie_training_pipeline", ""); code != 201 || reread != "movie_training_pipeline" {
		t.Errorf("%d %q", code, reread)
	}
	if code, text, _ := w.ask("POST", "/api/v1/connections/test", `{"connection_id": "x", "conn_type": "http"}`); code != 403 || !strings.HasPrefix(text, "Testing connections is disabled") {
		t.Errorf("%d %s", code, text)
	}
}
