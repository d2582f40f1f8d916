package airflow_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// refusal is a request and what is said against it.
type refusal struct {
	status             int
	method, path, body string
	says               string
}

func (w *v2) refuse(all ...refusal) {
	w.T.Helper()
	for _, c := range all {
		code, text, _ := w.ask(c.method, c.path, c.body)
		if code != c.status || !strings.Contains(text, c.says) {
			w.T.Errorf("%s %s %s: %d %s; want %d %q", c.method, c.path, c.body, code, text, c.status, c.says)
		}
	}
}

// TestV2Pools: pools as Airflow 3's client makes, changes and removes them, with its words for what is wrong; and what tasks take of them.
func TestV2Pools(t *testing.T) {
	w := newV2(t)
	const at = "/api/v2/pools"
	v := w.want(200, "GET", at+"/default_pool", "")
	for name, want := range map[string]any{"deferred_slots": 0., "description": "Default pool", "include_deferred": false, "name": "default_pool", "occupied_slots": 0.,
		"open_slots": 128., "queued_slots": 0., "running_slots": 0., "scheduled_slots": 0., "slots": 128., "team_name": nil} {
		if v[name] != want {
			t.Errorf("%s is %v; want %v", name, v[name], want)
		}
	}
	w.want(201, "POST", at, `{"name": "zoo", "slots": -1}`)
	if v := w.want(201, "POST", at, `{"name": "gpu", "slots": 3, "description": "cards"}`); v["slots"] != 3. || v["open_slots"] != 3. || v["description"] != "cards" || v["include_deferred"] != false {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"/zoo", ""); v["open_slots"] != -1. || v["description"] != nil {
		t.Errorf("%v", v)
	}
	d, err := workflow.Parse([]byte("name: many\ntasks:\n  - {name: a, operator: watch_log, pool: gpu, pool_slots: 2}\n  - {name: b, operator: watch_log, pool: gpu}\n"), roles.Operators())
	if err != nil {
		t.Fatal(err)
	}
	w.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
	w.Do(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "many", RunType: "manual"})
	w.Do(&commands.StartTask{RunID: "r1", Task: "a", Holder: "h", LeaseMillis: 60_000})
	if v := w.want(200, "GET", at+"/gpu", ""); v["running_slots"] != 2. || v["occupied_slots"] != 2. || v["scheduled_slots"] != 1. || v["open_slots"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at, ""); v["total_entries"] != 3. || of(v, "pools.0.name") != "default_pool" || of(v, "pools.1.name") != "zoo" || of(v, "pools.2.name") != "gpu" { // as they were made
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"?order_by=-name&limit=1", ""); v["total_entries"] != 3. || of(v, "pools.0.name") != "zoo" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"?pool_name_pattern=PU", ""); v["total_entries"] != 1. || of(v, "pools.0.name") != "gpu" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"?pool_name_prefix_pattern=zo", ""); v["total_entries"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/gpu?update_mask=slots", `{"pool": "gpu", "slots": 5, "description": "x", "include_deferred": true}`); v["slots"] != 5. || v["description"] != "cards" || v["include_deferred"] != false {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/gpu", `{"pool": "gpu", "slots": 6, "description": null, "include_deferred": true}`); v["slots"] != 6. || v["description"] != nil || v["include_deferred"] != true {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/default_pool?update_mask=slots&update_mask=include_deferred", `{"slots": 9}`); v["slots"] != 9. || v["description"] != "Default pool" {
		t.Errorf("%v", v)
	}
	w.refuse([]refusal{
		{404, "GET", at + "/nope", "", "The Pool with name: `nope` was not found"},
		{404, "GET", at + "/a/b", "", "The Pool with name: `a/b` was not found"},
		{400, "GET", at + "?order_by=slots", "", "Ordering with 'slots' is disallowed"},
		{409, "POST", at, `{"name": "gpu", "slots": 1}`, "Unique constraint violation"},
		{409, "POST", at, `{"name": "default_pool", "slots": 1}`, "Unique constraint violation"},
		{422, "POST", at, `{"slots": -2, "colour": "red"}`, `"loc":["body","name"],"msg":"Field required"`},
		{422, "POST", at, `{"name": "x", "slots": -2}`, "Input should be greater than or equal to -1"},
		{422, "POST", at, `{"name": "x", "slots": 1, "colour": "red"}`, "Extra inputs are not permitted"},
		{422, "POST", at, `{"name": "x", "slots": 1, "team_name": "t"}`, "multi_team"},
		{422, "POST", at, `{"name": "` + strings.Repeat("x", 257) + `", "slots": 1}`, "at most 256 characters"},
		{400, "POST", at, `{"name": "a/b", "slots": 1}`, "slash"},
		{422, "PATCH", at + "/gpu", `{"slots": 1}`, `"loc":["include_deferred"],"msg":"Field required"`},
		{422, "PATCH", at + "/gpu", `{"pool": "gpu", "slots": null, "include_deferred": true}`, `"loc":["slots"],"msg":"Input should be a valid integer"`},
		{400, "PATCH", at + "/gpu", `{"pool": "other", "slots": 1, "include_deferred": true}`, "pool name from request body doesn't match uri parameter"},
		{400, "PATCH", at + "/default_pool", `{"slots": 1}`, "Only slots and included_deferred can be modified on Default Pool"},
		{400, "PATCH", at + "/default_pool?update_mask=description", `{"description": "x"}`, "Only slots and included_deferred can be modified on Default Pool"},
		{404, "PATCH", at + "/nope", `{"pool": "nope", "slots": 1, "include_deferred": true}`, "was not found"},
		{404, "DELETE", at + "/nope", "", "The Pool with name: `nope` was not found"},
		{400, "DELETE", at + "/default_pool", "", "Default Pool can't be deleted"},
	}...)
	w.want(204, "DELETE", at+"/gpu", "")
	w.want(404, "GET", at+"/gpu", "")
}

