package mlflow_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s; want %s", what, g, w)
	}
}

func (w *fixture) run(experiment, name string, start int) string {
	w.T.Helper()
	v := w.want("POST", "runs/create", fmt.Sprintf(`{"experiment_id": %q, "run_name": %q, "start_time": %d, "user_id": "anna"}`, experiment, name, start))
	return at(v, "run", "info", "run_id").(string)
}

// TestRun: what set_experiment and start_run send is recorded, and read as it was sent.
func TestRun(t *testing.T) {
	w := newFixture(t)
	if a := ask(w.tracking, "GET", rest+"experiments/get-by-name?experiment_name=mine", ""); a.Code != 404 || a.Object["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
		t.Fatalf("%d %s", a.Code, a.Text)
	}
	x := w.want("POST", "experiments/create", `{"name": "mine", "tags": [{"key": "team", "value": "a"}]}`)["experiment_id"].(string)
	equal(t, "experiment", at(w.want("GET", "experiments/get?experiment_id="+x, ""), "experiment", "artifact_location"), "mlflow-artifacts:/"+x)
	equal(t, "by name", at(w.want("GET", "experiments/get-by-name?experiment_name=mine", ""), "experiment", "tags", 0, "value"), "a")

	v := w.want("POST", "runs/create", `{"experiment_id": "`+x+`", "user_id": "anna", "start_time": 1705312800000, "unknown": 1,
		"tags": [{"key": "mlflow.runName", "value": "first"}, {"key": "한", "value": "글"}]}`)
	id := at(v, "run", "info", "run_id").(string)
	equal(t, "run", []any{len(id), at(v, "run", "info", "run_uuid"), at(v, "run", "info", "status"), at(v, "run", "info", "user_id"), at(v, "run", "info", "end_time"), at(v, "run", "inputs")},
		[]any{32, id, "RUNNING", "anna", nil, map[string]any{}})
	equal(t, "files", at(v, "run", "info", "artifact_uri"), "mlflow-artifacts:/"+x+"/"+id+"/artifacts")
	for i, value := range []string{"1", "0.5", `"Infinity"`} {
		w.want("POST", "runs/log-metric", fmt.Sprintf(`{"run_id": %q, "run_uuid": %q, "key": "loss", "value": %s, "timestamp": %d, "step": "%d"}`, id, id, value, 1000+i, i))
	}
	w.want("POST", "runs/log-parameter", `{"run_id": "`+id+`", "key": "lr", "value": "0.1"}`)
	w.want("POST", "runs/log-parameter", `{"run_id": "`+id+`", "key": "lr", "value": "0.1"}`)
	w.want("POST", "runs/log-batch", `{"run_id": "`+id+`", "metrics": [{"key": "rmse", "value": 0.9, "timestamp": 5}], "params": [{"key": "dim", "value": "`+strings.Repeat("한", 3000)+`"}],
		"tags": [{"key": "mlflow.runName", "value": "second"}, {"key": "k", "value": "v"}]}`)
	w.want("POST", "runs/delete-tag", `{"run_id": "`+id+`", "key": "k"}`)
	equal(t, "end", at(w.want("POST", "runs/update", `{"run_id": "`+id+`", "status": "FINISHED", "end_time": 1705312860000}`), "run_info", "end_time"), 1705312860000.)
	w.want("POST", "runs/set-tag", `{"run_id": "`+id+`", "key": "late", "value": "yes"}`)
	w.want("POST", "runs/log-metric", `{"run_id": "`+id+`", "key": "late", "value": 3, "timestamp": 7}`)

	v = w.want("GET", "runs/get?run_uuid="+id+"&run_id="+id, "")
	equal(t, "info", []any{at(v, "run", "info", "run_name"), at(v, "run", "info", "status"), at(v, "run", "info", "start_time")}, []any{"second", "FINISHED", 1705312800000.})
	equal(t, "metrics", at(v, "run", "data", "metrics"), []any{map[string]any{"key": "late", "value": 3., "timestamp": 7., "step": 0.},
		map[string]any{"key": "loss", "value": 1.7976931348623157e308, "timestamp": 1002., "step": 2.}, map[string]any{"key": "rmse", "value": .9, "timestamp": 5., "step": 0.}})
	equal(t, "params", column(at(v, "run", "data"), "params", "key"), "[dim lr]")
	equal(t, "letters are no bytes", at(v, "run", "data", "params", 0, "value"), strings.Repeat("한", 3000))
	equal(t, "tags", column(at(v, "run", "data"), "tags", "key"), "[late mlflow.runName 한]")

	first := w.want("GET", "metrics/get-history?metric_key=loss&max_results=2&run_id="+id, "")
	equal(t, "history", column(first, "metrics", "value"), "[1 0.5]")
	then := w.want("GET", "metrics/get-history?metric_key=loss&max_results=2&run_id="+id+"&page_token="+url.QueryEscape(first["next_page_token"].(string)), "")
	equal(t, "history goes on", []any{column(then, "metrics", "step"), then["next_page_token"]}, []any{[]any{2.}, nil})
	equal(t, "history of no run", len(w.want("GET", "metrics/get-history?metric_key=loss&run_id="+strings.Repeat("0", 32), "")), 0)

	equal(t, "it goes on", at(w.want("POST", "runs/update", `{"run_id": "`+id+`", "status": "RUNNING"}`), "run_info", "status"), "RUNNING")
	equal(t, "an unknown status", at(w.want("POST", "runs/update", `{"run_id": "`+id+`", "status": "NOPE"}`), "run_info", "status"), "RUNNING")
	w.want("POST", "runs/delete", `{"run_id": "`+id+`"}`)
	equal(t, "deleted", at(w.want("GET", "runs/get?run_id="+id, ""), "run", "info", "lifecycle_stage"), "deleted")
	w.want("POST", "runs/restore", `{"run_id": "`+id+`"}`)
	equal(t, "without a name", at(w.want("POST", "runs/create", `{}`), "run", "info", "experiment_id"), "0")
	stored, ok, err := projections.FoldRun(w.Log.Ledger().ReadStream(t.Context(), "run/"+id, 0), fold.At{EventMillis: 1705312800000})
	if err != nil || !ok || stored.Status != "RUNNING" || stored.User != "anna" {
		t.Errorf("the run began when it says: %v %+v", err, stored)
	}
}

