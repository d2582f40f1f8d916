package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/console"
	"github.com/projectionist/projectionist/api/console/build/bundle"
)

// TestDist: what is embedded is what build/ makes of src/ and lib/, byte for byte.
func TestDist(t *testing.T) {
	files, err := bundle.Make(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("dist", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("dist/%s is not what the sources make (%v): run make console", name, err)
		}
	}
	entries, err := os.ReadDir("dist")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil {
			t.Errorf("dist/%s comes of no source", e.Name())
		}
	}
}

// TestBudget: what a browser loads before it shows anything stays small, and what lays graphs out, which it loads for the first graph. Sizes are of gzip's best.
func TestBudget(t *testing.T) {
	for name, most := range map[string]int{"app.js": 110_000, "layout.js": 20_000, "plot.js": 30_000, "app.css": 15_000} {
		b, err := os.ReadFile(filepath.Join("dist", name))
		if err != nil {
			t.Fatal(err)
		}
		var packed bytes.Buffer
		z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, %d compressed", name, len(b), packed.Len())
		if packed.Len() > most {
			t.Errorf("%s takes %d bytes compressed; the budget is %d", name, packed.Len(), most)
		}
	}
}

// TestSourcesHaveNoHTML: texts become nodes, never markup.
func TestSourcesHaveNoHTML(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
	n := 0
	err := filepath.WalkDir("src", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		n++
		b, err := os.ReadFile(path)
		if found := markup.Find(b); found != nil {
			t.Errorf("%s has %s", path, found)
		}
		if lines := bytes.Count(b, []byte{'\n'}); lines > 400 && !strings.HasSuffix(path, ".gen.ts") {
			t.Errorf("%s has %d lines: split it", path, lines)
		}
		return err
	})
	if err != nil || n < 20 {
		t.Fatalf("%d files were read: %v", n, err)
	}
}

// probe is a surface that says who asks.
type probe struct{ *api.Core }

func (probe) Name() string { return "probe" }
func (probe) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}
func (probe) Routes(r *api.Routes) {
	answer := func(w http.ResponseWriter, r *http.Request) error {
		m, err := api.MetaOf(r)
		if err != nil {
			return err
		}
		return api.WriteText(w, "text/plain", []byte(m.Actor))
	}
	r.Handle("GET /api/v1/probe", answer)
	r.Handle("POST /api/v1/probe", answer)
}

type world struct {
	*testing.T
	server, without *api.Server // without has no console
}

// newWorld is a program with a console; config says which credentials it wants.
func newWorld(t *testing.T, config func(*api.Config)) *world {
	bench := apitest.New(t, nil)
	c := api.Config{Log: bench.Log, Dispatcher: bench.Dispatcher, Views: bench.Views, Logger: bench.Core.Logger}
	config(&c)
	core, err := api.New(c)
	bench.Must(err)
	t.Cleanup(func() { bench.Must(core.Close()) })
	pages, err := console.New(core, "1.2.3")
	bench.Must(err)
	return &world{t, core.Serve(probe{core}, pages), core.Serve(probe{core})}
}

func ask(s *api.Server, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec.Result()
}

