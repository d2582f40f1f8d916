package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"
)

// get asks the program, and wants a status.
func get(t testing.TB, a *app.App, method, path string, body any, status int) string {
	t.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(method, "http://localhost"+path, bytes.NewReader(b))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, req)
	if w.Code != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, w.Code, status, w.Body)
	}
	return w.Body.String()
}

// ledgerIDs are the commits of a ledger, in order.
func ledgerIDs(t testing.TB, l streams.Ledger) (ids []string) {
	t.Helper()
	for c, err := range l.Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// embeddedIDs are those that Kafka's tools see in a folder, which must not be open.
func embeddedIDs(t testing.TB, dir string) (ids []string) {
	t.Helper()
	l, err := local.Open(filepath.Join(dir, "feeds", "log"), local.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for r, err := range l.Feed().Read(context.Background(), streams.TP{Topic: events.LedgerTopic}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		c, err := streams.ReadCommit(r)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
	}
	return ids
}

// copied waits until the ledger's copy has all of it.
func copied(t testing.TB, a *app.App) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var page struct {
			Items []struct {
				Relay *struct {
					Copied, Behind int
					Error          string
				}
			}
		}
		if err := json.Unmarshal([]byte(get(t, a, "GET", "/api/v1/log/topics", nil, 200)), &page); err != nil {
			t.Fatal(err)
		}
		r := page.Items[0].Relay
		if r == nil || r.Error != "" {
			t.Fatalf("the relay: %+v", r)
		}
		if r.Behind == 0 {
			return
		}
	}
	t.Fatal("the ledger is not copied")
}

// TestEventStore is the whole program with its ledger on (a simulation of) EventStoreDB: an import, a
// training run, a recommendation; killed in the middle, rebuilt, verified; and what Kafka's tools see.
func TestEventStore(t *testing.T) {
	s := fake.New(t, nil)
	env := []string{"PROJECTIONIST_LOG=" + strings.Replace(s.URL(), "esdb://", "esdb://admin:sesame@", 1) + "&category=films"}
	dir := filepath.Join(t.TempDir(), "data")
	world := []string{"--simulate", "users=40,movies=80,events=2500"}
	c := startWith(t, dir, env, world...)
	c.until(t, "the middle of the training", func() bool { return s.Calls("append") >= 5 })
	c.kill()
	c = startWith(t, dir, env, world...)
	c.ready(t)
	waitTrained(t, c.address, 1)
	if status, answer := post(context.Background(), c.address+"/api/v1/feedback", map[string]any{"user_id": "1", "movie_id": "1", "rating": 5}); status != 200 {
		t.Fatalf("feedback: %d %v", status, answer)
	}
	resp, err := http.Get(c.address + "/api/v1/recommendations?k=5&user_id=1")
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("recommendations: %v, %v", resp, err)
	}
	resp.Body.Close()
	c.kill() // without grace: lazy views are behind, the copy may be
	if strings.Contains(c.out.String(), "sesame") {
		t.Errorf("the password is shown: %s", c.out.String())
	}

	o := app.Options{Dir: dir, LogURL: s.URL() + "&category=films"}
	a := openNode(t, o)
	defer a.Close()
	before := hashesOf(t, a)
	if out := get(t, a, "POST", "/api/v1/ops/verify", nil, 200); !strings.Contains(out, `"equal":true`) || strings.Contains(out, `"equal":false`) {
		t.Errorf("verify: %s", out)
	}
	if out := get(t, a, "POST", "/api/v1/ops/models/als/1/rebuild", nil, 200); !strings.Contains(out, `"equal":true`) {
		t.Errorf("rebuild: %s", out)
	}
	ids := ledgerIDs(t, a.Log.Ledger())
	mid := fmt.Sprintf("mlops-events/0@%d", len(ids)/2)
	get(t, a, "GET", "/api/v1/deployments?known_at="+mid, nil, 200)
	copied(t, a)
	note := get(t, a, "POST", "/api/v1/ops/backup", map[string]string{"to": filepath.Join(t.TempDir(), "backup")}, 200)
	if !strings.Contains(note, "the feeds and the blobs only") {
		t.Errorf("backup: %s", note)
	}
	metrics := get(t, a, "GET", "/metrics", nil, 200)
	for _, line := range []string{fmt.Sprint("ledger_relay_commits ", len(ids)), "ledger_relay_halted 0", "log_commits_total 0"} {
		if !strings.Contains(metrics, "\n"+line+"\n") {
			t.Errorf("the metrics lack %q", line)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := embeddedIDs(t, dir); len(ids) < 80 || fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("Kafka's tools see %d commits of %d", len(got), len(ids))
	}
	a = openNode(t, o)
	compareHashes(t, "the same folder opened again", hashesOf(t, a), before)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"views", "reactors"} {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	a = openNode(t, o)
	compareHashes(t, "folded again from the log", hashesOf(t, a), before)
}

