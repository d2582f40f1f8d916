package fold_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func mustSnapshot(t testing.TB, r *fold.Runner, dir string) []fold.Stored {
	t.Helper()
	stored, err := r.Snapshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

// Copies that are taken while the log grows and is folded are, view by view, the fold of the cut they
// stand at; and a runner that goes on from one ends equal to the first.
func TestSnapshotUnderLoad(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	ctx := context.Background()
	var last []streams.Record
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		for n := range 60 {
			last = publish(t, log, n*50, 50, films)
		}
	}()
	var dirs []string
	var taken [][]fold.Stored
	for range 4 {
		dir := filepath.Join(t.TempDir(), "views")
		taken = append(taken, mustSnapshot(t, r, dir))
		dirs = append(dirs, dir)
	}
	<-filled
	wait(t, r, last)
	end := mustHashes(t, r)
	for i, dir := range dirs {
		s, err := fold.OpenStore(dir, fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		again, err := fold.NewRunner(ctx, log, s, tallies...)
		if err != nil {
			t.Fatal(err)
		}
		if notes := again.Refolded(); len(notes) > 0 {
			t.Fatalf("folded anew: %v", notes)
		}
		for j, v := range mustHashes(t, again) {
			k := slices.IndexFunc(taken[i], func(s fold.Stored) bool { return s.View == v.View })
			if k < 0 || taken[i][k].Cut != v.Cut {
				t.Fatalf("view %s stands at %s; the copy was said to be %+v", v.View, v.Cut, taken[i])
			}
			cut, err := streams.ParseCut(v.Cut)
			if err != nil {
				t.Fatal(err)
			}
			scratch := testStore(t)
			whole, err := fold.Replay(ctx, log, scratch, cut, nil, tallies[j])
			if err != nil {
				t.Fatal(err)
			}
			if want := mustHashes(t, whole)[0]; want.SHA256 != v.SHA256 || want.Pairs != v.Pairs {
				t.Errorf("copy %d: view %s at %s has %d pairs, the log folded to there %d", i, v.View, v.Cut, v.Pairs, want.Pairs)
			}
		}
		if err := again.CatchUp(ctx, nil, nil); err != nil {
			t.Fatal(err)
		}
		for j, v := range mustHashes(t, again) {
			if v.SHA256 != end[j].SHA256 || v.Cut != end[j].Cut {
				t.Errorf("copy %d: view %s ends at %s %s; the first one at %s %s", i, v.View, v.Cut, v.SHA256, end[j].Cut, end[j].SHA256)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
}

// A copy of a store that was never synced or flushed has all of it.
func TestSnapshotHasWhatIsOnlyInMemory(t *testing.T) {
	log, store := testLog(t), testStore(t)
	publish(t, log, 0, 100, films)
	r, err := fold.NewRunner(context.Background(), log, store, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.FoldUp(context.Background()); err != nil { // no checkpoint follows
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "views")
	mustSnapshot(t, r, dir)
	s, err := fold.OpenStore(dir, fold.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	copied, err := fold.NewRunner(context.Background(), log, s, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	live, have := mustHashes(t, r), mustHashes(t, copied)
	for i := range live {
		if live[i].SHA256 != have[i].SHA256 || live[i].Cut != have[i].Cut {
			t.Errorf("view %s: %+v; the copy %+v", live[i].View, live[i], have[i])
		}
	}
	if live[0].Pairs == 0 || live[1].Pairs == 0 {
		t.Errorf("nothing was folded: %+v", live)
	}
	if _, err := r.Snapshot(dir); !fault.Is(err, fault.Unavailable) {
		t.Errorf("into a folder that is there: %v", err)
	}
}

func TestFits(t *testing.T) {
	log, store := testLog(t), testStore(t)
	r, err := fold.NewRunner(context.Background(), log, store, tallies...)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, log, 0, 10, films)
	if err := r.CatchUp(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	head := streams.Cut{}
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		if head[tp], err = log.Feed().Head(context.Background(), tp, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Fits(head, tallies...); err != nil {
		t.Error(err)
	}
	if err := store.Fits(head); err != nil {
		t.Errorf("views that nobody reads: %v", err)
	}
	if err := store.Fits(streams.Cut{}, tallies...); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "the log ends at 0") {
		t.Errorf("on a shorter log: %v", err)
	}
	if err := store.StoreAs("tally", 2); err != nil {
		t.Fatal(err)
	}
	if err := store.Fits(head, tallies...); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "view tally is stored in format 2") {
		t.Errorf("of a newer format: %v", err)
	}
}