// TestV2BulkPools: several pools are made, changed and removed by one request; where one is there, or is not, none of the action is done unless it says what then.
func TestV2BulkPools(t *testing.T) {
	w := newV2(t)
	const at = "/api/v2/pools"
	bulk := func(actions string) map[string]any {
		t.Helper()
		return w.want(200, "PATCH", at, `{"actions": [`+actions+`]}`)
	}
	is := func(v map[string]any, way, want string) {
		t.Helper()
		if got, err := json.Marshal(of(v, way)); err != nil || string(got) != want {
			t.Errorf("%s: %s; want %s", way, got, want)
		}
	}
	v := bulk(`{"action": "create", "entities": [{"name": "a", "slots": 1, "description": "first"}, {"name": "b", "slots": 2}]}, {"action": "update", "entities": [{"name": "b", "slots": 7}]}, {"action": "delete", "entities": ["nope"]}`)
	is(v, "create.success", `["a","b"]`)
	is(v, "update.success", `["b"]`)
	is(v, "delete.errors", `[{"error":"The pools with these pool names: {'nope'} were not found.","status_code":404}]`)
	if v := w.want(200, "GET", at+"/b", ""); v["slots"] != 7. {
		t.Errorf("%v", v)
	}
	v = bulk(`{"action": "create", "entities": [{"name": "c", "slots": 1}, {"name": "b", "slots": 1}, {"name": "a", "slots": 1}]}`)
	is(v, "create", `{"errors":[{"error":"The pools with these pool names: {'a', 'b'} already exist.","status_code":409}],"success":[]}`)
	is(v, "update", `null`)
	is(bulk(`{"action": "create", "entities": [{"name": "c", "slots": 1}, {"name": "a", "slots": 5}], "action_on_existence": "skip"}`), "create.success", `["c"]`)
	is(bulk(`{"action": "create", "entities": [{"name": "a", "slots": 5}], "action_on_existence": "overwrite"}`), "create.success", `["a"]`)
	if v := w.want(200, "GET", at+"/a", ""); v["slots"] != 5. || v["description"] != "first" { // what was not said stays
		t.Errorf("%v", v)
	}
	v = bulk(`{"action": "update", "entities": [{"name": "a", "slots": 6, "description": "x"}, {"name": "nope", "slots": 1}], "update_mask": ["slots"], "action_on_non_existence": "skip"}, {"action": "update", "entities": [{"name": "default_pool", "slots": 6}]}`)
	is(v, "update", `{"errors":[{"error":"Only slots and included_deferred can be modified on Default Pool","status_code":400}],"success":["a"]}`)
	if v := w.want(200, "GET", at+"/a", ""); v["slots"] != 6. || v["description"] != "first" {
		t.Errorf("%v", v)
	}
	v = bulk(`{"action": "delete", "entities": ["a", "a", {"name": "b", "slots": 1}, "nope"], "action_on_non_existence": "skip"}, {"action": "delete", "entities": ["default_pool"]}`)
	is(v, "delete.success", `["a","b"]`)
	is(v, "delete.errors.0.status_code", `400`)
	if v := w.want(200, "GET", at, ""); v["total_entries"] != 2. {
		t.Errorf("%v", v)
	}
	w.refuse([]refusal{
		{422, "PATCH", at, `{}`, `"loc":["body","actions"],"msg":"Field required"`},
		{422, "PATCH", at, `{"actions": [{"action": "mend", "entities": []}]}`, "'create', 'update' or 'delete'"},
		{422, "PATCH", at, `{"actions": [{"action": "create", "entities": ["a"]}]}`, "Input should be a valid dictionary"},
		{422, "PATCH", at, `{"actions": [{"action": "create", "entities": [{"name": "a"}]}]}`, `["body","actions",0,"entities",0,"slots"]`},
	}...)
}

