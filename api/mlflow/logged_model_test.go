package mlflow_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMetricsOfLoggedModels: values that runs measure of models are the models', by data set too.
func TestMetricsOfLoggedModels(t *testing.T) {
	w := newFixture(t)
	run, other := w.run("0", "r", 5), w.run("0", "o", 6)
	model := func(name string) string {
		return at(w.want("POST", "logged-models", `{"experiment_id": "0", "name": "`+name+`"}`), "model", "info", "model_id").(string)
	}
	a, b, c := model("a"), model("b"), model("c")
	value := func(of, key, value, more string) string {
		return `{"key": "` + key + `", "value": ` + value + `, "timestamp": 7, "model_id": "` + of + `"` + more + `}`
	}
	log := func(run string, metrics ...string) {
		w.want("POST", "runs/log-batch", `{"run_id": "`+run+`", "metrics": [`+strings.Join(metrics, ",")+`]}`)
	}
	const train, test = `, "dataset_name": "train", "dataset_digest": "d1"`, `, "dataset_name": "test", "dataset_digest": "d2"`
	log(run, value(a, "rmse", "0.9", train), value(b, "rmse", "0.8", train), `{"key": "loss", "value": 1, "timestamp": 1}`)
	log(run, value(a, "rmse", "0.5", test+`, "step": 1`), value(b, "rmse", "0.7", test+`, "step": 1`), value(b, "mae", `"NaN"`, ""))
	log(other, value(a, "rmse", "0.6", test+`, "step": 2`))
	w.want("POST", "runs/log-metric", `{"run_id": "`+run+`", `+value(a, "auc", "1", test)[1:])
	log(run, value(a, "rmse", "0.9", train)) // again
	shown := at(w.want("GET", "logged-models/"+a, ""), "model", "data")
	equal(t, "values", column(shown, "metrics", "value"), "[1 0.9 0.5 0.6]")
	equal(t, "of", []any{column(shown, "metrics", "dataset_name"), column(shown, "metrics", "run_id"), at(shown, "metrics", 1, "model_id")}, []any{"[test train test test]", []any{run, run, run, other}, a})
	equal(t, "of the run", column(at(w.want("GET", "runs/get?run_id="+run, ""), "run", "data"), "metrics", "key"), "[auc loss mae rmse]")
	search := func(rest string) []any {
		return column(w.want("POST", "logged-models/search", `{"experiment_ids": ["0"], `+rest+`}`), "models", "info", "name")
	}
	for rest, want := range map[string]string{
		`"filter": "metrics.rmse < 0.55"`:                                                                             "[a]",
		`"filter": "metrics.rmse <= 0.6"`:                                                                             "[a]",
		`"filter": "metrics.rmse >= 0.8"`:                                                                             "[a b]",
		`"filter": "metrics.nope > 0"`:                                                                                "[]",
		`"filter": "metrics.rmse = 0.8", "datasets": [{"dataset_name": "test"}]`:                                      "[]",
		`"filter": "metrics.rmse > 0.65", "datasets": [{"dataset_name": "test"}]`:                                     "[b]",
		`"filter": "metrics.rmse > 0", "datasets": [{"dataset_name": "test", "dataset_digest": "d1"}]`:                "[]",
		`"filter": "name = 'b'", "datasets": [{"dataset_name": "x"}, {"dataset_name": "train"}]`:                      "[b]",
		`"datasets": [{"dataset_name": "train", "dataset_digest": "d1"}]`:                                             "[a b]",
		`"order_by": [{"field_name": "metrics.rmse"}]`:                                                                "[a b c]",
		`"order_by": [{"field_name": "metrics.rmse", "ascending": false}]`:                                            "[b a c]",
		`"order_by": [{"field_name": "metrics.rmse", "dataset_name": "train"}]`:                                       "[b a c]",
		`"order_by": [{"field_name": "metrics.rmse", "dataset_name": "test", "dataset_digest": "d2"}]`:                "[a b c]",
		`"order_by": [{"field_name": "metrics.auc", "ascending": false}, {"field_name": "name", "ascending": false}]`: "[a c b]",
	} {
		got := search(rest)
		if !strings.Contains(rest, "order_by") { // of one moment
			slices.SortFunc(got, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		}
		equal(t, rest, got, want)
	}
	for body, want := range map[string]int{
		`{"experiment_ids": ["0"], "datasets": [{"dataset_digest": "d1"}]}`: 400, `{"experiment_ids": ["0"], "datasets": "x"}`: 400, `{"experiment_ids": ["0"], "order_by": [{"field_name": "nope.x"}]}`: 400,
	} {
		if a := ask(w.tracking, "POST", rest+"logged-models/search", body); a.Code != want {
			t.Errorf("%s: %d %s", body, a.Code, a.Text)
		}
	}
	w.want("DELETE", "logged-models/"+c, "")
	before := w.Head()
	for _, id := range []string{"m-" + strings.Repeat("0", 32), "x", c} {
		if a := ask(w.tracking, "POST", rest+"runs/log-batch", `{"run_id": "`+run+`", "metrics": [`+value(id, "k", "1", "")+`]}`); a.Code != 404 {
			t.Errorf("%s: %d %s", id, a.Code, a.Text)
		}
	}
	if after := w.Head(); after != before {
		t.Errorf("%d commits of what was refused", after-before)
	}
	var many []string
	for i := range 600 {
		many = append(many, value(b, "long", fmt.Sprint(i), fmt.Sprintf(`, "step": %d`, i)))
	}
	log(run, many...)
	log(other, many...)
	shown = at(w.want("GET", "logged-models/"+b, ""), "model", "data")
	equal(t, "the last of each", []any{column(shown, "metrics", "key"), at(shown, "metrics", 0, "value"), at(shown, "metrics", 0, "step")}, "[[long mae rmse] 599 599]")
}

// TestLogModel: clients of before MLflow 3 write down which models a run has logged, several at once too.
func TestLogModel(t *testing.T) {
	w := newFixture(t)
	run := w.run("0", "r", 5)
	body := func(path string) string {
		return fmt.Sprintf(`{"run_id": %q, "model_json": %q}`, run, `{"artifact_path": "`+path+`", "flavors": {"sklearn": {"code": null, "config": {"x": 1}}, "none": 3}, "utc_time_created": "t", "run_id": "`+run+`", "model_uuid": "u", "signature": "left out"}`)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			if a := ask(w.tracking, "POST", rest+"runs/log-model", body(fmt.Sprint("m", i))); a.Code != 200 {
				t.Errorf("%d %s", a.Code, a.Text)
			}
		})
	}
	all.Wait()
	tags, _ := at(w.want("GET", "runs/get?run_id="+run, ""), "run", "data", "tags").([]any)
	var list []map[string]any
	for _, tag := range tags {
		if at(tag, "key") == "mlflow.log-model.history" {
			w.Must(json.Unmarshal([]byte(at(tag, "value").(string)), &list))
		}
	}
	paths := map[any]bool{}
	for _, m := range list {
		paths[m["artifact_path"]] = true
		equal(t, "a model", m["flavors"], "map[none:3 sklearn:map[code:<nil>]]")
		equal(t, "its fields", len(m), 5)
	}
	equal(t, "models", len(paths), 4)
	for body, want := range map[string]int{`{"run_id": "` + run + `"}`: 400, `{"run_id": "` + run + `", "model_json": "{"}`: 400, `{"run_id": "` + run + `", "model_json": "{\"flavors\": {}}"}`: 400,
		strings.Replace(body("x"), run, strings.Repeat("0", 32), 1): 404, body(strings.Repeat("long", 2000)): 400} {
		if a := ask(w.tracking, "POST", rest+"runs/log-model", body); a.Code != want {
			t.Errorf("%.200s: %d %s", body, a.Code, a.Text)
		}
	}
}

