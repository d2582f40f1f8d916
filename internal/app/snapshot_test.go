package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections/fold"
)

func startNode(t testing.TB, url, from string) (*app.App, *bytes.Buffer) {
	t.Helper()
	var said bytes.Buffer
	a, err := app.Open(context.Background(), app.Options{Dir: filepath.Join(t.TempDir(), "data"), LogURL: url, From: from,
		Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, &said
}

// sourceNode is one that others can start from.
func sourceNode(t testing.TB, url string) (*app.App, *httptest.Server) {
	t.Helper()
	a, _ := startNode(t, url, "")
	srv := httptest.NewServer(a.Handler())
	t.Cleanup(srv.Close)
	return a, srv
}

// fill lets people rate films.
func fill(t testing.TB, a *app.App, from, n int) {
	t.Helper()
	ctx := context.Background()
	for batch := from; batch < from+n; batch += 500 {
		film := strconv.Itoa(batch)
		_, err := a.Dispatcher.Dispatch(ctx, &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: film, Title: "Film " + film}}, handlers.Meta{Actor: "test"})
		if err != nil {
			t.Error(err)
			return
		}
		var facts []commands.Fact
		for i := batch; i < min(batch+500, from+n); i++ {
			at := time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC)
			facts = append(facts, &commands.RecordInteraction{Interaction: events.Interaction{UserID: strconv.Itoa(i % 97), MovieID: strconv.Itoa(i % 313),
				Kind: "rating", Rating: float64(i%10)/2 + .5, Timestamp: events.FormatTime(at)}})
		}
		if _, err := a.Dispatcher.Publish(ctx, facts, handlers.Meta{Actor: "test"}); err != nil {
			t.Error(err)
			return
		}
	}
}

// TestKafkaNewNodes: one node starts from another's views while that one folds what people do, one folds the
// log alone; all three end equal, and so does every view folded again.
func TestKafkaNewNodes(t *testing.T) {
	url, _ := clusterLog(t)
	a, srv := sourceNode(t, url)
	fill(t, a, 0, 4000)
	hashesOf(t, a)
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		fill(t, a, 4000, 6000)
	}()
	b, said := startNode(t, url, srv.URL)
	if !strings.HasPrefix(b.Origin(), "took the views of "+srv.URL) || strings.Contains(said.String(), "level=WARN") {
		t.Errorf("the new node: %q, %s", b.Origin(), said)
	}
	status, err := b.Views.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	c, _ := startNode(t, url, "")
	<-filled
	fill(t, b, 10000, 500) // a command to the new one
	want := hashesOf(t, a)
	compareHashes(t, "the node from a snapshot", hashesOf(t, b), want)
	compareHashes(t, "the node from the log", hashesOf(t, c), want)
	again, err := b.Views.Verify(context.Background(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range again {
		if !v.Equal {
			t.Errorf("view %s folded again: %s", v.View, v.Diff)
		}
		// It did not fold what it was given.
		if v.View == "histories" && status[i].View == v.View && status[i].Inputs >= 10500 {
			t.Errorf("the new node folded %d inputs", status[i].Inputs)
		}
	}

	// Views of another log are refused while the folder is as it was.
	elsewhere, _ := clusterLog(t)
	other, said := startNode(t, elsewhere, srv.URL)
	if !strings.Contains(other.Origin(), "NO VIEWS") || !strings.Contains(said.String(), "is of topic") {
		t.Errorf("a node of another log: %q, %s", other.Origin(), said)
	}
	fill(t, other, 0, 500)
	hashesOf(t, other)
}

// slow passes a snapshot on up to a number of bytes and then hangs.
type slow struct {
	to   string
	upTo atomic.Int64
	sent chan struct{} // when it hangs
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Get(s.to + r.URL.Path)
	if err != nil {
		w.WriteHeader(500)
		return
	}
	defer resp.Body.Close()
	w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
	w.WriteHeader(resp.StatusCode)
	io.CopyN(w, resp.Body, s.upTo.Load()) //nolint:errcheck // it may have less
	http.NewResponseController(w).Flush() //nolint:errcheck
	select {
	case s.sent <- struct{}{}:
	default:
	}
	if resp.ContentLength > s.upTo.Load() {
		<-r.Context().Done()
	}
}

const (
	untilViews = -1      // in place of a time to wait
	whole      = 1 << 40 // bytes of a snapshot: the next one of the same views may have a few more or less
)

// TestKafkaNewNodeIsKilled: a node is killed at many moments of its first start. Every folder it leaves starts,
// and ends equal.
func TestKafkaNewNodeIsKilled(t *testing.T) {
	url, _ := clusterLog(t)
	a, srv := sourceNode(t, url)
	fill(t, a, 0, 3000)
	hashesOf(t, a)
	proxy := &slow{to: srv.URL, sent: make(chan struct{}, 1)}
	between := httptest.NewServer(proxy)
	defer between.Close()
	resp, err := http.Get(srv.URL + "/api/v1/ops/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	size, err := io.Copy(io.Discard, resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PROJECTIONIST_LOG", url)
	var taken, before int
	for i, c := range []struct {
		upTo int64
		wait time.Duration
	}{{0, 0}, {size / 2, 0}, {size - 1, 0}, {whole, 0}, {whole, 5 * time.Millisecond}, {whole, 30 * time.Millisecond}, {whole, 100 * time.Millisecond}, {whole, 200 * time.Millisecond},
		{whole, 300 * time.Millisecond}, {whole, 500 * time.Millisecond}, {whole, untilViews}, {whole, untilViews}} {
		dir := filepath.Join(t.TempDir(), "data")
		proxy.upTo.Store(c.upTo)
		cmd := exec.Command(os.Args[0], "serve", "--dir", dir, "--listen", "127.0.0.1:0", "--from", between.URL)
		cmd.Env, cmd.Dir = append(os.Environ(), childVariable+"=1"), t.TempDir()
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-proxy.sent:
		case <-time.After(5 * time.Minute):
			t.Fatal("nobody asked for a snapshot")
		}
		for c.wait == untilViews && cmd.Process.Signal(syscall.Signal(0)) == nil {
			if _, err := os.Stat(fold.StoreDir(dir)); err == nil {
				break // right behind the first step of the installation
			}
		}
		time.Sleep(c.wait)
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		cmd.Wait() //nolint:errcheck // it was killed
		b, err := app.Open(context.Background(), app.Options{Dir: dir, LogURL: url, From: srv.URL, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatalf("kill %d: %v\n%s", i, err, out.String())
		}
		switch origin := b.Origin(); {
		case strings.HasPrefix(origin, "took the views"):
			taken++
		case strings.Contains(origin, "has views already"):
			before++
		default:
			t.Errorf("kill %d: %s", i, origin)
		}
		compareHashes(t, fmt.Sprint("kill ", i), hashesOf(t, b), hashesOf(t, a)) // some get as far as to write
		if left, err := os.ReadDir(filepath.Join(dir, "scratch")); err == nil && len(left) > 0 {
			t.Errorf("kill %d: scratch holds %v", i, left)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d folders started anew, %d had the whole snapshot", taken, before)
	if taken == 0 || before == 0 {
		t.Error("the kills were all on one side of the installation")
	}
}
