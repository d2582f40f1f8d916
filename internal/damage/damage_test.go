package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
)

// TestOf reads a damaged table with Pebble itself: what a newer one says is looked at too.
func TestOf(t *testing.T) {
	dir := t.TempDir()
	opts := func() *pebble.Options {
		return &pebble.Options{
			Logger: quiet{}, FormatMajorVersion: pebble.FormatValueSeparation, DisableAutomaticCompactions: true,
			EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}, // else Fatalf
		}
	}
	db, err := pebble.Open(dir, opts())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if err := db.Set(fmt.Appendf(nil, "%04d", i), make([]byte, 100), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(db.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) != 1 {
		t.Fatal(tables, err)
	}
	b, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	b[100] ^= 1 // within the first block
	if err := os.WriteFile(tables[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	if db, err = pebble.Open(dir, opts()); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, closer, err := db.Get([]byte("0000"))
	if err == nil {
		closer.Close()
	}
	if !pebble.IsCorruptionError(err) {
		t.Fatalf("a damaged block is read: %v", err)
	}
	got := Of(fmt.Errorf("the record: %w", err))
	if !pebble.IsCorruptionError(got) || pebble.ExtractDataCorruptionInfo(got) == nil {
		t.Errorf("%v is no damage any more", got)
	}
	text := got.Error()
	if !strings.Contains(text, tables[0]) || !strings.Contains(text, "the record: ") || strings.Contains(text, "carrier") || strings.Contains(text, "\n") {
		t.Errorf("%q; want one line with %s", text, tables[0])
	}
	if again := Of(got); again != got {
		t.Errorf("said twice: %v", again)
	}
}

func TestOf_Others(t *testing.T) {
	plain := errors.New("a line")
	if Of(plain) != plain || Of(nil) != nil {
		t.Error("an error that is not of damage is another one")
	}
	if got := Of(errors.Join(plain, plain, plain, plain, plain)).Error(); got != "a line; a line; a line; and 2 more" {
		t.Errorf("%q", got)
	}
	if got := Text("a: b\n" + carrier + "\n  " + carrier); got != "a: b" {
		t.Errorf("%q", got)
	}
}

func TestUnreadable(t *testing.T) {
	for err, want := range map[error]bool{
		&fs.PathError{Op: "open", Path: "MANIFEST", Err: syscall.EIO}:    true,
		&fs.PathError{Op: "open", Path: "MANIFEST", Err: syscall.ENOENT}: false,
		syscall.EAGAIN:         true,
		errors.New("mismatch"): false,
		fs.ErrNotExist:         false,
	} {
		if Unreadable(fmt.Errorf("open: %w", err)) != want {
			t.Errorf("%v: %v; want %v", err, !want, want)
		}
	}
}

func TestPermission(t *testing.T) {
	denied := fmt.Errorf("lock: %w", &fs.PathError{Op: "open", Path: "LOCK", Err: syscall.EACCES})
	if !Permission(denied) {
		t.Errorf("%v is no want of permission", denied)
	}
	for _, err := range []error{syscall.EAGAIN, syscall.EACCES, &fs.PathError{Op: "open", Path: "LOCK", Err: syscall.ENOSPC}, nil} {
		if Permission(err) {
			t.Errorf("%v is a want of permission", err)
		}
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
