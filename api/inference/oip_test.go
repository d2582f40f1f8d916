package inference_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

const inferUsers = `{"name": "user_id", "shape": [%d], "datatype": "BYTES", "data": [%s]}`

// The Open Inference Protocol: what there is, whether it is ready, ratings of pairs and lists of people, the same as by the
// program's own bodies.
func TestOpenInference(t *testing.T) {
	w := newFixture(t)
	if v := w.want(200, "GET", "/v2/health/live", ""); v["live"] != true {
		t.Errorf("%v", v)
	}
	if v := w.want(503, "GET", "/v2/health/ready", ""); !strings.Contains(v["error"].(string), "projectionist import") {
		t.Errorf("without films: %v", v)
	}
	w.films()
	w.train("neural_cf", "neural_cf", small)
	w.train("neural_cf", "neural_cf", small)
	w.train("ease", "ease", nil)
	w.register("broken", "neural_cf", []byte("no weights"))
	if v := w.want(200, "GET", "/v2", ""); v["name"] != "projectionist" || v["version"] == "" || len(v["extensions"].([]any)) != 0 {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/v2/health/ready", ""); v["live"] != true || v["ready"] != true {
		t.Errorf("%v", v)
	}
	for path, want := range map[string]string{
		"/v2/models/neural_cf":                  `{"name":"neural_cf","versions":["1","2"],"platform":"projectionist_neural_cf","inputs":[{"name":"user_id","datatype":"BYTES","shape":[-1]},{"name":"movie_id","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"rating","datatype":"FP32","shape":[-1]},{"name":"recommended_movie_id","datatype":"BYTES","shape":[-1,-1]},{"name":"recommended_score","datatype":"FP32","shape":[-1,-1]}]}`,
		"/v2/models/ease":                       `{"name":"ease","versions":["1"],"platform":"projectionist_ease","inputs":[{"name":"user_id","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"recommended_movie_id","datatype":"BYTES","shape":[-1,-1]},{"name":"recommended_score","datatype":"FP32","shape":[-1,-1]}]}`,
		"/v2/models/neural_cf/versions/1/ready": `{"name":"neural_cf","ready":true}`,
		"/v2/models/ease/ready":                 `{"name":"ease","ready":true}`,
	} {
		if code, text, _ := w.ask("GET", path, ""); code != 200 || strings.TrimSpace(text) != want {
			t.Errorf("%s: %d %s; want %s", path, code, text, want)
		}
	}
	before := w.records()
	// ratings, of one person and of pairs
	for users, shape := range map[string]int{`"1"`: 1, `"1","1","1"`: 3} {
		v := w.want(200, "POST", "/v2/models/neural_cf/versions/1/infer", `{"id": "a", "inputs": [`+fmt.Sprintf(inferUsers, shape, users)+`,
			{"name": "movie_id", "shape": [3], "datatype": "BYTES", "data": ["1", "movie_002", "30"]}], "outputs": [{"name": "rating", "parameters": {"binary_data": false}}]}`)
		outputs := v["outputs"].([]any)
		if v["model_name"] != "neural_cf" || v["model_version"] != "1" || v["id"] != "a" || len(outputs) != 1 {
			t.Fatalf("%v", v)
		}
		got := outputs[0].(map[string]any)
		own := w.want(200, "POST", "/predict?model=neural_cf&version=1", `{"user_id": 1, "movie_ids": [1, 2, 30]}`)["predictions"].([]any)
		if got["name"] != "rating" || got["datatype"] != "FP32" || fmt.Sprint(got["shape"]) != "[3]" {
			t.Errorf("%v", got)
		}
		for i, rating := range got["data"].([]any) {
			if want := own[i].(map[string]any)["rating"].(float64); float32(rating.(float64)) != float32(want) {
				t.Errorf("film %d: %v, by /predict %v", i, rating, want)
			}
		}
	}
	if n := w.records(); n != before {
		t.Errorf("ratings left %d records", n-before)
	}
	// lists, of which one has fewer films left
	for _, model := range []string{"ease", "neural_cf"} {
		before := w.records()
		v := w.want(200, "POST", "/v2/models/"+model+"/infer", `{"parameters": {"k": 25}, "inputs": [`+fmt.Sprintf(inferUsers, 2, `"1", "user_002"`)+`]}`)
		outputs := v["outputs"].([]any)
		films, scores := outputs[0].(map[string]any), outputs[1].(map[string]any)
		if _, ok := v["id"]; ok || films["name"] != "recommended_movie_id" || scores["name"] != "recommended_score" || fmt.Sprint(films["shape"], scores["shape"]) != "[2 18] [2 18]" {
			t.Fatalf("%v", v)
		}
		data := films["data"].([]any)
		for i, user := range []string{"1", "2"} {
			own := idsOf(w.want(200, "POST", "/recommend?model="+model, `{"user_id": `+user+`, "k": 25, "record": false}`))
			for k := range 18 {
				want := ""
				if k < len(own) {
					want = own[k]
				}
				if data[i*18+k] != want {
					t.Errorf("%s, %s: place %d is %v, by /recommend %q", model, user, k, data[i*18+k], want)
				}
			}
		}
		if n := w.records(); n != before+2 {
			t.Errorf("%d records of two lists", n-before)
		}
	}
	before = w.records()
	v := w.want(200, "POST", "/v2/models/ease/infer", `{"parameters": {"k": 30, "exclude_seen": false, "record": false}, "inputs": [`+fmt.Sprintf(inferUsers, 1, `"1"`)+`], "outputs": [{"name": "recommended_score"}]}`)
	if outputs := v["outputs"].([]any); len(outputs) != 1 || fmt.Sprint(outputs[0].(map[string]any)["shape"]) != "[1 30]" || w.records() != before {
		t.Errorf("%v", v)
	}
	both := w.want(200, "POST", "/v2/models/neural_cf/infer", `{"parameters": {"k": 2, "record": false}, "inputs": [`+fmt.Sprintf(inferUsers, 1, `"1"`)+`, {"name": "movie_id", "shape": [1], "datatype": "BYTES", "data": ["5"]}],
		"outputs": [{"name": "recommended_movie_id"}, {"name": "rating"}]}`)["outputs"].([]any)
	if len(both) != 2 || both[0].(map[string]any)["name"] != "recommended_movie_id" || both[1].(map[string]any)["name"] != "rating" {
		t.Errorf("%v", both)
	}
}

