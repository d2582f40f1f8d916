package handlers

import (
	"maps"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// definedWorkflow is a workflow's definition in force, and whether its runs are held back.
type definedWorkflow struct {
	hash   string
	paused bool
	missed int64 // the last slot, in Unix milliseconds, that was said to have no run
}

func (s *definedWorkflow) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.WorkflowDefined:
		s.hash = e.Hash
	case *events.WorkflowPaused:
		s.paused = true
	case *events.WorkflowUnpaused:
		s.paused = false
	case *events.SlotsMissed:
		s.missed = e.ThroughMillis
	case *events.WorkflowDeleted:
		*s = definedWorkflow{}
	}
}

func (s *definedWorkflow) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.DefineWorkflow); ok {
		if s.hash == c.Hash {
			return nil, nil
		}
		e := events.WorkflowDefined(*c)
		return one(&e)
	}
	if s.hash == "" {
		return refuse(fault.NotFound, "workflow", "no workflow at %s", c.Stream())
	}
	switch c := c.(type) {
	case *commands.PauseWorkflow:
		if s.paused {
			return nil, nil
		}
		return one(&events.WorkflowPaused{Workflow: c.Workflow})
	case *commands.MissSlots:
		if c.ThroughMillis <= s.missed {
			return nil, nil
		}
		e := events.SlotsMissed(*c)
		return one(&e)
	case *commands.UnpauseWorkflow:
		if !s.paused {
			return nil, nil
		}
		return one(&events.WorkflowUnpaused{Workflow: c.Workflow})
	case *commands.DeleteWorkflow:
		return one(&events.WorkflowDeleted{Workflow: c.Workflow})
	}
	return nil, noRule(c)
}

// workflowRun is a run of a workflow with the tasks that were started.
type workflowRun struct {
	requested bool
	ended     string            // success, failed, cancelled or ""
	notes     map[string]string // by task, "" the run's
	tasks     map[string]task
	missed    map[string]bool    // of which it was said that they are not over in time; "" is the run
	logs      map[triedTask]bool // that are kept
}

type taskState int

const (
	taskRunning taskState = iota + 1
	taskSucceeded
	taskFailed
	taskSkipped
)

// marks are the states that people give tasks.
var marks = map[string]taskState{"success": taskSucceeded, "failed": taskFailed, "skipped": taskSkipped}

// triedTask is a try of a task.
type triedTask struct {
	task string
	try  int
}

// task is the current try of a task.
type task struct {
	state            taskState
	try              int
	holder           string
	leaseUntilMillis int64
	retryAtMillis    int64  // of a failed try; 0 if no other follows
	by               string // why the try before is void: "cleared" or "marked"; "" where it is not
}

func (s *workflowRun) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.WorkflowRunRequested:
		s.requested = true
		s.notes = map[string]string{"": e.Note}
	case *events.TaskStarted:
		s.tasks[e.Task] = task{state: taskRunning, try: e.Try, holder: e.Holder, leaseUntilMillis: e.LeaseUntilMillis}
	case *events.TaskLeaseRenewed:
		t := s.tasks[e.Task]
		t.leaseUntilMillis = e.LeaseUntilMillis
		s.tasks[e.Task] = t
	case *events.TaskSucceeded:
		t := s.tasks[e.Task]
		t.state = taskSucceeded
		s.tasks[e.Task] = t
	case *events.TaskFailed:
		t := s.tasks[e.Task]
		t.state, t.retryAtMillis = taskFailed, e.RetryAtMillis
		s.tasks[e.Task] = t
	case *events.TaskHastened:
		t := s.tasks[e.Task]
		t.retryAtMillis = e.AtMillis
		s.tasks[e.Task] = t
	case *events.WorkflowSLAMissed:
		s.missed[e.Task] = true
	case *events.TasksCleared:
		s.ended = ""
		for _, name := range e.Tasks {
			s.tasks[name] = task{try: s.tasks[name].try, by: "cleared"}
		}
	case *events.TaskMarked:
		s.ended = ""
		s.tasks[e.Task] = task{try: s.tasks[e.Task].try, state: marks[e.State], by: "marked"}
	case *events.TaskLogKept:
		s.logs[triedTask{e.Task, e.Try}] = true
	case *events.WorkflowNoted:
		s.notes[e.Task] = e.Note
	case *events.WorkflowRunEnded:
		s.ended = e.State
	case *events.WorkflowRunDeleted:
		*s = workflowRun{tasks: map[string]task{}, logs: map[triedTask]bool{}}
	}
}

