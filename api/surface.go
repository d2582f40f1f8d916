package api

import "net/http"

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

// Routes takes the endpoints of one surface.
type Routes struct {
	server  *Server
	surface Surface
}

// Handle adds an endpoint, with a pattern of [http.ServeMux], that answers from the named views:
// after=POSITION in its query waits for them.
func (r *Routes) Handle(pattern string, h Handler, views ...string) {
	r.server.handle(pattern, r.surface, func(w http.ResponseWriter, req *http.Request) error {
		if len(views) > 0 {
			if err := r.server.core.awaitQuery(req, views); err != nil {
				return err
			}
		}
		return h(w, req)
	})
}
