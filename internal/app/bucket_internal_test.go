package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
)

// folderRemote is a folder in a bucket's place, which can be away. A real bucket is tried by deploy/s3/test.sh.
type folderRemote struct {
	*blob.Store
	dir  string
	away bool
}

var errAway = fault.New(fault.Unavailable, "the bucket is away")

func newFolderRemote(t *testing.T) *folderRemote {
	t.Helper()
	dir := t.TempDir()
	s, err := blob.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &folderRemote{Store: s, dir: dir}
}

func (f *folderRemote) String() string { return "a folder" }

func (f *folderRemote) Put(ctx context.Context, hash string, content *io.SectionReader, _ int64) error {
	if f.away {
		return errAway
	}
	_, err := f.PutAs(ctx, hash, content)
	return err
}

func (f *folderRemote) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	if f.away {
		return nil, errAway
	}
	return f.Open(ctx, hash)
}

func (f *folderRemote) All(context.Context) iter.Seq2[string, error] { return f.Store.All() }

func (f *folderRemote) Remove(_ context.Context, hash string) error {
	return os.Remove(filepath.Join(f.dir, hash[:2], hash))
}

// withBucket opens a data folder with a bucket behind its blobs.
func withBucket(t *testing.T, dir string, r blob.Remote) *App {
	t.Helper()
	a, err := Open(t.Context(), Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	a.Blobs.Remote = r
	return a
}

// ask asks MLflow's surface.
func (a *App) asked(t *testing.T, method, path, body string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	a.Servers["tracking"].ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

const someRun = "00000000000000000000000000000001"

func startRun(t *testing.T, a *App) {
	t.Helper()
	e := &commands.CreateExperiment{Name: "one"}
	for _, c := range []commands.Command{e, &commands.StartRun{RunID: someRun, ExperimentID: e.ExperimentID(), Name: "run"}} {
		r, err := a.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"})
		if err == nil {
			err = a.Views.Wait(t.Context(), r.Position, "runs")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var filesOfRun = "/api/2.0/mlflow-artifacts/artifacts/" + (&commands.CreateExperiment{Name: "one"}).ExperimentID() + "/" + someRun + "/artifacts/"

// TestBucketOutlivesANode: a file that was taken is in the bucket, and comes from there to a folder that lost it. While the bucket
// is away no file is taken, and none is named.
func TestBucketOutlivesANode(t *testing.T) {
	dir, bucket := filepath.Join(t.TempDir(), "data"), newFolderRemote(t)
	a := withBucket(t, dir, bucket)
	startRun(t, a)
	if code, body := a.asked(t, http.MethodPut, filesOfRun+"a/report.txt", "what was found"); code != http.StatusOK {
		t.Fatal(code, body)
	}
	bucket.away = true
	if code, body := a.asked(t, http.MethodPut, filesOfRun+"b.txt", "more"); code != http.StatusServiceUnavailable || !strings.Contains(body, "away") {
		t.Fatal(code, body)
	}
	bucket.away = false
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "blobs")); err != nil {
		t.Fatal(err)
	}

	a = withBucket(t, dir, bucket)
	defer a.Close()
	if code, body := a.asked(t, http.MethodGet, filesOfRun+"a/report.txt", ""); code != http.StatusOK || body != "what was found" {
		t.Fatal(code, body)
	}
	if code, _ := a.asked(t, http.MethodGet, filesOfRun+"b.txt", ""); code != http.StatusNotFound {
		t.Fatal("a file that was not taken is named:", code)
	}
}

// TestBucketIsGivenWhatItLacks: blobs of before there was one; of them those that events name.
func TestBucketIsGivenWhatItLacks(t *testing.T) {
	a := withBucket(t, filepath.Join(t.TempDir(), "data"), nil)
	a.Blobs.Remote = nil
	defer a.Close()
	startRun(t, a)
	if code, body := a.asked(t, http.MethodPut, filesOfRun+"report.txt", "of before"); code != http.StatusOK {
		t.Fatal(code, body)
	}
	orphan, _, err := a.Blobs.Put(t.Context(), strings.NewReader("of nobody"))
	if err != nil {
		t.Fatal(err)
	}
	bucket := newFolderRemote(t)
	a.Blobs.Remote = bucket
	a.mirror(t.Context())
	var has []string
	for hash, err := range bucket.Store.All() {
		if err != nil {
			t.Fatal(err)
		}
		has = append(has, hash)
	}
	if len(has) != 1 || has[0] == orphan {
		t.Fatal(has)
	}
	if b, err := bucket.Store.Get(has[0]); err != nil || !bytes.Equal(b, []byte("of before")) {
		t.Fatal(string(b), err)
	}
}

// TestBucketKeepsWhatItMust: of the bucket a sweep takes the checkpoints of runs that have ended, and nothing else: not what another
// node, or another log, has there.
func TestBucketKeepsWhatItMust(t *testing.T) {
	bucket := newFolderRemote(t)
	a := withBucket(t, filepath.Join(t.TempDir(), "data"), bucket)
	defer a.Close()
	startRun(t, a)
	if code, body := a.asked(t, http.MethodPut, filesOfRun+"report.txt", "state 2"); code != http.StatusOK { // also a checkpoint
		t.Fatal(code, body)
	}
	dispatch := func(c commands.Command) {
		t.Helper()
		if _, err := a.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	put := func(content string) string {
		hash, _, err := a.Blobs.Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	others := put("another log's")
	for _, id := range []string{"r", "open"} {
		dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: "w", RunType: "manual"})
		dispatch(&commands.StartTask{RunID: id, Task: "t", Holder: "h", LeaseMillis: 60_000})
	}
	states := map[string]string{}
	for i := range 4 {
		id := []string{"r", "open"}[i%2]
		states[fmt.Sprint(i)] = put(fmt.Sprint("state ", i))
		dispatch(&commands.RenewTaskLease{RunID: id, Task: "t", Holder: "h", Try: 1, LeaseMillis: 60_000, Checkpoint: states[fmt.Sprint(i)]})
	}
	has := func(when string, want ...bool) {
		t.Helper()
		if _, _, err := a.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			if got := bucket.Has(states[fmt.Sprint(i)]); got != want {
				t.Errorf("%s: state %d: %v, want %v", when, i, got, want)
			}
		}
		if !bucket.Has(others) {
			t.Errorf("%s: what another log has is gone", when)
		}
	}
	has("both runs active", true, true, true, true)
	dispatch(&commands.EndWorkflowRun{RunID: "r", State: "failed", Reason: "enough"})
	has("one has ended", false, true, true, true) // state 2 is a file too
	has("the same", false, true, true, true)
	a.opts.Now = func() time.Time { return time.Now().Add(48 * time.Hour) }
	has("two days later", false, true, true, true)
}
