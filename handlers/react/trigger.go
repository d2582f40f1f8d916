package react

import (
	"context"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
)

// trigger asks for a training run once an import is complete. It also ends runs of workflows that do not
// exist, which nobody else would.
func (r *Reactors) trigger() *reactor {
	return &reactor{
		name: nameTrigger,
		wants: func(ev *events.Event) bool {
			switch e := ev.Data.(type) {
			case *events.ImportCompleted:
				return true
			case *events.WorkflowRunRequested:
				return workflowOf(e.Workflow) == nil
			}
			return false
		},
		handle: func(ctx context.Context, ev *events.Event) error {
			var c commands.Command
			switch e := ev.Data.(type) {
			case *events.ImportCompleted:
				c = &commands.RequestWorkflowRun{RunID: TrainingRunOf(e.ImportID), Workflow: TrainingPipeline, RunType: "triggered",
					Note: "import " + e.ImportID + " is complete"}
			case *events.WorkflowRunRequested:
				c = &commands.EndWorkflowRun{RunID: e.RunID, State: "failed", Reason: "there is no workflow " + e.Workflow}
			default:
				return nil
			}
			_, err := r.cfg.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "reactor:" + nameTrigger, Correlation: ev.Correlation,
				Causation: ev.ID, IdempotencyKey: key(nameTrigger, ev.ID, c.CommandType())})
			if fault.Is(err, fault.Conflict) {
				return nil // the run is there, or has ended
			}
			return err
		},
	}
}

// TrainingRunOf is the id of the workflow run that trains after an import.
func TrainingRunOf(importID string) string { return "after-import-" + importID }
