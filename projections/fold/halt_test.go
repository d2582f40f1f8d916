package fold_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// shaky counts like tally, but a film named "panic" ends its fold by a panic, and one named "error" by an error that
// names no record, unless it is sound.
type shaky struct {
	tally
	sound *atomic.Bool
}

func (v *shaky) Spec() fold.Spec {
	s := v.tally.Spec()
	s.Name = "shaky-" + s.Name
	return s
}

func (v *shaky) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		switch film := in[i].Event.Data.(*events.Interaction).MovieID; {
		case film == "panic" && !v.sound.Load():
			v.n["half"]++ // what no other record undoes
			panic("no such film")
		case film == "error" && !v.sound.Load():
			return errors.New("no such film")
		}
		if err := v.tally.Apply(w, in[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// shakyViews are two, one of them lazy.
func shakyViews() (views []fold.Factory, sound *atomic.Bool) {
	sound = &atomic.Bool{}
	return []fold.Factory{
		func() fold.View { return &shaky{tally{}, sound} },
		func() fold.View { return &shaky{tally{lazy: true}, sound} },
	}, sound
}

func runningViews(t testing.TB, log streams.Log, store *fold.Store, views []fold.Factory) (*fold.Runner, func()) {
	t.Helper()
	r, err := fold.NewRunner(context.Background(), log, store, views...)
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

// halted waits until a view has halted, and gives where.
func halted(t testing.TB, r *fold.Runner, view string, p streams.Position) *fold.Poison {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var poison *fold.Poison
	if err := r.Wait(ctx, p, view); !errors.As(err, &poison) {
		t.Fatalf("%s has not halted: %v", view, err)
	}
	return poison
}

func skip(t testing.TB, log streams.Log, view string, p streams.Position) {
	t.Helper()
	id := "skip-" + view + p.String()
	_, err := log.Ledger().Append(context.Background(), streams.Commit{ID: id, Stream: "view/" + view, Expected: streams.AnyRevision,
		Events: []events.Event{{ID: id, Source: "/test", Subject: "view/" + view, Time: time.Unix(1, 0).UTC(),
			Data: &events.ViewEventSkipped{View: view, Position: p.String(), Reason: "test"}}}})
	if err != nil {
		t.Fatal(err)
	}
}

func equalToReplay(t testing.TB, r *fold.Runner) {
	t.Helper()
	reports, err := r.Verify(context.Background(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, rep := range reports {
		if !rep.Equal || rep.Pairs == 0 {
			t.Errorf("view %s at %s: %d pairs, other than its replay: %s", rep.View, rep.Cut, rep.Pairs, rep.Diff)
		}
	}
}

// A fold that ends half-way, by a panic or by an error without a name, halts at the very record that it cannot fold,
// wherever that is in a chunk. What it has of it is never saved.
func TestAFoldThatEndsHalfWay(t *testing.T) {
	for _, fault := range []string{"panic", "error"} {
		t.Run(fault, func(t *testing.T) {
			log, store := testLog(t), testStore(t)
			views, sound := shakyViews()
			user := personIn(t, 0)
			for i := range 20 {
				act(t, log, user, films(i), i)
			}
			bad := act(t, log, user, fault, 20)
			for i := range 20 {
				act(t, log, user, films(i), 21+i)
			}
			last := act(t, log, user, "2", 41)
			r, stop := runningViews(t, log, store, views)
			for _, view := range []string{"shaky-tally", "shaky-lazy-tally"} {
				if p := halted(t, r, view, last.Position); p.Position != bad.Position {
					t.Errorf("%s has halted at %s; the record at fault is %s", view, p.Position, bad.Position)
				}
				if err := r.Wait(context.Background(), streams.Position{TP: bad.Position.TP, Offset: bad.Offset - 1}, view); err != nil {
					t.Errorf("%s has not folded what comes before: %v", view, err)
				}
			}
			if err := r.Checkpoint(); err != nil {
				t.Fatal(err)
			}
			stop()

			// A program in which the fault is mended goes on, and has counted everything once.
			sound.Store(true)
			r, stop = runningViews(t, log, store, views)
			wait(t, r, []streams.Record{last})
			equalToReplay(t, r)
			for _, view := range []string{"shaky-tally", "shaky-lazy-tally"} {
				total := uint64(0)
				for kv, err := range r.Pairs(view) {
					if err != nil {
						t.Fatal(err)
					}
					total += fold.Parts(append([]byte{0}, kv.Value...)).U64()
				}
				if total != 42 {
					t.Errorf("%s has counted %d of 42 facts", view, total)
				}
			}
			stop()
		})
	}
}

// An operator's skip gets past the record, also where no other view folds the ledger.
func TestASkipGetsPastAPanic(t *testing.T) {
	log, store := testLog(t), testStore(t)
	views, _ := shakyViews()
	r, stop := runningViews(t, log, store, views)
	defer stop()
	user := personIn(t, 1)
	for i := range 10 {
		act(t, log, user, films(i), i)
	}
	bad := act(t, log, user, "panic", 10)
	last := act(t, log, user, "1", 11)
	for _, view := range []string{"shaky-tally", "shaky-lazy-tally"} {
		halted(t, r, view, last.Position)
		skip(t, log, view, bad.Position)
		folded(t, r, last.Position, view)
	}
	equalToReplay(t, r)
}

// folded waits until a view that has halted has gone on.
func folded(t testing.TB, r *fold.Runner, p streams.Position, view string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for r.Wait(ctx, p, view) != nil { // it says that it has halted until it has read of the skip
		if ctx.Err() != nil {
			t.Fatalf("%s does not go on", view)
		}
		time.Sleep(time.Millisecond)
	}
}

// commits is a view of the ledger that cannot fold one event.
type commits struct{}

func (commits) Spec() fold.Spec {
	return fold.Spec{Name: "commits", Format: 1, Topics: fold.LedgerTopics}
}
func (commits) Open(fold.Reader) error  { return nil }
func (commits) Flush(fold.Writer) error { return nil }
func (commits) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event.Type() == "import.failed" {
			return fold.PoisonAt(&in[i], errors.New("not this one"))
		}
		if err := w.Set(fold.Table('n').Entry(&in[i]), nil); err != nil {
			return err
		}
	}
	return nil
}

// The skip stands in the ledger. It is found although everything that folds the ledger has halted.
func TestASkipIsFoundThoughAllLedgerViewsHaveHalted(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := runningViews(t, log, store, []fold.Factory{func() fold.View { return commits{} }})
	defer stop()
	receipt, err := log.Ledger().Append(context.Background(), streams.Commit{ID: "c", Stream: "import/x", Expected: streams.AnyRevision,
		Events: []events.Event{{ID: "c", Source: "/test", Subject: "import/x", Time: time.Unix(1, 0).UTC(), Data: &events.ImportFailed{ImportID: "x", Reason: "test"}}}})
	if err != nil {
		t.Fatal(err)
	}
	halted(t, r, "commits", receipt.Position)
	skip(t, log, "commits", receipt.Position)
	folded(t, r, receipt.Position, "commits")
	equalToReplay(t, r)
}

// Views that are held on to read what has taken their place: never nothing, and never an error.
func TestAViewIsReadAcrossRebuilds(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	defer stop()
	recs := publish(t, log, 0, 2000, films)
	wait(t, r, recs)
	histories := fold.Of[*projections.Histories](r)
	old := r.ReaderOf("tally")
	for _, view := range []string{"tally", "histories"} {
		if err := r.Rebuild(context.Background(), view, nil); err != nil {
			t.Fatal(err)
		}
	}
	facts := 0
	for _, err := range histories.User("1", fold.At{}) {
		if err != nil {
			t.Fatal(err)
		}
		facts++
	}
	if facts != 40 {
		t.Errorf("the history that was at hand before has %d facts of 40", facts)
	}
	middle := r.ReaderOf("tally")
	done := make(chan error, 1)
	go func() { // while more are made
		for range 5 {
			if err := r.Rebuild(context.Background(), "tally", nil); err != nil {
				done <- err
				return
			}
		}
		close(done)
	}()
	for reading := true; reading; {
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			reading = false
		default:
		}
		for name, reader := range map[string]fold.Reader{"old": old, "middle": middle} {
			v, ok, err := reader.Get(fold.Table('n').Str("3"))
			if err != nil || !ok {
				t.Fatalf("the %s one reads %v, %v, %v", name, v, ok, err)
			}
			pairs := 0
			for _, err := range reader.Scan(nil, nil) {
				if err != nil {
					t.Fatal(err)
				}
				pairs++
			}
			for _, err := range reader.ScanBack(nil, nil) {
				if err != nil {
					t.Fatal(err)
				}
				pairs++
			}
			if pairs != 14 {
				t.Fatalf("the %s one has %d pairs, read both ways; want 14", name, pairs)
			}
		}
	}
	wait(t, r, publish(t, log, 2000, 7, films))
	if v, _, err := old.Get(fold.Table('n').Str("3")); err != nil || fmt.Sprint(v) == "" || fold.Parts(append([]byte{0}, v...)).U64() != 287 {
		t.Errorf("what is folded since is not seen: %v %v", v, err)
	}
	if _, err := old.Cut(); err != nil {
		t.Error(err)
	}
	verified(t, r)
	if strings.Contains(fmt.Sprint(r.Refolded()), "tally") {
		t.Error(r.Refolded())
	}
}
