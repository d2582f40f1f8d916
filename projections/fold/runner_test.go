package fold_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

func testLog(t testing.TB) streams.Log {
	t.Helper()
	log, err := local.OpenMem(local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func testStore(t testing.TB) *fold.Store {
	t.Helper()
	s, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// tally is a lazy view for the tests of the runner: it counts interactions by film, and chokes on a film
// of the name "poison".
type tally struct {
	n    map[string]uint64
	lazy bool
}

func (v *tally) Spec() fold.Spec {
	name := "tally"
	if v.lazy {
		name = "lazy-tally"
	}
	return fold.Spec{Name: name, Format: 1, Topics: []string{events.UserEventsTopic}, Lazy: v.lazy, Indexed: !v.lazy}
}

func (v *tally) Open(r fold.Reader) error {
	v.n = map[string]uint64{}
	for kv, err := range r.Scan(fold.Table('n'), fold.Table('n').End()) {
		if err != nil {
			return err
		}
		v.n[fold.Parts(kv.Key).Str()] = fold.Parts(append([]byte{0}, kv.Value...)).U64()
	}
	return nil
}

func (v *tally) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		x := in[i].Event.Data.(*events.Interaction)
		if x.MovieID == "poison" {
			return fold.PoisonAt(&in[i], errors.New("this film cannot be counted"))
		}
		id := strings.Clone(x.MovieID)
		if v.lazy {
			v.n[id]++
			continue
		}
		k := fold.Table('n').Str(id)
		var n uint64
		if b, ok, err := w.Get(k); err != nil {
			return err
		} else if ok {
			n = fold.Parts(append([]byte{0}, b...)).U64()
		}
		if err := w.Set(k, fold.Key{}.U64(n+1)); err != nil {
			return err
		}
	}
	return nil
}

func (v *tally) Flush(w fold.Writer) error {
	for id, n := range v.n {
		if err := w.Set(fold.Table('n').Str(id), fold.Key{}.U64(n)); err != nil {
			return err
		}
	}
	return nil
}

func publish(t testing.TB, log streams.Log, from, n int, movie func(i int) string) []streams.Record {
	t.Helper()
	var recs []streams.Record
	for i := from; i < from+n; i++ {
		at := time.UnixMilli(int64(i) * 1000).UTC()
		user := fmt.Sprint(i % 50)
		ev := events.Event{ID: fmt.Sprintf("e%d", i), Source: "/test", Time: at,
			Data: &events.Interaction{UserID: user, MovieID: movie(i), Kind: "view", Timestamp: events.FormatTime(at)}}
		rec, err := streams.FactRecord(user, &ev)
		if err != nil {
			t.Fatal(err)
		}
		recs = append(recs, rec)
	}
	if err := log.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	return recs
}

func films(i int) string { return fmt.Sprint(i % 7) }

var tallies = []fold.Factory{
	func() fold.View { return &tally{} },
	func() fold.View { return &tally{lazy: true} },
	func() fold.View { return projections.NewHistories() },
	func() fold.View { return projections.NewOnline() },
	func() fold.View { return projections.NewQuarantine() },
	func() fold.View { return projections.NewAudit() }, // one that reads the ledger, where skips are decided
}

func running(t testing.TB, log streams.Log, store *fold.Store) (*fold.Runner, func()) {
	t.Helper()
	r, err := fold.NewRunner(context.Background(), log, store, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return r, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func wait(t testing.TB, r *fold.Runner, recs []streams.Record, views ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, rec := range recs {
		if err := r.Wait(ctx, rec.Position, views...); err != nil {
			t.Fatal(err)
		}
	}
}

func verified(t testing.TB, r *fold.Runner) {
	t.Helper()
	reports, err := r.Verify(context.Background(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != len(tallies) {
		t.Fatalf("%d reports for %d views", len(reports), len(tallies))
	}
	for _, rep := range reports {
		if !rep.Equal {
			t.Errorf("view %s differs from its replay: %s", rep.View, rep.Diff)
		}
		if rep.Pairs == 0 && rep.View != "quarantine" && rep.View != "audit" {
			t.Errorf("view %s is empty", rep.View)
		}
	}
}

func TestRunnerFoldsLiveAndAfterRestart(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	recs := publish(t, log, 0, 1000, films)
	last := recs[len(recs)-1]
	wait(t, r, recs)
	stop()
	reopened, err := fold.NewRunner(context.Background(), log, store, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tally", "lazy-tally"} { // as stored, before anything is folded again
		v, cursor := reopened.ViewNamed(name).(*tally), reopened.CursorOf(name)
		if v.n["3"] != 143 || !cursor.Covers(last.Position) {
			t.Fatalf("%s has counted %d, up to %s: it has lost its state", name, v.n["3"], cursor)
		}
	}
	r, stop = running(t, log, store)
	defer stop()
	wait(t, r, publish(t, log, 1000, 500, films))
	verified(t, r)
	st, err := r.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range st {
		if s.Lag != 0 || s.Error != "" {
			t.Errorf("%+v", s)
		}
	}
}

// A process that dies loses what lazy views had in memory and nothing else: the next one folds the tail again.
func TestRunnerAfterCrash(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, err := fold.NewRunner(context.Background(), log, store, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, log, 0, 300, films)
	if err := r.FoldUp(context.Background()); err != nil { // folds, and is then forgotten without a checkpoint
		t.Fatal(err)
	}
	publish(t, log, 300, 10, films)
	r, stop := running(t, log, store)
	defer stop()
	wait(t, r, publish(t, log, 310, 1, films))
	verified(t, r)
}

func TestVerifyFindsWhatWasTamperedWith(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	wait(t, r, publish(t, log, 0, 100, films))
	if err := r.Tamper("tally", fold.Table('n').Str("3"), fold.Key{}.U64(99)); err != nil {
		t.Fatal(err)
	}
	reports, err := r.Verify(context.Background(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if rep.Equal == (rep.View == "tally") {
			t.Errorf("%+v", rep)
		}
	}
	if err := r.Rebuild(context.Background(), "tally", nil); err != nil {
		t.Fatal(err)
	}
	wait(t, r, publish(t, log, 100, 10, films))
	verified(t, r)
}

func TestRebuildBesideTheRunningOne(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	wait(t, r, publish(t, log, 0, 20_000, films))
	for i, name := range []string{"tally", "lazy-tally", "online", "histories"} {
		done := make(chan error, 1)
		go func() { done <- r.Rebuild(context.Background(), name, func(_, _ int64) {}) }()
		wait(t, r, publish(t, log, 20_000+i*100, 100, films))
		if err := <-done; err != nil {
			t.Fatal(name, err)
		}
	}
	verified(t, r)
	stop()
	r, stop = running(t, log, store) // the store points at the new generations
	defer stop()
	verified(t, r)
	if err := r.Rebuild(context.Background(), "nonsense", nil); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
}

func TestPoisonHaltsUntilSkipped(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	wait(t, r, publish(t, log, 0, 100, films))
	bad := publish(t, log, 100, 1, func(int) string { return "poison" })
	after := publish(t, log, 101, 100, films)
	wait(t, r, after, "online", "histories") // the others go on
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := r.Wait(ctx, bad[0].Position, "tally"); err == nil || !strings.Contains(err.Error(), "halted at "+bad[0].Position.String()) {
		t.Fatal("no word of the halt:", err)
	}
	stop()
	r, stop = running(t, log, store) // it halts again after a restart
	if err := r.Wait(ctx, bad[0].Position, "lazy-tally"); err == nil {
		t.Fatal("a restart passes over the poison")
	}
	for _, view := range []string{"tally", "lazy-tally"} {
		_, err := log.Ledger().Append(ctx, streams.Commit{ID: "skip-" + view, Stream: "view/" + view, Expected: streams.AnyRevision,
			Events: []events.Event{{ID: "skip-" + view, Source: "/test", Subject: "view/" + view, Time: time.Now(),
				Data: &events.ViewEventSkipped{View: view, Position: bad[0].Position.String(), Reason: "test"}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	defer stop()
	for r.Wait(ctx, after[len(after)-1].Position) != nil { // until the skips are folded it says that the views are halted
		if ctx.Err() != nil {
			t.Fatal("the views do not go on")
		}
		time.Sleep(time.Millisecond)
	}
	wait(t, r, bad)
	wait(t, r, after)
	verified(t, r)
}

func TestMalformedFactsOnlyReachTheQuarantine(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	recs := []streams.Record{{Key: []byte("1"), Value: []byte(`{"user_id":"1","movie_id":"2","interaction_type":"view","rating":77}`)}, {Value: []byte("\xff\x00 garbage")}}
	if err := log.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	wait(t, r, recs)
	wait(t, r, publish(t, log, 0, 10, films))
	verified(t, r)
	for _, rep := range mustHashes(t, r) {
		if rep.View == "quarantine" && rep.Pairs == 0 {
			t.Fatal("the quarantine is empty")
		}
	}
}

func mustHashes(t testing.TB, r *fold.Runner) []fold.ViewReport {
	t.Helper()
	h, err := r.Hashes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Views that are ahead of the log belong to another log, or the log has lost data.
func TestViewsAheadOfTheLogAreRefused(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	wait(t, r, publish(t, log, 0, 100, films))
	stop()
	if _, err := fold.NewRunner(context.Background(), testLog(t), store, tallies...); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "lost data") {
		t.Fatal(err)
	}
}

func TestViewOfANewerFormatIsRefused(t *testing.T) {
	log, store := testLog(t), testStore(t)
	if err := store.StoreAs("tally", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := fold.NewRunner(context.Background(), log, store, tallies...); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "newer program") {
		t.Fatal(err)
	}
}

// away is a log whose feeds cannot be read for a while.
type away struct {
	streams.Log
	down atomic.Bool
}

func (a *away) Feed() streams.Feed { return awayFeed{a.Log.Feed(), a} }

type awayFeed struct {
	streams.Feed
	a *away
}

func (f awayFeed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	if f.a.down.Load() {
		return func(yield func(*streams.Record, error) bool) {
			yield(nil, fault.New(fault.Unavailable, "the brokers are away"))
		}
	}
	return f.Feed.Read(ctx, tp, from)
}

func TestFoldingGoesOnWhenTheLogIsBack(t *testing.T) {
	log, store := &away{Log: testLog(t)}, testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	wait(t, r, publish(t, log, 0, 10, films))
	log.down.Store(true)
	recs := publish(t, log, 10, 10, films)
	for {
		st, err := r.Status(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(st[0].Error, "brokers are away") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	log.down.Store(false)
	wait(t, r, recs)
	verified(t, r)
}

// What any Kafka client publishes as documented is learned under the one spelling of person and film.
func TestPlainFactsAreLearnedUnderCanonicalIDs(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	recs := []streams.Record{{Value: []byte(`{"user_id":"user_001","movie_id":"movie_011","interaction_type":"like","timestamp":"2026-11-24T12:00:00Z"}`)}}
	if err := log.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	wait(t, r, recs)
	known := false
	fold.Of[*projections.Online](r).Read(func(m *online.Model) { _, known = m.Lookup("11") })
	if facts, _ := learned(t, r, "1"); facts != 1 || !known {
		other, _ := learned(t, r, "user_001")
		t.Errorf("person 1 has %d events, person user_001 %d", facts, other)
	}
}

func TestViewOfAnOlderFormatIsFoldedAgain(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	recs := publish(t, log, 0, 100, films)
	wait(t, r, recs)
	stop()
	if err := store.StoreAs("tally", 0); err != nil {
		t.Fatal(err)
	}
	r, stop = running(t, log, store)
	defer stop()
	if notes := r.Refolded(); len(notes) != 1 || !strings.Contains(notes[0], "view tally is stored in format 0") {
		t.Fatal(notes)
	}
	wait(t, r, recs)
	verified(t, r)
}
