package handlers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

var testNow = time.Date(2024, 1, 15, 10, 30, 0, 123456789, time.UTC)

// newTestDispatcher counts its ids, and its clock stands still.
func newTestDispatcher(l *testLog, name string) *Dispatcher {
	var mu sync.Mutex
	n := 0
	return New(Config{Ledger: l, Feed: testFeed{l}, Now: func() time.Time { return testNow }, NewID: func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("%s-%d", name, n)
	}})
}

func mustDispatch(t *testing.T, d *Dispatcher, c commands.Command, m Meta) Result {
	t.Helper()
	r, err := d.Dispatch(context.Background(), c, m)
	if err != nil {
		t.Fatalf("%s: %v", c.CommandType(), err)
	}
	return r
}

func wantFault(t *testing.T, err error, code fault.Code, text string) {
	t.Helper()
	if !fault.Is(err, code) || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v (code %q), want code %q and %q", err, fault.CodeOf(err), code, text)
	}
}

const (
	testRun    = "0123456789abcdef0123456789abcdef"
	testSHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func testVersion(name string) *commands.RegisterModelVersion {
	return &commands.RegisterModelVersion{Name: name, RunID: testRun, Algorithm: "als", Seed: 7, CodeVersion: "1", DatasetID: "d1",
		DatasetCut: "user-events/0:9", FeaturesHash: testSHA256, Blob: testSHA256, Bytes: 12}
}

func TestDispatch(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	r := mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{Actor: "user:anna", Correlation: "req-1", Causation: "ev-0"})
	if r.Revision != 0 || r.Duplicate || r.Unchanged() || r.Position.Topic != events.LedgerTopic {
		t.Fatalf("%+v", r)
	}
	want := events.Event{ID: r.Events[0].ID, Source: "/projectionist", Subject: "model/als", Time: testNow.Truncate(time.Millisecond), Schema: 2,
		Actor: "user:anna", Correlation: "req-1", Causation: "ev-0", Data: &events.ModelRegistered{Name: "als"}}
	if !reflect.DeepEqual(r.Events[0], want) {
		t.Errorf("%+v\nwant %+v", r.Events[0], want)
	}
	if stored := l.commits(t, "model/als")[0]; stored.ID != "id-1" || stored.Expected != streams.NoStream || stored.Events[0].ID != want.ID {
		t.Errorf("%+v", stored)
	}
	for v := 1; v <= 3; v++ {
		r := mustDispatch(t, d, testVersion("als"), Meta{Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)), Source: "/import/x"})
		e := r.Events[0]
		if e.Data.(*events.ModelVersionRegistered).Version != v || r.Revision != streams.Revision(v) {
			t.Fatalf("%+v %+v", r, e.Data)
		}
		if e.Time != time.Date(2019, 12, 31, 23, 0, 0, 0, time.UTC) || e.Source != "/import/x" {
			t.Errorf("%v %s", e.Time, e.Source)
		}
	}
}

func TestDispatchInvalid(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	_, err := d.Dispatch(context.Background(), &commands.StageModelVersion{}, Meta{})
	wantFault(t, err, fault.Invalid, "name: ")
	wantFault(t, err, fault.Invalid, "stage: ")
	_, err = d.Dispatch(context.Background(), &commands.RegisterModel{Name: "als"}, Meta{IdempotencyKey: strings.Repeat("k", 256)})
	wantFault(t, err, fault.Invalid, "Idempotency-Key")
	_, err = d.Dispatch(context.Background(), &commands.RegisterModel{Name: "als"}, Meta{IdempotencyKey: "a\nb"})
	wantFault(t, err, fault.Invalid, "Idempotency-Key")
	any := streams.AnyRevision
	_, err = d.Dispatch(context.Background(), &commands.RegisterModel{Name: "als"}, Meta{IfMatch: &any})
	wantFault(t, err, fault.Invalid, "If-Match")
	if l.appends.Load() != 0 || l.reads.Load() != 0 {
		t.Errorf("%d appends, %d reads for requests that are wrong in themselves", l.appends.Load(), l.reads.Load())
	}
}

func TestDispatchUnchanged(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	define := &commands.DefineFeatures{Definitions: "views: []", Hash: testSHA256}
	first := mustDispatch(t, d, define, Meta{})
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
	again := mustDispatch(t, d, define, Meta{})
	if !again.Unchanged() || again.Duplicate || again.Position != first.Position || again.Revision != first.Revision || l.appends.Load() != 2 {
		t.Errorf("%+v, want the place of %+v; %d appends", again, first, l.appends.Load())
	}
}

