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
	first := serve(t, "--dir", dir, "--simulate", tiny)
	first.until(t, "curl")
	first.end(t)
	if err := os.RemoveAll(filepath.Join(dir, "views")); err != nil {
		t.Fatal(err)
	}
	damage(t, dir)

	s := serve(t, "--dir", dir)
	said := s.until(t, "answering on")
	base := regexp.MustCompile(`http://[0-9.:]+`).FindString(said)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
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