func text(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func open(*api.Config)        {}
func withToken(c *api.Config) { c.Token, c.Users = "a secret", map[string]string{"ann": "word"} }
func want(w *world, r *http.Response, status int) {
	w.Helper()
	if r.StatusCode != status {
		w.Fatalf("%d, want %d: %s", r.StatusCode, status, text(w.T, r))
	}
}

func TestShell(t *testing.T) {
	w := newWorld(t, withToken)
	for _, path := range []string{"/ui/", "/ui/runs/0123?tab=x&known_at=2026-01-01", "/ui/events/streams/run/%3Cscript%3E"} {
		r := ask(w.server, "GET", path, "")
		want(w, r, 200)
		body := text(t, r)
		if strings.Contains(body, "secret") || strings.Contains(body, "<script>") || !strings.Contains(body, `"open":false`) {
			t.Errorf("%s: the shell is not the empty one:\n%s", path, body)
		}
		if got, whole := r.Header.Get("Content-Security-Policy"), "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"; got != whole {
			t.Errorf("%s: the policy is %q", path, got)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: headers are %v", path, r.Header)
		}
		if cookies := r.Cookies(); len(cookies) > 0 {
			t.Errorf("%s sets %v", path, cookies)
		}
	}
	want(w, ask(w.server, "GET", "/ui", ""), 307)
	want(w, ask(w.server, "PUT", "/ui/runs", ""), 405)
}

func TestAssets(t *testing.T) {
	w := newWorld(t, withToken)
	shell := text(t, ask(w.server, "GET", "/ui/", ""))
	for _, m := range regexp.MustCompile(`(?:src|href)="(/ui/app\.(?:js|css)\?v=[0-9a-f]{16})"`).FindAllStringSubmatch(shell, -1) {
		r := ask(w.server, "GET", m[1], "")
		want(w, r, 200)
		plain := text(t, r)
		if !strings.Contains(r.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", m[1], r.Header)
		}
		packed := ask(w.server, "GET", m[1], "", "Accept-Encoding", "gzip, br")
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil || string(b) != plain {
			t.Errorf("%s is another when it is compressed: %v", m[1], err)
		}
		want(w, ask(w.server, "GET", m[1], "", "If-None-Match", r.Header.Get("ETag")), 304)
		path, _, _ := strings.Cut(m[1], "?")
		if r := ask(w.server, "GET", path+"?v=0000000000000000", ""); r.StatusCode != 200 || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("under another version: %d %v", r.StatusCode, r.Header)
		}
	}
}

