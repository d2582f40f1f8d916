package conformance

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func (s suite) ledger(t *testing.T) {
	t.Run("OK_Empty", s.empty)
	t.Run("OK_RoundTrip", s.roundTrip)
	t.Run("OK_Order", s.order)
	t.Run("OK_Revisions", s.revisions)
	t.Run("ErrConflict_LeavesNothing", s.conflict)
	t.Run("OK_IdempotentCommit", s.idempotent)
	t.Run("OK_ReadStreamFromAnyRevision", s.readStream)
	t.Run("OK_StreamNames", s.streamNames)
	t.Run("OK_HeadByTime", s.ledgerHead)
	t.Run("OK_Wait", s.ledgerWait)
	t.Run("OK_RacingWriters", s.race)
	t.Run("OK_SameCommitRaces", s.sameCommit)
	t.Run("OK_StopEarly", s.stopEarly)
	t.Run("OK_LedgerAsFeed", s.ledgerAsFeed)
	t.Run("ErrInvalid", s.invalidCommits)
	t.Run("OK_Limits", s.commitLimits)
	t.Run("OK_Foreign", s.foreign)
	t.Run("OK_NoCommits", s.noCommits)
	t.Run("OK_Reopen", s.reopenLedger)
	t.Run("ErrContext", s.canceled)
	t.Run("ErrClosed", s.closedLedger)
}

func (s suite) empty(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	if head, err := l.Ledger().Head(ctx, time.Time{}); err != nil || head != 0 {
		t.Fatalf("head of an empty ledger: %d, %v", head, err)
	}
	if head, err := l.Ledger().Head(ctx, time.Now()); err != nil || head != 0 {
		t.Fatalf("head of an empty ledger now: %d, %v", head, err)
	}
	if all := collect(t, l.Ledger().Read(ctx, 0)); len(all) != 0 {
		t.Fatalf("an empty ledger has %d commits", len(all))
	}
	if all := collect(t, l.Ledger().ReadStream(ctx, "model/none", 0)); len(all) != 0 {
		t.Fatalf("a stream that does not exist has %d commits", len(all))
	}
	if all := collect(t, l.Ledger().Read(ctx, 1000)); len(all) != 0 {
		t.Fatalf("there are %d commits beyond the head", len(all))
	}
	wantCode(t, firstError(l.Ledger().Read(ctx, -1)), fault.Invalid)
}

func (s suite) roundTrip(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	c := commit("c1", "model/als", streams.NoStream, 3)
	c.Events[1].Data = &events.RunMetricsLogged{RunID: "r<&>", Metrics: []events.Metric{{Key: "ndcg@10 \u2028 é", Value: 0.1 + 0.2, Step: -1, TimestampMillis: 1 << 60}}}
	before := time.Now()
	r := mustAppend(t, l, c)
	if r.Duplicate || r.Revision != 2 || r.Position.Topic != events.LedgerTopic || r.Position.Partition != 0 {
		t.Fatalf("receipt %+v", r)
	}
	if r.Recorded.Location() != time.UTC || r.Recorded != r.Recorded.Truncate(time.Millisecond) {
		t.Errorf("recorded %v; want UTC milliseconds (the append began at %v)", r.Recorded, before)
	}
	for _, all := range [][]*streams.Committed{collect(t, l.Ledger().Read(ctx, 0)), collect(t, l.Ledger().ReadStream(ctx, "model/als", 0))} {
		if len(all) != 1 {
			t.Fatalf("read %d commits; want 1", len(all))
		}
		got := all[0]
		if got.Position != r.Position || got.Revision != 0 || !got.Recorded.Equal(r.Recorded) || got.ID != c.ID || got.Stream != c.Stream || got.Expected != c.Expected || len(got.Events) != 3 {
			t.Fatalf("read %+v", got)
		}
		for i, ev := range got.Events {
			if ev.Raw == nil {
				t.Errorf("event %d has no raw form", i)
			}
			want := c.Events[i]
			ev.Raw, want.Schema = nil, events.SchemaOf(want.Type())
			if !reflect.DeepEqual(ev, want) {
				t.Errorf("event %d: got %+v, want %+v", i, ev, want)
			}
		}
	}
}