// TestRegistryDeletes: what is deleted is not found, its number is not given again, and copies keep their files.
func TestRegistryDeletes(t *testing.T) {
	w := newFixture(t)
	for _, name := range []string{"m", "copies"} {
		w.want("POST", "registered-models/create", `{"name": "`+name+`", "tags": [{"key": "k", "value": "it's"}]}`)
	}
	for range 2 {
		w.want("POST", "model-versions/create", `{"name": "m", "source": "s3://bucket/x"}`)
	}
	w.want("POST", "registered-models/alias", `{"name": "m", "alias": "best", "version": "1"}`)
	w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "Production"}`)
	for _, source := range []string{"m/1", "m@best", "m/production"} {
		v := w.want("POST", "model-versions/create", `{"name": "copies", "source": "models:/`+source+`"}`)
		equal(t, "copied", at(v, "model_version", "source"), "models:/m/1")
	}
	w.want("DELETE", "model-versions/delete", `{"name": "m", "version": "1"}`)
	equal(t, "left", column(w.want("GET", "model-versions/search?filter="+url.QueryEscape("name = 'm'"), ""), "model_versions", "version"), "[2]")
	equal(t, "its aliases", at(w.want("GET", "registered-models/get?name=m", ""), "registered_model", "aliases"), "<nil>")
	equal(t, "the copy's files", w.want("GET", "model-versions/get-download-uri?name=copies&version=3", "")["artifact_uri"], "s3://bucket/x")
	w.want("DELETE", "registered-models/delete", `{"name": "m"}`)
	equal(t, "models", column(w.want("GET", "registered-models/search", ""), "registered_models", "name"), "[copies]")
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	equal(t, "the number", at(w.want("POST", "model-versions/create", `{"name": "m", "source": "s3://bucket/x"}`), "model_version", "version"), "3")
	for filter, want := range map[string]string{"tags.k = 'it''s'": "[]", `tags.k = "it's"`: "[copies]", "tags.k != 'x'": "[copies]",
		"tags.`mlflow.prompt.is_prompt` != 'true'": "[copies m]"} {
		equal(t, filter, column(w.want("GET", "registered-models/search?filter="+url.QueryEscape(filter), ""), "registered_models", "name"), want)
	}
	for path, body := range map[string]string{"registered-models/delete": `{"name": "none"}`, "model-versions/delete": `{"name": "m", "version": "1"}`} {
		if a := ask(w.tracking, "DELETE", rest+path, body); a.Code != 404 || a.Object["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
			t.Errorf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	if a := ask(w.tracking, "POST", rest+"model-versions/create", `{"name": "m", "source": "models:/m/1"}`); a.Code != 404 {
		t.Errorf("a copy of what is deleted: %d %s", a.Code, a.Text)
	}
}

// TestRunData: what a run was given and has made is shown, and runs are found by their data sets.
func TestRunData(t *testing.T) {
	w := newFixture(t)
	var ids []string
	for i, name := range []string{"films", "people"} {
		ids = append(ids, w.run("0", fmt.Sprint("run-", i), 1000+i))
		given := `{"run_id": "` + ids[i] + `", "datasets": [{"tags": [{"key": "mlflow.data.context", "value": "train-` + name + `"}], "dataset": {"name": "` + name + `", "digest": "d` + fmt.Sprint(i) + `", "source_type": "local", "source": "{}", "profile": "{}"}},
			{"dataset": {"name": "both", "digest": "x", "source_type": "local", "source": "{}"}}], "models": [{"model_id": "m-` + strings.Repeat("a", 32) + `"}]}`
		w.want("POST", "runs/log-inputs", given)
		before := w.Head()
		w.want("POST", "runs/log-inputs", given) // a repetition is no event
		equal(t, "a repetition", w.Head(), before)
	}
	w.want("POST", "runs/outputs", `{"run_id": "`+ids[0]+`", "models": [{"model_id": "m-`+strings.Repeat("b", 32)+`", "step": "3"}]}`)
	found := at(w.want("POST", "runs/search", `{"experiment_ids": ["0"], "filter": "run_name = 'run-0'"}`), "runs", 0)
	for _, run := range []any{found, at(w.want("GET", "runs/get?run_id="+ids[0], ""), "run")} {
		equal(t, "data sets", column(at(run, "inputs"), "dataset_inputs", "dataset", "name"), "[both films]")
		equal(t, "a data set", at(run, "inputs", "dataset_inputs", 1), map[string]any{"tags": []any{map[string]any{"key": "mlflow.data.context", "value": "train-films"}},
			"dataset": map[string]any{"name": "films", "digest": "d0", "source_type": "local", "source": "{}", "profile": "{}"}})
		equal(t, "models", []any{column(at(run, "inputs"), "model_inputs", "model_id"), at(run, "outputs", "model_outputs", 0, "step")}, []any{[]any{"m-" + strings.Repeat("a", 32)}, 3.})
	}
	for filter, want := range map[string]string{"dataset.name = 'films'": "[run-0]", "datasets.name = 'both'": "[run-1 run-0]", "dataset.digest IN ('d1', 'zz')": "[run-1]", `dataset.digest IN ('d\\1')`: "[]", `dataset.digest IN ('\d1', "d1")`: "[run-1]", "dataset.context LIKE 'train-p%'": "[run-1]",
		"dataset.name = 'films' AND dataset.digest = 'x'": "[run-0]", "dataset.name = 'none'": "[]", "dataset.context != 'train-films'": "[run-1]"} {
		equal(t, filter, column(w.want("POST", "runs/search", fmt.Sprintf(`{"experiment_ids": ["0"], "filter": %q}`, filter)), "runs", "info", "run_name"), want)
	}
}

// TestLoggedModels: what log_model sends is kept and found, and a version of it knows its files and its run.
func TestLoggedModels(t *testing.T) {
	w := newFixture(t)
	run := w.run("0", "r", 5)
	v := w.want("POST", "logged-models", `{"experiment_id": "0", "name": "model", "source_run_id": "`+run+`", "params": [{"key": "C", "value": "0.5"}], "tags": [{"key": "a", "value": "b"}]}`)
	id, _ := at(v, "model", "info", "model_id").(string)
	files := "0/models/" + id + "/artifacts"
	equal(t, "created", []any{at(v, "model", "info", "status"), at(v, "model", "info", "artifact_uri"), at(v, "model", "info", "model_type"), at(v, "model", "data", "params", 0, "value")},
		[]any{"LOGGED_MODEL_PENDING", "mlflow-artifacts:/" + files, "", "0.5"})
	const store = "/api/2.0/mlflow-artifacts/artifacts"
	for path, want := range map[string]int{"/MLmodel": 200, "/data/model.bin": 200, "/../x": 400, "": 400} {
		if a := ask(w.tracking, "PUT", store+"/"+files+strings.ReplaceAll(path, "..", "%2e%2e"), "bytes"); a.Code != want {
			t.Errorf("PUT %s: %d %s; want %d", path, a.Code, a.Text, want)
		}
	}
	equal(t, "a file", ask(w.tracking, "GET", store+"/"+files+"/data/model.bin", "").Text, "bytes")
	equal(t, "files", column(ask(w.tracking, "GET", store+"?path="+files, "").Object, "files", "path"), "[MLmodel data]")
	equal(t, "a folder", column(w.want("GET", "logged-models/"+id+"/artifacts/directories?artifact_directory_path=data", ""), "files", "path"), "[data/model.bin]")
	equal(t, "a file by its model", ask(w.tracking, "GET", "/ajax-api/2.0/mlflow/logged-models/"+id+"/artifacts/files?artifact_file_path=MLmodel", "").Text, "bytes")
	equal(t, "finalized", at(w.want("PATCH", "logged-models/"+id, `{"model_id": "`+id+`", "status": "LOGGED_MODEL_READY"}`), "model", "info", "status"), "LOGGED_MODEL_READY")
	w.want("POST", "logged-models/"+id+"/params", `{"params": [{"key": "D", "value": "1"}]}`)
	w.want("PATCH", "logged-models/"+id+"/tags", `{"tags": [{"key": "x/y", "value": "1"}]}`)
	w.want("DELETE", "logged-models/"+id+"/tags/a", "")
	v = w.want("GET", "logged-models/"+id, "")
	equal(t, "changed", []any{column(at(v, "model", "data"), "params", "key"), column(at(v, "model", "info"), "tags", "key")}, "[[C D] [x/y]]")
	w.want("DELETE", "logged-models/"+id+"/tags/x/y", "")

	w.want("POST", "registered-models/create", `{"name": "m"}`)
	v = w.want("POST", "model-versions/create", `{"name": "m", "source": "models:/`+id+`"}`)
	equal(t, "registered as", at(w.want("GET", "logged-models/"+id, ""), "model", "info", "registrations"), "[map[name:m version:1]]")
	equal(t, "its version", []any{at(v, "model_version", "run_id"), w.want("GET", "model-versions/get-download-uri?name=m&version=1", "")["artifact_uri"]}, []any{run, "mlflow-artifacts:/" + files})

	second := at(w.want("POST", "logged-models", `{"experiment_id": "0", "name": "model", "model_type": "agent"}`), "model", "info", "model_id").(string)
	search := func(rest string) any {
		return column(w.want("POST", "logged-models/search", `{"experiment_ids": ["0"]`+rest+`}`), "models", "info", "model_id")
	}
	for rest, want := range map[string]any{`, "filter": "name = 'model' AND params.C = '0.5'"`: []any{id}, `, "filter": "status = 'READY'"`: []any{id}, `, "filter": "source_run_id = '` + run + `'"`: []any{id},
		`, "filter": "model_type = 'agent'", "order_by": [{"field_name": "creation_time", "ascending": false}]`: []any{second}, `, "filter": "metrics.a > 1"`: []any(nil), `, "datasets": [{"dataset_name": "x"}]`: []any(nil)} {
		equal(t, rest, search(rest), want)
	}
	equal(t, "in order", search(`, "order_by": [{"field_name": "params.C"}]`), []any{id, second})
	first := w.want("POST", "logged-models/search", `{"experiment_ids": ["0"], "max_results": 1, "order_by": [{"field_name": "params.C"}]}`)
	equal(t, "the next page", search(`, "order_by": [{"field_name": "params.C"}], "page_token": "`+first["next_page_token"].(string)+`"`), []any{second})

	w.want("DELETE", "logged-models/"+id, `{"model_id": "`+id+`"}`)
	equal(t, "after it was deleted", search(""), []any{second})
	equal(t, "if asked for", at(w.want("GET", "logged-models/"+id+"?allow_deleted=true", ""), "model", "info", "model_id"), id)
	for _, c := range []struct {
		method, path, body string
		status             int
	}{{"GET", "/" + id, "", 404}, {"PATCH", "/" + id, `{"status": "LOGGED_MODEL_READY"}`, 404}, {"DELETE", "/" + id, "", 404}, {"PATCH", "/" + second, `{"status": "NOPE"}`, 400}, {"DELETE", "/" + second + "/tags/none", "", 404},
		{"POST", "", `{"experiment_id": "0", "name": "a/b"}`, 400}, {"POST", "", `{}`, 400}, {"POST", "", `{"experiment_id": "77"}`, 404}, {"POST", "/search", `{"experiment_ids": ["0"], "filter": "nope = "}`, 400}} {
		if a := ask(w.tracking, c.method, "/api/2.0/mlflow/logged-models"+c.path, c.body); a.Code != c.status {
			t.Errorf("%s %s %s: %d %s; want %d", c.method, c.path, c.body, a.Code, a.Text, c.status)
		}
	}
	if a := ask(w.tracking, "POST", rest+"model-versions/create", `{"name": "m", "source": "models:/`+id+`"}`); a.Code != 404 {
		t.Errorf("a version of what is deleted: %d %s", a.Code, a.Text)
	}
}

// TestNotNumbers: NaN is kept and shown as such, infinities as the largest numbers there are, and both are found and
// ordered as MLflow's SQL store does.
func TestNotNumbers(t *testing.T) {
	w := newFixture(t)
	for i, value := range []string{`"NaN"`, "0", `"Infinity"`, `"-Infinity"`, "1e308", ""} {
		id := w.run("0", fmt.Sprint("run-", i), 1000+i)
		if value != "" {
			w.want("POST", "runs/log-batch", `{"run_id": "`+id+`", "metrics": [{"key": "loss", "value": `+value+`, "timestamp": 1}]}`)
			shown := at(w.want("GET", "runs/get?run_id="+id, ""), "run", "data", "metrics", 0, "value")
			equal(t, value, []any{shown, at(w.want("GET", "metrics/get-history?metric_key=loss&run_id="+id, ""), "metrics", 0, "value")}, []any{shown, shown})
			equal(t, value, shown, map[string]any{`"NaN"`: "NaN", "0": 0., `"Infinity"`: math.MaxFloat64, `"-Infinity"`: -math.MaxFloat64, "1e308": 1e308}[value])
		}
	}
	search := func(name, text string) any {
		body, _ := json.Marshal(map[string]any{"experiment_ids": []string{"0"}, name: map[string]any{"filter": text, "order_by": []string{text}}[name]})
		return column(w.want("POST", "runs/search", string(body)), "runs", "info", "run_name")
	}
	for filter, want := range map[string]string{"metrics.loss = 0": "[run-1]", "metrics.loss >= 0": "[run-4 run-2 run-1]", "metrics.loss < 1": "[run-3 run-1]", "metrics.loss != 0": "[run-4 run-3 run-2 run-0]",
		"metrics.loss = 1.7976931348623157e308": "[run-2]", "metrics.loss > 1e308": "[run-2]"} {
		equal(t, filter, search("filter", filter), want)
	}
	equal(t, "ascending", search("order_by", "metrics.loss"), "[run-3 run-1 run-4 run-2 run-0 run-5]")
	equal(t, "descending", search("order_by", "metrics.loss DESC"), "[run-2 run-4 run-1 run-3 run-0 run-5]")
	if a := ask(w.tracking, "GET", "/", ""); a.Code != 200 || !strings.Contains(a.Text, "loss NaN") {
		t.Errorf("the page: %d %s", a.Code, a.Text)
	}
	run := at(w.want("POST", "runs/search", `{"experiment_ids": ["0"], "filter": "run_name = 'run-0'"}`), "runs", 0, "info", "run_id").(string)
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	w.want("POST", "model-versions/create", `{"name": "m", "source": "runs:/`+run+`/model", "run_id": "`+run+`"}`)
	if a := ask(w.guide, "GET", "/mlflow/models/m/compare", ""); a.Code != 200 || fmt.Sprint(at(a.Object, "versions", 0, "metrics", "loss"), at(a.Object, "best")) != "NaNmap[]" {
		t.Errorf("compared: %d %s", a.Code, a.Text)
	}
}

// TestBulkHistory: histories of several runs at once, whole and as samples.
func TestBulkHistory(t *testing.T) {
	w := newFixture(t)
	var ids []string
	for i := range 2 {
		id := w.run("0", fmt.Sprint(i), 5)
		var list []string
		for step := range 10 {
			list = append(list, fmt.Sprintf(`{"key": "loss", "value": %d, "timestamp": %d, "step": %d}`, i*100+step, 100-step, step))
		}
		w.want("POST", "runs/log-batch", `{"run_id": "`+id+`", "metrics": [`+strings.Join(list, ",")+`]}`)
		ids = append(ids, id)
	}
	slices.Sort(ids)
	v := w.want("GET", "metrics/get-history-bulk?metric_key=loss&max_results=12&run_id="+ids[1]+"&run_id="+ids[0]+"&run_id="+strings.Repeat("0", 32), "")
	equal(t, "by run", []any{at(v, "metrics", 0, "run_id"), at(v, "metrics", 9, "run_id"), at(v, "metrics", 10, "run_id"), at(v, "metrics", 12)}, []any{ids[0], ids[0], ids[1], nil})
	equal(t, "by time", column(v, "metrics", "step"), "[9 8 7 6 5 4 3 2 1 0 9 8]")
	v = w.want("GET", "metrics/get-history-bulk-interval?metric_key=loss&max_results=3&run_ids="+ids[1]+"&run_ids="+ids[0], "")
	equal(t, "samples", []any{column(v, "metrics", "step"), at(v, "metrics", 0, "run_id")}, []any{"[0 4 9 0 4 9]", ids[1]})
	v = w.want("GET", "metrics/get-history-bulk-interval?metric_key=loss&start_step=2&end_step=4&run_ids="+ids[1], "")
	equal(t, "of some steps", column(v, "metrics", "timestamp"), "[98 97 96]")
	equal(t, "of no metric", ask(w.tracking, "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk?metric_key=x&run_id="+ids[0], "").Text, "{\"metrics\":[]}\n")
	equal(t, "no sample", ask(w.tracking, "GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?metric_key=x&run_ids="+ids[0], "").Text, "{}\n")
	equal(t, "in time's order", column(w.want("GET", "metrics/get-history?metric_key=loss&max_results=3&run_id="+ids[0], ""), "metrics", "step"), "[9 8 7]")
}

// TestReadsWhatWasLogged: an answer to a batch does not wait for the views, but whoever reads after it finds it, in
// every way there is to read, also while others log.
func TestReadsWhatWasLogged(t *testing.T) {
	w := newFixture(t)
	stop, others := make(chan struct{}), sync.WaitGroup{}
	for k := range 3 {
		id := w.run("0", fmt.Sprint("other", k), 1)
		others.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
					ask(w.tracking, "POST", rest+"runs/log-batch", fmt.Sprintf(`{"run_id": %q, "metrics": [{"key": "a", "value": %d, "timestamp": 1, "step": %d}, {"key": "b", "value": 1, "timestamp": 1, "step": %d}]}`, id, i, i, i))
				}
			}
		})
	}
	defer others.Wait()
	defer close(stop)
	id := w.run("0", "mine", 2)
	for i := range 60 {
		w.want("POST", "runs/log-metric", fmt.Sprintf(`{"run_id": %q, "key": "loss", "value": %d, "timestamp": 5, "step": %d}`, id, i, i))
		w.want("POST", "runs/set-tag", fmt.Sprintf(`{"run_id": %q, "key": "i", "value": "%d"}`, id, i))
		switch i % 4 {
		case 0:
			equal(t, "of a run", at(w.want("GET", "runs/get?run_id="+id, ""), "run", "data", "metrics", 0, "value"), i)
		case 1:
			equal(t, "found", at(w.want("POST", "runs/search", fmt.Sprintf(`{"experiment_ids": ["0"], "filter": "metrics.loss = %d and tags.i = '%d'"}`, i, i)), "runs", 0, "info", "run_id"), id)
		case 2:
			equal(t, "of a history", len(column(w.want("GET", "metrics/get-history?metric_key=loss&run_id="+id, ""), "metrics", "step")), i+1)
		case 3:
			equal(t, "of an update", at(w.want("POST", "runs/update", fmt.Sprintf(`{"run_id": %q, "status": "RUNNING"}`, id)), "run_info", "status"), "RUNNING")
			equal(t, "and then", at(w.want("GET", "runs/get?run_id="+id, ""), "run", "data", "metrics", 0, "value"), i)
		}
	}
}

// TestExperiments: what is deleted is marked, with its runs, and comes back.
func TestExperiments(t *testing.T) {
	w := newFixture(t)
	x := w.want("POST", "experiments/create", `{"name": "gone", "artifact_location": "s3://bucket/runs"}`)["experiment_id"].(string)
	run := w.run(x, "r", 5)
	equal(t, "elsewhere", at(w.want("GET", "runs/get?run_id="+run, ""), "run", "info", "artifact_uri"), "s3://bucket/runs/"+run+"/artifacts")
	w.want("POST", "experiments/set-experiment-tag", `{"experiment_id": "`+x+`", "key": "a", "value": "b"}`)
	w.want("POST", "experiments/set-experiment-tag", `{"experiment_id": "`+x+`", "key": "c", "value": "d"}`)
	w.want("POST", "experiments/delete-experiment-tag", `{"experiment_id": "`+x+`", "key": "a"}`)
	w.want("POST", "experiments/delete", `{"experiment_id": "`+x+`"}`)
	search := func(body string) any {
		return column(w.want("POST", "experiments/search", body), "experiments", "name")
	}
	equal(t, "active", search(`{"max_results": 9}`), "[Default]")
	equal(t, "deleted", search(`{"max_results": 9, "view_type": "DELETED_ONLY"}`), "[gone]")
	equal(t, "all", search(`{"max_results": 9, "view_type": "ALL", "order_by": ["name DESC"]}`), "[gone Default]")
	equal(t, "its run", column(w.want("POST", "runs/search", `{"experiment_ids": ["`+x+`"]}`), "runs"), "[]")
	equal(t, "its run among the deleted", column(w.want("POST", "runs/search", `{"experiment_ids": ["`+x+`"], "run_view_type": "DELETED_ONLY"}`), "runs", "info", "lifecycle_stage"), "[deleted]")
	if a := ask(w.tracking, "POST", rest+"runs/create", `{"experiment_id": "`+x+`"}`); a.Code != 400 || !strings.Contains(a.Text, "must be in the 'active' state") {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	w.want("POST", "experiments/restore", `{"experiment_id": "`+x+`"}`)
	equal(t, "restored", search(`{"max_results": 9, "filter": "name LIKE 'g%' AND tags.c = 'd'"}`), "[gone]")
	first := w.want("POST", "experiments/search", `{"max_results": 1, "order_by": ["name"]}`)
	equal(t, "a page", search(`{"max_results": 1, "order_by": ["name"], "page_token": "`+first["next_page_token"].(string)+`"}`), "[gone]")
}

// TestSearch: comparisons, order and pages of runs.
func TestSearch(t *testing.T) {
	w := newFixture(t)
	for i, line := range []string{
		`"metrics": [{"key": "rmse", "value": 0.9, "timestamp": 1}], "params": [{"key": "lr", "value": "0.1"}], "tags": [{"key": "a b", "value": "x"}]`,
		`"metrics": [{"key": "rmse", "value": -1, "timestamp": 1}, {"key": "val/acc", "value": 2, "timestamp": 1}], "params": [{"key": "lr", "value": "0.2"}]`,
		`"tags": [{"key": "a b", "value": "y"}]`,
	} {
		id := w.run("0", fmt.Sprint("run-", i), 1000+i)
		w.want("POST", "runs/log-batch", `{"run_id": "`+id+`", `+line+`}`)
		if i == 2 {
			w.want("POST", "runs/update", `{"run_id": "`+id+`", "status": "FAILED", "end_time": 5000}`)
		}
	}
	for filter, want := range map[string]string{
		"":                    "[run-2 run-1 run-0]",
		"metrics.rmse < 0.95": "[run-1 run-0]", "metrics.rmse >= 0.9": "[run-0]", "metric.`val/acc` = 2": "[run-1]", "metrics.rmse != 0.9": "[run-1]",
		"params.lr = '0.1' and metrics.rmse > 0": "[run-0]", `params."lr" LIKE '0.%' AND attributes.run_name ILIKE 'RUN-%'`: "[run-1 run-0]",
		"tags.`a b` = 'x'": "[run-0]", "tag.\"a b\" != 'x'": "[run-2]", "status = 'RUNNING'": "[run-1 run-0]", "attributes.start_time > 1001": "[run-2]",
		"end_time > 0": "[run-2]", "run_name = 'run-2' and AND end_time > 0 run_name LIKE 'run%' and": "[run-2]", "tags.mlflow.runName = 'run-1'": "[run-1]",
		"user_id = 'anna' AND params.lr = '0.2'": "[run-1]", "params.lr = '='": "[]", "metrics.rmse = -1.0e0": "[run-1]",
	} {
		got := column(w.want("POST", "runs/search", fmt.Sprintf(`{"experiment_ids": ["0", "0"], "filter": %q}`, filter)), "runs", "info", "run_name")
		equal(t, filter, got, want)
	}
	for order, want := range map[string]string{
		"metrics.rmse": "[run-1 run-0 run-2]", "metrics.rmse DESC": "[run-0 run-1 run-2]", "params.lr desc": "[run-1 run-0 run-2]", "attribute.start_time ASC": "[run-0 run-1 run-2]", "tags.`a b`": "[run-0 run-2 run-1]",
	} {
		got := column(w.want("POST", "runs/search", fmt.Sprintf(`{"experiment_ids": ["0"], "order_by": [%q]}`, order)), "runs", "info", "run_name")
		equal(t, order, got, want)
	}
	var all []any
	token := ""
	for range 3 {
		v := w.want("POST", "runs/search", `{"experiment_ids": ["0"], "max_results": 1, "page_token": "`+token+`"}`)
		all = append(all, column(v, "runs", "info", "run_name")...)
		token, _ = v["next_page_token"].(string)
	}
	equal(t, "pages", []any{all, token}, []any{"[run-2 run-1 run-0]", ""})
	equal(t, "of no experiment", len(w.want("POST", "runs/search", `{}`)), 0)
	equal(t, "by no number", len(w.want("POST", "logged-models/search", `{"experiment_ids": ["0"], "filter": "metrics.rmse != nan"}`)), 0)

	other := w.want("POST", "experiments/create", `{"name": "other"}`)["experiment_id"].(string)
	for i := range 6 {
		w.run([]string{"0", other}[i%2], fmt.Sprint("both-", i), 100+i)
	}
	all, token = nil, ""
	for range 3 {
		v := w.want("POST", "runs/search", fmt.Sprintf(`{"experiment_ids": ["0", %q], "filter": "run_name LIKE 'both%%'", "max_results": 2, "page_token": %q}`, other, token))
		all = append(all, column(v, "runs", "info", "run_name")...)
		token, _ = v["next_page_token"].(string)
		w.run(other, "both-later", 1000) // before what was read
	}
	equal(t, "pages of two experiments", []any{all, token}, []any{"[both-5 both-4 both-3 both-2 both-1 both-0]", ""})
}

// TestRepeats: what a client sends again, because it had no answer, is answered and writes nothing: it sends no key that
// would tell. What makes something new each time, a run or a version, is not told from another, and makes one more, as
// MLflow's own server does.
func TestRepeats(t *testing.T) {
	w := newFixture(t)
	id := w.run("0", "r", 1)
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	w.want("POST", "model-versions/create", `{"name": "m", "source": "s3://b/x"}`)
	for _, c := range []struct{ path, body string }{
		{"runs/log-metric", `{"run_id": %q, "key": "loss", "value": "NaN", "timestamp": 1, "step": 3}`},
		{"runs/log-batch", `{"run_id": %q, "metrics": [{"key": "a", "value": 1, "timestamp": 1}, {"key": "b", "value": "Infinity", "timestamp": 1}], "params": [{"key": "p", "value": "1"}], "tags": [{"key": "t", "value": "1"}]}`},
		{"runs/log-parameter", `{"run_id": %q, "key": "q", "value": "1"}`},
		{"runs/set-tag", `{"run_id": %q, "key": "u", "value": "1"}`},
		{"runs/log-inputs", `{"run_id": %q, "datasets": [{"dataset": {"name": "d", "digest": "1", "source_type": "code", "source": "s"}}]}`},
		{"runs/outputs", `{"run_id": %q, "models": [{"model_id": "m-0123456789abcdef0123456789abcdef", "step": "1"}]}`},
		{"runs/update", `{"run_id": %q, "status": "FINISHED", "end_time": 5}`},
		{"runs/delete", `{"run_id": %q}`}, {"runs/restore", `{"run_id": %q}`},
		{"experiments/set-experiment-tag", `{"experiment_id": "0", "key": "k", "value": "v"}`},
		{"registered-models/set-tag", `{"name": "m", "key": "k", "value": "v"}`},
		{"registered-models/alias", `{"name": "m", "alias": "best", "version": "1"}`},
		{"model-versions/set-tag", `{"name": "m", "version": "1", "key": "k", "value": "v"}`},
		{"model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "Staging", "archive_existing_versions": true}`},
	} {
		if strings.Contains(c.body, "%q") {
			c.body = fmt.Sprintf(c.body, id)
		}
		before := w.Head()
		w.want("POST", c.path, c.body)
		once := w.Head()
		w.want("POST", c.path, c.body)
		if twice := w.Head(); once == before || twice != once {
			t.Errorf("%s: %d commits, then %d more; want some, then none", c.path, once-before, twice-once)
		}
	}
	for path, body := range map[string]string{"runs/create": `{"experiment_id": "0", "run_name": "x", "start_time": 1}`, "model-versions/create": `{"name": "m", "source": "s3://b/y"}`,
		"experiments/create": `{"name": "x"}`, "registered-models/create": `{"name": "x"}`} {
		keyed := func(r *http.Request) { r.Header.Set("Idempotency-Key", "k "+path) }
		first := ask(w.tracking, "POST", rest+path, body, keyed)
		once := w.Head()
		again := ask(w.tracking, "POST", rest+path, body, keyed)
		if first.Code != 200 || again.Text != first.Text || w.Head() != once {
			t.Errorf("%s with a key: %d %s, and again %d %s", path, first.Code, first.Text, again.Code, again.Text)
		}
	}
}