func TestDispatchReadsTailOnly(t *testing.T) {
	l := newTestLog(t)
	d, other := newTestDispatcher(l, "a"), newTestDispatcher(l, "b")
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
	kept := d.streams.get("model/als").value
	if kept.revision != 0 || l.reads.Load() != 1 {
		t.Fatalf("own events are folded without a read: revision %d, %d reads", kept.revision, l.reads.Load())
	}
	mustDispatch(t, other, testVersion("als"), Meta{})
	// The other dispatcher's version is seen although this one holds the stream in memory.
	r := mustDispatch(t, d, &commands.SetModelAlias{Name: "als", Alias: "champion", Version: 1}, Meta{})
	if r.Revision != 2 || kept.revision != 2 {
		t.Errorf("revision %d, folded to %d", r.Revision, kept.revision)
	}
}

// TestDispatchOpensStream: a run is asked for without its stream being read; one that there is, by whichever dispatcher, is found all the same.
func TestDispatchOpensStream(t *testing.T) {
	l := newTestLog(t)
	request := &commands.RequestWorkflowRun{RunID: "r", Workflow: "w", RunType: "scheduled"}
	first := mustDispatch(t, newTestDispatcher(l, "a"), request, Meta{IdempotencyKey: "k"})
	if l.reads.Load() != 0 || first.Revision != 0 {
		t.Errorf("%d reads; %+v", l.reads.Load(), first)
	}
	_, err := newTestDispatcher(l, "b").Dispatch(t.Context(), request, Meta{})
	wantFault(t, err, fault.Conflict, "exists already")
	if again := mustDispatch(t, newTestDispatcher(l, "c"), request, Meta{IdempotencyKey: "k"}); !again.Duplicate || again.Position != first.Position {
		t.Errorf("%+v; want the answer of %+v", again, first)
	}
	none := streams.NoStream
	_, err = newTestDispatcher(l, "d").Dispatch(t.Context(), request, Meta{IfMatch: &none})
	wantFault(t, err, fault.Conflict, "is at revision 0")
	d := newTestDispatcher(l, "e") // what it has begun to know of the stream is no hindrance to what comes then
	if _, err := d.Dispatch(t.Context(), request, Meta{}); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	mustDispatch(t, d, &commands.EndWorkflowRun{RunID: "r", State: "cancelled"}, Meta{})
	if n := len(l.commits(t, "workflow-run/r")); n != 2 {
		t.Errorf("%d commits; want 2", n)
	}
}

