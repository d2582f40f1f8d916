package projections_test

import (
	"testing"
	"time"

	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
)

// TestStatesOfAScheduledRun: the view decides a condition on what a run is for by the same values as the engine.
func TestStatesOfAScheduledRun(t *testing.T) {
	d := must[*workflow.Definition](t)(workflow.Parse([]byte("name: w\ntasks: [{name: a, operator: o, when: run.logical_date == '2024-01-15T00:00:00.000Z' and run.type == 'scheduled'}]"),
		workflow.Operators{"o": {Name: "o"}}))
	day := time.Date(2024, 1, 15, 0, 0, 0, 0, time.UTC)
	run := projections.WorkflowRun{RunID: "r", Workflow: "w", RunType: "scheduled", State: projections.StateQueued, LogicalMillis: day.UnixMilli(), IntervalEndMillis: day.AddDate(0, 0, 1).UnixMilli()}
	equal(t, "that day's", run.States(d), map[string]workflow.State{"a": workflow.Queued})
	run.LogicalMillis++
	equal(t, "another's", run.States(d), map[string]workflow.State{"a": workflow.Skipped})
}
