package cli

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/transfer"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

// TestLogCopy: a folder is copied, and the copy answers, verifies and trains as the first one does.
func TestLogCopy(t *testing.T) {
	t.Chdir(t.TempDir())
	home := t.TempDir()
	first, second, third := filepath.Join(home, "first"), filepath.Join(home, "second"), filepath.Join(home, "third")
	s := serve(t, "--dir", first, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	r := command("log", "copy", "--from", first, "--to", second)
	if r.code != 1 {
		t.Errorf("a folder that is served is copied: %+v", r)
	}
	contains(t, "log copy of a served folder", r.err, "is served", "stop that first", "backup")
	s.end(t)
	if _, err := os.Stat(second); err == nil {
		t.Error("a refused copy has made a folder")
	}

	for _, inside := range []string{filepath.Join(first, "copy"), filepath.Join(first, "views", "copy"), home} {
		r := command("log", "copy", "--from", first, "--to", inside)
		if r.code == 0 {
			t.Errorf("a folder is copied into %s: %+v", inside, r)
		}
		contains(t, "log copy into itself", r.err, "--to", "the data folder")
	}

	said := ok(t, "log", "copy", "--from", first, "--to", second)
	contains(t, "log copy", said, "mlops-events", "user-events            1,500", "histories", "yes", "serve it with projectionist serve --dir "+second)
	if strings.Contains(said, "blobs copied: 0") {
		t.Errorf("no blobs came along: %s", said)
	}
	for _, args := range [][]string{
		{"history", "7", "-n", "50"}, {"models", "show", "als", "1"}, {"log", "show", "model/als"}, {"lineage", "model/als/1"},
		{"audit", "-n", "500"}, {"log", "topics"}, {"recommend", "--user", "7", "-k", "5", "--known-at", "user-events/0@300"},
	} {
		if a, b := ok(t, append(args, "--dir", first)...), ok(t, append(args, "--dir", second)...); a != b {
			t.Errorf("%v of the copy:\n%sof the first:\n%s", args, b, a)
		}
	}
	contains(t, "verify of the copy", ok(t, "verify", "--dir", second), allEqual)
	contains(t, "rebuild in the copy", ok(t, "models", "rebuild", "als", "1", "--dir", second), "equal: true")

	var report copied
	if err := json.Unmarshal([]byte(ok(t, "log", "copy", "--from", first, "--to", second, "--json", "--no-views")), &report); err != nil || !report.Was || !report.Finished || len(report.Views) != 0 || report.Blobs != 0 {
		t.Errorf("the same copy again: %+v, %v", report, err)
	}
	ok(t, "feedback", "7", "1", "--type", "click", "--dir", second)
	r = command("log", "copy", "--from", first, "--to", second)
	contains(t, "log copy to a log that has gone on", r.err, "records of its own", "empty place")

	// A copy of the copy, without its blobs: what is served is trained again, to the same hash.
	contains(t, "log copy", ok(t, "log", "copy", "--from", second, "--to", third), "yes")
	blobs := filepath.Join(third, "blobs")
	if err := os.RemoveAll(blobs); err != nil {
		t.Fatal(err)
	}
	s = serve(t, "--dir", third)
	contains(t, "serve of the copy without blobs", s.until(t, "/api/v1/feedback"), "ready: 120 films, 1,501 interactions, model als version 1")
	s.end(t)
	var model struct{ Blob string }
	if err := json.Unmarshal([]byte(ok(t, "models", "show", "als", "1", "--json", "--dir", third)), &model); err != nil || len(model.Blob) != 64 {
		t.Fatalf("%+v, %v", model, err)
	}
	b, err := os.ReadFile(filepath.Join(first, "blobs", model.Blob[:2], model.Blob))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(filepath.Join(blobs, model.Blob[:2], model.Blob)); err != nil || string(again) != string(b) {
		t.Errorf("the weights were not trained again: %v", err)
	}
}

// TestLogCopy_Unfinished: a copy that was cut short cannot be served, and goes on.
func TestLogCopy_Unfinished(t *testing.T) {
	t.Chdir(t.TempDir())
	home := t.TempDir()
	first, second := filepath.Join(home, "first"), filepath.Join(home, "second")
	ok(t, "simulate", "--users", "20", "--movies", "30", "--events", "400", "--dir", first)
	func() {
		from, err := app.OpenLog(t.Context(), filepath.Join(first, "log"), app.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		address, err := app.NewEmbeddedLog(second)
		if err != nil {
			t.Fatal(err)
		}
		to, err := app.OpenLog(t.Context(), address, app.LogOptions{Restoring: true})
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := transfer.Copy(ctx, from, to.(streams.Restorer), func(string, int64, int64) { cancel() }); err == nil {
			t.Fatal("the copying did not end")
		}
	}()
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"status"}} {
		r := command(append(args, "--dir", second)...)
		if r.code == 0 {
			t.Errorf("%v of half a copy", args)
		}
		contains(t, args[0]+" of half a copy", r.err, "unfinished copy", "log copy")
	}
	contains(t, "log copy again", ok(t, "log", "copy", "--from", first, "--to", second), "serve it with")
	contains(t, "verify", ok(t, "verify", "--dir", second), allEqual)
}

