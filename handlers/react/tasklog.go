package react

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/streams"
)

const (
	// keepAtOnce is how many logs are kept at once: where many tries end together, others are to begin meanwhile.
	keepAtOnce = 8
	// logTimeout bounds how long the log of a try may take to be kept, its turn included; one that takes longer is kept at the next start.
	logTimeout = 10 * time.Second
	// progressEvery is how often a stage's progress is a line of a task's log.
	progressEvery = 10 * time.Second
)

// openLog begins the log of the try. What cannot be written is told here, and the try goes on without.
func (w *Work) openLog() {
	log := w.runs.log.With("workflow_run", w.run.id, "task", w.task.Name, "try", w.try)
	out, err := w.runs.cfg.TaskLogs.Create(tasklog.ID{Run: w.run.id, Task: w.task.Name, Try: w.try})
	if err != nil {
		log.Error("a try goes on without a log of its own", "error", err)
		w.logger = log
		return
	}
	w.out, w.logger = out, out.Logger(log.Handler())
}

// Log is for what people should know of the work: it is in the log of the try, and in that of the process.
func (w *Work) Log() *slog.Logger {
	if w.logger == nil { // of what is done for a task without a try
		return w.runs.log
	}
	return w.logger
}

// say adds a line to the log of the try alone.
func (w *Work) say(level, text string) {
	if w.out != nil {
		w.out.Line(w.Now(), level, text)
	}
}

// TaskLog is the log of the try, for what is written as it comes; nil where there is none.
func (w *Work) TaskLog() *tasklog.Writer { return w.out }

// sayResult says in the log what came of the try.
func (w *Work) sayResult(output map[string]string, err error, retryAtMillis int64) {
	if err == nil {
		for _, name := range slices.Sorted(maps.Keys(output)) {
			w.say("INFO", name+" = "+output[name])
		}
		return
	}
	w.say("ERROR", err.Error())
	if retryAtMillis != 0 {
		w.say("INFO", "the task is tried again at "+events.FormatTime(time.UnixMilli(retryAtMillis)))
	} else {
		w.say("ERROR", "the task is not tried again")
	}
}

// sayProgress says in the log which stage the work is at, and now and then how far.
func (w *Work) sayProgress(stage string, done, of int64) {
	now := w.Now()
	w.mu.Lock()
	due := stage != w.stage || now.Sub(w.staged) >= progressEvery || of > 0 && done == of
	if due {
		w.stage, w.staged = stage, now
	}
	w.mu.Unlock()
	switch {
	case due && of > 0:
		w.say("INFO", stage+": "+number(done)+" of "+number(of))
	case due:
		w.say("INFO", stage+": "+number(done))
	}
}

// keepLog keeps the log of a try that is over.
func (w *Work) keepLog(ctx context.Context) {
	if w.out == nil {
		return
	}
	if err := w.out.Err(); err != nil {
		w.runs.log.Warn("the log of a try lacks lines", "workflow_run", w.run.id, "task", w.task.Name, "try", w.try, "error", err)
	}
	if err := w.out.Close(); err != nil {
		w.runs.log.Warn("the log of a try could not be closed", "workflow_run", w.run.id, "task", w.task.Name, "try", w.try, "error", err)
	}
	limit := logTimeout
	if ctx.Err() != nil { // the program ends
		limit = endTimeout
	}
	w.runs.gate.calm(ctx)
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer done()
	id := tasklog.ID{Run: w.run.id, Task: w.task.Name, Try: w.try}
	if err := w.runs.keepInTurn(ctx, id, w.Meta(w.step("log"))); err != nil {
		w.runs.log.Warn("the log of a try is kept at the next start", "workflow_run", id.Run, "task", id.Task, "try", id.Try, "error", err)
	}
}

// keepInTurn keeps a log when no more than some others are being kept.
func (s *runs) keepInTurn(ctx context.Context, id tasklog.ID, m handlers.Meta) error {
	select {
	case s.keeping <- struct{}{}:
		defer func() { <-s.keeping }()
		return s.keep(ctx, id, m)
	case <-ctx.Done():
		return fault.Wrap(fault.Unavailable, ctx.Err(), "others took too long to be kept")
	}
}

// keep makes a blob of a log, has an event name it, and removes the files.
func (s *runs) keep(ctx context.Context, id tasklog.ID, m handlers.Meta) error {
	in := s.cfg.TaskLogs.Reader(id)
	hash, size, err := s.cfg.Blobs.Put(ctx, in)
	in.Close() //nolint:errcheck // of a pipe
	if err != nil {
		return err
	}
	_, err = s.cfg.Dispatcher.Dispatch(ctx, &commands.KeepTaskLog{RunID: id.Run, Task: id.Task, Try: id.Try, Log: hash, Bytes: size}, m)
	if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) { // else it is kept, or of another log
		return err
	}
	return s.cfg.TaskLogs.Remove(id)
}

// keepLeftover keeps the logs of tries whose process was killed, before others are begun.
func (s *runs) keepLeftover(ctx context.Context) {
	all, err := s.cfg.TaskLogs.Leftover()
	if err != nil {
		s.log.Warn("the logs of tries that were cut off cannot be kept", "error", err)
	}
	for _, id := range all {
		if err := s.keepCutOff(ctx, id); err != nil {
			s.log.Warn("the log of a try that was cut off is kept at the next start", "workflow_run", id.Run, "task", id.Task, "try", id.Try, "error", err)
			if ctx.Err() != nil {
				return
			}
		}
	}
}

func (s *runs) keepCutOff(ctx context.Context, id tasklog.ID) error {
	ctx, done := context.WithTimeout(ctx, logTimeout)
	defer done()
	run, err := s.fold(ctx, id.Run)
	if err != nil {
		return err
	}
	if t := run.tasks[id.Task]; t != nil && t.try == id.Try && t.state == taskRunning {
		out, err := s.cfg.TaskLogs.Create(id)
		if err != nil {
			return err
		}
		out.Line(s.cfg.Clock(), "ERROR", "the process that worked on it is gone; what it said up to then is above")
		if err := out.Close(); err != nil {
			return err
		}
	}
	return s.keep(ctx, id, handlers.Meta{Actor: "reactor:" + engineName, Correlation: id.Run,
		IdempotencyKey: engineName + "/" + HashID("log", id.Run, id.Task, number(int64(id.Try)))})
}

// onlyLog says whether a commit is about logs of tries alone, which change nothing of a run.
func onlyLog(c *streams.Committed) bool {
	return !slices.ContainsFunc(c.Events, func(ev events.Event) bool { _, is := ev.Data.(*events.TaskLogKept); return !is })
}

// masked is an error's text, or an output, without what may not be in the log.
func (w *Work) masked(text string) string {
	if mask := w.runs.cfg.TaskLogs.Mask; mask != nil {
		return mask(text)
	}
	return text
}

func (w *Work) maskedOutput(output map[string]string) map[string]string {
	var all map[string]string
	for name, value := range output {
		if clean := w.masked(value); clean != value {
			if all == nil {
				all = maps.Clone(output)
			}
			all[name] = clean
		}
	}
	if all == nil {
		return output
	}
	return all
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
