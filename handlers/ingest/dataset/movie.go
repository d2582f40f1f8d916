package dataset

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
	Source string   // "movielens", "movietweetings", "tmdb" or "simulated"
}

// Movies yields the films in the order of their file. The first error ends the sequence; for a line
// that is not what the layout says it is a [*LineError].
func (s *Set) Movies() iter.Seq2[Movie, error] {
	return func(yield func(Movie, error) bool) {
		var err error
		switch s.Layout {
		case LayoutCSV:
			err = s.eachCSVMovie(yield)
		case LayoutUData:
			err = s.eachItem(yield)
		default:
			err = s.eachDatMovie(yield)
		}
		if err != nil {
			yield(Movie{}, err)
		}
	}
}

func (s *Set) fault(name string, line int, field, got, want string) error {
	return &LineError{File: s.file(name), Line: int64(line), Field: field, Got: excerpt([]byte(got)), Want: want}
}

// eachRecord reads a CSV file with the given header. each gets a record that it may not keep.
func (s *Set) eachRecord(name string, header []string, each func(line int, record []string) (bool, error)) error {
	f, _, err := s.open(name, movieBytesMax)
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	for first := true; ; first = false {
		record, err := r.Read()
		if err == io.EOF {
			if first {
				return s.fault(name, 1, "header", "", strings.Join(header, ","))
			}
			return nil
		}
		var parse *csv.ParseError
		if errors.As(err, &parse) {
			return s.fault(name, parse.StartLine, fmt.Sprintf("record (%v):", parse.Err), "",
				"quoted fields to be closed, and quotes in them doubled")
		}
		if err != nil {
			return fmt.Errorf("dataset: %s: %w", s.file(name), err)
		}
		line, _ := r.FieldPos(0)
		if first {
			record[0] = strings.TrimPrefix(record[0], string(utf8BOM))
			if !slices.Equal(record, header) {
				return s.fault(name, line, "header", strings.Join(record, ","), strings.Join(header, ","))
			}
			continue
		}
		if len(record) != len(header) {
			return s.fault(name, line, "record", strings.Join(record, ","), fmt.Sprintf("%d fields: %s", len(header), strings.Join(header, ",")))
		}
		if more, err := each(line, record); !more || err != nil {
			return err
		}
	}
}

