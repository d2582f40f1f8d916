package mlflow_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// known is what somebody who has worked with a server knows of it: ids and names that there are, or were.
type known struct {
	rng                            *rand.Rand
	experiments, runs, logged      []string
	models, names, files, versions []string
}

func newKnown(seed uint64) *known {
	return &known{rng: rand.New(rand.NewPCG(seed, 18)), experiments: []string{"0", "77"}, runs: []string{strings.Repeat("a", 32)}, logged: []string{"m-" + strings.Repeat("b", 32)},
		models: []string{"als", "none", "renamed"}, names: []string{"Default", "second"}, files: []string{"a.txt", "d/b.bin"}, versions: []string{"1", "2", "3"}}
}

// one is any of some.
func (k *known) one(of []string) string { return of[k.rng.IntN(len(of))] }

// spoken is a request, as a client sends it.
type spoken struct{ method, path, body string }

// asksNothing says of a read whether there is one answer only, whatever was recorded: of what this program has none of.
func asksNothing(pattern string) bool {
	return strings.Contains(pattern, " /ajax-api/3.0/") || slices.Contains([]string{"GET mlflow/users/current", "GET mlflow/gateway-proxy"}, pattern)
}

// reads are requests of each read there is, by pattern; below the API's prefix without it.
func (k *known) reads() map[string][]spoken {
	get := func(path string, args ...any) spoken { return spoken{"GET", fmt.Sprintf(path, args...), ""} }
	post := func(path, body string, args ...any) spoken { return spoken{"POST", path, fmt.Sprintf(body, args...)} }
	q := url.QueryEscape
	x, r, m, l, v := k.one(k.experiments), k.one(k.runs), k.one(k.models), k.one(k.logged), k.one(k.versions)
	all := `"` + strings.Join(k.experiments, `","`) + `"`
	return map[string][]spoken{
		"GET /{$}": {get("/")}, "GET /health": {get("/health")}, "GET /healthz": {get("/healthz")}, "GET /version": {get("/version")},
		"GET /api/3.0/mlflow/server-info": {get("/api/3.0/mlflow/server-info")}, "GET /ajax-api/3.0/mlflow/server-info": {get("/ajax-api/3.0/mlflow/server-info")},
		"GET /overview": {get("/overview")}, "GET /static-files/{path...}": {get("/static-files/index.html")},
		"GET /model-versions/get-artifact":        {get("/model-versions/get-artifact?name=%s&version=%s&path=%s", m, v, q(k.one(k.files)))},
		"GET mlflow/get-artifact":                 {get("mlflow/get-artifact?run_id=%s&path=%s", r, q(k.one(k.files)))},
		"GET mlflow/webhooks":                     {get("mlflow/webhooks")},
		"POST mlflow/experiments/search-datasets": {post("mlflow/experiments/search-datasets", `{"experiment_ids": [%s]}`, all)},
		"POST /graphql": {post("/graphql", `{"query": "{ mlflowGetRun(input: {runId: \"%s\"}) { run { info { status runName } data { metrics { key value } } modelVersions { name version } } } }"}`, r),
			post("/graphql", `{"query": "{ mlflowGetExperiment(input: {experimentId: \"%s\"}) { experiment { name lifecycleStage } } }"}`, x)},
		"GET /get-artifact":                  {get("/get-artifact?run_id=%s&path=%s", r, q(k.one(k.files)))},
		"GET mlflow/experiments/get":         {get("mlflow/experiments/get?experiment_id=%s", x)},
		"GET mlflow/experiments/search":      {get("mlflow/experiments/search?max_results=3")},
		"GET mlflow/experiments/get-by-name": {get("mlflow/experiments/get-by-name?experiment_name=%s", q(k.one(k.names)))},
		"POST mlflow/experiments/search":     {post("mlflow/experiments/search", `{"max_results": 100, "view_type": %q}`, k.one([]string{"ALL", "ACTIVE_ONLY", "DELETED_ONLY"}))},
		"GET mlflow/runs/get":                {get("mlflow/runs/get?run_id=%s", r), get("mlflow/runs/get?run_id=%s", k.one(k.runs))},
		"POST mlflow/runs/search": {post("mlflow/runs/search", `{"experiment_ids": [%s], "run_view_type": "ALL", "order_by": ["metrics.loss"]}`, all),
			post("mlflow/runs/search", `{"experiment_ids": [%s], "filter": "metrics.loss > 0.5 and tags.k != 'v'", "max_results": 2}`, all)},
		"GET mlflow/metrics/get-history":                      {get("mlflow/metrics/get-history?run_id=%s&metric_key=loss", r)},
		"GET mlflow/metrics/get-history-bulk":                 {get("mlflow/metrics/get-history-bulk?run_id=%s&run_id=%s&metric_key=loss", r, k.one(k.runs))},
		"GET mlflow/metrics/get-history-bulk-interval":        {get("mlflow/metrics/get-history-bulk-interval?run_ids=%s&metric_key=loss&max_results=5", r)},
		"GET mlflow/artifacts/list":                           {get("mlflow/artifacts/list?run_id=%s", r), get("mlflow/artifacts/list?run_id=%s&path=d", r)},
		"GET mlflow-artifacts/artifacts":                      {get("mlflow-artifacts/artifacts?path=%s", q(x+"/"+r+"/artifacts"))},
		"GET mlflow-artifacts/artifacts/{path...}":            {get("mlflow-artifacts/artifacts/0/%s/artifacts/%s", r, k.one(k.files)), get("mlflow-artifacts/artifacts/0/models/%s/artifacts/%s", l, k.one(k.files))},
		"POST mlflow/logged-models/search":                    {post("mlflow/logged-models/search", `{"experiment_ids": [%s]}`, all)},
		"GET mlflow/logged-models/{id}":                       {get("mlflow/logged-models/%s?allow_deleted=true", l), get("mlflow/logged-models/%s", l)},
		"GET mlflow/logged-models/{id}/artifacts/directories": {get("mlflow/logged-models/%s/artifacts/directories", l)},
		"GET mlflow/logged-models/{id}/artifacts/files":       {get("mlflow/logged-models/%s/artifacts/files?artifact_file_path=%s", l, q(k.one(k.files)))},
		"GET mlflow/registered-models/get":                    {get("mlflow/registered-models/get?name=%s", m)},
		"GET mlflow/registered-models/search":                 {get("mlflow/registered-models/search?order_by=%s", q("last_updated_timestamp DESC"))},
		"GET mlflow/registered-models/alias":                  {get("mlflow/registered-models/alias?name=%s&alias=best", m)},
		"GET mlflow/registered-models/get-latest-versions":    {get("mlflow/registered-models/get-latest-versions?name=%s&stages=Production", m)},
		"POST mlflow/registered-models/get-latest-versions":   {post("mlflow/registered-models/get-latest-versions", `{"name": %q}`, m)},
		"GET mlflow/model-versions/get":                       {get("mlflow/model-versions/get?name=%s&version=%s", m, v)},
		"GET mlflow/model-versions/search":                    {get("mlflow/model-versions/search")},
		"GET mlflow/model-versions/get-download-uri":          {get("mlflow/model-versions/get-download-uri?name=%s&version=%s", m, v)},
	}
}

