package react

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/internal/fault"
)

// workFunc does the work of a task and gives the output that is handed to the tasks after it. When ctx
// ends it stops soon. It may be run again from any point of an earlier run of it.
type workFunc func(ctx context.Context, w *work) (map[string]string, error)

// stopped is how the error of a try begins that was cut off because the program ends: such a try does
// not count as a failure.
const stopped = "stopped: "

// crashed is how the error of a try begins whose worker was gone.
const crashed = "crashed: "

// errLost is the cause of a work's end when its lease was lost: somebody else may be at it.
var errLost = errors.New("the lease on the task was lost")

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

func (r *Reactors) foldRun(ctx context.Context, id string) (*runFold, error) {
	f := &runFold{id: id, tasks: map[string]*taskFold{}}
	for c, err := range r.cfg.Log.Ledger().ReadStream(ctx, "workflow-run/"+id, 0) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			f.evolve(&c.Events[i])
		}
	}
	return f, nil
}

// turn is the task that an event makes due: of a run that was requested the first, of a task that
// succeeded the next.
func turn(ev *events.Event) (runID string, task *WorkflowTask) {
	switch e := ev.Data.(type) {
	case *events.WorkflowRunRequested:
		return e.RunID, first(e.Workflow)
	case *events.TaskSucceeded:
		return e.RunID, after(e.Task)
	}
	return "", nil
}

// taskReactor is the reactor that works on the tasks of its role.
func (r *Reactors) taskReactor(name string, works map[string]workFunc) *reactor {
	return &reactor{
		name: name,
		wants: func(ev *events.Event) bool {
			_, task := turn(ev)
			return task != nil && task.Reactor == name
		},
		handle: func(ctx context.Context, ev *events.Event) error {
			runID, task := turn(ev)
			return r.perform(ctx, task, runID, ev, works[task.Name])
		},
	}
}

// perform sees to it that a task comes to its end, by its own work or somebody else's. It returns nil
// when the task has ended, or the run; and an error when ctx ends, or the log does not answer.
func (r *Reactors) perform(ctx context.Context, task *WorkflowTask, runID string, cause *events.Event, do workFunc) error {
	var seen watch
	for {
		head, err := r.cfg.Log.Ledger().Head(ctx, time.Time{})
		if err != nil {
			return err
		}
		run, err := r.foldRun(ctx, runID)
		if err != nil {
			return err
		}
		if !run.exists || run.ended {
			return nil
		}
		w := &work{r: r, task: task, run: run, cause: cause, holder: r.node + r.cfg.Holder + "/" + task.Reactor}
		t := run.task(task.Name)
		left := seen.left(t)
		switch {
		case t.state == taskSucceeded:
			return w.complete(ctx)
		case t.state == taskFailed && t.retryAtMillis == 0:
			return w.giveUp(ctx, t.err)
		case t.state == taskFailed && left > 0:
			if err := r.await(ctx, head, left); err != nil {
				return err
			}
			continue
		case t.state == taskRunning && r.predecessor(t.holder):
			w.try = t.try
			if err := w.bury(ctx, t); err != nil && !fault.Is(err, fault.Conflict) {
				return err
			}
			continue
		case t.state == taskRunning && t.holder != w.holder && left > 0:
			if err := r.await(ctx, head, left); err != nil {
				return err
			}
			continue
		case t.state == taskRunning && t.holder != w.holder && t.crashes+1 >= r.cfg.CrashesMax:
			w.try, w.watched = t.try, seen.untilMillis
			if err := w.fail(ctx, givenUp(t.crashes+1), 0); err != nil && !fault.Is(err, fault.Conflict) {
				return err
			}
			continue
		}
		w.checkpoint, w.failures, w.watched = t.checkpoint, t.failures, seen.untilMillis
		if err := w.start(ctx, t.try+1); err != nil {
			if !fault.Is(err, fault.Conflict) {
				return err
			}
			if err := r.await(ctx, head, r.cfg.Poll); err != nil { // somebody was first
				return err
			}
			continue
		}
		if err := w.attempt(ctx, do); err != nil {
			return err
		}
	}
}

