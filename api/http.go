package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/internal/fault"
)

// Limits of requests.
const (
	bodyBytesMax      = 1 << 20          // a thousand interactions, or a definitions file, and some room
	bodyTimeout       = 30 * time.Second // a body that trickles in would hold a connection for ever
	requestIDBytesMax = 128
	actorBytesMax     = 128
)

// handle answers a request, or returns why not: before it has written anything.
type handle func(w http.ResponseWriter, r *http.Request) error

// status is the one table from codes to HTTP.
var status = map[fault.Code]int{
	fault.Invalid:     http.StatusBadRequest,
	fault.NotFound:    http.StatusNotFound,
	fault.Conflict:    http.StatusConflict,
	fault.TooLarge:    http.StatusRequestEntityTooLarge,
	fault.Forbidden:   http.StatusForbidden,
	fault.Unavailable: http.StatusServiceUnavailable,
	fault.Unknown:     http.StatusServiceUnavailable,
	fault.Corrupt:     http.StatusInternalServerError,
	fault.Internal:    http.StatusInternalServerError,
}

var titles = map[fault.Code]string{
	fault.Invalid:     "The request is wrong",
	fault.NotFound:    "There is no such thing",
	fault.Conflict:    "The state is another than expected",
	fault.TooLarge:    "The request is over a limit",
	fault.Forbidden:   "The request is not allowed",
	fault.Unavailable: "Not now: try the same again later",
	fault.Unknown:     "It may or may not have happened: try the very same again",
	fault.Corrupt:     "What is stored is damaged: an operator must act",
	fault.Internal:    "The program has a defect",
}

// Problem is an error as clients see it: RFC 9457, media type application/problem+json. Type is
// "urn:projectionist:" and the code, such as "invalid".
type Problem struct {
	Type      string         `json:"type"`
	Title     string         `json:"title"`
	Status    int            `json:"status"`
	Detail    string         `json:"detail"`
	Field     string         `json:"field,omitempty"`  // at fault
	Errors    []FieldProblem `json:"errors,omitempty"` // all of them, where there are several
	Hint      string         `json:"hint,omitempty"`   // the remedy
	RequestID string         `json:"request_id,omitempty"`
}

// FieldProblem is one of several faults of a request.
type FieldProblem struct {
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func problemOf(err error, requestID string) *Problem {
	var maxBytes *http.MaxBytesError
	switch {
	case errors.As(err, &maxBytes):
		err = tooLarge(maxBytes.Limit)
	case fault.CodeOf(err) == fault.Internal && errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = fault.New(fault.Unavailable, "the request was cut off before it was done")
	}
	parts := flatten(err)
	code := fault.CodeOf(parts[0])
	p := &Problem{Type: "urn:projectionist:" + string(code), Title: titles[code], Status: status[code], RequestID: requestID}
	first := fieldProblem(parts[0])
	p.Detail, p.Field, p.Hint = first.Message, first.Field, first.Hint
	if len(parts) > 1 {
		details := make([]string, len(parts))
		for i, part := range parts {
			f := fieldProblem(part)
			p.Errors = append(p.Errors, f)
			details[i] = strings.TrimPrefix(f.Field+": "+f.Message, ": ")
		}
		p.Detail = fmt.Sprintf("%d faults: %s", len(parts), strings.Join(details[:min(len(details), 3)], "; "))
	}
	if code == fault.Conflict && p.Field == "If-Match" { // what RFC 9110 has for a failed precondition
		p.Status = http.StatusPreconditionFailed
	}
	return p
}

func fieldProblem(err error) FieldProblem {
	var f *fault.Error
	if !errors.As(err, &f) {
		return FieldProblem{Message: "an error inside the program; its log has it under the request's id"}
	}
	message := f.Message
	if f.Err != nil && f.Code != fault.Internal {
		message += ": " + f.Err.Error()
	}
	return FieldProblem{f.Field, message, f.Hint}
}

// flatten is the faults of a joined error, or the error itself.
func flatten(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, part := range joined.Unwrap() {
		var f *fault.Error
		if !errors.As(part, &f) {
			return []error{err}
		}
		all = append(all, flatten(part)...)
	}
	return all
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the body has more than %d bytes", limit).WithHint("send less at once")
}

// response remembers what was sent.
type response struct {
	http.ResponseWriter
	status int
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
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find what the connection can do.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type requestKey struct{}

// request is what is known of a request beside what it asks.
type request struct {
	id     string
	own    bool // the id is the client's
	failed error
}

func requestOf(r *http.Request) *request {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q
	}
	return &request{}
}

// ServeHTTP answers one request. Whatever goes wrong in it, the process lives.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	q := &request{id: r.Header.Get("X-Request-ID"), own: true}
	if !plain(q.id, requestIDBytesMax) {
		q.id, q.own = uuid.NewString(), false
	}
	rw := &response{ResponseWriter: w}
	rw.Header().Set("X-Request-ID", q.id)
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	s.metrics.inFlight.Add(1)
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			q.failed = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if rw.status == 0 {
				s.writeProblem(rw, problemOf(fault.New(fault.Internal, "the request met a defect of the program; its log has it under the request's id"), q.id))
				p = nil
			}
		}
		s.metrics.inFlight.Add(-1)
		s.metrics.request(r, rw.status, time.Since(start))
		if q.failed != nil && (rw.status >= 500 || rw.status == 0 || p != nil) {
			s.Logger.Error("request failed", "request_id", q.id, "method", r.Method, "path", r.URL.Path, "status", rw.status, "error", q.failed)
		}
		if p != nil {
			panic(http.ErrAbortHandler) // the answer had begun: the client must not take it for whole
		}
	}()
	if err := s.crossSite.Check(r); err != nil {
		s.fail(rw, r, fault.Wrap(fault.Forbidden, err, "a page of another site may not write here"))
		return
	}
	if !s.authorised(r) {
		rw.Header().Set("WWW-Authenticate", `Bearer realm="projectionist"`)
		s.writeProblem(rw, &Problem{Type: "urn:projectionist:unauthorized", Title: "Credentials are needed", Status: http.StatusUnauthorized,
			Detail: "the request has no valid bearer token", Hint: "send the header Authorization: Bearer TOKEN", RequestID: q.id})
		return
	}
	s.mux.ServeHTTP(rw, r)
}

