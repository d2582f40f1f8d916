package roles_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/roles"
)

func TestNoKey(t *testing.T) {
	b := newBench(t)
	b.run(b.reactors(b.config(t.TempDir(), nil)))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.DataCollection, RunType: "manual"})
	run := b.waitEnded("r1")
	if run.State != "failed" || run.TaskOf(taskFetch).Try != 1 || run.TaskOf(taskProcess).State != "upstream_failed" {
		t.Errorf("%+v", run)
	}
	for _, word := range []string{"TMDB_API_KEY", ".env"} {
		if !strings.Contains(run.Reason, word) {
			t.Errorf("%q does not name %s", run.Reason, word)
		}
	}
	// The rest goes on.
	b.checkOneEachOf(b.importWorld(1000))
}

// TestRefusedKey has TMDB refuse the key, which no other try mends.
func TestRefusedKey(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"status_code":7,"status_message":"Invalid API key: You must be granted a valid key."}`)
	}))
	defer server.Close()
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.TMDB = tmdb.Config{Key: "k", BaseURL: server.URL}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.DataCollection, RunType: "manual"})
	run := b.waitEnded("r1")
	if run.State != "failed" || run.TaskOf(taskFetch).Try != 1 || !strings.Contains(run.Reason, "401") {
		t.Errorf("%+v", run)
	}
}

func (b *bench) checkOneEachOf(id string) {
	b.t.Helper()
	if run := b.waitEnded(id); run.State != "success" {
		b.t.Errorf("run %s: %s %s", id, run.State, run.Reason)
	}
}

func TestDataCollection(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/genre/movie/list":
			fmt.Fprint(w, `{"genres":[{"id":18,"name":"Drama"}]}`)
		case r.URL.Path == "/movie/popular":
			fmt.Fprintf(w, `{"page":%[1]s,"total_pages":2,"results":[{"id":60%[1]s,"title":"Popular %[1]s","genre_ids":[18]}]}`, r.URL.Query().Get("page"))
		case r.URL.Path == "/movie/top_rated":
			fmt.Fprint(w, `{"page":1,"total_pages":1,"results":[{"id":601,"title":"Popular 1"},{"id":700,"title":"Withdrawn"}]}`)
		case r.URL.Path == "/movie/601", r.URL.Path == "/movie/602":
			id := strings.TrimPrefix(r.URL.Path, "/movie/")
			fmt.Fprintf(w, `{"id":%[1]s,"title":"Details %[1]s","release_date":"1999-03-30","runtime":136,"genres":[{"id":18,"name":"Drama"}]}`, id)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"status_code":34,"status_message":"The resource you requested could not be found."}`)
		}
	}))
	defer server.Close()
	b := newBench(t)
	dir := t.TempDir()
	c := b.config(dir, nil)
	own := b.roles(dir)
	own.TMDB = tmdb.Config{Key: "k", BaseURL: server.URL}
	b.run(b.reactorsWith(c, own))
	b.waitEnded(b.importWorld(100))
	// A film of a data set that TMDB's id is known of; and one that only happens to have the number.
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "5", Title: "Listed", TMDBID: "601"}})
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "602", Title: "Another"}})
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.DataCollection, RunType: "manual"})
	run := b.waitEnded("r1")
	if run.State != "success" {
		t.Fatal(run.Reason)
	}
	fetched := map[string]string{}
	for _, m := range all[events.MovieFetched](b) {
		fetched[m.MovieID] = m.Title
		if !b.blobs.Has(m.RawSHA256) {
			t.Errorf("no raw answer of %s", m.MovieID)
		}
	}
	if len(fetched) != 2 || fetched["5"] != "Details 601" || fetched["tmdb_602"] != "Details 602" {
		t.Errorf("fetched %v", fetched)
	}
	if out := run.TaskOf(taskFetch).Output; out["films"] != "3" || out["added"] != "1" || out["updated"] != "1" || out["refused"] != "1" {
		t.Errorf("%v", out)
	}

	var popular struct {
		Movies []struct {
			Title string `json:"title"`
		} `json:"movies"`
	}
	raw, err := os.ReadFile(filepath.Join(dir, "data/raw/tmdb/popular.json"))
	must(t, err)
	must(t, json.Unmarshal(raw, &popular))
	if len(popular.Movies) != 2 || popular.Movies[0].Title != "Popular 1" || popular.Movies[1].Title != "Popular 2" {
		t.Errorf("%s", raw)
	}
	for _, name := range []string{"popular-page-1.json", "popular-page-2.json", "top_rated-page-1.json", "top_rated.json", "movie-601.json", "genres.json"} {
		if _, err := os.Stat(filepath.Join(dir, "data/raw/tmdb", name)); err != nil {
			t.Error(err)
		}
	}

	f, err := os.Open(filepath.Join(dir, "data/processed/watch_log.csv"))
	must(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	must(t, err)
	if len(rows) != 101 || strings.Join(rows[0], ",") != "user_id,movie_id,title,year,genres,interaction_type,rating,timestamp" || rows[1][2] == "" || rows[1][7] > rows[100][7] {
		t.Errorf("%d rows: %v", len(rows), rows[:2])
	}

	// Again: the same answers are no event.
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r2", Workflow: roles.DataCollection, RunType: "manual", Conf: map[string]string{"pages": "1"}})
	run = b.waitEnded("r2")
	if out := run.TaskOf(taskFetch).Output; run.State != "success" || out["films"] != "2" || out["unchanged"] != "1" {
		t.Errorf("%s %v", run.Reason, out)
	}
}
