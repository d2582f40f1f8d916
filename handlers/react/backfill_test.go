package react_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// ran are the runs there are, by their slot, with type and state.
func (b *bench) ran() string {
	b.Helper()
	var told []string
	for _, e := range all[events.WorkflowRunRequested](b) {
		told = append(told, fmt.Sprintf("%s %s %s", time.UnixMilli(e.IntervalEndMillis).UTC().Format("02"), e.RunType, b.workflowRun(e.RunID).State))
	}
	slices.Sort(told)
	return strings.Join(told, ", ")
}

func (b *bench) backfill(id string, from, to time.Time, active int, again bool) {
	b.Helper()
	b.dispatch(&commands.RequestBackfill{BackfillID: id, Workflow: "daily", FromMillis: from.UnixMilli(), ToMillis: to.UnixMilli(), MaxActive: active, RerunFailed: again})
}

// TestBackfill: each interval without a run gets one, in bounds and in order, whatever dies meanwhile; failed ones are done again where that is asked for; and
// what was cancelled asks for nothing more.
func TestBackfill(t *testing.T) {
	bubble(t, func(b *bench) {
		day := func(n int) time.Time { return time.Date(1999, 12, n, 0, 0, 0, 0, time.UTC) }
		b.define("name: daily\nschedule: '@daily'\ntasks: [{name: stir, operator: stir, retries: 0}]\n")
		b.dispatch(&commands.RequestWorkflowRun{RunID: workflow.ScheduledRunID("daily", day(12)), Workflow: "daily", RunType: "scheduled", LogicalMillis: day(11).UnixMilli(), IntervalEndMillis: day(12).UnixMilli()})
		newKitchen(b).stop()
		burnt := false
		start := func() *kitchen {
			return newKitchen(b, map[string]func(context.Context, *react.Work) error{"stir": func(ctx context.Context, w *react.Work) error {
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				if strings.Contains(w.RunID(), "12-13") && !burnt {
					burnt = true
					return react.Permanent(fmt.Errorf("burnt"))
				}
				return nil
			}})
		}
		one, two := start(), start()
		synctest.Wait()
		b.backfill("b1", day(10), day(14), 2, false)
		time.Sleep(15 * time.Second)
		one.stop()
		two.stop()
		b.settle()
		three := start()
		b.settle()
		if got, want := b.ran(), "11 backfill success, 12 scheduled success, 13 backfill failed, 14 backfill success, 15 backfill success"; got != want {
			t.Fatalf("%s; want %s", got, want)
		}
		if three.most > 2 || one.most > 2 {
			t.Errorf("%d at once", three.most)
		}
		ended := all[events.BackfillEnded](b)
		if len(ended) != 1 || ended[0].State != "done" {
			t.Errorf("%+v", ended)
		}
		b.backfill("b2", day(10), day(14), 1, true)
		b.settle()
		if got := b.ran(); strings.Contains(got, "failed") || len(all[events.TasksCleared](b)) != 1 || len(all[events.WorkflowRunRequested](b)) != 5 {
			t.Errorf("%s", got)
		}
		b.backfill("b3", day(1), day(9), 1, false)
		time.Sleep(15 * time.Second)
		b.dispatch(&commands.EndBackfill{BackfillID: "b3", State: "cancelled"})
		b.settle()
		if n := len(all[events.WorkflowRunRequested](b)); n != 7 {
			t.Errorf("%d runs after the cancelled one", n-5)
		}
		b.backfill("b4", day(31), day(31).AddDate(1, 0, 0), 5, false) // of what has not come
		b.settle()
		if n, ended := len(all[events.WorkflowRunRequested](b)), all[events.BackfillEnded](b); n != 8 || len(ended) != 4 {
			t.Errorf("%d runs, %d backfills ended", n, len(ended))
		}
	})
}

// TestBackfillSteered: a backfill that is paused asks for nothing until it goes on, on another node too; the last interval may come first; runs go by the conf; and what ended
// well is done again where that is asked for, once.
func TestBackfillSteered(t *testing.T) {
	bubble(t, func(b *bench) {
		day := func(n int) int64 { return time.Date(1999, 12, n, 0, 0, 0, 0, time.UTC).UnixMilli() }
		b.define("name: daily\nschedule: '@daily'\nparams: [{name: heat, type: whole, default: 1}]\ntasks: [{name: stir, operator: stir, retries: 0}]\n")
		start := func() *kitchen {
			return newKitchen(b, map[string]func(context.Context, *react.Work) error{"stir": func(ctx context.Context, _ *react.Work) error {
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
					return ctx.Err()
				}
				return nil
			}})
		}
		one := start()
		synctest.Wait()
		b.dispatch(&commands.RequestBackfill{BackfillID: "b1", Workflow: "daily", FromMillis: day(10), ToMillis: day(14), MaxActive: 1, LatestFirst: true, Conf: map[string]string{"heat": "7"}})
		time.Sleep(15 * time.Second)
		b.dispatch(&commands.PauseBackfill{BackfillID: "b1"})
		b.settle()
		one.stop()
		start()
		b.settle()
		if got := b.ran(); got != "14 backfill success, 15 backfill success" {
			t.Fatalf("while it was paused: %s", got)
		}
		if ended := all[events.BackfillEnded](b); len(ended) != 0 {
			t.Fatalf("%+v", ended)
		}
		b.dispatch(&commands.UnpauseBackfill{BackfillID: "b1"})
		b.settle()
		asked := all[events.WorkflowRunRequested](b)
		if len(asked) != 5 || len(all[events.BackfillEnded](b)) != 1 {
			t.Fatalf("%s", b.ran())
		}
		for i, e := range asked {
			if e.IntervalEndMillis != day(15-i) || e.Conf["heat"] != "7" {
				t.Errorf("%d: %+v", i, e)
			}
		}
		b.dispatch(&commands.RequestBackfill{BackfillID: "b2", Workflow: "daily", FromMillis: day(13), ToMillis: day(14), MaxActive: 1, RerunDone: true})
		time.Sleep(15 * time.Second)
		start() // another node
		b.settle()
		if again, ended := all[events.TasksCleared](b), all[events.BackfillEnded](b); len(again) != 2 || len(ended) != 2 || !strings.HasSuffix(b.ran(), "15 backfill success") {
			t.Errorf("%+v, %+v: %s", again, ended, b.ran())
		}
	})
}
