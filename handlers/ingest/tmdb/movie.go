package tmdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
)

// Movie is a film as TMDB knows it. ID and TMDBID are TMDB's id, Source is "tmdb".
type Movie struct {
	dataset.Movie
	Overview       string
	Language       string  // original language, ISO 639-1
	Popularity     float64 // TMDB's own measure, ≥ 0, without a bound
	VoteAverage    float64 // 0–10
	VoteCount      int64
	PosterPath     string // below an image server's address, or ""
	ReleaseDate    string // 2013-09-06, or ""
	RuntimeMinutes int64  // 0 where unknown, and in lists

	Keywords  []string // details only
	Directors []string // details only
	Cast      []string // details only, in billing order, at most castMax
}

const (
	// castMax is how many of the cast are kept: those that people choose a film for.
	castMax = 10
	// pageMax is TMDB's own limit; it answers a later page with an error.
	pageMax = 500
	// invalidPage is TMDB's status_code for a page beyond its limit.
	invalidPage = 22
	// overviewBytesMax is where an overview is cut off; TMDB's longest have some 1,000 characters.
	overviewBytesMax = 8000
	voteAverageMax   = 10
	// yearMin and yearMax are what a film's year can be: some are announced decades ahead.
	yearMin, yearMax = 1870, 2100
)

// UnusableError is an entry of a list, or a film's details, of which no film can be made. A list goes on after
// it.
type UnusableError struct {
	Place string // "/movie/popular, page 1, results[3]" or "/movie/603"
	Err   error
}

func (e *UnusableError) Error() string { return "tmdb: " + e.Place + ": " + e.Err.Error() }
func (e *UnusableError) Unwrap() error { return e.Err }

// number is a JSON number, which TMDB has also sent as a string; null and "" are 0.
type number float64

func (n *number) UnmarshalJSON(raw []byte) error {
	s := strings.Trim(string(raw), `"`)
	if s == "" || s == "null" {
		*n = 0
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Errorf("%s is not a number", raw)
	}
	*n = number(f)
	return nil
}

type genre struct {
	ID   number `json:"id"`
	Name string `json:"name"`
}

// film is the union of TMDB's shapes of a film, in lists and in details.
type film struct {
	ID               number   `json:"id"`
	IMDbID           string   `json:"imdb_id"`
	Title            string   `json:"title"`
	OriginalTitle    string   `json:"original_title"`
	OriginalLanguage string   `json:"original_language"`
	Overview         string   `json:"overview"`
	Popularity       number   `json:"popularity"`
	PosterPath       string   `json:"poster_path"`
	ReleaseDate      string   `json:"release_date"`
	Runtime          number   `json:"runtime"`
	VoteAverage      number   `json:"vote_average"`
	VoteCount        number   `json:"vote_count"`
	GenreIDs         []number `json:"genre_ids"`
	Genres           []genre  `json:"genres"`
	Keywords         struct {
		Keywords []genre `json:"keywords"`
	} `json:"keywords"`
	Credits struct {
		Cast []struct {
			Name  string `json:"name"`
			Order number `json:"order"`
		} `json:"cast"`
		Crew []struct {
			Name string `json:"name"`
			Job  string `json:"job"`
		} `json:"crew"`
	} `json:"credits"`
}

func (f *film) movie(genres map[int64]string) (Movie, error) {
	if f.ID <= 0 || f.ID != number(int64(f.ID)) {
		return Movie{}, errors.New("id: a positive whole number is missing")
	}
	id := events.CanonicalMovie(strconv.FormatInt(int64(f.ID), 10))
	m := Movie{
		Movie:    dataset.Movie{ID: id, TMDBID: id, Source: "tmdb", Title: line(f.Title)},
		Overview: overview(f.Overview), Language: line(f.OriginalLanguage), PosterPath: line(f.PosterPath),
		Popularity: max(float64(f.Popularity), 0), VoteCount: max(int64(f.VoteCount), 0), RuntimeMinutes: max(int64(f.Runtime), 0),
	}
	if m.Title == "" {
		m.Title = line(f.OriginalTitle)
	}
	if m.Title == "" {
		return Movie{}, fmt.Errorf("title: film %s has none", id)
	}
	if f.VoteAverage > 0 && f.VoteAverage <= voteAverageMax {
		m.VoteAverage = float64(f.VoteAverage)
	}
	m.IMDbID, _ = events.CanonicalIMDb(f.IMDbID) // what is none is left out
	m.ReleaseDate, m.Year = released(f.ReleaseDate)
	var names []string
	for _, g := range f.Genres {
		names = append(names, line(g.Name))
	}
	for _, g := range f.GenreIDs {
		names = append(names, genres[int64(g)])
	}
	m.Genres = dataset.NormaliseGenres(names)
	for _, k := range f.Keywords.Keywords {
		if name := line(k.Name); name != "" {
			m.Keywords = append(m.Keywords, name)
		}
	}
	for i := range min(len(f.Credits.Cast), castMax) {
		m.Cast = append(m.Cast, f.Credits.Cast[i].Name)
	}
	for _, c := range f.Credits.Crew {
		if c.Job == "Director" {
			m.Directors = append(m.Directors, c.Name)
		}
	}
	return m, nil
}

