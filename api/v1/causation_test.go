package v1_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// TestChainOfAlert: an alert, and the run that it asked for, by whatever names one of them.
func TestChainOfAlert(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	a := w.post("/api/v1/trigger/model-drift", `{"model_name":"movie_predictor","drift_score":0.85,"threshold":0.7}`).want(202)
	alert, position := a.at("event_id"), a.at("position")
	res, err := w.core.Dispatcher.Dispatch(t.Context(), &commands.RequestWorkflowRun{RunID: "r1", Workflow: "movie_training_pipeline", RunType: "triggered",
		Triggered: &events.Triggered{Trigger: "drift", EventID: alert, Type: "model.drift", Position: position, Counted: 1, Cut: "model-drift-alerts/0:1"}},
		handlers.Meta{Actor: "reactor:workflows", Causation: alert})
	w.must(err)
	w.folded(res.Position)
	for _, of := range []string{alert, position, "workflow-run/r1", res.Position.String()} {
		c := w.get("/api/v1/audit/chain?of=" + of).want(200)
		if c.at("root.event_id") != alert || c.at("root.position") != position || c.at("root.type") != "model.drift" || c.at("root.actor") != "api" ||
			c.at("root.summary") != "drift of movie_predictor: 0.85, its threshold 0.7" || c.at("root.then.0.stream") != "workflow-run/r1" {
			t.Errorf("%s: %s", of, c.Body)
		}
	}
	w.get("/api/v1/audit/chain").problem(400, "of")
	for _, of := range []string{"nobody", "workflow-run/none", "mlops-events/0@999999", "model-drift-alerts/0@7", "deployment/none"} {
		w.get("/api/v1/audit/chain?of="+of).problem(404, "")
	}
	if v := w.get("/api/v1/workflows/triggers?workflow=movie_training_pipeline").want(200); v.at("items.0.trigger.name") != "drift" || v.at("items.0.state") != "unknown" || v.at("items.0.run") != "r1" {
		t.Errorf("%s", v.Body)
	}
	w.get("/api/v1/workflows/triggers?workflow=none").problem(404, "")
}

// TestChainBeforeAlert: what led to an alert that the program has raised itself stands before it; an alert that says it came of its own run is where the chain begins.
func TestChainBeforeAlert(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	do := func(c commands.Command, cause string) handlers.Result {
		t.Helper()
		res, err := w.core.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "test", Causation: cause})
		w.must(err)
		w.folded(res.Position)
		return res
	}
	alert := func(cause string) (id, position string) {
		t.Helper()
		p, err := w.core.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: "als", DriftScore: .5, Threshold: .3}}}, handlers.Meta{Actor: "reactor:evaluator", Causation: cause})
		w.must(err)
		return p.Events[0].ID, p.Positions[0].String()
	}
	follows := func(run, id, position string) string {
		t.Helper()
		return do(&commands.RequestWorkflowRun{RunID: run, Workflow: "movie_training_pipeline", RunType: "triggered",
			Triggered: &events.Triggered{Trigger: "drift", EventID: id, Type: "model.drift", Position: position, Counted: 1, Cut: "model-drift-alerts/0:1"}}, id).Events[0].ID
	}
	check := do(&commands.RequestWorkflowRun{RunID: "check", Workflow: "serving_drift_check", RunType: "manual"}, "").Events[0].ID
	id, position := alert(check)
	follows("r1", id, position)
	for _, of := range []string{position, "workflow-run/r1"} {
		c := w.get("/api/v1/audit/chain?of=" + of).want(200)
		if c.at("root.stream") != "workflow-run/check" || c.at("root.then.0.event_id") != id || c.at("root.then.0.type") != "model.drift" || c.at("root.then.0.then.0.stream") != "workflow-run/r1" || c.at("events") != "3" || c.at("root.asked") == "true" {
			t.Errorf("%s: %s", of, c.Body)
		}
	}
	// Whoever publishes from outside may say anything.
	const circle = "11111111-2222-3333-4444-555555555555"
	led := follows("r2", circle, "model-drift-alerts/0@1")
	rec, err := streams.FactRecord("als", &events.Event{ID: circle, Source: "/outside", Time: day0, Causation: led, Data: &events.ModelDrift{ModelName: "als", DriftScore: 1, Threshold: .3, Timestamp: events.FormatTime(day0)}})
	w.must(err)
	w.must(w.core.Log.Feed().Publish(t.Context(), events.DriftAlertsTopic, []streams.Record{rec}))
	if c := w.get("/api/v1/audit/chain?of=" + circle).want(200); c.at("root.event_id") != circle || c.at("root.type") != "model.drift" || c.at("root.then.0.stream") != "workflow-run/r2" || c.at("events") != "2" {
		t.Errorf("%s", c.Body)
	}
}

// A fact of which nothing came is a chain of one, by its position; of one that cannot be read the position is all that is known, and why.
func TestChainOfFact(t *testing.T) {
	w := newFixture(t)
	c := w.get("/api/v1/audit/chain?of=user-events/0@0").want(200)
	if c.at("root.position") != "user-events/0@0" || c.at("root.asked") != "true" || c.at("root.type") != "user.interaction" || c.at("events") != "1" || c.at("asked") != c.at("root.event_id") || c.at("root.then") != "null" {
		t.Errorf("%s", c.Body)
	}
	bad := w.spoil("user-events", "7", `{"user_id":7}`)
	c = w.get("/api/v1/audit/chain?of=" + bad.String()).want(200)
	if c.at("root.position") != bad.String() || !strings.Contains(c.at("root.summary"), "cannot be read") || c.at("events") != "1" {
		t.Errorf("%s", c.Body)
	}
	w.get("/api/v1/audit/chain?of=user-events/0@0&known_at=2024-05-01").problem(404, "")
}

// A stream may end as a position does, and is a stream.
func TestChainOfQuarantine(t *testing.T) {
	w := newFixture(t)
	stream := "quarantine/" + w.spoil("user-events", "7", `{"user_id":7}`).String()
	w.get("/api/v1/audit/chain?of="+stream).problem(404, "")
	w.post("/api/v1/quarantine/records/"+strings.TrimPrefix(stream, "quarantine/"), `{"resolution":"dropped","reason":"a test"}`).want(200)
	if c := w.get("/api/v1/audit/chain?of=" + stream).want(200); c.at("root.stream") != stream || c.at("root.type") != "quarantine.resolved" || c.at("root.asked") != "true" {
		t.Errorf("%s", c.Body)
	}
}

// Of an event of the ledger that the view has not nobody says that nothing came of it.
func TestChainOfHaltedView(t *testing.T) {
	w := newFixture(t)
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"f","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{}}`))
	w.must(err)
	r, err := w.log.Ledger().Append(t.Context(), streams.Commit{ID: "f", Stream: "model/als", Expected: streams.AnyRevision, Events: []events.Event{ev}})
	w.must(err)
	if err := w.core.Views.Wait(t.Context(), r.Position, "audit"); err == nil {
		t.Fatal("it is folded")
	}
	res, err := w.core.Dispatcher.Dispatch(t.Context(), &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "99", Title: "Film 99"}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.get("/api/v1/audit/chain?of="+res.Position.String()).problem(404, "")
	w.get("/api/v1/audit/chain?of=user-events/0@0").want(200)
}
