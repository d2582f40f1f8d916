package fastapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/projectionist/projectionist/api"
)

// Flaw is one thing wrong with a request, as pydantic says it (https://docs.pydantic.dev/latest/errors/validation_errors).
type Flaw struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"`
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

// Refusal is an error that says itself how it is answered: with a status, and as detail a text or flaws.
type Refusal struct {
	Status int
	Detail any
}

func (r *Refusal) Error() string { return fmt.Sprintf("%d: %v", r.Status, r.Detail) }

// Refuse makes a refusal with a text.
func Refuse(status int, format string, args ...any) error {
	return &Refusal{status, fmt.Sprintf(format, args...)}
}

// Handler answers refusals of a handler as they say; other errors are the surface's.
func Handler(h api.Handler) api.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		var refused *Refusal
		if errors.As(err, &refused) {
			Write(w, refused.Status, refused.Detail)
			return nil
		}
		return err
	}
}

// Write answers with what went wrong.
func Write(w http.ResponseWriter, status int, detail any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	api.WriteBody(w, struct {
		Detail any `json:"detail"`
	}{detail})
}
