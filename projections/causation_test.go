package projections_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// TestChain: from any event of it, back to the fact that nothing in the ledger led to, and all that came of that.
func TestChain(t *testing.T) {
	log := must[*local.Log](t)(local.OpenMem(local.Options{ReserveBytes: -1, Logf: t.Logf}))
	defer log.Close()
	d := handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})
	dispatch := func(cause string, c commands.Command) string {
		t.Helper()
		res := must[handlers.Result](t)(d.Dispatch(t.Context(), c, handlers.Meta{Actor: "test", Causation: cause}))
		return res.Events[0].ID
	}
	request := dispatch("fact", &commands.RequestWorkflowRun{RunID: "w", Workflow: "x", RunType: "triggered",
		Triggered: &events.Triggered{Trigger: "drift", EventID: "fact", Type: "model.drift", Position: "model-drift-alerts/0@4", Counted: 1, Cut: "model-drift-alerts/0:5"}})
	started := dispatch(request, &commands.StartTask{RunID: "w", Task: "a", Holder: "h", LeaseMillis: 1000})
	for range 3 {
		dispatch(request, &commands.RenewTaskLease{RunID: "w", Task: "a", Try: 1, Holder: "h", LeaseMillis: 1000})
	}
	done := dispatch(request, &commands.SucceedTask{RunID: "w", Task: "a", Try: 1, Holder: "h"})
	ended := dispatch(done, &commands.EndWorkflowRun{RunID: "w", State: "success"})
	dispatch("", &commands.CreateExperiment{Name: "another"})

	store := must[*fold.Store](t)(fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()}))
	defer store.Close()
	r := must[*fold.Runner](t)(fold.NewRunner(t.Context(), log, store, func() fold.View { return projections.NewAudit() }))
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); r.Run(ctx) }()
	defer func() { stop(); <-ran }()
	head := must[int64](t)(log.Ledger().Head(ctx, time.Time{}))
	must0(t, r.Wait(ctx, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}, "audit"))
	v := fold.Of[*projections.Audit](r)

	var tell func(l *projections.Link) string
	tell = func(l *projections.Link) string {
		s := strings.TrimPrefix(l.Type, "workflow.")
		if s == "" {
			s = l.EventID + " at " + l.Position
		}
		if l.Asked {
			s += "!"
		}
		var then []string
		for _, x := range l.Then {
			then = append(then, tell(x))
		}
		if len(then) > 0 {
			s += " (" + strings.Join(then, ", ") + ")"
		}
		return s
	}
	for id, want := range map[string]string{
		"fact":  "fact at model-drift-alerts/0@4! (run_requested (task_started, task_succeeded (run_ended)))",
		ended:   "fact at model-drift-alerts/0@4 (run_requested (task_started, task_succeeded (run_ended!)))",
		started: "fact at model-drift-alerts/0@4 (run_requested (task_started!, task_succeeded (run_ended)))",
	} {
		c := must[*projections.Chain](t)(v.Chain(id, false))
		if got := tell(c.Root); got != want || c.LeftOut != 3 || c.Events != 5 || c.Truncated {
			t.Errorf("%s: %s; %+v", id, got, c)
		}
	}
	if c := must[*projections.Chain](t)(v.Chain(ended, true)); c.Events != 8 || c.LeftOut != 0 {
		t.Errorf("with all: %+v", c)
	}
	if _, err := v.Chain("nobody", false); !fault.Is(err, fault.NotFound) {
		t.Errorf("of nothing: %v", err)
	}
	for i := range projections.ChainMax + 10 {
		dispatch(ended, &commands.CreateExperiment{Name: fmt.Sprint("e", i)})
	}
	head = must[int64](t)(log.Ledger().Head(ctx, time.Time{}))
	must0(t, r.Wait(ctx, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}, "audit"))
	if c := must[*projections.Chain](t)(v.Chain("fact", false)); c.Events > projections.ChainMax || !c.Truncated {
		t.Errorf("a long one: %d events", c.Events)
	}
}