// What is wrong is refused by name, in the protocol's form, and leaves nothing in the log.
func TestOpenInferenceRefusals(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	w.train("popularity", "popularity", nil)
	w.register("broken", "neural_cf", []byte("no weights"))
	w.register("other", "magic", []byte("of another program"))
	before := w.records()
	users := fmt.Sprintf(inferUsers, 1, `"1"`)
	with := func(input string) string { return `{"inputs": [` + input + `]}` }
	for _, c := range []struct {
		status       int
		method, path string
		body, answer string
	}{
		{404, "GET", "/v2/models/nope", "", `no model \"nope\"`},
		{404, "GET", "/v2/models/neural_cf/versions/9", "", `no version 9`},
		{404, "GET", "/v2/models/neural_cf/versions/x/ready", "", `no version \"x\"`},
		{404, "GET", "/v2/models/neural_cf/versions/0", "", `no version \"0\"`},
		{404, "GET", "/v2/nope", "", `there is nothing at /v2/nope`},
		{405, "GET", "/v2/models/neural_cf/infer", "", `Method Not Allowed`},
		{409, "GET", "/v2/models/other", "", `cannot be served by this program`},
		{500, "GET", "/v2/models/broken/ready", "", `weights of broken version 1`},
		{500, "POST", "/v2/models/broken/infer", with(users), `weights of broken version 1`},
		{400, "GET", "/v2?x=1", "", `x: is not a parameter`},
		{404, "POST", "/v2/models/nope/infer", with(users), `no model`},
		{400, "POST", "/v2/models/neural_cf/infer", ``, `the body is empty`},
		{400, "POST", "/v2/models/neural_cf/infer", `{}`, `inputs: are missing: want the tensor user_id`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": 1}`, `inputs: must be an array`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [], "x": 1}`, `x: is not a field`},
		{413, "POST", "/v2/models/neural_cf/infer", `{"id": "` + strings.Repeat("x", 1<<20) + `"}`, `more than`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"id": "` + strings.Repeat("x", 2000) + `"}`, `id: has 2000 bytes`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "input0", "shape": [1], "datatype": "BYTES", "data": ["1"]}`), `inputs.input0: is no input of neural_cf version 1; want user_id, movie_id`},
		{400, "POST", "/v2/models/popularity/infer", with(users + `, {"name": "movie_id", "shape": [1], "datatype": "BYTES", "data": ["1"]}`), `inputs.movie_id: is no input of popularity version 1; want user_id`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "movie_id", "shape": [1], "datatype": "BYTES", "data": ["1"]}`), `inputs: have no tensor user_id`},
		{400, "POST", "/v2/models/neural_cf/infer", with(users + `,` + users), `inputs.user_id: is given twice`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1], "datatype": "INT64", "data": [1]}`), `inputs.user_id.datatype: is \"INT64\"; want BYTES`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1, 1], "datatype": "BYTES", "data": ["1"]}`), `inputs.user_id.shape: has 2 dimensions`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [0], "datatype": "BYTES", "data": []}`), `inputs.user_id.shape: is [0]`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [-1], "datatype": "BYTES", "data": ["1"]}`), `inputs.shape: must be`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [18446744073709551615], "datatype": "BYTES", "data": ["1"]}`), `want [1] to [10000]`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [2], "datatype": "BYTES", "data": ["1"]}`), `inputs.user_id.data: has 1 values; its shape [2] wants 2`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1], "datatype": "BYTES"}`), `inputs.user_id.data: is missing`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": "1"}`), `inputs.user_id.data: must be an array`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [2], "datatype": "BYTES", "data": ["1", 2]}`), `inputs.user_id.data[1]: must be a string`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1], "datatype": "BYTES", "data": [""]}`), `inputs.user_id.data[0]: must be 1 to`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [2], "datatype": "BYTES", "data": ["1", "2"]}, {"name": "movie_id", "shape": [3], "datatype": "BYTES", "data": ["1", "2", "3"]}`), `inputs.user_id: has the shape [2], and movie_id the shape [3]`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "outputs": [{"name": "rating"}]}`, `outputs.rating: is of a person and a film: the input movie_id is missing`},
		{400, "POST", "/v2/models/popularity/infer", `{"inputs": [` + users + `], "outputs": [{"name": "rating"}]}`, `outputs.rating: is no output of popularity version 1`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "outputs": [{"name": "recommended_score"}, {"name": "recommended_score"}]}`, `asked for twice`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"k": 0}}`, `parameters.k: is 0; want 1 to 1000`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"k": 1000000}}`, `parameters.k: is 1000000`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"k": null}}`, `parameters.k: must be a whole number`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"exclude_seen": "x"}}`, `parameters.exclude_seen: must be true or false`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"x": 1}}`, `parameters.x: is not a parameter`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `, {"name": "movie_id", "shape": [1], "datatype": "BYTES", "data": ["1"]}], "parameters": {"k": 3}}`, `parameters.k: is of lists`},
		{404, "POST", "/v2/models/neural_cf/infer", with(users + `, {"name": "movie_id", "shape": [1], "datatype": "BYTES", "data": ["999"]}`), `no movie \"999\"`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "parameters": {"binary_data_output": true}}`, `binary tensor data extension, which is not served here`},
		{400, "POST", "/v2/models/neural_cf/infer", `{"inputs": [` + users + `], "outputs": [{"name": "recommended_score", "parameters": {"binary_data": true}}]}`, `binary tensor data extension`},
		{400, "POST", "/v2/models/neural_cf/infer", with(`{"name": "user_id", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}}`), `binary tensor data extension`},
	} {
		code, text, v := w.ask(c.method, c.path, c.body)
		if said, ok := v["error"].(string); code != c.status || !strings.Contains(text, c.answer) || !ok || said == "" || len(v) != 1 {
			t.Errorf("%s %s %.90s: %d %.300s; want %d %s", c.method, c.path, c.body, code, text, c.status, c.answer)
		}
	}
	if code, text, _ := w.ask("POST", "/v2/models/neural_cf/infer", with(users), func(r *http.Request) { r.Header.Set("Inference-Header-Content-Length", "10") }); code != 400 || !strings.Contains(text, "binary") {
		t.Errorf("a binary body: %d %s", code, text)
	}
	many := slices.Repeat([]string{`"1"`}, 1001)
	w.want(400, "POST", "/v2/models/popularity/infer", with(fmt.Sprintf(inferUsers, 1001, strings.Join(many, ","))))
	if n := w.records(); n != before {
		t.Errorf("%d records of what was refused", n-before)
	}
}
