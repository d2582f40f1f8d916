package tmdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/realdata"
)

// Invented films in the shapes that the API sends.
const (
	genresJSON = `{"genres":[{"id":28,"name":"Action"},{"id":878,"name":"Science Fiction"},{"id":18,"name":"Drama"}]}`
	pageOne    = `{"page":1,"results":[
		{"id":501,"title":"The Tin Cartographer","original_title":"Der Blechkartograf","original_language":"de","overview":"A map redraws its maker.",
		 "genre_ids":[878,18,9999],"popularity":"71.25","poster_path":"\/tin.jpg","release_date":"2019-03-08","vote_average":7.5,"vote_count":310,"adult":false},
		{"id":502,"title":"Salt Hour","genre_ids":[],"popularity":3,"poster_path":null,"release_date":"","vote_average":0,"vote_count":0}],
		"total_pages":3,"total_results":5}`
	pageTwo   = `{"page":2,"results":[{"id":502,"title":"Salt Hour","genre_ids":[28]},{"id":503,"title":"Ninth Ferry","genre_ids":[28]}],"total_pages":3}`
	pageThree = `{"page":3,"results":[{"id":"504","title":"","original_title":"Vierter Bote","genre_ids":[18]}],"total_pages":3}`
	details   = `{"id":501,"imdb_id":"tt9900501","title":"The Tin Cartographer","original_language":"de","overview":"A map redraws its maker.",
		"genres":[{"id":878,"name":"Science Fiction"},{"id":18,"name":"Drama"}],"popularity":71.25,"poster_path":"/tin.jpg","release_date":"2019-03-08",
		"runtime":104,"vote_average":"7.5","vote_count":310,"budget":0,
		"keywords":{"keywords":[{"id":1,"name":"maps"},{"id":2,"name":"automaton"}]},
		"credits":{"cast":[{"name":"Ada Quill","order":0},{"name":"Bo Fenn","order":1}],"crew":[{"name":"Cleo Marsh","job":"Director"},{"name":"Dov Reed","job":"Editor"}]}}`
	key = "0123456789abcdef0123456789abcdef"
)

// server answers each path (with "?page=N" where the request has one) by its handlers in turn; the last
// one stays.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	answers  map[string][]http.HandlerFunc
	requests []*http.Request
}

