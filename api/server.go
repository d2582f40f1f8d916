package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/internal/fault"
)

// Server answers the requests of one listener with the surfaces mounted on it.
type Server struct {
	core      *Core
	mux       *http.ServeMux
	first     Surface         // says what no surface is asked for
	gated     []Gated         // have paths to themselves
	sessions  bool            // of browsers are credentials here
	patterns  map[string]bool // of the surfaces: whether each is a read
	crossSite *http.CrossOriginProtection
}

var _ http.Handler = (*Server)(nil)

// Serve makes the handler of a listener. What no surface has is answered as by the first.
func (c *Core) Serve(first Surface, others ...Surface) *Server {
	s := &Server{core: c, mux: http.NewServeMux(), first: first, patterns: map[string]bool{}, crossSite: http.NewCrossOriginProtection()}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := s.unmatched(w, r); err != nil {
			fail(w, r, s.surfaceOf(r), err)
		}
	})
	hasPast := false
	for _, surface := range append([]Surface{first}, others...) {
		surface.Routes(&Routes{server: s, surface: surface})
		if a, ok := surface.(Gated); ok {
			s.gated = append(s.gated, a)
		}
		if _, ok := surface.(Sessioned); ok {
			s.sessions = true
		}
		if _, ok := surface.(Historical); ok && !hasPast && c.past != nil {
			hasPast = true
			s.atRoutes(surface)
		}
	}
	return s
}

// surfaceOf is the one that has a request's path to itself, else the first.
func (s *Server) surfaceOf(r *http.Request) Surface {
	for _, a := range s.gated {
		if a.Owns(r.URL.Path) {
			return a
		}
	}
	return s.first
}

// admit says who sends a request, or why it may not.
func (s *Server) admit(r *http.Request, surface Surface) (user string, refused *Problem) {
	if a, ok := surface.(Gated); ok {
		return a.Admit(r)
	}
	user, ok := s.core.credentials.admit(r)
	if !ok && s.sessions {
		user, ok = s.core.session(r)
	}
	if ok {
		return user, nil
	}
	return "", &Problem{Type: "urn:projectionist:unauthorized", Title: "Credentials are needed", Status: http.StatusUnauthorized, Detail: "the request has no valid credentials",
		Hint: "send the header Authorization: Bearer TOKEN, or a user and a password; on this machine without PROJECTIONIST_TOKEN and PROJECTIONIST_USERS none are needed"}
}

// Patterns are the endpoints of the surfaces, and whether each is a read ([Routes.Handle]).
func (s *Server) Patterns() map[string]bool { return maps.Clone(s.patterns) }

func (s *Server) handle(pattern string, surface Surface, h Handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			fail(w, r, surface, err)
		}
	})
}

// response remembers what was sent, and gives up on a client that does not read: whatever is written must be taken
// by writePieceBytes within writeStall each. The request's context then ends.
type response struct {
	http.ResponseWriter
	rc     *http.ResponseController
	status int
}

func newResponse(w http.ResponseWriter) *response {
	return &response{ResponseWriter: w, rc: http.NewResponseController(w)}
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n := 0
	for {
		w.wait()
		piece := b[n:min(len(b), n+writePieceBytes)]
		m, err := w.ResponseWriter.Write(piece)
		if n += m; err != nil || n == len(b) {
			return n, err
		}
	}
}

// FlushError is what [http.ResponseController] asks for.
func (w *response) FlushError() error {
	w.wait()
	return w.rc.Flush()
}

