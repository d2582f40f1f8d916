package roles

import (
	"context"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
)

const nameTrigger = "trigger"

// trigger asks for a training run once an import is complete.
func (c *Config) trigger() react.Role {
	return react.Role{
		Name: nameTrigger,
		Wants: func(ev *events.Event) bool {
			_, ok := ev.Data.(*events.ImportCompleted)
			return ok
		},
		Handle: func(ctx context.Context, a *react.Reaction) error {
			e, ok := a.Cause().Data.(*events.ImportCompleted)
			if !ok {
				return nil
			}
			c := &commands.RequestWorkflowRun{RunID: TrainingRunOf(e.ImportID), Workflow: TrainingPipeline, RunType: "triggered",
				Note: "import " + e.ImportID + " is complete"}
			return a.Ensure(ctx, c.CommandType(), c) // a conflict: the run is there
		},
	}
}

// TrainingRunOf is the id of the workflow run that trains after an import.
func TrainingRunOf(importID string) string { return "after-import-" + importID }