// TestDeletedArtifacts: files go by a path, with all below, and what is not there is gone already.
func TestDeletedArtifacts(t *testing.T) {
	w := newFixture(t)
	run := w.run("0", "r", 5)
	model := at(w.want("POST", "logged-models", `{"experiment_id": "0", "name": "m"}`), "model", "info", "model_id").(string)
	const store = "/api/2.0/mlflow-artifacts/artifacts/"
	do := func(method, path string, want int) {
		t.Helper()
		if a := ask(w.tracking, method, store+path, "content"); a.Code != want {
			t.Errorf("%s %s: %d %s", method, path, a.Code, a.Text)
		}
	}
	files := func(root string) any {
		return column(ask(w.tracking, "GET", strings.TrimSuffix(store, "/")+"?path="+root, "").Object, "files", "path")
	}
	for _, root := range []string{"0/" + run + "/artifacts", "0/models/" + model + "/artifacts"} {
		for _, path := range []string{"/a/b", "/a/c", "/ab", "/d"} {
			do("PUT", root+path, 200)
		}
		do("DELETE", root+"/a", 200)
		equal(t, "without a folder", files(root), "[ab d]")
		do("DELETE", root+"/a", 200)
		do("DELETE", root+"/d", 200)
		do("GET", root+"/d", 404)
		do("PUT", root+"/d", 200)
		equal(t, "again", files(root), "[ab d]")
		do("DELETE", root+"/..%2Fab", 400)
		do("DELETE", root, 200)
		equal(t, "all", files(root), "[]")
	}
	do("DELETE", "0/"+strings.Repeat("0", 32)+"/artifacts/x", 404)
}
