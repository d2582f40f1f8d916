package v1_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// nowAlone are the reads that refuse known_at: what they tell of is not of the log, or of this process as it runs, or is asked with another
// moment elsewhere.
var nowAlone = []string{
	"GET /healthz", "GET /health", "GET /readyz", "GET /{$}",
	"GET /api/v1/blobs/{hash}", "GET /api/v1/live", "GET /api/v1/log/changes", "GET /api/v1/log/groups", "GET /api/v1/ops/snapshot", "GET /api/v1/reactors", "GET /api/v1/serving/latency", "GET /api/v1/views",
	"GET /api/v1/workflows/operators", "GET /api/v1/workflows/triggers", "GET /api/v1/workflows/runs/{run}/tasks/{task}/logs",
}

// Every read takes known_at, or refuses it: none passes over it in silence. What takes it has nothing before the log began, refuses what
// is no moment, and answers, of a moment that is over, what it answered then.
func TestEveryReadKnowsTheMoment(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	w.train()
	w.post("/api/v1/models/als/versions/1/deploy", `{}`).want(200)
	experiment := events.ExperimentID("first", 1)
	run := strings.Repeat("a", 31) + "1"
	w.dispatch(&commands.CreateExperiment{Name: "first"})
	w.dispatch(&commands.StartRun{RunID: run, ExperimentID: experiment, Name: "one"})
	w.dispatch(&commands.LogMetrics{RunID: run, Metrics: []events.Metric{{Key: "ndcg", Value: 0.25, Step: 1, TimestampMillis: day0.UnixMilli()}}})
	w.dispatch(&commands.RequestWorkflowRun{RunID: "w1", Workflow: "movie_training_pipeline", RunType: "manual"})
	w.dispatch(&commands.SetVariable{Key: "v", Value: "1"})
	operation := strings.Repeat("b", 32)
	w.dispatch(&commands.StartOperation{OperationID: operation, Kind: "verify", Holder: "h"})
	w.post("/api/v1/users", `{"user_id":"1","age":20}`).want(201)
	w.post("/api/v1/trigger/system-overload", `{"service_name":"db","cpu_usage":99}`).want(202)
	drift := w.post("/api/v1/trigger/model-drift", `{"model_name":"als","drift_score":0.9,"threshold":0.5}`).want(202)
	given := w.get("/api/v1/recommendations?user_id=1").want(200)

	path := strings.NewReplacer("{movie}", "1", "{user}", "1", "{model}", "als", "{run}", run, "{experiment}", experiment, "{metric...}", "ndcg", "{slot}", "production",
		"{workflow}", "movie_training_pipeline", "{view}", "movie_features", "{key}", "v", "{service}", "db", "{topic}", "user-events", "{stream...}", "movie/1",
		"{id...}", drift.at("position"), "{position...}", "user-events/0@0", "{request}", given.at("request_id"), "{operation}", operation, "{$}", "")
	query := map[string]string{
		"GET /api/v1/audit/chain": "of=movie/1", "GET /api/v1/lineage": "node=model/als/1", "GET /api/v1/find": "q=one", "GET /api/v1/runs/metrics": "metric=ndcg&runs=" + run, "GET /api/v1/features/views/{view}/history": "movie_id=1",
		"GET /api/v1/features/views/{view}/row": "movie_id=1&as_of=2024-05-20", "GET /api/v1/features/views/{view}/late": "movie_id=1&known_after=2024-05-20", "GET /api/v1/features/views/{view}/series": "movie_id=1&features=rating&to=2024-05-20",
		"GET /api/v1/features/statistics": "view=movie_features", "GET /api/v1/log/topics/{topic}/records": "order=desc", "GET /api/v1/engagement": "from=2024-05-01&to=2024-06-02",
	}
	numbers := strings.NewReplacer("{version}", "1")
	var reads []string
	for pattern := range w.server.Patterns() {
		if strings.HasPrefix(pattern, "GET ") && pattern != "GET /metrics" {
			reads = append(reads, pattern)
		}
	}
	slices.Sort(reads)
	target := func(pattern, more string) string {
		p := strings.TrimPrefix(numbers.Replace(pattern), "GET ")
		if strings.HasPrefix(p, "/api/v1/workflows/runs/") {
			p = strings.ReplaceAll(p, "{run}", "w1")
		}
		q := query[pattern]
		if more != "" {
			q = strings.TrimPrefix(q+"&"+more, "&")
		}
		return strings.TrimSuffix(path.Replace(p)+"?"+q, "?")
	}
	known := func(cut string) string { return "known_at=" + url.QueryEscape(cut) }
	then := w.get("/api/v1/log/moment").at("cut")
	before := map[string]*answer{}
	left := regexp.MustCompile(`\{[^$]`)
	for _, pattern := range reads {
		if !slices.Contains(nowAlone, pattern) {
			before[pattern] = w.get(target(pattern, known(then)))
		}
	}
	// Later all is another.
	w.clock.set(day0.Add(time.Hour))
	w.dispatch(&commands.RequestWorkflowRun{RunID: "w2", Workflow: "movie_training_pipeline", RunType: "manual"})
	w.dispatch(&commands.LogMetrics{RunID: run, Metrics: []events.Metric{{Key: "ndcg", Value: 0.5, Step: 2, TimestampMillis: day0.UnixMilli()}}})
	w.dispatch(&commands.StartRun{RunID: strings.Repeat("a", 31) + "2", ExperimentID: experiment, Name: "one more"})
	w.dispatch(&commands.CreateExperiment{Name: "second"})
	w.dispatch(&commands.EndOperation{OperationID: operation, State: "cancelled"})
	w.dispatch(&commands.SetVariable{Key: "v", Value: "2"})
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "1", Title: "Another title", Genres: []string{"Comedy"}}})
	w.post("/api/v1/users", `{"user_id":"1","age":21}`).want(201)
	w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"3","interaction_type":"like"}`).want(200)
	w.post("/api/v1/trigger/system-overload", `{"service_name":"db","cpu_usage":98}`).want(202)
	w.post("/api/v1/trigger/model-drift", `{"model_name":"als","drift_score":0.95,"threshold":0.5}`).want(202)
	w.post("/api/v1/models/als/versions/1/deploy", `{"slot":"canary"}`).want(200)
	checked := 0
	for _, pattern := range reads {
		a := w.get(target(pattern, known(then)))
		if slices.Contains(nowAlone, pattern) {
			if a.Status != 400 {
				t.Errorf("%s does not refuse known_at: %d %.200s", pattern, a.Status, a.Body)
				continue
			}
			a.problem(400, "known_at")
			continue
		}
		b := before[pattern]
		if b.Status != a.Status || !sameJSON(a.Body, b.Body) {
			t.Errorf("%s answers otherwise of the same moment:\n%.600s\nand then\n%.600s", target(pattern, known(then)), b.Body, a.Body)
		}
		if a.Status == 400 {
			t.Errorf("%s: %s", target(pattern, known(then)), a.Body)
		}
		if !left.MatchString(target(pattern, "")) && a.Status == 200 {
			checked++
		}
		if bad := w.get(target(pattern, "known_at=never")); bad.Status != 400 && bad.Status != 404 {
			t.Errorf("%s takes known_at=never: %d %.200s", pattern, bad.Status, bad.Body)
		} else if bad.Status == 400 {
			bad.problem(400, "known_at")
		}
		if none := w.get(target(pattern, "known_at=1999-01-01")); none.Status == 200 && tells(none.Body, "als", "Film 1", "movie_training_pipeline", "first") {
			t.Errorf("%s knows things before the log began: %.400s", pattern, none.Body)
		}
	}
	if checked < 40 {
		t.Errorf("only %d reads were answered", checked)
	}
	// And now they are another, where they tell of what has changed.
	for _, pattern := range []string{"GET /api/v1/runs", "GET /api/v1/runs/metrics", "GET /api/v1/runs/{run}", "GET /api/v1/runs/{run}/metrics/{metric...}", "GET /api/v1/experiments", "GET /api/v1/workflows/runs", "GET /api/v1/variables", "GET /api/v1/variables/{key}",
		"GET /api/v1/movies", "GET /api/v1/movies/{movie}", "GET /api/v1/drift/alerts", "GET /api/v1/health/alerts", "GET /api/v1/deployments", "GET /api/v1/users/{user}", "GET /api/v1/log/topics", "GET /api/v1/audit", "GET /api/v1/find", "GET /api/v1/operations", "GET /api/v1/operations/{operation}"} {
		if now := w.get(target(pattern, "")).want(200); sameJSON(now.Body, before[pattern].Body) {
			t.Errorf("%s: now is as then: %.300s", pattern, now.Body)
		}
	}
	w.do(http.MethodGet, "/api/v1/runs?known_at=a&known_at=b", nil).problem(400, "known_at")
}

// tells says whether an answer has one of some names.
func tells(body []byte, names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.Contains(string(body), `"`+n+`"`) })
}

// sameJSON compares answers, all but what they do not say of the moment.
func sameJSON(a, b []byte) bool {
	norm := func(raw []byte) string {
		var v any
		if json.Unmarshal(raw, &v) != nil {
			return string(raw)
		}
		if m, ok := v.(map[string]any); ok {
			delete(m, "request_id")
			delete(m, "head") // of a moment: whether it is now
		}
		return fmt.Sprint(v)
	}
	return norm(a) == norm(b)
}

// A list of then has what is gone since, and none of what came.
func TestListsOfThenHaveWhatIsGone(t *testing.T) {
	w := newFixture(t)
	w.dispatch(&commands.RegisterModel{Name: "gone"})
	w.dispatch(&commands.CreateExperiment{Name: "gone"})
	then := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	w.dispatch(&commands.DeleteModel{Name: "gone"})
	w.dispatch(&commands.RegisterModel{Name: "came"})
	w.dispatch(&commands.RenameExperiment{ExperimentID: events.ExperimentID("gone", 1), Name: "came"})
	for _, list := range []string{"models", "experiments"} {
		now, old := w.get("/api/v1/"+list).want(200), w.get("/api/v1/"+list+"?known_at="+then).want(200)
		if now.at("items.0.name") != "came" || old.at("items.0.name") != "gone" || old.at("items.1") != "<none>" {
			t.Errorf("%s: now %s, then %s", list, now.Body, old.Body)
		}
	}
	if both := w.get("/api/v1/models?as_of=2024-06-02&known_at=" + then).want(200); both.at("items.0.name") != "gone" {
		t.Errorf("%s", both.Body)
	}
}

// A document folded from its stream, and a list folded up to the end of the log, are those that the views have.
func TestThenIsNowAtTheEnd(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	runs := w.logRuns(6)
	w.dispatch(&commands.LogArtifact{RunID: runs[0].id, Path: "a/b.txt", Blob: strings.Repeat("0", 64), Bytes: 3})
	w.dispatch(&commands.SetTags{RunID: runs[0].id, Tags: map[string]string{"k": "v"}})
	w.dispatch(&commands.RequestWorkflowRun{RunID: "w1", Workflow: "movie_training_pipeline", RunType: "manual"})
	w.dispatch(&commands.StartTask{RunID: "w1", Task: "prepare_data", Holder: "test", LeaseMillis: 60_000})
	w.dispatch(&commands.RequestWorkflowRun{RunID: "w2", Workflow: "movie_training_pipeline", RunType: "manual"})
	w.dispatch(&commands.EndWorkflowRun{RunID: "w2", State: "cancelled"})
	w.dispatch(&commands.DeleteWorkflowRun{RunID: "w2"})
	w.dispatch(&commands.SetVariable{Key: "v", Value: "1"})
	head := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	for _, path := range []string{"runs/" + runs[0].id, "runs/" + runs[1].id, "experiments/" + runs[0].experiment, "experiments/first", "workflows/runs/w1", "workflows/runs/w2", "runs", "experiments", "workflows", "workflows/runs", "variables", "movies", "imports", "models", "training-sets",
		"datasets", "dead-letters", "webhooks", "workflows/pools", "quarantine", "runs/none", "workflows/runs/none", "datasets/none", "imports/none", "dead-letters/none", "runs/%00", "experiments/%ff"} {
		now, then := w.get("/api/v1/"+path), w.get("/api/v1/"+path+"?known_at="+head)
		if now.Status != then.Status || !sameJSON(now.Body, then.Body) || now.Header.Get("ETag") != then.Header.Get("ETag") {
			t.Errorf("%s: now %d %.500s\nthen %d %.500s", path, now.Status, now.Body, then.Status, then.Body)
		}
	}
}
