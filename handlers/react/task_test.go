package react_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
)

func TestTries(t *testing.T) {
	for name, test := range map[string]struct {
		fails  []error // of the tries, then success
		tries  int
		state  string
		reason string
	}{
		"first":     {nil, 1, "success", ""},
		"third":     {[]error{errors.New("a"), errors.New("b")}, 3, "success", ""},
		"none":      {[]error{errors.New("a"), errors.New("b"), errors.New("c")}, 3, "failed", "knead: c"},
		"by code":   {[]error{fault.New(fault.Conflict, "nothing there")}, 1, "failed", "knead: nothing there"},
		"permanent": {[]error{fmt.Errorf("the key: %w", react.Permanent(errors.New("none")))}, 1, "failed", "knead: the key: none"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				try := 0
				b.run(b.config(b.TempDir(), nil), roles(func(_ context.Context, w *react.Work) (map[string]string, error) {
					if try++; try <= len(test.fails) {
						return nil, test.fails[try-1]
					}
					return map[string]string{"try": "good"}, nil
				}, well, nil))
				b.request("r1")
				run := b.ended("r1")
				task := run.TaskOf(knead)
				if try != test.tries || task.Try != test.tries || task.State != test.state || run.State != test.state || run.Reason != test.reason {
					t.Errorf("%d tries; run %+v", try, run)
				}
			})
		})
	}
	if react.Permanent(nil) != nil {
		t.Error("no error is permanent")
	}
}

func TestPanic(t *testing.T) {
	bubble(t, func(b *bench) {
		b.run(b.config(b.TempDir(), nil), roles(func(context.Context, *react.Work) (map[string]string, error) { panic("on purpose") }, well, nil))
		b.request("r1")
		if run := b.ended("r1"); run.State != "failed" || !strings.Contains(run.Reason, "on purpose") || run.TaskOf(knead).Try != 3 {
			t.Errorf("%+v", run)
		}
	})
}

// TestChain hands what a task found out to the one after it, and the run's conf to both.
func TestChain(t *testing.T) {
	bubble(t, func(b *bench) {
		var got, conf, run, workflow string
		b.run(b.config(b.TempDir(), nil), roles(func(_ context.Context, w *react.Work) (map[string]string, error) {
			return map[string]string{"grams": w.Conf()["grams"]}, nil
		}, func(_ context.Context, w *react.Work) (map[string]string, error) {
			conf, run, workflow = w.Conf()["grams"], w.RunID(), w.Workflow()
			if _, err := w.Input(knead, "litres"); !fault.Is(err, fault.Corrupt) {
				t.Errorf("an output there is not: %v", err)
			}
			return nil, w.Inputs(knead, map[string]*string{"grams": &got})
		}, nil))
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: bread, RunType: "manual", Conf: map[string]string{"grams": "500"}})
		if end := b.ended("r1"); end.State != "success" || got != "500" || conf != "500" || run != "r1" || workflow != bread {
			t.Errorf("%q %q %q %q; %+v", got, conf, run, workflow, end)
		}
	})
}

// TestFailed tells the role before its run ends as failed; again, if it gave an error.
func TestFailed(t *testing.T) {
	bubble(t, func(b *bench) {
		all := roles(well, func(context.Context, *react.Work) (map[string]string, error) {
			return nil, fault.New(fault.Invalid, "burnt")
		}, nil)
		told := 0
		for i := range all {
			if all[i].Name != baker {
				all[i].Failed = func(context.Context, *react.Work, string) error {
					t.Errorf("%s was told", all[i].Name)
					return nil
				}
				continue
			}
			all[i].Failed = func(ctx context.Context, w *react.Work, reason string) error {
				if run := b.workflowRun("r1"); run.Ended() || reason != "burnt" {
					t.Errorf("%s; %+v", reason, run)
				}
				if told++; told == 1 {
					return errors.New("not now")
				}
				return nil
			}
		}
		b.run(b.config(b.TempDir(), nil), all)
		b.request("r1")
		if run := b.ended("r1"); run.State != "failed" || told != 2 {
			t.Errorf("told %d times; %+v", told, run)
		}
	})
}

// TestCheckpoint ends a process, as told or not, once it has saved a checkpoint: the next one goes on from it,
// or anew where no node has its blob any more.
func TestCheckpoint(t *testing.T) {
	for name, test := range map[string]struct{ crash, blobsGone bool }{"crash": {true, false}, "stop": {false, false}, "blobs gone": {true, true}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bench) {
				m := &mortal{Dispatcher: b.outer}
				saved := make(chan struct{})
				_, stop := b.run(b.config(b.TempDir(), m), roles(func(ctx context.Context, w *react.Work) (map[string]string, error) {
					if state, err := w.Resume(ctx); state != nil || err != nil || !w.Due() {
						t.Errorf("at the first try: %q, %v, due %v", state, err, w.Due())
					}
					b.must(w.Save(ctx, []byte("half")))
					if w.Due() {
						t.Error("another one is due at once")
					}
					m.dead.Store(test.crash)
					close(saved)
					<-ctx.Done()
					return nil, ctx.Err()
				}, well, nil))
				b.request("r1")
				<-saved
				stop()
				halfway := b.workflowRun("r1")
				if state := halfway.TaskOf(knead).State; test.crash && state != "running" || !test.crash && state != "up_for_retry" {
					t.Errorf("after the end of the first process the task is %s", state)
				}
				c := b.config(b.TempDir(), nil)
				if test.blobsGone {
					var err error
					c.Blobs, err = blob.Open(b.TempDir())
					b.must(err)
				}
				var state []byte
				b.run(c, roles(func(ctx context.Context, w *react.Work) (_ map[string]string, err error) {
					state, err = w.Resume(ctx)
					return nil, err
				}, well, nil))
				run := b.ended("r1")
				tries := run.TaskOf(knead).Tries
				if want := map[bool]string{false: "half", true: ""}[test.blobsGone]; string(state) != want || run.State != "success" || len(tries) != 2 {
					t.Errorf("resumed %q; %+v", state, run)
				}
				if !test.crash && !strings.HasPrefix(tries[0].Error, "stopped: ") {
					t.Errorf("the first try: %+v", tries[0])
				}
				if n := len(all[events.TaskSucceeded](b)); n != 2 {
					t.Errorf("%d tasks succeeded; want each once", n)
				}
			})
		})
	}
}
