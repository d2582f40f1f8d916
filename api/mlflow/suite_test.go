package mlflow_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What MLflow's own tests of its REST API hold a server to: TestRefusalsOfMLflow has the words of refusals, the others
// what is done.
func TestRefusalsOfMLflow(t *testing.T) {
	w := newFixture(t)
	x := at(w.want("POST", "experiments/create", `{"name": "suite", "artifact_location": "`+filepath.ToSlash(t.TempDir())+`"}`), "experiment_id").(string)
	run := at(w.want("POST", "runs/create", `{"experiment_id": "`+x+`"}`), "run", "info", "run_id").(string)
	local := at(w.want("GET", "runs/get?run_id="+run, ""), "run", "info", "artifact_uri").(string)
	other := at(w.want("POST", "runs/create", `{}`), "run", "info", "run_id").(string)
	logged := at(w.want("POST", "logged-models", `{"experiment_id": "0", "name": "a", "source_run_id": "123"}`), "model", "info", "model_id").(string)
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	w.want("POST", "registered-models/create", `{"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}`)
	w.want("POST", "model-versions/create", `{"name": "p", "source": "prompt-template", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}`)
	hook := at(w.want("GET", "registered-models/get?name=m", ""), "registered_model", "name").(string)
	gone := at(w.want("POST", "experiments/create", `{"name": "gone"}`), "experiment_id").(string)
	w.want("POST", "experiments/delete", `{"experiment_id": "`+gone+`"}`)
	batch := func(text string) string { return `{"run_id": "` + run + `", ` + text + `}` }
	source := func(source, more string) string {
		return `{"name": "` + hook + `", "source": "` + source + `"` + more + `}`
	}
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct{ method, path, body, says string }{
		{"POST", "runs/log-batch", batch(`"metrics": [{"key": "mae", "value": 2.5}]`), "Missing value for required parameter 'metrics[0].timestamp'"},
		{"POST", "runs/log-batch", batch(`"metrics": [{"key": "a", "value": 1, "timestamp": 1}, {"value": 2.5, "timestamp": 1}]`), "Missing value for required parameter 'metrics[1].key'"},
		{"POST", "runs/log-batch", batch(`"metrics": [{"key": "a/../b", "value": 1, "timestamp": 1}]`), "for parameter 'metrics[0].name' supplied: Names may be treated as files"},
		{"POST", "runs/log-batch", batch(`"params": [{"key": "a", "value": "1"}, {"key": "", "value": "1"}]`), "Missing value for required parameter 'params[1].key'"},
		{"POST", "runs/log-batch", batch(`"tags": [{"key": "a!", "value": "1"}]`), "for parameter 'tags[0].key' supplied: Names may only contain"},
		{"POST", "runs/set-tag", batch(`"key": "` + long(251) + `", "value": "1"`), "'key' exceeds the maximum length of 250 characters"},
		{"POST", "experiments/create", `{"name": "` + long(501) + `"}`, "'name' exceeds the maximum length of 500 characters"},
		{"POST", "experiments/update", `{"experiment_id": "` + x + `", "new_name": "` + long(501) + `"}`, "'name' exceeds the maximum length of 500 characters"},
		{"POST", "experiments/set-experiment-tag", `{"experiment_id": "` + x + `", "key": "k", "value": "` + long(5001) + `"}`, "'value' exceeds the maximum length of 5000 characters"},
		{"POST", "experiments/set-experiment-tag", `{"experiment_id": "` + gone + `", "key": "k", "value": "v"}`, "must be in the 'active' state"},
		{"POST", "registered-models/set-tag", `{"name": "m", "key": "k", "value": "` + long(100_001) + `"}`, "'value' exceeds the maximum length of 100000 characters"},
		{"POST", "registered-models/create", `{"name": "p", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}`, "Prompt (name=p) already exists."},
		{"POST", "registered-models/create", `{"name": "p"}`, "Tried to create a registered model with name 'p', but the name is already taken by a prompt."},
		{"POST", "registered-models/create", `{"name": "m"}`, "Registered Model (name=m) already exists."},
		{"POST", "model-versions/create", `{"name": "p", "source": "s3://b/x", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}`, "Prompt sources must use an MLflow placeholder"},
		{"POST", "model-versions/create", source("prompt-template", ""), "To use a local path as a model version source"},
		{"POST", "model-versions/create", source(local, ""), "To use a local path as a model version source"},
		{"POST", "model-versions/create", source(local+"/../..", `, "run_id": "`+run+`"`), "To use a local path as a model version source"},
		{"POST", "model-versions/create", source("/tmp", `, "run_id": "`+run+`"`), "To use a local path as a model version source"},
		{"POST", "model-versions/create", source("mlflow-artifacts://host:9000/models/../../../", `, "run_id": "`+run+`"`), "If supplying a source as an http, https,"},
		{"POST", "model-versions/create", source("http://host:9000/models/..%252f..%252f", ""), "If supplying a source as an http, https,"},
		{"POST", "model-versions/create", source("mlflow-artifacts:/models", `, "run_id": "`+run+`"`), "The run_id request parameter must identify the resource that contains the source."},
		{"POST", "model-versions/create", source("http://host/api/2.0/mlflow-artifacts/artifacts/0/"+other+"/artifacts", ""), "The run_id request parameter must identify"},
		{"POST", "model-versions/create", source("runs:/"+other+"/model", `, "run_id": "`+run+`"`), "The run_id request parameter must identify"},
		{"POST", "model-versions/create", source("models:/"+logged, `, "model_id": "m-0123456789abcdef0123456789abcdef"`), "The model_id request parameter must identify"},
		{"POST", "model-versions/create", source("models:/p/1", ""), "Prompt versions cannot be used as model version sources"},
		{"POST", "webhooks", `{"name": "h", "url": "   ", "events": [{"entity": "PROMPT", "action": "CREATED"}]}`, "Webhook URL cannot be empty or just whitespace"},
		{"POST", "webhooks", `{"name": "h", "url": "ftp://example.com", "events": [{"entity": "PROMPT", "action": "CREATED"}]}`, "Invalid webhook URL scheme"},
		{"POST", "webhooks", `{"name": "h", "url": "http://[invalid", "events": [{"entity": "PROMPT", "action": "CREATED"}]}`, "Invalid webhook URL"},
		{"GET", "webhooks?max_results=1001", "", "max_results must be between 1 and 1000"},
		{"GET", "registered-models/search?filter=name!=something", "", "Parameter value is either not quoted or unidentified quote types used for string value something"},
		{"POST", "experiments/search", `{"max_results": 5, "filter": "name IS NULL"}`, "IS NULL / IS NOT NULL is only supported for tags"},
		{"POST", "runs/search", `{"experiment_ids": ["0"], "filter": "metrics.a IS NOT NULL"}`, "IS NULL / IS NOT NULL is only supported for tags and params"},
		{"POST", "runs/search", `{"experiment_ids": ["0"], "filter": "attribute.experiment_id = '0'"}`, "Invalid attribute key 'experiment_id' specified"},
		{"POST", "logged-models/search", `{"experiment_ids": ["0"], "filter": "Foo"}`, "Invalid filter string"},
		{"GET", "metrics/get-history?run_id=" + run + "&metric_key=a&page_token=no.token", "", "Invalid page token"},
	} {
		if a := ask(w.tracking, c.method, rest+strings.ReplaceAll(c.path, " ", "%20"), c.body); a.Code != 400 || !strings.Contains(a.Text, c.says) {
			t.Errorf("%s %s %.120s: %d %s; want %q", c.method, c.path, c.body, a.Code, a.Text, c.says)
		}
	}
}