func newServer(t *testing.T, answers map[string][]http.HandlerFunc) *server {
	s := &server{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if page := r.URL.Query().Get("page"); page != "" {
			path += "?page=" + page
		}
		s.mu.Lock()
		s.requests = append(s.requests, r)
		list := s.answers[path]
		if len(list) > 1 {
			s.answers[path] = list[1:]
		}
		s.mu.Unlock()
		if len(list) == 0 {
			status(404, 34, "The resource you requested could not be found.")(w, r)
			return
		}
		list[0](w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

func answers(list ...http.HandlerFunc) []http.HandlerFunc { return list }

func ok(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }
}

func status(code, own int, message string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"success":false,"status_code":%d,"status_message":%q}`, own, message)
	}
}

// cut promises the whole body and hangs up in the middle of it.
func cut(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		fmt.Fprint(w, body[:len(body)/2])
	}
}

// slow answers only after its client has gone.
func slow(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// clock stands still but for sleeping.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	slept []time.Duration
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.slept = append(c.slept, d)
	return ctx.Err()
}

func newClient(t *testing.T, s *server, change func(*Config)) (*Client, *clock) {
	t.Helper()
	c := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	config := Config{Key: key, BaseURL: s.URL, Seed: 7, Now: c.Now, Sleep: c.Sleep, HTTP: s.Client()}
	if change != nil {
		change(&config)
	}
	client, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	return client, c
}

func titles(seq func(func(Movie, error) bool)) (all []string, err error) {
	for m, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, m.Title)
	}
	return all, nil
}

func TestLists(t *testing.T) {
	s := newServer(t, map[string][]http.HandlerFunc{
		"/genre/movie/list":       answers(ok(genresJSON)),
		"/movie/popular?page=1":   answers(ok(pageOne)),
		"/movie/popular?page=2":   answers(ok(pageTwo)),
		"/movie/popular?page=3":   answers(ok(pageThree)),
		"/movie/top_rated?page=1": answers(ok(pageTwo)),
		"/movie/top_rated?page=2": answers(ok(`{"page":2,"results":[],"total_pages":9}`)),
	})
	saved := map[string]string{}
	c, _ := newClient(t, s, func(c *Config) {
		c.Save = func(name string, raw []byte) error { saved[name] = string(raw); return nil }
	})
	var got []Movie
	for m, err := range c.Popular(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	want := []Movie{
		{Movie: dataset.Movie{ID: "501", TMDBID: "501", Title: "The Tin Cartographer", Year: 2019, Genres: []string{"Sci-Fi", "Drama"}, Source: "tmdb"},
			Overview: "A map redraws its maker.", Language: "de", Popularity: 71.25, PosterPath: "/tin.jpg", ReleaseDate: "2019-03-08", VoteAverage: 7.5, VoteCount: 310},
		{Movie: dataset.Movie{ID: "502", TMDBID: "502", Title: "Salt Hour", Source: "tmdb"}, Popularity: 3},
		{Movie: dataset.Movie{ID: "503", TMDBID: "503", Title: "Ninth Ferry", Genres: []string{"Action"}, Source: "tmdb"}},
		{Movie: dataset.Movie{ID: "504", TMDBID: "504", Title: "Vierter Bote", Genres: []string{"Drama"}, Source: "tmdb"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	if n := s.count(); n != 4 {
		t.Errorf("%d requests, want the genres and 3 pages", n)
	}
	if want := map[string]string{"genres.json": genresJSON, "popular.json": pageOne, "popular-2.json": pageTwo, "popular-3.json": pageThree}; !maps.Equal(saved, want) {
		t.Errorf("saved %v", slices.Sorted(maps.Keys(saved)))
	}
	if top, err := titles(c.TopRated(t.Context(), 0)); err != nil || !slices.Equal(top, []string{"Salt Hour", "Ninth Ferry"}) {
		t.Errorf("up to an empty page: %v, %v", top, err)
	}
	before := s.count()
	if top, err := titles(c.Popular(t.Context(), 1)); err != nil || len(top) != 2 || s.count() != before+1 {
		t.Errorf("one page: %v, %v, %d requests", top, err, s.count()-before)
	}
}

func TestPageBeyondTheLast(t *testing.T) {
	beyond := status(400, 22, "Invalid page: Pages start at 1 and max at 500. They are expected to be an integer.")
	s := newServer(t, map[string][]http.HandlerFunc{
		"/genre/movie/list":       answers(ok(genresJSON)),
		"/movie/popular?page=1":   answers(ok(`{"page":1,"results":[{"id":1,"title":"Only"}],"total_pages":40000}`)),
		"/movie/popular?page=2":   answers(beyond),
		"/movie/top_rated?page=1": answers(beyond),
	})
	c, _ := newClient(t, s, nil)
	if got, err := titles(c.Popular(t.Context(), 0)); err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	var refused *Error
	if _, err := titles(c.TopRated(t.Context(), 0)); !errors.As(err, &refused) || refused.Code != 22 {
		t.Errorf("the first page: %v", err)
	}
}

func TestDetails(t *testing.T) {
	s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(details))})
	c, _ := newClient(t, s, nil)
	got, err := c.Movie(t.Context(), "0501")
	if err != nil {
		t.Fatal(err)
	}
	want := Movie{
		Movie:    dataset.Movie{ID: "501", TMDBID: "501", IMDbID: "tt9900501", Title: "The Tin Cartographer", Year: 2019, Genres: []string{"Sci-Fi", "Drama"}, Source: "tmdb"},
		Overview: "A map redraws its maker.", Language: "de", Popularity: 71.25, PosterPath: "/tin.jpg", ReleaseDate: "2019-03-08",
		VoteAverage: 7.5, VoteCount: 310, RuntimeMinutes: 104, Keywords: []string{"maps", "automaton"}, Directors: []string{"Cleo Marsh"}, Cast: []string{"Ada Quill", "Bo Fenn"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	q := s.requests[0].URL.Query()
	if q.Get("append_to_response") != "keywords,credits" || q.Get("api_key") != key || q.Get("language") != "en-US" {
		t.Errorf("query %v", q)
	}
	var missing *Error
	if _, err := c.Movie(t.Context(), "7"); !errors.As(err, &missing) || missing.Status != 404 || missing.Attempts != 1 {
		t.Errorf("unknown film: %v", err)
	}
	for _, id := range []string{"", "-1", "../account", "1?x"} {
		if _, err := c.Movie(t.Context(), id); err == nil || s.count() != 2 {
			t.Errorf("id %q: %v, %d requests", id, err, s.count())
		}
	}
}

func TestRetries(t *testing.T) {
	for name, c := range map[string]struct {
		first    []http.HandlerFunc
		requests int
		slept    time.Duration // at least
	}{
		"429 with Retry-After":      {answers(status(429, 25, "over the limit", "Retry-After", "7")), 2, 7 * time.Second},
		"429 with a date":           {answers(status(429, 25, "over the limit", "Retry-After", "Sun, 01 Mar 2026 12:00:09 GMT")), 2, 9 * time.Second},
		"429 without":               {answers(status(429, 25, "over the limit")), 2, 250 * time.Millisecond},
		"500 twice":                 {answers(status(500, 11, "internal"), status(500, 11, "internal")), 3, 750 * time.Millisecond},
		"502, 503, 504 of a proxy":  {answers(page(502), page(503), page(504)), 4, 1750 * time.Millisecond},
		"truncated body":            {answers(cut(details)), 2, 250 * time.Millisecond},
		"truncated, length matches": {answers(ok(details[:len(details)/2])), 2, 250 * time.Millisecond},
		"empty body":                {answers(ok("")), 2, 250 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": append(c.first, ok(details))})
			saves := 0
			client, clock := newClient(t, s, func(config *Config) {
				config.AttemptTimeout = 5 * time.Minute
				config.Save = func(string, []byte) error { saves++; return nil }
			})
			if m, err := client.Movie(t.Context(), "501"); err != nil || m.Title != "The Tin Cartographer" {
				t.Fatalf("%+v, %v", m, err)
			}
			slept := time.Duration(0)
			for _, d := range clock.slept {
				slept += d
			}
			if s.count() != c.requests || slept < c.slept || slept > 2*c.slept || saves != 1 {
				t.Errorf("%d requests, slept %v, %d saves; want %d, %v to twice that, 1", s.count(), slept, saves, c.requests, c.slept)
			}
		})
	}
	t.Run("slow", func(t *testing.T) {
		var waited atomic.Bool
		s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(func(w http.ResponseWriter, r *http.Request) {
			if !waited.Load() {
				slow(w, r)
				return
			}
			ok(details)(w, r)
		})})
		client, clock := newClient(t, s, func(config *Config) { config.AttemptTimeout = 50 * time.Millisecond })
		client.config.Sleep = func(ctx context.Context, d time.Duration) error {
			waited.Store(true)
			client.config.AttemptTimeout = 5 * time.Minute // the second attempt has as long as it takes
			return clock.Sleep(ctx, d)
		}
		if m, err := client.Movie(t.Context(), "501"); err != nil || m.Title != "The Tin Cartographer" || len(clock.slept) != 1 {
			t.Errorf("%+v, %v, slept %v", m, err, clock.slept)
		}
	})
}

func page(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, "<html>gateway</html>")
	}
}

func TestGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		answer   http.HandlerFunc
		requests int
		want     []string
	}{
		"invalid key":      {status(401, 7, "Invalid API key: You must be granted a valid key. Got "+key), 1, []string{"/movie/501", "401", "Invalid API key", "TMDB_API_KEY"}},
		"500 for ever":     {status(500, 11, "Internal error: Something went wrong."), 6, []string{"/movie/501", "500", "Something went wrong", "6 attempts"}},
		"cut for ever":     {cut(details), 6, []string{"/movie/501", "6 attempts"}},
		"too long a wait":  {status(429, 25, "over the limit", "Retry-After", "86400"), 1, []string{"429", "24h0m0s", "try later"}},
		"another shape":    {ok(`{"id":501,"title":{"en":"x"}}`), 1, []string{"another shape", "title"}},
		"no title":         {ok(`{"id":501}`), 1, []string{"title"}},
		"another film":     {ok(`{"id":502,"title":"x"}`), 1, []string{"/movie/501", "film 502"}},
		"no id":            {ok(`{"title":"x"}`), 1, []string{"id"}},
		"popularity":       {ok(`{"id":501,"title":"x","popularity":"NaN"}`), 1, []string{"not a number"}},
		"too large a body": {ok(`"` + strings.Repeat("x", 1<<16) + `"`), 1, []string{"more than 32768 bytes"}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, 1,
			[]string{"302"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(c.answer)})
			client, _ := newClient(t, s, func(config *Config) { config.BodyBytesMax = 32 << 10 })
			_, err := client.Movie(t.Context(), "501")
			if err == nil || s.count() != c.requests {
				t.Fatalf("%v after %d requests, want %d", err, s.count(), c.requests)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), key) {
				t.Errorf("the key is in %q", err)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		s := newServer(t, nil)
		s.Close()
		client, _ := newClient(t, s, func(c *Config) { c.HTTP = nil })
		_, err := client.Movie(t.Context(), "501")
		var failed *Error
		if !errors.As(err, &failed) || failed.Attempts != 6 || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), "api_key") {
			t.Errorf("%v", err)
		}
	})
	t.Run("save fails", func(t *testing.T) {
		full := errors.New("disk full")
		s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(details))})
		client, _ := newClient(t, s, func(c *Config) { c.Save = func(string, []byte) error { return full } })
		if _, err := client.Movie(t.Context(), "501"); !errors.Is(err, full) || s.count() != 1 {
			t.Errorf("%v after %d requests", err, s.count())
		}
	})
}

func TestCancel(t *testing.T) {
	s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(slow)})
	client, _ := newClient(t, s, nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := client.Movie(ctx, "501")
		done <- err
	}()
	for s.count() == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || s.count() != 1 {
		t.Errorf("%v after %d requests", err, s.count())
	}
	// The default Sleep ends with its context as well.
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("sleep: %v", err)
	}
}

func TestKeys(t *testing.T) {
	if _, err := New(Config{Key: " \n"}); !errors.Is(err, ErrNoKey) {
		t.Errorf("no key: %v", err)
	}
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"
	s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(details))})
	for given, bearer := range map[string]bool{token + "\n": true, "Bearer " + token: true, "bearer  " + token + " ": true, "Authorization: Bearer " + token: true,
		`"` + token + `"`: true, key: false, "'" + key + "'": false} {
		client, _ := newClient(t, s, func(c *Config) { c.Key = given })
		if _, err := client.Movie(t.Context(), "501"); err != nil {
			t.Fatal(err)
		}
		r := s.requests[len(s.requests)-1]
		if bearer && (r.Header.Get("Authorization") != "Bearer "+token || r.URL.Query().Has("api_key")) {
			t.Errorf("%q: header %q, query %v", given, r.Header.Get("Authorization"), r.URL.Query())
		}
		if !bearer && (r.Header.Get("Authorization") != "" || r.URL.Query().Get("api_key") != key) {
			t.Errorf("%q: header %q, query %v", given, r.Header.Get("Authorization"), r.URL.Query())
		}
	}
	for _, wrong := range []string{key + " " + key, "my key", "key\x00"} {
		if _, err := New(Config{Key: wrong}); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), wrong) {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "http://127.0.0.1:8080/3/", "https://tmdb.example.org/3"} {
		if _, err := New(Config{Key: key, BaseURL: address}); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []string{"127.0.0.1:8080", "ftp://x/3", "https://", "https://x/3?api_key=1", "://"} {
		if _, err := New(Config{Key: key, BaseURL: address}); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), URLVariable) {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// What can be done without is left out where it is not what it should be; the film stays.
func TestOddFields(t *testing.T) {
	for text, want := range map[string]Movie{
		`"release_date":"2024"`:                                  {Movie: dataset.Movie{Year: 2024}},
		`"release_date":"2024-00-00"`:                            {Movie: dataset.Movie{Year: 2024}},
		`"release_date":"0001-01-01"`:                            {},
		`"release_date":"9999-01-01"`:                            {},
		`"release_date":"soon"`:                                  {},
		`"release_date":null`:                                    {},
		`"release_date":"2019-03-08"`:                            {Movie: dataset.Movie{Year: 2019}, ReleaseDate: "2019-03-08"},
		`"imdb_id":null`:                                         {},
		`"imdb_id":"tt"`:                                         {},
		`"imdb_id":"nm0000001"`:                                  {},
		`"imdb_id":"0111161"`:                                    {Movie: dataset.Movie{IMDbID: "tt0111161"}},
		`"imdb_id":"tt0111161 "`:                                 {Movie: dataset.Movie{IMDbID: "tt0111161"}},
		`"vote_average":10.5`:                                    {},
		`"popularity":-1,"runtime":-5`:                           {},
		`"original_language":"e\nn"`:                             {Language: "e n"},
		`"keywords":{"keywords":[{"name":" "},{"name":"a\tb"}]}`: {Keywords: []string{"a b"}},
		`"genres":[{"id":18,"name":"Dra\u0000ma"},{"name":""}]`:  {Movie: dataset.Movie{Genres: []string{"Dra ma"}}},
	} {
		s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(`{"id":501,"title":"Tin\n",` + text + `}`))})
		client, _ := newClient(t, s, nil)
		want.ID, want.TMDBID, want.Source, want.Title = "501", "501", "tmdb", "Tin"
		if got, err := client.Movie(t.Context(), "501"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
		}
	}
	s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(`{"id":501,"title":"Tin","overview":"` + strings.Repeat("ü", 5000) + `"}`))})
	client, _ := newClient(t, s, nil)
	if m, err := client.Movie(t.Context(), "501"); err != nil || len(m.Overview) > 8192 || !strings.HasSuffix(m.Overview, "ü…") {
		t.Errorf("%d bytes, %v", len(m.Overview), err)
	}
}

// An entry of a list that is no film does not end the list.
func TestOddEntries(t *testing.T) {
	s := newServer(t, map[string][]http.HandlerFunc{
		"/genre/movie/list": answers(ok(genresJSON)),
		"/movie/popular?page=1": answers(ok(`{"page":1,"total_pages":2,"results":[{"id":1,"title":"One"},{"title":"No id"},{"id":2},{"id":3,"title":{"en":"x"}},` +
			`{"id":4,"title":"x","popularity":"NaN"},null,7,{"id":1.5,"title":"Half"}]}`)),
		"/movie/popular?page=2": answers(ok(`{"page":2,"total_pages":2,"results":[{"id":5,"title":"Five"}]}`)),
	})
	client, _ := newClient(t, s, nil)
	var got, odd []string
	for m, err := range client.Popular(t.Context(), 0) {
		var unusable *UnusableError
		switch {
		case errors.As(err, &unusable):
			odd = append(odd, unusable.Place)
		case err != nil:
			t.Fatal(err)
		default:
			got = append(got, m.Title)
		}
	}
	if !slices.Equal(got, []string{"One", "Five"}) || len(odd) != 7 || odd[0] != "/movie/popular, page 1, results[1]" {
		t.Errorf("films %q, passed over %q", got, odd)
	}
}

func TestRate(t *testing.T) {
	s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(ok(details))})
	client, clock := newClient(t, s, func(c *Config) { c.PerSecond, c.Burst = 4, 3 })
	start := clock.Now()
	for range 11 {
		if _, err := client.Movie(t.Context(), "501"); err != nil {
			t.Fatal(err)
		}
	}
	if took := clock.Now().Sub(start); took != 2*time.Second { // 3 at once, then 8 at 4 a second
		t.Errorf("11 requests took %v of the clock", took)
	}
}

func TestBackoffIsSeeded(t *testing.T) {
	slept := func(seed uint64) []time.Duration {
		s := newServer(t, map[string][]http.HandlerFunc{"/movie/501": answers(page(500))})
		client, clock := newClient(t, s, func(c *Config) { c.Seed, c.BackoffMax = seed, 3*time.Second })
		if _, err := client.Movie(t.Context(), "501"); err == nil {
			t.Fatal("no error")
		}
		return clock.slept
	}
	one, again, other := slept(1), slept(1), slept(2)
	if !slices.Equal(one, again) || slices.Equal(one, other) {
		t.Errorf("seed 1: %v and %v, seed 2: %v", one, again, other)
	}
	for i, base := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		if one[i] < base/2 || one[i] > base {
			t.Errorf("attempt %d waited %v, want %v to %v", i+1, one[i], base/2, base)
		}
	}
}

// TestRecordedAnswers reads real answers of the API, which are never part of the project.
func TestRecordedAnswers(t *testing.T) {
	dir := realdata.Path(t, "tmdb")
	read := func(name ...string) http.HandlerFunc {
		raw, err := os.ReadFile(filepath.Join(append([]string{dir}, name...)...))
		if err != nil {
			t.Skipf("SKIPPED, recorded answers are absent: %v", err)
		}
		return ok(string(raw))
	}
	s := newServer(t, map[string][]http.HandlerFunc{
		"/genre/movie/list":     answers(read("genre", "list.json")),
		"/movie/87421":          answers(read("movie", "all.json")),
		"/movie/popular?page=1": answers(read("keywords", "movies.json")),
	})
	client, _ := newClient(t, s, nil)
	m, err := client.Movie(t.Context(), "87421")
	if err != nil {
		t.Fatal(err)
	}
	if m.Year != 2013 || m.IMDbID != "tt1411250" || len(m.Genres) != 3 || len(m.Keywords) != 4 || len(m.Cast) != castMax || len(m.Directors) != 1 || m.RuntimeMinutes != 119 || m.Popularity < 93 {
		t.Errorf("%+v", m)
	}
	if list, err := titles(client.Popular(t.Context(), 1)); err != nil || len(list) < 10 {
		t.Errorf("%d films, %v", len(list), err)
	}
	if genres, err := client.Genres(t.Context()); err != nil || genres[28] != "Action" {
		t.Errorf("%v, %v", genres, err)
	}
}

// The key may need escaping, and then has two spellings.
func TestHideKey(t *testing.T) {
	c := Client{config: Config{Key: "a/b c"}}
	inner := fmt.Errorf("dial %s and %s", "a/b c", url.QueryEscape("a/b c"))
	if got := c.redact(&url.Error{Op: "Get", URL: "http://x?api_key=a%2Fb+c", Err: inner}).Error(); got != "dial [key] and [key]" {
		t.Errorf("got %q", got)
	}
}