// watch is for how long a lease, or the wait for another try, has been seen to stand unchanged. Its end
// is a time on another node's clock, which may be an hour off; its length is not.
type watch struct {
	state       taskState
	try         int
	untilMillis int64
	since       time.Time
}

// left is how long the task is still to be left alone.
func (s *watch) left(t *taskFold) time.Duration {
	until := t.leaseUntilMillis
	if t.state == taskFailed {
		until = t.retryAtMillis
	}
	if s.state != t.state || s.try != t.try || s.untilMillis != until {
		*s = watch{t.state, t.try, until, time.Now()}
	}
	return t.length - time.Since(s.since)
}

// predecessor says whether the holder was a process on this folder before this one: then it is dead.
func (r *Reactors) predecessor(holder string) bool {
	return r.cfg.Exclusive && strings.HasPrefix(holder, r.node) && !strings.HasPrefix(holder, r.node+r.cfg.Holder+"/")
}

// bury ends the try of a predecessor in its name.
func (w *work) bury(ctx context.Context, t *taskFold) error {
	message, retryAt := crashed+"the process that worked on it is gone", w.r.cfg.Clock().UnixMilli()
	if t.crashes+1 >= w.r.cfg.CrashesMax {
		message, retryAt = givenUp(t.crashes+1), 0
	}
	_, err := w.dispatch(ctx, w.step("bury"), &commands.FailTask{RunID: w.run.id, Task: w.task.Name, Try: t.try, Holder: t.holder, Error: message, RetryAtMillis: retryAt})
	return err
}

func givenUp(crashes int) string {
	return fmt.Sprintf("given up: %d workers in a row were gone before the task made headway", crashes)
}

// await returns when the ledger has grown, the time is over, or it is time to look again; never at once,
// so that a busy ledger does not make it spin.
func (r *Reactors) await(ctx context.Context, head int64, limit time.Duration) error {
	limit = min(limit, r.cfg.Poll)
	wctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := r.cfg.Log.Ledger().Wait(wctx, head); err != nil && wctx.Err() == nil {
		return err
	}
	sleep(ctx, awaitLeast)
	return ctx.Err()
}

// awaitLeast bounds how often a waiting reactor reads a run's stream.
const awaitLeast = 10 * time.Millisecond

// work is one try of a task by this process.
type work struct {
	r          *Reactors
	task       *WorkflowTask
	run        *runFold
	cause      *events.Event
	holder     string
	try        int
	checkpoint string // of an earlier try, "" without one
	failures   int    // of earlier tries
	watched    int64  // see commands.StartTask

	cancel context.CancelCauseFunc

	lastSaved time.Time

	mu         sync.Mutex // one renewal at a time
	renewals   int
	leaseUntil time.Time
}

// meta of a command: its idempotency key derives from the reactor, the cause and the step, so that
// whoever repeats the step, in whatever process, says it once.
func (w *work) meta(step string) handlers.Meta {
	return handlers.Meta{Actor: "reactor:" + w.task.Reactor, Correlation: w.run.id, Causation: w.cause.ID,
		IdempotencyKey: key(w.task.Reactor, w.cause.ID, step)}
}

// key is readable as long as it fits.
func key(reactor, cause, step string) string {
	k := reactor + "/" + cause + "/" + step
	if len(k) > 200 {
		k = reactor + "/" + hashID(cause, step)
	}
	return k
}

// dispatch says a command of a step.
func (w *work) dispatch(ctx context.Context, step string, c commands.Command) (handlers.Result, error) {
	return w.r.cfg.Dispatcher.Dispatch(ctx, c, w.meta(step))
}

// once dispatches a command whose content differs between tries (it holds clock times): if an earlier
// try has said it, that stands.
func (w *work) once(ctx context.Context, step string, c commands.Command) error {
	_, err := w.dispatch(ctx, step, c)
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Conflict && f.Field == "Idempotency-Key" {
		return nil
	}
	return err
}

