package react_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

// kitchen is a process in which tasks of the operator stir do what the test says.
type kitchen struct {
	*bench
	mu     sync.Mutex
	stirs  map[string]func(context.Context, *react.Work) error // by task; nil does well
	order  []string                                            // of the beginnings
	at     int                                                 // tasks at work now
	most   int
	output map[string]map[string]string
	stop   func()
}

// newKitchen starts one; stirs are what its first tasks do, where there are any at once.
func newKitchen(b *bench, stirs ...map[string]func(context.Context, *react.Work) error) *kitchen {
	return newKitchenOf(b, b.config(b.TempDir(), nil), stirs...)
}

func newKitchenOf(b *bench, c react.Config, stirs ...map[string]func(context.Context, *react.Work) error) *kitchen {
	k := &kitchen{bench: b, stirs: map[string]func(context.Context, *react.Work) error{}, output: map[string]map[string]string{}}
	for _, all := range stirs {
		maps.Copy(k.stirs, all)
	}
	all := roles(well, well, nil)
	all[3].Tasks[stir] = k.stir
	_, k.stop = b.run(c, all)
	return k
}

func (k *kitchen) stir(ctx context.Context, w *react.Work) (map[string]string, error) {
	k.mu.Lock()
	k.order = append(k.order, w.Task())
	k.at++
	k.most = max(k.most, k.at)
	do, out := k.stirs[w.Task()], k.output[w.Task()]
	k.mu.Unlock()
	defer func() { k.mu.Lock(); k.at--; k.mu.Unlock() }()
	if do == nil {
		return out, nil
	}
	return out, do(ctx, w)
}

// states are those of a run's tasks of which there are events.
func (k *kitchen) states(id string) map[string]string {
	all := map[string]string{}
	for _, t := range k.workflowRun(id).Tasks {
		all[t.Task] = t.State
	}
	return all
}

func (k *kitchen) runOf(name, id string, conf map[string]string) {
	k.Helper()
	k.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: name, RunType: "manual", Conf: conf})
}

func fails(context.Context, *react.Work) error { return react.Permanent(errors.New("burnt")) }

// TestGraph goes through a workflow that divides and comes together: what can go on beside goes on beside, in bounds, and
// rules and conditions decide what is done.
func TestGraph(t *testing.T) {
	const soup = `name: soup
params: [{name: salt, type: boolean, default: true}]
tasks:
  - {name: boil, operator: stir}
  - {name: carrots, operator: stir, needs: [boil]}
  - {name: leeks, operator: stir, needs: [boil]}
  - {name: salt, operator: stir, needs: [boil], when: params.salt == true}
  - {name: pepper, operator: stir, needs: [boil], when: tasks.boil.pot > 2}
  - {name: serve, operator: stir, needs: [carrots, leeks, salt, pepper], trigger_rule: none_failed}
  - {name: throw_away, operator: stir, needs: [carrots, leeks], trigger_rule: one_failed}
`
	for name, test := range map[string]struct {
		conf   map[string]string
		fails  string
		state  string
		states string
	}{
		"all":     {nil, "", "success", "boil carrots leeks salt serve"},
		"no salt": {map[string]string{"salt": "false"}, "", "success", "boil carrots leeks serve"},
		"burnt":   {nil, "leeks", "failed", "boil carrots leeks! salt throw_away"},
		"nothing": {nil, "boil", "failed", "boil!  throw_away"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				b.define(soup)
				k := newKitchen(b)
				k.output["boil"] = map[string]string{"pot": "1.5"}
				pause := func(ctx context.Context, _ *react.Work) error { time.Sleep(time.Second); return nil }
				k.stirs["carrots"], k.stirs["leeks"], k.stirs["salt"] = pause, pause, pause
				if test.fails != "" {
					k.stirs[test.fails] = fails
				}
				k.runOf("soup", "r1", test.conf)
				run := b.ended("r1")
				var did []string
				for task, state := range k.states("r1") {
					did = append(did, task+map[string]string{"success": "", "failed": "!"}[state])
				}
				want := strings.Fields(test.states)
				slices.Sort(did)
				slices.Sort(want)
				if run.State != test.state || !slices.Equal(did, want) {
					t.Errorf("%s %s: %v; want %v", run.State, run.Reason, did, want)
				}
				if name == "all" && k.most != 3 {
					t.Errorf("%d at once; want 3", k.most)
				}
				if test.fails != "" && run.Reason != test.fails+": burnt" {
					t.Errorf("the reason is %q", run.Reason)
				}
			})
		})
	}
}

