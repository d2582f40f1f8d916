package console

import (
	"net"
	"net/http"
	"net/url"
	"regexp"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// Lead leads people who look for pages at another listener to the console, which is at the main one.
type Lead struct {
	*api.Core
	main  func() string     // its host:port; "" until it listens
	paths map[string]string // of the pages that another system's users know, as patterns of [http.ServeMux], and where these are here
}

var _ api.Gated = (*Lead)(nil)

// NewLead makes one. paths are patterns without a method; what they name in braces stands in the console's path by the same name.
func NewLead(core *api.Core, main func() string, paths map[string]string) *Lead {
	return &Lead{core, main, paths}
}

func (l *Lead) Name() string { return "lead" }

func (l *Lead) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (l *Lead) Routes(r *api.Routes) {
	r.Handle("GET /ui/{path...}", func(w http.ResponseWriter, r *http.Request) error { return l.lead(w, r, r.URL.EscapedPath()) })
	for pattern, page := range l.paths {
		r.Handle("GET "+pattern, func(w http.ResponseWriter, r *http.Request) error {
			return l.lead(w, r, Path+named.ReplaceAllStringFunc(page, func(name string) string { return url.PathEscape(r.PathValue(name[1 : len(name)-1])) }))
		})
	}
}

var named = regexp.MustCompile(`\{\w+\}`)

// Owns says that anyone may be led: the console itself says who may see what.
func (l *Lead) Owns(path string) bool { return (*Surface)(nil).Owns(path) }

// Admit lets everybody be led.
func (l *Lead) Admit(*http.Request) (user string, refused *api.Problem) { return "", nil }

// To leads a browser from the root of another listener to a page of the console; it says whether it has, else nothing was written.
func (l *Lead) To(page string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set("Vary", "Accept")
		return r.URL.RawQuery == "" && api.WantsPage(r) && l.lead(w, r, Path+page) == nil
	}
}

// lead sends a browser to a path of the main listener, under the name that this one was asked by.
func (l *Lead) lead(w http.ResponseWriter, r *http.Request, path string) error {
	_, port, err := net.SplitHostPort(l.main())
	if err != nil {
		return fault.New(fault.Unavailable, "the console's address is not known yet").WithHint("ask the main address for %s", Path)
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	scheme, query := "http://", ""
	if r.TLS != nil {
		scheme = "https://"
	}
	if r.URL.RawQuery != "" {
		query = "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, scheme+net.JoinHostPort(host, port)+path+query, http.StatusFound)
	return nil
}
