package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/snapshot"
	"github.com/projectionist/projectionist/streams"
)

// nowhere is a log's address where nothing listens: what is tested here is over before it is opened.
const nowhere = "kafka://127.0.0.1:1"

func newNode(t testing.TB, from string) (*App, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	dir := filepath.Join(t.TempDir(), "data")
	if err := openFolder(dir); err != nil {
		t.Fatal(err)
	}
	return &App{opts: Options{Dir: dir, LogURL: nowhere, From: from, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&said, nil))}}, &said
}

// sent is a snapshot of an app with an embedded log and a film, and where that log ends.
func sent(t testing.TB, change func(*snapshot.Manifest)) ([]byte, streams.Cut) {
	t.Helper()
	ctx := context.Background()
	a, err := Open(ctx, Options{Dir: filepath.Join(t.TempDir(), "data")})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	res, err := a.Dispatcher.Dispatch(ctx, &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "1", Title: "One"}}, handlers.Meta{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Views.Wait(ctx, res.Position); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	views, err := a.Views.Snapshot(filepath.Join(dir, snapshot.Views))
	index := filepath.Join(dir, snapshot.Index)
	if err := errors.Join(err, os.Mkdir(index, 0o755), os.WriteFile(filepath.Join(index, "a"), []byte("an index"), 0o644)); err != nil {
		t.Fatal(err)
	}
	m := &snapshot.Manifest{Version: "9", Views: views}
	if change != nil {
		change(m)
	}
	archive, err := snapshot.New(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := archive.Send(&b); err != nil {
		t.Fatal(err)
	}
	head, err := fold.HeadCut(ctx, a.Log, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), head
}

func TestStartFrom_Mistakes(t *testing.T) {
	status := func(code int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			io.WriteString(w, `{"detail":"because of this"}`) //nolint:errcheck
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct{ from, says string }{
		"no address":       {"10.0.0.2:8000", "want such as http://10.0.0.2:8000"},
		"another scheme":   {"kafka://10.0.0.2:8000", "want such as http://10.0.0.2:8000"},
		"no host":          {"http://", "want such as http://10.0.0.2:8000"},
		"no token":         {status(401), "because of this (set PROJECTIONIST_TOKEN"},
		"an embedded log":  {status(409), "because of this"},
		"another's secret": {status(403), "because of this"},
	} {
		a, _ := newNode(t, c.from)
		err := checkFrom(a.opts)
		if err == nil {
			err = a.startFrom(context.Background())
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.Field != "from" || f.Hint == "" || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want it to say %q", name, err, c.says)
		}
	}
	dir := filepath.Join(t.TempDir(), "data")
	if _, err := Open(context.Background(), Options{Dir: dir, From: "http://10.0.0.2:8000"}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "PROJECTIONIST_LOG") || exists(dir) {
		t.Errorf("with a log of its own: %v", err)
	}
}

// A node that cannot have a snapshot starts without, leaves nothing behind and says why.
func TestStartFrom_StartsAnyway(t *testing.T) {
	whole, _ := sent(t, nil)
	newer, _ := sent(t, func(m *snapshot.Manifest) { m.Views[0].Format = 1000 })
	flipped := bytes.Clone(whole)
	flipped[bytes.Index(flipped, []byte("an index"))+3] ^= 1
	serve := func(body []byte, length int) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v1/ops/snapshot" || r.Header.Get("Authorization") != "Bearer secret" {
				t.Errorf("asked for %s with %v", r.URL, r.Header)
			}
			w.Write(body[:length]) //nolint:errcheck
			if length < len(body) {
				panic(http.ErrAbortHandler)
			}
		}))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct{ from, says string }{
		"nobody there":     {"http://127.0.0.1:1", "refused"},
		"another program":  {serve([]byte("<html>"+strings.Repeat("hello", 1000)), 5006), "no snapshot"},
		"cut off":          {serve(whole, len(whole)/2), "cut off"},
		"cut off at once":  {serve(whole, 0), ""},
		"cut off at last":  {serve(whole, len(whole)-1), "cut off"},
		"flipped":          {serve(flipped, len(flipped)), "index/a has another SHA-256"},
		"a newer program":  {serve(newer, len(newer)), "newer program (9)"},
		"an older program": {serve(nil, 0), "no snapshot"},
	} {
		if name == "an older program" {
			s := httptest.NewServer(http.NotFoundHandler())
			defer s.Close()
			c.from = s.URL
		}
		a, said := newNode(t, c.from)
		a.opts.Token = "secret"
		if err := a.startFrom(context.Background()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(said.String(), "level=WARN") || !strings.Contains(said.String(), c.says) || !strings.Contains(a.Origin(), "NO VIEWS") {
			t.Errorf("%s: says %q and logs %s; want %q", name, a.Origin(), said.String(), c.says)
		}
		left, err := os.ReadDir(filepath.Join(a.opts.Dir, "scratch"))
		if err != nil || len(left) > 0 || exists(fold.StoreDir(a.opts.Dir)) || exists(filepath.Join(a.opts.Dir, "index")) {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
}

func TestStartFrom_AsksABusyNodeAgain(t *testing.T) {
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.WriteHeader([]int{503, 404}[min(asked-1, 1)])
	}))
	defer s.Close()
	a, said := newNode(t, s.URL)
	if err := a.startFrom(context.Background()); err != nil || asked != 2 || !strings.Contains(said.String(), "404") {
		t.Errorf("asked %d times: %v, %s", asked, err, said)
	}
	a, _ = newNode(t, s.URL)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := a.startFrom(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

// received is a snapshot that has arrived in a node's scratch folder.
func received(t testing.TB, a *App, body []byte) string {
	t.Helper()
	staged := filepath.Join(a.opts.Dir, "scratch", "from-1")
	if err := os.MkdirAll(staged, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Receive(bytes.NewReader(body), staged, func(*snapshot.Manifest) error { return nil }, nil); err != nil {
		t.Fatal(err)
	}
	return staged
}

// Wherever an installation is cut off, the next start finds a folder without views, or with all of them.
func TestInstall_CutOff(t *testing.T) {
	body, head := sent(t, nil)
	movies := func(a *App) int64 {
		t.Helper()
		s, err := fold.OpenStore(fold.StoreDir(a.opts.Dir), fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Fits(head, projections.All()...); err != nil {
			t.Fatal(err)
		}
		stored, err := s.Stored()
		if err != nil || len(stored) != len(projections.All()) {
			t.Fatalf("%d views, %v", len(stored), err)
		}
		return int64(len(stored))
	}
	a, _ := newNode(t, "http://127.0.0.1:1")
	staged := received(t, a, body)
	if err := checkViews(staged, head); err != nil {
		t.Fatal(err)
	}
	if err := checkViews(staged, streams.Cut{}); !fault.Is(err, fault.Corrupt) {
		t.Errorf("views of a longer log: %v", err)
	}
	if has, err := hasViews(a.opts.Dir); has || err != nil {
		t.Fatalf("before the first step: %v, %v", has, err)
	}
	// Killed after the first rename: views without an index, which the log makes anew.
	if err := os.Rename(filepath.Join(staged, "index"), filepath.Join(staged, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if err := install(staged, a.opts.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("without an index: %v", err)
	}
	if has, err := hasViews(a.opts.Dir); !has || err != nil || movies(a) == 0 {
		t.Fatalf("after the first step: %v, %v", has, err)
	}
	if err := a.startFrom(context.Background()); err != nil || !strings.Contains(a.Origin(), "has views already") {
		t.Fatalf("the next start: %v, %q", err, a.Origin())
	}

	// Where a start was killed between making the folders and filling them, they are empty.
	for _, made := range [][]string{nil, {"views"}, {"views", "index"}} {
		a, _ := newNode(t, "http://127.0.0.1:1")
		for _, name := range made {
			if err := os.Mkdir(filepath.Join(a.opts.Dir, name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := install(received(t, a, body), a.opts.Dir); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(filepath.Join(a.opts.Dir, "index", "a")); err != nil || string(b) != "an index" || movies(a) == 0 {
			t.Errorf("with %v there before: %q, %v", made, b, err)
		}
	}
	// A folder keeps the index it has, and the views it has.
	a, _ = newNode(t, "http://127.0.0.1:1")
	own := filepath.Join(a.opts.Dir, "index", "a")
	if err := errors.Join(os.Mkdir(filepath.Dir(own), 0o755), os.WriteFile(own, []byte("own"), 0o644)); err != nil {
		t.Fatal(err)
	}
	staged = received(t, a, body)
	if err := install(staged, a.opts.Dir); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(own); err != nil || string(b) != "own" || movies(a) == 0 {
		t.Errorf("its own index: %q, %v", b, err)
	}
	if err := os.RemoveAll(staged); err != nil {
		t.Fatal(err)
	}
	if err := install(received(t, a, body), a.opts.Dir); err == nil {
		t.Error("views were put over views")
	}
}

// A damaged store is the snapshot's fault.
func TestCheckViews(t *testing.T) {
	body, head := sent(t, nil)
	a, _ := newNode(t, "")
	staged := received(t, a, body)
	tables, err := filepath.Glob(filepath.Join(staged, "views", "MANIFEST-*"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	if err := os.Remove(tables[0]); err != nil {
		t.Fatal(err)
	}
	if err := checkViews(staged, head); !fault.Is(err, fault.Corrupt) {
		t.Errorf("without its manifest: %v", err)
	}
}
