package mlflow_test

import (
	"net/url"
	"strings"
	"testing"
)

// TestRenames: experiments and models are called otherwise, and refuse as MLflow's SQL store does.
func TestRenames(t *testing.T) {
	w := newFixture(t)
	refused := func(status int, code, message, method, path, body string) {
		t.Helper()
		if a := ask(w.tracking, method, rest+path, body); a.Code != status || a.Object["error_code"] != code || !strings.Contains(a.Text, message) {
			t.Errorf("%s %s: %d %s; want %d %s %s", path, body, a.Code, a.Text, status, code, message)
		}
	}
	create := func(name string) string {
		return w.want("POST", "experiments/create", `{"name": "`+name+`"}`)["experiment_id"].(string)
	}
	a := create("a")
	w.want("POST", "experiments/update", `{"experiment_id": "`+a+`", "new_name": "b"}`)
	equal(t, "its name", at(w.want("GET", "experiments/get?experiment_id="+a, ""), "experiment", "name"), "b")
	equal(t, "by its name", at(w.want("GET", "experiments/get-by-name?experiment_name=b", ""), "experiment", "experiment_id"), a)
	refused(404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment with name 'a'", "GET", "experiments/get-by-name?experiment_name=a", "")
	second := create("a")
	equal(t, "another", []any{second != a, len(second) >= 18}, "[true true]")
	refused(400, "RESOURCE_ALREADY_EXISTS", "Experiment(name=a) already exists", "POST", "experiments/create", `{"name": "a"}`)
	refused(400, "BAD_REQUEST", "Experiment(name=a) already exists", "POST", "experiments/update", `{"experiment_id": "`+a+`", "new_name": "a"}`)
	refused(404, "RESOURCE_DOES_NOT_EXIST", "No Experiment with id=77 exists", "POST", "experiments/update", `{"experiment_id": "77", "new_name": "c"}`)
	refused(400, "INVALID_PARAMETER_VALUE", "new_name", "POST", "experiments/update", `{"experiment_id": "`+a+`", "new_name": ""}`)
	w.want("POST", "experiments/delete", `{"experiment_id": "`+a+`"}`)
	refused(400, "INVALID_STATE", "Cannot rename a non-active experiment.", "POST", "experiments/update", `{"experiment_id": "`+a+`", "new_name": "c"}`)
	equal(t, "searched", column(w.want("POST", "experiments/search", `{"max_results": 9, "view_type": "ALL", "filter": "name = 'a'"}`), "experiments", "experiment_id"), "["+second+"]")

	run := w.run("0", "r", 5)
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	w.want("POST", "model-versions/create", `{"name": "m", "source": "runs:/`+run+`/model", "run_id": "`+run+`"}`)
	w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "Production", "archive_existing_versions": true}`)
	w.want("POST", "registered-models/alias", `{"name": "m", "alias": "best", "version": "1"}`)
	v := w.want("POST", "registered-models/rename", `{"name": "m", "new_name": "n"}`)
	equal(t, "renamed", []any{at(v, "registered_model", "name"), at(v, "registered_model", "latest_versions", 0, "name"), at(v, "registered_model", "aliases", 0, "alias")}, "[n n best]")
	equal(t, "latest", column(w.want("POST", "registered-models/get-latest-versions", `{"name": "n", "stages": ["Production"]}`), "model_versions", "version"), "[1]")
	equal(t, "files", strings.HasSuffix(w.want("GET", "model-versions/get-download-uri?name=n&version=1", "")["artifact_uri"].(string), run+"/artifacts/model"), "true")
	equal(t, "a second version", at(w.want("POST", "model-versions/create", `{"name": "n", "source": "models:/n/1"}`), "model_version", "version"), "2")
	refused(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=m not found", "GET", "registered-models/get?name=m", "")
	refused(404, "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=m not found", "POST", "registered-models/rename", `{"name": "m", "new_name": "o"}`)
	refused(404, "RESOURCE_DOES_NOT_EXIST", "Model Version (name=m, version=1) not found", "GET", "model-versions/get?name=m&version=1", "")
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	refused(400, "RESOURCE_ALREADY_EXISTS", "Registered Model (name=m) already exists", "POST", "registered-models/rename", `{"name": "n", "new_name": "m"}`)
	refused(400, "RESOURCE_ALREADY_EXISTS", "Registered Model (name=n) already exists", "POST", "registered-models/create", `{"name": "n"}`)
	equal(t, "models", column(w.want("GET", "registered-models/search", ""), "registered_models", "name"), "[m n]")
	equal(t, "versions", column(w.want("GET", "model-versions/search?filter="+url.QueryEscape("name = 'n'"), ""), "model_versions", "name"), "[n n]")
	equal(t, "no versions", len(w.want("GET", "model-versions/search?filter="+url.QueryEscape("name = 'm'"), "")), 0)
	w.want("DELETE", "registered-models/delete", `{"name": "n"}`)
	w.want("POST", "registered-models/rename", `{"name": "m", "new_name": "n"}`)
}