func (s *Server) authorised(r *http.Request) bool {
	if s.Token == "" || r.URL.Path == "/healthz" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], s.tokenSum[:]) == 1
}

func (s *Server) handler(h handle) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	}
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	q := requestOf(r)
	q.failed = err
	s.writeProblem(w, problemOf(err, q.id))
}

func (s *Server) writeProblem(w http.ResponseWriter, p *Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	writeBody(w, p)
}

// writeBody writes a value of the program's own types, which always have a JSON form. A client that is
// gone is nobody's error.
func writeBody(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) //nolint:errcheck
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fault.Wrap(fault.Internal, err, "the answer has no JSON form")
	}
	return writeBytes(w, status, b.Bytes())
}

func writeBytes(w http.ResponseWriter, status int, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // the client is gone
	return nil
}

// unmatched answers what no route takes: another method would, or nothing does.
func (s *Server) unmatched(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return fault.New(fault.NotFound, "there is nothing at %s", short(r.URL.Path))
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	s.writeProblem(w, &Problem{Type: "urn:projectionist:method_not_allowed", Title: "The method is not for this address",
		Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("%s takes %s, not %s", short(r.URL.Path), strings.Join(allowed, " and "), short(r.Method)),
		RequestID: requestOf(r).id})
	return nil
}

// readBody reads a body of at most limit bytes.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // rather than reading on
		return nil, tooLarge(limit)
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(bodyTimeout)) == nil {
		defer rc.SetReadDeadline(time.Time{}) //nolint:errcheck // it could be set
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var maxBytes *http.MaxBytesError
	if err != nil && !errors.As(err, &maxBytes) {
		err = fault.Wrap(fault.Invalid, err, "the body could not be read")
	}
	return b, err
}

// readJSON reads a JSON object into a struct, strictly. The body may be absent where empty is true.
func readJSON(w http.ResponseWriter, r *http.Request, into any, empty bool) error {
	b, err := readBody(w, r, bodyBytesMax)
	if err != nil {
		return err
	}
	if empty && len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	return unmarshal(b, into)
}

// unmarshal reads JSON, refusing fields that are not there to be set and anything after the value.
func unmarshal(b []byte, into any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return fault.New(fault.Invalid, "the body is empty; want JSON")
	}
	if !utf8.Valid(b) {
		return fault.New(fault.Invalid, "the body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return bodyFault(err, len(b))
	}
	if d.More() {
		return fault.New(fault.Invalid, "the body goes on after its JSON value, at byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return fault.New(fault.Invalid, "the body goes on after its JSON value, at byte %d", d.InputOffset())
	}
	return nil
}

func bodyFault(err error, size int) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var own *fault.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &wrong) && wrong.Field == "":
		return fault.New(fault.Invalid, "the body is a %s; want a JSON object", wrong.Value)
	case errors.As(err, &wrong) && wrong.Type == reflect.TypeFor[id]():
		return fault.Field(wrong.Field, "must be a string or a non-negative whole number, not %s", wrong.Value)
	case errors.As(err, &wrong):
		return fault.Field(wrong.Field, "must be %s, not a %s", jsonType(wrong.Type.Kind().String()), wrong.Value)
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "the body is not JSON at byte %d: %v", syntax.Offset, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "the body is not whole JSON: it ends after %d bytes", size)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.Field(short(strings.Trim(name, `"`)), "is not a field of this request").WithHint("leave it out, or look for a typing error")
	}
	return fault.Wrap(fault.Invalid, err, "the body cannot be read")
}

// jsonType is what JSON calls a kind of Go's.
func jsonType(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice", "array":
		return "an array"
	case "struct", "map", "ptr":
		return "an object"
	case "float64", "float32":
		return "a number"
	}
	return "a whole number in range"
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

// short cuts what a client sent to what fits a message.
func short(v string) string {
	if len(v) > 80 {
		v = strings.ToValidUTF8(v[:80], "") + "…"
	}
	return v
}
