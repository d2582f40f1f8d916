package v1_test

import (
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
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