// TestSources: a version is registered from what is within its run or logged model, wherever that keeps its files.
func TestSources(t *testing.T) {
	w := newFixture(t)
	x := at(w.want("POST", "experiments/create", `{"name": "suite", "artifact_location": "some/folder"}`), "experiment_id").(string)
	here, err := os.Getwd()
	w.Must(err)
	equal(t, "a relative place", at(w.want("GET", "experiments/get?experiment_id="+x, ""), "experiment", "artifact_location"), filepath.Join(here, "some/folder"))
	local := at(w.want("POST", "runs/create", `{"experiment_id": "`+x+`"}`), "run", "info")
	kept := at(w.want("POST", "runs/create", `{}`), "run", "info")
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	add := func(source, more string) map[string]any {
		t.Helper()
		return w.want("POST", "model-versions/create", `{"name": "m", "source": "`+source+`"`+more+`}`)["model_version"].(map[string]any)
	}
	add(fmt.Sprint(at(local, "artifact_uri"), "/model"), fmt.Sprintf(`, "run_id": "%s"`, at(local, "run_id")))
	add(fmt.Sprint("file://", at(local, "artifact_uri"), "/model"), fmt.Sprintf(`, "run_id": "%s"`, at(local, "run_id")))
	add(fmt.Sprint(at(kept, "artifact_uri"), "//model/..../"), fmt.Sprintf(`, "run_id": "%s"`, at(kept, "run_id")))
	add("runs:/run_id/model", `, "run_id": "run_id_1"`) // of another server
	add("s3://bucket/model", "")

	model := func(id string) any { return at(w.want("GET", "logged-models/"+id, ""), "model") }
	logged := at(w.want("POST", "logged-models", fmt.Sprintf(`{"experiment_id": "0", "name": "a", "source_run_id": "%s"}`, at(kept, "run_id"))), "model", "info", "model_id").(string)
	v := add(fmt.Sprint(at(model(logged), "info", "artifact_uri")), `, "model_id": "`+logged+`"`)
	equal(t, "the run that made it", v["run_id"], at(kept, "run_id"))
	add("models:/"+logged, `, "model_id": "`+logged+`"`)
	equal(t, "what it became", at(model(logged), "info", "tags", 0, "value"), `[{"name": "m", "version": 6}, {"name": "m", "version": 7}]`)
}