// wait lets the client take its time anew.
func (w *response) wait() {
	w.rc.SetWriteDeadline(time.Now().Add(writeStall)) //nolint:errcheck // of connections that have none
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type requestKey struct{}

// request is what is known of a request beside what it asks.
type request struct {
	id     string
	own    bool // the id is the client's
	user   string
	failed error
}

func requestOf(r *http.Request) *request {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// RequestID names the request, in the answer's X-Request-ID and in the program's log.
func RequestID(r *http.Request) string { return requestOf(r).id }

// UniqueID is the request's id, or a new one where the client chose it: a client's may repeat.
func UniqueID(r *http.Request) string {
	if q := requestOf(r); q.id != "" && !q.own {
		return q.id
	}
	return uuid.NewString()
}

// Abort ends a request whose answer had begun, so that the client cannot take it for whole. It does not return.
func Abort(r *http.Request, err error) {
	requestOf(r).failed = err
	panic(http.ErrAbortHandler)
}

// ServeHTTP answers one request. Whatever goes wrong in it, the process lives.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := &request{id: r.Header.Get("X-Request-ID"), own: true}
	if !plain(q.id, requestIDBytesMax) {
		q.id, q.own = uuid.NewString(), false
	}
	rw := newResponse(w)
	rw.wait() // for the word to go on with the body
	defer rw.wait()
	if r.ContentLength != 0 { // a body that nobody reads is waited for when the answer is sent
		rw.rc.SetReadDeadline(start.Add(bodyTimeout)) //nolint:errcheck // of connections that have none
	}
	rw.Header().Set("X-Request-ID", q.id)
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	s.core.metrics.inFlight.Add(1)
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			q.failed = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if rw.status == 0 {
				Refuse(rw, r, s.surfaceOf(r), ProblemOf(fault.New(fault.Internal, "the request met a defect of the program; its log has it under the request's id"), q.id))
				p = nil
			}
		}
		s.core.metrics.inFlight.Add(-1)
		s.core.metrics.request(r, rw.status, time.Since(start))
		if q.failed != nil && (rw.status >= 500 || rw.status == 0 || p != nil) {
			s.core.Logger.Error("request failed", "request_id", q.id, "method", r.Method, "path", r.URL.Path, "status", rw.status, "error", q.failed)
		}
		if p != nil {
			panic(http.ErrAbortHandler) // the answer had begun: the client must not take it for whole
		}
	}()
	surface := s.surfaceOf(r)
	if !s.core.own(r) {
		fail(rw, r, surface, fault.New(fault.Forbidden, "the request is for the host %q, which is none of this program's", Short(r.Host)).
			WithHint("ask localhost; if this program is meant to be asked under that name, set PROJECTIONIST_HOSTS to it"))
		return
	}
	if err := s.crossSite.Check(r); err != nil {
		fail(rw, r, surface, fault.Wrap(fault.Forbidden, err, "a page of another site may not write here"))
		return
	}
	user, refused := s.admit(r, surface)
	if refused != nil {
		if surface == s.first {
			rw.Header()["Www-Authenticate"] = challenges(r)
		}
		refused.RequestID = q.id
		Refuse(rw, r, surface, refused)
		return
	}
	q.user = user
	s.mux.ServeHTTP(rw, r)
}

// challenges are the kinds of credentials that a request may come with. A page's own request is not asked for a user and a password: the
// browser would ask the user itself, in the page's stead.
func challenges(r *http.Request) []string {
	bearer := `Bearer realm="projectionist"`
	if r.Header.Get("Sec-Fetch-Dest") == "empty" {
		return []string{bearer}
	}
	return []string{`Basic realm="projectionist", charset="UTF-8"`, bearer}
}

func fail(w http.ResponseWriter, r *http.Request, surface Surface, err error) {
	q := requestOf(r)
	q.failed = err
	Refuse(w, r, surface, ProblemOf(err, q.id))
}

// Refuse answers with a problem, as the surface renders it.
func Refuse(w http.ResponseWriter, r *http.Request, surface Surface, p *Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	surface.Render(w, r, p)
}

// unmatched answers what no route takes: another method would, or nothing does.
func (s *Server) unmatched(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return fault.New(fault.NotFound, "there is nothing at %s", Short(r.URL.Path))
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	Refuse(w, r, s.surfaceOf(r), &Problem{Type: "urn:projectionist:method_not_allowed", Title: "The method is not for this address",
		Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("%s takes %s, not %s", Short(r.URL.Path), strings.Join(allowed, " and "), Short(r.Method)),
		RequestID: requestOf(r).id})
	return nil
}

// plain says whether a header's value can be kept: 1 to max bytes of printable ASCII.
func plain(v string, max int) bool {
	for i := 0; i < len(v); i++ {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return v != "" && len(v) <= max
}
