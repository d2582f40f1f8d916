package fold_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/livecopy"
	"github.com/projectionist/projectionist/internal/racing"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// fullDisk has no room, and takes its time to say so the first time it is asked.
type fullDisk struct {
	vfs.FS
	asked          atomic.Bool
	entered, leave chan struct{}
}

func (d *fullDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	if !d.asked.Swap(true) {
		close(d.entered)
		<-d.leave
	}
	return vfs.DiskUsage{TotalBytes: 100 << 30, AvailBytes: 1 << 20}, nil
}

// Several runners ask for room at once: none is told that there is some while another one looks.
func TestRoomIsAskedForByMany(t *testing.T) {
	disk := &fullDisk{FS: vfs.NewMem(), entered: make(chan struct{}), leave: make(chan struct{})}
	disk.asked.Store(true)
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: disk})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	disk.asked.Store(false)
	answers := make(chan error, 2)
	go func() { answers <- store.Room() }()
	<-disk.entered
	go func() { answers <- store.Room() }()
	runtime.Gosched()
	close(disk.leave)
	for range 2 {
		if err := <-answers; !fault.Is(err, fault.Unavailable) {
			t.Errorf("a full disk has room: %v", err)
		}
	}
}

// filled makes a folder of views over a log, closed, or as it is when the process dies.
func filled(t *testing.T, log streams.Log, dir string, closed bool) {
	t.Helper()
	at := dir
	if !closed {
		at = filepath.Join(t.TempDir(), "views")
	}
	store, r, err := fold.Open(context.Background(), log, at, fold.StoreOptions{}, time.Unix(1, 0), tallies...)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.CatchUp(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if !closed {
		livecopy.Copy(t, dir, at)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

// asides are the folders of views that were put aside.
func asides(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(dir + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// Views may be deleted at any time: whatever bit of them is turned, whatever file of a closed store is gone, they are
// whole again, at once or after the next start, and what is answered meanwhile is right or an error.
func TestDamagedViewsAreFoldedAgain(t *testing.T) {
	log := testLog(t)
	recs := publish(t, log, 0, 3000, films)
	met := map[string]int{}
	for _, closed := range []bool{true, false} {
		whole := filepath.Join(t.TempDir(), "views")
		filled(t, log, whole, closed)
		files, err := os.ReadDir(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			turns := min(info.Size(), 3)
			if strings.HasSuffix(f.Name(), ".sst") {
				turns = int64(racing.Rounds(24))
			}
			damaged := func(damage func(path string) error) {
				dir := filepath.Join(t.TempDir(), "views")
				if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
					t.Fatal(err)
				}
				if err := damage(filepath.Join(dir, f.Name())); err != nil {
					t.Fatal(err)
				}
				met[survive(t, log, dir, recs)]++
			}
			for i := range turns {
				damaged(func(path string) error { return turn(path, info.Size()*i/turns) })
			}
			if closed {
				damaged(os.Remove)
			}
		}
	}
	t.Logf("damage was met: %v", met)
	if met["at the start"] == 0 || met["while reading"] == 0 {
		t.Error("not all ways to meet damage were taken")
	}
}

// turn flips a bit of a file.
func turn(path string, at int64) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	b[at] ^= 4
	return os.WriteFile(path, b, 0o600)
}

// survive starts on a damaged folder, reads everything, and starts again if that met damage.
func survive(t *testing.T, log streams.Log, dir string, recs []streams.Record) (met string) {
	t.Helper()
	for start := 0; ; start++ {
		store, r, err := fold.Open(context.Background(), log, dir, fold.StoreOptions{}, time.Unix(int64(2+start), 0), tallies...)
		if err != nil {
			t.Fatal(err)
		}
		aside := asides(t, dir)
		if len(aside) > 1 || (len(aside) > 0) != strings.Contains(strings.Join(r.Refolded(), "\n"), "damaged") {
			t.Fatalf("put aside %q, and says %q", aside, r.Refolded())
		}
		err = errors.Join(r.CatchUp(context.Background(), nil, nil), readAll(r, recs))
		damage := store.Damaged()
		if (err != nil) != (damage != nil) || err != nil && start > 0 {
			t.Fatalf("start %d: damage %v, and reading says %v", start, damage, err)
		}
		if err == nil {
			verified(t, r)
		}
		if err := store.Close(); err != nil && damage == nil {
			t.Fatal(err)
		}
		switch {
		case err == nil && start > 0:
			return "while reading"
		case err == nil && len(aside) > 0:
			return "at the start"
		case err == nil:
			return "not at all" // nobody reads that byte
		}
	}
}

// readAll reads every pair of every view, and says whether they are all there.
func readAll(r *fold.Runner, recs []streams.Record) error {
	histories, facts := fold.Of[*projections.Histories](r), 0
	for user := range 50 {
		for _, err := range histories.User(fmt.Sprint(user), fold.At{}) {
			if err != nil {
				return err
			}
			facts++
		}
	}
	for _, view := range []string{"tally", "lazy-tally", "histories", "online", "quarantine"} {
		for _, err := range r.Pairs(view) {
			if err != nil {
				return err
			}
		}
	}
	if facts != len(recs) {
		return fmt.Errorf("the histories have %d facts of %d", facts, len(recs))
	}
	return nil
}

// Whoever meets damage leaves a mark, which is enough for the next start.
func TestAMarkOfDamageIsEnough(t *testing.T) {
	log := testLog(t)
	publish(t, log, 0, 100, films)
	dir := filepath.Join(t.TempDir(), "views")
	filled(t, log, dir, true)
	if err := os.WriteFile(filepath.Join(dir, "DAMAGED"), []byte("000012.sst: a checksum"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fold.OpenStore(dir, fold.StoreOptions{}); !errors.Is(err, fold.ErrDamaged) || !fault.Is(err, fault.Corrupt) {
		t.Fatalf("opened: %v", err)
	}
	store, r, err := fold.Open(context.Background(), log, dir, fold.StoreOptions{}, time.Unix(7, 0), tallies...)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if notes := r.Refolded(); len(notes) != 1 || !strings.Contains(notes[0], "000012.sst: a checksum") || !strings.Contains(notes[0], dir+".damaged-7") {
		t.Errorf("it says %q", notes)
	}
	if err := r.CatchUp(context.Background(), nil, nil); err != nil {
		t.Fatal(err)
	}
	verified(t, r)
}