// TestEventStore_Folder: a folder stays with the kind of log it began with, and no password is shown.
func TestEventStore_Folder(t *testing.T) {
	s := fake.New(t, nil)
	ctx := context.Background()
	url := strings.Replace(s.URL(), "esdb://", "esdb://admin:sesame@", 1)
	const cluster = "kafka://127.0.0.1:1?sasl=PLAIN&user=anna&password=sesame"
	embedded, node, feedless := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b"), filepath.Join(t.TempDir(), "c")
	for _, o := range []app.Options{{Dir: embedded}, {Dir: node, LogURL: url}} {
		if err := openNode(t, o).Close(); err != nil {
			t.Fatal(err)
		}
	}
	onKafka := filepath.Join(t.TempDir(), "d")
	if err := os.CopyFS(onKafka, os.DirFS(embedded)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(onKafka, "log"), filepath.Join(onKafka, "index")); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		o    app.Options
		code fault.Code
		hint string
	}{
		"OwnLog":        {app.Options{Dir: embedded, LogURL: url}, fault.Corrupt, "unset PROJECTIONIST_LOG"},
		"OwnLogKafka":   {app.Options{Dir: embedded, LogURL: cluster}, fault.Corrupt, "unset PROJECTIONIST_LOG"},
		"Kafka":         {app.Options{Dir: onKafka, LogURL: url}, fault.Corrupt, "PROJECTIONIST_LOG=kafka://"},
		"KafkaNone":     {app.Options{Dir: onKafka}, fault.Corrupt, "PROJECTIONIST_LOG=kafka://"},
		"None":          {app.Options{Dir: node}, fault.Corrupt, "PROJECTIONIST_LOG=esdb://"},
		"NodeKafka":     {app.Options{Dir: node, LogURL: cluster}, fault.Corrupt, "PROJECTIONIST_LOG=esdb://"},
		"OtherFeeds":    {app.Options{Dir: node, LogURL: url, FeedsURL: cluster}, fault.Corrupt, "unset PROJECTIONIST_FEEDS"},
		"FeedsAlone":    {app.Options{Dir: feedless, FeedsURL: cluster}, fault.Invalid, "PROJECTIONIST_LOG=esdb://"},
		"FeedsFolder":   {app.Options{Dir: feedless, LogURL: url, FeedsURL: "/feeds"}, fault.Invalid, "PROJECTIONIST_FEEDS=kafka://"},
		"NoServer":      {app.Options{Dir: feedless, LogURL: "esdb://admin:sesame@127.0.0.1:1?tls=false&maxDiscoverAttempts=1"}, fault.Unavailable, ""},
		"NoAddress":     {app.Options{Dir: feedless, LogURL: "esdb://admin:sesame@:x"}, fault.Invalid, ""},
		"Category":      {app.Options{Dir: feedless, LogURL: url + "&category=a-b"}, fault.Invalid, "category"},
		"ParameterTLS":  {app.Options{Dir: feedless, LogURL: "esdb://admin@127.0.0.1:1?tls=sesame"}, fault.Invalid, ""},
		"OpenElsewhere": {app.Options{Dir: node, LogURL: url}, fault.Unavailable, "another process"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "OpenElsewhere" {
				defer openNode(t, c.o).Close()
			}
			c.o.Logger = slog.New(slog.DiscardHandler)
			a, err := app.Open(ctx, c.o)
			if err == nil {
				a.Close()
			}
			if !fault.Is(err, c.code) || !strings.Contains(err.Error(), c.hint) || strings.Contains(err.Error(), "sesame") {
				t.Errorf("%v; want %s and %q", err, c.code, c.hint)
			}
		})
	}
}

