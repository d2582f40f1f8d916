package mlflow_test

import (
	"net/http"
	"strings"
	"testing"
)

// A page writes a file of a run, and reads it by the run, by a version that came of it, and by the model of a client.
func TestFilesOfPages(t *testing.T) {
	w := newFixture(t)
	id := w.run("0", "first", 1700000000000)
	upload := "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=" + id + "&path="
	asText := func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }
	if a := ask(w.tracking, "POST", upload+"model/MLmodel", "flavors: {}\n", asText); a.Code != 200 {
		t.Fatalf("%d %s", a.Code, a.Text)
	}
	for path, body := range map[string]string{upload + "../x": "x", upload + "a": "", upload: "x", strings.Replace(upload, id, "", 1) + "a": "x", upload + "big": strings.Repeat("x", 10<<20+1), upload + "/a": "x"} {
		if a := ask(w.tracking, "POST", path, body, asText); a.Code != 400 {
			t.Errorf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	equal(t, "a run nobody knows", ask(w.tracking, "POST", strings.Replace(upload, id, strings.Repeat("0", 32), 1)+"a", "x", asText).Code, 404)
	w.want("POST", "registered-models/create", `{"name": "als"}`)
	w.want("POST", "model-versions/create", `{"name": "als", "source": "runs:/`+id+`/model", "run_id": "`+id+`"}`)
	w.want("POST", "model-versions/create", `{"name": "als", "source": "s3://elsewhere/model"}`)
	for path, code := range map[string]int{
		"/get-artifact?run_uuid=" + id + "&path=model/MLmodel": 200, "/ajax-api/2.0/mlflow/get-artifact?run_uuid=" + id + "&path=model/MLmodel": 200,
		"/model-versions/get-artifact?name=als&version=1&path=MLmodel": 200, "/model-versions/get-artifact?name=als&version=1&path=none": 404,
		"/model-versions/get-artifact?name=als&version=1&path=../../x": 400, "/model-versions/get-artifact?name=als&version=2&path=MLmodel": 404,
		"/model-versions/get-artifact?name=als&version=3&path=MLmodel": 404, "/model-versions/get-artifact?name=als&version=x&path=MLmodel": 400,
	} {
		a := ask(w.tracking, "GET", path, "")
		if a.Code != code || code == 200 && (a.Text != "flavors: {}\n" || !strings.HasPrefix(a.Header.Get("Content-Disposition"), "attachment")) {
			t.Errorf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	w.want("POST", "runs/delete", `{"run_id": "`+id+`"}`)
	equal(t, "a file of a deleted run", ask(w.tracking, "POST", upload+"late", "x", asText).Code, 400)
}
