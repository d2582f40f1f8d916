package v1_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func streamsPosition(t *testing.T, text string) streams.Position {
	t.Helper()
	p, err := streams.ParsePosition(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// samples reads the text format: name with labels to value.
func samples(t *testing.T, text string) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for _, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			t.Fatalf("line %q: %v", line, err)
		}
		out[line[:i]] = v
	}
	return out
}

func TestMetrics(t *testing.T) {
	w := newFixture(t)
	w.get("/api/v1/recommendations?user_id=1").want(200)
	w.get("/api/v1/recommendations?user_id=nobody").want(200)
	w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"2"}`).want(200)
	w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"2","interaction_type":"stared_at"}`).want(200)
	w.get("/api/v1/features/movie/1").want(200)
	w.get("/nothing").want(404)
	w.folded(streamsPosition(t, w.post("/api/v1/trigger/model-drift", `{"model_name":"als","drift_score":0.8,"threshold":0.7}`).want(202).at("position")))
	m := samples(t, string(w.get("/metrics").want(200).Body))
	for name, want := range map[string]float64{
		`http_requests_total{method="GET",route="/api/v1/recommendations",status="200"}`: 2,
		`http_requests_total{method="POST",route="/api/v1/feedback",status="200"}`:       2,
		`http_requests_total{method="GET",route="unmatched",status="404"}`:               1,
		`http_request_duration_seconds_count{method="POST",route="/api/v1/feedback"}`:    2,
		`model_predictions_total{operation="rank",strategy="online"}`:                    1,
		`model_predictions_total{operation="rank",strategy="cold"}`:                      1,
		`model_prediction_duration_seconds_bucket{operation="rank",le="+Inf"}`:           2,
		`feature_serving_duration_seconds_count`:                                         1,
		`recommendations_served_total{strategy="online"}`:                                1,
		`recommendations_served_total{strategy="cold"}`:                                  1,
		`recommendations_served_total{strategy="blend"}`:                                 0,
		`user_interactions_total{type="like"}`:                                           1,
		`user_interactions_total{type="other"}`:                                          1,
		`projection_lag_events{view="online"}`:                                           0,
		`projection_halted{view="online"}`:                                               0,
		`quarantined_facts_total{topic="user-events"}`:                                   0,
		`dead_letters_total`:                        0,
		`model_drift_alerts_total{reached="true"}`:  1,
		`model_drift_alerts_total{reached="false"}`: 0,
		`log_facts_total`:                           testFacts + 5, // two answers, two interactions, an alert
		`log_commits_total`:                         testMovies + 1,
		`log_conflicts_total`:                       0,
		`database_connections_active`:               1, // this scrape
	} {
		got, ok := m[name]
		if !ok || got != want {
			t.Errorf("%s is %v (there: %t), want %v", name, got, ok, want)
		}
	}
	if cpu, ok := m["system_cpu_usage_percent"]; ok && (cpu < 0 || cpu > 100) {
		t.Errorf("CPU at %v%%", cpu)
	}
	if m["go_goroutines"] == 0 || m["log_syncs_total"] == 0 {
		t.Error("the runtime's or the log's metrics are missing")
	}
}