func TestLogCopy_Errors(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, foreign := filepath.Join(t.TempDir(), "data"), t.TempDir()
	ok(t, "simulate", "--users", "5", "--movies", "5", "--events", "20", "--dir", dir)
	if err := os.WriteFile(filepath.Join(foreign, "holiday.jpg"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "new")
	for _, x := range []struct {
		from, to string
		code     int
		says     string
	}{
		{"", fresh, 2, "--from is needed"},
		{dir, "", 2, "--to is needed"},
		{dir, dir, 2, "the same folder"},
		{"kafka://h:1", "kafka://h:1", 2, "the same log"},
		{fresh, filepath.Join(fresh, "x"), 1, "is no data folder"},
		{foreign, fresh, 1, "is no data folder"},
		{dir, foreign, 1, "not a data folder of this program"},
		{dir, "bogus://h:1", 1, "want such as kafka://"},
		{"kafka://127.0.0.1:1", fresh, 1, "127.0.0.1:1"},
	} {
		r := command("log", "copy", "--from", x.from, "--to", x.to)
		if r.code != x.code || !strings.Contains(r.err, x.says) {
			t.Errorf("from %q to %q: %+v; want code %d and %q", x.from, x.to, r, x.code, x.says)
		}
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a refused copy has left a folder")
	}
}

// TestLogCopy_Kafka goes to a cluster and back, where there is one.
func TestLogCopy_Kafka(t *testing.T) {
	brokers := os.Getenv("PROJECTIONIST_TEST_KAFKA")
	if brokers == "" {
		t.Skip("SKIPPED: no Kafka: set PROJECTIONIST_TEST_KAFKA=host:port,… (deploy/kafka/cluster.sh up starts one)")
	}
	t.Chdir(t.TempDir())
	home := t.TempDir()
	first, back := filepath.Join(home, "first"), filepath.Join(home, "back")
	s := serve(t, "--dir", first, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	s.end(t)
	prefix := "t" + strings.ToLower(rand.Text())[:12] + "."
	address := "kafka://" + brokers + "?prefix=" + prefix
	t.Cleanup(func() {
		c := sarama.NewConfig()
		c.Version = sarama.V3_6_0_0
		admin, err := sarama.NewClusterAdmin(strings.Split(brokers, ","), c)
		if err != nil {
			t.Error(err)
			return
		}
		defer admin.Close()
		for _, topic := range streams.Topics {
			admin.DeleteTopic(prefix + topic.Name) // it may not have been made
		}
	})
	there := ok(t, "log", "copy", "--from", first, "--to", address)
	again := ok(t, "log", "copy", "--from", address, "--to", back)
	views := func(s string) string {
		_, s, _ = strings.Cut(s, "VIEW")
		s, _, _ = strings.Cut(s, "events in")
		return s
	}
	if a, b := views(there), views(again); a != b || !strings.Contains(a, "histories") {
		t.Errorf("there:\n%s\nback:\n%s", a, b)
	}
	contains(t, "verify", ok(t, "verify", "--dir", back), allEqual)
	contains(t, "rebuild", ok(t, "models", "rebuild", "als", "1", "--dir", back), "equal: true")

	// A log that goes on while it is copied is not finished. The one on Kafka is written to by a node.
	l, err := app.OpenLog(t.Context(), address, app.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Feed().Publish(t.Context(), events.SystemHealthTopic, []streams.Record{{Value: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	if r := command("log", "copy", "--from", address, "--to", back); !strings.Contains(r.err, "gone on since") {
		t.Errorf("%+v", r)
	}
}

// allEqual is what verify says when nothing differs.
var allEqual = fmt.Sprintf("all %d views equal", len(projections.All()))