// TestSlots has many tasks be due at once: a process works on as many as its role has slots, and no task is forgotten.
func TestSlots(t *testing.T) {
	bubble(t, func(b *bench) {
		text := "name: many\ntasks:\n"
		for i := range 50 {
			text += fmt.Sprintf("  - {name: t%d, operator: stir}\n", i)
		}
		b.define(text)
		k := newKitchen(b)
		for i := range 50 {
			k.stirs[fmt.Sprint("t", i)] = func(context.Context, *react.Work) error { time.Sleep(time.Second); return nil }
		}
		began := time.Now()
		k.runOf("many", "r1", nil)
		if run := b.ended("r1"); run.State != "success" || k.most != 4 || len(k.order) != 50 {
			t.Errorf("%s; %d at once, %d begun", run.State, k.most, len(k.order))
		}
		if took := time.Since(began); took > 14*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

const tea = `name: tea
max_active_runs: 1
timeout: 1h
tasks:
  - {name: boil, operator: stir}
  - {name: draw, operator: stir, needs: [boil], timeout: 10m, retries: 1, retry_delay: 30s}
  - {name: pour, operator: stir, needs: [draw]}
`

// TestClear does tasks of a run again that had failed, and then of one that had succeeded; a try under way ends.
func TestClear(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(tea)
		k := newKitchen(b)
		k.stirs["draw"] = fails
		k.runOf("tea", "r1", nil)
		if run := b.ended("r1"); run.State != "failed" {
			t.Fatalf("%+v", run)
		}
		k.mu.Lock()
		delete(k.stirs, "draw")
		k.mu.Unlock()
		b.dispatch(&commands.ClearTasks{RunID: "r1", Tasks: []string{"draw", "pour"}})
		if run := b.ended("r1"); run.State != "success" || run.TaskOf("draw").Try != 2 || run.TaskOf("boil").Try != 1 {
			t.Fatalf("%+v", run)
		}
		stopped := make(chan error, 1)
		k.mu.Lock()
		k.stirs["pour"] = func(ctx context.Context, w *react.Work) error {
			if w.Try() == 2 {
				b.dispatch(&commands.ClearTasks{RunID: "r1", Tasks: []string{"pour"}})
				<-ctx.Done()
				stopped <- ctx.Err()
				return ctx.Err()
			}
			return nil
		}
		k.mu.Unlock()
		b.dispatch(&commands.ClearTasks{RunID: "r1", Tasks: []string{"pour"}})
		cleared := time.Now()
		run := b.ended("r1")
		if took := time.Since(cleared); took > time.Second {
			t.Errorf("a task cleared while it was worked on began again after %v", took)
		}
		if run.State != "success" || run.TaskOf("pour").Try != 3 || len(stopped) != 1 {
			t.Errorf("%+v", run)
		}
		if n := len(all[events.WorkflowRunEnded](b)); n != 3 {
			t.Errorf("the run ended %d times; want 3", n)
		}
	})
}

// TestMark says by word what has become of tasks: of one that failed, and of one under way, which stops.
func TestMark(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(tea)
		k := newKitchen(b)
		k.stirs["draw"] = fails
		k.runOf("tea", "r1", nil)
		b.ended("r1")
		b.dispatch(&commands.MarkTask{RunID: "r1", Task: "draw", State: "success"})
		if run := b.ended("r1"); run.State != "success" || run.TaskOf("pour").State != "success" {
			t.Errorf("%+v", run)
		}
		k.mu.Lock()
		k.stirs["draw"] = func(ctx context.Context, _ *react.Work) error {
			b.dispatch(&commands.MarkTask{RunID: "r2", Task: "draw", State: "failed", Note: "cold"})
			<-ctx.Done()
			return ctx.Err()
		}
		k.mu.Unlock()
		k.runOf("tea", "r2", nil)
		if run := b.ended("r2"); run.State != "failed" || !strings.Contains(run.Reason, "cold") {
			t.Errorf("%+v", run)
		}
	})
}

