package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// Movie is one film, as far as the data sets describe it.
type Movie struct {
	ID     string   // canonical
	Title  string   // natural word order, without the year
	Year   int      // of release; 0 where it is not known
	Genres []string // see [NormaliseGenres]; nil where there are none
	IMDbID string   // "tt0114709", or ""
	TMDBID string   // "862", or ""
	Source string   // "movielens", "movietweetings", "csv", "tmdb" or "simulated"
}

// Event is the film as the log has it.
func (m *Movie) Event() events.Movie {
	return events.Movie{MovieID: m.ID, Title: m.Title, Year: m.Year, Genres: m.Genres, IMDbID: m.IMDbID, TMDBID: m.TMDBID}
}

// Movies yields the films, each once: where several lines are about one, the last counts. For a line that is
// not what the layout says, or that the log would not take, it yields a [*LineError] with its text and goes
// on; any other error ends the sequence. All lines are read before the first film is given.
func (s *Set) Movies(ctx context.Context) iter.Seq2[Movie, error] {
	return func(yield func(Movie, error) bool) {
		if s.Layout == LayoutTable {
			s.items(ctx, yield)
			return
		}
		var films []Movie
		index, more := map[string]int{}, true
		err := s.eachMovie(ctx, func(m Movie, bad *LineError) bool {
			if bad != nil {
				more = yield(Movie{}, bad)
				return more
			}
			if i, again := index[m.ID]; again {
				films[i] = m
				return true
			}
			index[m.ID] = len(films)
			films = append(films, m)
			return true
		})
		if !more {
			return
		}
		if err == nil && len(films) == 0 {
			err = s.fault(s.movies, 0, "file", "", "at least one film that can be read")
		}
		if err != nil {
			yield(Movie{}, err)
			return
		}
		for _, m := range films {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// eachMovie gives every line of the films' file, as a film or as what is wrong with it.
func (s *Set) eachMovie(ctx context.Context, each func(Movie, *LineError) bool) error {
	switch s.Layout {
	case LayoutCSV:
		return s.eachCSVMovie(ctx, each)
	case LayoutUData:
		return s.eachItem(ctx, each)
	}
	return s.eachDatMovie(ctx, each)
}

// checked is the film, or what the log has against it.
func (s *Set) checked(m Movie, line int64) (Movie, *LineError) {
	err := (&commands.ListMovie{Movie: m.Event(), Dataset: s.Name}).Validate()
	if err == nil {
		return m, nil
	}
	bad := s.fault(s.movies, line, "film", "", "")
	bad.Err = errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	return Movie{}, bad
}

// eachCSV reads a csv file with the given header.
func (s *Set) eachCSV(ctx context.Context, name string, header []string, each func(line int64, text []byte, fields []string, bad *LineError) bool) error {
	split := splitter{sep: []byte{s.comma()}, quotes: true}
	first, fields := true, []string{}
	var wrong *LineError
	err := s.eachRecord(ctx, name, movieBytesMax, func(in *records, text []byte, bad *LineError) bool {
		fields = fields[:0]
		if bad == nil {
			raw, err := split.split(text)
			if err != nil {
				bad = s.fault(name, in.line, "record", string(text), err.Error())
			}
			for _, f := range raw {
				fields = append(fields, string(f))
			}
		}
		if first {
			first = false
			if !slices.Equal(fields, header) {
				wrong = s.fault(name, in.line, "header", string(text), strings.Join(header, ","))
			}
			return wrong == nil
		}
		if bad == nil && len(fields) != len(header) {
			bad = s.fault(name, in.line, "record", string(text), fmt.Sprintf("%d fields: %s", len(header), strings.Join(header, ",")))
		}
		return each(in.line, text, fields, bad)
	})
	switch {
	case wrong != nil:
		return wrong
	case err == nil && first:
		return s.fault(name, 1, "header", "", strings.Join(header, ","))
	}
	return err
}

func (s *Set) eachCSVMovie(ctx context.Context, each func(Movie, *LineError) bool) error {
	links, more, err := s.readLinks(ctx, each)
	if err != nil || !more {
		return err
	}
	return s.eachCSV(ctx, s.movies, []string{"movieId", "title", "genres"}, func(line int64, text []byte, fields []string, bad *LineError) bool {
		m := Movie{Source: s.kind()}
		if bad == nil {
			m, bad = s.csvMovie(line, fields)
		}
		if bad != nil {
			return each(Movie{}, bad.of(text))
		}
		l := links[m.ID]
		m.IMDbID, m.TMDBID = l.imdb, l.tmdb
		return each(m, nil)
	})
}

func (s *Set) csvMovie(line int64, fields []string) (Movie, *LineError) {
	id, title := fields[0], fields[1]
	if !isNumber([]byte(id)) {
		return Movie{}, s.fault(s.movies, line, "movieId", id, "1 to 18 digits")
	}
	if !utf8.ValidString(title) {
		return Movie{}, s.fault(s.movies, line, "title", title, "UTF-8")
	}
	m := Movie{ID: events.CanonicalMovie(id), Source: s.kind(), Genres: NormaliseGenres(strings.Split(fields[2], "|"))}
	m.Title, m.Year = splitYear(strings.Map(windows1252, title))
	if m.Title = naturalTitle(m.Title); m.Title == "" {
		return Movie{}, s.fault(s.movies, line, "title", title, "a title")
	}
	return s.checked(m, line)
}

// link is what links.csv says of a film.
type link struct{ imdb, tmdb string }

// readLinks reads links.csv, if there is one. A line of it that cannot be read is given to each, whose word
// more is.
func (s *Set) readLinks(ctx context.Context, each func(Movie, *LineError) bool) (links map[string]link, more bool, err error) {
	links, more = map[string]link{}, true
	if s.links == "" {
		return links, more, nil
	}
	err = s.eachCSV(ctx, s.links, []string{"movieId", "imdbId", "tmdbId"}, func(line int64, text []byte, fields []string, bad *LineError) bool {
		if bad == nil {
			bad = s.readLink(links, line, fields)
		}
		if bad != nil {
			more = each(Movie{}, bad.of(text))
		}
		return more
	})
	return links, more, err
}

func (s *Set) readLink(links map[string]link, line int64, fields []string) *LineError {
	id, tmdb := fields[0], strings.TrimSpace(fields[2])
	if !isNumber([]byte(id)) {
		return s.fault(s.links, line, "movieId", id, "1 to 18 digits")
	}
	imdb, ok := events.CanonicalIMDb(fields[1])
	if !ok {
		return s.fault(s.links, line, "imdbId", fields[1], "digits, with or without tt before them, or nothing")
	}
	if tmdb != "" && !isNumber([]byte(tmdb)) {
		return s.fault(s.links, line, "tmdbId", tmdb, "digits, or nothing")
	}
	links[events.CanonicalMovie(id)] = link{imdb, tmdb}
	return nil
}

// eachText reads a file of the older layouts, which are UTF-8 (ml-10m, MovieTweetings) or Windows-1252
// (ml-100k, ml-1m, which call it Latin-1): a line that is not valid UTF-8 is the latter. A line that is too
// long is not given.
func (s *Set) eachText(ctx context.Context, name string, each func(line int64, raw []byte, text string, bad *LineError) bool) error {
	return s.eachRecord(ctx, name, movieBytesMax, func(in *records, raw []byte, bad *LineError) bool {
		text := ""
		if bad == nil {
			text = decoded(raw)
		}
		return each(in.line, raw, text, bad)
	})
}

func decoded(raw []byte) string {
	if utf8.Valid(raw) {
		return strings.Map(windows1252, string(raw))
	}
	var out strings.Builder
	for _, c := range raw {
		out.WriteRune(windows1252(rune(c)))
	}
	return out.String()
}

// signs1252 are what Windows-1252 has where Latin-1 has the control characters U+0080 to U+009F; its five
// unassigned bytes stay what they are.
var signs1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

// windows1252 is the character that was meant by one of Latin-1. Nobody writes control characters into a
// title; where they stand, a text of Windows-1252 was taken for Latin-1 on the way.
func windows1252(r rune) rune {
	if r >= 0x80 && r < 0xa0 {
		return signs1252[r-0x80]
	}
	return r
}

func (s *Set) eachDatMovie(ctx context.Context, each func(Movie, *LineError) bool) error {
	return s.eachText(ctx, s.movies, func(line int64, raw []byte, text string, bad *LineError) bool {
		var m Movie
		if bad == nil {
			m, bad = s.datMovie(line, text)
		}
		if bad != nil {
			return each(Movie{}, bad.of(raw))
		}
		return each(m, nil)
	})
}

func (s *Set) datMovie(line int64, text string) (Movie, *LineError) {
	// A title may hold "::": it is what lies between the first and the last one.
	first, last := strings.Index(text, "::"), strings.LastIndex(text, "::")
	if first < 0 || last < first+2 {
		return Movie{}, s.fault(s.movies, line, "line", text, "id::title (year)::genre|genre")
	}
	id, title := text[:first], text[first+2:last]
	if !isNumber([]byte(id)) {
		return Movie{}, s.fault(s.movies, line, "movie id", id, "1 to 18 digits")
	}
	m := Movie{ID: events.CanonicalMovie(id), Source: s.kind(), Genres: NormaliseGenres(strings.Split(text[last+2:], "|"))}
	m.Title, m.Year = splitYear(title)
	if s.Layout == LayoutMovieTweetings {
		m.IMDbID, _ = events.CanonicalIMDb(id)
	} else {
		m.Title = naturalTitle(m.Title)
	}
	if m.Title == "" {
		return Movie{}, s.fault(s.movies, line, "title", title, "a title")
	}
	return s.checked(m, line)
}

// itemGenres are the 19 flags of u.item, where u.genre does not name them.
var itemGenres = []string{"unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
	"Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"}

func (s *Set) eachItem(ctx context.Context, each func(Movie, *LineError) bool) error {
	genres, err := s.readGenres(ctx)
	if err != nil {
		return err
	}
	return s.eachText(ctx, s.movies, func(line int64, raw []byte, text string, bad *LineError) bool {
		var m Movie
		if bad == nil {
			m, bad = s.item(line, text, genres)
		}
		if bad != nil {
			return each(Movie{}, bad.of(raw))
		}
		return each(m, nil)
	})
}

// readGenres reads u.genre, on whose every line each film depends.
func (s *Set) readGenres(ctx context.Context) ([]string, error) {
	if s.genres == "" {
		return itemGenres, nil
	}
	var genres []string
	var wrong *LineError
	err := s.eachText(ctx, s.genres, func(line int64, _ []byte, text string, bad *LineError) bool {
		name, number, ok := strings.Cut(text, "|")
		if wrong = bad; wrong == nil && (!ok || number != strconv.Itoa(len(genres))) {
			wrong = s.fault(s.genres, line, "genre", text, "name|"+strconv.Itoa(len(genres)))
		}
		genres = append(genres, name)
		return wrong == nil
	})
	if wrong != nil {
		return nil, wrong
	}
	return genres, err
}

func (s *Set) item(line int64, text string, genres []string) (Movie, *LineError) {
	const before = 5 // id, title, release date, video release date, IMDb URL
	fields := strings.Split(text, "|")
	if len(fields) != before+len(genres) {
		return Movie{}, s.fault(s.movies, line, "line", text, fmt.Sprintf("%d fields separated by |, found %d", before+len(genres), len(fields)))
	}
	if !isNumber([]byte(fields[0])) {
		return Movie{}, s.fault(s.movies, line, "movie id", fields[0], "1 to 18 digits")
	}
	m := Movie{ID: events.CanonicalMovie(fields[0]), Source: s.kind()}
	m.Title, m.Year = splitYear(fields[1])
	if m.Title = naturalTitle(m.Title); m.Title == "" {
		return Movie{}, s.fault(s.movies, line, "title", fields[1], "a title")
	}
	if date := fields[2]; m.Year == 0 && len(date) >= 4 { // 01-Jan-1995
		if y, err := strconv.Atoi(date[len(date)-4:]); err == nil {
			m.Year = y
		}
	}
	var named []string
	for i, flag := range fields[before:] {
		switch flag {
		case "1":
			named = append(named, genres[i])
		case "0":
		default:
			return Movie{}, s.fault(s.movies, line, "genre flag "+genres[i], flag, "0 or 1")
		}
	}
	m.Genres = NormaliseGenres(named)
	return s.checked(m, line)
}

// splitYear takes "Title (1995)" and "Title (2006–2007)" apart; a title without a year has year 0.
func splitYear(title string) (string, int) {
	title = strings.TrimSpace(title)
	open := strings.LastIndexByte(title, '(')
	if open < 0 || !strings.HasSuffix(title, ")") {
		return title, 0
	}
	inside := strings.TrimSpace(title[open+1 : len(title)-1])
	if len(inside) < 4 {
		return title, 0
	}
	year, err := strconv.Atoi(inside[:4])
	if err != nil || year < 1870 || year > 2100 { // films begin in 1874
		return title, 0
	}
	if rest := strings.TrimSpace(inside[4:]); rest != "" {
		rest = strings.TrimLeft(strings.TrimLeft(rest, "-–—"), " ")
		if len(rest) == len(inside[4:]) || strings.Trim(rest, "0123456789") != "" {
			return title, 0
		}
	}
	if name := strings.TrimSpace(title[:open]); name != "" {
		return name, year
	}
	return title, 0
}

// articles stand at the end of MovieLens' titles. Those that are also common last words in English
// ("I", "As", "O") are left where they are.
var articles = []string{"The", "A", "An", "Le", "La", "Les", "L'", "Un", "Une", "El", "Los", "Las", "Una", "Il", "Lo", "Gli", "Der", "Die", "Das", "Ein", "Eine", "Den", "Det", "De", "Het"}

// naturalTitle turns "Matrix, The" into "The Matrix", also inside the brackets of
// "City of Lost Children, The (Cité des enfants perdus, La)".
func naturalTitle(title string) string {
	if head, inside, ok := strings.Cut(title, " ("); ok {
		return articleFirst(head) + " (" + bracketed(inside)
	}
	return articleFirst(title)
}

// bracketed handles the rest of a title after its first " (".
func bracketed(inside string) string {
	end := strings.IndexByte(inside, ')')
	if end < 0 {
		return inside
	}
	rest := inside[end:]
	if head, more, ok := strings.Cut(rest, " ("); ok {
		rest = head + " (" + bracketed(more)
	}
	const aka = "a.k.a. "
	if name, ok := strings.CutPrefix(inside[:end], aka); ok {
		return aka + articleFirst(name) + rest
	}
	return articleFirst(inside[:end]) + rest
}

func articleFirst(title string) string {
	comma := strings.LastIndex(title, ", ")
	if comma <= 0 || !slices.Contains(articles, title[comma+2:]) {
		return title
	}
	article := title[comma+2:]
	if !strings.HasSuffix(article, "'") {
		article += " "
	}
	return article + title[:comma]
}

// genreNames are the spellings that differ between the sources, by what they become.
var genreNames = map[string]string{
	"(no genres listed)": "", "unknown": "", "N/A": "",
	"Children's": "Children", "Science Fiction": "Sci-Fi", "Film Noir": "Film-Noir",
}

// NormaliseGenres gives every genre one spelling over all sources, drops the words for none and what is
// repeated, and keeps the order. It returns nil where nothing is left.
func NormaliseGenres(genres []string) []string {
	var out []string
	for _, g := range genres {
		g = strings.TrimSpace(g)
		if name, ok := genreNames[g]; ok {
			g = name
		}
		if g != "" && !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}
