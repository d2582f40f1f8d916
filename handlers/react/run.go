package react

import (
	"context"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
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
)

// taskFold is a task as its run's stream has it.
type taskFold struct {
	state             taskState
	try               int
	holder            string
	leaseUntilMillis  int64
	retryAtMillis     int64         // of a failed try; 0 if no other follows
	length            time.Duration // of the lease or the wait, on the clock of who wrote it
	checkpoint        string
	output            map[string]string
	err               string
	failures, crashes int // tries that failed; tries since the last checkpoint whose worker was gone
}

// runFold is a workflow run as its stream has it.
type runFold struct {
	exists   bool
	id       string
	workflow string
	conf     map[string]string
	ended    bool
	tasks    map[string]*taskFold
}

func (f *runFold) task(name string) *taskFold {
	t := f.tasks[name]
	if t == nil {
		t = &taskFold{}
		f.tasks[name] = t
	}
	return t
}

func (f *runFold) evolve(ev *events.Event) {
	length := func(untilMillis int64) time.Duration { return time.UnixMilli(untilMillis).Sub(ev.Time) }
	switch e := ev.Data.(type) {
	case *events.WorkflowRunRequested:
		f.exists, f.workflow, f.conf = true, e.Workflow, e.Conf
	case *events.TaskStarted:
		t := f.task(e.Task)
		if t.state == taskRunning {
			t.crashes++
		}
		t.state, t.try, t.holder, t.leaseUntilMillis = taskRunning, e.Try, e.Holder, e.LeaseUntilMillis
		t.length = length(e.LeaseUntilMillis)
	case *events.TaskLeaseRenewed:
		t := f.task(e.Task)
		t.leaseUntilMillis, t.length = e.LeaseUntilMillis, length(e.LeaseUntilMillis)
		if e.Checkpoint != "" {
			t.checkpoint, t.crashes = e.Checkpoint, 0
		}
	case *events.TaskSucceeded:
		t := f.task(e.Task)
		t.state, t.output = taskSucceeded, e.Output
	case *events.TaskFailed:
		t := f.task(e.Task)
		t.state, t.retryAtMillis, t.err = taskFailed, e.RetryAtMillis, e.Error
		t.length = length(e.RetryAtMillis)
		switch {
		case strings.HasPrefix(e.Error, crashed):
			t.crashes++
		case !strings.HasPrefix(e.Error, stopped):
			t.failures++
		}
	case *events.WorkflowRunEnded:
		f.ended = true
	}
}

// fold reads a run from its stream.
func (s *runs) fold(ctx context.Context, id string) (*runFold, error) {
	f := &runFold{id: id, tasks: map[string]*taskFold{}}
	for c, err := range s.cfg.Ledger.ReadStream(ctx, "workflow-run/"+id, 0) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			f.evolve(&c.Events[i])
		}
	}
	return f, nil
}