// ensure dispatches a command that is refused as a conflict when what it asks for is there already.
func (w *work) ensure(ctx context.Context, step string, c commands.Command) error {
	_, err := w.dispatch(ctx, step, c)
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

func (w *work) step(parts ...string) string {
	return strings.Join(append([]string{w.task.Name, strconv.Itoa(w.try), w.holder}, parts...), "/")
}

func (w *work) start(ctx context.Context, try int) error {
	w.try = try
	res, err := w.dispatch(ctx, w.step("start"), &commands.StartTask{RunID: w.run.id, Task: w.task.Name, Holder: w.holder, LeaseMillis: w.r.cfg.Lease.Milliseconds(), WatchedMillis: w.watched})
	if err != nil {
		return err
	}
	started, ok := res.Events[0].Data.(*events.TaskStarted)
	if !ok {
		return fault.New(fault.Internal, "StartTask was answered with a %s", res.Events[0].Type())
	}
	w.try, w.leaseUntil = started.Try, time.UnixMilli(started.LeaseUntilMillis)
	return nil
}

// attempt works on the task while a heartbeat renews the lease, and says how the try ended. nil means
// look at the task again.
func (w *work) attempt(ctx context.Context, do workFunc) error {
	log := w.r.log.With("workflow_run", w.run.id, "task", w.task.Name, "try", w.try)
	began := w.r.cfg.Clock()
	log.Info("task started", "resume", w.checkpoint != "")
	w.r.begin(w)
	defer w.r.end(w)

	wctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.cancel = cancel
	var heart sync.WaitGroup
	heart.Go(func() { w.heartbeat(wctx) })
	output, err := w.call(wctx, do)
	lost := errors.Is(context.Cause(wctx), errLost)
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
		_, err = w.dispatch(ectx, w.step("succeed"), &commands.SucceedTask{RunID: w.run.id, Task: w.task.Name, Try: w.try, Holder: w.holder, Output: output})
		if err == nil {
			log.Info("task succeeded", "seconds", w.r.cfg.Clock().Sub(began).Seconds())
		}
	case ctx.Err() != nil:
		log.Info("task stopped; it goes on at the next start")
		err = w.fail(ectx, stopped+"the program was asked to end; the task goes on at the next start", w.r.cfg.Clock().UnixMilli())
		if err == nil || fault.Is(err, fault.Conflict) {
			return ctx.Err()
		}
	default:
		retryAt := int64(0)
		if mends(err) && w.failures+1 < w.r.cfg.Tries {
			retryAt = w.r.cfg.Clock().Add(w.r.cfg.RetryBackoff << (2 * w.failures)).UnixMilli()
		}
		log.Error("task failed", "again", retryAt != 0, "error", err)
		err = w.fail(ectx, err.Error(), retryAt)
	}
	if fault.Is(err, fault.Conflict) {
		log.Warn("somebody else has the task; the result is discarded", "reason", err)
		return ctx.Err()
	}
	return err
}

// endTimeout bounds how long the word on a try's end may take when the program ends.
const endTimeout = 5 * time.Second

// call runs the work; a panic in it is an error of the try.
func (w *work) call(ctx context.Context, do workFunc) (output map[string]string, err error) {
	defer func() {
		if p := recover(); p != nil {
			output, err = nil, fault.New(fault.Internal, "panic: %v\n%s", p, debug.Stack())
		}
	}()
	return do(ctx, w)
}

// mends says whether another try may go better: not when the request, the data or the configuration is
// what is wrong.
func mends(err error) bool {
	if errors.Is(err, tmdb.ErrNoKey) {
		return false
	}
	var refused *tmdb.Error
	if errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 && refused.Status != 429 {
		return false
	}
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge, fault.Forbidden, fault.Corrupt:
		return false
	}
	return true
}

func (w *work) fail(ctx context.Context, message string, retryAtMillis int64) error {
	_, err := w.dispatch(ctx, w.step("fail"), &commands.FailTask{RunID: w.run.id, Task: w.task.Name, Try: w.try, Holder: w.holder,
		Error: trace(message), RetryAtMillis: retryAtMillis, WatchedMillis: w.watched})
	return err
}