func (s suite) order(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	var receipts []streams.Receipt
	for i := range 50 {
		r := mustAppend(t, l, commit(fmt.Sprint("c", i), fmt.Sprint("run/", i%7), streams.AnyRevision, 1+i%3))
		receipts = append(receipts, r)
		// Read your writes: what was acknowledged is read.
		head, err := l.Ledger().Head(ctx, time.Time{})
		if err != nil || head <= r.Position.Offset {
			t.Fatalf("head %d, %v after an append at %s", head, err, r.Position)
		}
	}
	all := collect(t, l.Ledger().Read(ctx, 0))
	if len(all) != len(receipts) {
		t.Fatalf("read %d commits of %d", len(all), len(receipts))
	}
	revisions := map[string]streams.Revision{}
	for i, c := range all {
		if c.Position != receipts[i].Position || c.ID != fmt.Sprint("c", i) {
			t.Fatalf("commit %d is %s at %s; want %s", i, c.ID, c.Position, receipts[i].Position)
		}
		if i > 0 && (c.Position.Offset <= all[i-1].Position.Offset || c.Recorded.Before(all[i-1].Recorded)) {
			t.Fatalf("commit %d at %s %v follows %s %v", i, c.Position, c.Recorded, all[i-1].Position, all[i-1].Recorded)
		}
		if c.Revision != revisions[c.Stream] {
			t.Fatalf("commit %d starts at revision %d of %s; want %d", i, c.Revision, c.Stream, revisions[c.Stream])
		}
		revisions[c.Stream] += streams.Revision(len(c.Events))
		if last := revisions[c.Stream] - 1; receipts[i].Revision != last {
			t.Fatalf("receipt %d has revision %d; want %d", i, receipts[i].Revision, last)
		}
	}
	middle := all[20].Position.Offset
	if rest := collect(t, l.Ledger().Read(ctx, middle)); len(rest) != 30 || rest[0].Position.Offset != middle {
		t.Fatalf("from offset %d there are %d commits; want 30", middle, len(rest))
	}
}

func (s suite) revisions(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	refuse := func(expected streams.Revision) {
		t.Helper()
		_, err := l.Ledger().Append(ctx, commit(fmt.Sprintf("no%d-%p", expected, t), "model/als", expected, 1))
		wantCode(t, err, fault.Conflict)
	}
	refuse(0)
	refuse(5)
	if r := mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2)); r.Revision != 1 {
		t.Fatalf("revision %d", r.Revision)
	}
	refuse(streams.NoStream)
	refuse(0)
	refuse(2)
	if r := mustAppend(t, l, commit("b", "model/als", 1, 1)); r.Revision != 2 {
		t.Fatalf("revision %d", r.Revision)
	}
	if r := mustAppend(t, l, commit("c", "model/als", streams.AnyRevision, 3)); r.Revision != 5 {
		t.Fatalf("revision %d", r.Revision)
	}
	if r := mustAppend(t, l, commit("d", "model/new", streams.AnyRevision, 1)); r.Revision != 0 {
		t.Fatalf("revision %d of a stream made with any", r.Revision)
	}
	if r := mustAppend(t, l, commit("e", "model/als", 5, 1)); r.Revision != 6 {
		t.Fatalf("revision %d", r.Revision)
	}
}

