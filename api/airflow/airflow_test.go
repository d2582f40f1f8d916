package airflow_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/airflow"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
)

// fixture is the surface over a log in memory; nobody works on tasks.
type fixture struct {
	*apitest.Bench
	server *api.Server
}

func newFixture(t testing.TB) *fixture { return newFixtureAt(t, nil) }

func newFixtureAt(t testing.TB, now func() time.Time) *fixture {
	b := apitest.New(t, now)
	for _, d := range roles.Definitions() {
		b.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash(), Origin: "program"})
	}
	return &fixture{b, b.Core.Serve(airflow.New(b.Core, airflow.Config{Workflows: &projections.DefinedWorkflows{Views: b.Views, Operators: roles.Operators()}, Version: "test"}))}
}

// ask asks as curl -u does and gives the status and the body; a body that is a JSON object is in the map too.
func (w *fixture) ask(method, path, body string, change ...func(*http.Request)) (int, string, map[string]any) {
	w.T.Helper()
	a := apitest.Ask(w.server, method, path, body, append([]func(*http.Request){func(r *http.Request) { r.SetBasicAuth("admin", "admin") }}, change...)...)
	return a.Code, a.Text, a.Object
}

func (w *fixture) want(status int, method, path, body string) map[string]any {
	w.T.Helper()
	code, text, v := w.ask(method, path, body)
	if code != status {
		w.T.Fatalf("%s %s %s: %d %s; want %d", method, path, body, code, text, status)
	}
	return v
}

const training, dagRuns = "/api/v1/dags/movie_training_pipeline", "/api/v1/dags/movie_training_pipeline/dagRuns"