// line is a text in one line, without control characters.
func line(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}

func overview(text string) string {
	if len(text) <= overviewBytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:overviewBytesMax], "") + "…"
}

// released reads a release date: as it is, or of a text that only begins with a year that year alone; what
// says neither is unknown.
func released(text string) (date string, year int) {
	if len(text) >= 4 {
		year, _ = strconv.Atoi(text[:4]) // no number: unknown
	}
	if year < yearMin || year > yearMax {
		return "", 0
	}
	if _, err := time.Parse(time.DateOnly, text); err == nil {
		date = text
	}
	return date, year
}

// Movie reads one film's details, with keywords and credits. An id that TMDB does not know is an [*Error]
// with Status 404, details of which no film can be made an [*UnusableError].
func (c *Client) Movie(ctx context.Context, id string) (Movie, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= 0 {
		return Movie{}, fmt.Errorf("tmdb: id %q: expected a positive whole number", id)
	}
	id = strconv.FormatInt(n, 10)
	endpoint := "/movie/" + id
	raw, err := c.get(ctx, endpoint, url.Values{"append_to_response": {"keywords,credits"}}, "movie-"+id+".json")
	if err != nil {
		return Movie{}, err
	}
	m, err := readFilm(raw, nil)
	if err == nil && m.ID != id {
		err = fmt.Errorf("id: the answer is about film %s", m.ID)
	}
	if err != nil {
		return Movie{}, &UnusableError{endpoint, err}
	}
	return m, nil
}

// readFilm reads a film in any of TMDB's shapes.
func readFilm(raw []byte, genres map[int64]string) (Movie, error) {
	var f film
	if err := json.Unmarshal(raw, &f); err != nil {
		return Movie{}, fmt.Errorf("the answer has another shape: %w", err)
	}
	return f.movie(genres)
}

// Popular yields the films of /movie/popular, each once, in TMDB's order, reading up to the given number
// of pages of 20 (0: all that TMDB gives, 500). An entry that is no film yields an [*UnusableError]; any other
// error ends the sequence.
func (c *Client) Popular(ctx context.Context, pages int) iter.Seq2[Movie, error] {
	return c.list(ctx, "popular", pages)
}

// TopRated is [Client.Popular] for /movie/top_rated.
func (c *Client) TopRated(ctx context.Context, pages int) iter.Seq2[Movie, error] {
	return c.list(ctx, "top_rated", pages)
}

func (c *Client) list(ctx context.Context, name string, pages int) iter.Seq2[Movie, error] {
	if pages <= 0 || pages > pageMax {
		pages = pageMax
	}
	return func(yield func(Movie, error) bool) {
		genres, err := c.Genres(ctx)
		if err != nil {
			yield(Movie{}, err)
			return
		}
		// The order changes while pages are read, so that a film may come again on the next one.
		seen := map[string]bool{}
		endpoint := "/movie/" + name
		for page := 1; page <= pages; page++ {
			var answer struct {
				Results    []json.RawMessage `json:"results"`
				TotalPages number            `json:"total_pages"`
			}
			saveAs := name + ".json"
			if page > 1 {
				saveAs = fmt.Sprintf("%s-%d.json", name, page)
			}
			err := c.decode(ctx, endpoint, url.Values{"page": {strconv.Itoa(page)}}, saveAs, &answer)
			var refused *Error
			if page > 1 && errors.As(err, &refused) && refused.Code == invalidPage {
				return
			}
			if err != nil {
				yield(Movie{}, err)
				return
			}
			for i, raw := range answer.Results {
				m, err := readFilm(raw, genres)
				if err != nil {
					err = &UnusableError{fmt.Sprintf("%s, page %d, results[%d]", endpoint, page, i), err}
				} else if seen[m.ID] {
					continue
				}
				seen[m.ID] = true
				if !yield(m, err) {
					return
				}
			}
			if len(answer.Results) == 0 || page >= int(answer.TotalPages) {
				return
			}
		}
	}
}

// Genres is TMDB's list of film genres by id, read once per client. The map is not to be changed.
func (c *Client) Genres(ctx context.Context) (map[int64]string, error) {
	c.mu.Lock()
	genres := c.genres
	c.mu.Unlock()
	if genres != nil {
		return genres, nil
	}
	var answer struct {
		Genres []genre `json:"genres"`
	}
	if err := c.decode(ctx, "/genre/movie/list", nil, "genres.json", &answer); err != nil {
		return nil, err
	}
	genres = make(map[int64]string, len(answer.Genres))
	for _, g := range answer.Genres {
		genres[int64(g.ID)] = g.Name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.genres = genres
	return genres, nil
}

func (c *Client) decode(ctx context.Context, endpoint string, query url.Values, saveAs string, into any) error {
	raw, err := c.get(ctx, endpoint, query, saveAs)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return &Error{Endpoint: endpoint, Status: http.StatusOK, Err: fmt.Errorf("the answer has another shape: %w", err)}
	}
	return nil
}