func (s *workflowRun) decide(c commands.Command, now time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.RequestWorkflowRun); ok {
		if s.requested {
			return refuse(fault.Conflict, "run_id", "workflow run %s exists already", c.RunID)
		}
		e := events.WorkflowRunRequested(*c)
		e.Conf = maps.Clone(c.Conf)
		return one(&e)
	}
	if !s.requested {
		return refuse(fault.NotFound, "run_id", "no workflow run at %s", c.Stream())
	}
	switch c := c.(type) {
	case *commands.EndWorkflowRun:
		return s.end(c)
	case *commands.DeleteWorkflowRun:
		deleted := &events.WorkflowRunDeleted{RunID: c.RunID}
		if s.ended == "" {
			return []events.Data{&events.WorkflowRunEnded{RunID: c.RunID, State: "cancelled", Reason: "deleted"}, deleted}, nil
		}
		return one(deleted)
	case *commands.ClearTasks:
		return one(&events.TasksCleared{RunID: c.RunID, Tasks: slices.Clone(c.Tasks), Note: c.Note})
	case *commands.MarkTask:
		if t := s.tasks[c.Task]; t.state == marks[c.State] && t.by == "marked" {
			return nil, nil
		}
		e := events.TaskMarked(*c)
		return one(&e)
	case *commands.KeepTaskLog:
		if t := s.tasks[c.Task]; t.try < c.Try {
			return refuse(fault.NotFound, "try", "task %s has had no try %d", c.Task, c.Try)
		}
		if s.logs[triedTask{c.Task, c.Try}] {
			return nil, nil
		}
		e := events.TaskLogKept(*c)
		return one(&e)
	case *commands.NoteWorkflow:
		if s.notes[c.Task] == c.Note {
			return nil, nil
		}
		e := events.WorkflowNoted(*c)
		return one(&e)
	}
	// A task's end said again by its holder is no event, even after the run has ended.
	if c, ok := c.(*commands.SucceedTask); ok {
		if t := s.tasks[c.Task]; t.state == taskSucceeded && t.try == c.Try && t.holder == c.Holder {
			return nil, nil
		}
	}
	if s.ended != "" {
		return refuse(fault.Conflict, "run_id", "workflow run at %s has ended: %s", c.Stream(), s.ended)
	}
	switch c := c.(type) {
	case *commands.StartTask:
		return s.start(c, now.UnixMilli())
	case *commands.HastenTask:
		t := s.tasks[c.Task]
		if t.state != taskFailed || t.retryAtMillis == 0 {
			return refuse(fault.Conflict, "task", "task %s of workflow run %s does not wait for another try", c.Task, c.RunID)
		}
		if t.retryAtMillis <= now.UnixMilli() {
			return nil, nil
		}
		return one(&events.TaskHastened{RunID: c.RunID, Task: c.Task, Try: t.try, AtMillis: now.UnixMilli()})
	case *commands.MissSLA:
		if s.missed[c.Task] {
			return nil, nil
		}
		e := events.WorkflowSLAMissed(*c)
		return one(&e)
	case *commands.RenewTaskLease:
		if err := s.tasks[c.Task].heldBy(c.Task, c.Try, c.Holder); err != nil {
			return nil, err
		}
		return one(&events.TaskLeaseRenewed{RunID: c.RunID, Task: c.Task, Try: c.Try, Holder: c.Holder,
			LeaseUntilMillis: now.UnixMilli() + c.LeaseMillis, Checkpoint: c.Checkpoint})
	case *commands.SucceedTask:
		if err := s.tasks[c.Task].heldBy(c.Task, c.Try, c.Holder); err != nil {
			return nil, err
		}
		return one(&events.TaskSucceeded{RunID: c.RunID, Task: c.Task, Try: c.Try, Output: maps.Clone(c.Output)})
	case *commands.FailTask:
		return s.fail(c, now.UnixMilli())
	}
	return nil, noRule(c)
}