// TestSession: a browser gets a cookie for credentials, with which it is let in on the listener of the console, from its pages alone.
func TestSession(t *testing.T) {
	w := newWorld(t, withToken)
	want(w, ask(w.server, "GET", "/api/v1/probe", ""), 401)
	for _, wrong := range []string{`{"token":"wrong"}`, `{"token":""}`, `{"user":"ann","password":"a secret"}`, `{"user":"nobody","password":"word"}`, `{}`} {
		r := ask(w.server, "POST", "/ui/session", wrong)
		want(w, r, 401)
		if len(r.Cookies()) > 0 {
			t.Errorf("%s: a cookie for nothing", wrong)
		}
	}
	want(w, ask(w.server, "POST", "/ui/session", `{"token":"a secret","user":"ann"}`), 400)
	want(w, ask(w.server, "POST", "/ui/session", `{"token":`), 400)
	for body, actor := range map[string]string{`{"token":"a secret"}`: "projectionist", `{"user":"ann","password":"word"}`: "ann"} {
		r := ask(w.server, "POST", "/ui/session", body)
		want(w, r, 204)
		c := r.Cookies()[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || strings.Contains(c.Value, "secret") {
			t.Fatalf("the cookie is %v", c)
		}
		with := func(s *api.Server, method string, more ...string) *http.Response {
			return ask(s, method, "/api/v1/probe", "", append([]string{"Cookie", c.Name + "=" + c.Value}, more...)...)
		}
		for _, method := range []string{"GET", "POST"} {
			r := with(w.server, method, "Sec-Fetch-Site", "same-origin")
			want(w, r, 200)
			if got := text(t, r); got != actor {
				t.Errorf("%s comes from %q, want %q", method, got, actor)
			}
			for _, site := range []string{"cross-site", "same-site"} {
				if r := with(w.server, method, "Sec-Fetch-Site", site); r.StatusCode != 401 && r.StatusCode != 403 {
					t.Errorf("%s from %s: %d", method, site, r.StatusCode)
				}
			}
			if r := with(w.server, method, "Origin", "http://localhost:3000"); r.StatusCode != 401 && r.StatusCode != 403 {
				t.Errorf("%s from another port's page: %d", method, r.StatusCode)
			}
			want(w, with(w.without, method, "Sec-Fetch-Site", "same-origin"), 401)
		}
		want(w, ask(w.server, "GET", "/api/v1/probe", "", "Cookie", c.Name+"="+c.Value+"x"), 401)
		want(w, with(w.server, "GET", "Authorization", "Bearer wrong"), 401)
	}
	r := ask(w.server, "DELETE", "/ui/session", "")
	want(w, r, 204)
	if c := r.Cookies()[0]; c.MaxAge >= 0 || c.Value != "" {
		t.Errorf("the session's end leaves %v", c)
	}
	want(newWorld(t, open), ask(newWorld(t, open).server, "POST", "/ui/session", `{"token":"a secret"}`), 409)
}

// TestChallenge: a page's request is not answered with what makes a browser ask for a password itself.
func TestChallenge(t *testing.T) {
	w := newWorld(t, withToken)
	if got := ask(w.server, "GET", "/api/v1/probe", "", "Sec-Fetch-Dest", "empty").Header.Values("Www-Authenticate"); len(got) != 1 || !strings.HasPrefix(got[0], "Bearer") {
		t.Errorf("a page is asked for %q", got)
	}
	if got := ask(w.server, "GET", "/api/v1/probe", "").Header.Values("Www-Authenticate"); len(got) != 2 {
		t.Errorf("others are asked for %q", got)
	}
}

// TestLead: pages of another listener's users are found at the main one, under the name that was asked.
func TestLead(t *testing.T) {
	bench := apitest.New(t, nil)
	c := api.Config{Log: bench.Log, Dispatcher: bench.Dispatcher, Views: bench.Views, Logger: bench.Core.Logger}
	withToken(&c)
	core, err := api.New(c)
	bench.Must(err)
	t.Cleanup(func() { bench.Must(core.Close()) })
	main := ""
	lead := console.NewLead(core, func() string { return main }, map[string]string{"/dags/{dag}/runs/{run}": "workflows/runs/{run}"})
	s := core.Serve(probe{core}, lead)
	if r := ask(s, "GET", "/ui/runs", ""); r.StatusCode != 503 {
		t.Errorf("before the main address is known: %d", r.StatusCode)
	}
	main = "127.0.0.1:8123"
	for path, want := range map[string]string{"/ui/": "http://localhost:8123/ui/", "/ui/runs?q=a%26b": "http://localhost:8123/ui/runs?q=a%26b", "/ui/events/streams/run%2F1": "http://localhost:8123/ui/events/streams/run%2F1"} {
		if r := ask(s, "GET", path, ""); r.StatusCode != 302 || r.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, r.StatusCode, r.Header.Get("Location"), want)
		}
	}
	browser, other := httptest.NewRequest("GET", "http://localhost:6570/", nil), httptest.NewRequest("GET", "http://localhost:6570/", nil)
	browser.Header.Set("Accept", "text/html,*/*;q=0.8")
	other.Header.Set("Accept", "*/*")
	rec := httptest.NewRecorder()
	if !lead.To("features")(rec, browser) || rec.Result().StatusCode != 302 || rec.Result().Header.Get("Location") != "http://localhost:8123/ui/features" {
		t.Errorf("a root leads to %v", rec.Result())
	}
	if rec := httptest.NewRecorder(); lead.To("features")(rec, other) || rec.Result().StatusCode != 200 || rec.Result().Header.Get("Vary") != "Accept" {
		t.Error("whoever wants no page is led")
	}
	if r := ask(s, "GET", "/dags/a/runs/b%2Fc", "", "Authorization", "Bearer a secret"); r.Header.Get("Location") != "http://localhost:8123/ui/workflows/runs/b%2Fc" {
		t.Errorf("a run is at %q", r.Header.Get("Location"))
	}
	if r := ask(s, "GET", "/dags/a/runs/b", ""); r.StatusCode != 401 {
		t.Errorf("a run, without credentials: %d", r.StatusCode)
	}
}