// What came of recommendations is told by day and model, and to Prometheus.
func TestEngagement(t *testing.T) {
	w := newFixture(t)
	shown := w.get("/api/v1/recommendations?user_id=1&k=3").want(200)
	var list struct {
		Items []struct {
			MovieID string `json:"movie_id"`
		} `json:"items"`
	}
	shown.into(&list)
	film, before := list.Items[1].MovieID, samples(t, string(w.get("/metrics").want(200).Body))["user_sessions_total"]
	w.clock.set(w.clock.Now().Add(time.Minute))
	w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":"1","movie_id":%q,"interaction_type":"impression"}`, list.Items[0].MovieID)).want(200)
	w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":"1","movie_id":%q,"rating":4.5}`, film)).want(200)
	head, err := fold.HeadCut(context.Background(), w.log, time.Time{})
	w.must(err)
	for tp, next := range head {
		if next > 0 {
			w.folded(streams.Position{TP: tp, Offset: next - 1})
		}
	}
	var got struct {
		Days []struct {
			Day   string
			Lists int
		}
		Total map[string]any
	}
	w.get("/api/v1/engagement").want(200).into(&got)
	if len(got.Days) == 0 || got.Days[0].Day != w.clock.Now().UTC().Format(time.DateOnly) {
		t.Errorf("the days are %+v", got.Days)
	}
	m := samples(t, string(w.get("/metrics").want(200).Body))
	if after := m["user_sessions_total"]; after != before+1 {
		t.Errorf("there were %v sessions and then %v", before, after)
	}
	for name, want := range map[string]any{"lists": 1., "lists_taken_up": 1., "films": 3., "films_taken_up": 1., "films_liked": 1., "films_disliked": 0., "sessions": 1.,
		"click_rate": 1., "satisfaction": 1., "films_rated": 1., "mean_rating": 4.5, "films_met": 1., "hits_at_1": 0., "hits_at_5": 1.,
		"hit_rate_at": map[string]any{"1": 0., "5": 1., "10": 1., "20": 1.}} {
		if !reflect.DeepEqual(got.Total[name], want) {
			t.Errorf("%s is %v, want %v", name, got.Total[name], want)
		}
	}
	for by, want := range map[string]map[string]any{
		"strategy": {"strategy": "online", "lists": 1., "films_met": 1., "click_rate": 1.},
		"source":   {"source": "online", "films": 3., "films_taken_up": 1., "click_rate": 1. / 3, "mean_rating": 4.5, "lists": nil},
		"position": {"position": 2., "films": 1., "films_taken_up": 1., "click_rate": 1., "mean_rating": 4.5},
	} {
		var rows struct{ Days []map[string]any }
		w.get("/api/v1/engagement?by=" + by).want(200).into(&rows)
		at := slices.IndexFunc(rows.Days, func(row map[string]any) bool { return row[by] == want[by] })
		if at < 0 {
			t.Errorf("by %s there is no row of %v: %v", by, want[by], rows.Days)
			continue
		}
		for name, v := range want {
			if !reflect.DeepEqual(rows.Days[at][name], v) {
				t.Errorf("by %s, %s is %v, want %v", by, name, rows.Days[at][name], v)
			}
		}
	}
	for name, want := range map[string]float64{"recommendation_lists_total": 1, "recommendation_lists_clicked_total": 1, "recommendation_films_total": 3,
		"recommendation_films_clicked_total": 1, "recommendation_films_liked_total": 1, "recommendation_films_disliked_total": 0,
		"recommendation_click_rate": 1, "recommendation_satisfaction": 1, "recommendation_mean_rating": 4.5, `recommendation_hit_rate{k="1"}`: 0, `recommendation_hit_rate{k="10"}`: 1, "users_active": 1, `log_records_total{topic="movie-recommendations"}`: 1} {
		if v, ok := m[name]; !ok || v != want {
			t.Errorf("%s is %v (there: %t), want %v", name, v, ok, want)
		}
	}
}

