package commands

import (
	"fmt"
	"time"

	"github.com/projectionist/projectionist/events"
)

// ListMovie says that a data set lists a film. An unchanged listing of the same data set is no event.
type ListMovie struct {
	events.Movie
	Dataset string `json:"dataset"`
	// IfNew is for a data set that knows of the film no more than its id: a film that is listed or fetched
	// already is left as it is.
	IfNew bool `json:"if_new,omitempty"`
}

func (*ListMovie) CommandType() string { return "movie.list" }
func (c *ListMovie) Stream() string    { return movieStream(c.MovieID) }

func (c *ListMovie) Validate() error {
	var f faults
	f.movie(&c.Movie)
	f.required("dataset", c.Dataset, NameBytesMax)
	return f.err()
}

// FetchMovie records that TMDB's details of a film were fetched, the raw answer being kept as a blob.
// Details that are unchanged are no event; those of another film of TMDB's than the one this film is are
// refused as a conflict.
type FetchMovie struct {
	events.Movie
	RawSHA256 string `json:"raw_sha256"`
}

func (*FetchMovie) CommandType() string { return "movie.fetch" }
func (c *FetchMovie) Stream() string    { return movieStream(c.MovieID) }

func (c *FetchMovie) Validate() error {
	var f faults
	f.movie(&c.Movie)
	f.sha256("raw_sha256", c.RawSHA256)
	return f.err()
}

// HideMovie keeps a film off every list until [UnhideMovie]. The same reason again is no event.
type HideMovie struct {
	MovieID string `json:"movie_id"`
	Reason  string `json:"reason"`
}

func (*HideMovie) CommandType() string { return "movie.hide" }
func (c *HideMovie) Stream() string    { return movieStream(c.MovieID) }

func (c *HideMovie) Validate() error {
	var f faults
	f.id("movie_id", c.MovieID)
	f.required("reason", c.Reason, TextBytesMax)
	return f.err()
}

// UnhideMovie lets a film be on lists again. Of one that is not hidden it is no event.
type UnhideMovie struct {
	MovieID string `json:"movie_id"`
	Reason  string `json:"reason,omitempty"`
}

func (*UnhideMovie) CommandType() string { return "movie.unhide" }
func (c *UnhideMovie) Stream() string    { return movieStream(c.MovieID) }

func (c *UnhideMovie) Validate() error {
	var f faults
	f.id("movie_id", c.MovieID)
	f.line("reason", c.Reason, TextBytesMax)
	return f.err()
}

func movieStream(id string) string { return "movie/" + events.CanonicalMovie(id) }

const (
	listMax          = 256  // genres or keywords of a film
	movieYearMin     = 1870 // before the first moving pictures
	movieYearMax     = 2100
	voteAverageMax   = 10 // TMDB's scale
	releaseDateShape = "2006-01-02"
)

func (f *faults) movie(m *events.Movie) {
	f.id("movie_id", m.MovieID)
	f.required("title", m.Title, 1024)
	if m.Year != 0 && (m.Year < movieYearMin || m.Year > movieYearMax) {
		f.add("year", "is %d; want %d to %d, or 0 for unknown", m.Year, movieYearMin, movieYearMax)
	}
	f.list("genres", m.Genres)
	f.list("keywords", m.Keywords)
	f.line("imdb_id", m.IMDbID, IDBytesMax)
	if _, ok := events.CanonicalIMDb(m.IMDbID); !ok {
		f.add("imdb_id", "is %q; want tt and digits, or nothing", m.IMDbID)
	}
	f.line("tmdb_id", m.TMDBID, IDBytesMax)
	f.text("overview", m.Overview, TextBytesMax)
	f.line("language", m.Language, IDBytesMax)
	f.atLeast("runtime_minutes", int64(m.RuntimeMinutes), 0)
	if m.ReleaseDate != "" {
		if _, err := time.Parse(releaseDateShape, m.ReleaseDate); err != nil {
			f.add("release_date", "is %q; want YYYY-MM-DD", m.ReleaseDate)
		}
	}
	f.line("poster_path", m.PosterPath, 1024)
	f.nonNegative("popularity", m.Popularity)
	if f.nonNegative("vote_average", m.VoteAverage); m.VoteAverage > voteAverageMax {
		f.add("vote_average", "is %v; the most is %d", m.VoteAverage, voteAverageMax)
	}
	f.atLeast("vote_count", int64(m.VoteCount), 0)
}

func (f *faults) list(field string, v []string) {
	if len(v) > listMax {
		f.add(field, "has %d entries; the most is %d", len(v), listMax)
		return
	}
	for i, s := range v {
		f.required(fmt.Sprintf("%s[%d]", field, i), s, NameBytesMax)
	}
}
