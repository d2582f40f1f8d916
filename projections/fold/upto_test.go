package fold_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// TestUpTo: a log as it was has what the cut covers and nothing else, whichever way it is read, and takes nothing.
func TestUpTo(t *testing.T) {
	log, ctx := testLog(t), t.Context()
	tell := func(stream string) {
		t.Helper()
		c := streams.Commit{ID: uuid.NewString(), Stream: stream, Expected: streams.AnyRevision,
			Events: []events.Event{{ID: uuid.NewString(), Source: "/test", Time: time.UnixMilli(1).UTC(), Data: &events.ExperimentDeleted{ExperimentID: "1"}}}}
		if _, err := log.Ledger().Append(ctx, c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		tell(fmt.Sprint("experiment/", i%2))
	}
	publish(t, log, 0, 60, func(int) string { return "m" })
	head, err := fold.HeadCut(ctx, log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	ledger, acts := streams.TP{Topic: events.LedgerTopic}, streams.TP{Topic: events.UserEventsTopic, Partition: 1}
	if head[acts] < 5 {
		t.Fatalf("a partition has only %d acts", head[acts])
	}
	for _, cut := range []streams.Cut{{}, {ledger: 3, acts: 4}, {ledger: 6}, {ledger: 99, acts: 99}} {
		was := fold.UpTo(log, cut)
		var commits, of1, facts, records int64
		for c, err := range was.Ledger().Read(ctx, 0) {
			if err != nil || c.Position.Offset >= cut[ledger] {
				t.Fatal(c, err)
			}
			commits++
		}
		for _, err := range was.Ledger().ReadStream(ctx, "experiment/1", 0) {
			if err != nil {
				t.Fatal(err)
			}
			of1++
		}
		for rec, err := range was.Feed().Read(ctx, acts, 0) {
			if err != nil || rec.Offset >= cut[acts] {
				t.Fatal(rec, err)
			}
			facts++
		}
		for _, err := range was.Feed().Read(ctx, ledger, 0) {
			if err != nil {
				t.Fatal(err)
			}
			records++
		}
		end, err := fold.HeadCut(ctx, was, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		wantLedger, wantActs := min(cut[ledger], head[ledger]), min(cut[acts], head[acts])
		if commits != wantLedger || records != wantLedger || of1 != wantLedger/2 || facts != wantActs || end[ledger] != wantLedger || end[acts] != wantActs {
			t.Errorf("up to %s: %d commits, %d of a stream, %d records, %d facts, end %s", cut, commits, of1, records, facts, end)
		}
		_, err = was.Ledger().Append(ctx, streams.Commit{})
		if !fault.Is(err, fault.Forbidden) || !fault.Is(was.Feed().Publish(ctx, events.UserEventsTopic, nil), fault.Forbidden) {
			t.Errorf("it was written to: %v", err)
		}
		over, cancel := context.WithCancel(ctx)
		cancel()
		if err := was.Ledger().Wait(over, cut[ledger]); err == nil {
			t.Error("something came after the end")
		}
		if cut[ledger] > 0 && was.Ledger().Wait(ctx, 0) != nil {
			t.Error("what is there was waited for")
		}
		if err := was.Close(); err != nil {
			t.Error(err)
		}
	}
}
