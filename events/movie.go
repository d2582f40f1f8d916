package events

// Movie is what a source says of a film.
type Movie struct {
	MovieID  string   `json:"movie_id"`
	Title    string   `json:"title"`
	Year     int      `json:"year,omitempty"` // of release; 0 unknown
	Genres   []string `json:"genres,omitempty"`
	IMDbID   string   `json:"imdb_id,omitempty"` // "tt0111161", see CanonicalIMDb
	TMDBID   string   `json:"tmdb_id,omitempty"`
	Overview string   `json:"overview,omitempty"`
	Language string   `json:"language,omitempty"` // ISO 639-1

	RuntimeMinutes int      `json:"runtime_minutes,omitempty"`
	ReleaseDate    string   `json:"release_date,omitempty"` // YYYY-MM-DD
	Keywords       []string `json:"keywords,omitempty"`
	PosterPath     string   `json:"poster_path,omitempty"`
	Popularity     float64  `json:"popularity,omitempty"`   // the source's own figure
	VoteAverage    float64  `json:"vote_average,omitempty"` // the source's own, 0..10
	VoteCount      int      `json:"vote_count,omitempty"`
}

// MovieListed says that a data set (or the simulated world) lists a film. Stream "movie/ID".
type MovieListed struct {
	Movie
	Dataset string `json:"dataset"` // "ml-latest-small", "movietweetings", "simulated"
}

func (*MovieListed) EventType() string { return "movie.listed" }

// MovieFetched says that TMDB's details of a film were fetched. Stream "movie/ID".
type MovieFetched struct {
	Movie
	RawSHA256 string `json:"raw_sha256"` // of the raw answer kept as a blob
}

func (*MovieFetched) EventType() string { return "movie.fetched" }

// MovieHidden says that a film is not to be on any list from now on. Stream "movie/ID".
type MovieHidden struct {
	MovieID string `json:"movie_id"`
	Reason  string `json:"reason"`
}

func (*MovieHidden) EventType() string { return "movie.hidden" }

// MovieUnhidden says that a hidden film may be on lists again. Stream "movie/ID".
type MovieUnhidden struct {
	MovieID string `json:"movie_id"`
	Reason  string `json:"reason,omitempty"`
}

func (*MovieUnhidden) EventType() string { return "movie.unhidden" }
