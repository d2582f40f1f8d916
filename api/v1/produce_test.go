package v1_test

import (
	"strings"
	"testing"
)

// TestProduce: values are taken as any Kafka client's are, all of a request or none of it, and the lists reflect them.
func TestProduce(t *testing.T) {
	w := newFixture(t)
	records := func() string {
		return w.get("/api/v1/log/topics").at("items.1.records") + "/" + w.get("/api/v1/log/topics").at("items.2.records")
	}
	const at = "/api/v1/log/topics/user-events/records"
	a := w.post(at, `{"user_id":"user_001","movie_id":"movie_002","interaction_type":"like"}`+"\n\n"+`{"user_id":9,"movie_id":2,"interaction_type":"rating","rating":4.5,"timestamp":"2024-01-15T10:30:00Z"}`+"\r\n")
	a.want(200)
	if a.at("items.1.timestamp") != "2024-01-15T10:30:00.000Z" || !strings.HasPrefix(a.at("items.0.position"), "user-events/") || a.at("items.2.position") != "<none>" {
		t.Errorf("%s", a.Body)
	}
	w.post("/api/v1/log/topics/model-drift-alerts/records", `{"model_name":"als","drift_score":0.9,"threshold":0.7}`).want(200)
	w.post("/api/v1/log/topics/system-health/records", `{"service_name":"api","status":"degraded"}`).want(200)
	before := records()
	good := `{"user_id":"1","movie_id":"2","interaction_type":"view"}` + "\n"
	for body, field := range map[string]string{
		good + `{"user_id":"","movie_id":"2","interaction_type":"view"}`:                                     "line 2.user_id",
		good + good + `{"user_id":"1","movie_id":"2","interaction_type":"rating","rating":9}`:                "line 3.rating",
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"yesterday"}`:                   "line 1.timestamp",
		good + `{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"2090-01-01T00:00:00Z"}`: "line 2.timestamp",
		good + `[1]`: "line 2",
		`nonsense`:   "line 1",
		"\n \n":      "",
		"":           "",
	} {
		w.post(at, body).problem(400, field)
	}
	w.post(at, strings.Repeat(good, 1001)).problem(413, "")
	w.post("/api/v1/log/topics/mlops-events/records", good).problem(400, "topic")
	w.post("/api/v1/log/topics/nope/records", good).problem(404, "")
	if after := records(); after != before {
		t.Errorf("what was refused left something: %s, before %s", after, before)
	}
}
