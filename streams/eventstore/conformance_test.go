package eventstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/conformance"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
	"github.com/projectionist/projectionist/streams/local"
)

// liveEnv is the connection string of a server that the tests may write to.
const liveEnv = "ESDB_URL"

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func mustOpen(t testing.TB, opts Options) *Log {
	t.Helper()
	if opts.Logf == nil {
		opts.Logf = t.Logf
	}
	l, err := Open(testContext(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustFeed(t testing.TB) streams.Feed {
	t.Helper()
	l, err := local.OpenMem(local.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Feed()
}

func testCommit(id, stream string, expected streams.Revision, n int) streams.Commit {
	c := streams.Commit{ID: id, Stream: stream, Expected: expected}
	for i := range n {
		c.Events = append(c.Events, events.Event{
			ID: fmt.Sprintf("%s/%d", id, i), Source: "/test", Subject: stream, Time: time.UnixMilli(1_700_000_000_000).UTC(),
			Data: &events.ModelAliasSet{Name: stream, Alias: "champion", Version: i + 1},
		})
	}
	return c
}

func mustAppend(t testing.TB, l streams.Log, c streams.Commit) streams.Receipt {
	t.Helper()
	r, err := l.Ledger().Append(testContext(t), c)
	if err != nil {
		t.Fatalf("append %s: %v", c.ID, err)
	}
	return r
}

// insist appends as a caller does whose server comes and goes: the very same again while it is in doubt.
func insist(t testing.TB, l streams.Log, c streams.Commit) streams.Receipt {
	t.Helper()
	ctx := testContext(t)
	for {
		r, err := l.Ledger().Append(ctx, c)
		if err == nil {
			return r
		}
		if ctx.Err() != nil || !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
			t.Fatalf("append %s: %v", c.ID, err)
		}
	}
}

// commits are the ids of all commits, in order.
func commits(t testing.TB, l streams.Ledger) []string {
	t.Helper()
	var ids []string
	for c, err := range l.Read(testContext(t), 0) {
		if err != nil {
			t.Fatalf("after %v: %v", ids, err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

func runConformance(t *testing.T, open func(t testing.TB) Options) {
	conformance.Run(t, func(t testing.TB) streams.Log { return mustOpen(t, open(t)) }, conformance.Features{
		Reopen: func(t testing.TB, log streams.Log) streams.Log {
			l := log.(*Log)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return mustOpen(t, l.opts)
		},
	})
}

// TestConformance runs the suite against the simulated server of package fake.
func TestConformance(t *testing.T) {
	runConformance(t, func(t testing.TB) Options {
		s := fake.New(t, nil)
		s.Put("$stats-127.0.0.1:2113", "$statsCollected", true, []byte("{}"), nil)
		return Options{URL: s.URL(), Feed: mustFeed(t)}
	})
}

// TestConformance_Live runs it against a real one, in a category of its own for every test.
func TestConformance_Live(t *testing.T) {
	url := os.Getenv(liveEnv)
	if url == "" {
		t.Skipf("SKIPPED: no EventStoreDB: set %s to the connection string of a server that may be written to", liveEnv)
	}
	runConformance(t, func(t testing.TB) Options {
		return Options{URL: url, Category: "t" + strings.ToLower(rand.Text())[:16], Feed: mustFeed(t)}
	})
}