// TestV2BulkVariables: several variables are made, changed and deleted by one request.
func TestV2BulkVariables(t *testing.T) {
	w := newV2(t)
	const at = "/api/v2/variables"
	bulk := func(actions, way, want string) {
		t.Helper()
		v := w.want(200, "PATCH", at, `{"actions": [`+actions+`]}`)
		if got, err := json.Marshal(of(v, way)); err != nil || string(got) != want {
			t.Errorf("%s: %s; want %s", way, got, want)
		}
	}
	bulk(`{"action": "create", "entities": [{"key": "a", "value": ["drama"], "description": "of films"}, {"key": "b", "value": "2"}]}`, "create", `{"errors":[],"success":["a","b"]}`)
	bulk(`{"action": "create", "entities": [{"key": "b", "value": "3"}, {"key": "c", "value": "3"}]}`, "create", `{"errors":[{"error":"The variables with these keys: {'b'} already exist.","status_code":409}],"success":[]}`)
	bulk(`{"action": "create", "entities": [{"key": "b", "value": "3"}], "action_on_existence": "overwrite"}`, "create.success", `["b"]`)
	bulk(`{"action": "update", "entities": [{"key": "a", "value": "4", "description": "x"}], "update_mask": ["value"]}`, "update.success", `["a"]`)
	bulk(`{"action": "update", "entities": [{"key": "a", "value": "4"}], "update_mask": ["key"]}`, "update.errors.0.error", `"Update not allowed: the following fields are immutable and cannot be modified: {'key'}"`)
	bulk(`{"action": "update", "entities": [{"key": "nope", "value": "4"}]}`, "update.errors.0.status_code", `404`)
	if v := w.want(200, "GET", at+"/a", ""); v["value"] != "4" || v["description"] != "of films" {
		t.Errorf("%v", v)
	}
	bulk(`{"action": "delete", "entities": ["a", "nope", "b"], "action_on_non_existence": "skip"}`, "delete", `{"errors":[],"success":["a","b"]}`)
	if v := w.want(200, "GET", at, ""); v["total_entries"] != 0. {
		t.Errorf("%v", v)
	}
	w.refuse(refusal{422, "PATCH", at, `{"actions": [{"action": "create", "entities": [{"key": "a"}]}]}`, `["body","actions",0,"entities",0,"value"]`})
}

