package mlflow_test

import (
	"fmt"
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

// What is put under mlflow-artifacts:/ is there again, whether it is a run's or nobody's; and what could be a run's is not taken for nobody's.
func TestFilesOfNobody(t *testing.T) {
	w := newFixture(t)
	const at = "/api/2.0/mlflow-artifacts/artifacts"
	put := func(path, body string) int { return ask(w.tracking, "PUT", at+"/"+path, body).Code }
	names := func(folder string) string {
		return fmt.Sprint(column(ask(w.tracking, "GET", at+"?path="+folder, "").Object, "files", "path"))
	}
	none := strings.Repeat("0", 32)
	for path, code := range map[string]int{"team/data.csv": 200, "team/b/c.txt": 200, "%ED%95%9C%20%EA%B8%80.txt": 200, "0/loose.txt": 200,
		"0/" + none + "/artifacts/x": 404, "0/" + none + "/x": 404, "0/" + none: 404, "0/models/m-" + none + "/artifacts/x": 404, "team/..%2Fx": 400} {
		equal(t, path, put(path, "one"), code)
	}
	equal(t, "the same path again", put("team/data.csv", "two"), 200)
	equal(t, "read", ask(w.tracking, "GET", at+"/team/data.csv", "").Text, "two")
	equal(t, "a folder is no file", ask(w.tracking, "GET", at+"/team", "").Code, 404)
	equal(t, "a folder", names("team"), "[b data.csv]")
	equal(t, "the store", names(""), "[0 team 한 글.txt]")
	equal(t, "deleted", ask(w.tracking, "DELETE", at+"/team/b", "").Code, 200)
	equal(t, "deleted again", ask(w.tracking, "DELETE", at+"/team/b", "").Code, 200)
	equal(t, "what is left", names("team"), "[data.csv]")
	equal(t, "the whole store is deleted by nobody", ask(w.tracking, "DELETE", at+"/", "").Code, 400)
}