// write is a change that somebody may make, well or not.
func (k *known) write() spoken {
	post := func(path, body string, args ...any) spoken {
		return spoken{"POST", "mlflow/" + path, fmt.Sprintf(body, args...)}
	}
	x, r, m, l, v, n := k.one(k.experiments), k.one(k.runs), k.one(k.models), k.one(k.logged), k.one(k.versions), k.rng.IntN(1000)
	file := k.one(k.files)
	all := []spoken{
		post("experiments/create", `{"name": "x%d"}`, n%9), post("experiments/delete", `{"experiment_id": %q}`, x), post("experiments/restore", `{"experiment_id": %q}`, x),
		post("experiments/update", `{"experiment_id": %q, "new_name": "renamed %d"}`, x, n%20), post("registered-models/rename", `{"name": %q, "new_name": %q}`, m, k.one([]string{"als", "none", "renamed"})),
		post("experiments/set-experiment-tag", `{"experiment_id": %q, "key": "k", "value": "%d"}`, x, n),
		post("runs/create", `{"experiment_id": %q, "start_time": %d}`, k.one(k.experiments[:1+n%len(k.experiments)]), int64(1e12)+int64(n)), post("runs/create", `{"experiment_id": "0"}`),
		post("runs/update", `{"run_id": %q, "status": %q, "end_time": %d, "run_name": "n%d"}`, r, k.one([]string{"FINISHED", "RUNNING", "FAILED"}), int64(1e12)+int64(n), n),
		post("runs/delete", `{"run_id": %q}`, r), post("runs/restore", `{"run_id": %q}`, r), post("runs/delete-tag", `{"run_id": %q, "key": "k"}`, r),
		post("runs/log-batch", `{"run_id": %q, "metrics": [{"key": "loss", "value": %g, "timestamp": %d, "step": %d}, {"key": "m%d", "value": "NaN", "timestamp": 1}], "params": [{"key": "p%d", "value": "1"}], "tags": [{"key": "k", "value": "v"}]}`,
			r, k.rng.Float64(), n, n%7, n%3, n),
		post("runs/log-inputs", `{"run_id": %q, "datasets": [{"dataset": {"name": "d", "digest": "%d", "source_type": "x", "source": "y"}}], "models": [{"model_id": %q}]}`, r, n%5, l),
		post("runs/outputs", `{"run_id": %q, "models": [{"model_id": %q, "step": %d}]}`, r, l, n%4),
		{"PUT", "mlflow-artifacts/artifacts/0/" + r + "/artifacts/" + file, fmt.Sprint("content ", n)}, {"PUT", "mlflow-artifacts/artifacts/0/models/" + l + "/artifacts/" + file, fmt.Sprint("content ", n)},
		post("logged-models", `{"experiment_id": "0", "name": "l%d", "source_run_id": %q}`, n, r), {"PATCH", "mlflow/logged-models/" + l, `{"status": "LOGGED_MODEL_READY"}`},
		{"DELETE", "mlflow/logged-models/" + l, ""}, {"PATCH", "mlflow/logged-models/" + l + "/tags", fmt.Sprintf(`{"tags": [{"key": "k", "value": "%d"}]}`, n)},
		post("registered-models/create", `{"name": %q}`, m), post("registered-models/set-tag", `{"name": %q, "key": "k", "value": "%d"}`, m, n),
		{"PATCH", "mlflow/registered-models/update", fmt.Sprintf(`{"name": %q, "description": "%d"}`, m, n)}, {"DELETE", "mlflow/model-versions/delete", fmt.Sprintf(`{"name": %q, "version": %q}`, m, v)},
		post("model-versions/create", `{"name": %q, "source": "s3://b/%d"}`, m, n), post("model-versions/create", `{"name": %q, "source": "models:/%s", "run_id": %q}`, m, l, r),
		post("model-versions/transition-stage", `{"name": %q, "version": %q, "stage": %q, "archive_existing_versions": false}`, m, v, k.one([]string{"None", "Staging", "Production", "Archived"})),
		post("registered-models/alias", `{"name": %q, "alias": "best", "version": %q}`, m, v), {"DELETE", "mlflow/registered-models/alias", fmt.Sprintf(`{"name": %q, "alias": "best"}`, m)},
	}
	if n%40 == 0 {
		return spoken{"DELETE", "mlflow/registered-models/delete", fmt.Sprintf(`{"name": %q}`, m)}
	}
	return all[k.rng.IntN(len(all))]
}

