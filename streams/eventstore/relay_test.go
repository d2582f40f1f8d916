package eventstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

// target is a log for the feeds whose ledger fails on demand.
type target struct {
	streams.Log
	mu     sync.Mutex
	n      int                                          // appends so far
	before func(n int, c *streams.Commit) error         // of the n-th append; an error is its answer, nothing is written
	after  func(n int, c *streams.Commit) error         // the same, when it is written
	writer func(ctx context.Context, c *streams.Commit) // somebody else, before the append
}

type targetLedger struct {
	streams.Ledger
	g *target
}

func (g *target) Ledger() streams.Ledger { return targetLedger{g.Log.Ledger(), g} }

func (l targetLedger) Append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	g := l.g
	g.mu.Lock()
	n := g.n
	g.n++
	g.mu.Unlock()
	if g.writer != nil {
		g.writer(ctx, &c)
	}
	if g.before != nil {
		if err := g.before(n, &c); err != nil {
			return streams.Receipt{}, err
		}
	}
	r, err := l.Ledger.Append(ctx, c)
	if g.after != nil && err == nil {
		if err := g.after(n, &c); err != nil {
			return streams.Receipt{}, err
		}
	}
	return r, err
}

// relayed waits until a log's relay has copied n commits.
func relayed(t testing.TB, l *Log, n int) {
	t.Helper()
	for ctx := testContext(t); ; {
		s, ok := l.Relay()
		if !ok || s.Err != nil || ctx.Err() != nil {
			t.Fatalf("the relay is at %+v, %v; want %d", s, ok, n)
		}
		if s.Copied >= int64(n) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// halted waits until the relay has given up.
func halted(t testing.TB, told <-chan error, code fault.Code, part string) {
	t.Helper()
	select {
	case err := <-told:
		wantCode(t, err, code)
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not say %q", err, part)
		}
	case <-testContext(t).Done():
		t.Fatal("the relay goes on")
	}
}

func fill(t testing.TB, l *Log, from, to int) (ids []string) {
	t.Helper()
	for i := range to {
		id := fmt.Sprintf("c%02d", i)
		ids = append(ids, id)
		if i >= from {
			insist(t, l, testCommit(id, fmt.Sprint("run/", i%3), streams.AnyRevision, 1+i%2))
		}
	}
	return ids
}

// TestRelay: the feeds' log has every commit as it is, once and in order, through a restart of the server
// and of the relay.
func TestRelay(t *testing.T) {
	s := fake.New(t, nil)
	feeds := mustFeeds(t)
	l := mustOpen(t, Options{URL: s.URL(), Feeds: feeds})
	fill(t, l, 0, 7)
	s.Stop()
	s.Start(t)
	fill(t, l, 7, 12)
	relayed(t, l, 12)
	l.Close()
	l = mustOpen(t, Options{URL: s.URL()}) // without a relay
	if _, ok := l.Relay(); ok {
		t.Error("a log without feeds has a relay")
	}
	fill(t, l, 12, 20)
	l.Close()
	l = mustOpen(t, Options{URL: s.URL(), Feeds: feeds})
	ids := fill(t, l, 20, 25)
	relayed(t, l, 25)
	if got := commits(t, feeds.Ledger()); !reflect.DeepEqual(got, ids) {
		t.Fatalf("%v", got)
	}
	var want []string
	for r, err := range l.Feed().Read(testContext(t), position(0).TP, 0) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf("%d %x", r.Offset, streams.AppendTail(nil, r)))
	}
	var got []string
	for r, err := range feeds.Feed().Read(testContext(t), position(0).TP, 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%d %x", r.Offset, streams.AppendTail(nil, r)))
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

// TestRelay_Killed ends a relay at every place where it can be ended, and starts another.
func TestRelay_Killed(t *testing.T) {
	s := fake.New(t, nil)
	ids := fill(t, mustOpen(t, Options{URL: s.URL()}), 0, 8)
	kill := fault.New(fault.Internal, "killed")
	for at := range ids {
		for _, written := range []bool{false, true} {
			g := &target{Log: mustFeeds(t)}
			die := func(n int, _ *streams.Commit) error {
				if n == at {
					return kill
				}
				return nil
			}
			if written {
				g.after = die
			} else {
				g.before = die
			}
			told := make(chan error, 1)
			l := mustOpen(t, Options{URL: s.URL(), Feeds: g, RelayHalted: func(err error) { told <- err }})
			halted(t, told, fault.Internal, "killed")
			if st, _ := l.Relay(); st.Copied != int64(at) || !errors.Is(st.Err, kill) {
				t.Errorf("status %+v", st)
			}
			mustAppend(t, l, testCommit(ids[0], "run/0", streams.AnyRevision, 1)) // the log goes on
			l.Close()
			l = mustOpen(t, Options{URL: s.URL(), Feeds: g})
			relayed(t, l, len(ids))
			l.Close()
			if got := commits(t, g.Ledger()); !reflect.DeepEqual(got, ids) {
				t.Fatalf("killed at %d, written %v: %v", at, written, got)
			}
		}
	}
}

// A target that is away, or in doubt, is tried again.
func TestRelay_TriesAgain(t *testing.T) {
	s := fake.New(t, nil)
	g := &target{Log: mustFeeds(t)}
	g.before = func(n int, _ *streams.Commit) error {
		if n == 0 || n == 4 {
			return fault.New(fault.Unavailable, "away")
		}
		return nil
	}
	g.after = func(n int, _ *streams.Commit) error {
		if n == 3 || n == 6 {
			return fault.New(fault.Unknown, "in doubt")
		}
		return nil
	}
	l := mustOpen(t, Options{URL: s.URL(), Feeds: g})
	ids := fill(t, l, 0, 10)
	relayed(t, l, 10)
	if got := commits(t, g.Ledger()); !reflect.DeepEqual(got, ids) {
		t.Errorf("%v", got)
	}
}

// TestRelay_Racing: relays of several processes on one target, of which none is sure to be the first.
func TestRelay_Racing(t *testing.T) {
	s := fake.New(t, nil)
	feeds := mustFeeds(t)
	const nodes, n = 3, 60
	var logs []*Log
	for range nodes {
		logs = append(logs, mustOpen(t, Options{URL: s.URL(), Feeds: feeds}))
	}
	var writers sync.WaitGroup
	for w, l := range logs {
		writers.Go(func() {
			for i := range n {
				insist(t, l, testCommit(fmt.Sprint(w, "-", i), fmt.Sprint("run/", i%4), streams.AnyRevision, 1))
			}
		})
	}
	writers.Wait()
	for _, l := range logs {
		relayed(t, l, nodes*n)
	}
	if got, want := commits(t, feeds.Ledger()), commits(t, logs[0].Ledger()); len(got) != nodes*n || !reflect.DeepEqual(got, want) {
		t.Errorf("%d commits, of %d: %v", len(got), nodes*n, got)
	}
}

// TestRelay_Foreign: a commit in the target that the ledger has not, or in another order, ends the copying
// and nothing else.
func TestRelay_Foreign(t *testing.T) {
	foreign := testCommit("foreign", "run/1", streams.AnyRevision, 1)
	for name, c := range map[string]struct {
		before func(t testing.TB, g *target)
		during func(ctx context.Context, g *target, c *streams.Commit)
		part   string
	}{
		"Before": {before: func(t testing.TB, g *target) { mustAppend(t, g.Log, foreign) }, part: "another ledger's"},
		"During": {during: func(ctx context.Context, g *target, c *streams.Commit) {
			if c.ID == "c02" {
				g.Log.Ledger().Append(ctx, foreign)
			}
		}, part: "commit foreign at mlops-events/0@2"},
		"Conflict": {during: func(ctx context.Context, g *target, c *streams.Commit) {
			if c.ID == "exact" {
				g.Log.Ledger().Append(ctx, testCommit("foreign", c.Stream, streams.AnyRevision, 1))
			}
		}, part: "commit foreign at mlops-events/0@4"},
		"Order": {before: func(t testing.TB, g *target) {
			mustAppend(t, g.Log, testCommit("c01", "run/1", streams.AnyRevision, 2))
		}, part: "number 1 of the ledger"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fake.New(t, nil)
			l := mustOpen(t, Options{URL: s.URL()})
			fill(t, l, 0, 4)
			mustAppend(t, l, testCommit("exact", "model/als", streams.NoStream, 1))
			g := &target{Log: mustFeeds(t)}
			if c.before != nil {
				c.before(t, g)
			}
			if c.during != nil {
				g.writer = func(ctx context.Context, com *streams.Commit) { c.during(ctx, g, com) }
			}
			told := make(chan error, 1)
			l = mustOpen(t, Options{URL: s.URL(), Feeds: g, RelayHalted: func(err error) { told <- err }})
			halted(t, told, fault.Corrupt, c.part)
			mustAppend(t, l, testCommit("later", "model/als", 0, 1))
			if st, _ := l.Relay(); st.Err == nil || st.Behind != 6-st.Copied {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// TestRelay_AheadOfTheFold: what another process has copied and this one has not folded is no foreign commit.
func TestRelay_AheadOfTheFold(t *testing.T) {
	s := fake.New(t, nil)
	feeds := mustFeeds(t)
	ahead := mustOpen(t, Options{URL: s.URL(), Feeds: feeds})
	behind := mustOpen(t, Options{URL: s.URL()})
	fill(t, ahead, 0, 3)
	relayed(t, ahead, 3)
	if err := behind.Ledger().Wait(testContext(t), 2); err != nil {
		t.Fatal(err)
	}
	release := s.Hold()
	before := s.Calls("subscribe")
	s.Drop()
	for s.Calls("subscribe") < before+2 {
		time.Sleep(time.Millisecond)
	}
	// The server has it and so has the target; both folds are held.
	c := testCommit("c03", "run/0", streams.AnyRevision, 1)
	raw(t, s, &c)
	mustAppend(t, feeds, c)
	behind.opts.Feeds = feeds
	reads := s.Calls("read")
	done := make(chan error, 1)
	go func() { done <- behind.relay.account(testContext(t)) }()
	for s.Calls("read") == reads {
		time.Sleep(time.Millisecond)
	}
	release()
	if err := <-done; err != nil || behind.relay.n != 4 {
		t.Errorf("%v, at %d", err, behind.relay.n)
	}
}
