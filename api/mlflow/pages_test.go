package mlflow_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api/mlflow"
)

const indexPage = `<!doctype html><script src="static-files/static/js/main.1a2b.js"></script>`

// build is a folder as an installed mlflow has it, with a file beside it that is nobody's to read.
func build(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "build")
	for name, text := range map[string]string{"index.html": indexPage, "favicon.ico": "ico", "static/js/main.1a2b.js": "let a", "static/css/main.css": "a{}", "static/media/x.woff2": "w", "../secret": "secret"} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../secret", filepath.Join(dir, "static", "out.js")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPages(t *testing.T) {
	w := newFixture(t)
	own := ask(w.tracking, "GET", "/", "")
	if own.Code != 200 || !strings.Contains(own.Text, "--mlflow-ui") {
		t.Fatalf("without MLflow's pages / is the program's own, which says how to get them: %d %.300s", own.Code, own.Text)
	}
	if a := ask(w.tracking, "GET", "/static-files/favicon.ico", ""); a.Code != 404 {
		t.Errorf("a part of pages that are not there: %d", a.Code)
	}
	if err := w.pages.Open(build(t)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Must(w.pages.Close()) })
	for _, c := range []struct{ path, kind, cache, text string }{
		{"/", "text/html; charset=utf-8", "no-cache", indexPage},
		{"/static-files/favicon.ico", "image/vnd.microsoft.icon", "public, max-age=2419200", "ico"},
		{"/static-files/static/js/main.1a2b.js", "text/javascript; charset=utf-8", "public, max-age=2419200", "let a"},
		{"/static-files/static/css/main.css", "text/css; charset=utf-8", "public, max-age=2419200", "a{}"},
		{"/static-files/static/media/x.woff2", "font/woff2", "public, max-age=2419200", "w"},
	} {
		a := ask(w.tracking, "GET", c.path, "")
		equal(t, c.path, []any{a.Code, a.Text, a.Header.Get("Content-Type"), a.Header.Get("Cache-Control"), a.Header.Get("X-Content-Type-Options")}, []any{200, c.text, c.kind, c.cache, "nosniff"})
		again := ask(w.tracking, "GET", c.path, "", func(r *http.Request) { r.Header.Set("If-None-Match", a.Header.Get("ETag")) })
		equal(t, c.path+", which the browser has", again.Code, 304)
	}
	for _, path := range []string{"/static-files/", "/static-files/static", "/static-files/static/", "/static-files/static/js/", "/static-files/none.js", "/static-files/%2e%2e/secret", "/static-files/static/%2e%2e/%2e%2e/secret",
		"/static-files/..%2fsecret", "/static-files/..%5csecret", "/static-files/static/out.js", "/static-files/%00"} {
		if a := ask(w.tracking, "GET", path, ""); a.Code != 404 || strings.Contains(a.Text, "secret") {
			t.Errorf("%s: %d %.100s", path, a.Code, a.Text)
		}
	}
	if a := ask(w.tracking, "GET", "/overview", ""); a.Code != 200 || !strings.Contains(a.Text, `<a href="./">`) || strings.Contains(a.Text, "--mlflow-ui") {
		t.Errorf("the program's own page beside MLflow's: %d %.300s", a.Code, a.Text)
	}
}

func TestPagesOfAnother(t *testing.T) {
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "index.html"), []byte("<h1>mine</h1>"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{other, t.TempDir(), filepath.Join(other, "none"), filepath.Join(other, "index.html")} {
		if err := new(mlflow.Pages).Open(dir); err == nil || !strings.Contains(err.Error(), "server/js/build") {
			t.Errorf("%s is taken, or refused without the remedy: %v", dir, err)
		}
	}
}

// What pages ask about things that there are none of is answered, and empty.
func TestNone(t *testing.T) {
	w := newFixture(t)
	for path, want := range map[string]string{
		"GET 2.0/mlflow/users/current": `{}`, "GET 2.0/mlflow/gateway-proxy?gateway_path=api%2F2.0%2Fendpoints%2F": `{"endpoints":[]}`,
		"POST 3.0/mlflow/traces/search": `{}`, "POST 3.0/mlflow/traces/metrics": `{}`, "GET 3.0/mlflow/scorers/list?experiment_id=0": `{}`,
		"GET 3.0/mlflow/assistant/providers": `{"providers":[]}`,
	} {
		method, path, _ := strings.Cut(path, " ")
		if a := ask(w.tracking, method, "/ajax-api/"+path, `{"experiment_ids":["0"]}`); a.Code != 200 || strings.TrimSpace(a.Text) != want {
			t.Errorf("%s: %d %s", path, a.Code, a.Text)
		}
	}
	if a := ask(w.tracking, "POST", "/ajax-api/3.0/mlflow/traces", `{}`); a.Code != 404 {
		t.Errorf("a trace is taken: %d", a.Code)
	}
}
