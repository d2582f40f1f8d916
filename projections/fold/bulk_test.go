package fold_test

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/racing"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func cutAt(n int) streams.Cut {
	return streams.Cut{streams.TP{Topic: events.UserEventsTopic}: int64(n)}
}

// saveOf is pairs of some size together, a tenth of them deletions.
func saveOf(rng *rand.Rand, size int) map[string][]byte {
	pairs := map[string][]byte{}
	for size > 0 {
		var value []byte
		if rng.IntN(10) > 0 {
			value = bytes.Repeat([]byte{byte(rng.Uint32())}, 1+rng.IntN(20_000))
		}
		key := string(fold.Table("iu"[rng.IntN(2)]).Str(strconv.Itoa(rng.IntN(10_000))))
		pairs[key] = value
		size -= len(key) + len(value)
	}
	return pairs
}

func apply(state, save map[string][]byte) map[string][]byte {
	next := maps.Clone(state)
	for key, value := range save {
		if next[key] = value; len(value) == 0 {
			delete(next, key)
		}
	}
	return next
}

func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// A save of any size leaves just its pairs and its cursor, whatever stood there before, and nothing in the scratch folder.
func TestSavesOfAnySize(t *testing.T) {
	dir, rng := filepath.Join(t.TempDir(), "views"), rand.New(rand.NewPCG(1, 9))
	store, err := fold.OpenStore(dir, fold.StoreOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	want := map[string][]byte{}
	for n, size := range []int{1, fold.BulkBatch / 2, 2 * fold.BulkBatch, 0, fold.BulkTable + fold.BulkBatch, 10} {
		save := saveOf(rng, size)
		if err := store.SaveBulk(3, saveOf(rng, min(size, 2*fold.BulkBatch)), cutAt(100+n), true); err != nil {
			t.Fatal(err)
		}
		if err := store.SaveBulk(7, save, cutAt(n+1), false); err != nil {
			t.Fatal(err)
		}
		want = apply(want, save)
		got, cut, err := store.Generation(7)
		if err != nil || cut.String() != cutAt(n+1).String() || !same(got, want) {
			t.Fatalf("after a save of %d bytes there are %d pairs up to %v, %v; want %d", size, len(got), cut, err, len(want))
		}
		if got, cut, err := store.Generation(3); err != nil || len(got)+len(cut) > 0 {
			t.Fatalf("of a save that was dropped there are %d pairs up to %v, %v", len(got), cut, err)
		}
		left, err := os.ReadDir(filepath.Join(dir, "saving"))
		if err != nil && !os.IsNotExist(err) || len(left) > 0 {
			t.Errorf("%d files are left of a save, %v", len(left), err)
		}
	}
}

// What a process left of a save is gone with the next start.
func TestLeftOfASave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "views")
	left := filepath.Join(dir, "saving", "7-1")
	for range 2 {
		store, err := fold.OpenStore(dir, fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(left); !os.IsNotExist(err) {
			t.Errorf("it is there, %v", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(left), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left, []byte("half a table"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// failing is a disk that calls fail before a table becomes the store's, and after.
type failing struct {
	*vfs.MemFS
	fail func()
}

func (d *failing) Link(from, to string) error {
	d.fail()
	defer d.fail()
	return d.MemFS.Link(from, to)
}

// Power that fails, while something is saved or after, leaves the state after some save, with the cursor of that one: saves that are batches and
// saves that are tables come back whole, and in order.
func TestSavesAreWholeAfterACrash(t *testing.T) {
	for seed := range uint64(racing.Rounds(4)) {
		rng := rand.New(rand.NewPCG(seed, 10))
		states := []map[string][]byte{{}}
		dir, disk := filepath.Join(t.TempDir(), "views"), &failing{MemFS: vfs.NewCrashableMem()}
		disk.fail = func() {
			crashed := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			again, err := fold.OpenStore(dir, fold.StoreOptions{FS: crashed})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			got, cut, err := again.Generation(7)
			at := cut[streams.TP{Topic: events.UserEventsTopic}]
			if err != nil || !same(got, states[at]) {
				t.Errorf("seed %d: a crash in save %d left %d pairs, %v, with the cursor of save %d, which left %d", seed, len(states)-1, len(got), err, at, len(states[at]))
			}
		}
		store, err := fold.OpenStore(dir, fold.StoreOptions{FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 5 {
			save := saveOf(rng, []int{100, 50_000, 2 * fold.BulkBatch}[rng.IntN(3)])
			states = append(states, apply(states[n], save))
			if err := store.SaveBulk(7, save, cutAt(n+1), false); err != nil {
				t.Fatal(err)
			}
			disk.fail()
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
