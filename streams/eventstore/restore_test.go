package eventstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

// filled is a log for the feeds that notes how it is filled.
type filled struct {
	streams.Log
	restored []string
	ended    int
	fail     error // of Restored, once
}

func (f *filled) Restore(_ context.Context, tp streams.TP, recs []streams.Record) error {
	f.restored = append(f.restored, fmt.Sprint(tp, " ", len(recs)))
	return nil
}

func (f *filled) Restored(context.Context) error {
	err := f.fail
	if f.fail = nil; err == nil {
		f.ended++
	}
	return err
}

func openFilling(t testing.TB, s *fake.Server, feeds *filled) (*Log, error) {
	l, err := Open(testContext(t), Options{URL: s.URL(), Feeds: feeds, Restoring: true, Logf: t.Logf})
	if err == nil {
		t.Cleanup(func() { l.Close() })
	}
	return l, err
}

func mustFilling(t testing.TB, s *fake.Server, feeds *filled) *Log {
	t.Helper()
	l, err := openFilling(t, s, feeds)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// old is a commit's record as it was in another log.
func old(t testing.TB, c streams.Commit, offset, millis int64) streams.Record {
	t.Helper()
	r, err := streams.CommitRecord(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Offset, r.Recorded = offset, time.UnixMilli(millis)
	return r
}

// TestRestore: commits keep their offsets and times, holes included, in every process; when it is over the
// log goes on after them, and its feeds' log gets them all.
func TestRestore(t *testing.T) {
	ctx := testContext(t)
	s := fake.New(t, nil)
	feeds := &filled{Log: mustFeeds(t)}
	l := mustFilling(t, s, feeds)
	bystander := func(want bool) {
		t.Helper()
		other, err := Open(ctx, Options{URL: s.URL(), Logf: t.Logf})
		if !want {
			wantCode(t, err, fault.Corrupt)
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		var got string
		for c, err := range other.Ledger().Read(ctx, 4) {
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprint(c.ID, " ", c.Position.Offset, " ", c.Revision, " ", c.Recorded.UnixMilli(), "; ")
		}
		if got != "b 9 0 2000; c 10 2 2000; " {
			t.Errorf("it reads %s", got)
		}
	}
	bystander(false)
	tp := position(0).TP
	if err := l.Restore(ctx, tp, []streams.Record{
		old(t, testCommit("a", "model/als", streams.NoStream, 2), 3, 1000),
		old(t, testCommit("b", "run/1", streams.AnyRevision, 3), 9, 2000),
	}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	bystander(false)
	l = mustFilling(t, s, feeds)
	if n, err := l.Ledger().Head(ctx, time.Time{}); n != 10 || err != nil {
		t.Fatalf("head %d, %v", n, err)
	}
	for name, c := range map[string]struct {
		code fault.Code
		rec  streams.Record
	}{
		"below the head": {fault.Conflict, old(t, testCommit("x", "run/1", 2, 1), 9, 2000)},
		"no offset":      {fault.Conflict, old(t, testCommit("x", "run/1", 2, 1), judgedOffsetMax+1, 2000)},
		"id":             {fault.Corrupt, old(t, testCommit("a", "run/1", 2, 1), 10, 2000)},
		"revision":       {fault.Corrupt, old(t, testCommit("x", "run/1", 1, 1), 10, 2000)},
		"time":           {fault.Corrupt, old(t, testCommit("x", "run/1", 2, 1), 10, 1999)},
		"no commit":      {fault.Corrupt, streams.Record{Position: position(10), Recorded: time.UnixMilli(2000)}},
	} {
		if err := l.Restore(ctx, tp, []streams.Record{c.rec}); !fault.Is(err, c.code) {
			t.Errorf("%s: %v; want %s", name, err, c.code)
		}
	}
	_, err := l.Ledger().Append(ctx, testCommit("x", "run/1", 2, 1))
	wantCode(t, err, fault.Conflict)
	if err := l.Restore(ctx, tp, []streams.Record{old(t, testCommit("c", "model/als", 1, 1), 10, 2000)}); err != nil {
		t.Fatal(err)
	}
	if err := l.Restore(ctx, streams.TP{Topic: events.UserEventsTopic, Partition: 2}, make([]streams.Record, 7)); err != nil || fmt.Sprint(feeds.restored) != "[user-events/2 7]" {
		t.Errorf("the feeds were given %v, %v", feeds.restored, err)
	}
	feeds.fail = errors.New("cut short")
	if err := l.Restored(ctx); err == nil {
		t.Fatal("the feeds' failure is not told")
	}
	l.Close()
	l = mustFilling(t, s, feeds) // the feeds are not ended yet
	wantCode(t, l.Restore(ctx, tp, []streams.Record{old(t, testCommit("d", "run/1", 2, 1), 11, 3000)}), fault.Conflict)
	if err := l.Restored(ctx); err != nil || feeds.ended != 1 {
		t.Fatalf("%v, ended %d times", err, feeds.ended)
	}
	l.Close()
	bystander(true)
	l = mustOpen(t, Options{URL: s.URL(), Feeds: feeds})
	if r := mustAppend(t, l, testCommit("b", "run/1", streams.AnyRevision, 3)); !r.Duplicate || r.Position.Offset != 9 {
		t.Errorf("a restored commit again: %+v", r)
	}
	if r := mustAppend(t, l, testCommit("e", "run/1", 2, 1)); r.Position.Offset != 11 || r.Revision != 3 || time.Since(r.Recorded) > time.Minute {
		t.Errorf("the first of its own: %+v", r)
	}
	relayed(t, l, 4)
	_, err = openFilling(t, s, feeds)
	wantCode(t, err, fault.Conflict)
	wantCode(t, l.Restore(ctx, tp, nil), fault.Conflict)
	wantCode(t, l.Restored(ctx), fault.Conflict)
}

// A commit in doubt is looked for, and written once.
func TestRestore_InDoubt(t *testing.T) {
	s := fake.New(t, nil)
	l := mustFilling(t, s, &filled{Log: mustFeeds(t)})
	for i, f := range []fake.Fault{fake.DropBefore, fake.DropAfter} {
		once(s, f)
		if err := l.Restore(testContext(t), position(0).TP, []streams.Record{old(t, testCommit(fmt.Sprint("c", i), "run/1", streams.AnyRevision, 2), int64(5*i), 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if st := l.Stats(); st.Accepted != 2 || st.Conflicts+st.Duplicates+st.Garbage != 0 || ours(s) != 5 {
		t.Errorf("%+v, %d events", st, ours(s))
	}
}

// TestRestore_Forged: commits that claim to be restored, and marks, count at their time only; in every
// process the same.
func TestRestore_Forged(t *testing.T) {
	s := fake.New(t, nil)
	put := func(c streams.Commit, r *restoredMeta) {
		t.Helper()
		data, err := encode(&c, "forged", r)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range data {
			s.Put(categoryDefault+"-"+c.Stream, e.EventType, e.ContentType == esdb.ContentTypeJson, e.Data, e.Metadata)
		}
	}
	mark := func(name string) { s.Put(categoryDefault+"-", name, true, []byte("{}"), nil) }
	one := func(id string) streams.Commit { return testCommit(id, "run/1", streams.AnyRevision, 1) }
	mark(fillEnded)                        // before anything has begun
	put(one("early"), &restoredMeta{7, 7}) // the same
	mark(fillBegun)
	mark(fillBegun)
	put(one("a"), &restoredMeta{5, 1000})
	put(one("own"), nil)                                      // of a writer that has not heard of it
	put(one("back"), &restoredMeta{5, 2000})                  // no new offset
	put(one("past"), &restoredMeta{6, 999})                   // time steps back
	put(one("far"), &restoredMeta{judgedOffsetMax + 1, 1000}) // no room above
	put(one("negative"), &restoredMeta{-1, 1000})
	put(one("b"), &restoredMeta{8, 1000})
	mark(fillEnded)
	mark(fillBegun)
	put(one("late"), &restoredMeta{100, 5000})
	l := mustOpen(t, Options{URL: s.URL()})
	if r := mustAppend(t, l, one("c")); r.Position.Offset != 9 || r.Revision != 2 {
		t.Errorf("%+v", r)
	}
	for _, l := range []*Log{l, mustOpen(t, Options{URL: s.URL()})} {
		if got := fmt.Sprint(commits(t, l.Ledger())); got != "[a b c]" {
			t.Errorf("%s", got)
		}
		if st := l.Stats(); st.Accepted != 3 || st.Conflicts != 7 || st.Garbage != 3 {
			t.Errorf("%+v", st)
		}
	}
	mark(fillBegun)
	if r := mustAppend(t, l, one("d")); r.Position.Offset != 10 {
		t.Errorf("%+v", r)
	}

	s = fake.New(t, nil)
	l = mustOpen(t, Options{URL: s.URL()})
	mustAppend(t, l, one("a"))
	mark(fillBegun) // in a ledger that has a commit
	if r := mustAppend(t, l, one("b")); r.Position.Offset != 1 {
		t.Errorf("%+v", r)
	}
}

// A writer that was there before the filling began is refused, and its ledger is the filled one afterwards.
func TestRestore_Bystander(t *testing.T) {
	s := fake.New(t, nil)
	idle := mustOpen(t, Options{URL: s.URL()})
	l := mustFilling(t, s, &filled{Log: mustFeeds(t)})
	if err := l.Restore(testContext(t), position(0).TP, []streams.Record{old(t, testCommit("a", "run/1", streams.NoStream, 1), 5, 1000)}); err != nil {
		t.Fatal(err)
	}
	if err := idle.Ledger().Wait(testContext(t), 5); err != nil {
		t.Fatal(err)
	}
	_, err := idle.Ledger().Append(testContext(t), testCommit("b", "run/1", 0, 1))
	wantCode(t, err, fault.Conflict)
	if err := l.Restored(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if r := insist(t, mustOpen(t, Options{URL: s.URL()}), testCommit("b", "run/1", 0, 1)); r.Position.Offset != 6 {
		t.Errorf("%+v", r)
	}
}

// Feeds that cannot be filled are named.
func TestRestore_Feeds(t *testing.T) {
	s := fake.New(t, nil)
	var plain struct{ streams.Log }
	plain.Log = mustFeeds(t)
	_, err := Open(testContext(t), Options{URL: s.URL(), Feeds: plain, Restoring: true, Logf: t.Logf})
	wantCode(t, err, fault.Invalid)
	if ours(s) != 0 {
		t.Error("it was begun")
	}
}
