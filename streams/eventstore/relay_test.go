package eventstore

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

// target is a topic in memory. Its offsets have holes, as Kafka's may.
type target struct {
	mu       sync.Mutex
	recs     []streams.Record
	publish  func(n int) (take int, err error) // of the n-th Publish; nil takes all
	n        int
	reads    []int64 // offsets from which it was read
	arrived  chan struct{}
	arriving int // records at which arrived is closed
}

func (g *target) Publish(ctx context.Context, topic string, recs []streams.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if topic != events.LedgerTopic {
		return fmt.Errorf("topic %s", topic)
	}
	take, err := len(recs), error(nil)
	if g.publish != nil {
		take, err = g.publish(g.n)
		take = min(take, len(recs))
	}
	g.n++
	for i := range recs[:take] {
		recs[i].Offset = int64(3 * len(g.recs))
		g.recs = append(g.recs, recs[i])
	}
	if g.arrived != nil && len(g.recs) >= g.arriving {
		close(g.arrived)
		g.arrived = nil
	}
	return err
}

func (g *target) Read(_ context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads = append(g.reads, from)
	recs := g.recs
	return func(yield func(*streams.Record, error) bool) {
		for i := range recs {
			if recs[i].Offset >= from && !yield(&recs[i], nil) {
				return
			}
		}
	}
}

func (g *target) ids(t testing.TB) (ids []string) {
	t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.recs {
		c, err := streams.ReadCommit(&g.recs[i])
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// run runs a relay until the target has n records.
func (g *target) run(t testing.TB, l *Log, o RelayOptions, n int) {
	t.Helper()
	g.mu.Lock()
	arrived := make(chan struct{})
	g.arrived, g.arriving = arrived, n
	g.mu.Unlock()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	done := make(chan error, 1)
	o.Target, o.Logf = g, t.Logf
	go func() { done <- NewRelay(l.Ledger(), o).Run(ctx) }()
	select {
	case <-arrived:
	case err := <-done:
		t.Fatalf("the relay has ended: %v", err)
	}
	cancel()
	if err := <-done; err != context.Canceled {
		t.Fatalf("the relay ended with %v", err)
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

func TestRelay_OrderAndRecords(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	ids := fill(t, l, 0, 20)
	g := &target{}
	g.run(t, l, RelayOptions{Batch: 7}, 20)
	if got := g.ids(t); !reflect.DeepEqual(got, ids) {
		t.Fatalf("%v", got)
	}
	n := 0
	for c, err := range l.Ledger().Read(testContext(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		want, err := streams.CommitRecord(c.Commit)
		if err != nil {
			t.Fatal(err)
		}
		got := g.recs[n]
		if string(got.Key) != string(want.Key) || string(got.Value) != string(want.Value) || !reflect.DeepEqual(got.Headers, want.Headers) {
			t.Fatalf("record %d is %s; want %s", n, got.Value, want.Value)
		}
		n++
	}
}

// TestRelay_Killed ends a relay at every place where it can be ended, and starts another: each commit is
// there once, in order.
func TestRelay_Killed(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	ids := fill(t, l, 0, 12)
	kill := fault.New(fault.Internal, "killed")
	for _, stored := range []bool{true, false} { // with and without a cursor that survives
		for publish := range 3 { // the Publish it dies in
			for take := range 6 { // of 5: what had been written of it
				g := &target{}
				o := RelayOptions{Target: g, Batch: 5, Logf: t.Logf}
				if stored {
					o.Cursor = CursorFile(filepath.Join(t.TempDir(), "cursor"))
				}
				g.publish = func(n int) (int, error) {
					if n == publish {
						return take, kill
					}
					return 5, nil
				}
				if err := NewRelay(l.Ledger(), o).Run(testContext(t)); err != kill {
					t.Fatalf("the relay ended with %v", err)
				}
				g.publish = nil
				if len(g.ids(t)) < len(ids) {
					g.run(t, l, o, len(ids))
				}
				if got := g.ids(t); !reflect.DeepEqual(got, ids) {
					t.Fatalf("killed in publish %d after %d records, cursor stored %v: %v", publish, take, stored, got)
				}
				if last := g.reads[len(g.reads)-1]; stored && publish > 0 && len(g.reads) > 1 && last == 0 {
					t.Errorf("killed in publish %d: the target was read from the beginning again", publish)
				}
			}
		}
	}
}

// A target that is away, or in doubt, is tried again.
func TestRelay_TriesAgain(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	ids := fill(t, l, 0, 10)
	g := &target{publish: func(n int) (int, error) {
		switch n {
		case 0:
			return 0, fault.New(fault.Unavailable, "away")
		case 2:
			return 2, fault.New(fault.Unknown, "in doubt")
		}
		return 100, nil
	}}
	g.run(t, l, RelayOptions{Batch: 4}, 10)
	if got := g.ids(t); !reflect.DeepEqual(got, ids) {
		t.Errorf("%v", got)
	}
}

// Open runs the relay, through a restart of the server, until Close.
func TestRelay_InLog(t *testing.T) {
	s := fake.New(t, nil)
	g := &target{}
	arrived := make(chan struct{})
	g.arrived, g.arriving = arrived, 8
	l := mustOpen(t, Options{URL: s.URL(), Relay: &RelayOptions{Target: g, Logf: t.Logf}})
	fill(t, l, 0, 4)
	s.Stop()
	s.Start(t)
	ids := fill(t, l, 4, 8)
	<-arrived
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := g.ids(t); !reflect.DeepEqual(got, ids) {
		t.Errorf("%v", got)
	}
}

// A target that has a later commit and lacks an earlier one is not this relay's work: it stops.
func TestRelay_OutOfOrder(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	fill(t, l, 0, 3)
	g := &target{}
	g.run(t, l, RelayOptions{}, 3)
	g.recs = g.recs[2:]
	wantCode(t, NewRelay(l.Ledger(), RelayOptions{Target: g, Logf: t.Logf}).Run(testContext(t)), fault.Corrupt)
}

func TestCursorFile(t *testing.T) {
	ctx := testContext(t)
	f := CursorFile(filepath.Join(t.TempDir(), "cursor"))
	if c, err := f.Load(ctx); err != nil || c != (Cursor{}) {
		t.Fatalf("%v, %v", c, err)
	}
	for i := range int64(3) {
		want := Cursor{Ledger: 1<<62 + i, Target: i}
		if err := f.Store(ctx, want); err != nil {
			t.Fatal(err)
		}
		if c, err := f.Load(ctx); err != nil || c != want {
			t.Fatalf("%v, %v", c, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(string(f))); err != nil || len(left) != 1 {
		t.Errorf("%d files, %v", len(left), err)
	}
	if err := os.WriteFile(string(f), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := f.Load(ctx)
	wantCode(t, err, fault.Corrupt)
	wantCode(t, CursorFile(filepath.Join(string(f), "x")).Store(ctx, Cursor{}), fault.Unavailable)
}
