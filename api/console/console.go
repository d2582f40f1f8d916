// Package console is the web console, under /ui/ of the main address: a shell, one script and one style sheet, which ask
// /api/v1 as any client does. It reads nothing of the log or of views itself: what the public API cannot do, its pages cannot.
//
// src/ is TypeScript, lib/ what it is made with, and dist/ what build/ makes of both: `make console` after a change in src/, for which Go
// is all that is needed. See docs/adr/0044-console-bundled-by-go.md.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

//go:embed dist/app.js dist/layout.js dist/plot.js dist/app.css dist/icon.svg
var dist embed.FS

//go:embed shell.html
var shellHTML string

var shellPage = template.Must(template.New("shell").Parse(shellHTML))

// Path is where the console is.
const Path = "/ui/"

// policy lets pages load what this address gives them alone, run no text as script, and be shown in no frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Surface is the console.
type Surface struct {
	*api.Core
	assets map[string]*asset
	shell  []byte
}

var (
	_ api.Gated     = (*Surface)(nil)
	_ api.Sessioned = (*Surface)(nil)
)

// New makes the surface. version is the program's.
func New(core *api.Core, version string) (*Surface, error) {
	s := &Surface{Core: core, assets: map[string]*asset{}}
	for name, mediaType := range map[string]string{"app.js": "text/javascript", "layout.js": "text/javascript", "plot.js": "text/javascript", "app.css": "text/css", "icon.svg": "image/svg+xml"} {
		b, err := dist.ReadFile("dist/" + name)
		if err != nil {
			return nil, fault.Wrap(fault.Internal, err, "the console lacks %s", name)
		}
		sum := sha256.Sum256(b)
		s.assets[name] = &asset{mediaType: mediaType, plain: b, version: hex.EncodeToString(sum[:8])}
	}
	var shell bytes.Buffer
	err := shellPage.Execute(&shell, map[string]any{"Script": s.assets["app.js"].version, "Style": s.assets["app.css"].version,
		"Boot": map[string]any{"version": version, "open": core.Open(), "layout": Path + "layout.js?v=" + s.assets["layout.js"].version, "plot": Path + "plot.js?v=" + s.assets["plot.js"].version}})
	s.shell = shell.Bytes()
	return s, err
}

func (s *Surface) Name() string { return "console" }

func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (s *Surface) Routes(r *api.Routes) {
	r.Handle("GET /ui/{path...}", s.page)
	for name := range s.assets {
		r.Handle("GET /ui/"+name, s.asset)
	}
	r.Handle("POST /ui/session", s.begin)
	r.Handle("DELETE /ui/session", s.end)
}

// Owns says that the console's paths are its own: they hold nothing, and anyone may load them.
func (s *Surface) Owns(path string) bool { return strings.HasPrefix(path, Path) || path == "/ui" }

// Admit lets everybody load the empty shell. What pages show of the program comes from /api/v1, which wants credentials.
func (s *Surface) Admit(*http.Request) (user string, refused *api.Problem) { return "", nil }

// Sessions says that it gives some.
func (s *Surface) Sessions() {}

func guard(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// page is the shell, whatever comes after /ui/: the script reads the rest of the address.
func (s *Surface) page(w http.ResponseWriter, r *http.Request) error {
	guard(w)
	w.Header().Set("Cache-Control", "no-cache")
	return api.WriteText(w, "text/html", s.shell)
}

// asset is a file of the bundle, as it is and compressed once.
type asset struct {
	mediaType, version string
	plain              []byte

	once   sync.Once
	packed []byte
}

func (a *asset) compressed() []byte {
	a.once.Do(func() {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) //nolint:errcheck // of a level that there is
		z.Write(a.plain)                                      //nolint:errcheck // into memory
		z.Close()                                             //nolint:errcheck // likewise
		a.packed = b.Bytes()
	})
	return a.packed
}

// asset gives a file for good under the version of the bundle that this program has, and to be asked for again under any other.
func (s *Surface) asset(w http.ResponseWriter, r *http.Request) error {
	a := s.assets[strings.TrimPrefix(r.URL.Path, Path)]
	guard(w)
	h := w.Header()
	h.Set("ETag", `"`+a.version+`"`)
	h.Set("Vary", "Accept-Encoding")
	if h.Set("Cache-Control", "no-cache"); r.URL.Query().Get("v") == a.version {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == `"`+a.version+`"` {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := a.plain
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		body = a.compressed()
	}
	h.Set("Content-Type", a.mediaType+"; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	w.Write(body) //nolint:errcheck // the client is gone
	return nil
}
