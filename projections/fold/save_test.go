package fold_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// slowly is the online view; its saves wait, and one film makes it panic.
type slowly struct {
	*projections.Online
	gate *gate
}

type gate struct {
	entered, leave chan struct{}
	enter          sync.Once
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}), leave: make(chan struct{})}
}

func (g *gate) views() []fold.Factory {
	return []fold.Factory{func() fold.View { return &slowly{projections.NewOnline(), g} }}
}

func (v *slowly) Save(w fold.Writer) func() error {
	write := v.Online.Save(w)
	return func() error {
		v.gate.enter.Do(func() { close(v.gate.entered) })
		<-v.gate.leave
		return write()
	}
}

func (v *slowly) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if x, ok := in[i].Event.Data.(*events.Interaction); ok && x.MovieID == "panic" {
			panic("this film")
		}
		if err := v.Online.Apply(w, in[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (v *slowly) Replaced(by fold.View) { v.Online.Replaced(by.(*slowly).Online) }

// pairs are what a store has of the online view.
func pairs(t *testing.T, r *fold.Runner) map[string]string {
	t.Helper()
	all := map[string]string{}
	for kv, err := range r.Pairs("online") {
		if err != nil {
			t.Fatal(err)
		}
		all[string(kv.Key)] = string(kv.Value)
	}
	return all
}

// A lazy view that is saved folds on meanwhile, and what is stored is of the moment when the save began.
func TestASaveHoldsUpNoFolding(t *testing.T) {
	log, store, g := testLog(t), testStore(t), newGate()
	r, stop := runningViews(t, log, store, g.views())
	wait(t, r, publish(t, log, 0, 300, films))
	began := r.CursorOf("online")
	save, err := r.SaveBeside("online")
	if err != nil {
		t.Fatal(err)
	}
	<-g.entered
	wait(t, r, publish(t, log, 300, 300, func(i int) string { return fmt.Sprint(i % 11) })) // of films that change, and of new ones
	if cut, err := r.StoredCut("online"); err != nil || len(cut) != 0 || len(pairs(t, r)) != 0 {
		t.Errorf("before it was written, the store says %v, %v", cut, err)
	}
	close(g.leave)
	if err := save.Settled(); err != nil {
		t.Fatal(err)
	}
	cut, err := r.StoredCut("online")
	if err != nil || cut.String() != began.String() {
		t.Fatalf("stored is %v, %v; the save began at %v", cut, err, began)
	}
	head, err := fold.HeadCut(context.Background(), log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for tp := range head {
		head[tp] = began[tp]
	}
	again, err := fold.Replay(context.Background(), log, testStore(t), head, nil, g.views()...)
	if err != nil {
		t.Fatal(err)
	}
	got, want := pairs(t, r), pairs(t, again)
	for k, v := range want {
		if got[k] != v {
			t.Errorf("pair %q is %x, want %x", k, got[k], v)
		}
	}
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d pairs are stored, want %d", len(got), len(want))
	}
	stop()
	if cut, err := r.StoredCut("online"); err != nil || cut.String() != r.CursorOf("online").String() {
		t.Errorf("at the end the store has %v, %v of %v", cut, err, r.CursorOf("online"))
	}
}

// Nor does one that a verification or a snapshot waits for.
func TestWhoWantsAllSavedHoldsUpNoFolding(t *testing.T) {
	for name, want := range map[string]func(r *fold.Runner, dir string) error{
		"sums":     func(r *fold.Runner, _ string) error { _, err := r.Hashes(context.Background()); return err },
		"snapshot": func(r *fold.Runner, dir string) error { _, err := r.Snapshot(filepath.Join(dir, "copy")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			log, store, g := testLog(t), testStore(t), newGate()
			r, stop := runningViews(t, log, store, g.views())
			defer stop()
			wait(t, r, publish(t, log, 0, 300, films))
			dir, done := t.TempDir(), make(chan error)
			go func() { done <- want(r, dir) }()
			<-g.entered
			wait(t, r, publish(t, log, 300, 100, films))
			close(g.leave)
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			if cut, err := r.StoredCut("online"); err != nil || cut.String() != r.CursorOf("online").String() {
				t.Errorf("stored is %v, %v of %v", cut, err, r.CursorOf("online"))
			}
		})
	}
}

// Of a view that has failed half-way nothing that is on its way comes into the store any more.
func TestASaveIsDroppedWithItsView(t *testing.T) {
	log, store, g := testLog(t), testStore(t), newGate()
	r, stop := runningViews(t, log, store, g.views())
	wait(t, r, publish(t, log, 0, 300, films))
	save, err := r.SaveBeside("online")
	if err != nil {
		t.Fatal(err)
	}
	<-g.entered
	bad := publish(t, log, 300, 1, func(int) string { return "panic" })
	until(t, "the save is still wanted", save.Dropped)
	close(g.leave)
	if err := r.Wait(context.Background(), bad[0].Position, "online"); err == nil {
		t.Error("the view has folded what makes it panic")
	}
	if cut, err := r.StoredCut("online"); err != nil || len(cut) != 0 {
		t.Errorf("stored is %v, %v", cut, err)
	}
	stop()
}

// Who holds the view on reads what has taken its place, also while a save of it was on its way.
func TestAHeldOnlineViewReadsItsSuccessor(t *testing.T) {
	log, store, g := testLog(t), testStore(t), newGate()
	r, stop := runningViews(t, log, store, g.views())
	defer stop()
	wait(t, r, publish(t, log, 0, 300, films))
	held := fold.Of[*slowly](r)
	if _, err := r.SaveBeside("online"); err != nil {
		t.Fatal(err)
	}
	<-g.entered
	close(g.leave)
	if err := r.Rebuild(context.Background(), "online", nil); err != nil {
		t.Fatal(err)
	}
	wait(t, r, []streams.Record{act(t, log, "new", "99", 1)})
	now := fold.Of[*slowly](r)
	if now == held {
		t.Fatal("nothing has taken its place")
	}
	for _, user := range []string{"new", "1", "stranger"} {
		if got, want := factsOf(t, held.Online, user), factsOf(t, now.Online, user); got != want {
			t.Errorf("who holds on sees %d facts of %s, others %d", got, user, want)
		}
	}
	if factsOf(t, held.Online, "new") != 1 || factsOf(t, held.Online, "1") != 6 {
		t.Error("facts are missing")
	}
}

// A row that nobody can have written is an error for who wants it, no less than a damaged block of the store, and the
// next start folds the views again.
func TestAMalformedRowIsDamage(t *testing.T) {
	for name, c := range map[string]struct {
		key  fold.Key
		meet func(t *testing.T, log streams.Log, r *fold.Runner) error
	}{
		"a person's, by a question": {fold.Table('u').Str("1"), func(t *testing.T, _ streams.Log, r *fold.Runner) error {
			return fold.Of[*projections.Online](r).ReadFor("1", nil)
		}},
		"a person's, by a fact": {fold.Table('u').Str("1"), func(t *testing.T, log streams.Log, r *fold.Runner) error {
			act(t, log, "1", "2", 9999)
			return r.CatchUp(context.Background(), nil, nil)
		}},
		"what came after a film, by a question": {fold.Table('n').Str("1"), func(t *testing.T, _ streams.Log, r *fold.Runner) error {
			return fold.Of[*projections.Online](r).ReadAll(nil)
		}},
		"what came after a film, by a save": {fold.Table('n').Str("1"), func(t *testing.T, log streams.Log, r *fold.Runner) error {
			act(t, log, "1", "1", 9999)
			act(t, log, "1", "2", 10000)
			return r.CatchUp(context.Background(), nil, nil)
		}},
		"a film's features, by a question": {fold.Table('f').Str("1"), func(t *testing.T, _ streams.Log, r *fold.Runner) error {
			return fold.Of[*projections.Online](r).Film("1", nil)
		}},
		"a film's features, by a fact": {fold.Table('f').Str("1"), func(t *testing.T, log streams.Log, r *fold.Runner) error {
			act(t, log, "2", "1", 9999)
			return r.CatchUp(context.Background(), nil, nil)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			log, dir := testLog(t), filepath.Join(t.TempDir(), "views")
			publish(t, log, 0, 300, films)
			filled(t, log, dir, true)
			store, r, err := fold.Open(context.Background(), log, dir, fold.StoreOptions{}, time.Unix(1, 0), tallies...)
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Tamper("online", c.key, []byte{3, 1, 0xff}); err != nil {
				t.Fatal(err)
			}
			if err := c.meet(t, log, r); !errors.Is(err, fold.ErrDamaged) || !fault.Is(err, fault.Corrupt) {
				t.Errorf("it says %v", err)
			}
			if err := r.Tend("online"); err != nil {
				t.Error(err)
			}
			if store.Damaged() == nil {
				t.Error("no mark is left for the next start")
			}
			store.Close() //nolint:errcheck // what it says is of the damage
			store, r, err = fold.Open(context.Background(), log, dir, fold.StoreOptions{}, time.Unix(2, 0), tallies...)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if len(asides(t, dir)) != 1 {
				t.Error("the views were not put aside")
			}
			if err := r.CatchUp(context.Background(), nil, nil); err != nil {
				t.Fatal(err)
			}
			verified(t, r)
		})
	}
}

func factsOf(t *testing.T, o *projections.Online, user string) (facts int) {
	t.Helper()
	if err := o.ReadFor(user, func(m *online.Model, _ streams.Cut) { facts = m.UserEvents(user) }); err != nil {
		t.Fatal(err)
	}
	return facts
}
