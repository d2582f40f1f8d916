package v1_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/snapshot"
)

// onDisk gives a fixture views in a folder, and snapshots of them with an index that is none.
func onDisk(t testing.TB) func(*setup) {
	return func(c *setup) {
		store, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		if c.cfg.Views, err = fold.NewRunner(context.Background(), c.cfg.Log, store, c.own.Factories...); err != nil {
			t.Fatal(err)
		}
		views := c.cfg.Views
		c.own.Snapshot = func(dir string) (*snapshot.Manifest, error) {
			stored, err := views.Snapshot(filepath.Join(dir, snapshot.Views))
			index := filepath.Join(dir, snapshot.Index)
			return &snapshot.Manifest{Log: snapshot.Log{Cluster: "c"}, Views: stored},
				errors.Join(err, os.Mkdir(index, 0o755), os.WriteFile(filepath.Join(index, "a"), []byte("an index"), 0o644))
		}
	}
}

func accept(*snapshot.Manifest) error { return nil }

func emptied(t testing.TB, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("scratch holds %v, %v", left, err)
	}
}

func TestSnapshot(t *testing.T) {
	w := newFixture(t, onDisk(t))
	a := w.get("/api/v1/ops/snapshot").want(200)
	if a.Header.Get("Content-Type") != "application/x-tar" || a.Header.Get("Content-Length") != strconv.Itoa(len(a.Body)) {
		t.Errorf("header %v of %d bytes", a.Header, len(a.Body))
	}
	dir := t.TempDir()
	m, err := snapshot.Receive(bytes.NewReader(a.Body), dir, accept, nil)
	w.must(err)
	if m.Version != "test" || m.Log.Cluster != "c" || len(m.Views) != len(projections.All()) {
		t.Errorf("manifest %+v", m)
	}
	store, err := fold.OpenStore(filepath.Join(dir, snapshot.Views), fold.StoreOptions{})
	w.must(err)
	defer store.Close()
	again, err := fold.NewRunner(context.Background(), w.log, store, projections.All()...)
	w.must(err)
	want, err := w.core.Views.Hashes(t.Context())
	w.must(err)
	got, err := again.Hashes(t.Context())
	w.must(err)
	for i := range want {
		if got[i].SHA256 != want[i].SHA256 || got[i].Cut != want[i].Cut {
			t.Errorf("view %s: %+v; want %+v", want[i].View, got[i], want[i])
		}
	}
	emptied(t, w.own.ScratchDir)

	w.get("/api/v1/ops/snapshot?view=runs").problem(400, "view")
	release := w.surface.HoldSnapshots()
	w.get("/api/v1/ops/snapshot").problem(503, "")
	release()
	w.surface.Snapshot = func(string) (*snapshot.Manifest, error) { return nil, fault.New(fault.Unavailable, "disk full") }
	w.get("/api/v1/ops/snapshot").problem(503, "")
	emptied(t, w.own.ScratchDir)
	w.surface.Snapshot = nil
	if p := w.get("/api/v1/ops/snapshot").problem(409, ""); !strings.Contains(p.Hint, "backup") {
		t.Errorf("no remedy: %+v", p)
	}
}

func TestSnapshotWantsTheToken(t *testing.T) {
	w := newFixture(t, onDisk(t), func(c *setup) { c.cfg.Token = "secret" })
	w.get("/api/v1/ops/snapshot").want(401)
	w.get("/api/v1/ops/snapshot", "Authorization", "Bearer secret").want(200)
}

// What fails while it is sent is cut off, and does not look whole to whoever takes it.
func TestSnapshotFailsOnTheWay(t *testing.T) {
	w := newFixture(t, onDisk(t))
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	take := func() error {
		resp, err := http.Get(srv.URL + "/api/v1/ops/snapshot")
		w.must(err)
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			t.Fatal(resp.Status)
		}
		_, err = snapshot.Receive(resp.Body, t.TempDir(), accept, nil)
		return err
	}
	w.must(take())
	whole := w.surface.Snapshot
	w.surface.Snapshot = func(dir string) (*snapshot.Manifest, error) {
		m, err := whole(dir)
		path := filepath.Join(dir, snapshot.Views, "zzz")
		w.must(os.Symlink(filepath.Join(dir, "gone"), path)) // the last file cannot be read
		return m, err
	}
	if err := take(); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("error: %v", err)
	}
	w.surface.Snapshot = whole

	// One that goes away in the middle does not keep the next one from it.
	resp, err := http.Get(srv.URL + "/api/v1/ops/snapshot")
	w.must(err)
	_, err = io.CopyN(io.Discard, resp.Body, 1000)
	w.must(errors.Join(err, resp.Body.Close()))
	release := w.surface.HoldSnapshots() // given back at its end, after the folder
	emptied(t, w.own.ScratchDir)
	release()
	w.must(take())
}
