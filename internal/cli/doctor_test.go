package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/app"
)

// TestDoctor: every system is looked at; what is wrong is told from what is off or not there.
func TestDoctor(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	if r := command("doctor", "--dir", dir); r.code != 1 || !strings.Contains(r.err, "nothing serves") {
		t.Errorf("%d %s", r.code, r.err)
	}
	s := serve(t, "--dir", dir, "--simulate", tiny, "--listen-workflows", "127.0.0.1:0", "--kafka", "127.0.0.1:0")
	s.until(t, "/api/v1/feedback")
	well := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer well.Close()
	ill := httptest.NewServer(http.NotFoundHandler())
	defer ill.Close()
	look := func(code int, want ...string) {
		t.Helper()
		r := command("doctor", "--dir", dir, "--prometheus", well.URL, "--grafana", ill.URL)
		if r.code != code {
			t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
		}
		lines := strings.Split(r.out, "\n")
		for _, w := range want {
			found := false
			for _, line := range lines {
				found = found || strings.Contains(strings.Join(strings.Fields(line), " "), w)
			}
			if !found {
				t.Errorf("no line has %q:\n%s", w, r.out)
			}
		}
	}
	look(0, "main ok", "recommendations ok", "by als version 1", "workflow movie_training_pipeline ok - last run: success", "workflows ok http://127.0.0.1:", "topics off -", "kafka ok 127.0.0.1:",
		"prometheus ok", "grafana absent", "quarantine ok - empty")
	typed(t, `{"user_id":"7","movie_id":"1","interaction_type":"like"}`)
	ok(t, "produce", "user-events", "--dir", dir)
	ok(t, "workflows", "run", "movie_training_pipeline", "--conf", "als.dim=1", "--dir", dir) // a run is under way, or has ended: neither is wrong
	look(0, "workflow movie_training_pipeline ok")
	s.end(t)

	// A page without items may have others behind it.
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := "{}"
		if r.URL.Path == "/api/v1/quarantine" {
			answer = map[string]string{"": `{"items":[],"next_cursor":"a"}`, "a": `{"items":[],"next_cursor":"b"}`, "b": `{"items":[{"position":"user-events/0@7"}]}`}[r.URL.Query().Get("cursor")]
		}
		w.Write([]byte(answer)) //nolint:errcheck // a test
	}))
	defer pages.Close()
	if r := command("doctor", "--server", pages.URL, "--prometheus", well.URL, "--grafana", ill.URL); !strings.Contains(strings.Join(strings.Fields(r.out), " "), "quarantine ok - 1 projectionist quarantine list") {
		t.Errorf("%s%s", r.out, r.err)
	}
	for cursor, want := range map[string]string{"": "nothing so far; there are more: add --cursor a\n", "b": ""} {
		if r := command("quarantine", "list", "--server", pages.URL, "--cursor", cursor); r.code != 0 || r.err != want || strings.Contains(r.out, "user-events/0@7") != (cursor == "b") {
			t.Errorf("from %q: exit code %d: %s%s", cursor, r.code, r.out, r.err)
		}
	}

	// A browser is sent elsewhere from a port that it refuses, and nowhere from others.
	at := func(address string) string {
		return forBrowsers("127.0.0.1:8000", app.Answered{Name: "features", Address: address})
	}
	if got := at("127.0.0.1:6566"); !strings.Contains(got, "http://localhost:8000/features") {
		t.Errorf("port 6566: %q", got)
	}
	if got := at("127.0.0.1:7000"); got != "" {
		t.Errorf("port 7000: %q", got)
	}
}