// TestDispatchOnStaleStream: whatever a dispatcher has in memory, its answers are those of one that reads the stream.
func TestDispatchOnStaleStream(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 3))
		l, fresh := newTestLog(t), newTestLog(t)
		all := []*Dispatcher{newTestDispatcher(l, "a"), newTestDispatcher(l, "b"), newTestDispatcher(l, "c")}
		for i := range 40 {
			alias, version := fmt.Sprint("a", r.IntN(2)), 1+r.IntN(3)
			c := []commands.Command{
				&commands.RegisterModel{Name: "als"}, testVersion("als"), &commands.SetModelAlias{Name: "als", Alias: alias, Version: version},
				&commands.RemoveModelAlias{Name: "als", Alias: alias}, &commands.SetModelTags{Name: "als", Tags: map[string]string{alias: fmt.Sprint(version)}},
			}[r.IntN(5)]
			m := Meta{}
			if r.IntN(3) == 0 {
				m.IdempotencyKey = fmt.Sprint("k", r.IntN(8))
			}
			if r.IntN(4) == 0 {
				match := streams.Revision(r.IntN(6))
				m.IfMatch = &match
			}
			wantRes, wantErr := newTestDispatcher(fresh, fmt.Sprint("fresh", i)).Dispatch(context.Background(), c, m)
			res, err := all[r.IntN(len(all))].Dispatch(context.Background(), c, m)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || res.Revision != wantRes.Revision || res.Position != wantRes.Position || res.Duplicate != wantRes.Duplicate || len(res.Events) != len(wantRes.Events) {
				t.Fatalf("seed %d, step %d, %#v %+v: %+v %v; want %+v %v", seed, i, c, m, res, err, wantRes, wantErr)
			}
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "a")
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
	first := mustDispatch(t, d, testVersion("als"), Meta{IdempotencyKey: "k1"})
	mustDispatch(t, d, testVersion("als"), Meta{IdempotencyKey: "k2"})

	for name, d := range map[string]*Dispatcher{"same process": d, "after a restart": newTestDispatcher(l, "b")} {
		appends := l.appends.Load()
		again := mustDispatch(t, d, testVersion("als"), Meta{IdempotencyKey: "k1", Actor: "another"})
		if !again.Duplicate || again.Position != first.Position || again.Revision != first.Revision || again.Unchanged() ||
			again.Events[0].ID != first.Events[0].ID || !reflect.DeepEqual(again.Events[0].Data, first.Events[0].Data) {
			t.Errorf("%s: %+v, want the answer of %+v", name, again, first)
		}
		if l.appends.Load() != appends {
			t.Errorf("%s: appended again", name)
		}
		// A command that its own effect would make refused is answered as the first time.
		one := mustDispatch(t, d, &commands.RegisterModel{Name: name}, Meta{IdempotencyKey: "create"})
		two := mustDispatch(t, d, &commands.RegisterModel{Name: name}, Meta{IdempotencyKey: "create"})
		if !two.Duplicate || two.Position != one.Position {
			t.Errorf("%+v, want %+v", two, one)
		}
		other := testVersion("als")
		other.Seed = 8
		_, err := d.Dispatch(context.Background(), other, Meta{IdempotencyKey: "k1"})
		wantFault(t, err, fault.Conflict, "Idempotency-Key: this key was used before for another model.register_version")
	}
	// The key is of one command on one stream: another may carry it too.
	mustDispatch(t, d, &commands.SetModelAlias{Name: "als", Alias: "a", Version: 1}, Meta{IdempotencyKey: "k1"})
	if n := len(l.commits(t, "model/als")); n != 4 {
		t.Errorf("%d commits, want 4", n)
	}
}

// Two processes are given one key at the same time, and the other's commit comes between this one's
// load and append.
func TestIdempotencyKeyRace(t *testing.T) {
	for _, c := range []struct {
		name string
		seed uint64
		want fault.Code
	}{{"same command", 7, ""}, {"another command", 8, fault.Conflict}} {
		t.Run(c.name, func(t *testing.T) {
			l := newTestLog(t)
			d, other := newTestDispatcher(l, "a"), newTestDispatcher(l, "b")
			mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
			var theirs Result
			l.beforeAppend = func(streams.Commit) error {
				l.beforeAppend = nil
				v := testVersion("als")
				v.Seed = c.seed
				theirs = mustDispatch(t, other, v, Meta{IdempotencyKey: "k"})
				return nil
			}
			ours, err := d.Dispatch(context.Background(), testVersion("als"), Meta{IdempotencyKey: "k"})
			if fault.CodeOf(err) != c.want {
				t.Fatalf("error %v, want code %q", err, c.want)
			}
			if err == nil && (!ours.Duplicate || ours.Position != theirs.Position || ours.Events[0].ID != theirs.Events[0].ID) {
				t.Errorf("%+v, want the answer of %+v", ours, theirs)
			}
			if n := len(l.commits(t, "model/als")); n != 2 {
				t.Errorf("%d commits", n)
			}
		})
	}
}

func TestIfMatch(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	at := func(r streams.Revision) *streams.Revision { return &r }
	_, err := d.Dispatch(context.Background(), &commands.RegisterModel{Name: "als"}, Meta{IfMatch: at(0)})
	wantFault(t, err, fault.Conflict, "does not exist yet")
	r := mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{IfMatch: at(streams.NoStream)})
	r = mustDispatch(t, d, testVersion("als"), Meta{IfMatch: at(r.Revision), IdempotencyKey: "k"})
	_, err = d.Dispatch(context.Background(), testVersion("als"), Meta{IfMatch: at(0)})
	wantFault(t, err, fault.Conflict, "If-Match: model/als is at revision 1, not 0")
	// A repeat is answered although the stream has moved on by its own commit.
	if again := mustDispatch(t, d, testVersion("als"), Meta{IfMatch: at(0), IdempotencyKey: "k"}); !again.Duplicate || again.Revision != r.Revision {
		t.Errorf("%+v", again)
	}
	// Overtaken between load and append: no second try.
	other := newTestDispatcher(l, "other")
	l.beforeAppend = func(c streams.Commit) error {
		l.beforeAppend = nil
		_, err := other.Dispatch(context.Background(), testVersion("als"), Meta{})
		return err
	}
	_, err = d.Dispatch(context.Background(), testVersion("als"), Meta{IfMatch: at(1)})
	wantFault(t, err, fault.Conflict, "If-Match: model/als is at revision 2, not 1")
}

