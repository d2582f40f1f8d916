package react_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams/local"
)

// The workflow of these tests: bread is kneaded by one role and baked by another.
const (
	bread   = "bread"
	knead   = "knead"
	bake    = "bake"
	kneader = "kneader"
	baker   = "baker"
	stir    = "stir"
	cook    = "cook"   // a role that stirs, whatever the test wants
	ringer  = "ringer" // a role that handles films, and has no tasks
)

// recipe is its definition.
const recipe = `name: bread
tasks:
  - {name: knead, operator: knead}
  - {name: bake, operator: bake, needs: [knead]}
`

// operators are what tasks of these tests are made of.
func operators() workflow.Operators {
	return workflow.Operators{
		knead: {Name: knead, OpenOutputs: true, Conf: func(map[string]string) error { return nil }},
		bake:  {Name: bake, Inputs: []string{knead}, OpenOutputs: true},
		stir:  {Name: stir, OpenOutputs: true, Args: []workflow.Param{{Name: "what", Default: new(string)}}},
	}
}

// do is the work of a task.
type do = react.TaskFunc

func well(context.Context, *react.Work) (map[string]string, error) { return nil, nil }

// roles are those of the workflow, and the one that handles films.
func roles(kneading, baking do, handle func(context.Context, *react.Reaction) error) []react.Role {
	if handle == nil {
		handle = func(context.Context, *react.Reaction) error { return nil }
	}
	return []react.Role{
		{Name: ringer, Handle: handle, Wants: func(ev *events.Event) bool { _, ok := ev.Data.(*events.MovieListed); return ok }},
		{Name: kneader, Tasks: map[string]react.TaskFunc{knead: kneading}},
		{Name: baker, Tasks: map[string]react.TaskFunc{bake: baking}},
		{Name: cook, Tasks: map[string]react.TaskFunc{stir: well}, Slots: 4},
	}
}

// bench is a log that any number of processes share. Its time is the bubble's.
type bench struct {
	*testing.T
	log   *local.Log
	blobs *blob.Store
	outer *handlers.Dispatcher // of the test itself
}

// bubble runs a test in a bubble of its own, where waiting takes no time.
func bubble(t *testing.T, test func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{T: t}
		var err error
		b.log, err = local.OpenMem(local.Options{ReserveBytes: -1, Logf: t.Logf})
		b.must(err)
		t.Cleanup(func() { b.log.Close() })
		b.blobs, err = blob.Open(t.TempDir())
		b.must(err)
		b.outer = b.dispatcher(time.Now)
		b.define(recipe)
		test(b)
	})
}

func (b *bench) dispatcher(now func() time.Time) *handlers.Dispatcher {
	return handlers.New(handlers.Config{Ledger: b.log.Ledger(), Feed: b.log.Feed(), Now: now, NewID: uuid.NewString})
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// config is one process's.
func (b *bench) config(dir string, d react.Dispatcher) react.Config {
	if d == nil {
		d = b.outer
	}
	return react.Config{Dispatcher: d, Ledger: b.log.Ledger(), Blobs: b.blobs, Dir: dir, Operators: operators(), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
}

// run starts a process; stop ends it and waits.
func (b *bench) run(c react.Config, roles []react.Role) (r *react.Reactors, stop func()) {
	b.Helper()
	r, err := react.New(c, roles...)
	b.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	b.Cleanup(stop)
	return r, stop
}

func (b *bench) dispatch(c commands.Command) handlers.Result {
	b.Helper()
	res, err := b.outer.Dispatch(b.Context(), c, handlers.Meta{Actor: "test"})
	b.must(err)
	return res
}

// define puts a definition in force.
func (b *bench) define(source string) {
	b.Helper()
	d, err := workflow.Parse([]byte(source), operators())
	b.must(err)
	b.dispatch(&commands.DefineWorkflow{Workflow: d.Name, Source: source, Hash: d.Hash()})
}

// request asks for a run of the workflow.
func (b *bench) request(id string) {
	b.Helper()
	b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: bread, RunType: "manual"})
}

// list makes an event for the ringer.
func (b *bench) list(movie string) {
	b.Helper()
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: movie, Title: "A film"}})
}

// settle lets a minute pass, and returns when all processes wait for something.
func (b *bench) settle() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (b *bench) workflowRun(id string) projections.WorkflowRun {
	b.Helper()
	run, _, err := projections.FoldWorkflowRun(b.log.Ledger().ReadStream(context.Background(), "workflow-run/"+id, 0), fold.At{})
	b.must(err)
	return run
}

// stat is that of one reactor.
func (b *bench) stat(r *react.Reactors, name string) react.Stat {
	b.Helper()
	for _, s := range r.Stats(b.Context()) {
		if s.Reactor == name {
			return s
		}
	}
	b.Fatalf("no reactor %s", name)
	return react.Stat{}
}

// ended waits for the end of a run: until the ledger has it. The limit, of the bubble's time, only ends a
// test that would hang.
func (b *bench) ended(id string) projections.WorkflowRun {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 24*time.Hour)
	defer cancel()
	for {
		head, err := b.log.Ledger().Head(ctx, time.Time{})
		b.must(err)
		if run := b.workflowRun(id); run.State != "" && run.Ended() {
			return run
		}
		if err := b.log.Ledger().Wait(ctx, head); err != nil {
			b.Fatalf("run %s does not end: %v; the ledger holds\n%s", id, err, strings.Join(b.history(), "\n"))
		}
	}
}

// all are the ledger's events of a type T.
func all[T any, P interface {
	*T
	events.Data
}](b *bench) []*T {
	var found []*T
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		b.must(err)
		for i := range c.Events {
			if d, ok := c.Events[i].Data.(P); ok {
				found = append(found, (*T)(d))
			}
		}
	}
	return found
}

func (b *bench) history() []string {
	var lines []string
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		b.must(err)
		for i := range c.Events {
			lines = append(lines, fmt.Sprintf("%d %s %+v", c.Position.Offset, c.Events[i].Type(), c.Events[i].Data))
		}
	}
	return lines
}

// mortal is a dispatcher of a process that can die: then nothing it says reaches the log.
type mortal struct {
	react.Dispatcher
	dead atomic.Bool
}

func (m *mortal) Dispatch(ctx context.Context, c commands.Command, meta handlers.Meta) (handlers.Result, error) {
	if m.dead.Load() {
		return handlers.Result{}, fault.New(fault.Unavailable, "the process is dead")
	}
	return m.Dispatcher.Dispatch(ctx, c, meta)
}