func (s suite) conflict(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2))
	_, err := l.Ledger().Append(ctx, commit("b", "model/als", 7, 1))
	wantCode(t, err, fault.Conflict)
	for _, part := range []string{"model/als", "7", "1"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("conflict %q does not name %q: stream, expected and actual revision", err, part)
		}
	}
	if all := collect(t, l.Ledger().Read(ctx, 0)); len(all) != 1 {
		t.Fatalf("after a conflict there are %d commits; want 1", len(all))
	}
	// A refused commit was not accepted under its id: decided anew it may come again.
	if r := mustAppend(t, l, commit("b", "model/als", 1, 1)); r.Duplicate || r.Revision != 2 {
		t.Fatalf("receipt %+v", r)
	}
}

func (s suite) idempotent(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	first := mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2))
	mustAppend(t, l, commit("b", "model/als", 1, 1))
	again := mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2)) // its revision no longer fits: it was accepted when it did
	if !again.Duplicate {
		t.Error("a repeated commit is not called a duplicate")
	}
	again.Duplicate = false
	if again != first {
		t.Errorf("receipt %+v; want the first one %+v", again, first)
	}
	if all := collect(t, l.Ledger().Read(ctx, 0)); len(all) != 2 {
		t.Fatalf("there are %d commits; want 2", len(all))
	}
}

func (s suite) readStream(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	sizes := []int{1, 3, 1, 10, 2}
	var ends []streams.Revision // last revision of each commit
	last := streams.NoStream
	for i, n := range sizes {
		mustAppend(t, l, commit(fmt.Sprint("x", i), "model/alsx", streams.AnyRevision, 2)) // neighbours in an index
		mustAppend(t, l, commit(fmt.Sprint("y", i), "model/al", streams.AnyRevision, 1))
		last += streams.Revision(n)
		if r := mustAppend(t, l, commit(fmt.Sprint("c", i), "model/als", last-streams.Revision(n), n)); r.Revision != last {
			t.Fatalf("revision %d; want %d", r.Revision, last)
		}
		ends = append(ends, last)
	}
	for from := streams.Revision(0); from <= last+2; from++ {
		want := 0
		for want < len(ends) && ends[want] < from {
			want++
		}
		all := collect(t, l.Ledger().ReadStream(ctx, "model/als", from))
		if len(all) != len(sizes)-want {
			t.Fatalf("from revision %d there are %d commits; want %d", from, len(all), len(sizes)-want)
		}
		for i, c := range all {
			if c.ID != fmt.Sprint("c", want+i) || c.Stream != "model/als" || c.Revision != ends[want+i]-streams.Revision(len(c.Events))+1 {
				t.Fatalf("from revision %d, commit %d is %s at revision %d", from, i, c.ID, c.Revision)
			}
		}
	}
}

func (s suite) streamNames(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	names := []string{"a", "a/b", "a/b/c", "model/Mein Modell ü ÿ", "model/" + strings.Repeat("x", 200), "x%00", "日本"}
	for i, name := range names {
		mustAppend(t, l, commit(fmt.Sprint("n", i), name, streams.NoStream, 1))
	}
	for i, name := range names {
		all := collect(t, l.Ledger().ReadStream(ctx, name, 0))
		if len(all) != 1 || all[0].Stream != name || all[0].ID != fmt.Sprint("n", i) {
			t.Fatalf("stream %q has %d commits", name, len(all))
		}
	}
}

func (s suite) ledgerHead(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	var receipts []streams.Receipt
	for i := range 6 {
		if i%2 == 0 {
			s.f.Advance(5 * time.Millisecond)
		}
		receipts = append(receipts, mustAppend(t, l, commit(fmt.Sprint("c", i), "run/1", streams.AnyRevision, 1)))
	}
	for i, r := range receipts {
		for _, until := range []time.Time{r.Recorded.Add(-time.Millisecond), r.Recorded, r.Recorded.Add(time.Millisecond)} {
			head, err := l.Ledger().Head(ctx, until)
			if err != nil {
				t.Fatal(err)
			}
			for j, other := range receipts {
				if in := !other.Recorded.After(until); in != (other.Position.Offset < head) {
					t.Fatalf("head at %v (commit %d) is %d; commit %d of %v is at %d", until, i, head, j, other.Recorded, other.Position.Offset)
				}
			}
		}
	}
	if head, err := l.Ledger().Head(ctx, time.Unix(0, 0)); err != nil || head != 0 {
		t.Errorf("head in 1970 is %d, %v", head, err)
	}
}

