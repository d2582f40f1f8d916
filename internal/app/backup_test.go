package app

import (
	"context"
	"errors"
	"fmt"
	"os"
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

func quiet(string, int64, int64) {}

// largeFolder is an open data folder with facts in several blocks of tables, of which nothing is in memory, and a
// blob.
func largeFolder(t *testing.T, facts int) (a *App, hash string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	for range 2 { // closed in between: all is in tables
		var err error
		if a, err = Open(t.Context(), Options{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { a.Close() })
		if facts == 0 {
			break
		}
		var recs []streams.Record
		for i := range facts {
			r, err := streams.FactRecord(fmt.Sprint(i%50), &events.Event{ID: fmt.Sprintf("%064d", i), Source: "/test", Time: time.UnixMilli(1_000).UTC(),
				Data: &events.Interaction{UserID: fmt.Sprint(i % 50), MovieID: "1", Kind: "click", Timestamp: "2024-01-02T03:04:05Z"}})
			if err != nil {
				t.Fatal(err)
			}
			recs = append(recs, r)
		}
		facts = 0
		if err := a.Log.Feed().Publish(t.Context(), events.UserEventsTopic, recs); err != nil {
			t.Fatal(err)
		}
		if hash, _, err = a.Blobs.Put(t.Context(), strings.NewReader("weights")); err != nil {
			t.Fatal(err)
		}
		if err := a.Define(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(a.caughtUp(t.Context()), a.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return a, hash
}

// refusedBackup fails unless the folder is marked and cannot be opened.
func refusedBackup(t *testing.T, dir string) {
	t.Helper()
	b, err := Open(t.Context(), Options{Dir: dir})
	if err == nil {
		b.Close()
	}
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "unfinished backup") {
		t.Errorf("opening %s: %v", dir, err)
	}
}

// TestBackup: it says up to where it goes and what it holds, and is a folder that answers as the first one does.
func TestBackup(t *testing.T) {
	a, hash := largeFolder(t, 5000)
	to := filepath.Join(t.TempDir(), "copy")
	var stages []string
	c, err := a.Backup(t.Context(), to, func(stage string, done, total int64) {
		if stages = append(stages, stage); done > total {
			t.Errorf("%s: %d of %d", stage, done, total)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	head, err := fold.HeadCut(t.Context(), a.Log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if c.Cut != head.String() || c.To != to || c.Records != 5007 || c.Blobs != 1 || c.BlobBytes != 7 || c.Streams != 7 || len(c.Partitions) != len(streams.PartitionsOf()) {
		t.Errorf("%+v, want the cut %s", c, head)
	}
	if got := slices.Compact(stages); !slices.Equal(got, []string{"copying the log", "copying and checking blobs", "comparing", "comparing streams"}) {
		t.Errorf("stages %q", got)
	}
	b, err := Open(t.Context(), Options{Dir: to})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if w, err := b.Blobs.Get(hash); err != nil || string(w) != "weights" {
		t.Errorf("%q, %v", w, err)
	}
	if copied, err := fold.HeadCut(t.Context(), b.Log, time.Time{}); err != nil || copied.String() != c.Cut {
		t.Errorf("the copy ends at %s, %v", copied, err)
	}
}

// TestBackup_OfDamage: what cannot be read again is no backup.
func TestBackup_OfDamage(t *testing.T) {
	t.Run("Log", func(t *testing.T) {
		a, _ := largeFolder(t, 5000)
		tables, err := filepath.Glob(filepath.Join(a.Dir(), "log", "pebble", "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		size := func(path string) int64 {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			return info.Size()
		}
		largest := slices.MaxFunc(tables, func(x, y string) int { return int(size(x) - size(y)) })
		b, err := os.ReadFile(largest)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		f, err := os.OpenFile(largest, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt(b[len(b)/2:len(b)/2+1], int64(len(b)/2)); err != nil {
			t.Fatal(err)
		}
		f.Close()
		to := filepath.Join(t.TempDir(), "copy")
		if c, err := a.Backup(t.Context(), to, quiet); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "not whole") || !strings.Contains(err.Error(), "user-events") {
			t.Errorf("a damaged log is backed up: %+v, %v", c, err)
		}
		refusedBackup(t, to)
	})
	t.Run("Blob", func(t *testing.T) {
		a, hash := largeFolder(t, 1)
		if err := os.WriteFile(filepath.Join(a.Dir(), "blobs", hash[:2], hash), []byte("weighty"), 0o600); err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(t.TempDir(), "copy")
		c, err := a.Backup(t.Context(), to, quiet)
		if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), hash) || !strings.Contains(err.Error(), "models rebuild") {
			t.Errorf("a damaged blob is backed up: %+v, %v", c, err)
		}
		refusedBackup(t, to)
	})
}

// TestBackup_CutOff: it ends with who waits for it, and leaves a folder that is refused.
func TestBackup_CutOff(t *testing.T) {
	for _, last := range []string{"copying and checking blobs", "comparing"} {
		a, _ := largeFolder(t, 5000)
		to := filepath.Join(t.TempDir(), "copy")
		ctx, cancel := context.WithCancel(t.Context())
		c, err := a.Backup(ctx, to, func(stage string, _, _ int64) {
			if stage == last {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cut off while %s: %+v, %v", last, c, err)
		}
		refusedBackup(t, to)
	}
}

// TestBackup_IntoItself: a copy is made apart from what is copied, and what is refused is not begun.
func TestBackup_IntoItself(t *testing.T) {
	a, _ := largeFolder(t, 1)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(a.Dir(), link); err != nil {
		t.Skipf("SKIPPED: no links here: %v", err)
	}
	for _, to := range []string{a.Dir(), filepath.Join(a.Dir(), "copy"), filepath.Join(a.Dir(), "blobs", "copy"), filepath.Join(a.Dir(), "log", "copy"),
		filepath.Join(a.Dir(), "views", "a", "b"), filepath.Join(link, "copy"), filepath.Dir(a.Dir())} {
		_, before := os.Stat(to)
		if c, err := a.Backup(t.Context(), to, quiet); !fault.Is(err, fault.Invalid) {
			t.Errorf("into %s: %+v, %v", to, c, err)
		}
		if _, after := os.Stat(to); (before == nil) != (after == nil) {
			t.Errorf("%s was made", to)
		}
	}
}
