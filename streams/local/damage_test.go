package local

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// TestDamagedRecord flips bytes of a table: the record that lay there is named, and what follows it is
// not given as if nothing had been there.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	for i := range 2 { // two tables
		recs := make([]streams.Record, 1000)
		for n := range recs {
			sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)}) // does not compress: many blocks
			recs[n] = streams.Record{Key: []byte("k"), Value: fmt.Appendf(nil, "%d-%x%x", i*1000+n, sum, sum)}
		}
		if err := l.Feed().Publish(context.Background(), driftTP.Topic, recs); err != nil {
			t.Fatal(err)
		}
		if err := l.db.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, pebbleDir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%v, %v", tables, err)
	}
	largest := ""
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		if largest == "" || len(b) > len(mustRead(t, largest)) {
			largest = table
		}
	}
	b := mustRead(t, largest)
	b[len(b)/2] ^= 0x10
	if err := os.WriteFile(largest, b, 0o644); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, Options{})
	next := int64(0)
	var readErr error
	for r, err := range l.Feed().Read(context.Background(), driftTP, 0) {
		if err != nil {
			readErr = err
			break
		}
		if r.Offset != next || !strings.HasPrefix(string(r.Value), fmt.Sprint(next, "-")) {
			t.Fatalf("record %d where %d was to come", r.Offset, next)
		}
		next++
	}
	if readErr == nil {
		t.Fatalf("all %d records are read from a damaged table", next)
	}
	wantError(t, readErr, fault.Corrupt, fmt.Sprintf("%s@%d", driftTP, next), largest)
	if text := readErr.Error(); strings.ContainsAny(text, "<\n") {
		t.Errorf("%q has what is for Pebble's own use", text)
	}
}

// TestDamagedWAL flips a bit of a WAL that was not closed, here and there: Open says that the log is
// damaged and does not take the damage for the place where writing ended. (Within the last two blocks
// of 32 KiB Pebble cannot tell the two apart.)
func TestDamagedWAL(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, filepath.Join(dir, "log"), Options{})
	recs := make([]streams.Record, 60)
	for range 40 {
		for n := range recs {
			recs[n] = streams.Record{Key: []byte("k"), Value: []byte(strings.Repeat("x", 150))}
		}
		if err := l.Feed().Publish(context.Background(), driftTP.Topic, recs); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		crashed := filepath.Join(dir, fmt.Sprint("crashed", i))
		if err := os.CopyFS(crashed, os.DirFS(filepath.Join(dir, "log"))); err != nil {
			t.Fatal(err)
		}
		logs, err := filepath.Glob(filepath.Join(crashed, pebbleDir, "*.log"))
		if err != nil || len(logs) == 0 {
			t.Fatal(logs, err)
		}
		last := logs[len(logs)-1] // the one that is written to
		b := mustRead(t, last)
		if len(b) < 128<<10 {
			t.Fatalf("the WAL has %d bytes", len(b))
		}
		at := (len(b) - 64<<10) * (2*i + 1) / 24
		b[at] ^= 0x04
		if err := os.WriteFile(last, b, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err = Open(crashed, Options{Logf: t.Logf})
		if err == nil {
			t.Fatalf("a bit flipped at %d of %d went unnoticed", at, len(b))
		}
		wantError(t, err, fault.Corrupt, crashed)
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestMissingRecord deletes records behind the log's back.
func TestMissingRecord(t *testing.T) {
	for _, gone := range []int64{0, 3, 9} {
		l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
		for i := range 10 {
			mustAppend(t, l, fmt.Sprint("c", i), "s")
		}
		if err := l.db.Delete(l.ledger.key(gone), nil); err != nil {
			t.Fatal(err)
		}
		for name, seq := range map[string]func(func(*streams.Committed, error) bool){
			"Read": l.Ledger().Read(context.Background(), 0), "ReadStream": l.Ledger().ReadStream(context.Background(), "s", 0),
		} {
			n := int64(0)
			var last error
			for _, err := range seq {
				if last = err; err == nil {
					n++
				}
			}
			if n != gone {
				t.Errorf("%s gives %d commits before the one that is missing, %d", name, n, gone)
			}
			wantError(t, last, fault.Corrupt, fmt.Sprintf("@%d", gone))
		}
	}
}
