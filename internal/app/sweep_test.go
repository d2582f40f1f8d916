package app_test

import (
	"context"
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
		hash, _, err := a.Blobs.Put(strings.NewReader(content))
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
