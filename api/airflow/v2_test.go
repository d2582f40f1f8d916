package airflow_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// v2 is the surface of /api/v2 beside that of /api/v1, asked with a token.
type v2 struct {
	*fixture
	token string
}

func newV2(t testing.TB) *v2 {
	b := apitest.New(t, nil)
	for _, d := range roles.Definitions() {
		b.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash(), Origin: "program"})
	}
	v1 := airflow.New(b.Core, airflow.Config{Workflows: &projections.DefinedWorkflows{Views: b.Views, Operators: roles.Operators()}, Version: "test"})
	w := &v2{fixture: &fixture{b, b.Core.Serve(v1, airflow.NewV2(v1))}}
	a := apitest.Ask(w.server, "POST", "/auth/token", `{"username": "admin", "password": "admin"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
	if a.Code != 201 {
		t.Fatalf("no token: %d %s", a.Code, a.Text)
	}
	w.token = a.Object["access_token"].(string)
	return w
}

func (w *v2) ask(method, path, body string, change ...func(*http.Request)) (int, string, map[string]any) {
	w.T.Helper()
	return w.fixture.ask(method, path, body, append([]func(*http.Request){func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+w.token) }}, change...)...)
}

func (w *v2) want(status int, method, path, body string) map[string]any {
	w.T.Helper()
	code, text, v := w.ask(method, path, body)
	if code != status {
		w.T.Fatalf("%s %s %s: %d %s; want %d", method, path, body, code, text, status)
	}
	return v
}

const (
	trainingV2 = "/api/v2/dags/movie_training_pipeline"
	runsV2     = trainingV2 + "/dagRuns"
)

// of is a part of an answer by the way to it, such as task_instances.0.state.
func of(v any, way string) any {
	for _, step := range strings.Split(way, ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[step]
		case []any:
			i := -1
			if fmt.Sscan(step, &i); i < 0 || i >= len(at) { //nolint:errcheck // then it is no index
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// TestV2Run: a run that is asked for with a token is an event of its user, and its tasks show what their events say.
func TestV2Run(t *testing.T) {
	w := newV2(t)
	v := w.want(200, "POST", runsV2, `{"logical_date": null, "conf": {"als.dim": 16}, "note": "by hand", "dag_run_id": "r1"}`)
	for way, want := range map[string]any{"dag_run_id": "r1", "state": "queued", "note": "by hand", "run_type": "manual", "triggered_by": "rest_api", "triggering_user_name": "admin",
		"logical_date": nil, "data_interval_start": nil, "conf.als.dim": nil, "dag_versions.0.version_number": 1., "start_date": nil} {
		if got := of(v, way); got != want {
			t.Errorf("%s: %v; want %v", way, got, want)
		}
	}
	if v["conf"].(map[string]any)["als.dim"] != "16" {
		t.Errorf("%v", v["conf"])
	}
	at := runsV2 + "/r1/taskInstances"
	const prepare, train = "prepare_training_data", "train_movie_model"
	state := func(task string) any { return w.want(200, "GET", at+"/"+task, "")["state"] }
	if first, second := state(prepare), state(train); first != "queued" || second != nil {
		t.Errorf("%v, %v", first, second)
	}
	if got := of(w.want(200, "GET", at+"/"+train+"/dependencies", ""), "dependencies.0.name"); got != "Trigger Rule" {
		t.Errorf("%v", got)
	}
	w.Do(&commands.StartTask{RunID: "r1", Task: prepare, Holder: "h1", LeaseMillis: 60_000})
	w.Do(&commands.FailTask{RunID: "r1", Task: prepare, Try: 1, Holder: "h1", Error: "the disk was 'full'", RetryAtMillis: time.Now().Add(-time.Second).UnixMilli()})
	if got := state(prepare); got != "up_for_retry" {
		t.Errorf("%v", got)
	}
	w.Do(&commands.StartTask{RunID: "r1", Task: prepare, Holder: "h2", LeaseMillis: 60_000})
	w.Do(&commands.SucceedTask{RunID: "r1", Task: prepare, Try: 2, Holder: "h2", Output: map[string]string{"rows": "7", "cut": "it's"}})
	list := w.want(200, "GET", at+"?order_by=-start_date&state=success&state=none", "")
	if list["total_entries"] != 4. || of(list, "task_instances.0.state") != nil || of(list, "task_instances.3.task_id") != prepare || of(list, "task_instances.3.try_number") != 2. {
		t.Errorf("%v", list)
	}
	tries := w.want(200, "GET", at+"/"+prepare+"/tries", "")
	if tries["total_entries"] != 2. || of(tries, "task_instances.0.state") != "failed" || of(tries, "task_instances.1.hostname") != "h2" {
		t.Errorf("%v", tries)
	}
	if v := w.want(200, "GET", at+"/"+prepare+"/tries/1", ""); v["hostname"] != "h1" {
		t.Errorf("%v", v)
	}
	log := w.want(200, "GET", at+"/"+prepare+"/logs/1?full_content=True", "")
	if of(log, "content.1.event") != "the disk was 'full'" || of(log, "content.1.level") != "error" || log["continuation_token"] != nil {
		t.Errorf("%v", log)
	}
	_, text, _ := w.ask("GET", at+"/"+prepare+"/logs/2", "", func(r *http.Request) { r.Header.Set("Accept", "application/x-ndjson") })
	if lines := strings.Split(strings.TrimSpace(text), "\n"); len(lines) != 4 || !strings.Contains(lines[2], `"event":"rows = 7"`) {
		t.Errorf("%s", text)
	}
	if v := w.want(200, "GET", at+"/"+prepare+"/xcomEntries/return_value", ""); of(v, "value.rows") != "7" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"/"+prepare+"/xcomEntries/return_value?stringify=true", ""); v["value"] != `{'cut': 'it\'s', 'rows': '7'}` {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v2/dags/~/dagRuns/~/taskInstances/~/xcomEntries?limit=1&order_by=-key", ""); v["total_entries"] != 3. || of(v, "xcom_entries.0.key") != "rows" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v2/dags/~/dagRuns/~/taskInstances?task_id="+prepare, ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list", `{"state": [null], "page_limit": 2}`); v["total_entries"] != 3. || len(v["task_instances"].([]any)) != 2 {
		t.Errorf("%v", v)
	}
}

// TestV2RunLists: filters and orders of runs, and that pages by a cursor have every run once, also while others come.
func TestV2RunLists(t *testing.T) {
	w := newV2(t)
	for i := range 7 {
		w.want(200, "POST", runsV2, fmt.Sprintf(`{"logical_date": "2024-01-0%dT00:00:00Z", "dag_run_id": "r%d", "conf": {"als.dim": %d}}`, i+1, i, 8+i))
	}
	w.Do(&commands.EndWorkflowRun{RunID: "r2", State: "cancelled"})
	ids := func(v map[string]any) string {
		var all []string
		for _, run := range v["dag_runs"].([]any) {
			all = append(all, of(run, "dag_run_id").(string))
		}
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"":                                  "r0 r1 r2 r3 r4 r5 r6",
		"limit=2&offset=1":                  "r1 r2",
		"limit=0":                           "",
		"order_by=-logical_date&limit=2":    "r6 r5",
		"order_by=state&order_by=-run_id":   "r2 r6 r5 r4 r3 r1 r0",
		"state=failed":                      "r2",
		"state=failed&state=queued&limit=3": "r0 r1 r2",
		"logical_date_gte=2024-01-03T00:00:00Z&logical_date_lt=2024-01-05": "r2 r3",
		"logical_date_gt=2024-01-06T00:00:00%2B00:00":                      "r6",
		"end_date_gte=2024-01-01T00:00:00Z":                                "r2",
		"run_id_pattern=R3%20%7C%20r4":                                     "r3 r4",
		"run_id_prefix_pattern=r":                                          "r0 r1 r2 r3 r4 r5 r6",
		"run_id_prefix_pattern=R":                                          "",
		"triggering_user_name_pattern=adm&limit=1":                         "r0",
		"conf_contains=%2214%22":                                           "r6",
		"run_type=scheduled":                                               "",
		"dag_version=1&limit=1":                                            "r0",
		"dag_version=2":                                                    "",
		"bundle_version=x":                                                 "",
	} {
		if got := ids(w.want(200, "GET", runsV2+"?"+query, "")); got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	if got := ids(w.want(200, "POST", "/api/v2/dags/~/dagRuns/list", `{"dag_ids": ["movie_training_pipeline"], "states": ["queued"], "page_limit": 2, "page_offset": 1, "order_by": "-logical_date"}`)); got != "r5 r4" {
		t.Error(got)
	}
	var seen []string
	var back string
	for cursor, n := "", 0; n < 10; n++ {
		v := w.want(200, "GET", runsV2+"?limit=3&order_by=-run_after&cursor="+cursor, "")
		seen = append(seen, ids(v))
		w.want(200, "POST", runsV2, fmt.Sprintf(`{"logical_date": null, "dag_run_id": "new%d"}`, n))
		if v["next_cursor"] == nil {
			break
		}
		cursor = v["next_cursor"].(string)
		if v["previous_cursor"] != nil {
			back = v["previous_cursor"].(string)
		}
	}
	if got := strings.Join(seen, " "); got != "r6 r5 r4 r3 r2 r1 r0" {
		t.Errorf("by a cursor: %s", got)
	}
	if got := ids(w.want(200, "GET", runsV2+"?limit=3&order_by=-run_after&cursor="+back, "")); got != "r6 r5 r4" {
		t.Errorf("back: %s", got)
	}
}

// TestV2DAGs: the workflows, their versions and sources.
func TestV2DAGs(t *testing.T) {
	w := newV2(t)
	for query, n := range map[string]float64{"": 4, "dag_id_pattern=TRAIN": 1, "dag_id_pattern=~": 4, "dag_id_prefix_pattern=movie_d": 1, "tags=training": 1, "tags=training&tags=data": 2,
		"tags=training&tags=data&tags_match_mode=all": 0, "paused=true": 0, "paused=False": 4, "owners=nobody": 0, "has_import_errors=true": 0, "bundle_name=other": 0, "last_dag_run_state=failed": 0} {
		if v := w.want(200, "GET", "/api/v2/dags?"+query, ""); v["total_entries"] != n {
			t.Errorf("%q: %v; want %v", query, v["total_entries"], n)
		}
	}
	if v := w.want(200, "PATCH", "/api/v2/dags?dag_id_pattern=~", `{"is_paused": true}`); v["total_entries"] != 4. || of(v, "dags.1.is_paused") != true {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", "/api/v2/dags", `{"is_paused": false}`); v["total_entries"] != 0. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", trainingV2, `{"is_paused": false}`); v["is_paused"] != false {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", trainingV2+"/details", ""); of(v, "params.algorithm.schema.type") != "string" || of(v, "latest_dag_version.version_number") != 1. || v["dag_run_timeout"] != "PT86400S" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", trainingV2+"/tasks?order_by=-task_id", ""); v["total_entries"] != 5. || of(v, "tasks.0.task_id") != "train_movie_model" {
		t.Errorf("%v", v)
	}
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "before"}`)
	d := roles.Definitions()[1]
	w.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source() + "# more\n", Hash: strings.Repeat("0", 64), Origin: "program"})
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "after"}`)
	for id, number := range map[string]float64{"before": 1, "after": 2} {
		if got := of(w.want(200, "GET", runsV2+"/"+id, ""), "dag_versions.0.version_number"); got != number {
			t.Errorf("%s: %v; want %v", id, got, number)
		}
	}
	if v := w.want(200, "GET", trainingV2+"/dagVersions?order_by=-version_number", ""); v["total_entries"] != 2. || of(v, "dag_versions.0.version_number") != 2. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v2/dagSources/movie_training_pipeline?version_number=1", ""); v["content"] != d.Source() {
		t.Errorf("%v", v)
	}
	if _, text, _ := w.ask("GET", "/api/v2/dagSources/movie_training_pipeline", "", func(r *http.Request) { r.Header.Set("Accept", "text/plain") }); text != d.Source()+"# more\n" {
		t.Errorf("%s", text)
	}
	if v := w.want(200, "GET", "/api/v2/dagTags", ""); v["total_entries"] != 3. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v2/dagStats?dag_ids=movie_training_pipeline", ""); of(v, "dags.0.stats.0.count") != 2. {
		t.Errorf("%v", v)
	}
}

// TestV2Refusals: what is wrong is refused as Airflow 3.3.2 does, word for word, and leaves nothing in the log.
func TestV2Refusals(t *testing.T) {
	w := newV2(t)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "mine"}`)
	before := w.Head()
	const task = runsV2 + "/mine/taskInstances/train_movie_model"
	for _, c := range []struct {
		status             int
		method, path, body string
		says               string
	}{
		{422, "POST", runsV2, `{}`, `{"detail":[{"type":"missing","loc":["body","logical_date"],"msg":"Field required","input":{}}]}`},
		{422, "POST", runsV2, ``, `{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{422, "POST", runsV2, `[1]`, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]}`},
		{422, "POST", runsV2, `{"logical_date": null, "conf": "x"}`, `{"detail":[{"type":"dict_type","loc":["body","conf"],"msg":"Input should be a valid dictionary","input":"x"}]}`},
		{422, "POST", runsV2, `{"logical_date": null, "nope": 1}`, `{"detail":[{"type":"extra_forbidden","loc":["body","nope"],"msg":"Extra inputs are not permitted","input":1}]}`},
		{422, "POST", runsV2, `{"logical_date": "x"}`, `{"detail":[{"type":"datetime_from_date_parsing","loc":["body","logical_date"],"msg":"Input should be a valid datetime or date, input is too short","input":"x","ctx":{"error":"input is too short"}}]}`},
		{422, "POST", runsV2, `{"logical_date": "2024-01-01T00:00:00"}`, `{"detail":[{"type":"timezone_aware","loc":["body","logical_date"],"msg":"Input should have timezone info","input":"2024-01-01T00:00:00"}]}`},
		{422, "POST", runsV2, `{"logical_date": null, "data_interval_start": "2024-01-01T00:00:00Z"}`, `"msg":"Value error, Either both data_interval_start and data_interval_end must be provided or both must be None"`},
		{400, "POST", runsV2, `{"logical_date": null, "conf": {"als.dim": -1}}`, `als.dim`},
		{400, "POST", runsV2, `{"logical_date": null, "conf": {"nope": 1}}`, `conf.nope`},
		{400, "POST", runsV2, `{"logical_date": null, "conf": {"a": {}}}`, `conf.a`},
		{400, "POST", runsV2, `{"logical_date": null, "dag_run_id": "a/b"}`, `run_id`},
		{400, "POST", runsV2, `{"logical_date": "2024-01-01T00:00:00Z", "data_interval_start": "2023-01-01T00:00:00Z", "data_interval_end": "2024-01-01T00:00:00Z"}`, `data_interval_start`},
		{400, "POST", runsV2, `{"logical_date": null, "partition_key": "a"}`, `partition_key`},
		{400, "POST", runsV2, `{"logical_date": null, "run_after": "2099-01-01T00:00:00Z"}`, `run_after`},
		{409, "POST", runsV2, `{"logical_date": null, "dag_run_id": "mine"}`, `{"detail":{"message":"DAGRun with DAG ID: 'movie_training_pipeline' and DAGRun ID: 'mine' already exists","orig_error":"hidden","reason":"Unique constraint violation","statement":"hidden"}}`},
		{404, "POST", "/api/v2/dags/nope/dagRuns", `{"logical_date": null}`, `{"detail":"Dag with dag_id: 'nope' not found"}`},
		{404, "GET", "/api/v2/dags/nope", ``, "{\"detail\":\"The Dag with ID: `nope` was not found\"}"},
		{404, "GET", "/api/v2/dags/nope/dagRuns", ``, "{\"detail\":\"The Dag with ID: `nope` was not found\"}"},
		{404, "GET", runsV2 + "/nope", ``, "{\"detail\":\"The DagRun with dag_id: `movie_training_pipeline` and run_id: `nope` was not found\"}"},
		{404, "GET", "/api/v2/dags/movie_data_collection/dagRuns/mine", ``, "run_id: `mine` was not found"},
		{400, "GET", runsV2 + "?order_by=nope", ``, `{"detail":"Ordering with 'nope' is disallowed or the attribute does not exist on the model"}`},
		{422, "GET", runsV2 + "?state=nope", ``, `{"detail":"Invalid value for state. Valid values are queued, running, success, failed"}`},
		{422, "GET", runsV2 + "?limit=x&offset=-1", ``, `{"detail":[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"},{"type":"greater_than_equal","loc":["query","offset"],"msg":"Input should be greater than or equal to 0","input":"-1","ctx":{"ge":0}}]}`},
		{422, "GET", runsV2 + "?stat=running", ``, `"extra_forbidden"`},
		{400, "GET", runsV2 + "?cursor=garbage", ``, `{"detail":"Invalid cursor token"}`},
		{422, "POST", runsV2 + "/list", `{}`, `{"detail":[{"type":"literal_error","loc":["path","dag_id"],"msg":"Input should be '~'","input":"movie_training_pipeline","ctx":{"expected":"'~'"}}]}`},
		{422, "GET", runsV2 + "/mine/wait", ``, `{"detail":[{"type":"missing","loc":["query","interval"],"msg":"Field required","input":null}]}`},
		{422, "GET", runsV2 + "/mine/wait?interval=0", ``, `{"detail":[{"type":"greater_than","loc":["query","interval"],"msg":"Input should be greater than 0","input":"0","ctx":{"gt":0}}]}`},
		{422, "GET", runsV2 + "/mine/wait?interval=nan", ``, `"finite_number"`},
		{404, "GET", runsV2 + "/nope/wait?interval=1", ``, "run_id: `nope` was not found"},
		{404, "GET", runsV2 + "/mine/taskInstances/nope", ``, "{\"detail\":\"The Task Instance with dag_id: `movie_training_pipeline`, run_id: `mine` and task_id: `nope` was not found\"}"},
		{404, "GET", task + "/3", ``, "and map_index: `3` was not found"},
		{404, "GET", task + "/listMapped", ``, `{"detail":"Task id train_movie_model is not mapped"}`},
		{404, "GET", task + "/logs/1", ``, `{"detail":"TaskInstance not found"}`},
		{422, "GET", task + "/logs/x", ``, `{"detail":[{"type":"int_parsing","loc":["path","try_number"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]}`},
		{404, "GET", task + "/tries/1", ``, "try_number: `1` and map_index: `-1` was not found"},
		{404, "GET", task + "/xcomEntries/nope", ``, "{\"detail\":\"XCom entry with key: `nope` not found\"}"},
		{400, "GET", "/api/v2/dags/~/dagRuns/mine/taskInstances", ``, `{"detail":"dag_id is required when dag_run_id is specified"}`},
		{422, "POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list", `{"state": ["nope"]}`, `"loc":["body","state",0]`},
		{422, "PATCH", trainingV2, `{}`, `{"detail":[{"type":"missing","loc":["body","is_paused"],"msg":"Field required","input":{}}]}`},
		{422, "PATCH", trainingV2, `{"is_paused": "x"}`, `{"detail":[{"type":"bool_parsing","loc":["body","is_paused"],"msg":"Input should be a valid boolean, unable to interpret input","input":"x"}]}`},
		{400, "PATCH", trainingV2 + "?update_mask=description", `{"is_paused": true}`, "{\"detail\":\"Only `is_paused` field can be updated through the REST API\"}"},
		{404, "PATCH", "/api/v2/dags/nope", `{"is_paused": true}`, `{"detail":"Dag with id: nope was not found"}`},
		{422, "PATCH", runsV2 + "/mine", `{"state": "running"}`, `{"detail":[{"type":"enum","loc":["body","state"],"msg":"Input should be 'queued', 'success' or 'failed'","input":"running","ctx":{"expected":"'queued', 'success' or 'failed'"}}]}`},
		{400, "PATCH", runsV2 + "/mine", `{"state": "queued"}`, `clear it`},
		{422, "PATCH", runsV2 + "/mine", `{"note": "` + strings.Repeat("x", 1001) + `"}`, `"msg":"String should have at most 1000 characters"`},
		{422, "PATCH", task, `{"new_state": "nope"}`, `{"detail":[{"type":"value_error","loc":["body","new_state"],"msg":"Value error, 'nope' is not one of ['success', 'failed', 'skipped']","input":"nope","ctx":{"error":{}}}]}`},
		{404, "PATCH", runsV2 + "/mine/taskInstances/nope", `{"new_state": "success"}`, `{"detail":"Task 'nope' not found in Dag 'movie_training_pipeline'"}`},
		{422, "POST", trainingV2 + "/clearTaskInstances", `{"dag_run_id": "mine", "task_ids": []}`, `"msg":"Value error, task_ids list should have at least 1 element."`},
		{422, "POST", trainingV2 + "/clearTaskInstances", `{"only_failed": true, "only_running": true}`, `only_failed and only_running both are set to True`},
		{404, "POST", trainingV2 + "/clearTaskInstances", `{"dag_run_id": "nope"}`, `{"detail":"Dag Run id nope not found in dag movie_training_pipeline"}`},
		{400, "POST", trainingV2 + "/clearTaskInstances", `{"dag_run_id": "mine", "include_past": true}`, `{"detail":"Cannot use include_past or include_future with no logical_date(e.g. manually or asset-triggered)."}`},
		{404, "POST", runsV2 + "/nope/clear", `{"dry_run": false}`, "run_id: `nope` was not found"},
		{400, "POST", runsV2 + "/mine/clear", `{"run_on_latest_version": true}`, `run_on_latest_version`},
		{404, "GET", "/api/v2/importErrors/7", ``, "{\"detail\":\"The ImportError with import_error_id: `7` was not found\"}"},
		{403, "GET", "/api/v2/config", ``, `not to expose the configuration`},
		{404, "GET", trainingV2 + "/dagVersions/9", ``, "and version_number: `9` was not found"},
		{404, "GET", "/api/v2/dagSources/nope", ``, `{"detail":"The source code of the Dag nope, version_number None was not found"}`},
		{404, "GET", "/api/v2/nope", ``, `"error":"API route not found"`},
		{405, "PUT", trainingV2, ``, `{"detail":"Method Not Allowed"}`},
		{404, "DELETE", runsV2 + "/nope", ``, "run_id: `nope` was not found"},
		{404, "DELETE", "/api/v2/dags/nope", ``, `{"detail":"Dag with id: nope was not found"}`},
		{409, "DELETE", trainingV2, ``, `{"detail":"Task instances of dag with id: 'movie_training_pipeline' are still running"}`},
		{405, "POST", runsV2 + "/mine/taskInstances/train_movie_model/xcomEntries", `{}`, `{"detail":"Method Not Allowed"}`},
		{404, "GET", "/api/v2/eventLogs/999999", ``, "{\"detail\":\"The Event Log with id: `999999` not found\"}"},
		{400, "GET", "/api/v2/eventLogs/x", ``, `{"detail":"'event_log_id' must be an integer"}`},
		{422, "GET", "/api/v2/eventLogs?after=x", ``, `"loc":["query","after"]`},
		{400, "GET", "/api/v2/eventLogs?order_by=nope", ``, `Ordering with 'nope'`},
		{404, "GET", "/api/v2/variables/nope", ``, "{\"detail\":\"The Variable with key: `nope` was not found\"}"},
		{404, "DELETE", "/api/v2/variables/nope", ``, "The Variable with key: `nope` was not found"},
		{422, "POST", "/api/v2/variables", `{"key": "k"}`, `"loc":["body","value"],"msg":"Field required"`},
		{422, "POST", "/api/v2/variables", `{"key": "` + strings.Repeat("k", 251) + `", "value": ""}`, `"string_too_long"`},
		{400, "PATCH", "/api/v2/variables/a", `{"key": "b", "value": ""}`, `Invalid body, key from request body doesn't match uri parameter`},
		{404, "GET", "/api/v2/connections/nope", ``, "The Connection with connection_id: `nope` was not found"},
	} {
		code, text, _ := w.ask(c.method, c.path, c.body)
		if code != c.status || !strings.Contains(text, c.says) {
			t.Errorf("%s %s %.80s: %d %.400s; want %d %s", c.method, c.path, c.body, code, text, c.status, c.says)
		}
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestV2Credentials: /api/v2 takes tokens that were given for a password, or the program's own; /api/v1 knows none of them.
func TestV2Credentials(t *testing.T) {
	b := apitest.New(t, nil)
	c := b.Core.Config
	c.Factories = nil // the bench has the folder
	c.Token, c.Users = "own", map[string]string{"ann": "secret"}
	core, err := api.New(c)
	b.Must(err)
	t.Cleanup(func() { b.Must(core.Close()) })
	v1 := airflow.New(core, airflow.Config{Workflows: &projections.DefinedWorkflows{Views: b.Views, Operators: roles.Operators()}, Version: "test"})
	server := core.Serve(v1, airflow.NewV2(v1))
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	asJSON, asForm := header("Content-Type", "application/json"), header("Content-Type", "application/x-www-form-urlencoded")
	var token string
	for _, c := range []struct {
		status     int
		path, body string
		as         func(*http.Request)
		says       string
	}{
		{401, "/auth/token", `{"username": "ann", "password": "no"}`, asJSON, `{"detail":"Invalid credentials"}`},
		{401, "/auth/token", `{"username": "admin", "password": "admin"}`, asJSON, `{"detail":"Invalid credentials"}`},
		{400, "/auth/token", `{"username": "ann", "password": ""}`, asJSON, `{"detail":"Username and password must be provided"}`},
		{422, "/auth/token", `{"username": "ann"}`, asJSON, `"loc":["body","password"],"msg":"Field required"`},
		{422, "/auth/token", `nope`, asJSON, `"json_invalid"`},
		{415, "/auth/token", `username=ann`, header("Content-Type", "text/plain"), `{"detail":"Only application/json or application/x-www-form-urlencoded is supported"}`},
		{201, "/auth/token/cli", `{"username": "ann", "password": "secret"}`, asJSON, `access_token`},
		{201, "/auth/token", `username=projectionist&password=own`, asForm, `access_token`},
		{201, "/auth/token", `{"username": "ann", "password": "secret"}`, asJSON, `access_token`},
	} {
		a := apitest.Ask(server, "POST", c.path, c.body, c.as)
		if a.Code != c.status || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s %s: %d %s; want %d %s", c.path, c.body, a.Code, a.Text, c.status, c.says)
		}
		token, _ = a.Object["access_token"].(string)
	}
	if a := apitest.Ask(server, "GET", "/auth/token", ""); a.Code != 403 {
		t.Errorf("without a password: %d %s", a.Code, a.Text)
	}
	none := func(*http.Request) {}
	basic := func(r *http.Request) { r.SetBasicAuth("ann", "secret") }
	for _, c := range []struct {
		status int
		path   string
		as     func(*http.Request)
		says   string
	}{
		{200, "/api/v2/dags", header("Authorization", "Bearer "+token), `"dags"`},
		{200, "/api/v2/dags", header("Authorization", "bearer own"), `"dags"`},
		{401, "/api/v2/dags", none, `{"detail":"Not authenticated"}`},
		{401, "/api/v2/dags", basic, `{"detail":"Not authenticated"}`},
		{401, "/api/v2/nope", none, `{"detail":"Not authenticated"}`},
		{403, "/api/v2/dags", header("Authorization", "Bearer nope"), `{"detail":"Invalid JWT token"}`},
		{403, "/api/v2/dags", header("Authorization", "Bearer "+token+"x"), `{"detail":"Invalid JWT token"}`},
		{200, "/api/v2/version", none, `"3.3.2"`},
		{200, "/api/v2/monitor/health", none, `"metadatabase"`},
		{200, "/api/v1/dags", basic, `"dags"`},
		{401, "/api/v1/dags", header("Authorization", "Bearer "+token), `"Unauthorized"`},
		{401, "/api/v1/dags", none, `"Unauthorized"`},
	} {
		if a := apitest.Ask(server, "GET", c.path, "", c.as); a.Code != c.status || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s: %d %.200s; want %d %s", c.path, a.Code, a.Text, c.status, c.says)
		}
	}
	open := newV2(t)
	if a := apitest.Ask(open.server, "GET", "/auth/token", ""); a.Code != 201 {
		t.Errorf("where none are needed: %d %s", a.Code, a.Text)
	}
	if a := apitest.Ask(open.server, "GET", "/api/v2/dags", ""); a.Code != 200 {
		t.Errorf("where none are needed: %d %s", a.Code, a.Text)
	}
}

