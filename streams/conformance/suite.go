package conformance

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Features says what an adapter can do beyond the contract. The zero value is the contract alone.
type Features struct {
	// Reopen closes a log that open made and opens what it stored anew; nil where there is nothing to
	// reopen, and the tests that need it say so and are skipped.
	Reopen func(t testing.TB, log streams.Log) streams.Log
	// NoFeed is an adapter that has a ledger only.
	NoFeed bool
	// Advance lets recorded time pass by at least d; nil sleeps.
	Advance func(d time.Duration)
	// Foreign appends records to the ledger's topic as another program does, without the log's knowledge; nil where
	// nobody can.
	Foreign func(t testing.TB, log streams.Log, recs []streams.Record)
	// Writers race on one stream; 0 is 64.
	Writers int
}

// Run tries a log. open gives a new, empty log with streams.Topics and closes it when the test ends.
func Run(t *testing.T, open func(t testing.TB) streams.Log, f Features) {
	if f.Advance == nil {
		f.Advance = time.Sleep
	}
	if f.Writers == 0 {
		f.Writers = 64
	}
	s := suite{open, f}
	t.Run("Ledger", s.ledger)
	t.Run("Feed", func(t *testing.T) {
		if f.NoFeed {
			t.Skip("the adapter has no feeds")
		}
		s.feed(t)
	})
	t.Run("Partitions", partitions)
}

type suite struct {
	open func(t testing.TB) streams.Log
	f    Features
}

// deadline bounds every test, so that a wait that never ends is a failure and not a hang.
const deadline = 5 * time.Minute

func newContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	t.Cleanup(cancel)
	return ctx
}

// commit makes a commit of n events; its id must be new.
func commit(id, stream string, expected streams.Revision, n int) streams.Commit {
	c := streams.Commit{ID: id, Stream: stream, Expected: expected}
	for i := range n {
		c.Events = append(c.Events, events.Event{
			ID: fmt.Sprintf("%s/%d", id, i), Source: "/conformance", Subject: stream,
			Time: time.Date(2024, 2, 29, 12, 0, i%60, 7e6, time.UTC), Actor: "user:anna", Correlation: "run-1", Causation: "cmd-1",
			Data: &events.ModelAliasSet{Name: stream, Alias: "champion", Version: i + 1},
		})
	}
	return c
}

func mustAppend(t testing.TB, l streams.Log, c streams.Commit) streams.Receipt {
	t.Helper()
	r, err := l.Ledger().Append(newContext(t), c)
	if err != nil {
		t.Fatalf("append %s to %s: %v", c.ID, c.Stream, err)
	}
	return r
}

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("error %v has code %q; want %q", err, fault.CodeOf(err), code)
	}
}

// collect gathers a sequence of values that own their memory.
func collect[T any](t testing.TB, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		if err != nil {
			t.Fatalf("after %d: %v", len(all), err)
		}
		all = append(all, v)
	}
	return all
}

// firstError is the error that a sequence ends with.
func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func cloneRecord(r *streams.Record) streams.Record {
	c := *r
	clone := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		return append([]byte{}, b...)
	}
	c.Key, c.Value, c.Headers = clone(r.Key), clone(r.Value), nil
	for _, h := range r.Headers {
		c.Headers = append(c.Headers, streams.Header{Key: string([]byte(h.Key)), Value: clone(h.Value)})
	}
	return c
}

func readAll(t testing.TB, l streams.Log, tp streams.TP, from int64) []streams.Record {
	t.Helper()
	var all []streams.Record
	for r, err := range l.Feed().Read(newContext(t), tp, from) {
		if err != nil {
			t.Fatalf("read %s from %d, after %d: %v", tp, from, len(all), err)
		}
		all = append(all, cloneRecord(r))
	}
	return all
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
