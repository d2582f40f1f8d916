package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

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
	Err       error          `json:"-"` // that it tells of, for a surface whose errors say more to it
}

// FieldProblem is one of several faults of a request.
type FieldProblem struct {
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func ProblemOf(err error, requestID string) *Problem {
	var maxBytes *http.MaxBytesError
	switch {
	case errors.As(err, &maxBytes):
		err = tooLarge(maxBytes.Limit)
	case fault.CodeOf(err) == fault.Internal && errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		err = fault.New(fault.Unavailable, "the request was cut off before it was done")
	}
	parts := Flatten(err)
	code := fault.CodeOf(parts[0])
	p := &Problem{Type: "urn:projectionist:" + string(code), Title: titles[code], Status: status[code], RequestID: requestID, Err: err}
	first := FieldProblemOf(parts[0])
	p.Detail, p.Field, p.Hint = first.Message, first.Field, first.Hint
	if len(parts) > 1 {
		details := make([]string, len(parts))
		for i, part := range parts {
			f := FieldProblemOf(part)
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

func FieldProblemOf(err error) FieldProblem {
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

// Flatten is the faults of a joined error, or the error itself.
func Flatten(err error) []error {
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
		all = append(all, Flatten(part)...)
	}
	return all
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the body has more than %d bytes", limit).WithHint("send less at once")
}

// RenderProblem writes a problem as RFC 9457 has it.
func RenderProblem(w http.ResponseWriter, _ *http.Request, p *Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	WriteBody(w, p)
}
