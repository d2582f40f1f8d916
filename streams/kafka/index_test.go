package kafka

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// TestDamagedIndex flips bits of the index's tables: what lies there is an error that names the file and the
// remedy, whoever asks.
func TestDamagedIndex(t *testing.T) {
	dir := t.TempDir()
	ix, err := openIndex(dir, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	var recs []streams.Record
	for i := range 300 {
		recs = append(recs, mustRecord(t, testCommit(fmt.Sprint("c", i), fmt.Sprint("run/", i%5), streams.AnyRevision, 1), int64(i), 1))
	}
	foldAll(t, ix, recs, 100)
	if err := ix.close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		for at := 50; at < len(b); at += 4 << 10 {
			b[at] ^= 0x10
		}
		if err := os.WriteFile(table, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if ix, err = openIndex(dir, t.Logf); err == nil {
		_, _, err = ix.entry("c1")
		_, headErr := ix.head("run/1")
		if met := (&Log{index: ix}).Damaged(); !fault.Is(met, fault.Corrupt) || !strings.Contains(met.Error(), ".sst") || !strings.Contains(met.Error(), hintDelete) {
			t.Errorf("the log says of its damage: %v", met)
		}
		err = errors.Join(err, headErr, ix.close())
	}
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), ".sst") || !strings.Contains(err.Error(), hintDelete) || strings.Contains(err.Error(), "carrier") {
		t.Errorf("the damaged index gives %v", err)
	}
}
