// Package apitest has what tests of surfaces need: a core over a log in memory whose views are folded, commands and
// facts that are waited for, and requests with their answers.
package apitest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams/local"
)

// Bench is a program without surfaces.
type Bench struct {
	T          testing.TB
	Log        *local.Log
	Views      *fold.Runner // all there are
	Dispatcher *handlers.Dispatcher
	Core       *api.Core
}

// New makes a bench, which ends with the test: what else is to end first says so to T.Cleanup afterwards. now is the clock
// of all of it, nil for the real one.
func New(t testing.TB, now func() time.Time) *Bench {
	t.Helper()
	if now == nil {
		now = time.Now
	}
	b := &Bench{T: t}
	var err error
	b.Log, err = local.OpenMem(local.Options{Now: now, Logf: func(string, ...any) {}})
	b.Must(err)
	t.Cleanup(func() { b.Must(b.Log.Close()) })
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	b.Must(err)
	t.Cleanup(func() { b.Must(store.Close()) })
	b.Views, err = fold.NewRunner(t.Context(), b.Log, store, projections.All()...)
	b.Must(err)
	b.Dispatcher = handlers.New(handlers.Config{Ledger: b.Log.Ledger(), Feed: b.Log.Feed(), NewID: uuid.NewString, Now: now})
	b.Core, err = api.New(api.Config{Log: b.Log, Dispatcher: b.Dispatcher, Views: b.Views, Now: now, Logger: slog.New(slog.DiscardHandler),
		Factories: projections.All(), ScratchDir: t.TempDir()})
	b.Must(err)
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Views.Run(run) }()
	t.Cleanup(func() {
		b.Must(b.Core.Close())
		stop()
		b.Must(<-ended)
	})
	return b
}

// Must ends the test at an error.
func (b *Bench) Must(err error) {
	b.T.Helper()
	if err != nil {
		b.T.Fatal(err)
	}
}

// Do dispatches a command that is accepted, and waits until the views have what it did: all of them without a name.
func (b *Bench) Do(c commands.Command, views ...string) handlers.Result {
	b.T.Helper()
	res, err := b.Dispatcher.Dispatch(b.T.Context(), c, handlers.Meta{Actor: "test"})
	b.Must(err)
	b.Must(b.Views.Wait(b.T.Context(), res.Position, views...))
	return res
}

// Publish publishes facts, and waits until all views have them.
func (b *Bench) Publish(facts ...commands.Fact) {
	b.T.Helper()
	p, err := b.Dispatcher.Publish(b.T.Context(), facts, handlers.Meta{Actor: "test"})
	b.Must(err)
	for _, at := range p.Positions {
		b.Must(b.Views.Wait(b.T.Context(), at))
	}
}

// Head is how many commits the ledger has.
func (b *Bench) Head() int64 {
	b.T.Helper()
	n, err := b.Log.Ledger().Head(b.T.Context(), time.Time{})
	b.Must(err)
	return n
}

// Answer is what a server said.
type Answer struct {
	Code   int
	Text   string
	Header http.Header
	Object map[string]any // of a body that is a JSON object
}

// Ask asks a server as a program on this machine does.
func Ask(s http.Handler, method, path, body string, change ...func(*http.Request)) Answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost"
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	a := Answer{Code: rec.Code, Text: rec.Body.String(), Header: rec.Header()}
	json.Unmarshal(rec.Body.Bytes(), &a.Object) //nolint:errcheck // a page is none
	return a
}