// TestRun: a run that is asked for as the guide does is an event, is listed, and its tasks show what their events say.
func TestRun(t *testing.T) {
	w := newFixture(t)
	v := w.want(200, "POST", dagRuns, `{"conf": {}, "note": "by hand"}`)
	id := v["dag_run_id"].(string)
	if !strings.HasPrefix(id, "manual__20") || v["state"] != "queued" || v["note"] != "by hand" || v["run_type"] != "manual" || v["external_trigger"] != true {
		t.Errorf("%v", v)
	}
	at := dagRuns + "/" + url.PathEscape(id)
	if v := w.want(200, "GET", at, ""); v["dag_run_id"] != id || v["start_date"] != nil {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", dagRuns+"/"+id, ""); v["dag_run_id"] != id { // curl sends a + and a colon as they are
		t.Errorf("%v", v)
	}
	state := func(task string) any { return w.want(200, "GET", at+"/taskInstances/"+task, "")["state"] }
	if first, second := state("prepare_training_data"), state("train_movie_model"); first != "queued" || second != nil {
		t.Errorf("before the first task: %v, %v", first, second)
	}
	const prepare, train = "prepare_training_data", "train_movie_model"
	w.Do(&commands.StartTask{RunID: id, Task: prepare, Holder: "h1", LeaseMillis: 60_000})
	w.Do(&commands.FailTask{RunID: id, Task: prepare, Try: 1, Holder: "h1", Error: "the disk was 'full'", RetryAtMillis: time.Now().Add(-time.Second).UnixMilli()})
	if got := state(prepare); got != "up_for_retry" {
		t.Errorf("after a failure: %v", got)
	}
	w.Do(&commands.StartTask{RunID: id, Task: prepare, Holder: "h2", LeaseMillis: 60_000})
	w.Do(&commands.SucceedTask{RunID: id, Task: prepare, Try: 2, Holder: "h2", Output: map[string]string{"rows": "7", "cut": "it's"}})
	w.Do(&commands.StartTask{RunID: id, Task: train, Holder: "h3", LeaseMillis: 60_000})
	list := w.want(200, "GET", at+"/taskInstances", "")
	if list["total_entries"] != 5. {
		t.Errorf("%v", list)
	}
	for i, want := range []struct {
		task, state string
		try         float64
	}{{prepare, "success", 2}, {train, "running", 1}, {"evaluate_trained_model", "", 0}} {
		got := list["task_instances"].([]any)[i].(map[string]any)
		if got["task_id"] != want.task || want.state != "" && got["state"] != want.state || want.state == "" && got["state"] != nil || got["try_number"] != want.try {
			t.Errorf("%v; want %+v", got, want)
		}
	}
	_, text, _ := w.ask("GET", at+"/taskInstances/"+prepare+"/logs/1", "")
	if !strings.Contains(text, "ERROR - the disk was 'full'") || strings.Contains(text, "rows") {
		t.Errorf("the first try's log: %s", text)
	}
	_, text, _ = w.ask("GET", at+"/taskInstances/"+prepare+"/logs/2", "")
	if !strings.Contains(text, "rows = 7") || !strings.Contains(text, "SUCCESS") {
		t.Errorf("the second try's log: %s", text)
	}
	_, text, _ = w.ask("GET", at+"/taskInstances/"+prepare+"/logs/1", "", func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	if !strings.Contains(text, `"content":"[('h1', '[`) || !strings.Contains(text, `\\'full\\'`) {
		t.Errorf("the log in JSON: %s", text)
	}
	if v := w.want(200, "GET", at+"/taskInstances/"+prepare+"/xcomEntries/return_value", ""); v["value"] != `{'cut': 'it\'s', 'rows': '7'}` {
		t.Errorf("what was handed on: %v", v["value"])
	}
	if v := w.want(200, "GET", "/api/v1/dags/~/dagRuns?limit=1&order_by=-start_date&state=running", ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", dagRuns+"?execution_date_gte=2099-01-01T00:00:00Z", ""); v["total_entries"] != 0. || len(v["dag_runs"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	code, page, _ := w.ask("GET", "/", "")
	if code != 200 || !strings.Contains(page, "movie_data_collection") || !strings.Contains(page, `class="running"`) || strings.Contains(page, "%!") {
		t.Errorf("the page: %d %s", code, page)
	}
}

// TestAsRequested: who asks for a run is answered what was asked for, though it has begun by then.
func TestAsRequested(t *testing.T) {
	w := newFixture(t)
	keyed := func() map[string]any {
		code, _, v := w.ask("POST", dagRuns, `{}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "asked") })
		if code != 200 {
			t.Fatalf("%d %v", code, v)
		}
		return v
	}
	first := keyed()
	w.Do(&commands.StartTask{RunID: first["dag_run_id"].(string), Task: "prepare_training_data", Holder: "h", LeaseMillis: 60_000})
	if again := keyed(); !reflect.DeepEqual(again, first) || again["state"] != "queued" || again["start_date"] != nil {
		t.Errorf("what was asked for is answered as %v, and once its first task has begun as %v", first, again)
	}
}

// TestDAGs: the workflows are what clients take for DAGs.
func TestDAGs(t *testing.T) {
	w := newFixture(t)
	if v := w.want(200, "GET", "/api/v1/dags?limit=100", ""); v["total_entries"] != 4. || v["dags"].([]any)[0].(map[string]any)["dag_id"] != "movie_data_collection" {
		t.Errorf("%v", v)
	}
	for pattern, n := range map[string]float64{"movie": 2, "%TRAIN%": 1, "movie_t": 1, "nope": 0, "_____": 4, strings.Repeat("%e", 500): 0, "m%e": 3} {
		if v := w.want(200, "GET", "/api/v1/dags?dag_id_pattern="+url.QueryEscape(pattern), ""); v["total_entries"] != n {
			t.Errorf("%q: %v; want %v", pattern, v["total_entries"], n)
		}
	}
	if v := w.want(200, "GET", "/api/v1/dags?limit=1&offset=3&order_by=-dag_id", ""); v["dags"].([]any)[0].(map[string]any)["dag_id"] != "movie_data_collection" {
		t.Errorf("%v", v)
	}
	tasks := w.want(200, "GET", training+"/tasks", "")["tasks"].([]any)
	if first := tasks[1].(map[string]any); len(tasks) != 5 || first["task_id"] != "prepare_training_data" || first["downstream_task_ids"].([]any)[0] != "train_movie_model" {
		t.Errorf("%v", tasks)
	}
	if v := w.want(200, "GET", "/health", ""); v["metadatabase"].(map[string]any)["status"] != "healthy" || v["scheduler"].(map[string]any)["status"] != "healthy" {
		t.Errorf("%v", v)
	}
	w.want(200, "GET", "/api/v1/version", "")
}

// TestRefusals: what is wrong is refused as Airflow does, and leaves nothing in the log.
func TestRefusals(t *testing.T) {
	w := newFixture(t)
	w.want(200, "POST", dagRuns, `{"dag_run_id": "mine", "conf": {"als.dim": 16}}`)
	before := w.Head()
	for _, c := range []struct {
		status             int
		method, path, body string
		says, section      string
	}{
		{409, "POST", dagRuns, `{"dag_run_id": "mine"}`, "already exists", "AlreadyExists"},
		{404, "POST", "/api/v1/dags/nope/dagRuns", `{}`, "nope", "NotFound"},
		{400, "POST", dagRuns, `{"conf": "x"}`, "not of type 'object'", "BadRequest"},
		{400, "POST", dagRuns, `{"conf": {"a": {"b": 1}}}`, "conf.a", "BadRequest"},
		{400, "POST", dagRuns, `{"conf": {"nope": 1}}`, "conf.nope", "BadRequest"},
		{400, "POST", dagRuns, `{"conf": {"als.dim": -1}}`, "als.dim", "BadRequest"},
		{400, "POST", dagRuns, `{"more": 1}`, "more", "BadRequest"},
		{400, "POST", dagRuns, `{"logical_date": "2024-01-01T00:00:00"}`, "Naive datetime", "BadRequest"},
		{400, "POST", dagRuns, `{"logical_date": "2024-01-01T00:00:00Z", "execution_date": "2024-01-02T00:00:00Z"}`, "!=", "BadRequest"},
		{400, "POST", dagRuns, `{"data_interval_start": "2024-01-01T00:00:00Z"}`, "must be specified together", "BadRequest"},
		{400, "POST", dagRuns, `{"data_interval_start": "2024-01-02T00:00:00Z", "data_interval_end": "2024-01-01T00:00:00Z"}`, "before", "BadRequest"},
		{400, "POST", dagRuns, `{"logical_date": "nope"}`, "logical_date", "BadRequest"},
		{400, "POST", dagRuns, `{"dag_run_id": "a/b"}`, "run_id", "BadRequest"},
		{400, "POST", dagRuns, `[`, "", "BadRequest"},
		{400, "POST", dagRuns, `{"conf": {"als.seed": "` + strings.Repeat("9", 1<<20) + `"}}`, "", "BadRequest"},
		{404, "GET", dagRuns + "/nope", "", "nope", "NotFound"},
		{404, "GET", "/api/v1/dags/movie_data_collection/dagRuns/mine", "", "mine", "NotFound"},
		{404, "GET", dagRuns + "/mine/taskInstances/nope", "", "nope", "NotFound"},
		{404, "GET", dagRuns + "/mine/taskInstances/train_movie_model/logs/1", "", "no try 1", "NotFound"},
		{400, "GET", dagRuns + "/mine/taskInstances/train_movie_model/logs/x", "", "task_try_number", "BadRequest"},
		{404, "GET", dagRuns + "/mine/taskInstances/train_movie_model/xcomEntries/rows", "", "rows", "NotFound"},
		{400, "GET", dagRuns + "?order_by=nope", "", "Ordering with 'nope'", "BadRequest"},
		{400, "GET", dagRuns + "?state=nope", "", "'nope'", "BadRequest"},
		{400, "GET", dagRuns + "?limit=x", "", "limit", "BadRequest"},
		{400, "GET", "/api/v1/dags?order_by=nope", "", "Ordering with 'nope'", "BadRequest"},
		{404, "GET", training + "/tasks/nope", "", "nope", "NotFound"},
		{404, "GET", "/api/v1/nope", "", "nope", "NotFound"},
		{405, "PUT", training, "", "PUT", ""},
		{400, "PATCH", training, `{"description": "x"}`, "Property is read-only - 'description'", "BadRequest"},
		{400, "PATCH", training, `{"is_paused": "x"}`, "is_paused", "BadRequest"},
		{404, "PATCH", "/api/v1/dags/nope", `{"is_paused": true}`, "nope", "NotFound"},
		{400, "PATCH", dagRuns + "/mine", `{"state": "nope"}`, "'nope' is not one of ['success', 'failed', 'queued'] - 'state'", "BadRequest"},
		{400, "PATCH", dagRuns + "/mine", `{"state": "queued"}`, "clear it", "BadRequest"},
		{404, "PATCH", dagRuns + "/nope", `{"state": "failed"}`, "nope", "NotFound"},
		{404, "PATCH", dagRuns + "/nope/setNote", `{"note": "x"}`, "nope", "NotFound"},
		{404, "PATCH", dagRuns + "/mine/taskInstances/nope/setNote", `{"note": "x"}`, "nope", "NotFound"},
		{400, "PATCH", dagRuns + "/mine/taskInstances/train_movie_model", `{"dry_run": false, "new_state": "nope"}`, "'nope' is not one of ['success', 'failed', 'skipped'] - 'new_state'", "BadRequest"},
		{404, "POST", dagRuns + "/nope/clear", `{"dry_run": false}`, "nope", "NotFound"},
		{400, "POST", training + "/clearTaskInstances", `{"dry_run": false, "only_running": true}`, "only_failed and only_running", "BadRequest"},
		{400, "POST", training + "/clearTaskInstances", `{"dry_run": false, "dag_run_id": "mine", "start_date": "2024-01-01T00:00:00Z"}`, "Exactly one of", "BadRequest"},
		{400, "POST", training + "/clearTaskInstances", `{"dry_run": false, "start_date": "2024-01-02T00:00:00Z", "end_date": "2024-01-01T00:00:00Z"}`, "sooner", "BadRequest"},
		{404, "POST", training + "/clearTaskInstances", `{"dry_run": false, "dag_run_id": "mine", "task_ids": ["nope"]}`, "nope", "NotFound"},
		{400, "POST", training + "/updateTaskInstancesState", `{"dry_run": false, "dag_run_id": "mine", "new_state": "success"}`, "task_id", "BadRequest"},
	} {
		code, text, v := w.ask(c.method, c.path, c.body)
		if code != c.status || !strings.Contains(text, c.says) || v["status"] != float64(c.status) || v["title"] == "" || !strings.HasSuffix(v["type"].(string), c.section) {
			t.Errorf("%s %s %.60s: %d %.300s; want %d, %q, %s", c.method, c.path, c.body, code, text, c.status, c.says, c.section)
		}
	}
	for name, change := range map[string]func(*http.Request){
		"a wrong password": func(r *http.Request) { r.SetBasicAuth("admin", "nope") },
		"a wrong user":     func(r *http.Request) { r.SetBasicAuth("root", "admin") },
		"a bearer token":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer admin") },
		"something else":   func(r *http.Request) { r.Header.Set("Authorization", "admin:admin") },
	} {
		if code, text, v := w.ask("POST", dagRuns, "{}", change); code != 401 || v["title"] != "Unauthorized" {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	if code, text, _ := w.ask("GET", dagRuns, "", func(r *http.Request) { r.Header.Del("Authorization") }); code != 200 {
		t.Errorf("without credentials: %d %s", code, text)
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestSteer pauses, marks, clears and notes as Airflow's clients do; a dry run changes nothing.
func TestSteer(t *testing.T) {
	w := newFixture(t)
	if v := w.want(200, "PATCH", training+"?update_mask=is_paused", `{"is_paused": true}`); v["is_paused"] != true {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v1/dags?paused=True", ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", training, `{"is_paused": false}`); v["is_paused"] != false {
		t.Errorf("%v", v)
	}
	const prepare, train = "prepare_training_data", "train_movie_model"
	w.want(200, "POST", dagRuns, `{"dag_run_id": "r1"}`)
	w.Do(&commands.StartTask{RunID: "r1", Task: prepare, Holder: "h", LeaseMillis: 60_000})
	w.Do(&commands.FailTask{RunID: "r1", Task: prepare, Try: 1, Holder: "h", Error: "full"})
	w.Do(&commands.EndWorkflowRun{RunID: "r1", State: "failed"})
	at := dagRuns + "/r1"
	states := func() (all string) {
		for _, i := range w.want(200, "GET", at+"/taskInstances", "")["task_instances"].([]any) {
			state, _ := i.(map[string]any)["state"].(string)
			all += state + " "
		}
		return all + w.want(200, "GET", at, "")["state"].(string)
	}
	if got := states(); got != "failed upstream_failed upstream_failed upstream_failed upstream_failed failed" {
		t.Error(got)
	}
	before := w.Head()
	tasks := func(v map[string]any) (all []string) {
		for _, i := range v["task_instances"].([]any) {
			all = append(all, i.(map[string]any)["task_id"].(string))
		}
		return all
	}
	if got := tasks(w.want(200, "POST", at+"/clear", `{}`)); len(got) != 5 {
		t.Errorf("%v", got)
	}
	if got := tasks(w.want(200, "POST", training+"/clearTaskInstances", `{"dag_run_id": "r1", "task_ids": ["train_movie_model"], "include_downstream": true, "only_failed": false}`)); len(got) != 4 || got[0] != train {
		t.Errorf("%v", got)
	}
	w.want(200, "PATCH", at+"/taskInstances/"+prepare, `{"new_state": "success"}`)
	if w.Head() != before {
		t.Error("a dry run changed something")
	}
	w.want(200, "PATCH", at+"/taskInstances/"+prepare, `{"dry_run": false, "new_state": "success"}`)
	if got := states(); got != "success queued    running" {
		t.Error(got)
	}
	got := tasks(w.want(200, "POST", training+"/updateTaskInstancesState", `{"dry_run": false, "dag_run_id": "r1", "task_id": "train_movie_model", "new_state": "failed", "include_upstream": false}`))
	if len(got) != 1 || got[0] != train || states() != "success failed upstream_failed upstream_failed upstream_failed running" {
		t.Error(got, states())
	}
	if got := tasks(w.want(200, "POST", training+"/clearTaskInstances", `{"dry_run": false, "dag_run_id": "r1"}`)); len(got) != 4 || states() != "success queued    running" {
		t.Error(got, states())
	}
	if v := w.want(200, "PATCH", at+"/setNote", `{"note": "seen"}`); v["note"] != "seen" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/taskInstances/"+train+"/setNote", `{"note": "slow"}`); v["note"] != "slow" || v["task_id"] != train {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", at+"/clear", `{"dry_run": false}`); v["dag_run_id"] != "r1" || states() != "queued     running" {
		t.Errorf("%v %s", v, states())
	}
	if code, text, _ := w.ask("PATCH", at, `{"state": "success"}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") }); code != 200 {
		t.Errorf("%d %s", code, text)
	}
	if got := states(); got != "success success success success success running" { // nobody ends runs here
		t.Error(got)
	}
	w.want(200, "POST", dagRuns, `{"dag_run_id": "r2"}`)
	if v := w.want(200, "PATCH", dagRuns+"/r2", `{"state": "failed"}`); v["state"] != "failed" {
		t.Errorf("%v", v)
	}
	w.Do(&commands.DefineWorkflow{Workflow: "later", Source: "name: later\ntasks: [{name: a, operator: of_tomorrow}]", Hash: strings.Repeat("a", 64)})
	if v := w.want(200, "GET", "/api/v1/importErrors", ""); v["total_entries"] != 1. || !strings.Contains(v["import_errors"].([]any)[0].(map[string]any)["stack_trace"].(string), "of_tomorrow") {
		t.Errorf("%v", v)
	}
}
