package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
)

func TestSweepKeepsWhatEventsName(t *testing.T) {
	ctx := context.Background()
	a, err := app.Open(ctx, app.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	put := func(content string) string {
		hash, _, err := a.Blobs.Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	named, orphan, fresh := put("named"), put("orphan"), ""
	_, err = a.Dispatcher.Dispatch(ctx, &commands.FetchMovie{Movie: events.Movie{MovieID: "1", Title: "One"}, RawSHA256: named}, handlers.Meta{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-48 * time.Hour)
	for _, hash := range []string{named, orphan} {
		if err := os.Chtimes(filepath.Join(a.Dir(), "blobs", hash[:2], hash), old, old); err != nil {
			t.Fatal(err)
		}
	}
	fresh = put("fresh")
	if n, _, err := a.Sweep(ctx); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if !a.Blobs.Has(named) || a.Blobs.Has(orphan) || !a.Blobs.Has(fresh) {
		t.Fatal("the wrong blob went")
	}
}

// What was named before a sweep stays named, what is named after it is too, and the state of a task goes with its run.
func TestSweepGoesOn(t *testing.T) {
	ctx := context.Background()
	a, err := app.Open(ctx, app.Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	dispatch := func(c commands.Command) {
		t.Helper()
		r, err := a.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "test"})
		if err == nil {
			err = a.Views.Wait(ctx, r.Position, "workflows")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-48 * time.Hour)
	put := func(content string) string {
		hash, _, err := a.Blobs.Put(t.Context(), strings.NewReader(content))
		if err == nil {
			err = os.Chtimes(filepath.Join(a.Dir(), "blobs", hash[:2], hash), old, old)
		}
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	sweep := func(want int) {
		t.Helper()
		if n, _, err := a.Sweep(ctx); err != nil || n != want {
			t.Fatalf("%d blobs were removed, want %d: %v", n, want, err)
		}
	}
	fetched := func(id, content string) string {
		hash := put(content)
		dispatch(&commands.FetchMovie{Movie: events.Movie{MovieID: id, Title: "One"}, RawSHA256: hash})
		return hash
	}
	first := fetched("1", "first")
	dispatch(&commands.RequestWorkflowRun{RunID: "r", Workflow: "w", RunType: "manual"})
	dispatch(&commands.StartTask{RunID: "r", Task: "t", Holder: "h", LeaseMillis: 60_000})
	for i := range 3 {
		state := put(fmt.Sprint("state ", i))
		dispatch(&commands.RenewTaskLease{RunID: "r", Task: "t", Holder: "h", Try: 1, LeaseMillis: 60_000, Checkpoint: state})
		second := fetched(fmt.Sprint(2+i), fmt.Sprint("second ", i))
		put(fmt.Sprint("orphan ", i))
		sweep(1)
		if !a.Blobs.Has(first) || !a.Blobs.Has(state) || !a.Blobs.Has(second) {
			t.Fatal("the wrong blob went")
		}
	}
	dispatch(&commands.EndWorkflowRun{RunID: "r", State: "failed", Reason: "enough"})
	sweep(3)
	sweep(0)
}

// TestSweepOfWhatWasPurged: a file goes when nothing names it any more: not while another run, a later event of the same run, or
// anything else does; and after a restart as before it.
func TestSweepOfWhatWasPurged(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "data")
	a, err := app.Open(ctx, app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { a.Close() }()
	dispatch := func(c commands.Command) {
		t.Helper()
		if _, err := a.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-48 * time.Hour)
	put := func(content string) string {
		hash, _, err := a.Blobs.Put(t.Context(), strings.NewReader(content))
		if err == nil {
			err = os.Chtimes(filepath.Join(a.Dir(), "blobs", hash[:2], hash), old, old)
		}
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	run := func(n int) string { return fmt.Sprintf("%032x", n) }
	model := "m-" + run(9)
	file := func(n int, path, content string) {
		dispatch(&commands.LogArtifact{RunID: run(n), Path: path, Blob: put(content), Bytes: int64(len(content)), Late: true})
	}
	for n := range 3 {
		dispatch(&commands.StartRun{RunID: run(n), ExperimentID: "0", Name: "r"})
	}
	file(0, "a/own", "own")
	file(0, "a/shared", "shared")
	file(0, "b/twice", "twice")
	file(0, "c/twice", "twice")
	file(0, "d", "replaced")
	file(0, "d", "replacing!")
	file(1, "x", "shared")
	file(1, "y", "kept")
	dispatch(&commands.CreateLoggedModel{ModelID: model, ExperimentID: "0", Name: "m"})
	dispatch(&commands.LogLoggedModelArtifact{ModelID: model, Path: "MLmodel", Blob: put("of the model"), Bytes: 12})
	dispatch(&commands.FetchMovie{Movie: events.Movie{MovieID: "1", Title: "One"}, RawSHA256: put("of a film")})
	file(2, "film", "of a film")
	sweep := func(what string, want int) {
		t.Helper()
		if n, _, err := a.Sweep(ctx); err != nil || n != want {
			t.Fatalf("%s: %d blobs were removed, want %d: %v", what, n, want, err)
		}
	}
	freed := func(want int, size int64, streams ...string) {
		t.Helper()
		if n, bytes, err := a.Freed(ctx, streams); err != nil || n != want || bytes != size {
			t.Fatalf("%v would free %d blobs of %d bytes, want %d of %d: %v", streams, n, bytes, want, size, err)
		}
	}
	sweep("nothing is purged", 0)
	freed(0, 0, "run/"+run(2))
	freed(4, 3+5+8+10, "run/"+run(0))
	freed(6, 3+5+8+10+6+4, "run/"+run(0), "run/"+run(1))
	freed(1, 12, "logged-model/"+model)
	dispatch(&commands.DeleteArtifact{RunID: run(0), Path: "b"})
	sweep("it is named twice", 0)
	dispatch(&commands.DeleteArtifact{RunID: run(0), Path: "c"})
	sweep("a folder", 1)
	freed(3, 3+8+10, "run/"+run(0))
	file(0, "c/twice", "twice") // again
	sweep("named again", 0)
	dispatch(&commands.DeleteRun{RunID: run(0)})
	sweep("deleted is not purged", 0)
	a.Close() // what is named is read from the file that was kept
	if a, err = app.Open(ctx, app.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	dispatch(&commands.PurgeRun{RunID: run(0)})
	sweep("a run", 4) // own, twice, replaced, replacing
	for content, want := range map[string]bool{"own": false, "twice": false, "replaced": false, "replacing!": false, "shared": true, "kept": true, "of a film": true, "of the model": true} {
		sum := sha256.Sum256([]byte(content))
		if got := a.Blobs.Has(hex.EncodeToString(sum[:])); got != want {
			t.Errorf("%s is there: %v", content, got)
		}
	}
	dispatch(&commands.DeleteLoggedModel{ModelID: model})
	dispatch(&commands.PurgeLoggedModel{ModelID: model})
	dispatch(&commands.PurgeRun{RunID: run(1), Experiment: "0"})
	dispatch(&commands.PurgeRun{RunID: run(2), Experiment: "0"})
	sweep("the rest", 3) // of the model, shared, kept
}