func TestConflictIsDecidedAnew(t *testing.T) {
	l := newTestLog(t)
	d, other := newTestDispatcher(l, "a"), newTestDispatcher(l, "b")
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
	overtaken := 0
	l.beforeAppend = func(c streams.Commit) error {
		if strings.HasPrefix(c.ID, "a-") && overtaken < 3 {
			overtaken++
			_, err := other.Dispatch(context.Background(), testVersion("als"), Meta{})
			return err
		}
		return nil
	}
	r := mustDispatch(t, d, testVersion("als"), Meta{})
	if v := r.Events[0].Data.(*events.ModelVersionRegistered).Version; v != 4 || overtaken != 3 {
		t.Errorf("version %d after being overtaken %d times", v, overtaken)
	}
	l.beforeAppend = func(streams.Commit) error { return fault.New(fault.Conflict, "always") }
	_, err := d.Dispatch(context.Background(), testVersion("als"), Meta{})
	wantFault(t, err, fault.Conflict, "overtaken 32 times")
}

func TestUnknownIsAppendedAgain(t *testing.T) {
	unknown := fault.New(fault.Unknown, "no answer")
	for _, key := range []string{"", "k"} {
		t.Run("written, key "+key, func(t *testing.T) {
			l := newTestLog(t)
			d := newTestDispatcher(l, "id")
			l.afterAppend = func(streams.Commit) error { l.afterAppend = nil; return unknown }
			r := mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{IdempotencyKey: key})
			if r.Unchanged() || r.Revision != 0 || len(l.commits(t, "model/als")) != 1 || l.appends.Load() != 2 {
				t.Errorf("%+v, %d commits, %d appends", r, len(l.commits(t, "model/als")), l.appends.Load())
			}
		})
		t.Run("not written, key "+key, func(t *testing.T) {
			l := newTestLog(t)
			d := newTestDispatcher(l, "id")
			fails, ids := 2, map[string]bool{}
			l.beforeAppend = func(c streams.Commit) error {
				ids[c.ID] = true
				if fails--; fails >= 0 {
					return unknown
				}
				return nil
			}
			r := mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{IdempotencyKey: key})
			if r.Duplicate || r.Revision != 0 || len(l.commits(t, "model/als")) != 1 || len(ids) != 1 {
				t.Errorf("%+v, %d commits, ids %v", r, len(l.commits(t, "model/als")), ids)
			}
		})
	}
	t.Run("bounded", func(t *testing.T) {
		l := newTestLog(t)
		d := newTestDispatcher(l, "id")
		tries := 0
		l.beforeAppend = func(streams.Commit) error { tries++; return unknown }
		_, err := d.Dispatch(context.Background(), &commands.RegisterModel{Name: "als"}, Meta{})
		wantFault(t, err, fault.Unknown, "no answer")
		if tries != unknownsMax {
			t.Errorf("%d tries", tries)
		}
	})
}

