package react_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections"
)

// TestLate: what is not over in its time is said once, by whichever process and also where nobody was there when it became late; what is in time, or never
// began, is not. Another workflow may be triggered by it.
func TestLate(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: slow\nsla: 20m\ntasks:\n  - {name: quick, operator: stir, sla: 1m}\n  - {name: never, operator: stir, when: params.no, sla: 1s}\n  - {name: long, operator: stir, needs: [quick], sla: 10m}\nparams: [{name: no, default: false}]\n")
		b.define("name: alarm\nparams: [{name: what}]\ntriggers: [{name: late, event: workflow.sla_missed, conf: {what: '{{ event.workflow }} {{ event.task }}'}}]\ntasks: [{name: knead, operator: knead}]\n")
		start := func() (*kitchen, func()) {
			k := &kitchen{bench: b, stirs: map[string]func(context.Context, *react.Work) error{"long": func(ctx context.Context, _ *react.Work) error {
				select {
				case <-time.After(30 * time.Minute):
				case <-ctx.Done():
				}
				return ctx.Err()
			}}, output: map[string]map[string]string{}}
			all := roles(well, well, nil)
			all[3].Tasks[stir] = k.stir
			c := b.config(b.TempDir(), nil)
			c.Feed, c.Poll = b.log.Feed(), 20*time.Second
			_, stop := b.run(c, all)
			return k, stop
		}
		_, one := start()
		_, two := start()
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "slow", RunType: "manual"})
		late := func() string {
			var all []string
			for c, err := range b.log.Ledger().Read(t.Context(), 0) {
				b.must(err)
				for i := range c.Events {
					if e, ok := c.Events[i].Data.(*events.WorkflowSLAMissed); ok {
						all = append(all, fmt.Sprintf("%s.%s due %s", e.RunID, e.Task, time.UnixMilli(e.DueMillis).UTC().Format("15:04")))
					}
				}
			}
			return strings.Join(all, ", ")
		}
		time.Sleep(9 * time.Minute)
		if got := late(); got != "" {
			t.Fatalf("too early: %s", got)
		}
		time.Sleep(2 * time.Minute)
		if got := late(); got != "r1.long due 00:10" {
			t.Fatalf("%s", got)
		}
		one()
		two()
		time.Sleep(25 * time.Minute)
		start()
		b.ended("r1")
		b.settle()
		if got := late(); got != "r1.long due 00:10, r1. due 00:20" {
			t.Errorf("%s", got)
		}
		run := b.workflowRun("r1")
		if i := slices.IndexFunc(run.Tasks, func(t projections.Task) bool { return t.Task == "long" }); !run.Late || run.SLAMissedMillis == 0 || run.Tasks[i].SLAMissedMillis == 0 {
			t.Errorf("%+v", run)
		}
		var told []string
		for _, e := range b.triggered() {
			told = append(told, e.Conf["what"])
		}
		if strings.Join(told, ", ") != "slow long, slow " {
			t.Errorf("%q", told)
		}
	})
}

// TestRetryNow: a task that waits for its next try begins it at once when it is told to, and no other.
func TestRetryNow(t *testing.T) {
	bubble(t, func(b *bench) {
		b.define("name: w\ntasks: [{name: stir, operator: stir, retries: 3, retry_delay: 1h, retry_backoff: 1}]\n")
		k := newKitchen(b)
		fails := 2
		k.stirs["stir"] = func(context.Context, *react.Work) error {
			if fails--; fails >= 0 {
				return errors.New("not yet")
			}
			return nil
		}
		began := time.Now()
		k.runOf("w", "r1", nil)
		b.settle()
		b.dispatch(&commands.HastenTask{RunID: "r1", Task: "stir"})
		b.settle()
		if run := b.workflowRun("r1"); run.Tasks[0].Try != 2 || run.Tasks[0].State != "up_for_retry" {
			t.Fatalf("%+v", run.Tasks)
		}
		run := b.ended("r1")
		if took := time.Since(began); run.State != "success" || run.Tasks[0].Try != 3 || took < time.Hour || took > time.Hour+5*time.Minute {
			t.Errorf("%s after %v at try %d", run.State, took, run.Tasks[0].Try)
		}
	})
}
