package react_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
)

// TestLostLease has a process whose renewals stop reaching the log while it works; another takes over,
// and the first one's result is discarded.
func TestLostLease(t *testing.T) {
	bubble(t, func(b *bench) {
		cut := &mortal{Dispatcher: b.outer}
		working, taken, lost := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		b.run(b.config(b.TempDir(), cut), roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
			cut.dead.Store(true)
			close(working)
			<-ctx.Done() // the lease runs out
			lost <- context.Cause(ctx)
			<-taken
			cut.dead.Store(false) // the log can be reached again
			return map[string]string{"by": "first"}, nil
		}, well, nil))
		b.request("r1")
		<-working
		b.run(b.config(b.TempDir(), nil), roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
			if w.Try() != 2 {
				t.Errorf("try %d", w.Try())
			}
			close(taken)
			return map[string]string{"by": "second"}, nil
		}, well, nil))
		b.ended("r1")
		b.settle()
		if err := <-lost; err == nil || !strings.Contains(err.Error(), "lease") {
			t.Errorf("the first worker was told %v", err)
		}
		if got := all[events.TaskSucceeded](b); len(got) != 2 || got[0].Output["by"] != "second" || got[1].Task != bake {
			t.Errorf("%+v", got)
		}
	})
}

// TestSuccessor starts anew on the folder of a process that died: it need not wait for the lease.
func TestSuccessor(t *testing.T) {
	bubble(t, func(b *bench) {
		dir := b.TempDir()
		c := b.config(dir, nil)
		c.Lease, c.Heartbeat, c.Exclusive, c.CrashesMax = time.Hour, time.Minute, true, 2
		dies := func() { // at work on the task
			m := &mortal{Dispatcher: b.outer}
			c := c
			c.Dispatcher = m
			working := make(chan struct{})
			_, stop := b.run(c, roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
				m.dead.Store(true)
				close(working)
				<-ctx.Done()
				return nil, ctx.Err()
			}, well, nil))
			<-working
			stop()
		}
		b.request("r1")
		dies()
		tried := 0
		began := time.Now()
		_, stop := b.run(c, roles(func(context.Context, *react.Work) (map[string]string, error) {
			tried++
			return nil, nil
		}, well, nil))
		run := b.ended("r1")
		stop()
		if task := run.TaskOf(knead); tried != 1 || task.State != "success" || task.Try != 2 || !strings.HasPrefix(task.Tries[0].Error, "crashed: ") {
			t.Errorf("%d; %+v", tried, task)
		}
		if waited := time.Since(began); waited > time.Minute {
			t.Errorf("it waited %v", waited)
		}

		// Crashes in a row are counted all the same.
		b.request("r2")
		dies()
		dies()
		b.run(c, roles(func(context.Context, *react.Work) (map[string]string, error) {
			t.Error("tried again")
			return nil, nil
		}, well, nil))
		if run := b.ended("r2"); run.State != "failed" || !strings.Contains(run.Reason, "2 workers in a row") {
			t.Errorf("%+v", run)
		}
	})
}

func TestGivesUpOnCrashes(t *testing.T) {
	bubble(t, func(b *bench) {
		b.request("r1")
		for range 3 { // workers that die at once
			b.dispatch(&commands.StartTask{RunID: "r1", Task: knead, Holder: time.Now().String(), LeaseMillis: 5})
			time.Sleep(5 * time.Millisecond)
		}
		c := b.config(b.TempDir(), nil)
		c.CrashesMax = 3
		b.run(c, roles(func(context.Context, *react.Work) (map[string]string, error) {
			t.Error("tried again")
			return nil, nil
		}, well, nil))
		if run := b.ended("r1"); run.State != "failed" || !strings.Contains(run.Reason, "3 workers in a row") {
			t.Errorf("%+v", run)
		}
	})
}

// TestClocksApart lets a worker die while another's clock is an hour before or behind: the task is taken
// over when its lease was seen to stand still for its length, not before, and not an hour later.
func TestClocksApart(t *testing.T) {
	const lease, heartbeat, poll = 15 * time.Second, 5 * time.Second, 2 * time.Second
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				m := &mortal{Dispatcher: b.outer}
				c := b.config(b.TempDir(), m)
				c.Lease, c.Heartbeat, c.Poll = lease, heartbeat, poll
				working, die := make(chan struct{}), make(chan struct{})
				b.run(c, roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
					close(working)
					<-die
					m.dead.Store(true)
					<-ctx.Done()
					return nil, ctx.Err()
				}, well, nil))
				b.request("r1")
				<-working
				c.Dir = b.TempDir()
				c.Clock = func() time.Time { return time.Now().Add(off) }
				c.Dispatcher = b.dispatcher(c.Clock)
				taken := make(chan struct{})
				b.run(c, roles(func(context.Context, *react.Work) (map[string]string, error) {
					close(taken)
					return nil, nil
				}, well, nil))
				select {
				case <-taken:
					t.Error("taken from a worker that lives")
				case <-time.After(10*lease + heartbeat/2):
				}
				close(die)
				died := time.Now()
				<-taken
				if after := time.Since(died); after < lease-heartbeat || after > lease+poll {
					t.Errorf("taken over %v after the worker died, whose lease was of %v, renewed every %v", after, lease, heartbeat)
				}
				if run := b.ended("r1"); run.TaskOf(knead).State != "success" || run.TaskOf(knead).Try != 2 {
					t.Errorf("%+v", run.TaskOf(knead))
				}
			})
		})
	}
}

// Who is gone is told by the folder, and by who may write the log.
func TestGone(t *testing.T) {
	bubble(t, func(b *bench) {
		of := func(dir string, exclusive bool) *react.Reactors {
			c := b.config(dir, nil)
			c.Exclusive = exclusive
			r, err := react.New(c, roles(well, well, nil)...)
			b.must(err)
			return r
		}
		dir := b.TempDir()
		before, elsewhere := of(dir, false).Holder("operations"), of(b.TempDir(), false).Holder("operations")
		for _, exclusive := range []bool{false, true} {
			now := of(dir, exclusive)
			for holder, want := range map[string]bool{before: true, elsewhere: exclusive, "node-b/1": exclusive, now.Holder("operations"): false} {
				if got := now.Gone(holder); got != want {
					t.Errorf("exclusive %v: %s is gone: %v", exclusive, holder, got)
				}
			}
		}
	})
}
