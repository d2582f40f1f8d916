package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"sync"
	"time"
)

// transport takes requests to a handler in this process. Responses stream: each write of the handler can be
// read at once, and closing the body ends the handler's request.
type transport struct{ handler http.Handler }

// RoundTrip returns once the handler has sent its header.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(req.Context())
	in := req.Clone(ctx)
	in.RequestURI, in.RemoteAddr, in.Host = req.URL.RequestURI(), "127.0.0.1:0", req.URL.Host
	if in.Body == nil {
		in.Body = http.NoBody
	}
	r, w := io.Pipe()
	out := &pipeWriter{header: http.Header{}, pipe: w, sent: make(chan struct{})}
	go func() {
		defer in.Body.Close()
		defer func() {
			switch p := recover(); {
			case p == nil:
				out.WriteHeader(http.StatusOK)
				w.CloseWithError(ctx.Err()) // a handler that ended because its request did has not said all; nil is io.EOF
			case p == http.ErrAbortHandler:
				out.fail(io.ErrUnexpectedEOF)
			default:
				out.fail(fmt.Errorf("the handler panicked: %v", p))
			}
		}()
		t.handler.ServeHTTP(out, in)
	}()
	select {
	case <-out.sent:
	case <-ctx.Done():
		cancel()
		return nil, context.Cause(req.Context())
	}
	if out.err != nil {
		cancel()
		return nil, out.err
	}
	// A request that ends in the middle of its body ends the reading of it, as a broken connection would.
	stop := context.AfterFunc(ctx, func() { w.CloseWithError(ctx.Err()) })
	return &http.Response{
		Status: http.StatusText(out.status), StatusCode: out.status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.sentHeader, ContentLength: -1, Request: req,
		Body: &pipeBody{r, func() { stop(); cancel() }},
	}, nil
}

// pipeWriter is the handler's side of a response.
type pipeWriter struct {
	header     http.Header
	pipe       *io.PipeWriter
	once       sync.Once
	sent       chan struct{} // closed once the following are set
	status     int
	sentHeader http.Header
	err        error
}

func (w *pipeWriter) Header() http.Header { return w.header }

func (w *pipeWriter) WriteHeader(status int) {
	if status >= 100 && status < 200 {
		return // informational: the real one follows
	}
	w.once.Do(func() {
		w.status, w.sentHeader = status, maps.Clone(w.header)
		close(w.sent)
	})
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.pipe.Write(b)
}

// fail ends a response that cannot be completed, before its header or after.
func (w *pipeWriter) fail(err error) {
	w.once.Do(func() {
		w.err = err
		close(w.sent)
	})
	w.pipe.CloseWithError(err)
}

// Flush and the deadlines are what http.ResponseController asks for: a pipe holds nothing back, and its
// reader is never slow because of a network.
func (w *pipeWriter) Flush()                           { w.WriteHeader(http.StatusOK) }
func (w *pipeWriter) SetReadDeadline(time.Time) error  { return nil }
func (w *pipeWriter) SetWriteDeadline(time.Time) error { return nil }
func (w *pipeWriter) EnableFullDuplex() error          { return nil }

type pipeBody struct {
	*io.PipeReader
	cancel func()
}

func (b *pipeBody) Close() error {
	b.PipeReader.CloseWithError(errors.New("the response is not read any further"))
	b.cancel()
	return nil
}
