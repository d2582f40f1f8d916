package api_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// answering is a server whose only answer is written by work.
func answering(t *testing.T, work func(ctx context.Context, cancel func(), out io.Writer) error) *api.Server {
	t.Helper()
	return core(t).Serve(surface{"only", func(routes *api.Routes) {
		routes.Handle("/x", func(w http.ResponseWriter, r *http.Request) error {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			out := api.NewAnswer(ctx, w, r, "text/plain")
			return out.End(work(ctx, cancel, out))
		})
	}})
}

func TestAnswer(t *testing.T) {
	full := fault.New(fault.Unavailable, "no room")
	long := strings.Repeat("0123456789", 30_000)
	for name, c := range map[string]struct {
		work   func(ctx context.Context, cancel func(), out io.Writer) error
		status int
		body   string
		length string
	}{
		"nothing": {func(context.Context, func(), io.Writer) error { return nil }, 200, "", "0"},
		"small":   {func(_ context.Context, _ func(), out io.Writer) error { io.WriteString(out, "small"); return nil }, 200, "small", "5"},
		"large": {func(_ context.Context, _ func(), out io.Writer) error {
			io.WriteString(out, long)
			io.WriteString(out, long)
			return nil
		}, 200, long + long, ""},
		"small, then an error": {func(_ context.Context, _ func(), out io.Writer) error {
			io.WriteString(out, "small")
			return full
		}, 503, "only: no room", ""},
		"nobody waits": {func(_ context.Context, cancel func(), out io.Writer) error { cancel(); return nil }, 503, "only: the request was cut off before it was done", ""},
	} {
		w := ask(answering(t, c.work), "GET", "/x")
		if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("Content-Length") != c.length {
			t.Errorf("%s: status %d, %d bytes, length %q", name, w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
		}
	}
}

// An answer that was begun and cannot be ended is cut off.
func TestAnswer_CutOff(t *testing.T) {
	long := strings.Repeat("0123456789", 30_000)
	for name, work := range map[string]func(ctx context.Context, cancel func(), out io.Writer) error{
		"an error": func(_ context.Context, _ func(), out io.Writer) error {
			io.WriteString(out, long)
			return errors.New("broken")
		},
		"nobody waits": func(_ context.Context, cancel func(), out io.Writer) error {
			io.WriteString(out, long)
			cancel()
			_, err := io.WriteString(out, long)
			return err
		},
	} {
		func() {
			defer func() {
				if p := recover(); p != http.ErrAbortHandler {
					t.Errorf("%s: ended with %v", name, p)
				}
			}()
			ask(answering(t, work), "GET", "/x")
		}()
	}
}