func (s *workflowRun) start(c *commands.StartTask, nowMillis int64) ([]events.Data, error) {
	t := s.tasks[c.Task]
	over := func(untilMillis int64) bool { return nowMillis >= untilMillis || c.WatchedMillis == untilMillis }
	switch {
	case t.state == taskSucceeded:
		return refuse(fault.Conflict, "task", "task %s has succeeded at try %d; it never starts again", c.Task, t.try)
	case t.state == taskSkipped:
		return refuse(fault.Conflict, "task", "task %s was marked as skipped", c.Task)
	case t.state == taskRunning && t.holder != c.Holder && !over(t.leaseUntilMillis):
		return refuse(fault.Conflict, "holder", "task %s is held by %s until %s", c.Task, t.holder, events.FormatTime(time.UnixMilli(t.leaseUntilMillis)))
	case t.state == taskFailed && t.retryAtMillis == 0:
		return refuse(fault.Conflict, "task", "task %s has failed for good at try %d", c.Task, t.try)
	case t.state == taskFailed && !over(t.retryAtMillis):
		return refuse(fault.Conflict, "task", "task %s is not to be tried again before %s", c.Task, events.FormatTime(time.UnixMilli(t.retryAtMillis)))
	}
	return one(&events.TaskStarted{RunID: c.RunID, Task: c.Task, Try: t.try + 1, Holder: c.Holder, LeaseUntilMillis: nowMillis + c.LeaseMillis})
}

func (s *workflowRun) fail(c *commands.FailTask, nowMillis int64) ([]events.Data, error) {
	t := s.tasks[c.Task]
	abandoned := t.state == taskRunning && t.try == c.Try && (nowMillis >= t.leaseUntilMillis || c.WatchedMillis == t.leaseUntilMillis)
	if err := t.heldBy(c.Task, c.Try, c.Holder); err != nil && !abandoned {
		return nil, err
	}
	return one(&events.TaskFailed{RunID: c.RunID, Task: c.Task, Try: c.Try, Error: c.Error, RetryAtMillis: c.RetryAtMillis})
}

// heldBy is nil if holder works on this try of the task. A lease that has run out is still the holder's
// while nobody has taken the task over.
func (t task) heldBy(name string, try int, holder string) error {
	var err error
	switch {
	case t.by != "":
		_, err = refuse(fault.Conflict, "try", "task %s was %s since", name, t.by)
	case t.state == 0:
		_, err = refuse(fault.NotFound, "task", "task %s was never started", name)
	case t.state == taskSucceeded:
		_, err = refuse(fault.Conflict, "task", "task %s has succeeded at try %d", name, t.try)
	case t.try != try:
		_, err = refuse(fault.Conflict, "try", "task %s is at try %d, held by %s", name, t.try, t.holder)
	case t.state == taskFailed:
		_, err = refuse(fault.Conflict, "try", "try %d of task %s has failed already", t.try, name)
	case t.holder != holder:
		_, err = refuse(fault.Conflict, "holder", "try %d of task %s is held by %s", t.try, name, t.holder)
	}
	return err
}

func (s *workflowRun) end(c *commands.EndWorkflowRun) ([]events.Data, error) {
	switch s.ended {
	case c.State:
		return nil, nil
	case "":
	default:
		return refuse(fault.Conflict, "run_id", "workflow run %s has ended: %s", c.RunID, s.ended)
	}
	if c.State == "success" {
		for _, name := range slices.Sorted(maps.Keys(s.tasks)) {
			if t := s.tasks[name]; t.state == taskRunning || t.state == taskFailed && t.retryAtMillis != 0 {
				return refuse(fault.Conflict, "state", "workflow run %s cannot end as success: task %s is under way", c.RunID, name)
			}
		}
	}
	e := events.WorkflowRunEnded(*c)
	return one(&e)
}
