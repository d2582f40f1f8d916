package react

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

// runs sees to it that the tasks of workflow runs come to their ends.
type runs struct {
	cfg   *Config
	log   *slog.Logger
	roles map[string]*Role // by operator
	gate  *gate
	node  string // begins the names of all holders from this folder

	keeping chan struct{} // room for logs that are kept
	asking  chan struct{} // room for slots of schedules that are asked for

	mu    sync.Mutex
	tasks map[*Work]*Task
}

// perform sees to it that a task comes to its end, by its own work or somebody else's; run is the task's as far as it is known. It returns nil when the
// task has ended, or the run, and the offset of the ledger that says so; and an error when ctx ends, or the log does not answer.
func (s *runs) perform(ctx context.Context, role *Role, task *workflow.Task, d *workflow.Definition, run *runFold, cause *events.Event) (through int64, err error) {
	var seen watch
	for head := run.seen + 1; ; {
		t := run.task(task.Name)
		if !run.exists || run.ended || t.state == taskSucceeded || t.state == taskSkipped || t.state == taskFailed && t.retryAtMillis == 0 {
			return run.seen, nil
		}
		run.conf = d.Defaults(run.conf)
		w := s.work(role, task, d, run, cause)
		if err := w.proceed(ctx, role, t, head, &seen); err != nil {
			return 0, err
		}
		if w.ended != 0 {
			return w.ended, nil
		}
		if head, err = s.cfg.Ledger.Head(ctx, time.Time{}); err != nil {
			return 0, err
		}
		if run, err = s.fold(ctx, run.id); err != nil {
			return 0, err
		}
	}
}

// proceed does what is next to be done of a task that has not ended: it waits for who is at it, ends the try of one who is gone, or takes it. The task is
// as the ledger had it below head.
func (w *Work) proceed(ctx context.Context, role *Role, t *taskFold, head int64, seen *watch) error {
	s, left := w.runs, seen.left(t)
	switch {
	case t.state == taskFailed && left > 0:
		return s.await(ctx, head, left)
	case t.state == taskRunning && s.predecessor(t.holder):
		w.try = t.try
		return orThere(w.bury(ctx, t))
	case t.state == taskRunning && t.holder != w.holder && left > 0:
		return s.await(ctx, head, left)
	case t.state == taskRunning && t.holder != w.holder && t.crashes+1 >= s.cfg.CrashesMax:
		w.try, w.watched = t.try, seen.untilMillis
		return orThere(w.fail(ctx, givenUp(t.crashes+1), 0))
	}
	w.checkpoint, w.failures, w.watched = t.checkpoint, t.failures, seen.untilMillis
	w.place = &claim{role: role.Name, pool: w.task.Pool, slots: w.task.PoolSlots, priority: w.task.Priority, run: w.run.requested, task: w.definition.Index(w.task.Name)}
	if !s.gate.has(w.task.Pool) {
		s.log.Warn("there is no pool of this name: the task waits until one is defined", "pool", w.task.Pool, "workflow_run", w.run.id, "task", w.task.Name)
	}
	if err := s.gate.enter(ctx, w.place); err != nil {
		return err
	}
	first, err := w.take(ctx, t.try+1, role.Tasks[w.task.Operator])
	s.gate.leave(w.place)
	w.keepLog(ctx)
	if !first && fault.Is(err, fault.Conflict) { // somebody else was first
		err = s.await(ctx, head, s.cfg.Poll)
	}
	return err
}

// work is a try, not begun yet, of a role's task by this process.
func (s *runs) work(role *Role, task *workflow.Task, d *workflow.Definition, run *runFold, cause *events.Event) *Work {
	return &Work{Reaction: Reaction{dispatcher: s.cfg.Dispatcher, role: role.Name, cause: cause, correlation: run.id},
		runs: s, task: task, definition: d, run: run, holder: s.holder(role.Name)}
}

