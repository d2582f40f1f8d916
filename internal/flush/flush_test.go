package flush_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/projectionist/projectionist/internal/flush"
)

var errFull = errors.New("no space left on device")

// A database whose tables cannot be written is closed all the same, and has everything when it is opened again.
func TestCloseOfAFullDisk(t *testing.T) {
	disk := vfs.NewMem()
	var full atomic.Bool
	var tries atomic.Int64
	failing := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			tries.Add(1)
			return errFull
		}
		return nil
	}))
	var failures flush.Failures
	told := 0
	db, err := pebble.Open("db", &pebble.Options{FS: failing, EventListener: &pebble.EventListener{BackgroundError: func(err error) {
		if failures.Met(err) {
			told++
		}
	}}})
	must(t, err)
	must(t, db.Set([]byte("k"), []byte("v"), pebble.Sync))
	full.Store(true)
	if err := flush.Close(db, 3*flush.Pause); !errors.Is(err, flush.ErrNot) {
		t.Errorf("closed with %v, want %v", err, flush.ErrNot)
	}
	if told != 1 || tries.Load() == 0 {
		t.Errorf("%d tries were told of %d times, want once", tries.Load(), told)
	}
	if db, err = pebble.Open("db", &pebble.Options{FS: disk}); err != nil {
		t.Fatal(err)
	}
	v, closer, err := db.Get([]byte("k"))
	must(t, err)
	if string(v) != "v" {
		t.Errorf("k is %q", v)
	}
	must(t, closer.Close())
	must(t, flush.Close(db, time.Minute))
}

// Where writes have to wait for flushes that fail, closing does not wait with them.
func TestCloseOfAStalledDatabase(t *testing.T) {
	var full atomic.Bool
	var once sync.Once
	stalled := make(chan struct{})
	db, err := pebble.Open("db", &pebble.Options{MemTableSize: 64 << 10, MemTableStopWritesThreshold: 2, DisableWAL: true,
		FS: errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			if full.Load() && op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
				return errFull
			}
			return nil
		})), EventListener: &pebble.EventListener{
			BackgroundError: func(error) { time.Sleep(time.Millisecond) },
			WriteStallBegin: func(pebble.WriteStallBeginInfo) { once.Do(func() { close(stalled) }) },
		}})
	must(t, err)
	full.Store(true)
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 100 {
			if err := db.Set([]byte{byte(i)}, make([]byte, 8<<10), pebble.NoSync); err != nil {
				t.Error(err)
			}
		}
	}()
	<-stalled
	if err := flush.Close(db, flush.Pause); !errors.Is(err, flush.ErrNot) || !strings.Contains(err.Error(), "left open") {
		t.Errorf("closed with %v", err)
	}
	full.Store(false)
	<-written
}

// A failure is told once a while, and another at once.
func TestFailuresAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f flush.Failures
		began, told := time.Now(), 0
		for n := range int(2 * flush.Quiet / flush.Pause) {
			if f.Met(fmt.Errorf("%06d.sst: %w", n, errFull)) {
				told++
			}
		}
		if took := time.Since(began); told != 2 || took != 2*flush.Quiet {
			t.Errorf("told %d times in %v", told, took)
		}
		told = 0
		for n := range int(2 * flush.Quiet / flush.Pause) { // a flush and a look at the disk fail in turns
			for _, err := range []error{fmt.Errorf("%06d.sst: another", n), errors.New("statfs: no such file or directory")} {
				if f.Met(err) {
					told++
				}
			}
		}
		if told != 2*4 {
			t.Errorf("two failures in turns are told %d times in four minutes", told)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
