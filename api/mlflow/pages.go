package mlflow

import (
	"bytes"
	"errors"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// Pages are MLflow's own web pages: the folder server/js/build of an installed mlflow, as it is. The zero value has none.
type Pages struct{ root atomic.Pointer[os.Root] }

// staticPrefix is where the pages look for their parts.
const staticPrefix = "static-files/"

// Open takes the pages from a folder. One that has others than MLflow's, or none, is refused.
func (p *Pages) Open(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(abs)
	if err == nil {
		var index []byte
		if index, err = fs.ReadFile(root.FS(), "index.html"); err == nil && !bytes.Contains(index, []byte(staticPrefix)) {
			err = errors.New("its index.html is another's")
		}
		if err != nil {
			root.Close() //nolint:errcheck // it was read only
		}
	}
	if err != nil {
		return fault.Wrap(fault.Invalid, err, "%s has no pages of MLflow", dir).(*fault.Error).WithHint("want the folder server/js/build of an installed mlflow: python3 -c 'import mlflow.server as s; print(s.app.static_folder)'")
	}
	if before := p.root.Swap(root); before != nil {
		return before.Close()
	}
	return nil
}

// Close lets go of the folder. Nobody may be answered any more.
func (p *Pages) Close() error {
	if root := p.root.Swap(nil); root != nil {
		return root.Close()
	}
	return nil
}

// Dir is the folder; "" for none.
func (p *Pages) Dir() string {
	if root := p.root.Load(); root != nil {
		return root.Name()
	}
	return ""
}

func (s *Surface) staticRoutes(r *api.Routes) {
	r.Handle("GET /{$}", s.front, "runs", "registry")
	r.Handle("GET "+overviewPath, s.home, "runs", "registry")
	r.Handle("GET /"+staticPrefix+"{path...}", s.static)
}

// overviewPath is where the program's own page stands, whether MLflow's are there or not.
const overviewPath = "/overview"

// front is MLflow's page. Where there is none browsers are led to the console, which knows the addresses of pages that MLflow's clients print
// (they stand behind #, which no server sees), and others, and those who ask of a moment, have the program's own.
func (s *Surface) front(w http.ResponseWriter, r *http.Request) error {
	if s.Pages.Dir() == "" {
		if s.Lead != nil && s.Asked() == "" && s.Lead(w, r) {
			return nil
		}
		return s.home(w, r)
	}
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	return s.Pages.send(w, r, "index.html", "no-cache")
}

// static is a part of the pages. They are named by what they hold, and may be kept for four weeks, as MLflow's server says.
func (s *Surface) static(w http.ResponseWriter, r *http.Request) error {
	return s.Pages.send(w, r, r.PathValue("path"), "public, max-age=2419200")
}

// kinds are the types of files that are not left to what the machine says of them.
var kinds = map[string]string{".css": "text/css; charset=utf-8", ".html": "text/html; charset=utf-8", ".ico": "image/vnd.microsoft.icon", ".js": "text/javascript; charset=utf-8",
	".json": "application/json", ".mjs": "text/javascript; charset=utf-8", ".cjs": "text/javascript; charset=utf-8", ".png": "image/png", ".svg": "image/svg+xml",
	".ttf": "font/ttf", ".txt": "text/plain; charset=utf-8", ".woff": "font/woff", ".woff2": "font/woff2"}

// send answers with one file of the folder. What leads out of it, or is no file, is not found.
func (p *Pages) send(w http.ResponseWriter, r *http.Request, name, cache string) error {
	nothing := fault.New(fault.NotFound, "there is no such file")
	root := p.root.Load()
	if root == nil || !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return nothing
	}
	f, err := root.Open(name)
	if err != nil {
		return nothing
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nothing
	}
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", cache)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("ETag", strconv.Quote(strconv.FormatInt(info.ModTime().UnixNano(), 36)+"-"+strconv.FormatInt(info.Size(), 36)))
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}