// take takes the task, and works on it; first is false where it could not be taken, or another node has the slots of its pool.
func (w *Work) take(ctx context.Context, try int, do TaskFunc) (first bool, err error) {
	err = w.start(ctx, try)
	w.runs.gate.began(w.place)
	if err != nil {
		return false, err
	}
	full, err := w.runs.gate.beyond(ctx, w.started, w.task)
	switch {
	case err != nil:
		return true, err
	case full:
		err := w.fail(ctx, stopped+"the pool "+w.task.Pool+" is full: another node was first", w.runs.cfg.Clock().UnixMilli())
		return true, orThere(err)
	}
	return true, w.attempt(ctx, do)
}

func givenUp(crashes int) string {
	return fmt.Sprintf("given up: %d workers in a row were gone before the task made headway", crashes)
}

// await returns when the ledger has grown, the time is over, or it is time to look again; never at once,
// so that a busy ledger does not make it spin.
func (s *runs) await(ctx context.Context, head int64, limit time.Duration) error {
	limit = min(limit, s.cfg.Poll)
	wctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := s.cfg.Ledger.Wait(wctx, head); err != nil && wctx.Err() == nil {
		return err
	}
	sleep(ctx, awaitLeast)
	return ctx.Err()
}

// attempt works on the task while a heartbeat renews the lease, and says how the try ended. nil means
// look at the task again.
func (w *Work) attempt(ctx context.Context, do TaskFunc) error {
	w.openLog()
	log, began := w.Log(), w.runs.cfg.Clock()
	log.Info("task started", "holder", w.holder, "resume", w.checkpoint != "")
	w.runs.begin(w)
	defer w.runs.end(w)

	wctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.cancel = cancel
	late := time.AfterFunc(w.task.Timeout, func() { cancel(errTimedOut) })
	defer late.Stop()
	var heart sync.WaitGroup
	heart.Go(func() { w.heartbeat(wctx) })
	output, err := w.call(wctx, do)
	w.runs.gate.worked(w.place)
	lost, timedOut := errors.Is(context.Cause(wctx), errLost), errors.Is(context.Cause(wctx), errTimedOut)
	if timedOut && err != nil {
		err = fault.New(fault.Unavailable, "it took longer than its timeout of %v", w.task.Timeout)
	}
	cancel(nil)
	heart.Wait()

	// What the try came to is said also when the program is about to end, for a short while.
	ectx, done := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer done()
	switch {
	case lost || errors.Is(err, errLost):
		log.Warn("task lost: its lease ran out, or somebody else has it; the result is discarded")
		return ctx.Err()
	case err == nil:
		w.sayResult(w.maskedOutput(output), nil, 0)
		if err = w.succeed(ectx, output); err == nil {
			log.Info("task succeeded", "seconds", w.runs.cfg.Clock().Sub(began).Seconds())
		}
	case ctx.Err() != nil:
		log.Info("task stopped; it goes on at the next start")
		err = w.fail(ectx, stopped+"the program was asked to end; the task goes on at the next start", w.runs.cfg.Clock().UnixMilli())
		if err == nil || fault.Is(err, fault.Conflict) {
			return ctx.Err()
		}
	default:
		retryAt := w.runs.cfg.retryAt(err, w.failures, w.task)
		w.runs.log.Error("task failed", "workflow_run", w.run.id, "task", w.task.Name, "try", w.try, "again", retryAt != 0, "error", w.masked(err.Error()))
		w.sayResult(nil, err, retryAt)
		err = w.fail(ectx, err.Error(), retryAt)
	}
	if fault.Is(err, fault.Conflict) {
		log.Warn("somebody else has the task; the result is discarded", "reason", err)
		return ctx.Err()
	}
	return err
}

// call runs the work; a panic in it is an error of the try.
func (w *Work) call(ctx context.Context, do TaskFunc) (output map[string]string, err error) {
	defer func() {
		if p := recover(); p != nil {
			output, err = nil, fault.New(fault.Internal, "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do(ctx, w)
}