// TestPromptsApart: searches leave prompts out unless they ask about them, and the text of one may be long.
func TestPromptsApart(t *testing.T) {
	w := newFixture(t)
	const prompt = `{"key": "mlflow.prompt.is_prompt", "value": "true"}`
	text := strings.Repeat("말", 90_000)
	w.want("POST", "registered-models/create", `{"name": "model"}`)
	w.want("POST", "registered-models/create", `{"name": "prompt", "tags": [`+prompt+`]}`)
	w.want("POST", "model-versions/create", `{"name": "model", "source": "s3://b/x"}`)
	w.want("POST", "model-versions/create", `{"name": "prompt", "source": "dummy-source", "tags": [`+prompt+`, {"key": "mlflow.prompt.text", "value": "`+text+`"}]}`)
	equal(t, "its text", at(w.want("GET", "model-versions/get?name=prompt&version=1", ""), "model_version", "tags", 1, "value") == text, true)
	for filter, want := range map[string]string{"": "[model]", "&filter=tags.%60mlflow.prompt.is_prompt%60%20%3D%20'true'": "[prompt]", "&filter=name%20LIKE%20'%25m%25'": "[model]"} {
		equal(t, "models"+filter, column(w.want("GET", "registered-models/search?max_results=9"+filter, ""), "registered_models", "name"), want)
		equal(t, "versions"+filter, column(w.want("GET", "model-versions/search?max_results=9"+filter, ""), "model_versions", "name"), want)
	}
}

// TestUserOfARun: whom a client says a run is of is no tag.
func TestUserOfARun(t *testing.T) {
	w := newFixture(t)
	v := w.want("POST", "runs/create", `{"user_id": "anna", "run_name": "r", "tags": [{"key": "mlflow.user", "value": "root"}]}`)
	equal(t, "both", []any{at(v, "run", "info", "user_id"), at(v, "run", "data", "tags", 1, "value")}, "[anna root]")
	v = w.want("POST", "runs/create", `{"user_id": "bob", "run_name": "r"}`)
	equal(t, "the user alone", []any{at(v, "run", "info", "user_id"), column(at(v, "run", "data"), "tags", "key")}, "[bob [mlflow.runName]]")
	equal(t, "found", len(column(w.want("POST", "runs/search", `{"experiment_ids": ["0"], "filter": "attributes.user_id = 'bob'"}`), "runs")), 1)
}

// TestLettersNotBytes: values are cut to so many letters.
func TestLettersNotBytes(t *testing.T) {
	w := newFixture(t)
	text := strings.Repeat("가", 7000)
	run := at(w.want("POST", "runs/create", `{"run_name": "r"}`), "run", "info", "run_id").(string)
	w.want("POST", "runs/set-tag", `{"run_id": "`+run+`", "key": "a", "value": "`+text+`"}`)
	w.want("POST", "runs/log-parameter", `{"run_id": "`+run+`", "key": "a", "value": "`+text+`"}`)
	v := w.want("GET", "runs/get?run_id="+run, "")
	equal(t, "a tag", at(v, "run", "data", "tags", 0, "value") == text, true)
	equal(t, "a param", at(v, "run", "data", "params", 0, "value") == strings.Repeat("가", 6000), true)
}
