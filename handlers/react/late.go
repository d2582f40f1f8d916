package react

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// late says of a run and its tasks, once of each, that they are not over in the time that their definition gives them, or were not when nobody
// looked. The time goes from the run's slot on, or, without one, from its request.
func (e *engine) late(ctx context.Context, r *liveRun, states map[string]workflow.State) {
	d := r.definition
	if !d.Timed() || !e.ends(r) {
		return
	}
	from, now := r.request.Time, e.cfg.Clock()
	if asked, ok := r.request.Data.(*events.WorkflowRunRequested); ok && asked.RunType == "scheduled" && asked.IntervalEndMillis != 0 {
		from = time.UnixMilli(asked.IntervalEndMillis)
	}
	say := func(task string, sla time.Duration) {
		a := &Reaction{dispatcher: e.cfg.Dispatcher, role: engineName, cause: r.request, correlation: r.id}
		c := &commands.MissSLA{RunID: r.id, Workflow: r.workflow, Task: task, SLAMillis: sla.Milliseconds(), DueMillis: from.Add(sla).UnixMilli()}
		if err := a.Ensure(ctx, "late/"+task, c); err != nil {
			e.log.Error("that a run is late could not be said; it is said again", "workflow_run", r.id, "task", task, "error", err)
			return
		}
		r.missed[task] = true
		e.log.Warn("not over in time", "workflow", r.workflow, "workflow_run", r.id, "task", task, "due", from.Add(sla))
	}
	last := time.Time{}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		over := now
		if states[t.Name].Over() {
			over = time.Time{} // it did not begin
			if was := r.runFold.tasks[t.Name]; was != nil && was.end != nil {
				over = was.end.Time
			}
		}
		if last.Before(over) {
			last = over
		}
		if t.SLA > 0 && !r.missed[t.Name] && over.Sub(from) > t.SLA {
			say(t.Name, t.SLA)
		}
	}
	if d.SLA > 0 && !r.missed[""] && last.Sub(from) > d.SLA {
		say("", d.SLA)
	}
}