// TestV2Steer marks, clears and notes as Airflow 3's client does; a dry run changes nothing.
func TestV2Steer(t *testing.T) {
	w := newV2(t)
	const prepare, train = "prepare_training_data", "train_movie_model"
	w.want(200, "POST", runsV2, `{"logical_date": "2024-01-02T00:00:00Z", "dag_run_id": "r1"}`)
	w.want(200, "POST", runsV2, `{"logical_date": "2024-01-01T00:00:00Z", "dag_run_id": "r0"}`)
	at := runsV2 + "/r1"
	w.Do(&commands.StartTask{RunID: "r1", Task: prepare, Holder: "h", LeaseMillis: 60_000})
	w.Do(&commands.FailTask{RunID: "r1", Task: prepare, Try: 1, Holder: "h", Error: "full"})
	w.Do(&commands.EndWorkflowRun{RunID: "r1", State: "failed"})
	states := func() string {
		var all []string
		for _, i := range w.want(200, "GET", at+"/taskInstances", "")["task_instances"].([]any) {
			all = append(all, fmt.Sprint(of(i, "state")))
		}
		return strings.Join(all, " ") + " " + w.want(200, "GET", at, "")["state"].(string)
	}
	tasks := func(v map[string]any) string {
		var all []string
		for _, i := range v["task_instances"].([]any) {
			all = append(all, fmt.Sprint(of(i, "dag_run_id"), "/", of(i, "task_id")))
		}
		return strings.Join(all, " ")
	}
	const failed = "failed upstream_failed upstream_failed upstream_failed upstream_failed failed"
	before := w.Head()
	for body, n := range map[string]float64{`{}`: 5, `{"only_failed": true}`: 5, `{"only_new": true}`: 0} {
		if v := w.want(200, "POST", at+"/clear", body); v["total_entries"] != n {
			t.Errorf("%s: %v", body, v)
		}
	}
	for body, want := range map[string]string{
		`{"dag_run_id": "r1", "task_ids": ["train_movie_model"], "only_failed": false}`:                                 "r1/" + train,
		`{"dag_run_id": "r1", "task_ids": [["train_movie_model", -1]], "include_upstream": true, "only_failed": false}`: "r1/" + prepare + " r1/" + train,
		`{"dag_run_id": "r1", "task_ids": ["nope"], "only_failed": false}`:                                              "",
		`{"dag_run_id": "r1", "task_ids": ["prepare_training_data"], "include_past": true, "only_failed": false}`:       "r1/" + prepare + " r0/" + prepare,
		`{"dag_run_id": "r1", "task_ids": ["prepare_training_data"], "include_future": true, "only_failed": false}`:     "r1/" + prepare,
		`{"task_ids": ["prepare_training_data"]}`:                                                                       "r1/" + prepare,
		`{"task_ids": ["prepare_training_data"], "only_failed": false, "end_date": "2024-01-01T12:00:00Z"}`:             "r0/" + prepare,
	} {
		if got := tasks(w.want(200, "POST", trainingV2+"/clearTaskInstances", body)); got != want {
			t.Errorf("%s: %s; want %s", body, got, want)
		}
	}
	if got := tasks(w.want(200, "PATCH", at+"/taskInstances/"+prepare+"/dry_run", `{"new_state": "success"}`)); got != "r1/"+prepare {
		t.Error(got)
	}
	if w.Head() != before || states() != failed {
		t.Error("a dry run changed something")
	}
	if v := w.want(409, "PATCH", at+"/taskInstances/"+prepare, `{"new_state": "failed"}`); v["detail"] != "Task id prepare_training_data is already in failed state" {
		t.Errorf("%v", v)
	}
	v := w.want(200, "PATCH", at+"/taskInstances/"+prepare, `{"new_state": "success", "note": "seen"}`)
	if of(v, "task_instances.0.state") != "success" || of(v, "task_instances.0.note") != "seen" || states() != "success queued <nil> <nil> <nil> running" {
		t.Errorf("%v %s", v, states())
	}
	if v := w.want(200, "PATCH", at+"/taskInstances/"+train+"/-1?update_mask=note", `{"new_state": "failed", "note": "slow"}`); of(v, "task_instances.0.note") != "slow" || of(v, "task_instances.0.state") != "queued" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at, `{"note": "more", "state": "failed"}`); v["state"] != "failed" || v["note"] != "more" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", at+"/clear", `{"dry_run": false, "note": "again"}`); v["state"] != "running" || v["note"] != "again" || states() != "queued <nil> <nil> <nil> <nil> running" {
		t.Errorf("%v %s", v, states())
	}
	w.Do(&commands.StartTask{RunID: "r1", Task: prepare, Holder: "h", LeaseMillis: 60_000})
	w.want(409, "POST", trainingV2+"/clearTaskInstances", `{"dag_run_id": "r1", "dry_run": false, "only_failed": false, "prevent_running_task": true}`)
	if got := tasks(w.want(200, "POST", trainingV2+"/clearTaskInstances", `{"dag_run_id": "r1", "dry_run": false, "only_failed": false, "only_running": true, "note": "stop"}`)); got != "r1/"+prepare {
		t.Error(got)
	}
	if v := w.want(200, "GET", at+"/taskInstances/"+prepare, ""); v["state"] != "queued" || v["note"] != "stop" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at, `{"state": "success"}`); states() != "success success success success success running" {
		t.Errorf("%v %s", v, states())
	}
	byUser := 0
	for c, err := range w.Log.Ledger().ReadStream(t.Context(), "workflow-run/r1", 0) {
		w.Must(err)
		for i := range c.Events {
			if who := c.Events[i].Actor; who == "admin" {
				byUser++
			} else if who != "test" {
				t.Errorf("%T by %q", c.Events[i].Data, who)
			}
		}
	}
	if byUser < 10 {
		t.Errorf("%d events are the user's", byUser)
	}
}

