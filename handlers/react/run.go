package react

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// stopped is how the error of a try begins that was cut off because the program ends: such a try does
// not count as a failure.
const stopped = "stopped: "

// crashed is how the error of a try begins whose worker was gone.
const crashed = "crashed: "

type taskState int

const (
	taskNew taskState = iota
	taskRunning
	taskSucceeded
	taskFailed
	taskSkipped
)

// taskFold is a task as its run's stream has it.
type taskFold struct {
	state             taskState
	try               int
	holder            string
	startedAt         int64 // offset of the try's beginning
	leaseUntilMillis  int64
	retryAtMillis     int64         // of a failed try; 0 if no other follows
	length            time.Duration // of the lease or the wait, on the clock of who wrote it
	checkpoint        string
	output            map[string]string
	err               string
	failures, crashes int // tries that failed; tries since the last checkpoint whose worker was gone

	cleared int           // how often
	end     *events.Event // that ended it
	endedAt int64         // the offset of that
}

// runFold is a workflow run as its stream has it.
type runFold struct {
	exists    bool
	id        string
	workflow  string
	runType   string
	conf      map[string]string
	ended     bool
	endState  string          // then
	started   bool            // a task of it was
	startedAt time.Time       // then, or when it was told to go on
	reopened  int             // how often
	missed    map[string]bool // of which it was said that they are not over in time; "" is the run
	tasks     map[string]*taskFold

	request         *events.Event
	requested, seen int64 // offsets of the request, and of the last commit
}

// clone is the run as it is now, for another to read and to change.
func (f *runFold) clone() *runFold {
	c := *f
	c.missed, c.tasks = maps.Clone(f.missed), make(map[string]*taskFold, len(f.tasks))
	for name, t := range f.tasks {
		own := *t
		c.tasks[name] = &own
	}
	return &c
}

func (f *runFold) task(name string) *taskFold {
	t := f.tasks[name]
	if t == nil {
		t = &taskFold{}
		f.tasks[name] = t
	}
	return t
}

func (f *runFold) evolve(ev *events.Event, offset int64) {
	length := func(untilMillis int64) time.Duration { return time.UnixMilli(untilMillis).Sub(ev.Time) }
	switch e := ev.Data.(type) {
	case *events.WorkflowRunRequested:
		f.ended = false // its id may have been another's, which was deleted
		f.exists, f.workflow, f.runType, f.conf = true, e.Workflow, e.RunType, e.Conf
		f.request, f.requested = ev, offset
	case *events.TaskStarted:
		t := f.task(e.Task)
		if t.state == taskRunning {
			t.crashes++
		}
		t.state, t.try, t.holder, t.leaseUntilMillis = taskRunning, e.Try, e.Holder, e.LeaseUntilMillis
		t.length, t.startedAt = length(e.LeaseUntilMillis), offset
		if !f.started {
			f.started, f.startedAt = true, ev.Time
		}
	case *events.TaskLeaseRenewed:
		t := f.task(e.Task)
		t.leaseUntilMillis, t.length = e.LeaseUntilMillis, length(e.LeaseUntilMillis)
		if e.Checkpoint != "" {
			t.checkpoint, t.crashes = e.Checkpoint, 0
		}
	case *events.TaskSucceeded:
		t := f.task(e.Task)
		t.state, t.output, t.end, t.endedAt = taskSucceeded, e.Output, ev, offset
	case *events.TaskFailed:
		t := f.task(e.Task)
		t.state, t.retryAtMillis, t.err = taskFailed, e.RetryAtMillis, e.Error
		t.length = length(e.RetryAtMillis)
		t.end, t.endedAt = ev, offset
		switch {
		case strings.HasPrefix(e.Error, crashed):
			t.crashes++
		case !strings.HasPrefix(e.Error, stopped):
			t.failures++
		}
	case *events.TaskHastened:
		t := f.task(e.Task)
		t.retryAtMillis, t.length = e.AtMillis, 0
	case *events.WorkflowSLAMissed:
		f.missed[e.Task] = true
	case *events.TasksCleared:
		for _, name := range e.Tasks {
			f.tasks[name] = &taskFold{try: f.task(name).try, cleared: f.task(name).cleared + 1}
		}
		f.reopen(ev)
	case *events.TaskMarked:
		marks := map[string]taskState{"success": taskSucceeded, "failed": taskFailed, "skipped": taskSkipped}
		t := f.task(e.Task)
		f.tasks[e.Task] = &taskFold{state: marks[e.State], try: t.try, output: t.output, err: "marked as failed: " + e.Note, cleared: t.cleared, end: ev, endedAt: offset}
		f.reopen(ev)
	case *events.WorkflowRunEnded:
		f.ended, f.endState = true, e.State
	case *events.WorkflowRunDeleted:
		*f = runFold{id: f.id, workflow: f.workflow, ended: true, tasks: map[string]*taskFold{}, missed: map[string]bool{}, seen: f.seen}
	}
}

// reopen has the run go on, if it had ended.
func (f *runFold) reopen(ev *events.Event) {
	if f.ended {
		f.ended, f.startedAt = false, ev.Time
	}
	f.reopened++ // so that its end is said anew
}

// fold reads a run from its stream.
func (s *runs) fold(ctx context.Context, id string) (*runFold, error) {
	f := &runFold{id: id, tasks: map[string]*taskFold{}, missed: map[string]bool{}}
	for c, err := range s.cfg.Ledger.ReadStream(ctx, "workflow-run/"+id, 0) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			f.evolve(&c.Events[i], c.Position.Offset)
		}
		f.seen = c.Position.Offset
	}
	return f, nil
}

// cause is the event that made a task due: the end of the last task that it needs, or the request of the run.
func (f *runFold) cause(t *workflow.Task) *events.Event {
	cause, at := f.request, f.requested
	for _, name := range t.Needs {
		if n := f.tasks[name]; n != nil && n.end != nil && n.endedAt > at {
			cause, at = n.end, n.endedAt
		}
	}
	return cause
}

// asRun is the run as its definition looks at it.
func (f *runFold) asRun() *workflow.Run {
	start, end := f.request.Time, f.request.Time
	if asked, ok := f.request.Data.(*events.WorkflowRunRequested); ok && asked.IntervalEndMillis != 0 {
		start, end = time.UnixMilli(asked.LogicalMillis), time.UnixMilli(asked.IntervalEndMillis)
	}
	return &workflow.Run{Told: workflow.Told(f.id, f.workflow, f.runType, start, end), Conf: f.conf, Outcome: func(name string) workflow.Outcome {
		t := f.tasks[name]
		if t == nil {
			return workflow.Outcome{}
		}
		o := workflow.Outcome{Output: t.output}
		switch {
		case t.state == taskRunning:
			o.State = workflow.Running
		case t.state == taskSucceeded:
			o.State = workflow.Success
		case t.state == taskSkipped:
			o.State = workflow.Skipped
		case t.state == taskFailed && t.retryAtMillis != 0:
			o.State = workflow.UpForRetry
		case t.state == taskFailed:
			o.State = workflow.Failed
		}
		return o
	}}
}
