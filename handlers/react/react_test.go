package react_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

// TestCursors starts a second time, which sees nothing again; and without the cursors, which sees all again
// and does nothing.
func TestCursors(t *testing.T) {
	bubble(t, func(b *bench) {
		rings := 0
		all := roles(well, well, func(ctx context.Context, a *react.Reaction) error {
			rings++
			_, err := a.Dispatch(ctx, "ring", &commands.CreateExperiment{Name: "rung for " + a.Cause().Data.(*events.MovieListed).MovieID})
			return err
		})
		again := func(dir string) (handled int64) {
			r, stop := b.run(b.config(dir, nil), all)
			b.settle()
			// What was dealt with is in the file also where the process does not end cleanly.
			raw, err := os.ReadFile(filepath.Join(dir, "reactors", ringer+".cursor"))
			b.must(err)
			var kept struct{ Offset int64 }
			if err := json.Unmarshal(raw, &kept); err != nil || kept.Offset < 2 {
				t.Errorf("the cursor holds %s, %v", raw, err)
			}
			stop()
			for _, s := range r.Stats(b.Context()) {
				if !s.Here || s.Lag != 0 || s.Failed != 0 {
					t.Errorf("%+v", s)
				}
				handled += s.Handled
			}
			return handled
		}
		head := func() int64 {
			n, err := b.log.Ledger().Head(b.Context(), time.Time{})
			b.must(err)
			return n
		}
		b.request("r1")
		b.list("1")
		b.list("2")
		dir := b.TempDir()
		if n := again(dir); n != 2 || rings != 2 {
			t.Errorf("%d events were handled, %d films", n, rings)
		}
		before := head()
		if n := again(dir); n != 0 {
			t.Errorf("%d events were seen again with a cursor", n)
		}
		if n := again(b.TempDir()); n != 2 || rings != 4 {
			t.Errorf("%d events were seen without a cursor, %d films; want 2", n, rings-2)
		}
		if after := head(); after != before {
			t.Errorf("the ledger grew from %d to %d", before, after)
		}
	})
}

func TestCursorFile(t *testing.T) {
	for name, content := range map[string]string{"garbage": "no json", "empty": "", "beyond": `{"format":"projectionist-cursor 1","offset":1000000}`} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				b.list("1")
				dir := b.TempDir()
				b.must(os.MkdirAll(filepath.Join(dir, "reactors"), 0o755))
				b.must(os.WriteFile(filepath.Join(dir, "reactors", ringer+".cursor"), []byte(content), 0o644))
				r, _ := b.run(b.config(dir, nil), roles(well, well, nil))
				b.settle()
				if s := b.stat(r, ringer); s.Handled != 1 || s.Offset != 2 {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestReactorsApart has a task that does not end while another role reacts.
func TestReactorsApart(t *testing.T) {
	bubble(t, func(b *bench) {
		working, end, rung := make(chan struct{}), make(chan struct{}), make(chan struct{})
		r, _ := b.run(b.config(b.TempDir(), nil), roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
			w.Progress("rise", 1, 2)
			close(working)
			<-end
			return nil, nil
		}, well, func(context.Context, *react.Reaction) error {
			close(rung)
			return nil
		}))
		b.request("r1")
		<-working
		b.list("1")
		<-rung
		began := time.Now()
		want := react.Task{WorkflowRun: "r1", Workflow: bread, Task: knead, Reactor: kneader, Try: 1, Started: began, Stage: "rise", Done: 1, Of: 2}
		if p := r.Progress(); len(p) != 1 || p[0] != want {
			t.Errorf("%+v", p)
		}
		close(end)
		if run := b.ended("r1"); run.State != "success" {
			t.Errorf("%s %s", run.State, run.Reason)
		}
		b.settle()
		if p := r.Progress(); len(p) != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// TestReaction says things twice, in the ways there are.
func TestReaction(t *testing.T) {
	bubble(t, func(b *bench) {
		experiment := func(name, description string) *commands.CreateExperiment {
			return &commands.CreateExperiment{Name: name, Description: description}
		}
		b.dispatch(experiment("there", ""))
		run := react.HashID("run")
		metrics := func(v float64) *commands.LogMetrics {
			return &commands.LogMetrics{RunID: run, Metrics: []events.Metric{{Key: "k", Value: events.Number(v), TimestampMillis: 1}}}
		}
		b.dispatch(&commands.StartRun{RunID: run, ExperimentID: experiment("there", "").ExperimentID()})
		done := make(chan struct{})
		b.run(b.config(b.TempDir(), nil), roles(well, well, func(ctx context.Context, a *react.Reaction) error {
			defer close(done)
			for range 2 {
				_, err := a.Dispatch(ctx, "new", experiment("new", ""))
				b.must(err)
			}
			if _, err := a.Dispatch(ctx, "other", experiment("there", "")); !fault.Is(err, fault.Conflict) {
				t.Errorf("what is there already: %v", err)
			}
			b.must(a.Ensure(ctx, "ensured", experiment("there", "")))
			b.must(a.Create(ctx, "created", metrics(3))) // the run is there already
			b.must(a.Once(ctx, "metrics", metrics(1)))
			b.must(a.Once(ctx, "metrics", metrics(2)))
			if _, err := a.Dispatch(ctx, "metrics", metrics(2)); !fault.Is(err, fault.Conflict) {
				t.Errorf("another thing under the same key: %v", err)
			}
			return nil
		}))
		b.list("1")
		<-done
		if n := len(all[events.ExperimentCreated](b)); n != 2 {
			t.Errorf("%d experiments", n)
		}
		if m := all[events.RunMetricsLogged](b); len(m) != 1 || m[0].Metrics[0].Value != 1 {
			t.Errorf("%+v", m)
		}
	})
}

func TestConfig(t *testing.T) {
	_, err := react.New(react.Config{})
	for _, field := range []string{"Dispatcher", "Ledger", "Blobs", "Dir", "roles"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	for name, break_ := range map[string]func(*react.Config, *[]react.Role){
		"Heartbeat": func(c *react.Config, _ *[]react.Role) { c.Lease, c.Heartbeat = time.Second, time.Second },
		"twice":     func(_ *react.Config, r *[]react.Role) { *r = append(*r, (*r)[0]) },
		"../up":     func(_ *react.Config, r *[]react.Role) { (*r)[0].Name = "../up" },
		"Handle":    func(_ *react.Config, r *[]react.Role) { (*r)[0].Handle = nil },
		bake:        func(_ *react.Config, r *[]react.Role) { *r = (*r)[:2] },
		"burn":      func(_ *react.Config, r *[]react.Role) { (*r)[2].Tasks = map[string]react.TaskFunc{"burn": well} },
		knead:       func(_ *react.Config, r *[]react.Role) { (*r)[2].Tasks[knead] = well },
		"toast":     func(c *react.Config, _ *[]react.Role) { c.Operators["toast"] = &workflow.Operator{Name: "toast"} },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				c, all := b.config(b.TempDir(), nil), roles(well, well, nil)
				break_(&c, &all)
				word := map[bool]string{true: ringer, false: name}[name == "twice"]
				if _, err := react.New(c, all...); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), word) {
					t.Errorf("%v does not name %s", err, word)
				}
			})
		})
	}
}