// TestV2Bulk: several runs are cleared, noted, ended and deleted by one request; what cannot be is said, and the rest is done.
func TestV2Bulk(t *testing.T) {
	w := newV2(t)
	for _, id := range []string{"r1", "r2", "r3"} {
		w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "`+id+`"}`)
	}
	w.Do(&commands.StartTask{RunID: "r3", Task: "prepare_training_data", Holder: "h", LeaseMillis: 60_000})
	w.Do(&commands.EndWorkflowRun{RunID: "r1", State: "failed"})
	if v := w.want(200, "POST", trainingV2+"/clearDagRuns", `{"dag_runs": [{"dag_run_id": "r1"}, {"dag_run_id": "r2"}], "only_failed": true}`); v["total_entries"] != 5. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", "/api/v2/dags/~/clearDagRuns", `{"dag_runs": [{"dag_run_id": "r1", "dag_id": "movie_training_pipeline"}], "dry_run": false, "note": "again"}`); of(v, "dag_runs.0.state") != "queued" || of(v, "dag_runs.0.note") != "again" {
		t.Errorf("%v", v)
	}
	for body, status := range map[string]int{
		`{}`: 422, `{"dag_runs": [{}]}`: 422, `{"dag_runs": [{"dag_run_id": "nope"}]}`: 404, `{"dag_runs": [{"dag_run_id": "r1", "dag_id": "other"}]}`: 400, `{"dag_runs": [{"dag_run_id": "r1", "x": 1}]}`: 422,
	} {
		w.want(status, "POST", trainingV2+"/clearDagRuns", body)
	}
	v := w.want(200, "PATCH", runsV2, `{"actions": [{"action": "update", "entities": [{"dag_run_id": "r1", "note": "b"}, {"dag_run_id": "nope", "note": "b"}]}, {"action": "create", "entities": []}]}`)
	if of(v, "update.errors.0.error") != "The DagRuns with these identifiers: [('movie_training_pipeline', 'nope')] were not found" || of(v, "update.success.0") != nil || of(v, "create.errors.0.status_code") != 405. || v["delete"] != nil {
		t.Errorf("%v", v)
	}
	code, text, v := w.ask("PATCH", runsV2, `{"actions": [{"action": "update", "action_on_non_existence": "skip", "entities": [{"dag_run_id": "r1", "note": "b", "state": "failed"}, {"dag_run_id": "nope"}, {"dag_run_id": "r2", "state": "failed"}]},
		{"action": "delete", "entities": ["r2", "r3"]}]}`, func(r *http.Request) { r.Header.Set("Idempotency-Key", "k") })
	if code != 200 || fmt.Sprint(of(v, "update.success")) != "[movie_training_pipeline.r1 movie_training_pipeline.r2]" || fmt.Sprint(of(v, "delete.success")) != "[movie_training_pipeline.r2]" || of(v, "delete.errors.0.status_code") != 409. {
		t.Errorf("%d %s", code, text)
	}
	if v := w.want(200, "GET", runsV2, ""); v["total_entries"] != 2. || of(v, "dag_runs.0.state") != "failed" || of(v, "dag_runs.0.note") != "b" {
		t.Errorf("%v", v)
	}
	for _, body := range []string{`{}`, `{"actions": [{}]}`, `{"actions": [{"action": "nope", "entities": []}]}`, `{"actions": [{"action": "update", "entities": ["r1"]}]}`, `{"actions": 1}`} {
		w.want(422, "PATCH", runsV2, body)
	}
}

// TestV2Log: what was asked for is in the event log by who did it, deleted runs are no more, and variables are what they were set to.
func TestV2Log(t *testing.T) {
	w := newV2(t)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r1"}`)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r2"}`)
	w.Do(&commands.StartTask{RunID: "r2", Task: "prepare_training_data", Holder: "h", LeaseMillis: 60_000})
	w.want(409, "DELETE", runsV2+"/r2", "")
	w.want(204, "DELETE", runsV2+"/r1", "")
	w.want(404, "GET", runsV2+"/r1", "")
	w.want(200, "PATCH", trainingV2, `{"is_paused": true}`)
	if v := w.want(201, "POST", "/api/v2/variables", `{"key": "genres", "value": {"a": [1]}, "description": "d"}`); v["value"] != "{\n  \"a\": [\n    1\n  ]\n}" || v["is_encrypted"] != false {
		t.Errorf("%v", v)
	}
	w.want(409, "POST", "/api/v2/variables", `{"key": "genres", "value": ""}`)
	if v := w.want(200, "PATCH", "/api/v2/variables/genres?update_mask=value", `{"key": "genres", "value": "x", "description": "other"}`); v["value"] != "x" || v["description"] != "d" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/api/v2/variables?variable_key_pattern=GEN", ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
	w.want(204, "DELETE", "/api/v2/variables/genres", "")
	events := func(query string) string {
		var all []string
		for _, e := range w.want(200, "GET", "/api/v2/eventLogs?"+query, "")["event_logs"].([]any) {
			all = append(all, fmt.Sprint(of(e, "owner"), "/", of(e, "event")))
		}
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"owner=admin": "admin/trigger_dag_run admin/trigger_dag_run admin/patch_dag_run admin/delete_dag_run admin/patch_dag admin/post_variable admin/post_variable admin/delete_variable",
		"owner_pattern=ADM&order_by=-event_log_id&limit=2": "admin/delete_variable admin/post_variable",
		"run_id=r2": "admin/trigger_dag_run test/running",
		"dag_id=movie_training_pipeline&event=trigger_dag_run":                               "admin/trigger_dag_run admin/trigger_dag_run",
		"included_events=running&included_events=patch_dag":                                  "test/running admin/patch_dag",
		"included_events=running&excluded_events=running":                                    "",
		"owner=admin&event_prefix_pattern=p&order_by=event&order_by=-id":                     "admin/patch_dag admin/patch_dag_run admin/post_variable admin/post_variable",
		"after=2999-01-01T00:00:00Z":                                                         "",
		"before=2000-01-01":                                                                  "",
		"order_by=-when&limit=1&task_id=prepare_training_data&after=2020-01-01&try_number=1": "test/running",
	} {
		if got := events(query); got != want {
			t.Errorf("%s: %s; want %s", query, got, want)
		}
	}
	first := w.want(200, "GET", "/api/v2/eventLogs?limit=1&run_id=r2", "")
	id := of(first, "event_logs.0.event_log_id").(float64)
	if v := w.want(200, "GET", fmt.Sprintf("/api/v2/eventLogs/%d", int64(id)), ""); v["run_id"] != "r2" || v["event"] != "trigger_dag_run" {
		t.Errorf("%v", v)
	}
}

