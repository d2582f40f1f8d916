// Package flight answers Feast's remote offline store as its offline server does (feast/offline_server.py): tables of entity rows joined point
// in time, the tables that views are, and values that are written for training, over Arrow Flight, which is gRPC over HTTP/2 without TLS. The join is that of POST
// /api/v1/features/historical.
//
// A method is an endpoint like any other of the program; the few messages of Flight are read and written here ([ADR 31]).
package flight

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// Config is what a [Surface] answers from.
type Config struct {
	Features   *featurestore.Store
	ScratchDir string // for what does not fit memory
}

// Surface is Feast's offline server.
type Surface struct {
	*api.Core
	Config

	mu   sync.Mutex
	puts map[string]*put // tables that were put and not yet asked for, by their commands

	writing chan struct{} // a token for the table that is being recorded
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface {
	return &Surface{Core: core, Config: c, puts: map[string]*put{}, writing: make(chan struct{}, 1)}
}

func (s *Surface) Name() string { return "flight" }

const service = "/arrow.flight.protocol.FlightService/"

// views are what features are read from.
var views = []string{"online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values"}

func (s *Surface) Routes(r *api.Routes) {
	r.Handle("POST "+service+"DoExchange", s.doExchange, views...)
	r.Handle("POST "+service+"DoPut", s.doPut)
	r.Handle("POST "+service+"GetFlightInfo", s.getFlightInfo)
	r.Handle("POST "+service+"DoGet", s.doGet, views...)
	r.Handle("POST "+service+"ListFlights", s.listFlights)
	r.Handle("POST "+service+"ListActions", s.listActions)
}

// Codes of gRPC.
const (
	codeOK              = 0
	codeUnknown         = 2
	codeInvalidArgument = 3
	codeNotFound        = 5
	codePermission      = 7
	codeExhausted       = 8
	codePrecondition    = 9
	codeUnimplemented   = 12
	codeInternal        = 13
	codeUnavailable     = 14
	codeUnauthenticated = 16
)

var codes = map[int]int{
	http.StatusBadRequest:            codeInvalidArgument,
	http.StatusUnauthorized:          codeUnauthenticated,
	http.StatusForbidden:             codePermission,
	http.StatusMethodNotAllowed:      codeUnimplemented,
	http.StatusConflict:              codePrecondition,
	http.StatusRequestEntityTooLarge: codeExhausted,
	http.StatusInternalServerError:   codeInternal,
	http.StatusServiceUnavailable:    codeUnavailable,
}

// feastError is an error that Feast's client raises again as its own.
type feastError struct {
	Module  string `json:"module"`
	Class   string `json:"class"`
	Message string `json:"message"`
}

func (e *feastError) Error() string { return e.Message }

// statusOf is a problem as gRPC says it.
func statusOf(p *api.Problem) (code int, message string) {
	var feast *feastError
	if errors.As(p.Err, &feast) {
		document, err := json.Marshal(feast)
		if err != nil {
			panic(err) // strings only
		}
		return codeUnknown, "Flight error: " + string(document)
	}
	code, ok := codes[p.Status]
	switch {
	case p.Status == http.StatusNotFound:
		code = codeNotFound
	case !ok:
		code = codeUnknown
	}
	message = strings.TrimPrefix(p.Field+": "+p.Detail, ": ")
	if p.Hint != "" {
		message += "; " + p.Hint
	}
	return code, message
}

// Render writes a problem as gRPC has it where nothing else was answered: in the headers. Whoever does not speak it is told as elsewhere.
func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		api.RenderProblem(w, r, p)
		return
	}
	code, message := statusOf(p)
	if r.Pattern == "/" { // of no method
		code = codeUnimplemented
	}
	h := w.Header()
	h.Set("Content-Type", "application/grpc")
	h.Set("Grpc-Status", strconv.Itoa(code))
	h.Set("Grpc-Message", percent(message))
	w.WriteHeader(http.StatusOK)
}

// percent writes a text as a header of gRPC has it.
func percent(text string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < messageBytesShown; i++ {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			b.WriteString("%" + string(hex[c>>4]) + string(hex[c&15]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
