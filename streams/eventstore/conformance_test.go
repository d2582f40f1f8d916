package eventstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

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
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
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

// mustFeeds is an embedded log in memory.
func mustFeeds(t testing.TB) *local.Log {
	t.Helper()
	l, err := local.OpenMem(local.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
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
		Writers: 24, // each loads the stream again whenever another was first, over gRPC
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
		return Options{URL: s.URL(), Feeds: mustFeeds(t)}
	})
}

// TestConformance_Live runs it against a real one, in a category of its own for every test.
func TestConformance_Live(t *testing.T) {
	live := liveOptions(t)
	runConformance(t, func(t testing.TB) Options {
		o := live(t)
		o.Feeds = mustFeeds(t)
		return o
	})
}

func runRestore(t *testing.T, open func(t testing.TB) Options) {
	options := func(t testing.TB, fs vfs.FS, o Options, restoring bool) (Options, error) {
		feeds, err := local.Open("log", local.Options{FS: fs, Restoring: restoring, Logf: t.Logf})
		if err != nil {
			return o, err
		}
		t.Cleanup(func() { feeds.Close() })
		o.Feeds, o.Restoring, o.Logf = feeds, restoring, t.Logf
		return o, nil
	}
	disks := map[streams.Log]vfs.FS{}
	opened := func(t testing.TB, fs vfs.FS, o Options, restoring bool) (streams.Log, error) {
		o, err := options(t, fs, o, restoring)
		if err != nil {
			return nil, err
		}
		l, err := Open(testContext(t), o)
		if err != nil {
			return nil, errors.Join(err, o.Feeds.Close())
		}
		t.Cleanup(func() { l.Close() })
		disks[l] = fs
		return l, nil
	}
	conformance.RunRestore(t, conformance.Restoring{
		Open: func(t testing.TB, restoring bool) streams.Log {
			l, err := opened(t, vfs.NewMem(), open(t), restoring)
			if err != nil {
				t.Fatal(err)
			}
			return l
		},
		Reopen: func(t testing.TB, log streams.Log, restoring bool) (streams.Log, error) {
			l := log.(*Log)
			if err := errors.Join(l.Close(), l.opts.Feeds.Close()); err != nil {
				t.Fatal(err)
			}
			return opened(t, disks[l], l.opts, restoring)
		},
	})
}

// TestRestoreConformance runs what streams.Restorer promises against the simulated server.
func TestRestoreConformance(t *testing.T) {
	runRestore(t, func(t testing.TB) Options { return Options{URL: fake.New(t, nil).URL()} })
}

// TestRestoreConformance_Live runs it against a real one.
func TestRestoreConformance_Live(t *testing.T) {
	runRestore(t, liveOptions(t))
}

// liveOptions gives each log a category of its own on a real server.
func liveOptions(t *testing.T) func(t testing.TB) Options {
	url := os.Getenv(liveEnv)
	if url == "" {
		t.Skipf("SKIPPED: no EventStoreDB: set %s to the connection string of a server that may be written to", liveEnv)
	}
	return func(t testing.TB) Options {
		return Options{URL: url, Category: "t" + strings.ToLower(rand.Text())[:16]}
	}
}