func (s *Set) eachCSVMovie(yield func(Movie, error) bool) error {
	type link struct{ imdb, tmdb string }
	links := map[string]link{}
	if s.links != "" {
		err := s.eachRecord(s.links, []string{"movieId", "imdbId", "tmdbId"}, func(line int, record []string) (bool, error) {
			if !isNumber([]byte(record[0])) {
				return false, s.fault(s.links, line, "movieId", record[0], "1 to 18 digits")
			}
			for i, field := range []string{1: "imdbId", 2: "tmdbId"} {
				if i > 0 && record[i] != "" && !isNumber([]byte(record[i])) {
					return false, s.fault(s.links, line, field, record[i], "digits, or nothing")
				}
			}
			links[events.CanonicalMovie(record[0])] = link{imdbID(record[1]), strings.Clone(record[2])}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return s.eachRecord(s.movies, []string{"movieId", "title", "genres"}, func(line int, record []string) (bool, error) {
		if !isNumber([]byte(record[0])) {
			return false, s.fault(s.movies, line, "movieId", record[0], "1 to 18 digits")
		}
		m := Movie{ID: events.CanonicalMovie(strings.Clone(record[0])), Source: s.kind()}
		if !utf8.ValidString(record[1]) {
			return false, s.fault(s.movies, line, "title", record[1], "UTF-8")
		}
		m.Title, m.Year = splitYear(strings.Clone(record[1]))
		m.Title = naturalTitle(m.Title)
		if m.Title == "" {
			return false, s.fault(s.movies, line, "title", record[1], "a title")
		}
		m.Genres = NormaliseGenres(strings.Split(strings.Clone(record[2]), "|"))
		l := links[m.ID]
		m.IMDbID, m.TMDBID = l.imdb, l.tmdb
		return yield(m, nil), nil
	})
}

// eachTextLine reads a file of the older layouts, which are Latin-1 (ml-100k, ml-1m) or UTF-8 (ml-10m,
// MovieTweetings): what is not valid UTF-8 as a whole is Latin-1.
func (s *Set) eachTextLine(name string, each func(line int, text string) (bool, error)) error {
	raw, err := s.readAll(name)
	if err != nil {
		return err
	}
	latin1 := !utf8.Valid(raw)
	line := 0
	for text := range bytes.Lines(raw) {
		line++
		text = bytes.TrimRight(text, "\r\n")
		if len(text) == 0 {
			continue // u.item and u.genre end with an empty line
		}
		decoded := string(text)
		if latin1 {
			decoded = decodeLatin1(text)
		}
		if more, err := each(line, decoded); !more || err != nil {
			return err
		}
	}
	return nil
}

func decodeLatin1(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String()
}

func (s *Set) eachDatMovie(yield func(Movie, error) bool) error {
	tweets := s.Layout == LayoutMovieTweetings
	return s.eachTextLine(s.movies, func(line int, text string) (bool, error) {
		// A title may hold "::": it is what lies between the first and the last one.
		first, last := strings.Index(text, "::"), strings.LastIndex(text, "::")
		if first < 0 || last < first+2 {
			return false, s.fault(s.movies, line, "line", text, "id::title (year)::genre|genre")
		}
		id, title := text[:first], text[first+2:last]
		if !isNumber([]byte(id)) {
			return false, s.fault(s.movies, line, "movie id", id, "1 to 18 digits")
		}
		m := Movie{ID: events.CanonicalMovie(id), Source: s.kind(), Genres: NormaliseGenres(strings.Split(text[last+2:], "|"))}
		m.Title, m.Year = splitYear(title)
		if tweets {
			m.IMDbID = imdbID(id)
		} else {
			m.Title = naturalTitle(m.Title)
		}
		if m.Title == "" {
			return false, s.fault(s.movies, line, "title", title, "a title")
		}
		return yield(m, nil), nil
	})
}

// itemGenres are the 19 flags of u.item, where u.genre does not name them.
var itemGenres = []string{"unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary",
	"Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"}

func (s *Set) eachItem(yield func(Movie, error) bool) error {
	genres := itemGenres
	if s.genres != "" {
		genres = nil
		err := s.eachTextLine(s.genres, func(line int, text string) (bool, error) {
			name, number, ok := strings.Cut(text, "|")
			if !ok || number != strconv.Itoa(len(genres)) {
				return false, s.fault(s.genres, line, "genre", text, "name|"+strconv.Itoa(len(genres)))
			}
			genres = append(genres, name)
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	const before = 5 // id, title, release date, video release date, IMDb URL
	return s.eachTextLine(s.movies, func(line int, text string) (bool, error) {
		fields := strings.Split(text, "|")
		if len(fields) != before+len(genres) {
			return false, s.fault(s.movies, line, "line", text, fmt.Sprintf("%d fields separated by |, found %d", before+len(genres), len(fields)))
		}
		if !isNumber([]byte(fields[0])) {
			return false, s.fault(s.movies, line, "movie id", fields[0], "1 to 18 digits")
		}
		m := Movie{ID: events.CanonicalMovie(fields[0]), Source: s.kind()}
		m.Title, m.Year = splitYear(fields[1])
		m.Title = naturalTitle(m.Title)
		if m.Title == "" {
			return false, s.fault(s.movies, line, "title", fields[1], "a title")
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
				return false, s.fault(s.movies, line, "genre flag "+genres[i], flag, "0 or 1")
			}
		}
		m.Genres = NormaliseGenres(named)
		return yield(m, nil), nil
	})
}

// imdbID writes IMDb's number as IMDb does, "tt" and at least seven digits, and nothing as nothing.
func imdbID(number string) string {
	number = strings.TrimLeft(number, "0")
	if number == "" {
		return ""
	}
	return "tt" + strings.Repeat("0", max(0, 7-len(number))) + number
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