// learn notes what a change has made.
func (k *known) learn(a apitest.Answer) {
	for _, l := range []struct {
		to   *[]string
		path []any
	}{{&k.experiments, []any{"experiment_id"}}, {&k.runs, []any{"run", "info", "run_id"}}, {&k.logged, []any{"model", "info", "model_id"}}, {&k.names, []any{"registered_model", "name"}}} {
		if id, ok := at(a.Object, l.path...).(string); ok && !slices.Contains(*l.to, id) {
			*l.to = append(*l.to, id)
		}
	}
}

// clock is one that only its owner moves on.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// prefixes are where the API is.
var prefixes = []string{"/api/2.0/", "/ajax-api/2.0/"}

// belowPrefix is a pattern without the API's prefix, and that.
func belowPrefix(pattern string) (below, prefix string) {
	method, path, _ := strings.Cut(pattern, " ")
	for _, prefix := range prefixes {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return method + " " + rest, prefix
		}
	}
	return pattern, ""
}

// remembered is what was answered at a moment.
type remembered struct {
	spoken
	apitest.Answer
}

// everyRead asks everything that can be read: of each pattern of the route table.
func (w *fixture) everyRead(k *known) (all []remembered) {
	w.T.Helper()
	reads := k.reads()
	for pattern, isRead := range w.tracking.Patterns() {
		if !isRead {
			continue
		}
		below, prefix := belowPrefix(pattern)
		if method, path, _ := strings.Cut(below, " "); asksNothing(below) && !strings.Contains(path, "{") {
			reads[below] = []spoken{{method, path, "{}"}}
		}
		if len(reads[below]) == 0 {
			w.T.Fatalf("the test has no request for the read %s: give known.reads one, so that it is held to answer of the past too", pattern)
		}
		for _, q := range reads[below] {
			q.path = prefix + q.path
			all = append(all, remembered{q, ask(w.tracking, q.method, q.path, q.body)})
		}
	}
	return all
}

