package fold_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/projectionist/projectionist/internal/flush"
	"github.com/projectionist/projectionist/projections/fold"
)

// tables is a disk that asks what to do when a table is begun.
func tables(disk vfs.FS, begun func() error) vfs.FS {
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && strings.HasSuffix(op.Path, ".sst") {
			return begun()
		}
		return nil
	}))
}

// That views cannot be written is told, once a while, and they are as soon as they can be.
func TestViewsThatCannotBeWritten(t *testing.T) {
	var full atomic.Bool
	tried, told := make(chan struct{}), make(chan string, 100)
	disk := vfs.NewMem()
	store, err := fold.OpenStore("views", fold.StoreOptions{Logf: func(format string, args ...any) { told <- fmt.Sprintf(format, args...) },
		FS: tables(disk, func() error {
			if full.Load() {
				tried <- struct{}{}
				return errors.New("no space left on device")
			}
			return nil
		})})
	must0(t, err)
	full.Store(true)
	must0(t, store.StoreAs("online", 77))
	done, err := store.BeginFlush()
	must0(t, err)
	for range 4 {
		<-tried
	}
	full.Store(false)
	for written := false; !written; { // it may have been tried once more before
		select {
		case <-tried:
		case <-done:
			written = true
		}
	}
	if line := <-told; !strings.Contains(line, "the views in views cannot be written") || !strings.Contains(line, "no space left on device") || len(told) > 0 {
		t.Errorf("told %q, and %d times more", line, len(told))
	}
	must0(t, store.Close())
	if store, err = fold.OpenStore("views", fold.StoreOptions{FS: disk}); err != nil {
		t.Fatal(err)
	}
	must0(t, store.Close())
}

// A disk that does not answer holds up the end for a bounded time: the store says that it is left open.
func TestCloseThatDoesNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stuck atomic.Bool
		answer := make(chan struct{})
		store, err := fold.OpenStore("views", fold.StoreOptions{FS: tables(vfs.NewMem(), func() error {
			if stuck.Load() {
				<-answer
			}
			return nil
		})})
		must0(t, err)
		must0(t, store.StoreAs("online", 77))
		stuck.Store(true)
		began := time.Now()
		if err := store.Close(); !errors.Is(err, flush.ErrOpen) || !errors.Is(err, flush.ErrNot) {
			t.Errorf("closed with %v, want %v and %v", err, flush.ErrNot, flush.ErrOpen)
		}
		if took := time.Since(began); took != flush.Patience+flush.Last {
			t.Errorf("it took %v, want %v", took, flush.Patience+flush.Last)
		}
		close(answer)
	})
}
