package roles

import (
	"context"
	"slices"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
)

const nameTrigger = "trigger"

// trigger asks for a training run once an import is complete. It also ends runs of workflows that do not
// exist, which nobody else would.
func (c *Config) trigger() react.Role {
	return react.Role{
		Name: nameTrigger,
		Wants: func(ev *events.Event) bool {
			switch e := ev.Data.(type) {
			case *events.ImportCompleted:
				return true
			case *events.WorkflowRunRequested:
				return !slices.ContainsFunc(c.Workflows, func(w react.Workflow) bool { return w.Name == e.Workflow })
			}
			return false
		},
		Handle: func(ctx context.Context, a *react.Reaction) error {
			var c commands.Command
			switch e := a.Cause().Data.(type) {
			case *events.ImportCompleted:
				c = &commands.RequestWorkflowRun{RunID: TrainingRunOf(e.ImportID), Workflow: TrainingPipeline, RunType: "triggered",
					Note: "import " + e.ImportID + " is complete"}
			case *events.WorkflowRunRequested:
				c = &commands.EndWorkflowRun{RunID: e.RunID, State: "failed", Reason: "there is no workflow " + e.Workflow}
			default:
				return nil
			}
			return a.Ensure(ctx, c.CommandType(), c) // a conflict: the run is there, or has ended
		},
	}
}

// TrainingRunOf is the id of the workflow run that trains after an import.
func TrainingRunOf(importID string) string { return "after-import-" + importID }