// TestPast: whatever was answered at a moment is answered at that moment's address for ever, by every read there is;
// by time, by position and by cut.
func TestPast(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			now := &clock{now: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)}
			w := newFixtureAt(t, now.Now)
			k := newKnown(seed)
			then := map[string][]remembered{}
			accepted := 0
			for step := range 400 {
				now.step(time.Duration(1+k.rng.IntN(5000)) * time.Millisecond)
				q := k.write()
				a := ask(w.tracking, q.method, prefixes[0]+q.path, q.body)
				if a.Code >= 500 {
					t.Fatalf("%s %s %s: %d %s", q.method, q.path, q.body, a.Code, a.Text)
				}
				if a.Code == 200 {
					accepted++
				}
				k.learn(a)
				if step%16 == 0 {
					then[w.moment(k, now)] = w.everyRead(k)
				}
			}
			if accepted < 50 {
				t.Fatalf("only %d of the changes were accepted", accepted)
			}
			differed := 0
			for moment, all := range then { // in any order
				title, err := url.PathUnescape(moment)
				w.Must(err)
				k.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
				for _, was := range all {
					got := ask(w.tracking, was.method, "/at/"+moment+was.path, was.body)
					got.Text = strings.Replace(got.Text, "<p>As it was known at <b>"+title+"</b>.</p>", "", 1)
					if got.Code != was.Code || got.Text != was.Text {
						t.Fatalf("%s %s %s at %s: %d %s\nit was %d %s", was.method, was.path, was.body, moment, got.Code, got.Text, was.Code, was.Text)
					}
					if a := ask(w.tracking, was.method, was.path, was.body); a.Text != was.Text {
						differed++
					}
				}
			}
			if differed < 50 {
				t.Errorf("only %d answers differ from those of now: the past was not put to the test", differed)
			}
		})
	}
}

// moment is what is now, as an address has it.
func (w *fixture) moment(k *known, now *clock) string {
	w.T.Helper()
	cut, err := fold.HeadCut(w.T.Context(), w.Log, time.Time{})
	w.Must(err)
	last := streams.Position{TP: streams.TP{Topic: "mlops-events"}, Offset: cut[streams.TP{Topic: "mlops-events"}] - 1}
	switch k.rng.IntN(5) {
	case 0:
		return cut.String()
	case 1:
		return url.PathEscape(cut.String())
	case 2:
		return last.String()
	case 3:
		return fmt.Sprint(last.Offset)
	}
	return now.Now().Format("2006-01-02T15:04:05.000Z07:00")
}