// What serves and what is newest, what they were judged by, and what training took and came to, are told from the log alone.
func TestModelMetrics(t *testing.T) {
	w := newFixture(t)
	var last streams.Position
	dispatch := func(c commands.Command) {
		t.Helper()
		w.clock.set(w.clock.Now().Add(time.Second))
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{})
		w.must(err)
		last = res.Position
	}
	experiment := &commands.CreateExperiment{Name: "movies"}
	dispatch(experiment)
	judged := func(run, metric string, v float64) {
		t.Helper()
		dispatch(&commands.StartRun{RunID: run, ExperimentID: events.ExperimentID(experiment.Name, 1), Name: "r"})
		dispatch(&commands.LogMetrics{RunID: run, Metrics: []events.Metric{{Key: metric, Value: events.Number(v), TimestampMillis: 1}, {Key: "of_no_interest", Value: events.Number(v), TimestampMillis: 1}}})
	}
	first, second, workflow := strings.Repeat("a", 32), strings.Repeat("b", 32), "w1"
	judged(first, "ndcg@10", .25)
	dispatch(&commands.DeployModel{Slot: events.ProductionSlot, Model: "als", Version: w.train()})
	deployed := w.clock.Now()
	judged(second, "ndcg@10", .5)
	dispatch(&commands.RegisterModelVersion{Name: "als", RunID: second, Algorithm: "als", CodeVersion: "test/1", DatasetID: "d", DatasetCut: "user-events/0:1",
		FeaturesHash: strings.Repeat("0", 64), Blob: strings.Repeat("1", 64), Bytes: 1})
	registered := w.clock.Now()
	w.defineWorkflows()
	dispatch(&commands.RequestWorkflowRun{RunID: workflow, Workflow: roles.TrainingPipeline, RunType: "manual"})
	for i, task := range roles.Definitions()[1].Tasks {
		dispatch(&commands.StartTask{RunID: workflow, Task: task.Name, Holder: "h", LeaseMillis: 60_000})
		w.clock.set(w.clock.Now().Add(time.Duration(i) * time.Second))
		out := map[string]string{}
		if task.Name == "promote_model" {
			out["promoted"] = "false"
		}
		dispatch(&commands.SucceedTask{RunID: workflow, Task: task.Name, Try: 1, Holder: "h", Output: out})
	}
	w.folded(last)
	m := samples(t, string(w.get("/metrics").want(200).Body))
	for name, want := range map[string]float64{
		`model_evaluation{metric="ndcg@10",model="als",which="served"}`:                                           .25,
		`model_evaluation{metric="ndcg@10",model="als",which="newest"}`:                                           .5,
		`model_newest_timestamp_seconds{model="als"}`:                                                             float64(registered.Unix()),
		`model_serving_info{model="als",slot="production",version="1"}`:                                           1,
		`model_serving_since_timestamp_seconds{slot="production"}`:                                                float64(deployed.Unix()),
		`model_gate_decisions{decision="promoted",workflow="movie_training_pipeline"}`:                            0,
		`model_gate_decisions{decision="kept_out",workflow="movie_training_pipeline"}`:                            1,
		`workflow_task_last_duration_seconds{task="prepare_training_data",workflow="movie_training_pipeline"}`:    1,
		`workflow_task_last_duration_seconds{task="evaluate_trained_model",workflow="movie_training_pipeline"}`:   3,
		`workflow_task_last_duration_seconds{task="register_model_to_mlflow",workflow="movie_training_pipeline"}`: 4,
		`log_writable`: 1,
	} {
		if got, ok := m[name]; !ok || got != want {
			t.Errorf("%s is %v (there: %t), want %v", name, got, ok, want)
		}
	}
	for name := range m {
		if strings.Contains(name, "of_no_interest") || strings.Contains(name, "movie_data_collection") {
			t.Errorf("%s is told", name)
		}
	}
}

// BenchmarkFeatures reads one film with 250 features over HTTP.
func BenchmarkFeatures(b *testing.B) {
	w := newFixture(b)
	var file strings.Builder
	file.WriteString("entities: [{name: user, join_key: user_id}, {name: movie, join_key: movie_id}]\nfeature_views:\n  - name: wide\n    entity: movie\n    features:\n")
	for i := range 250 {
		fmt.Fprintf(&file, "      - {name: f%d, type: float64, aggregation: decayed_count, half_life: %dd}\n", i, i+1)
	}
	w.post("/api/v1/features/definitions", file.String()).want(200)
	benchmarkHTTP(b, w, func(base string) (*http.Response, error) { return http.Get(base + "/api/v1/features/movie/1") })
}

func BenchmarkRecommendations(b *testing.B) {
	w := newFixture(b)
	benchmarkHTTP(b, w, func(base string) (*http.Response, error) { return http.Get(base + "/api/v1/recommendations?user_id=1") })
}

// BenchmarkClick is a click and the recommendations after it.
func BenchmarkClick(b *testing.B) {
	w := newFixture(b)
	n := 0
	benchmarkHTTP(b, w, func(base string) (*http.Response, error) {
		n++
		body := fmt.Sprintf(`{"user_id":%d,"movie_id":%d}`, 100+n/testMovies, 1+n%testMovies)
		res, err := http.Post(base+"/api/v1/feedback", "application/json", strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		return http.Get(base + "/api/v1/recommendations?user_id=" + strconv.Itoa(100+n/testMovies))
	})
}

// benchmarkHTTP times requests to a real server and reports their 50th and 99th percentile.
func benchmarkHTTP(b *testing.B, w *fixture, request func(base string) (*http.Response, error)) {
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		res, err := request(srv.URL)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res.Status, err)
		}
		res.Body.Close()
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}