// TestCancel ends a run at once; its task stops, and what it gave is discarded.
func TestCancel(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(tea)
		k := newKitchen(b)
		working, stopped := make(chan struct{}), make(chan struct{})
		k.stirs["draw"] = func(ctx context.Context, _ *react.Work) error {
			close(working)
			<-ctx.Done()
			close(stopped)
			return nil
		}
		k.runOf("tea", "r1", nil)
		<-working
		b.dispatch(&commands.EndWorkflowRun{RunID: "r1", State: "cancelled", Reason: "enough"})
		<-stopped
		b.settle()
		if run := b.workflowRun("r1"); run.State != "cancelled" || len(all[events.TaskSucceeded](b)) != 1 {
			t.Errorf("%+v", run)
		}
	})
}

// TestBounds: a workflow's runs wait for each other and while it is paused; a try, and a run, take no longer than they may.
func TestBounds(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define(tea)
		c := b.config(b.TempDir(), nil)
		c.Poll = 20 * time.Second // of more than an hour
		k := newKitchenOf(b, c)
		release := make(chan struct{})
		k.stirs["boil"] = func(ctx context.Context, w *react.Work) error {
			if w.RunID() == "r1" {
				<-release
			}
			return nil
		}
		k.runOf("tea", "r1", nil)
		b.settle()
		k.runOf("tea", "r2", nil)
		k.runOf("tea", "r3", nil)
		b.settle()
		if n := len(k.order); n != 1 {
			t.Errorf("%d tasks begun beside a run that may be alone", n)
		}
		b.dispatch(&commands.PauseWorkflow{Workflow: "tea"})
		close(release)
		b.ended("r1") // a run that has begun goes on
		b.settle()
		if run := b.workflowRun("r2"); run.State != "queued" {
			t.Errorf("a run of a paused workflow: %+v", run)
		}
		b.dispatch(&commands.UnpauseWorkflow{Workflow: "tea"})
		b.ended("r2")
		b.ended("r3")
		if got := strings.Join(k.order, " "); got != "boil draw pour boil draw pour boil draw pour" {
			t.Errorf("in the order %s", got)
		}

		waits := func(ctx context.Context, _ *react.Work) error { <-ctx.Done(); return ctx.Err() }
		k.mu.Lock()
		k.stirs["draw"] = waits
		k.mu.Unlock()
		began := time.Now()
		k.runOf("tea", "r4", nil)
		run := b.ended("r4")
		if took := time.Since(began); run.State != "failed" || !strings.Contains(run.Reason, "timeout of 10m") || took < 20*time.Minute || took > 22*time.Minute {
			t.Errorf("after %v: %+v", took, run)
		}
		k.mu.Lock()
		k.stirs["boil"] = waits
		k.mu.Unlock()
		began = time.Now()
		k.runOf("tea", "r5", nil)
		run = b.ended("r5")
		if took := time.Since(began); run.State != "failed" || !strings.Contains(run.Reason, "timeout of 1h") || took < time.Hour || took > time.Hour+time.Minute {
			t.Errorf("after %v: %+v", took, run)
		}
		synctest.Wait()
		if k.at != 0 {
			t.Errorf("%d tasks still at work", k.at)
		}
	})
}

// TestDefinitionInForce: a run goes by the definition of when it was requested, also after a restart and once another is
// in force; a run of a workflow that there is not ends.
func TestDefinitionInForce(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: lunch\ntasks:\n  - {name: old, operator: stir}\n")
		b.runOf("lunch", "r1")
		b.define("name: lunch\ntasks:\n  - {name: new, operator: stir}\n")
		b.runOf("lunch", "r2")
		b.runOf("dinner", "r3")
		newKitchen(b)
		did := map[string]string{}
		for _, id := range []string{"r1", "r2"} {
			for _, t := range b.ended(id).Tasks {
				did[id] += t.Task
			}
		}
		if want := map[string]string{"r1": "old", "r2": "new"}; !maps.Equal(did, want) {
			t.Errorf("%v", did)
		}
		if run := b.ended("r3"); run.State != projections.StateFailed || !strings.Contains(run.Reason, "no workflow dinner") {
			t.Errorf("%+v", run)
		}
	})
}

func (b *bench) runOf(name, id string) {
	b.Helper()
	b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: name, RunType: "manual"})
}