// TestV2Wait: who waits for a run is told its state, and its end with the outputs that were asked for.
func TestV2Wait(t *testing.T) {
	w := newV2(t)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r+1"}`)
	at := runsV2 + "/" + url.PathEscape("r+1")
	answer := make(chan string)
	go func() {
		_, text, _ := w.ask("GET", at+"/wait?interval=0.1&result=prepare_training_data&result=nope", "")
		answer <- text
	}()
	w.Do(&commands.StartTask{RunID: "r+1", Task: "prepare_training_data", Holder: "h", LeaseMillis: 60_000})
	w.Do(&commands.SucceedTask{RunID: "r+1", Task: "prepare_training_data", Try: 1, Holder: "h", Output: map[string]string{"rows": "7"}})
	w.Do(&commands.EndWorkflowRun{RunID: "r+1", State: "failed"})
	lines := strings.Split(strings.TrimSpace(<-answer), "\n")
	if last := lines[len(lines)-1]; last != `{"state":"failed","results":{"prepare_training_data":{"rows":"7"}}}` {
		t.Errorf("%q", lines)
	}
	for _, line := range lines[:len(lines)-1] {
		if line != `{"state":"queued"}` && line != `{"state":"running"}` {
			t.Errorf("%q", lines)
		}
	}
	code, text, _ := w.ask("GET", at+"/wait?interval=9", "")
	if code != 200 || text != "{\"state\":\"failed\"}\n" {
		t.Errorf("of one that has ended: %d %q", code, text)
	}
}

// TestV2WaitEnds: where the server ends before the run does, the answer is broken off, and not to be taken for whole.
func TestV2WaitEnds(t *testing.T) {
	w := newV2(t)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r1"}`)
	server := httptest.NewServer(w.server)
	defer server.Close()
	r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+runsV2+"/r1/wait?interval=3600", nil)
	w.Must(err)
	r.Header.Set("Authorization", "Bearer "+w.token)
	answer, err := http.DefaultClient.Do(r)
	w.Must(err)
	defer answer.Body.Close() //nolint:errcheck // read only
	if kind := answer.Header["Content-Type"]; kind != nil {
		t.Errorf("it has a type, %v: Airflow's client would not take it", kind)
	}
	first := make([]byte, len("{\"state\":\"queued\"}\n"))
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "{\"state\":\"queued\"}\n" {
		t.Fatalf("%q, %v", first, err)
	}
	w.Core.Drain()
	if rest, err := io.ReadAll(answer.Body); err == nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}
