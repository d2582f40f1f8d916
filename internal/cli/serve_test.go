package cli

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// damage flips bits in the first quarter of the greatest table of a log, which holds facts.
func damage(t *testing.T, dir string) {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "log", "pebble", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal("no tables", err)
	}
	var greatest string
	var b []byte
	for _, path := range tables {
		if c, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		} else if len(c) > len(b) {
			greatest, b = path, c
		}
	}
	for at := 200; at < len(b)/4; at += 1000 { // not where partitions end, which is read when the log is opened
		b[at] ^= 1
	}
	if err := os.WriteFile(greatest, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A log that cannot be folded, and views that are gone: the port opens, readiness says why, what was folded is
// read; and no command waits without a bound and a word.
func TestServeWhatCannotBeFolded(t *testing.T) {
	defer func(was time.Duration) { unreadableWait = was }(unreadableWait)
	unreadableWait = 100 * time.Millisecond
	dir := filepath.Join(t.TempDir(), "data")
	first := serve(t, "--dir", dir, "--simulate", "users=40,movies=120,events=20000") // so many that the greatest table is theirs, not the ledger's
	first.until(t, "curl")
	first.end(t)
	if err := os.RemoveAll(filepath.Join(dir, "views")); err != nil {
		t.Fatal(err)
	}
	damage(t, dir)

	s := serve(t, "--dir", dir)
	said := s.until(t, "answering on")
	base := regexp.MustCompile(`http://[0-9.:]+`).FindString(said)
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		status, body := get(t, base+"/readyz")
		if status == http.StatusServiceUnavailable && strings.Contains(body, "cannot be folded") && strings.Contains(body, "user-events/") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("readiness says %d %s", status, body)
		}
	}
	for path, want := range map[string]int{"/healthz": 200, "/api/v1/views": 200, "/api/v1/movies?limit=1": 200} {
		if status, body := get(t, base+path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	s.end(t)
	for _, args := range [][]string{{"status"}, {"verify"}, {"models", "list"}} {
		r := command(append(args, "--dir", dir)...)
		if r.code == 0 || !strings.Contains(r.err, "damaged") || !strings.Contains(r.err, "restore a backup") {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.err)
		}
	}
}

// With --simulate off an empty log stays empty: no film, no model, no experiment but the default one. One that has data is served with it.
func TestServeEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, "--dir", dir, "--simulate", "off", "--listen-tracking", "127.0.0.1:0")
	said := s.until(t, "tracking")
	tracking := regexp.MustCompile(`tracking +(http://[a-z0-9.:]+)`).FindStringSubmatch(said)[1]
	if _, body := get(t, tracking+"/api/2.0/mlflow/registered-models/search"); strings.TrimSpace(body) != `{}` {
		t.Errorf("models: %s", body)
	}
	if _, body := get(t, tracking+"/ajax-api/2.0/mlflow/experiments/search?max_results=5"); strings.Count(body, `"experiment_id"`) != 1 || !strings.Contains(body, `"Default"`) {
		t.Errorf("experiments: %s", body)
	}
	s.until(t, "nothing is imported")
	s.end(t)

	ok(t, "simulate", "--users", "3", "--movies", "2", "--events", "9", "--dir", dir)
	s = serve(t, "--dir", dir, "--simulate", "off")
	contains(t, "with data", s.until(t, "ready: 2 films"), "ready: 2 films, 9 interactions")
	s.end(t)
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}
