package react

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
)

// taskBench has a requested run, and performs its first task with any work.
type taskBench struct {
	*bench
	cause events.Event
}

func newTaskBench(t *testing.T) *taskBench {
	b := newBench(t)
	return &taskBench{b, b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: DataCollection, RunType: "manual"}).Events[0]}
}

func (b *taskBench) perform(r *Reactors, do workFunc) error {
	return r.perform(b.t.Context(), first(DataCollection), "r1", &b.cause, do)
}

func TestTries(t *testing.T) {
	for name, test := range map[string]struct {
		fails  []error // of the tries, then success
		tries  int
		state  string
		reason string
	}{
		"first":     {nil, 1, "success", ""},
		"third":     {[]error{errors.New("a"), errors.New("b")}, 3, "success", ""},
		"none":      {[]error{errors.New("a"), errors.New("b"), errors.New("c")}, 3, "failed", "fetch_movies: c"},
		"not again": {[]error{fault.New(fault.Conflict, "nothing there")}, 1, "failed", "fetch_movies: nothing there"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newTaskBench(t)
			try := 0
			err := b.perform(b.reactors(b.config(t.TempDir(), nil)), func(context.Context, *work) (map[string]string, error) {
				if try++; try <= len(test.fails) {
					return nil, test.fails[try-1]
				}
				return map[string]string{"try": "good"}, nil
			})
			must(t, err)
			run := b.workflowRun("r1")
			task := run.TaskOf(taskFetch)
			if try != test.tries || task.Try != test.tries || task.State != test.state || run.Reason != test.reason {
				t.Errorf("%d tries; run %+v", try, run)
			}
			if test.state == "failed" && run.State != "failed" {
				t.Errorf("the run is %s", run.State)
			}
		})
	}
}

func TestPanic(t *testing.T) {
	b := newTaskBench(t)
	must(t, b.perform(b.reactors(b.config(t.TempDir(), nil)), func(context.Context, *work) (map[string]string, error) { panic("on purpose") }))
	if run := b.workflowRun("r1"); run.State != "failed" || !strings.Contains(run.Reason, "on purpose") || run.TaskOf(taskFetch).Try != 3 {
		t.Errorf("%+v", run)
	}
}

// TestLostLease has a process whose renewals stop reaching the log while it works; another takes over,
// and the first one's result is discarded.
func TestLostLease(t *testing.T) {
	b := newTaskBench(t)
	cut := &mortal{Dispatcher: b.outer}
	var discarded atomic.Bool
	taken := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		err := b.perform(b.reactors(b.config(t.TempDir(), cut)), func(ctx context.Context, w *work) (map[string]string, error) {
			cut.dead.Store(true)
			<-ctx.Done() // the lease runs out
			discarded.Store(errors.Is(context.Cause(ctx), errLost))
			<-taken
			cut.dead.Store(false) // the log can be reached again
			return map[string]string{"by": "first"}, nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	b.wait("first worker", func() bool { return cut.dead.Load() })
	must(t, b.perform(b.reactors(b.config(t.TempDir(), nil)), func(ctx context.Context, w *work) (map[string]string, error) {
		if w.try != 2 {
			t.Errorf("try %d", w.try)
		}
		close(taken)
		return map[string]string{"by": "second"}, nil
	}))
	both.Wait()
	if !discarded.Load() {
		t.Error("the first worker was not told")
	}
	if got := all[events.TaskSucceeded](b.bench); len(got) != 1 || got[0].Output["by"] != "second" {
		t.Errorf("%+v", got)
	}
}

// TestSuccessor starts anew on the folder of a process that died: it need not wait for the lease.
func TestSuccessor(t *testing.T) {
	b := newTaskBench(t)
	dir := t.TempDir()
	c := b.config(dir, nil)
	c.Lease, c.Heartbeat, c.Exclusive, c.CrashesMax = time.Hour, time.Minute, true, 2
	dies := func(run string) { // at work on the run's first task
		m := &mortal{Dispatcher: b.outer}
		c := c
		c.Dispatcher = m
		ctx, cancel := context.WithCancel(t.Context())
		b.reactors(c).perform(ctx, first(DataCollection), run, &b.cause, func(ctx context.Context, w *work) (map[string]string, error) {
			m.dead.Store(true)
			cancel()
			return nil, ctx.Err()
		})
	}
	dies("r1")
	tried := 0
	must(t, b.perform(b.reactors(c), func(context.Context, *work) (map[string]string, error) {
		tried++
		return nil, nil
	}))
	run := b.workflowRun("r1")
	if task := run.TaskOf(taskFetch); tried != 1 || task.State != "success" || task.Try != 2 || !strings.HasPrefix(task.Tries[0].Error, crashed) {
		t.Errorf("%d; %+v", tried, task)
	}

	// Crashes in a row are counted all the same.
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r2", Workflow: DataCollection, RunType: "manual"})
	dies("r2")
	dies("r2")
	must(t, b.reactors(c).perform(t.Context(), first(DataCollection), "r2", &b.cause, func(context.Context, *work) (map[string]string, error) {
		t.Error("tried again")
		return nil, nil
	}))
	if run := b.workflowRun("r2"); run.State != "failed" || !strings.Contains(run.Reason, "2 workers in a row") {
		t.Errorf("%+v", run)
	}
}

func TestGivesUpOnCrashes(t *testing.T) {
	b := newTaskBench(t)
	c := b.config(t.TempDir(), nil)
	c.CrashesMax = 3
	for range 3 { // workers that die at once
		b.wait("start", func() bool {
			_, err := b.outer.Dispatch(t.Context(), &commands.StartTask{RunID: "r1", Task: taskFetch, Holder: time.Now().String(), LeaseMillis: 5}, handlers.Meta{})
			return err == nil
		})
	}
	must(t, b.perform(b.reactors(c), func(context.Context, *work) (map[string]string, error) {
		t.Error("tried again")
		return nil, nil
	}))
	if run := b.workflowRun("r1"); run.State != "failed" || !strings.Contains(run.Reason, "3 workers in a row") {
		t.Errorf("%+v", run)
	}
}

func TestGate(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	for _, test := range []struct {
		moments           int
		model, popularity float64
		deployed          *float64
		name              string
		promote           bool
		reason            string
	}{
		{0, 0, 0, nil, "", true, "nothing is deployed"},
		{29, 0, .1, nil, "", true, "29 moments"},
		{29, .3, 0, at(.2), "als/1", false, "29 moments"},
		{30, .2, .1, nil, "", true, "0.2000"},
		{30, .1, .1, nil, "", true, ""},
		{30, .09, .1, nil, "", false, "below popularity"},
		{30, .2, .1, at(.21), "als/1", true, "als/1 recorded 0.2100"},
		{30, .19, .1, at(.2), "als/1", true, ""}, // 5 % below, not more
		{30, .1899, .1, at(.2), "als/1", false, "more than 5 % below"},
		{30, .2, .1, nil, "als/1", true, ""}, // one without a record
	} {
		promote, reason := gate(test.moments, test.model, test.popularity, test.deployed, test.name)
		if promote != test.promote || !strings.Contains(reason, test.reason) || reason == "" {
			t.Errorf("%+v: %v, %s", test, promote, reason)
		}
	}
}
