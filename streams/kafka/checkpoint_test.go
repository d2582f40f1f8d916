package kafka

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/racing"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// Copies of an index that are taken while it folds are what had been folded by then, and go on to the
// same end.
func TestCheckpoint(t *testing.T) {
	var recs []streams.Record
	for i := range racing.Rounds(2000) {
		recs = append(recs, mustRecord(t, testCommit(fmt.Sprint("c", i), fmt.Sprint("run/", i%7), streams.AnyRevision, 1+i%3), int64(i), int64(i)))
	}
	dir := t.TempDir()
	ix, err := openIndex(dir, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ix.close() })
	if err := ix.adopt("cluster", "topic", "id"); err != nil {
		t.Fatal(err)
	}
	l := &Log{opts: Options{Dir: dir}, index: ix, ops: gate.New()}
	foldAll(t, ix, recs[:10], 10)
	if id := l.Identity(); id != (Identity{"cluster", "topic", "id"}) {
		t.Errorf("identity %+v", id)
	}
	folded := make(chan struct{})
	go func() {
		defer close(folded)
		foldAll(t, ix, recs[10:], 10)
	}()
	var copies []string
	for n := range 5 {
		copies = append(copies, filepath.Join(t.TempDir(), fmt.Sprint("index", n)))
		if err := l.Checkpoint(copies[n]); err != nil {
			t.Fatal(err)
		}
	}
	<-folded
	for _, dir := range copies {
		again, err := openIndex(dir, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		s := again.snapshot()
		if s.Cursor < 10 || s.Cursor > int64(len(recs)) || s.Head != s.Cursor || s.Counts[accepted] != uint64(s.Cursor) {
			t.Errorf("the copy's state %+v", s)
		}
		for i := range recs { // all commits up to its cursor, and none after
			if _, found, err := again.entry(fmt.Sprint("c", i)); err != nil || found != (int64(i) < s.Cursor) {
				t.Fatalf("the copy at %d: commit %d found %v, %v", s.Cursor, i, found, err)
			}
		}
		if err := again.adopt("cluster", "topic", "another"); !fault.Is(err, fault.Corrupt) {
			t.Errorf("on another topic: %v", err)
		}
		foldAll(t, again, recs, 100)
		if got, want := again.snapshot(), ix.snapshot(); got != want {
			t.Errorf("the copy ends at %+v; want %+v", got, want)
		}
		if err := again.close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Checkpoint(copies[0]); !fault.Is(err, fault.Unavailable) {
		t.Errorf("into a folder that is there: %v", err)
	}
	if err := (&Log{index: memIndex(t), ops: gate.New()}).Checkpoint(t.TempDir()); !fault.Is(err, fault.Invalid) {
		t.Errorf("of an index in memory: %v", err)
	}
}
