package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What the ledger refuses, and in what words.

func (s suite) invalidCommits(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	for name, c := range map[string]streams.Commit{
		"no stream name":    commit("c", "", streams.AnyRevision, 1),
		"control character": commit("c", "model/\x00als", streams.AnyRevision, 1),
		"not UTF-8":         commit("c", "model/\xff", streams.AnyRevision, 1),
		"no id":             commit("", "model/als", streams.AnyRevision, 1),
		"id with a space":   commit("a b", "model/als", streams.AnyRevision, 1),
		"long id":           commit(strings.Repeat("x", streams.CommitIDBytesMax+1), "model/als", streams.AnyRevision, 1),
		"no events":         commit("c", "model/als", streams.AnyRevision, 0),
		"bad revision":      commit("c", "model/als", -3, 1),
		"no data":           {ID: "c", Stream: "model/als", Expected: streams.AnyRevision, Events: []events.Event{{ID: "e"}}},
	} {
		if _, err := l.Ledger().Append(ctx, c); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v; want code %s", name, err, fault.Invalid)
		}
	}
	if head, err := l.Ledger().Head(ctx, time.Time{}); err != nil || head != 0 {
		t.Errorf("head %d, %v after refused commits", head, err)
	}
}

func (s suite) commitLimits(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	_, err := l.Ledger().Append(ctx, commit("many", "model/als", streams.AnyRevision, streams.CommitEventsMax+1))
	wantCode(t, err, fault.TooLarge)
	_, err = l.Ledger().Append(ctx, commit("name", strings.Repeat("x", streams.StreamBytesMax+1), streams.AnyRevision, 1))
	wantCode(t, err, fault.TooLarge)
	big := commit("big", "model/als", streams.AnyRevision, 1)
	big.Events[0].Data = &events.ModelRegistered{Name: "als", Description: strings.Repeat("x", streams.RecordBytesMax)}
	_, err = l.Ledger().Append(ctx, big)
	wantCode(t, err, fault.TooLarge)
	big.Events[0].Data = &events.ModelRegistered{Name: "als", Description: strings.Repeat("x", streams.RecordBytesMax-1000)}
	mustAppend(t, l, big)
	full := commit("full", "model/full", streams.AnyRevision, streams.CommitEventsMax)
	full.Stream = strings.Repeat("y", streams.StreamBytesMax)
	r := mustAppend(t, l, full)
	if r.Revision != streams.CommitEventsMax-1 {
		t.Fatalf("revision %d", r.Revision)
	}
	all := collect(t, l.Ledger().Read(ctx, 0))
	if len(all) != 2 || len(all[0].Events[0].Data.(*events.ModelRegistered).Description) != streams.RecordBytesMax-1000 || len(all[1].Events) != streams.CommitEventsMax {
		t.Fatalf("%d commits are read", len(all))
	}
}

func (s suite) canceled(t *testing.T) {
	l := s.open(t)
	mustAppend(t, l, commit("c0", "run/1", streams.AnyRevision, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Ledger().Append(ctx, commit("c1", "run/1", streams.AnyRevision, 1)); !isContext(err) || fault.Is(err, fault.Conflict) {
		t.Errorf("append: %v", err)
	}
	if err := firstError(l.Ledger().Read(ctx, 0)); !isContext(err) {
		t.Errorf("read: %v", err)
	}
	if err := firstError(l.Ledger().ReadStream(ctx, "run/1", 0)); !isContext(err) {
		t.Errorf("read stream: %v", err)
	}
	if err := l.Ledger().Wait(ctx, 1000); !isContext(err) {
		t.Errorf("wait: %v", err)
	}
}

func (s suite) closedLedger(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	mustAppend(t, l, commit("c0", "run/1", streams.AnyRevision, 1))
	waited := make(chan error, 1)
	go func() { waited <- l.Ledger().Wait(ctx, 1000) }()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("close again: %v", err)
	}
	wantCode(t, <-waited, fault.Unavailable)
	_, err := l.Ledger().Append(ctx, commit("c1", "run/1", streams.AnyRevision, 1))
	wantCode(t, err, fault.Unavailable)
	_, err = l.Ledger().Head(ctx, time.Time{})
	wantCode(t, err, fault.Unavailable)
	wantCode(t, l.Ledger().Wait(ctx, 0), fault.Unavailable)
	wantCode(t, firstError(l.Ledger().Read(ctx, 0)), fault.Unavailable)
	wantCode(t, firstError(l.Ledger().ReadStream(ctx, "run/1", 0)), fault.Unavailable)
}
