package react

import (
	"bytes"
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
)

// Work is one try of a task by this process: what a [TaskFunc] knows of its run, and says of itself.
type Work struct {
	Reaction
	runs       *runs
	task       *workflow.Task
	definition *workflow.Definition
	run        *runFold
	holder     string
	try        int
	checkpoint string // of an earlier try, "" without one
	failures   int    // of earlier tries
	watched    int64  // see commands.StartTask
	started    int64  // offset of the try's beginning
	ended      int64  // offset of the task's end, where it was this work that said it; else 0
	place      *claim // at the gate

	cancel context.CancelCauseFunc

	lastSaved time.Time

	logger *slog.Logger    // nil before the try
	out    *tasklog.Writer // nil where there is none

	mu         sync.Mutex // one renewal at a time; and of the stage
	stage      string
	staged     time.Time // when it was said last
	renewals   int
	leaseUntil time.Time
}

// RunID is the workflow run's.
func (w *Work) RunID() string { return w.run.id }

// Workflow is the name of the run's workflow.
func (w *Work) Workflow() string { return w.run.workflow }

// Conf is what the run was requested with, to read only.
func (w *Work) Conf() map[string]string { return w.run.conf }

// Try is the number of the try, from 1.
func (w *Work) Try() int { return w.try }

// Task is the task's name.
func (w *Work) Task() string { return w.task.Name }

// Args are the arguments of the task, with the values of its run in place. Errors: fault.Invalid for one that the operator
// does not take, that names a variable which is not set, or a secret that there is not.
func (w *Work) Args() (map[string]string, error) { return w.argsOf(w.task) }

// ArgsOf are the arguments of another task of the run.
func (w *Work) ArgsOf(task string) (map[string]string, error) {
	return w.argsOf(w.definition.Task(task))
}

func (w *Work) argsOf(t *workflow.Task) (map[string]string, error) {
	run := w.run.asRun()
	for _, key := range t.Variables() {
		value, ok, err := "", false, error(nil)
		if w.runs.cfg.Variable != nil {
			value, ok, err = w.runs.cfg.Variable(key)
		}
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, fault.New(fault.Invalid, "the variable %s, which task %s names, is not set", key, t.Name).WithHint("projectionist variables set %s VALUE, and clear the task", key)
		}
		if run.Variables == nil {
			run.Variables = map[string]string{}
		}
		run.Variables[key] = value
	}
	for _, name := range t.Secrets() {
		value, err := w.runs.cfg.Secrets.Get(name)
		if err != nil {
			return nil, err
		}
		if run.Secrets == nil {
			run.Secrets = map[string]string{}
		}
		run.Secrets[name] = value
	}
	return t.Args(w.runs.cfg.Operators[t.Operator], run)
}

// ConfOf is what of the run's conf is for an operator that takes entries which the workflow does not declare.
func (w *Work) ConfOf(operator string) map[string]string {
	return w.definition.ConfOf(w.runs.cfg.Operators[operator], w.run.conf)
}

// Cleared is how often the task was cleared before.
func (w *Work) Cleared() int { return w.run.task(w.task.Name).cleared }

// From is the task of an operator whose outputs this one reads.
func (w *Work) From(operator string) string { return w.task.Inputs[operator] }

// Input is what the task of an operator, an earlier one of the run, has put out.
func (w *Work) Input(operator, name string) (string, error) {
	task := w.From(operator)
	v, ok := w.run.task(task).output[name]
	if !ok {
		return "", fault.New(fault.Corrupt, "workflow run %s: task %s has put out no %s", w.run.id, task, name).
			WithHint("request a new run")
	}
	return v, nil
}

// Inputs reads several outputs of the task of an operator.
func (w *Work) Inputs(operator string, to map[string]*string) error {
	for name, at := range to {
		v, err := w.Input(operator, name)
		if err != nil {
			return err
		}
		*at = v
	}
	return nil
}

// Progress says how far the work is, for people: done of so many, in the stage's own unit; of is 0 while unknown.
func (w *Work) Progress(stage string, done, of int64) {
	w.runs.progress(w, stage, done, of)
	w.sayProgress(stage, done, of)
}

// Due says whether it is time for another checkpoint.
func (w *Work) Due() bool { return w.runs.cfg.Clock().Sub(w.lastSaved) >= w.runs.cfg.CheckpointEvery }

// Save keeps a checkpoint for the next try: the blob first, then the event that names it.
func (w *Work) Save(ctx context.Context, state []byte) error {
	w.lastSaved = w.runs.cfg.Clock()
	hash, _, err := w.PutBlob(ctx, state)
	if err != nil {
		return err
	}
	return w.renew(ctx, hash)
}

// Resume is the last checkpoint's content, nil without one. One that is gone or damaged is none: the
// work begins anew.
func (w *Work) Resume(ctx context.Context) ([]byte, error) {
	if w.checkpoint == "" {
		return nil, nil
	}
	b, err := w.Blob(ctx, w.checkpoint)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Corrupt) {
		w.Log().Warn("the checkpoint cannot be used; the task begins anew", "error", err)
		return nil, nil
	}
	return b, err
}

// Blob reads a blob, and waits for one that is on its way from another node.
func (w *Work) Blob(ctx context.Context, hash string) ([]byte, error) {
	if err := w.runs.cfg.Blobs.Await(ctx, hash, blobTimeout); err != nil {
		return nil, err
	}
	return w.runs.cfg.Blobs.Get(hash)
}

// PutBlob stores a blob under its SHA-256. It comes before the event that names it.
func (w *Work) PutBlob(ctx context.Context, content []byte) (sha256 string, size int64, err error) {
	return w.runs.cfg.Blobs.Put(ctx, bytes.NewReader(content))
}

// Now is the dispatcher's clock.
func (w *Work) Now() time.Time { return w.runs.cfg.Clock() }

// step names a step of this try alone.
func (w *Work) step(parts ...string) string {
	return strings.Join(append([]string{w.task.Name, strconv.Itoa(w.try), w.holder}, parts...), "/")
}

func (w *Work) start(ctx context.Context, try int) error {
	w.try = try
	res, err := w.Dispatch(ctx, w.step("start"), &commands.StartTask{RunID: w.run.id, Task: w.task.Name, Holder: w.holder,
		LeaseMillis: w.runs.cfg.Lease.Milliseconds(), WatchedMillis: w.watched})
	if err != nil {
		return err
	}
	started, ok := res.Events[0].Data.(*events.TaskStarted)
	if !ok {
		return fault.New(fault.Internal, "StartTask was answered with a %s", res.Events[0].Type())
	}
	w.started = res.Position.Offset
	w.try, w.leaseUntil = started.Try, time.UnixMilli(started.LeaseUntilMillis)
	return nil
}

func (w *Work) succeed(ctx context.Context, output map[string]string) error {
	res, err := w.Dispatch(ctx, w.step("succeed"), &commands.SucceedTask{RunID: w.run.id, Task: w.task.Name, Try: w.try, Holder: w.holder, Output: w.maskedOutput(output)})
	if err == nil {
		w.ended = res.Position.Offset
	}
	return err
}

func (w *Work) fail(ctx context.Context, message string, retryAtMillis int64) error {
	_, err := w.Dispatch(ctx, w.step("fail"), &commands.FailTask{RunID: w.run.id, Task: w.task.Name, Try: w.try, Holder: w.holder,
		Error: Trace(w.masked(message)), RetryAtMillis: retryAtMillis, WatchedMillis: w.watched})
	return err
}