func (s suite) ledgerWait(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	r := mustAppend(t, l, commit("c0", "run/1", streams.AnyRevision, 1))
	if err := l.Ledger().Wait(ctx, r.Position.Offset); err != nil {
		t.Fatalf("wait for what is there: %v", err)
	}
	head, err := l.Ledger().Head(ctx, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	if err := l.Ledger().Wait(short, head); !isContext(err) {
		t.Fatalf("wait for what does not come gave %v; want the context's error", err)
	}
	cancel()
	const waiters = 8
	done := make(chan error, waiters)
	for range waiters {
		go func() { done <- l.Ledger().Wait(ctx, head) }()
	}
	mustAppend(t, l, commit("c1", "run/1", streams.AnyRevision, 1))
	for range waiters {
		if err := <-done; err != nil {
			t.Fatalf("wait: %v", err)
		}
	}
}

// race lets writers load, decide and append on one stream until each has won some times: what was
// accepted is what is read, without a gap or a double.
func (s suite) race(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	const wins = 3
	accepted := make([][]streams.Receipt, s.f.Writers)
	stop := make(chan struct{})
	var readers sync.WaitGroup
	readers.Go(func() { // a reader beside the writers sees only whole prefixes
		for {
			var next streams.Revision
			for c, err := range l.Ledger().ReadStream(ctx, "race/1", 0) {
				if err != nil {
					t.Error(err)
					return
				}
				if c.Revision != next {
					t.Errorf("a reader meets revision %d; want %d", c.Revision, next)
					return
				}
				next += streams.Revision(len(c.Events))
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	var writers sync.WaitGroup
	for w := range s.f.Writers {
		writers.Go(func() {
			head := streams.NoStream
			for n, try := 0, 0; n < wins; try++ {
				r, err := l.Ledger().Append(ctx, commit(fmt.Sprintf("w%d-%d", w, try), "race/1", head, 1+w%2))
				switch {
				case err == nil:
					accepted[w] = append(accepted[w], r)
					head = r.Revision
					n++
				case fault.Is(err, fault.Conflict):
					from := max(head, 0)
					for c, err := range l.Ledger().ReadStream(ctx, "race/1", from) {
						if err != nil {
							t.Error(err)
							return
						}
						head = c.Revision + streams.Revision(len(c.Events)) - 1
					}
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	if t.Failed() {
		return
	}
	want := map[streams.Position]streams.Revision{}
	for _, rs := range accepted {
		for _, r := range rs {
			want[r.Position] = r.Revision
		}
	}
	if len(want) != s.f.Writers*wins {
		t.Fatalf("%d positions for %d accepted commits", len(want), s.f.Writers*wins)
	}
	var next streams.Revision
	all := collect(t, l.Ledger().Read(ctx, 0))
	for _, c := range all {
		if c.Revision != next {
			t.Fatalf("revision %d at %s; want %d", c.Revision, c.Position, next)
		}
		next += streams.Revision(len(c.Events))
		if want[c.Position] != next-1 {
			t.Fatalf("%s ends at revision %d; its writer was told %d", c.Position, next-1, want[c.Position])
		}
	}
	if len(all) != len(want) {
		t.Fatalf("%d commits are read, %d were accepted", len(all), len(want))
	}
}

// sameCommit appends one commit from many callers at once, as a retry does.
func (s suite) sameCommit(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	receipts := make([]streams.Receipt, 32)
	var callers sync.WaitGroup
	for i := range receipts {
		callers.Go(func() {
			var err error
			if receipts[i], err = l.Ledger().Append(ctx, commit("one", "run/1", streams.NoStream, 2)); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	originals := 0
	for _, r := range receipts {
		if !r.Duplicate {
			originals++
		}
		if r.Position != receipts[0].Position || r.Revision != 1 {
			t.Errorf("receipt %+v differs from %+v", r, receipts[0])
		}
	}
	if all := collect(t, l.Ledger().Read(ctx, 0)); originals != 1 || len(all) != 1 {
		t.Fatalf("%d callers wrote the commit, and it is there %d times; want once", originals, len(all))
	}
}

func (s suite) stopEarly(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	for i := range 10 {
		mustAppend(t, l, commit(fmt.Sprint("c", i), "run/1", streams.AnyRevision, 1))
	}
	for stop := 1; stop <= 3; stop++ {
		n := 0
		for _, err := range l.Ledger().Read(ctx, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == stop {
				break
			}
		}
		for _, err := range l.Ledger().ReadStream(ctx, "run/1", 0) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == 2*stop {
				break
			}
		}
		if n != 2*stop {
			t.Fatalf("%d steps; want %d", n, 2*stop)
		}
	}
	// The head is that of the call: a reader that appends does not chase itself.
	n := 0
	for c, err := range l.Ledger().Read(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, l, commit("more-"+c.ID, "run/2", streams.AnyRevision, 1))
		n++
	}
	if n != 10 {
		t.Fatalf("a reader of 10 commits met %d", n)
	}
}

func (s suite) ledgerAsFeed(t *testing.T) {
	if s.f.NoFeed {
		t.Skip("the adapter has no feeds")
	}
	l := s.open(t)
	r := mustAppend(t, l, commit("c1", "model/als", streams.NoStream, 2))
	all := readAll(t, l, r.Position.TP, 0)
	if len(all) != 1 || all[0].Position != r.Position || string(all[0].Key) != "model/als" {
		t.Fatalf("the ledger's topic has %d records", len(all))
	}
	c, err := streams.ReadCommit(&all[0])
	if err != nil || c.ID != "c1" || len(c.Events) != 2 {
		t.Fatalf("commit %+v, %v", c, err)
	}
	err = l.Feed().Publish(newContext(t), events.LedgerTopic, []streams.Record{{Key: []byte("model/als"), Value: []byte("{}")}})
	wantCode(t, err, fault.Invalid)
}

func (s suite) reopenLedger(t *testing.T) {
	if s.f.Reopen == nil {
		t.Skip("the adapter cannot be reopened")
	}
	l := s.open(t)
	var first streams.Receipt
	for i := range 20 {
		r := mustAppend(t, l, commit(fmt.Sprint("c", i), fmt.Sprint("run/", i%3), streams.AnyRevision, 1+i%2))
		if i == 0 {
			first = r
		}
	}
	before := collect(t, l.Ledger().Read(newContext(t), 0))
	l = s.f.Reopen(t, l)
	ctx := newContext(t)
	after := collect(t, l.Ledger().Read(ctx, 0))
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("%d commits before, %d other ones after", len(before), len(after))
	}
	again := mustAppend(t, l, commit("c0", "run/0", streams.AnyRevision, 1))
	if !again.Duplicate || again.Position != first.Position || again.Revision != first.Revision || !again.Recorded.Equal(first.Recorded) {
		t.Fatalf("after a restart a repeated commit gets %+v; want %+v", again, first)
	}
	_, err := l.Ledger().Append(ctx, commit("new", "run/0", streams.NoStream, 1))
	wantCode(t, err, fault.Conflict)
	last := after[len(after)-1]
	r := mustAppend(t, l, commit("new", last.Stream, last.Revision+streams.Revision(len(last.Events))-1, 1))
	if r.Position.Offset <= last.Position.Offset || r.Recorded.Before(last.Recorded) {
		t.Fatalf("receipt %+v after %+v", r, last.Position)
	}
}
