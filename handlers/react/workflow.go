package react

import (
	"errors"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Workflow is a chain of tasks: each starts when the one before it has succeeded.
type Workflow struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Tasks       []WorkflowTask `json:"tasks"`
}

// WorkflowTask is one task, and the reactor that works on it. Names are unique over all workflows.
type WorkflowTask struct {
	Name        string `json:"name"`
	Reactor     string `json:"reactor"`
	Description string `json:"description"`
}

// workflows are all there are.
type workflows []Workflow

// check finds what cannot be carried out: a name that is used twice, a workflow of no task, a task whose role
// there is not or cannot do it.
func (ws workflows) check(roles []Role) error {
	var errs []error
	seen, tasks := map[string]bool{}, map[string]bool{}
	for _, w := range ws {
		if w.Name == "" || seen[w.Name] || len(w.Tasks) == 0 {
			errs = append(errs, fault.Field("Workflows", "%q has no task, no name, or that of another", w.Name))
		}
		seen[w.Name] = true
		for _, t := range w.Tasks {
			i := slices.IndexFunc(roles, func(r Role) bool { return r.Name == t.Reactor })
			switch {
			case t.Name == "" || tasks[t.Name]:
				errs = append(errs, fault.Field("Workflows", "task %q of %s has no name, or that of another", t.Name, w.Name))
			case i < 0 || roles[i].Tasks[t.Name] == nil:
				errs = append(errs, fault.Field("Workflows", "task %q of %s is given to role %q, which does no such task", t.Name, w.Name, t.Reactor))
			}
			tasks[t.Name] = true
		}
	}
	return errors.Join(errs...)
}

// first is the first task of a workflow; nil for no such workflow.
func (ws workflows) first(workflow string) *WorkflowTask {
	for i := range ws {
		if ws[i].Name == workflow {
			return &ws[i].Tasks[0]
		}
	}
	return nil
}

// after is the task that follows; nil after the last.
func (ws workflows) after(task string) *WorkflowTask {
	for i := range ws {
		tasks := ws[i].Tasks
		for j := range tasks {
			if tasks[j].Name == task && j+1 < len(tasks) {
				return &tasks[j+1]
			}
		}
	}
	return nil
}

// due is the task that an event makes due: of a run that was requested the first, of a task that succeeded
// the next.
func (ws workflows) due(ev *events.Event) (runID string, task *WorkflowTask) {
	switch e := ev.Data.(type) {
	case *events.WorkflowRunRequested:
		return e.RunID, ws.first(e.Workflow)
	case *events.TaskSucceeded:
		return e.RunID, ws.after(e.Task)
	}
	return "", nil
}