// heartbeat renews the lease until ctx ends. It ends the work when the lease is lost.
func (w *work) heartbeat(ctx context.Context) {
	for sleep(ctx, w.r.cfg.Heartbeat) {
		if err := w.renew(ctx, ""); err != nil && ctx.Err() == nil {
			w.r.log.Warn("lease not renewed", "workflow_run", w.run.id, "task", w.task.Name, "error", err)
		}
	}
}

// renew extends the lease, with a checkpoint or "". A refusal, or failing until the lease has run out,
// ends the work.
func (w *work) renew(ctx context.Context, checkpoint string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewals++
	lease := w.r.cfg.Lease
	res, err := w.dispatch(ctx, w.step("renew", strconv.Itoa(w.renewals)), &commands.RenewTaskLease{RunID: w.run.id, Task: w.task.Name,
		Try: w.try, Holder: w.holder, LeaseMillis: lease.Milliseconds(), Checkpoint: checkpoint})
	switch {
	case err == nil && len(res.Events) > 0:
		if e, ok := res.Events[0].Data.(*events.TaskLeaseRenewed); ok {
			w.leaseUntil = time.UnixMilli(e.LeaseUntilMillis)
		}
	case fault.Is(err, fault.Conflict) || err != nil && !w.r.cfg.Clock().Before(w.leaseUntil):
		w.cancel(errLost)
		return errors.Join(errLost, err)
	}
	return err
}

// due says whether it is time for another checkpoint.
func (w *work) due() bool { return w.r.cfg.Clock().Sub(w.lastSaved) >= w.r.cfg.CheckpointEvery }

// save keeps a checkpoint for the next try: the blob first, then the event that names it.
func (w *work) save(ctx context.Context, state []byte) error {
	w.lastSaved = w.r.cfg.Clock()
	hash, _, err := w.r.cfg.Blobs.Put(bytes.NewReader(state))
	if err != nil {
		return err
	}
	return w.renew(ctx, hash)
}

// resume is the last checkpoint's content, nil without one. One that is gone or damaged is none: the
// work begins anew.
func (w *work) resume(ctx context.Context) ([]byte, error) {
	if w.checkpoint == "" {
		return nil, nil
	}
	b, err := w.blob(ctx, w.checkpoint)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
		w.r.log.Warn("the checkpoint cannot be used; the task begins anew", "task", w.task.Name, "error", err)
		return nil, nil
	}
	return b, err
}

// blobTimeout bounds the wait for a blob that another node has.
const blobTimeout = time.Minute

// blob reads a blob, and waits for one that is on its way from another node.
func (w *work) blob(ctx context.Context, hash string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, blobTimeout)
	defer cancel()
	for {
		b, err := w.r.cfg.Blobs.Get(hash)
		if !fault.Is(err, fault.Unavailable) || !sleep(ctx, 100*time.Millisecond) {
			return b, err
		}
	}
}

// input is what an earlier task of the run has put out.
func (w *work) input(task, name string) (string, error) {
	v, ok := w.run.task(task).output[name]
	if !ok {
		return "", fault.New(fault.Corrupt, "workflow run %s: task %s has put out no %s", w.run.id, task, name).
			WithHint("request a new run")
	}
	return v, nil
}

// inputs reads several outputs of a task.
func (w *work) inputs(task string, to map[string]*string) error {
	for name, at := range to {
		v, err := w.input(task, name)
		if err != nil {
			return err
		}
		*at = v
	}
	return nil
}

// complete ends the run when its last task has succeeded.
func (w *work) complete(ctx context.Context) error {
	if after(w.task.Name) != nil {
		return nil
	}
	return w.endRun(ctx, "success", "")
}

// giveUp ends the run: a task has failed for good.
func (w *work) giveUp(ctx context.Context, reason string) error {
	if err := w.closeRuns(ctx, reason); err != nil {
		return err
	}
	return w.endRun(ctx, "failed", trace(w.task.Name+": "+reason))
}

func (w *work) endRun(ctx context.Context, state, reason string) error {
	err := w.ensure(ctx, "end/"+state, &commands.EndWorkflowRun{RunID: w.run.id, State: state, Reason: reason})
	if err == nil {
		w.r.log.Info("workflow run ended", "workflow", w.run.workflow, "workflow_run", w.run.id, "state", state, "reason", reason)
	}
	return err
}