// TestRegistry: models, versions, stages, aliases and tags, as MlflowClient changes and reads them.
func TestRegistry(t *testing.T) {
	w := newFixture(t)
	run := w.run("0", "r", 5)
	v := w.want("POST", "registered-models/create", `{"name": "m", "tags": [{"key": "a", "value": "b"}], "description": "what"}`)
	equal(t, "model", []any{at(v, "registered_model", "description"), at(v, "registered_model", "tags", 0, "key")}, "[what a]")
	files := "mlflow-artifacts:/0/" + run + "/artifacts"
	v = w.want("POST", "model-versions/create", `{"name": "m", "source": "`+files+`/model", "run_id": "`+run+`", "tags": [{"key": "t", "value": "1"}], "description": "d"}`)
	equal(t, "version", []any{at(v, "model_version", "version"), at(v, "model_version", "current_stage"), at(v, "model_version", "status"), at(v, "model_version", "run_link"), at(v, "model_version", "description")}, "[1 None READY  d]")
	w.want("POST", "model-versions/create", `{"name": "m", "source": "runs:/`+run+`/model"}`)
	equal(t, "download", w.want("GET", "model-versions/get-download-uri?name=m&version=2", "")["artifact_uri"], files+"/model")
	w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "production", "archive_existing_versions": false}`)
	v = w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": 2, "stage": "Production", "archive_existing_versions": true}`)
	equal(t, "stage", at(v, "model_version", "current_stage"), "Production")
	equal(t, "latest", column(w.want("POST", "registered-models/get-latest-versions", `{"name": "m"}`), "model_versions", "current_stage"), "[Archived Production]")
	equal(t, "latest of a stage", column(w.want("GET", "registered-models/get-latest-versions?name=m&stages=archived&stages=Staging", ""), "model_versions", "version"), "[1]")
	w.want("POST", "registered-models/alias", `{"name": "m", "alias": "champion", "version": "1"}`)
	v = w.want("GET", "registered-models/alias?name=m&alias=champion", "")
	equal(t, "alias", []any{at(v, "model_version", "version"), at(v, "model_version", "aliases")}, "[1 [champion]]")
	w.want("DELETE", "registered-models/alias", `{"name": "m", "alias": "champion"}`)
	w.want("DELETE", "registered-models/alias", `{"name": "m", "alias": "champion"}`)
	w.want("PATCH", "registered-models/update", `{"name": "m", "description": "new"}`)
	equal(t, "described", at(w.want("PATCH", "model-versions/update", `{"name": "m", "version": "1", "description": "old"}`), "model_version", "description"), "old")
	w.want("POST", "registered-models/set-tag", `{"name": "m", "key": "k", "value": "v"}`)
	w.want("DELETE", "registered-models/delete-tag", `{"name": "m", "key": "a"}`)
	w.want("POST", "model-versions/set-tag", `{"name": "m", "version": "2", "key": "k", "value": "v"}`)
	w.want("DELETE", "model-versions/delete-tag", `{"name": "m", "version": "1", "key": "t"}`)
	v = w.want("GET", "registered-models/get?name=m", "")
	equal(t, "model", []any{at(v, "registered_model", "description"), column(at(v, "registered_model"), "tags", "key"), at(v, "registered_model", "aliases")}, "[new [k] <nil>]")

	w.want("POST", "registered-models/create", `{"name": "prompt", "tags": [{"key": "mlflow.prompt.is_prompt", "value": "true"}]}`)
	models := func(query string) any {
		return column(w.want("GET", "registered-models/search?"+query, ""), "registered_models", "name")
	}
	equal(t, "models", models("max_results=9&filter="+url.QueryEscape("name ILIKE '%' AND tag.`mlflow.prompt.is_prompt` != 'true'")), "[m]")
	equal(t, "models back", models("order_by="+url.QueryEscape("name DESC")), "[m]")
	none := w.want("GET", "registered-models/search?max_results=0", "")
	equal(t, "no models at once", []any{none["registered_models"], none["next_page_token"] != ""}, "[<nil> true]")
	versions := func(query string) any {
		return column(w.want("GET", "model-versions/search?"+query, ""), "model_versions", "version")
	}
	equal(t, "versions", versions("max_results=10&filter="+url.QueryEscape("run_id IN ('"+run+"') and name = 'm'")), "[1]")
	equal(t, "versions by number", versions("order_by=version_number&filter="+url.QueryEscape("version_number > 0")), "[1 2]")
}

