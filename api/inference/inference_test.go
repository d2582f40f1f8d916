package inference_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/inference"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// fixture is the surface over a log in memory.
type fixture struct {
	*apitest.Bench
	server *api.Server

	mu    sync.Mutex
	blobs map[string][]byte
}

func newFixture(t *testing.T) *fixture {
	w := &fixture{Bench: apitest.New(t, nil), blobs: map[string][]byte{}}
	service := recommend.New(w.Views, w.blob)
	t.Cleanup(service.Close)
	w.server = w.Core.Serve(inference.New(w.Core, inference.Config{Recommend: service, Weights: w.blob}))
	return w
}

func (w *fixture) blob(hash string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if b, ok := w.blobs[hash]; ok {
		return b, nil
	}
	return nil, fault.New(fault.NotFound, "no blob %s", hash)
}

// films lists films 1 to 30, of which 1 to 24 are rated by people 1 to 20 of two tastes; person 1 has met the first 12.
func (w *fixture) films() {
	w.T.Helper()
	for i := range 30 {
		w.Do(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: fmt.Sprint(i + 1), Title: fmt.Sprint("Film ", i+1), Year: 2000, Genres: []string{"Drama"}}})
	}
	var facts []commands.Fact
	for u := range 20 {
		for m := range 24 {
			if u == 0 && m >= 12 {
				continue
			}
			facts = append(facts, &commands.RecordInteraction{Interaction: events.Interaction{UserID: fmt.Sprint(u + 1), MovieID: fmt.Sprint(m + 1), Kind: "rating",
				Rating: []float64{4.5, 1.5}[(u+m)%2], Timestamp: events.FormatTime(time.Date(2024, 1, 1, 0, u, m, 0, time.UTC))}})
		}
	}
	w.Publish(facts...)
}

// train registers what an algorithm trains under a name, and gives the version.
func (w *fixture) train(name, algorithm string, params map[string]string) int {
	w.T.Helper()
	r, err := all.Find(algorithm)
	w.Must(err)
	p, err := r.Parse(params)
	w.Must(err)
	cut, err := fold.HeadCut(w.T.Context(), w.Log, time.Time{})
	w.Must(err)
	set, err := trainset.Load(w.T.Context(), w.Log, cut, nil)
	w.Must(err)
	trained, err := r.Make(w.T.Context(), set.Input(), p, recipe.Hooks{})
	w.Must(err)
	return w.register(name, algorithm, trained.Bytes)
}

func (w *fixture) register(name, algorithm string, weights []byte) int {
	w.T.Helper()
	sum := sha256.Sum256(weights)
	hash := hex.EncodeToString(sum[:])
	w.mu.Lock()
	w.blobs[hash] = bytes.Clone(weights)
	w.mu.Unlock()
	if _, err := w.Dispatcher.Dispatch(w.T.Context(), &commands.RegisterModel{Name: name}, handlers.Meta{}); err != nil && !fault.Is(err, fault.Conflict) {
		w.T.Fatal(err)
	}
	res := w.Do(&commands.RegisterModelVersion{Name: name, RunID: strings.Repeat("a", 32), Algorithm: algorithm, CodeVersion: "test/1", DatasetID: "d",
		DatasetCut: "mlops-events/0:1", FeaturesHash: hash, Blob: hash, Bytes: int64(len(weights)), Slot: events.ProductionSlot})
	return res.Events[0].Data.(*events.ModelVersionRegistered).Version
}

var small = map[string]string{"neural_cf.embedding": "8", "neural_cf.hidden_1": "24", "neural_cf.hidden_2": "8", "neural_cf.hidden_3": "4",
	"neural_cf.epochs": "60", "neural_cf.batch": "16", "neural_cf.dropout": "0.1", "neural_cf.learning_rate": "0.005", "neural_cf.patience": "0"}

func (w *fixture) ask(method, path, body string, change ...func(*http.Request)) (int, string, map[string]any) {
	w.T.Helper()
	a := apitest.Ask(w.server, method, path, body, append([]func(*http.Request){func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }}, change...)...)
	return a.Code, a.Text, a.Object
}

func (w *fixture) want(status int, method, path, body string) map[string]any {
	w.T.Helper()
	code, text, v := w.ask(method, path, body)
	if code != status {
		w.T.Fatalf("%s %s %s: %d %s; want %d", method, path, body, code, text, status)
	}
	return v
}

