package cli

import (
	"path/filepath"
	"strings"
	"testing"

	esdb "github.com/projectionist/projectionist/streams/eventstore/fake"
)

// TestLogCopy_EventStore: a log is copied to (a simulation of) EventStoreDB with its feeds in a folder, is
// served from there, and copied back; every time the same, and the password is never shown.
func TestLogCopy_EventStore(t *testing.T) {
	t.Chdir(t.TempDir())
	home := t.TempDir()
	first, second, third := filepath.Join(home, "first"), filepath.Join(home, "second"), filepath.Join(home, "third")
	ok(t, "simulate", "--users", "20", "--movies", "60", "--events", "900", "--dir", first)
	url := strings.Replace(esdb.New(t, nil).URL(), "esdb://", "esdb://admin:sesame@", 1)

	r := command("log", "copy", "--from", first, "--to", url)
	if r.code == 0 || !strings.Contains(r.err, "feeds") {
		t.Errorf("a copy without a place for the feeds: %+v", r)
	}
	t.Setenv(envFeeds, second)
	said := ok(t, "log", "copy", "--from", first, "--to", url)
	contains(t, "log copy to EventStoreDB", said, "mlops-events", "histories", "yes", "serve it with PROJECTIONIST_LOG=esdb://***@127.0.0.1:", "projectionist serve --dir "+second)
	again := ok(t, "log", "copy", "--from", first, "--to", url)
	contains(t, "the same copy again", again, "was a finished copy")

	t.Setenv(envFeeds, "")
	args := [][]string{{"history", "7", "-n", "50"}, {"log", "topics"}, {"audit", "-n", "500"}, {"log", "show", "movie/7"}}
	var was []string
	for _, a := range args {
		was = append(was, ok(t, append(a, "--dir", first)...))
	}
	t.Setenv(envLog, url)
	for i, a := range args {
		if now := ok(t, append(a, "--dir", second)...); now != was[i] {
			t.Errorf("%v of the copy:\n%sof the first:\n%s", a, now, was[i])
		}
	}
	contains(t, "verify", ok(t, "verify", "--dir", second), allEqual)
	ok(t, "feedback", "7", "1", "--type", "click", "--dir", second)
	t.Setenv(envLog, "")
	r = command("history", "7", "--dir", second)
	contains(t, "the folder without its ledger", r.err, "set PROJECTIONIST_LOG=esdb://")
	r = command("log", "copy", "--from", second, "--to", third)
	contains(t, "log copy of the folder alone", r.err, "PROJECTIONIST_FEEDS="+second)

	t.Setenv(envFeeds, second)
	back := ok(t, "log", "copy", "--from", url, "--to", third)
	contains(t, "log copy from EventStoreDB", back, "user-events            901", "yes", "serve it with projectionist serve --dir "+third)
	t.Setenv(envFeeds, "")
	for i, a := range args[2:] {
		if now := ok(t, append(a, "--dir", third)...); now != was[i+2] {
			t.Errorf("%v of the copy back:\n%sof the first:\n%s", a, now, was[i+2])
		}
	}
	for _, out := range []string{said, again, back, r.err} {
		if strings.Contains(out, "sesame") {
			t.Errorf("the password is shown: %s", out)
		}
	}
}