// TestDeleted: a run that is deleted under way stops, and another under its id begins anew; a workflow that is deleted has no slots.
func TestDeleted(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: w\nschedule: every 1h\ntasks: [{name: first, operator: stir}, {name: second, operator: stir, needs: [first]}]\n")
		k := newKitchen(b)
		var stopped atomic.Bool
		k.stirs["second"] = func(ctx context.Context, _ *react.Work) error {
			<-ctx.Done()
			stopped.Store(true)
			return ctx.Err()
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "w", RunType: "manual"})
		time.Sleep(time.Minute)
		b.dispatch(&commands.DeleteWorkflowRun{RunID: "r1"})
		time.Sleep(time.Minute)
		if !stopped.Load() {
			t.Error("its task goes on")
		}
		k.mu.Lock()
		k.stirs["second"] = nil
		k.mu.Unlock()
		b.dispatch(&commands.DeleteWorkflow{Workflow: "w"})
		time.Sleep(3 * time.Hour)
		for _, asked := range all[events.WorkflowRunRequested](b) {
			if asked.RunType == "scheduled" {
				t.Errorf("a slot of what was deleted: %+v", asked)
			}
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r2", Workflow: "w", RunType: "triggered"})
		time.Sleep(time.Minute)
		if run := b.workflowRun("r2"); run.State != "failed" || !strings.Contains(run.Reason, "there is no workflow w") {
			t.Errorf("a run of what was deleted: %+v", run)
		}
		b.define("name: w\ntasks: [{name: first, operator: stir}, {name: second, operator: stir, needs: [first]}]\n")
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "w", RunType: "manual"})
		time.Sleep(time.Minute)
		if run := b.workflowRun("r1"); run.State != "success" || run.TaskOf("first").Try != 1 || run.TaskOf("second").Try != 1 {
			t.Errorf("%+v", run)
		}
	})
}

// counting counts how often runs are read from their streams, and lags: what it reads on comes a while after it was appended.
type counting struct {
	streams.Ledger
	reads atomic.Int64
}

func (l *counting) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	if strings.HasPrefix(stream, "workflow-run/") {
		l.reads.Add(1)
	}
	return l.Ledger.ReadStream(ctx, stream, from)
}

func (l *counting) Wait(ctx context.Context, from int64) error {
	err := l.Ledger.Wait(ctx, from)
	select {
	case <-time.After(lag):
	case <-ctx.Done(): // else it outlasts the process
	}
	return err
}

// lag is longer than it takes until a work that did not come to its end is looked at again.
const lag = 10 * time.Second

// mute says what it is told, and loses the answer to the first end of a task.
type mute struct {
	react.Dispatcher
	lost atomic.Bool
}

func (d *mute) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	res, err := d.Dispatcher.Dispatch(ctx, c, m)
	if _, ends := c.(*commands.SucceedTask); ends && d.lost.CompareAndSwap(false, true) {
		return handlers.Result{}, fault.New(fault.Unavailable, "the answer is lost")
	}
	return res, err
}

// TestBegunOnce: a task whose work has returned is not looked at again before the ledger has shown its end, however late that is; a run that goes well is read
// from its stream once.
func TestBegunOnce(t *testing.T) {
	bubble(t, func(b *bench) {
		c := b.config(t.TempDir(), nil)
		ledger := &counting{Ledger: c.Ledger}
		c.Ledger = ledger
		var works atomic.Int64
		once := func(context.Context, *react.Work) (map[string]string, error) {
			works.Add(1)
			return nil, nil
		}
		b.run(c, roles(once, once, nil))
		b.request("r1")
		if run := b.ended("r1"); run.State != projections.StateSuccess {
			t.Errorf("%+v", run)
		}
		if reads, works := ledger.reads.Load(), works.Load(); reads != 1 || works != 2 {
			t.Errorf("the run was read from its stream %d times; its two tasks were worked on %d times", reads, works)
		}
	})
	bubble(t, func(b *bench) { // nor is it worked on again where nobody heard that its end was said
		c := b.config(t.TempDir(), &mute{Dispatcher: b.outer})
		c.Ledger = &counting{Ledger: c.Ledger}
		var works atomic.Int64
		once := func(context.Context, *react.Work) (map[string]string, error) {
			works.Add(1)
			return nil, nil
		}
		b.run(c, roles(once, once, nil))
		b.request("r1")
		if run := b.ended("r1"); run.State != projections.StateSuccess || works.Load() != 2 {
			t.Errorf("its two tasks were worked on %d times: %+v", works.Load(), run)
		}
	})
}
