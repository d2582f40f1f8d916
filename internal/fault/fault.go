// Package fault is the program's one error type: a code that callers act on, a message for people, the
// field at fault and a remedy where there is one, and the cause.
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what a caller can do about an error.
type Code string

const (
	Invalid     Code = "invalid"     // the request is wrong: correct it (400)
	NotFound    Code = "not_found"   // no such thing (404)
	Conflict    Code = "conflict"    // the state is another than expected: reload and decide anew (409)
	TooLarge    Code = "too_large"   // over a named limit (413)
	Forbidden   Code = "forbidden"   // not allowed for this caller (403)
	Unavailable Code = "unavailable" // not now: try the same again later (503)
	Unknown     Code = "unknown"     // may or may not have happened: try the very same again (503)
	Corrupt     Code = "corrupt"     // what is stored is damaged or of another program: an operator must act (500)
	Internal    Code = "internal"    // a defect (500)
)

// Error is the program's error.
type Error struct {
	Code    Code
	Field   string // the request's field at fault, or ""
	Message string // one sentence for people: what is wrong and what was expected
	Hint    string // the remedy, or ""
	Err     error  // the cause, or nil
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Field != "" {
		b.WriteString(e.Field + ": ")
	}
	b.WriteString(e.Message)
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (" + e.Hint + ")")
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a code.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Field makes an Invalid error that names the field.
func Field(field, format string, args ...any) *Error {
	return &Error{Code: Invalid, Field: field, Message: fmt.Sprintf(format, args...)}
}

// Wrap gives a cause a code and a message; nil stays nil.
func Wrap(code Code, err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: err}
}

// WithHint adds the remedy.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// CodeOf is the code of the outermost Error in the chain, or Internal; "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// Is says whether err carries the code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
