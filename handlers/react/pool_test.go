package react_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
)

// chefs are processes whose tasks take a second each; it is counted how many are at work at once, on all of them.
type chefs struct {
	mu       sync.Mutex
	at, most int
	order    []string // beginnings
}

func (c *chefs) stir(ctx context.Context, w *react.Work) (map[string]string, error) {
	c.mu.Lock()
	c.at++
	c.most = max(c.most, c.at)
	c.order = append(c.order, w.RunID()+"."+w.Task())
	c.mu.Unlock()
	time.Sleep(time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at--
	return nil, nil
}

func (c *chefs) process(b *bench, subscribe func(string) (react.Group, error)) (stop func()) {
	cfg := b.config(b.TempDir(), nil)
	cfg.Subscribe = subscribe
	all := roles(well, well, nil)
	all[3].Tasks[stir] = c.stir
	_, stop = b.run(cfg, all)
	return stop
}

// TestPool: of a pool no more tasks are at work than it has slots, the greater priority first, then the earlier run; a pool that is not there is waited for,
// and one that wants more than there is holds up nobody.
func TestPool(t *testing.T) {
	bubble(t, func(b *bench) {
		c := &chefs{}
		b.define("name: oven\ntasks:\n  - {name: low, operator: stir, pool: oven}\n  - {name: high, operator: stir, pool: oven, priority: 5}\n")
		b.define("name: wide\ntasks: [{name: all, operator: stir, pool: oven, pool_slots: 3, priority: 9}]\n")
		for i := range 3 {
			b.dispatch(&commands.RequestWorkflowRun{RunID: fmt.Sprint("r", i), Workflow: "oven", RunType: "manual"})
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "w", Workflow: "wide", RunType: "manual"})
		c.process(b, nil)
		b.settle()
		if len(c.order) != 0 {
			t.Fatalf("%v were begun without a pool", c.order)
		}
		b.dispatch(&commands.DefinePool{Pool: "oven", Slots: 1})
		for i := range 3 {
			b.ended(fmt.Sprint("r", i))
		}
		if want := "r0.high r1.high r2.high r0.low r1.low r2.low"; strings.Join(c.order, " ") != want || c.most != 1 {
			t.Fatalf("%v, %d at once", c.order, c.most)
		}
		if run := b.workflowRun("w"); run.Ended() || len(run.Tasks) != 0 {
			t.Errorf("%+v", run)
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r3", Workflow: "oven", RunType: "manual"})
		b.dispatch(&commands.DefinePool{Pool: "oven", Slots: 3})
		b.ended("w")
		b.ended("r3")
		if c.most > 3 {
			t.Errorf("%d at once", c.most)
		}
	})
}

// greedy is a member of a group that takes itself for the only one, as does every other: the moment in which a group's place moves.
type greedy struct{}

func (*greedy) Assigned() (int64, bool) { return 0, true }
func (*greedy) Close() error            { return nil }
func (*greedy) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	go func() { <-ctx.Done(); close(out) }()
	return out, nil
}

// TestPoolOfNodes: slots of a pool hold where several nodes take tasks at the same moment, and where one dies at work; every task is done once.
func TestPoolOfNodes(t *testing.T) {
	bubble(t, func(b *bench) {
		c := &chefs{}
		b.dispatch(&commands.DefinePool{Pool: "oven", Slots: 2})
		b.define("name: oven\nmax_active_runs: 100\ntasks:\n  - {name: a, operator: stir, pool: oven}\n  - {name: b, operator: stir, pool: oven}\n")
		var stops []func()
		for range 3 {
			stops = append(stops, c.process(b, func(string) (react.Group, error) { return &greedy{}, nil }))
		}
		synctest.Wait()
		const n = 12
		for i := range n {
			b.dispatch(&commands.RequestWorkflowRun{RunID: fmt.Sprint("r", i), Workflow: "oven", RunType: "manual"})
		}
		time.Sleep(1500 * time.Millisecond)
		stops[0]() // its tasks are stopped, and go on elsewhere
		for i := range n {
			if run := b.ended(fmt.Sprint("r", i)); run.State != "success" {
				t.Errorf("%+v", run)
			}
		}
		if c.most > 2 {
			t.Errorf("%d at once", c.most)
		}
		if !slices.ContainsFunc(all[events.TaskFailed](b), func(e *events.TaskFailed) bool { return strings.Contains(e.Error, "another node was first") }) {
			t.Error("no node had to give a task back")
		}
		done := map[string]int{}
		for _, e := range all[events.TaskSucceeded](b) {
			done[e.RunID+"."+e.Task]++
		}
		for _, k := range slices.Sorted(maps.Keys(done)) {
			if done[k] != 1 {
				t.Errorf("%s succeeded %d times", k, done[k])
			}
		}
		if len(done) != 2*n {
			t.Errorf("%d tasks", len(done))
		}
	})
}
