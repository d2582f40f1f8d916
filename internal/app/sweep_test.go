package app_test

import (
	"context"
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
