package api

import (
	"net/http"
	"strings"
)

// Handler answers a request, or returns why not: before it has written anything.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Surface is one HTTP surface: the routes that one kind of client knows, and what an error looks like to it.
// A surface translates: it holds no state of its own but counters and caches, and decides nothing.
type Surface interface {
	// Name tells the surface from others, in messages: "v1".
	Name() string
	// Routes adds its endpoints.
	Routes(*Routes)
	// Render writes a problem as its clients expect one.
	Render(w http.ResponseWriter, r *http.Request, p *Problem)
}

// Historical is a surface that can be asked what was known at a moment: under /at/MOMENT, whatever comes after it in the path.
type Historical interface {
	Surface
	// At is the surface over another core, whose views and log are as they were.
	At(*Core) Surface
}

// Dated is one whose views tell of other moments themselves: nothing is folded for it. Its core has the views as they are, and
// says by [Core.Then] what it is asked about.
type Dated interface {
	Historical
	Dated()
}

// Gated is a surface that has paths of a listener to itself. What goes wrong there before a route is met is said as by it,
// and it says itself who may come.
type Gated interface {
	Surface
	// Owns says whether a path is its own.
	Owns(path string) bool
	// Admit says which user sends a request to such a path, "" for nobody in particular, or why it may not.
	Admit(r *http.Request) (user string, refused *Problem)
}

// Sessioned is a surface of pages that gives browsers a session for their users' credentials ([SessionCookie]). On its listener the session counts as
// those credentials.
type Sessioned interface {
	Surface
	Sessions()
}

// Routes takes the endpoints of one surface.
type Routes struct {
	server  *Server
	surface Surface
	views   []string            // that reads are answered from
	named   map[string]Handler  // not nil: by their patterns, and of no server
	answers map[string][]string // patterns of GET, by the view that they are answered from
}

// Handle adds an endpoint, with a pattern of [http.ServeMux], that answers from the named views:
// after=POSITION in its query waits for them. It is a read if it is a GET or names views: a read can be asked of the
// past, where everything else is refused.
func (r *Routes) Handle(pattern string, h Handler, views ...string) {
	r.add(pattern, h, len(views) > 0 || strings.HasPrefix(pattern, http.MethodGet+" "), views)
}

// Read is Handle for a read that is not to be seen for one.
func (r *Routes) Read(pattern string, h Handler, views ...string) { r.add(pattern, h, true, views) }

// AnsweredFrom are the patterns of what GET answers from each view, in the order in which they were added.
func (r *Routes) AnsweredFrom() map[string][]string { return r.answers }

func (r *Routes) add(pattern string, h Handler, reads bool, views []string) {
	if path, ok := strings.CutPrefix(pattern, http.MethodGet+" "); ok {
		if r.answers == nil {
			r.answers = map[string][]string{}
		}
		for _, view := range views {
			r.answers[view] = append(r.answers[view], path)
		}
	}
	if r.named != nil {
		r.named[pattern] = h
		return
	}
	r.views = append(r.views, views...)
	r.server.patterns[pattern] = reads
	r.server.handle(pattern, r.surface, func(w http.ResponseWriter, req *http.Request) error {
		if asked := askedOf(req); asked != nil {
			return r.server.answerAt(w, req, asked, route{pattern, r, reads, views})
		}
		if len(views) > 0 {
			if err := r.server.core.awaitQuery(req, views); err != nil {
				return err
			}
		}
		if strings.HasPrefix(pattern, http.MethodGet+" ") && Prefers(req, preferReadCut) {
			cut, err := r.server.core.seen(req.Context(), views)
			if err != nil {
				return err
			}
			w.Header().Set(ReadCut, cut.String())
		}
		return h(w, req)
	})
}