// Several processes, each with several writers, register versions and race for one alias: every
// accepted version has its own number, none is missing, and each key is accepted once.
func TestDispatchRaces(t *testing.T) {
	l := newTestLog(t)
	const processes, writers, each = 3, 4, 10
	setup := newTestDispatcher(l, "setup")
	mustDispatch(t, setup, &commands.RegisterModel{Name: "als"}, Meta{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	versions := map[int]int{}
	fresh := map[string]int{}
	dispatchers := make([]*Dispatcher, processes)
	for p := range dispatchers {
		dispatchers[p] = newTestDispatcher(l, fmt.Sprintf("p%d", p))
		d := dispatchers[p]
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					r, err := d.Dispatch(context.Background(), testVersion("als"), Meta{})
					// The same keys are used by every process and writer.
					key := fmt.Sprintf("k%d", i)
					k, errKey := d.Dispatch(context.Background(), &commands.RegisterModel{Name: key}, Meta{IdempotencyKey: key})
					mu.Lock()
					if err != nil || errKey != nil {
						t.Errorf("process %d writer %d: %v %v", p, w, err, errKey)
					} else {
						versions[r.Events[0].Data.(*events.ModelVersionRegistered).Version]++
						if !k.Duplicate {
							fresh[key]++
						}
					}
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	for v := 1; v <= processes*writers*each; v++ {
		if versions[v] != 1 {
			t.Errorf("version %d was given %d times", v, versions[v])
		}
	}
	// What the dispatchers hold in memory is what the log says.
	for _, stream := range []string{"model/als", "model/k0"} {
		anew := &folded{revision: streams.NoStream}
		if err := setup.load(context.Background(), stream, anew); err != nil {
			t.Fatal(err)
		}
		for i, d := range dispatchers {
			kept := d.streams.get(stream).value
			if err := d.load(context.Background(), stream, kept); err != nil || !reflect.DeepEqual(kept, anew) {
				t.Errorf("process %d holds %s as %+v, the log says %+v (%v)", i, stream, kept, anew, err)
			}
		}
	}
	for i := range each {
		key := fmt.Sprintf("k%d", i)
		if fresh[key] != 1 || len(l.commits(t, "model/"+key)) != 1 {
			t.Errorf("key %s was accepted %d times, %d commits", key, fresh[key], len(l.commits(t, "model/"+key)))
		}
	}
}

// A lease is a race too: of all that try to start a task at once, one gets it.
func TestLeaseRace(t *testing.T) {
	l := newTestLog(t)
	mustDispatch(t, newTestDispatcher(l, "s"), &commands.RequestWorkflowRun{RunID: "w", Workflow: "x", RunType: "manual"}, Meta{})
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		d := newTestDispatcher(l, fmt.Sprintf("d%d", i))
		wg.Go(func() {
			_, results[i] = d.Dispatch(context.Background(), &commands.StartTask{RunID: "w", Task: "train", Holder: fmt.Sprint(i), LeaseMillis: 1000}, Meta{})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else {
			wantFault(t, err, fault.Conflict, "is held by")
		}
	}
	if won != 1 || len(l.commits(t, "workflow-run/w")) != 2 {
		t.Errorf("%d holders", won)
	}
}

func TestDispatchWaitsItsTurn(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	e, err := d.streams.acquire(context.Background(), "model/als")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = d.Dispatch(ctx, &commands.RegisterModel{Name: "als"}, Meta{})
	wantFault(t, err, fault.Unavailable, "did not get its turn")
	e.release()
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
}

func TestCorruptStream(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	mustDispatch(t, d, &commands.RegisterModel{Name: "als"}, Meta{})
	l.onRead = func(c *streams.Committed) { c.Revision = 3 }
	_, err := newTestDispatcher(l, "other").Dispatch(context.Background(), testVersion("als"), Meta{})
	wantFault(t, err, fault.Corrupt, "goes on with revision 3 after -1")
}

func TestCacheEvicts(t *testing.T) {
	c := newCache(2, func() int { return 0 })
	for _, key := range []string{"a", "b", "a", "c"} {
		e, err := c.acquire(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		e.value++
		e.release()
	}
	if c.order.Len() != 2 || len(c.byKey) != 2 || c.get("a").value != 2 || c.get("c").value != 1 || c.get("b").value != 0 {
		t.Errorf("%v", c.byKey)
	}
}

func TestIDs(t *testing.T) {
	// The derived ids are for ever: a changed one would let a repeat through.
	if got := nameID("commit", "k", "model.register", "model/als"); got != goldenCommitID {
		t.Errorf("commit id %s, want %s", got, goldenCommitID)
	}
	if nameID("a", "bc") == nameID("ab", "c") || nameID("a") == nameID("a", "") {
		t.Error("different parts, same id")
	}
	first, second := uuid.NewString(), uuid.NewString()
	if !events.Derived(goldenCommitID) || events.Derived(first) || first == second {
		t.Error("versions of ids")
	}
}

const goldenCommitID = "52312a92-6440-5ece-a78f-cea9db2fa3cd"

func BenchmarkDispatch(b *testing.B) {
	l := newTestLog(b)
	d := New(Config{Ledger: l, Feed: testFeed{l}, Now: time.Now, NewID: uuid.NewString})
	ctx := context.Background()
	if _, err := d.Dispatch(ctx, &commands.StartRun{RunID: testRun, ExperimentID: "0"}, Meta{}); err != nil {
		b.Fatal(err)
	}
	c := &commands.LogMetrics{RunID: testRun, Metrics: []events.Metric{{Key: "loss", Value: 1, TimestampMillis: 1}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Dispatch(ctx, c, Meta{}); err != nil {
			b.Fatal(err)
		}
	}
}
