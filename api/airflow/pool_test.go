package airflow_test

import (
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// TestPools: pools as Airflow's clients make, change and remove them, with its words for what is wrong; and what tasks take of them.
func TestPools(t *testing.T) {
	w := newFixture(t)
	const at = "/api/v1/pools"
	v := w.want(200, "GET", at+"/default_pool", "")
	for name, want := range map[string]any{"deferred_slots": 0., "description": "Default pool", "include_deferred": false, "name": "default_pool", "occupied_slots": 0.,
		"open_slots": 128., "queued_slots": 0., "running_slots": 0., "scheduled_slots": 0., "slots": 128.} {
		if v[name] != want {
			t.Errorf("%s is %v; want %v", name, v[name], want)
		}
	}
	if v := w.want(200, "POST", at, `{"name":"gpu","slots":3,"description":"cards"}`); v["slots"] != 3. || v["open_slots"] != 3. {
		t.Errorf("%v", v)
	}
	d, err := workflow.Parse([]byte("name: many\ntasks:\n  - {name: a, operator: watch_log, pool: gpu, pool_slots: 2}\n  - {name: b, operator: watch_log, pool: gpu}\n  - {name: c, operator: watch_log, needs: [a], pool: gpu}\n"), roles.Operators())
	if err != nil {
		t.Fatal(err)
	}
	w.Do(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
	w.Do(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "many", RunType: "manual"})
	w.Do(&commands.StartTask{RunID: "r1", Task: "a", Holder: "h", LeaseMillis: 60_000})
	if v := w.want(200, "GET", at+"/gpu", ""); v["running_slots"] != 2. || v["occupied_slots"] != 2. || v["scheduled_slots"] != 1. || v["open_slots"] != 1. {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/gpu?update_mask=slots", `{"name":"other","slots":5}`); v["slots"] != 5. || v["name"] != "gpu" || v["description"] != "cards" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "PATCH", at+"/default_pool?update_mask=slots,include_deferred", `{"slots":-1,"include_deferred":true}`); v["slots"] != -1. || v["open_slots"] != -1. || v["include_deferred"] != true {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", at+"?order_by=-slots&limit=1", ""); v["total_entries"] != 2. || v["pools"].([]any)[0].(map[string]any)["name"] != "gpu" {
		t.Errorf("%v", v)
	}
	for _, c := range []struct {
		status             int
		method, path, body string
		says               string
	}{
		{404, "GET", at + "/nope", "", "Pool with name:'nope' not found"},
		{409, "POST", at, `{"name":"gpu","slots":1}`, "Pool: gpu already exists"},
		{409, "POST", at, `{"name":"default_pool","slots":1}`, "already exists"},
		{400, "POST", at, `{"description":"x"}`, "Missing required property(ies): ['name', 'slots']"},
		{400, "POST", at, `{"name":"x","slots":"many"}`, "'slots'"},
		{400, "POST", at, `{"name":"x","slots":1,"colour":"red"}`, "Unknown field"},
		{400, "POST", at, `{"name":"a/b","slots":1}`, "slash"},
		{400, "PATCH", at + "/gpu", `{"slots":1}`, "Missing required property(ies): ['name']"},
		{400, "PATCH", at + "/gpu?update_mask=colour", `{"slots":1}`, "Invalid field: colour in update mask"},
		{400, "PATCH", at + "/gpu", `{"name":"other","slots":1}`, "cannot be changed"},
		{400, "PATCH", at + "/default_pool", `{"name":"default_pool","slots":1,"description":"x"}`, "Only slots and include_deferred"},
		{404, "PATCH", at + "/nope", `{"name":"nope","slots":1}`, "not found"},
		{404, "DELETE", at + "/nope", "", "not found"},
		{400, "DELETE", at + "/default_pool", "", "Default Pool can't be deleted"},
		{400, "GET", at + "?order_by=colour", "", "Ordering with 'colour'"},
	} {
		if v := w.want(c.status, c.method, c.path, c.body); !strings.Contains(v["detail"].(string), c.says) {
			t.Errorf("%s %s %s: %v; want %q", c.method, c.path, c.body, v["detail"], c.says)
		}
	}
	w.want(204, "DELETE", at+"/gpu", "")
	w.want(404, "GET", at+"/gpu", "")
}