// records is how many there are in the log.
func (w *fixture) records() (n int64) {
	w.T.Helper()
	cut, err := fold.HeadCut(w.T.Context(), w.Log, time.Time{})
	w.Must(err)
	for _, next := range cut {
		n += next
	}
	return n
}

func (w *fixture) metric(name string, labels ...string) float64 {
	w.T.Helper()
	families, err := w.Core.Metrics().Gather()
	w.Must(err)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var got []string
			for _, l := range m.GetLabel() {
				got = append(got, l.GetValue())
			}
			if fmt.Sprint(got) == fmt.Sprint(labels) {
				return m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return -1
}

// TestPredict: the guide's three bodies, answered by a model that predicts ratings.
func TestPredict(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	before := w.records()
	v := w.want(200, "POST", "/predict", `{"user_id": 1, "movie_ids": [1,2,13,"movie_014",30]}`)
	if v["user_id"] != "1" || v["known_user"] != true || v["model_name"] != "neural_cf" || v["model_version"] != 1. || v["algorithm"] != "neural_cf" {
		t.Errorf("%v", v)
	}
	for i, want := range []struct {
		id    string
		least float64
		most  float64
		known bool
	}{{"1", 3.2, 4.5, true}, {"2", 1.5, 2.8, true}, {"13", 3.2, 4.5, true}, {"14", 1.5, 2.8, true}, {"30", 1.5, 4.5, false}} {
		got := v["predictions"].([]any)[i].(map[string]any)
		if r := got["rating"].(float64); got["movie_id"] != want.id || got["title"] != "Film "+want.id || r < want.least || r > want.most || got["known"] != want.known {
			t.Errorf("%v; want %+v", got, want)
		}
	}
	if v := w.want(200, "POST", "/predict", `{"user_id": "somebody", "movie_ids": [1]}`); v["known_user"] != false {
		t.Errorf("%v", v)
	}
	if n := w.records(); n != before {
		t.Errorf("ratings left %d records", n-before)
	}
	if n := w.metric("model_predictions_total", "predict", "neural_cf"); n != 2 {
		t.Errorf("%v predictions are counted", n)
	}
	if n := w.metric("model_prediction_duration_seconds", "predict"); n != 2 {
		t.Errorf("%v predictions are timed", n)
	}
	items := w.want(200, "POST", "/similar", `{"movie_id": 3, "k": 25}`)["items"].([]any)
	if len(items) != 25 || items[0].(map[string]any)["movie_id"] == "3" || items[24].(map[string]any)["sources"].(map[string]any)["content"] == nil {
		t.Errorf("%d films like film 3: %v", len(items), items)
	}
	if items := w.want(200, "POST", "/similar", `{"movie_id": 30}`)["items"].([]any); len(items) != 10 {
		t.Errorf("like a film that nobody has met: %v", items)
	}
}

// TestRecommend: a list leaves out what was met unless it is asked for, and is recorded.
func TestRecommend(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	before := w.records()
	met := func(v map[string]any) (n int) {
		for _, it := range v["items"].([]any) {
			var id int
			if _, err := fmt.Sscan(it.(map[string]any)["movie_id"].(string), &id); err != nil || id <= 12 {
				n++
			}
		}
		return n
	}
	v := w.want(200, "POST", "/recommend", `{"user_id": 1, "k": 10, "exclude_seen": true}`)
	if len(v["items"].([]any)) != 10 || met(v) != 0 || v["strategy"] != "neural_cf" || v["model_version"] != 1. || v["recorded"] != true {
		t.Errorf("%v", v)
	}
	if first := v["items"].([]any)[0].(map[string]any); first["title"] == "" || first["score"].(float64) < 3 {
		t.Errorf("%v", first)
	}
	p, err := streams.ParsePosition(v["position"].(string))
	w.Must(err)
	w.Must(w.Views.Wait(t.Context(), p, "served"))
	shown, ok, err := fold.Of[*projections.Served](w.Views).ByRequest(v["request_id"].(string))
	if err != nil || !ok || shown.UserID != "1" || shown.ModelName != "neural_cf" || len(shown.Items) != 10 {
		t.Errorf("%+v, %v, %v", shown, ok, err)
	}
	if cut := w.Core.Given(); cut[p.TP] != p.Offset+1 {
		t.Errorf("given %v, at %s", cut, p)
	}
	if v := w.want(200, "POST", "/recommend", `{"user_id": 1, "k": 30, "exclude_seen": false}`); len(v["items"].([]any)) != 30 || met(v) != 12 {
		t.Errorf("with what was met: %d of %v", met(v), v)
	}
	if v := w.want(200, "POST", "/recommend", `{"user_id": 1, "record": false}`); v["recorded"] != false || v["unrecorded"] != "asked" || len(v["items"].([]any)) != 10 {
		t.Errorf("%v", v)
	}
	if n := w.records(); n != before+2 {
		t.Errorf("%d records of two lists", n-before)
	}
	if code, text, _ := w.ask("POST", "/recommend", `{"user_id": 1}`, func(r *http.Request) {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Origin", "http://evil.example")
	}); code != 403 || w.records() != before+2 {
		t.Errorf("a page of another site: %d %s", code, text)
	}
}

// TestVersions: which version answers, by name and without; one that cannot be had does not take over.
func TestVersions(t *testing.T) {
	w := newFixture(t)
	if v := w.want(200, "GET", "/health", ""); v["status"] != "unhealthy" || !strings.Contains(v["recommend"].(string), "projectionist import") {
		t.Errorf("without anything: %v", v)
	}
	w.films()
	if v := w.want(200, "GET", "/health", ""); v["status"] != "degraded" || v["model_loaded"] != false || !strings.Contains(v["predict"].(string), "projectionist train neural_cf") {
		t.Errorf("without a model: %v", v)
	}
	if v := w.want(503, "POST", "/predict", `{"user_id": 1, "movie_ids": [1]}`); !strings.Contains(v["detail"].(string), "train neural_cf") {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "POST", "/recommend", `{"user_id": 1}`); v["strategy"] != "online" || len(v["items"].([]any)) != 10 {
		t.Errorf("without a model: %v", v)
	}
	w.train("popularity", "popularity", nil)
	w.train("neural_cf", "neural_cf", small)
	w.train("other", "neural_cf", map[string]string{"neural_cf.embedding": "4", "neural_cf.epochs": "1"})
	predicts := func(query string) string {
		v := w.want(200, "POST", "/predict"+query, `{"user_id": 1, "movie_ids": [1]}`)
		return fmt.Sprint(v["model_name"], " ", v["model_version"])
	}
	for query, want := range map[string]string{"": "other 1", "?model=neural_cf": "neural_cf 1", "?model=neural_cf&version=1": "neural_cf 1"} {
		if got := predicts(query); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	if v := w.want(200, "POST", "/recommend?model=popularity", `{"user_id": 1}`); v["model_name"] != "popularity" || v["strategy"] != "popularity" {
		t.Errorf("%v", v)
	}
	if v := w.want(200, "GET", "/health", ""); v["status"] != "healthy" || v["model"] != "other" {
		t.Errorf("%v", v)
	}
	w.Do(&commands.AddModelVersion{Name: "other", Source: "s3://bucket/model"})
	for query, want := range map[string]int{"?model=other": 200, "?model=other&version=2": 409} {
		w.want(want, "POST", "/recommend"+query, `{"user_id": 1, "record": false}`)
		w.want(want, "POST", "/predict"+query, `{"user_id": 1, "movie_ids": [1]}`)
		w.want(want, "POST", "/similar"+query, `{"movie_id": 1}`)
	}
	if v := w.want(409, "GET", "/v2/models/other/versions/2", ""); !strings.Contains(v["error"].(string), "other version 2 was registered without weights") {
		t.Errorf("%v", v)
	}
	w.register("broken", "neural_cf", []byte("no weights"))
	if got := predicts(""); got != "other 1" {
		t.Errorf("beside a broken version %s answers", got)
	}
	if v := w.want(200, "POST", "/recommend", `{"user_id": 1}`); v["model_name"] == "broken" {
		t.Errorf("%v", v)
	}
	w.want(500, "POST", "/predict?model=broken", `{"user_id": 1, "movie_ids": [1]}`)
	list := w.want(200, "GET", "/models", "")
	if list["total"] != 5. {
		t.Errorf("%v", list)
	}
	for _, m := range list["models"].([]any) {
		m := m.(map[string]any)
		if m["name"] == "neural_cf" {
			// (20+24)·8 + 16·24+24 + 24·8+8 + 8·4+4 + 4+1
			if m["parameters"] != 1001. || m["loaded"] != true || m["predicts"] != true || m["algorithm"] != "neural_cf" {
				t.Errorf("%v", m)
			}
		}
		if m["name"] == "other" && m["version"] == 2. {
			if m["parameters"] != nil || m["loaded"] != false || m["predicts"] != false {
				t.Errorf("%v", m)
			}
			continue
		}
		if (m["name"] == "broken") != (m["parameters"] == nil) || (m["name"] == "popularity") == (m["predicts"] == true) {
			t.Errorf("%v", m)
		}
	}
	if v := w.want(200, "GET", "/models?model=neural_cf&version=1", ""); v["total"] != 1. || v["models"].([]any)[0].(map[string]any)["name"] != "neural_cf" {
		t.Errorf("%v", v)
	}
	for model, want := range map[string]string{"neural_cf": "healthy", "popularity": "degraded", "broken": "unhealthy"} {
		if v := w.want(200, "GET", "/health?model="+model, ""); v["status"] != want || v["model"] != model || v["version"] != 1. {
			t.Errorf("%v", v)
		}
	}
	// What is archived answers by its name alone; what is in Production before what is newer.
	for _, c := range []struct{ model, stage, want string }{{"broken", "Archived", "other 1"}, {"other", "Archived", "neural_cf 1"}, {"other", "None", "other 1"}, {"neural_cf", "Production", "neural_cf 1"}} {
		w.Do(&commands.StageModelVersion{Name: c.model, Version: 1, Stage: c.stage})
		if got := predicts(""); got != c.want {
			t.Errorf("%s is %s, and %s answers; want %s", c.model, c.stage, got, c.want)
		}
	}
	w.Do(&commands.StageModelVersion{Name: "other", Version: 1, Stage: "Archived"})
	if got := predicts("?model=other"); got != "other 1" {
		t.Errorf("by name %s answers", got)
	}
	w.Do(&commands.DeployModel{Slot: events.ProductionSlot, Model: "neural_cf", Version: 1})
	if got := predicts(""); got != "neural_cf 1" {
		t.Errorf("what is deployed predicts, and %s answers", got)
	}
	code, page, _ := w.ask("GET", "/", "")
	if code != 200 || !strings.Contains(page, "answers here") || !strings.Contains(page, "<td class=\"n\" title=\"parameters\">1001</td>") {
		t.Errorf("the page: %d %s", code, page)
	}
}

// TestRefusals: what is wrong is refused as FastAPI does, word for word, and leaves nothing in the log.
func TestRefusals(t *testing.T) {
	w := newFixture(t)
	w.films()
	w.train("neural_cf", "neural_cf", small)
	w.train("popularity", "popularity", nil)
	before := w.records()
	for _, c := range []struct {
		status       int
		method, path string
		body, answer string
	}{
		{422, "POST", "/predict", ``, `{"detail":[{"type":"missing","loc":["body"],"msg":"Field required","input":null}]}`},
		{422, "POST", "/predict", `nope`, `{"type":"json_invalid","loc":["body"`},
		{422, "POST", "/predict", `{"user_id":1,}`, `{"detail":[{"type":"json_invalid","loc":["body",13],"msg":"JSON decode error","input":{},"ctx":{"error":"Expecting property name enclosed in double quotes"}}]}`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":[1]} x`, `{"detail":[{"type":"json_invalid","loc":["body",30],"msg":"JSON decode error","input":{},"ctx":{"error":"Extra data"}}]}`},
		{400, "POST", "/predict", "{\"user_id\":\"\xff\"}", `{"detail":"There was an error parsing the body"}`},
		{422, "POST", "/predict", `[1]`, `{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[1]}]}`},
		{422, "POST", "/predict", `{}`, `{"detail":[{"type":"missing","loc":["body","user_id"],"msg":"Field required","input":{}},{"type":"missing","loc":["body","movie_ids"],"msg":"Field required","input":{}}]}`},
		{422, "POST", "/predict", `{"user_id":null,"movie_ids":[1]}`, `{"detail":[{"type":"int_type","loc":["body","user_id","int"],"msg":"Input should be a valid integer","input":null},{"type":"string_type","loc":["body","user_id","str"],"msg":"Input should be a valid string","input":null}]}`},
		{422, "POST", "/predict", `{"user_id":1.5,"movie_ids":[1]}`, `{"detail":[{"type":"int_from_float","loc":["body","user_id","int"],"msg":"Input should be a valid integer, got a number with a fractional part","input":1.5},{"type":"string_type","loc":["body","user_id","str"],"msg":"Input should be a valid string","input":1.5}]}`},
		{422, "POST", "/predict", `{"user_id":1e400,"movie_ids":[1]}`, `{"type":"finite_number","loc":["body","user_id","int"],"msg":"Input should be a finite number","input":1e400}`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":1}`, `{"detail":[{"type":"list_type","loc":["body","movie_ids"],"msg":"Input should be a valid list","input":1}]}`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":[]}`, `{"detail":[{"type":"too_short","loc":["body","movie_ids"],"msg":"List should have at least 1 item after validation, not 0","input":[],"ctx":{"actual_length":0,"field_type":"List","min_length":1}}]}`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":[` + strings.Repeat("1,", 1000) + `1]}`, `"ctx":{"actual_length":1001,"field_type":"List","max_length":1000}`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":[1,null]}`, `"loc":["body","movie_ids",1,"int"]`},
		{422, "POST", "/predict", `{"user_id":1,"movie_ids":[1],"x":2}`, `{"detail":[{"type":"extra_forbidden","loc":["body","x"],"msg":"Extra inputs are not permitted","input":2}]}`},
		{422, "POST", "/predict", `{"user_id":"","movie_ids":[1]}`, `"string_too_short"`},
		{422, "POST", "/predict", `{"user_id":"` + strings.Repeat("x", 5000) + `","movie_ids":[1]}`, `"string_too_long"`},
		{413, "POST", "/predict", `{"user_id":"` + strings.Repeat("x", 1<<20) + `"}`, `"detail":"the body has more`},
		{404, "POST", "/predict", `{"user_id":1,"movie_ids":[1,999]}`, `{"detail":"no movie \"999\""}`},
		{404, "POST", "/predict", `{"user_id":1,"movie_ids":[-1]}`, `no movie`},
		{422, "POST", "/predict?x=1", `{"user_id":1,"movie_ids":[1]}`, `"loc":["query","x"]`},
		{422, "POST", "/predict?version=1", `{"user_id":1,"movie_ids":[1]}`, `"loc":["query","version"]`},
		{422, "POST", "/predict?model=neural_cf&version=x", `{"user_id":1,"movie_ids":[1]}`, `"loc":["query","version"]`},
		{404, "POST", "/predict?model=nope", `{"user_id":1,"movie_ids":[1]}`, `no model`},
		{404, "POST", "/recommend?model=neural_cf&version=7", `{"user_id":1}`, `no version 7`},
		{409, "POST", "/predict?model=popularity", `{"user_id":1,"movie_ids":[1]}`, `predicts no ratings`},
		{422, "POST", "/recommend", `{"user_id":1,"k":0}`, `{"detail":[{"type":"greater_than_equal","loc":["body","k"],"msg":"Input should be greater than or equal to 1","input":0,"ctx":{"ge":1}}]}`},
		{422, "POST", "/recommend", `{"user_id":1,"k":1000000}`, `{"detail":[{"type":"less_than_equal","loc":["body","k"],"msg":"Input should be less than or equal to 1000","input":1000000,"ctx":{"le":1000}}]}`},
		{422, "POST", "/recommend", `{"user_id":1,"k":99999999999999999999999}`, `"less_than_equal"`},
		{422, "POST", "/recommend", `{"user_id":1,"k":"x"}`, `{"detail":[{"type":"int_parsing","loc":["body","k"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"x"}]}`},
		{422, "POST", "/recommend", `{"user_id":1,"k":0,"exclude_seen":[]}`, `{"detail":[{"type":"greater_than_equal","loc":["body","k"],"msg":"Input should be greater than or equal to 1","input":0,"ctx":{"ge":1}},{"type":"bool_type","loc":["body","exclude_seen"],"msg":"Input should be a valid boolean","input":[]}]}`},
		{422, "POST", "/recommend", `{"user_id":1,"exclude_seen":"maybe"}`, `{"detail":[{"type":"bool_parsing","loc":["body","exclude_seen"],"msg":"Input should be a valid boolean, unable to interpret input","input":"maybe"}]}`},
		{422, "POST", "/recommend", `{"user_ids":[]}`, `"too_short"`},
		{422, "POST", "/recommend", `{"user_ids":[1,2],"user_id":1}`, `"loc":["body","user_ids"],"msg":"Value error, is given with user_id`},
		{422, "POST", "/recommend", `{"user_ids":[` + strings.Repeat("1,", 1000) + `1]}`, `"max_length":1000`},
		{422, "POST", "/recommend", `{"user_ids":[` + strings.Repeat("1,", 99) + `1],"k":101}`, `"ctx":{"le":100}`},
		{422, "POST", "/recommend", `{"user_ids":[` + strings.Repeat("1,", 999) + `1],"k":1,"exclude":[` + strings.Repeat("1,", 10) + `2,3,4,5,6,7,8,9,10,11,12]}`, `"loc":["body","exclude"],"msg":"Value error, has 12 films; want at most 10 for 1000 people`},
		{422, "POST", "/recommend", `{"user_ids":[` + strings.Repeat("1,", 999) + `1],"k":10,"offset":990,"diversity":0.5}`, `"loc":["body","offset"],"msg":"Value error, and k are 1000 together; want at most 10 for 1000 people`},
		{422, "POST", "/recommend", `{"user_ids":[1,null]}`, `"loc":["body","user_ids",1,"int"]`},
		{422, "POST", "/predict", `{"pairs":[{"user_id":1}]}`, `{"type":"missing","loc":["body","pairs",0,"movie_id"]`},
		{422, "POST", "/predict", `{"pairs":[[1,2]]}`, `"loc":["body","pairs",0]`},
		{422, "POST", "/predict", `{"pairs":[{"user_id":1,"movie_id":2}],"user_id":1}`, `is given with user_id`},
		{422, "POST", "/predict", `{"pairs":[{"user_id":1,"movie_id":2,"x":1}]}`, `"loc":["body","pairs",0,"x"]`},
		{422, "POST", "/predict", `{"pairs":[` + strings.Repeat("1,", 10000) + `1]}`, `"max_length":10000`},
		{404, "POST", "/predict", `{"pairs":[{"user_id":1,"movie_id":2},{"user_id":2,"movie_id":999}]}`, `no movie \"999\"`},
		{409, "POST", "/predict?model=popularity", `{"pairs":[{"user_id":1,"movie_id":1}]}`, `predicts no ratings`},
		{404, "POST", "/similar", `{"movie_ids":[1,999]}`, `no movie \"999\"`},
		{422, "POST", "/similar", `{"movie_ids":[` + strings.Repeat("1,", 100) + `1]}`, `"max_length":100`},
		{404, "GET", "/health?model=nope", ``, `no model`},
		{404, "GET", "/models?model=nope", ``, `no model`},
		{404, "GET", "/models?model=neural_cf&version=9", ``, `no version 9`},
		{404, "POST", "/similar?model=nope", `{"movie_id":1}`, `no model`},
		{422, "POST", "/similar?version=2", `{"movie_id":1}`, `"loc":["query","version"]`},
		{404, "POST", "/similar", `{"movie_id":999,"k":5}`, `{"detail":"no movie \"999\""}`},
		{422, "POST", "/similar", `{"k":5}`, `{"detail":[{"type":"missing","loc":["body","movie_id"],"msg":"Field required","input":{"k":5}}]}`},
		{422, "GET", "/models?limit=0", ``, `"loc":["query","limit"]`},
		{405, "GET", "/predict", ``, `{"detail":"Method Not Allowed"}`},
		{404, "GET", "/nope", ``, `"detail":"there is nothing at /nope"`},
	} {
		code, text, _ := w.ask(c.method, c.path, c.body)
		if code != c.status || !strings.Contains(text, c.answer) {
			t.Errorf("%s %s %.60s: %d %.300s; want %d %s", c.method, c.path, c.body, code, text, c.status, c.answer)
		}
	}
	if code, text, _ := w.ask("GET", "/models", "", func(r *http.Request) { r.SetBasicAuth("admin", "nope") }); code != 401 || !strings.HasPrefix(text, `{"detail":"`) {
		t.Errorf("a wrong password: %d %s", code, text)
	}
	for body, want := range map[string]int{`{"user_id":"7","k":"5","exclude_seen":"yes"}`: 5, `{"user_id":7,"k":2.0}`: 2, `{"user_id":7.0,"exclude_seen":0,"k":24}`: 24} {
		body = strings.Replace(body, "{", `{"record":false,`, 1)
		if v := w.want(200, "POST", "/recommend", body); len(v["items"].([]any)) != want || v["user_id"] != "7" {
			t.Errorf("%s: %v", body, v)
		}
	}
	if n := w.records(); n != before {
		t.Errorf("%d records of what was refused", n-before)
	}
}