// TestPastTakesNothing: every route that is no read refuses with a sentence, which clients do not try again, and the log
// stays as it is. So it is where the moment is none.
func TestPastTakesNothing(t *testing.T) {
	w := newFixture(t)
	id := w.run("0", "r", 1)
	head, refused := w.Head(), 0
	for pattern, isRead := range w.tracking.Patterns() {
		if isRead {
			continue
		}
		method, path, _ := strings.Cut(pattern, " ")
		path = strings.NewReplacer("{id}", "m-"+strings.Repeat("b", 32), "{path...}", "0/"+id+"/artifacts/f", "{key...}", "k").Replace(path)
		if strings.Contains(path, "{") {
			path = strings.NewReplacer("{", "", "}", "", "...", "").Replace(path)
		}
		a := ask(w.tracking, method, "/at/mlops-events/0@1"+path, `{"run_id": "`+id+`", "name": "x", "key": "k", "value": "v"}`)
		if a.Code != http.StatusForbidden || a.Object["error_code"] != "PERMISSION_DENIED" {
			t.Errorf("%s: %d %s", pattern, a.Code, a.Text)
		}
		message, _ := a.Object["message"].(string)
		for _, says := range []string{"mlops-events/0@1", "cannot be changed", "http://localhost"} {
			if !strings.Contains(message, says) {
				t.Errorf("%s: %q does not say %s", pattern, message, says)
			}
		}
		refused++
	}
	if refused < 50 || w.Head() != head {
		t.Errorf("%d routes refuse; the log went from %d to %d", refused, head, w.Head())
	}
}

// TestPastMoments: what is no moment is refused with its name and a remedy, and what lies before the log is empty.
func TestPastMoments(t *testing.T) {
	w := newFixture(t)
	get := func(moment string) apitest.Answer {
		return ask(w.tracking, "POST", "/at/"+moment+rest+"experiments/search", `{"max_results": 5}`)
	}
	for moment, says := range map[string]string{
		"soon": "want a time", "2099-01-01": "still to come", "mlops-events/0@99": "no record", "mlops-events/0:99": "beyond the log", "999": "no record", "nope/0@1": "want a time",
		"mlops-events/0:1,user-events/0:7": "beyond the log", "mlops-events/9@0": "no record", "mlops-events/x": "want", "1e9": "want a time", "mlops-events%2F0@-1": "want",
	} {
		a := get(moment)
		message, _ := a.Object["message"].(string)
		if a.Code != 400 || a.Object["error_code"] != "INVALID_PARAMETER_VALUE" || !strings.HasPrefix(message, "at: ") || !strings.Contains(message, says) {
			t.Errorf("%s: %d %s; want %q", moment, a.Code, a.Text, says)
		}
	}
	for _, moment := range []string{"1990-01-01", "2001-09-09T01:46:40+09:00", "mlops-events/0:0", "user-events/0:0"} {
		if a := get(moment); a.Code != 200 || strings.TrimSpace(a.Text) != "{}" {
			t.Errorf("before the log, at %s: %d %s", moment, a.Code, a.Text)
		}
	}
	for path, want := range map[string]int{"/at/": 400, "/at/0": 308, "/at/0/": 200, "/at/0/nothing": 404, "/at/0/at/0/": 404, "/at/mlops-events": 308, "/at/mlops-events/": 400, "/at/0" + rest + "runs/search": 405} {
		if a := ask(w.tracking, "GET", path, ""); a.Code != want {
			t.Errorf("%s: %d %s; want %d", path, a.Code, a.Text, want)
		}
	}
	if a := ask(w.tracking, "GET", "/at/0"+rest+"experiments/get?experiment_id=0&after=mlops-events/0@5", ""); a.Code != 400 || !strings.Contains(a.Text, "later than 0") {
		t.Errorf("after what was not known: %d %s", a.Code, a.Text)
	}
	if a := ask(w.tracking, "GET", "/at/0"+rest+"experiments/get?experiment_id=0&after=mlops-events/0@0", ""); a.Code != 200 {
		t.Errorf("after what was known: %d %s", a.Code, a.Text)
	}
}