// TestEventStore_Nodes: two nodes of one ledger, each with feeds of its own: which is no way to run it, but
// both take commands, and what Kafka's tools see at each is the ledger.
func TestEventStore_Nodes(t *testing.T) {
	s := fake.New(t, nil)
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	var nodes sync.WaitGroup
	var apps []*app.App
	for _, dir := range dirs {
		a := openNode(t, app.Options{Dir: dir, LogURL: s.URL()})
		apps = append(apps, a)
	}
	for i, a := range apps {
		nodes.Go(func() {
			for k := range 30 {
				c := &commands.RegisterModel{Name: fmt.Sprint("m", k)}
				if _, err := a.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: fmt.Sprint("node", i)}); err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	nodes.Wait()
	var ids []string
	for _, a := range apps {
		hashesOf(t, a)
		copied(t, a)
		ids = ledgerIDs(t, a.Log.Ledger())
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range dirs {
		if got := embeddedIDs(t, dir); len(got) != 30 || fmt.Sprint(got) != fmt.Sprint(ids) {
			t.Errorf("%s: Kafka's tools see %v of %v", dir, got, ids)
		}
	}
}

// TestKafkaFeeds is a ledger on (a simulation of) EventStoreDB with its feeds on Kafka: two nodes, of which one is
// killed, have the same views, and the cluster's topic has every commit once, in order.
func TestKafkaFeeds(t *testing.T) {
	feeds, _ := clusterLog(t)
	s := fake.New(t, nil)
	env := []string{"PROJECTIONIST_LOG=" + s.URL(), "PROJECTIONIST_FEEDS=" + feeds}
	dirs := []string{filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")}
	n := &nodes{dirs: dirs, env: env, run: make([]*child, 2)}
	world := []string{"--simulate", "users=40,movies=400,events=3000"}
	n.start(t, 0, world...)
	n.start(t, 1, world...)
	n.run[0].until(t, "the middle of the training", func() bool { return s.Calls("append") >= 5 })
	n.kill(0)
	n.run[1].ready(t)
	waitTrained(t, n.address(1), 1)
	n.start(t, 0)
	n.run[0].ready(t)
	for i := range 40 {
		status, answer := post(context.Background(), n.run[i%2].address+"/api/v1/feedback", map[string]any{"user_id": i % 7, "movie_id": i + 1, "rating": 4})
		if status != 200 {
			t.Fatalf("feedback: %d %v", status, answer)
		}
	}
	for _, c := range n.run {
		c.stop(t)
	}
	var hashes [2][]fold.ViewReport
	var apps []*app.App
	for i, dir := range dirs {
		a := openNode(t, app.Options{Dir: dir, LogURL: s.URL(), FeedsURL: feeds})
		defer a.Close()
		apps = append(apps, a)
		hashes[i] = hashesOf(t, a)
	}
	compareHashes(t, "the second node", hashes[1], hashes[0])
	start := time.Now()
	copied(t, apps[0])
	ids := ledgerIDs(t, apps[0].Log.Ledger())
	t.Logf("%d commits; all in the topic after another %v", len(ids), time.Since(start).Round(time.Millisecond))
	for _, a := range apps {
		a.Close()
	}
	o, err := kafka.ParseURL(feeds)
	if err != nil {
		t.Fatal(err)
	}
	o.Logf = t.Logf
	l, err := kafka.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := ledgerIDs(t, l.Ledger()); len(got) < 400 || fmt.Sprint(got) != fmt.Sprint(ids) {
		t.Errorf("the cluster has %d commits, the ledger %d, in this order or another", len(got), len(ids))
	}
}

func TestShown(t *testing.T) {
	for address, want := range map[string]string{
		"/srv/films":                              "/srv/films",
		"esdb://a:2113?tls=false":                 "esdb://a:2113?tls=false",
		"esdb://anna:sesame@a:1,b:2?tls=false":    "esdb://***@a:1,b:2?tls=false",
		"esdb+discover://anna:s?s@me@a":           "esdb+discover://***@a",
		"kafka://a:1,b?user=anna&password=sesame": "kafka://a:1,b?user=anna&password=***",
		"kafka://a?Password=sesame&prefix=x":      "kafka://a?Password=***&prefix=x",
	} {
		if got := app.Shown(address); got != want {
			t.Errorf("%s is shown as %s; want %s", address, got, want)
		}
	}
}
