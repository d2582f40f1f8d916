//go:build unix

package app_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestTaskLogIsFollowed reads a log while its command runs, from the beginning; when it is over it is the same from its blob, by our own
// API and Airflow's, by times, after a sweep, a restart and in a backup; and commands that are off are refused.
func TestTaskLogIsFollowed(t *testing.T) {
	dir, gate := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "go")
	definition := "name: held\ntasks:\n  - {name: wait, operator: command, with: {command: 'echo begun; until [ -e " + gate + " ]; do sleep 0.02; done; echo over'}}\n"
	a, server := served(t, app.Options{Dir: dir, Commands: true})
	const path = "/api/v1/workflows/runs/r1/tasks/wait/logs"
	put(t, server.URL+"/api/v1/workflows/definitions/held", definition, http.StatusOK)
	asked(t, server.URL+"/api/v1/workflows/held/runs", `{"run_id":"r1"}`)
	resp, err := http.Get(server.URL + path + "?follow=true")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var followed strings.Builder
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		followed.WriteString(lines.Text() + "\n")
		if strings.HasSuffix(lines.Text(), "INFO  begun") {
			if now := text(t, server.URL+path, http.StatusOK); !strings.HasSuffix(now, "INFO  begun\n") {
				t.Errorf("before it is over it is\n%s", now)
			}
			if err := os.WriteFile(gate, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := lines.Err(); err != nil || !strings.Contains(followed.String(), "INFO  over\n") || !strings.Contains(followed.String(), "INFO  task succeeded") {
		t.Fatalf("%v; it is followed as\n%s", err, &followed)
	}
	var run projections.WorkflowRun
	for deadline := time.Now().Add(5 * time.Minute); run.State != projections.StateSuccess; time.Sleep(5 * time.Millisecond) {
		if run, _, err = fold.Of[*projections.Workflows](a.Views).Run("r1"); err != nil || time.Now().After(deadline) {
			t.Fatalf("%+v, %v", run, err)
		}
	}
	task := run.TaskOf("wait")
	y, _ := task.Tried(1)
	if y.Log == "" || !a.Blobs.Has(y.Log) {
		t.Fatalf("the log of %+v is not kept", y)
	}
	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "blobs", y.Log[:2], y.Log), old, old); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Sweep(t.Context()); err != nil || !a.Blobs.Has(y.Log) {
		t.Errorf("it was swept: %v", err)
	}
	same := func(server *httptest.Server) {
		t.Helper()
		for _, q := range []string{"", "?try=1", "?follow=true", "?try=1&since=2020-01-01&until=2099-01-01"} {
			if got := text(t, server.URL+path+q, http.StatusOK); got != followed.String() {
				t.Errorf("%s: it is\n%s\nand was followed as\n%s", q, got, &followed)
			}
		}
		if got := text(t, server.URL+path+"?until=2020-01-01", http.StatusOK); got != "" {
			t.Errorf("of before it began it has %q", got)
		}
		text(t, server.URL+path+"?try=2", http.StatusNotFound)
		text(t, server.URL+path+"?since=soon", http.StatusBadRequest)
		text(t, server.URL+"/api/v1/workflows/runs/r1/tasks/other/logs", http.StatusNotFound)
		text(t, server.URL+"/api/v1/workflows/runs/none/tasks/wait/logs?follow=true", http.StatusNotFound)
	}
	same(server)
	airflow := httptest.NewServer(a.Servers["workflows"])
	if got := text(t, airflow.URL+"/api/v1/dags/held/dagRuns/r1/taskInstances/wait/logs/1", http.StatusOK); got != followed.String() {
		t.Errorf("Airflow's clients see\n%s", got)
	}
	airflow.Close()
	copied := filepath.Join(t.TempDir(), "copy")
	if _, err := a.Backup(t.Context(), copied, func(string, int64, int64) {}); err != nil {
		t.Fatal(err)
	}
	stopServing(t, a)
	for _, dir := range []string{dir, copied} {
		a, server := served(t, app.Options{Dir: dir})
		same(server)
		if got := put(t, server.URL+"/api/v1/workflows/definitions/held", definition+"# again\n", http.StatusBadRequest); !strings.Contains(got, "--allow-commands") {
			t.Errorf("a command where they are off: %s", got)
		}
		stopServing(t, a)
	}
}

// served opens a data folder with its reactors at work.
func served(t *testing.T, o app.Options) (*app.App, *httptest.Server) {
	t.Helper()
	a, err := app.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Reactors.Run(ctx) }) //nolint:errcheck // it ends as it is told to
	server := httptest.NewServer(a.Handler())
	closing.Store(a, func() {
		server.Close()
		cancel()
		running.Wait()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stopServing(t, a) })
	deadline := time.Now().Add(5 * time.Minute)
	for text(t, server.URL+"/api/v1/workflows", http.StatusOK); !strings.Contains(text(t, server.URL+"/api/v1/workflows", http.StatusOK), "movie_training_pipeline"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no workflow is defined")
		}
	}
	return a, server
}

var closing sync.Map // *app.App to what ends it

func stopServing(t *testing.T, a *app.App) {
	t.Helper()
	if end, ok := closing.LoadAndDelete(a); ok {
		end.(func())()
	}
}

func text(t *testing.T, address string, status int) string {
	t.Helper()
	return ask(t, http.MethodGet, address, "", status)
}

func put(t *testing.T, address, body string, status int) string {
	t.Helper()
	return ask(t, http.MethodPut, address, body, status)
}

func asked(t *testing.T, address, body string) string {
	t.Helper()
	return ask(t, http.MethodPost, address, body, http.StatusCreated)
}

func ask(t *testing.T, method, address, body string, status int) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, u.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", map[bool]string{true: "application/json", false: "application/yaml"}[strings.HasPrefix(body, "{")])
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s answers %d: %s", method, address, resp.StatusCode, raw)
	}
	return string(raw)
}
