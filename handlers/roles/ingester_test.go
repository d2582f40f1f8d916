package roles_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
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

// tmdbOf is a TMDB that lists films as given, by id, and knows their details.
func tmdbOf(t *testing.T, list string, details map[string]string) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, known := details[strings.TrimPrefix(r.URL.Path, "/movie/")]
		switch {
		case r.URL.Path == "/genre/movie/list":
			fmt.Fprint(w, `{"genres":[]}`)
		case r.URL.Path == "/movie/popular":
			fmt.Fprintf(w, `{"page":1,"total_pages":1,"results":[%s]}`, list)
		case r.URL.Path == "/movie/top_rated":
			fmt.Fprint(w, `{"page":1,"total_pages":1,"results":[]}`)
		case known:
			fmt.Fprint(w, body)
		default:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"status_code":34,"status_message":"The resource you requested could not be found."}`)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// collect runs the data collection and returns what fetching came to.
func (b *bench) collect(run string) map[string]string {
	b.t.Helper()
	b.dispatch(&commands.RequestWorkflowRun{RunID: run, Workflow: roles.DataCollection, RunType: "manual"})
	ended := b.waitEnded(run)
	if ended.State != "success" {
		b.t.Fatal(ended.Reason)
	}
	return ended.TaskOf(taskFetch).Output
}

// films are those of the catalogue, by id, once it has the whole ledger.
func (b *bench) films() map[string]projections.Movie {
	b.t.Helper()
	head, err := b.log.Ledger().Head(b.t.Context(), time.Time{})
	must(b.t, err)
	must(b.t, b.runner.Wait(b.t.Context(), streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}, "catalogue"))
	all := map[string]projections.Movie{}
	for m, err := range fold.Of[*projections.Catalogue](b.runner).All() {
		must(b.t, err)
		all[m.MovieID] = m
	}
	return all
}

// TMDB has films with one IMDb id, and films again under another id. None takes another's place.
func TestFilmsOfOneIMDbID(t *testing.T) {
	details, list := map[string]string{}, []string{}
	for id := 101; id <= 106; id++ {
		details[fmt.Sprint(id)] = fmt.Sprintf(`{"id":%d,"title":"Fancied Film %[1]d","imdb_id":"tt0000001"}`, id)
		list = append(list, fmt.Sprintf(`{"id":%d,"title":"Fancied Film %[1]d"}`, id))
	}
	for id := 201; id <= 202; id++ {
		details[fmt.Sprint(id)] = fmt.Sprintf(`{"id":%d,"title":"Twin %[1]d","imdb_id":"0000002"}`, id)
		list = append(list, fmt.Sprintf(`{"id":%d,"title":"Twin %[1]d"}`, id))
	}
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.TMDB = tmdb.Config{Key: "k", BaseURL: tmdbOf(t, strings.Join(list, ","), details).URL}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	b.waitEnded(b.importWorld(100))
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "1", Title: "Listed", IMDbID: "tt0000001", TMDBID: "555"}})
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "2", Title: "Twin", IMDbID: "tt0000002"}})

	if out := b.collect("r1"); out["added"] != "7" || out["updated"] != "1" || out["refused"] != "0" {
		t.Errorf("%v", out)
	}
	films := b.films()
	if m := films["1"]; m.Title != "Listed" || m.TMDBID != "555" {
		t.Errorf("film 1 became %+v", m.Movie)
	}
	if m := films["2"]; m.TMDBID != "201" || m.Title != "Twin 201" {
		t.Errorf("film 2 became %+v", m.Movie)
	}
	for _, id := range []string{"101", "102", "103", "104", "105", "106", "202"} {
		if m := films["tmdb_"+id]; m.TMDBID != id {
			t.Errorf("TMDB's film %s: %+v", id, m.Movie)
		}
	}
	if out := b.collect("r2"); out["unchanged"] != "8" {
		t.Errorf("again: %v", out)
	}
}

// A film that TMDB's details had taken the place of gets its own back, and the other a place of its own.
func TestFilmsThatWereMixedUp(t *testing.T) {
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.TMDB = tmdb.Config{Key: "k", BaseURL: tmdbOf(t, `{"id":106,"title":"Other"},{"id":555,"title":"Own"}`, map[string]string{
		"106": `{"id":106,"title":"Other","imdb_id":"tt0000001"}`, "555": `{"id":555,"title":"Own","imdb_id":"tt0000001"}`}).URL}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	b.waitEnded(b.importWorld(100))
	sum := strings.Repeat("a", 64)
	b.dispatch(&commands.FetchMovie{RawSHA256: sum, Movie: events.Movie{MovieID: "1", Title: "Other", IMDbID: "tt0000001", TMDBID: "106"}})
	b.dispatch(&commands.ListMovie{Dataset: "d", Movie: events.Movie{MovieID: "1", Title: "Listed", IMDbID: "tt0000001", TMDBID: "555"}})
	b.collect("r1")
	films := b.films()
	if films["1"].Title != "Own" || films["1"].TMDBID != "555" || films["tmdb_106"].Title != "Other" {
		t.Errorf("film 1: %+v\ntmdb_106: %+v", films["1"].Movie, films["tmdb_106"].Movie)
	}
}

// Dates that are none do not cost the film, and why one is refused is in the result.
func TestFilmsOfSorts(t *testing.T) {
	list := `{"id":1,"title":"Year"},{"id":2,"title":"No date"},{"title":"No id"},{"id":3},"text",{"id":4,"title":"Changed"},{"id":5,"title":"Shape"},` +
		`{"id":6,"title":"Withdrawn"},{"id":7,"title":"Person"},{"id":8,"title":"Odd","popularity":"NaN"},{"id":9,"title":"Long"}`
	b := newBench(t)
	own := b.roles(t.TempDir())
	own.TMDB = tmdb.Config{Key: "k", BaseURL: tmdbOf(t, list, map[string]string{
		"1": `{"id":1,"title":"Year","release_date":"2024","imdb_id":"0111161"}`, "2": `{"id":2,"title":"No date","release_date":"0001-01-01","imdb_id":"tt"}`,
		"4": `{"id":4,"title":""}`, "5": `{"id":5,"title":{"en":"Shape"}}`, "7": `{"id":7,"title":"Per\u0000son","imdb_id":"nm0000001","vote_average":11}`,
		"9": `{"id":9,"title":"` + strings.Repeat("x", 1025) + `"}`,
	}).URL}
	b.run(b.reactorsWith(b.config(own.Dir, nil), own))
	b.waitEnded(b.importWorld(100))
	out := b.collect("r1")
	if out["films"] != "7" || out["added"] != "3" || out["refused"] != "4" || out["skipped"] != "4" {
		t.Errorf("%v", out)
	}
	for _, says := range []string{"film 4: title: film 4 has none", "film 5: the answer has another shape", "film 6: TMDB does not have it any more", "film 9: title: has 1025 bytes",
		"popular, page 1, results[2]: id", "results[3]: title: film 3 has none", "results[4]", "results[9]"} {
		if !strings.Contains(out["reason"], says) {
			t.Errorf("the result does not say %q:\n%s", says, out["reason"])
		}
	}
	films := b.films()
	for id, want := range map[string]events.Movie{
		"tmdb_1": {MovieID: "tmdb_1", Title: "Year", Year: 2024, TMDBID: "1", IMDbID: "tt0111161"},
		"tmdb_2": {MovieID: "tmdb_2", Title: "No date", TMDBID: "2"},
		"tmdb_7": {MovieID: "tmdb_7", Title: "Per son", TMDBID: "7"},
	} {
		if got := films[id].Movie; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", id, got, want)
		}
	}
}
