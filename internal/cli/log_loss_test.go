package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/livecopy"
	"github.com/projectionist/projectionist/streams"
)

// TestAcceptLoss: a log that ends before what was acknowledged is refused by every command, with what is missing;
// given up with a reason, it is served again, and nothing is filled into it.
func TestAcceptLoss(t *testing.T) {
	t.Chdir(t.TempDir())
	live, dir := "live", "killed"
	ok(t, "feedback", "7", "1", "--type", "click", "--dir", made(t, live))
	a, err := app.Open(t.Context(), app.Options{Dir: live})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	for i := range 10 {
		r, err := streams.FactRecord("7", &events.Event{ID: fmt.Sprint("late", i), Source: "/test", Time: time.UnixMilli(1_000).UTC(),
			Data: &events.Interaction{UserID: "7", MovieID: "1", Kind: "view", Timestamp: "2024-01-02T03:04:05Z"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Log.Feed().Publish(t.Context(), events.UserEventsTopic, []streams.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	livecopy.Copy(t, dir, live)
	wals, err := filepath.Glob(dir + "/log/pebble/*.log")
	if err != nil || len(wals) == 0 {
		t.Fatal(wals, err)
	}
	b, err := os.ReadFile(slices.Max(wals))
	if err != nil {
		t.Fatal(err)
	}
	b[len(bytes.TrimRight(b, "\x00"))-100] ^= 1
	if err := os.WriteFile(slices.Max(wals), b, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"status"}, {"history", "7"}, {"verify"}} {
		r := command(append(args, "--dir", dir)...)
		if r.code == 0 {
			t.Errorf("%v of a log that is cut off: %+v", args, r)
		}
		contains(t, fmt.Sprint(args), r.err, "ends before what was acknowledged", "user-events/", "are missing", "backup", "log accept-loss --reason")
	}
	r := command("serve", "--listen", "127.0.0.1:0", "--dir", dir)
	if r.code != exitRefused {
		t.Errorf("it is served: %+v", r)
	}
	contains(t, "serve", r.err, "ends before what was acknowledged", "write-ahead log")

	if r := command("log", "accept-loss", "--dir", dir); r.code != exitUsage {
		t.Errorf("without a reason: %+v", r)
	}
	said := ok(t, "log", "accept-loss", "--dir", dir, "--reason", "a test")
	contains(t, "accept-loss", said, "user-events/", "a test")
	if r := command("log", "accept-loss", "--dir", dir, "--reason", "again"); r.code != exitFailed {
		t.Errorf("twice: %+v", r)
	}
	contains(t, "history", ok(t, "history", "7", "--dir", dir), "click")
	contains(t, "verify", ok(t, "verify", "--dir", dir), allEqual)
}

// made is a data folder with a film in it.
func made(t *testing.T, dir string) string {
	t.Helper()
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	s.end(t)
	return dir
}
