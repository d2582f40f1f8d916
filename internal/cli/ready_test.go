package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestReady: the exit code is what a supervisor goes by; no folder is made or opened for it.
func TestReady(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := filepath.Join(t.TempDir(), "data")
	not := func(says string, args ...string) {
		t.Helper()
		if r := command(append([]string{"ready"}, args...)...); r.code != 1 || r.out != "" || !strings.Contains(r.err, says) {
			t.Errorf("%v: exit code %d: %s%s; want 1 and %q", args, r.code, r.out, r.err, says)
		}
	}
	not("nothing serves", "--dir", dir)
	if found, _ := filepath.Glob(dir + "*"); len(found) != 0 {
		t.Errorf("%v was made", found)
	}
	t.Setenv(envUsers, "anna:secret")
	s := serve(t, "--dir", dir, "--simulate", tiny)
	s.until(t, "/api/v1/feedback")
	if r := command("ready", "--dir", dir); r.code != 0 || r.out != "ready\n" {
		t.Errorf("exit code %d: %s%s", r.code, r.out, r.err)
	}
	s.end(t)
	not("nothing serves", "--dir", dir)
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		w.Write([]byte(`{"detail":"no film yet"}`)) //nolint:errcheck // a test
	}))
	defer ill.Close()
	not("no film yet", "--server", ill.URL)
}