// TestV2BulkTasks: several tasks of runs are marked and noted by one request, as far as one that cannot be; none is made or deleted.
func TestV2BulkTasks(t *testing.T) {
	w := newV2(t)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r1"}`)
	w.want(200, "POST", runsV2, `{"logical_date": null, "dag_run_id": "r2"}`)
	bulk := func(at, actions, way, want string) {
		t.Helper()
		v := w.want(200, "PATCH", at, `{"actions": [`+actions+`]}`)
		if got, err := json.Marshal(of(v, way)); err != nil || string(got) != want {
			t.Errorf("%s: %s; want %s", way, got, want)
		}
	}
	const at, all = runsV2 + "/r1/taskInstances", "/api/v2/dags/~/dagRuns/~/taskInstances"
	const dag, prepare, train = "movie_training_pipeline", "prepare_training_data", "train_movie_model"
	bulk(at, `{"action": "update", "entities": [{"task_id": "`+prepare+`", "new_state": "success", "note": "had it"}, {"task_id": "`+train+`", "map_index": -1, "note": "soon"}]}`, "update",
		`{"errors":[],"success":["`+dag+`.r1.`+train+`[-1]","`+dag+`.r1.`+prepare+`[-1]"]}`)
	if v := w.want(200, "GET", at+"/"+prepare, ""); v["state"] != "success" || v["note"] != "had it" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"/"+train, ""); v["note"] != "soon" {
		t.Errorf("%v", v)
	}
	bulk(at, `{"action": "update", "entities": [{"task_id": "`+prepare+`", "new_state": "success"}, {"task_id": "`+train+`", "note": "never"}]}`, "update",
		`{"errors":[{"error":"Task id `+prepare+` is already in success state","status_code":409}],"success":[]}`)
	bulk(at, `{"action": "update", "entities": [{"task_id": "`+train+`", "map_index": 4, "note": "never"}, {"task_id": "`+train+`", "map_index": -1, "note": "never"}]}`, "update.errors",
		`[{"error":"The task instances with these identifiers: [{'dag_id': '`+dag+`', 'dag_run_id': 'r1', 'task_id': '`+train+`', 'map_index': 4}] were not found","status_code":404}]`)
	bulk(at, `{"action": "update", "entities": [{"task_id": "nope", "note": "x"}]}`, "update.errors.0.error", `"No task instances found for dag_id: `+dag+`, run_id: r1, task_id: nope"`)
	bulk(all, `{"action": "update", "entities": [{"task_id": "`+train+`", "note": "x"}, {"task_id": "`+train+`", "dag_id": "`+dag+`", "dag_run_id": "r2", "note": "there"}, {"task_id": "nope", "dag_id": "`+dag+`", "dag_run_id": "r2"}], "action_on_non_existence": "skip", "update_mask": ["note"]}`,
		"update", `{"errors":[{"error":"When using wildcard in path, dag_id and dag_run_id must be specified in request body for task_id: `+train+`","status_code":400}],"success":["`+dag+`.r2.`+train+`[-1]"]}`)
	if v := w.want(200, "GET", runsV2+"/r2/taskInstances/"+train, ""); v["note"] != "there" {
		t.Errorf("%v", v)
	}
	bulk(at, `{"action": "create", "entities": [{"task_id": "x"}]}, {"action": "delete", "entities": ["`+train+`"]}`, "delete.errors.0.status_code", `405`)
	w.refuse(refusal{422, "PATCH", at, `{"actions": [{"action": "update", "entities": [{"new_state": "asleep"}]}]}`, "is not one of"})
}