// TestPastSession: version 1 was in Production, an alias pointed elsewhere, a run was still running with another file, an
// experiment that is deleted since is there; and of what came later there is nothing, though its id is known.
func TestPastSession(t *testing.T) {
	now := &clock{now: time.Date(2026, 11, 17, 9, 0, 0, 0, time.UTC)}
	w := newFixtureAt(t, now.Now)
	x := w.want("POST", "experiments/create", `{"name": "gone"}`)["experiment_id"].(string)
	id := w.run(x, "training", 1)
	w.want("POST", "runs/log-metric", `{"run_id": "`+id+`", "key": "loss", "value": 0.5, "timestamp": 1}`)
	file := "/api/2.0/mlflow-artifacts/artifacts/" + x + "/" + id + "/artifacts/notes.txt"
	put := func(content string) {
		if a := ask(w.tracking, "PUT", file, content); a.Code != 200 {
			t.Fatalf("%d %s", a.Code, a.Text)
		}
	}
	put("then")
	w.want("POST", "registered-models/create", `{"name": "m"}`)
	for range 2 {
		w.want("POST", "model-versions/create", `{"name": "m", "source": "s3://b/x"}`)
	}
	w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": "1", "stage": "Production"}`)
	w.want("POST", "registered-models/alias", `{"name": "m", "alias": "best", "version": "1"}`)

	then := "/at/" + now.Now().Format(time.RFC3339)
	now.step(time.Hour)
	w.want("POST", "model-versions/transition-stage", `{"name": "m", "version": "2", "stage": "Production", "archive_existing_versions": true}`)
	w.want("POST", "registered-models/alias", `{"name": "m", "alias": "best", "version": "2"}`)
	w.want("POST", "runs/log-metric", `{"run_id": "`+id+`", "key": "loss", "value": 0.1, "timestamp": 2, "step": 1}`)
	put("now")
	w.want("POST", "runs/update", `{"run_id": "`+id+`", "status": "FINISHED"}`)
	w.want("POST", "experiments/delete", `{"experiment_id": "`+x+`"}`)
	later := w.run("0", "later", 2)
	other := w.want("POST", "experiments/create", `{"name": "later"}`)["experiment_id"].(string)
	logged := at(w.want("POST", "logged-models", `{"experiment_id": "0", "name": "l"}`), "model", "info", "model_id").(string)
	w.want("POST", "registered-models/create", `{"name": "n"}`)

	known := func(method, path, body string) map[string]any {
		t.Helper()
		a := ask(w.tracking, method, then+rest+path, body)
		if a.Code != 200 {
			t.Fatalf("%s: %d %s", path, a.Code, a.Text)
		}
		return a.Object
	}
	equal(t, "in Production", column(known("POST", "registered-models/get-latest-versions", `{"name": "m", "stages": ["Production"]}`), "model_versions", "version"), "[1]")
	equal(t, "the alias", at(known("GET", "registered-models/alias?name=m&alias=best", ""), "model_version", "version"), "1")
	r := known("GET", "runs/get?run_id="+id, "")
	equal(t, "the run", []any{at(r, "run", "info", "status"), at(r, "run", "info", "lifecycle_stage"), at(r, "run", "data", "metrics", 0, "value")}, []any{"RUNNING", "active", .5})
	equal(t, "history", column(known("GET", "metrics/get-history?metric_key=loss&run_id="+id, ""), "metrics", "value"), "[0.5]")
	equal(t, "experiments", column(known("POST", "experiments/search", `{"max_results": 9}`), "experiments", "name"), "[Default gone]")
	equal(t, "the file", ask(w.tracking, "GET", then+file, "").Text, "then")
	equal(t, "the file now", ask(w.tracking, "GET", file, "").Text, "now")
	for _, path := range []string{"runs/get?run_id=" + later, "experiments/get?experiment_id=" + other, "logged-models/" + logged, "registered-models/get?name=n"} {
		if a := ask(w.tracking, "GET", then+rest+path, ""); a.Code != 404 || a.Object["error_code"] != "RESOURCE_DOES_NOT_EXIST" {
			t.Errorf("%s had not come: %d %s", path, a.Code, a.Text)
		}
	}
	w.want("GET", "runs/get?run_id="+later, "")
	if a := ask(w.guide, "GET", then+"/mlflow/models/m", ""); a.Code != 200 || at(a.Object, "latest_versions", 1, "version") == nil {
		t.Errorf("at the program's own address: %d %s", a.Code, a.Text)
	}
}