// TestArtifacts: files of a run go through the blob store, and nothing else is reached by their paths.
func TestArtifacts(t *testing.T) {
	w := newFixture(t)
	run := w.run("0", "r", 5)
	const files = "/api/2.0/mlflow-artifacts/artifacts"
	root := "/0/" + run + "/artifacts"
	big := strings.Repeat("0123456789abcdef", 1<<18) // four times what is read at once
	for path, content := range map[string]string{"/a.txt": "alpha", "/deep/er/b.bin": big, "/empty": ""} {
		if a := ask(w.tracking, "PUT", files+root+path, content); a.Code != 200 || a.Text != "" {
			t.Fatalf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	if a := ask(w.tracking, "GET", files+root+"/deep/er/b.bin", ""); a.Text != big || a.Header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%d bytes, %v", len(a.Text), a.Header)
	}
	if a := ask(w.tracking, "GET", files+root+"/a.txt", "", func(r *http.Request) { r.Header.Set("Range", "bytes=1-2") }); a.Code != 206 || a.Text != "lp" {
		t.Errorf("a range: %d %q", a.Code, a.Text)
	}
	if a := ask(w.tracking, "GET", "/get-artifact?path=a.txt&run_id="+run, ""); a.Text != "alpha" {
		t.Errorf("%d %q", a.Code, a.Text)
	}
	ask(w.tracking, "PUT", files+root+"/a.txt", "beta")
	if a := ask(w.tracking, "GET", files+root+"/a.txt", ""); a.Text != "beta" {
		t.Errorf("%d %q", a.Code, a.Text)
	}
	list := w.want("GET", "artifacts/list?run_id="+run, "")
	equal(t, "list", []any{list["root_uri"], column(list, "files", "path"), column(list, "files", "is_dir"), column(list, "files", "file_size")}, "[mlflow-artifacts:"+root+" [a.txt deep empty] [false true false] [4 <nil> 0]]")
	equal(t, "a folder", column(w.want("GET", "artifacts/list?path=deep&run_id="+run, ""), "files", "path"), "[deep/er]")
	equal(t, "a folder of the store", column(ask(w.tracking, "GET", files+"?path="+url.QueryEscape(root[1:]+"/deep/er"), "").Object, "files", "path"), "[b.bin]")
	equal(t, "an unknown folder", ask(w.tracking, "GET", files+"?path=1/2/3", "").Text, "{}\n")
	before := w.Head()
	for path, want := range map[string]int{"/..%2F..%2Fetc%2Fpasswd": 400, root + "/..%2Fx": 400, root + "/a%5Cb": 400, root: 400, "/0/" + strings.Repeat("0", 32) + "/artifacts/x": 404, "/9/" + run + "/artifacts/x": 404} {
		if a := ask(w.tracking, "PUT", files+path, "x"); a.Code != want {
			t.Errorf("PUT %s: %d %s; want %d", path, a.Code, a.Text, want)
		}
	}
	if a := ask(w.tracking, "GET", files+root+"/nope", ""); a.Code != 404 || a.Object["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	short := func(r *http.Request) { r.Body = http.NoBody; r.ContentLength = 6 << 30 }
	if a := ask(w.tracking, "PUT", files+root+"/large", "", short); a.Code != 400 || !strings.Contains(a.Text, "more than") {
		t.Errorf("%d %s", a.Code, a.Text)
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestRefusals: what is wrong is refused as MLflow's server does, and leaves nothing in the log.
func TestRefusals(t *testing.T) {
	w := newFixture(t)
	w.want("POST", "experiments/create", `{"name": "mine"}`)
	run := w.run("0", "r", 5)
	w.want("POST", "runs/log-batch", `{"run_id": "`+run+`", "params": [{"key": "p", "value": "1"}]}`)
	gone := w.run("0", "gone", 5)
	w.want("POST", "runs/delete", `{"run_id": "`+gone+`"}`)
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	w.want("POST", "model-versions/create", `{"name": "m", "source": "s3://b/m"}`)
	const invalid, missing, exists = "INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
	of := func(id, more string) string { return `{"run_id": "` + id + `", ` + more + `}` }
	none := strings.Repeat("0", 32)
	before := w.Head()
	for _, c := range []struct {
		status             int
		method, path, body string
		code, says         string
	}{
		{400, "POST", "experiments/create", `{"name": "mine"}`, exists, "Experiment(name=mine) already exists."},
		{400, "POST", "experiments/create", `{}`, invalid, "Missing value for required parameter 'name'."},
		{400, "POST", "experiments/create", `{"name": 7}`, invalid, "Invalid value 7 for parameter 'name'"},
		{400, "POST", "experiments/create", `{"name": `, "BAD_REQUEST", ""},
		{400, "POST", "experiments/create", "{\"name\": \"\xff\"}", "BAD_REQUEST", ""},
		{404, "GET", "experiments/get?experiment_id=987654321", "", missing, "No Experiment with id=987654321 exists"},
		{400, "POST", "experiments/delete", `{"experiment_id": "zz"}`, invalid, "Invalid experiment ID 'zz'."},
		{404, "POST", "experiments/delete", `{"experiment_id": "9"}`, missing, "No Experiment with id=9 exists"},
		{404, "POST", "experiments/restore", `{"experiment_id": "0"}`, missing, "No Experiment with id=0 exists"},
		{404, "POST", "experiments/delete-experiment-tag", `{"experiment_id": "0", "key": "k"}`, missing, "No tag with name: k in experiment with id 0"},
		{400, "POST", "experiments/search", `{"max_results": 0}`, invalid, "Invalid value 0 for parameter 'max_results'"},
		{400, "POST", "experiments/search", `{"max_results": 9, "filter": "name ="}`, invalid, "Invalid clause(s) in filter string: name, ="},
		{400, "POST", "runs/create", `{"experiment_id": 0}`, invalid, "Invalid value 0 for parameter 'experiment_id'"},
		{404, "POST", "runs/create", `{"experiment_id": "55555555"}`, missing, "No Experiment with id=55555555 exists"},
		{400, "POST", "runs/create", `{"run_name": "a", "tags": [{"key": "mlflow.runName", "value": "b"}]}`, invalid, "different values"},
		{400, "POST", "runs/create", `{"start_time": -1}`, invalid, "Unix milliseconds"},
		{400, "GET", "runs/get", "", invalid, "Missing value for required parameter 'run_id'."},
		{404, "GET", "runs/get?run_id=" + none, "", missing, "Run with id=" + none + " not found"},
		{404, "POST", "runs/update", of("x", `"status": "FAILED"`), missing, "Run with id=x not found"},
		{404, "POST", "runs/log-metric", of(none, `"key": "a", "value": 1, "timestamp": 1`), missing, "Run with id=" + none + " not found"},
		{400, "POST", "runs/log-metric", of(run, `"key": "../m", "value": 1, "timestamp": 1`), invalid, "This name would resolve to '../m'"},
		{400, "POST", "runs/log-metric", of(run, `"key": "a?", "value": 1, "timestamp": 1`), invalid, "Names may only contain"},
		{400, "POST", "runs/log-metric", of(run, `"key": "a", "value": "none", "timestamp": 1`), invalid, "value"},
		{400, "GET", "metrics/get-history?metric_key=a&max_results=0&run_id=" + run, "", invalid, "positive"},
		{400, "GET", "metrics/get-history?metric_key=a&page_token=zz&run_id=" + run, "", invalid, "Invalid page token"},
		{400, "GET", "metrics/get-history-bulk?metric_key=a", "", invalid, "at least one run_id"},
		{400, "GET", "metrics/get-history-bulk?run_id=" + run, "", invalid, "must specify a metric_key"},
		{400, "GET", "metrics/get-history-bulk?metric_key=a" + strings.Repeat("&run_id="+run, 101), "", invalid, "more than 100 run_ids. Received 101"},
		{400, "GET", "metrics/get-history-bulk-interval?metric_key=a", "", invalid, "'run_ids'"},
		{400, "GET", "metrics/get-history-bulk-interval?metric_key=a" + strings.Repeat("&run_ids="+run, 101), "", invalid, "at most 100 run_ids. Received 101"},
		{400, "GET", "metrics/get-history-bulk-interval?metric_key=a&max_results=2501&run_ids=" + run, "", invalid, "between 1 and 2500"},
		{400, "GET", "metrics/get-history-bulk-interval?metric_key=a&start_step=2&run_ids=" + run, "", invalid, "both must be specified"},
		{400, "GET", "metrics/get-history-bulk-interval?metric_key=a&start_step=2&end_step=1&run_ids=" + run, "", invalid, "end_step must be greater"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "metrics.a IS NULL"}`, invalid, "only supported for tags and params"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "params.a IS 'x'"}`, invalid, "Invalid clause(s)"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "metrics.a > nan"}`, invalid, "Expected numeric value"},
		{400, "POST", "runs/log-metric", of(run, `"key": "a", "value": "x", "timestamp": 1`), invalid, "parameter 'value'"},
		{400, "POST", "runs/log-metric", of(run, `"key": "a", "timestamp": 1`), invalid, "required parameter 'value'"},
		{400, "POST", "runs/log-metric", of(gone, `"key": "a", "value": 1, "timestamp": 1`), invalid, "must be in the 'active' state. Current state is deleted."},
		{400, "POST", "runs/log-parameter", of(run, `"key": "p", "value": "2"`), invalid, "Param with key='p' was already logged with value='1' for run ID='" + run + "'. Attempted logging new value '2'."},
		{400, "POST", "runs/log-batch", of(run, `"params": [{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]`), invalid, "Duplicate parameter keys have been submitted"},
		{400, "POST", "runs/log-batch", of(run, `"params": [{"key": "a", "value": "1"}, {"key": "p", "value": "2"}]`), invalid, "already logged"},
		{400, "POST", "runs/log-batch", of(run, `"metrics": [`+strings.Repeat(`{"key": "a", "value": 1, "timestamp": 1},`, 1000)+`{"key": "a", "value": 1, "timestamp": 1}]`), invalid, "at most 1000 metrics. Got 1001 metrics."},
		{400, "POST", "runs/set-tag", of(gone, `"key": "a", "value": "1"`), invalid, "Current state is deleted."},
		{404, "POST", "runs/delete-tag", of(run, `"key": "a"`), missing, "No tag with name: a in run with id " + run},
		{404, "POST", "runs/delete", of(none, `"a": 1`), missing, "not found"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "nope.x = 'a'"}`, invalid, "Invalid entity type 'nope'."},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "metrics.rmse < 'x'"}`, invalid, "Expected numeric value type for metric. Found 'x'"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "params.x = 1"}`, invalid, "Expected a quoted string value"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "params.x < 'a'"}`, invalid, "Invalid comparator '<'"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "params.x = 'a' OR params.y = 'b'"}`, invalid, "Invalid clause(s)"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "run_id IN ('a', b)"}`, invalid, "list of quoted strings"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "run_id IN ('a', \"\\\")"}`, invalid, "list of quoted strings"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "run_name NOT IN ('a')"}`, invalid, "Invalid comparator 'NOT IN'"},
		{400, "POST", "experiments/search", `{"max_results": 1, "filter": "name like 'a'"}`, invalid, "Invalid comparator 'LIKE'"},
		{400, "POST", "experiments/search", `{"max_results": 1, "filter": "creation_time > 1.5"}`, invalid, "Invalid value for numeric attribute"},
		{400, "GET", "registered-models/search?filter=tags.k+IS+NULL", "", invalid, "Invalid comparator 'IS NULL'"},
		{400, "GET", "registered-models/search?filter=creation_timestamp+>+1", "", invalid, "Invalid attribute key"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "order_by": ["created", "start_time DESC"]}`, invalid, "duplicate fields"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "filter": "'"}`, invalid, "Invalid clause(s)"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "order_by": ["metrics.a SIDEWAYS"]}`, invalid, "Invalid order_by"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "page_token": "?"}`, invalid, "Invalid page token"},
		{400, "POST", "runs/search", `{"experiment_ids": ["0"], "max_results": 50001}`, invalid, "max_results"},
		{400, "GET", "artifacts/list?run_id=" + run + "&path=..%2Fx", "", invalid, "Invalid path"},
		{400, "POST", "registered-models/create", `{"name": "m"}`, exists, "Registered Model (name=m) already exists."},
		{400, "POST", "registered-models/create", `{"name": "a/b"}`, invalid, "slash"},
		{404, "GET", "registered-models/get?name=none", "", missing, "Registered Model with name=none not found"},
		{404, "PATCH", "registered-models/update", `{"name": "none", "description": "x"}`, missing, "Registered Model with name=none not found"},
		{404, "DELETE", "registered-models/alias", `{"name": "none", "alias": "a"}`, missing, "Registered Model with name=none not found"},
		{400, "POST", "registered-models/alias", `{"name": "m", "alias": "v1", "version": "1"}`, invalid, "Version alias name 'v1' is reserved."},
		{404, "POST", "registered-models/alias", `{"name": "m", "alias": "x", "version": "99"}`, missing, "Model Version (name=m, version=99) not found"},
		{400, "GET", "registered-models/alias?name=m&alias=nobody", "", invalid, "Registered model alias nobody not found."},
		{400, "POST", "registered-models/get-latest-versions", `{"name": "m", "stages": ["Nirvana"]}`, invalid, "Invalid Model Version stage: Nirvana. Value must be one of None, Staging, Production, Archived."},
		{404, "POST", "model-versions/create", `{"name": "none", "source": "s3://b/x"}`, missing, "Registered Model with name=none not found"},
		{400, "POST", "model-versions/create", `{"name": "m", "source": "/etc"}`, invalid, "Invalid model version source: '/etc'."},
		{400, "POST", "model-versions/create", `{"name": "m", "source": "file:///etc"}`, invalid, "Invalid model version source"},
		{400, "POST", "model-versions/create", `{"name": "m", "source": "mlflow-artifacts:/0/` + run + `/artifacts/../../x", "run_id": "` + run + `"}`, invalid, "Invalid model version source"},
		{404, "GET", "model-versions/get?name=m&version=99", "", missing, "Model Version (name=m, version=99) not found"},
		{400, "GET", "model-versions/get?name=m&version=abc", "", invalid, "Parameter 'version' must be an integer, got 'abc'."},
		{404, "PATCH", "model-versions/update", `{"name": "none", "version": "1"}`, missing, "Model Version (name=none, version=1) not found"},
		{404, "POST", "model-versions/transition-stage", `{"name": "m", "version": "99", "stage": "Staging"}`, missing, "Model Version (name=m, version=99) not found"},
		{400, "POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "Nirvana"}`, invalid, "Invalid Model Version stage: Nirvana."},
		{400, "POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "None", "archive_existing_versions": true}`, invalid, "'None' is not an Active stage"},
		{400, "GET", "model-versions/search?max_results=0", "", invalid, "max_results"},
		{400, "GET", "model-versions/search?filter=nope+%3D+%27x%27", "", invalid, "Invalid attribute key 'nope' specified."},
		{404, "GET", "logged-models/m-nope", "", missing, "Logged model with ID 'm-nope' not found."},
	} {
		a := ask(w.tracking, c.method, rest+c.path, c.body)
		if a.Code != c.status || a.Object["error_code"] != c.code || !strings.Contains(fmt.Sprint(a.Object["message"]), c.says) {
			t.Errorf("%s %s %.80s: %d %.400s; want %d %s %q", c.method, c.path, c.body, a.Code, a.Text, c.status, c.code, c.says)
		}
	}
	for path, want := range map[string]int{"GET " + rest + "no/such/thing": 404, "PUT " + rest + "runs/create": 405, "GET " + rest + "registered-models/update": 405} {
		method, path, _ := strings.Cut(path, " ")
		if a := ask(w.tracking, method, path, "{}"); a.Code != want || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s %s: %d %s", method, path, a.Code, a.Text)
		}
	}
	if a := ask(w.tracking, "POST", rest+"experiments/create", `{"name": "x"}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }); a.Code != 400 || a.Object["error_code"] != invalid {
		t.Errorf("another content type: %d %s", a.Code, a.Text)
	}
	if a := ask(w.tracking, "POST", rest+"experiments/create", `{"name": "x"}`, func(r *http.Request) { r.SetBasicAuth("admin", "nope") }); a.Code != 401 || a.Object["error_code"] != "UNAUTHENTICATED" || a.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("a wrong password: %d %s", a.Code, a.Text)
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}

// TestGuide: the routes that people type at the program's own address.
func TestGuide(t *testing.T) {
	w := newFixture(t)
	do := func(status int, method, path, body string) map[string]any {
		t.Helper()
		a := ask(w.guide, method, "/mlflow/"+path, body)
		if a.Code != status {
			t.Fatalf("%s %s %s: %d %s; want %d", method, path, body, a.Code, a.Text, status)
		}
		return a.Object
	}
	const named = `{"name": "movie_recommendation_experiment", "description": "실험"}`
	first, again := do(200, "POST", "experiments", named), do(200, "POST", "experiments", named)
	equal(t, "made once", []any{first["created"], again["created"], again["experiment_id"] == first["experiment_id"], again["description"]}, "[true false true 실험]")
	equal(t, "experiments", column(do(200, "GET", "experiments", ""), "experiments", "name"), "[movie_recommendation_experiment Default]")
	w.Do(&commands.RegisterModel{Name: "movie_predictor", Description: "baseline"})
	for i, figures := range []string{`{"key": "rmse", "value": 0.9, "timestamp": 1}, {"key": "accuracy", "value": 0.5, "timestamp": 1}`, `{"key": "rmse", "value": 0.8, "timestamp": 1}`} {
		run := w.run("0", fmt.Sprint(i), 5)
		w.want("POST", "runs/log-batch", `{"run_id": "`+run+`", "metrics": [`+figures+`]}`)
		w.want("POST", "model-versions/create", `{"name": "movie_predictor", "source": "runs:/`+run+`/model", "run_id": "`+run+`"}`)
	}
	v := do(200, "POST", "models/stage-transition", `{"model_name": "movie_predictor", "version": "1", "stage": "Production", "description": "first"}`)
	equal(t, "staged", []any{v["from_stage"], v["stage"], v["version"], v["stage_reason"]}, "[None Production 1 first]")
	v = do(200, "POST", "models/movie_predictor/promote-to-production", `{"version": 2, "description": "better"}`)
	equal(t, "promoted", []any{v["stage"], v["version"]}, "[Production 2]")
	model := do(200, "GET", "models/movie_predictor", "")
	equal(t, "model", []any{model["description"], column(model, "versions", "version"), column(model, "versions", "current_stage"), at(model, "versions", 0, "metrics", "rmse")}, "[baseline [2 1] [Production Archived] 0.8]")
	equal(t, "models", column(do(200, "GET", "models", ""), "models", "latest_versions", 1, "stage_reason"), "[better]")
	v = do(200, "GET", "models/movie_predictor/compare?versions=1,2&metrics=rmse,mae,accuracy", "")
	equal(t, "compared", []any{column(v, "versions", "metrics", "rmse"), column(v, "versions", "metrics", "mae"), at(v, "best")}, "[[0.9 0.8] [<nil> <nil>] map[accuracy:1 rmse:2]]")
	equal(t, "all metrics", do(200, "GET", "models/movie_predictor/compare", "")["metrics"], "[accuracy rmse]")
	do(200, "POST", "models/stage-transition", `{"model_name": "movie_predictor", "version": "1", "stage": "Development"}`)
	if a := ask(w.tracking, "GET", "/", ""); a.Code != 200 || !strings.Contains(a.Text, "movie_predictor") || !strings.Contains(a.Text, `class="state Production"`) || !strings.Contains(a.Text, "accuracy 0.5") {
		t.Errorf("the page: %d %s", a.Code, a.Text)
	}
	for path, want := range map[string]string{"/health": "OK", "/version": "3.17.2"} {
		if a := ask(w.tracking, "GET", path, ""); a.Code != 200 || a.Text != want {
			t.Errorf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	before := w.Head()
	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{400, "POST", "experiments", `{"name": ""}`}, {400, "POST", "experiments", `{"nam": "x"}`}, {400, "POST", "experiments", `[`},
		{404, "GET", "models/nope", ""}, {404, "GET", "models/nope/compare", ""}, {404, "GET", "models/movie_predictor/compare?versions=1,9", ""}, {400, "GET", "models/movie_predictor/compare?versions=1,x", ""},
		{400, "GET", "models/movie_predictor/compare?version=1", ""}, {404, "POST", "models/stage-transition", `{"model_name": "nope", "version": "1", "stage": "Staging"}`},
		{400, "POST", "models/stage-transition", `{"model_name": "movie_predictor", "version": "x", "stage": "Staging"}`}, {400, "POST", "models/stage-transition", `{"model_name": "movie_predictor", "version": "1", "stage": "Nirvana"}`},
		{404, "POST", "models/movie_predictor/promote-to-production", `{"version": "9"}`}, {400, "POST", "models/movie_predictor/promote-to-production", `{}`},
		{400, "POST", "models/stage-transition", `{"version": "1", "stage": "Staging"}`},
	} {
		if v := do(c.status, c.method, c.path, c.body); v["detail"] == "" || v["status"] != float64(c.status) {
			t.Errorf("%s %s: %v", c.method, c.path, v)
		}
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits were made by what was refused", after-before)
	}
}
