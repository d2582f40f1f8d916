package mlflow

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// The error codes that clients act on (mlflow/protos/databricks.proto).
const (
	codeInvalid  = "INVALID_PARAMETER_VALUE"
	codeExists   = "RESOURCE_ALREADY_EXISTS"
	codeNotFound = "RESOURCE_DOES_NOT_EXIST"
	codeBad      = "BAD_REQUEST"
	codeState    = "INVALID_STATE"
)

// refusal is an error in MLflow's words.
type refusal struct {
	Code    string `json:"error_code"`
	Message string `json:"message"`
	status  int
}

func (e *refusal) Error() string { return e.Code + ": " + e.Message }

func invalid(format string, args ...any) error {
	return &refusal{codeInvalid, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

func exists(format string, args ...any) error {
	return &refusal{codeExists, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

func missing(format string, args ...any) error {
	return &refusal{codeNotFound, fmt.Sprintf(format, args...), http.StatusNotFound}
}

// byStatus are the codes of the program's own errors.
var byStatus = map[int]string{
	http.StatusBadRequest: codeInvalid, http.StatusUnauthorized: "UNAUTHENTICATED", http.StatusForbidden: "PERMISSION_DENIED", http.StatusNotFound: codeNotFound,
	http.StatusConflict: "RESOURCE_CONFLICT", http.StatusServiceUnavailable: "TEMPORARILY_UNAVAILABLE",
}

// refusalOf is a problem in MLflow's words. A client tries again for minutes after 5xx: only what may pass is one.
func refusalOf(p *api.Problem) *refusal {
	switch p.Status {
	case http.StatusPreconditionFailed:
		p.Status = http.StatusConflict
	case http.StatusRequestEntityTooLarge:
		p.Status = http.StatusBadRequest
	}
	e := &refusal{byStatus[p.Status], strings.TrimPrefix(p.Field+": "+p.Detail, ": "), p.Status}
	if e.Code == "" {
		e.Code = "INTERNAL_ERROR"
	}
	if p.Hint != "" {
		e.Message += "; " + p.Hint
	}
	return e
}

func (e *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.status)
	api.WriteBody(w, e)
}

// refusing answers with what a handler refuses. What went wrong in the program itself goes on, to its log.
func refusing(h api.Handler) api.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if err == nil {
			return nil
		}
		var own *refusal
		if !errors.As(err, &own) {
			if own = refusalOf(api.ProblemOf(err, api.RequestID(r))); own.status >= http.StatusInternalServerError {
				return err
			}
		}
		own.write(w)
		return nil
	}
}

// Render writes a problem as MLflow's server does: of an address that is none, or not for the method, a page.
func (s *Surface) Render(w http.ResponseWriter, _ *http.Request, p *api.Problem) {
	switch p.Status {
	case http.StatusNotFound:
		htmlPage(w, p.Status, "Not Found", "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.")
	case http.StatusMethodNotAllowed:
		htmlPage(w, p.Status, "Method Not Allowed", "The method is not allowed for the requested URL.")
	default:
		refusalOf(p).write(w)
	}
}

func htmlPage(w http.ResponseWriter, status int, title, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html>\n<html lang=en>\n<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n", status, title, title, text)
}

// inWords gives an error of the program the words that MLflow's clients know, by its code; others stay.
func inWords(err error, words map[fault.Code]error) error {
	if said, ok := words[fault.CodeOf(err)]; ok && err != nil {
		return said
	}
	return err
}
