package projections

import (
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Catalogue is the films: what data sets list and what TMDB's details say, merged.
//
//	d id -> Movie                     c -> number of films
//	i imdb id -> id                   t tmdb id -> id
//	n title id -> id                  w word title id -> id              g genre title id -> id
//	h title id -> id                  of films that are hidden
//	o offset id -> id                 offset: of the record in the ledger that changed the film last
//
// Titles, words and genres are folded: lower case, without accents, letters and digits only.
type Catalogue struct{ r fold.Reader }

// NewCatalogue makes the view "catalogue".
func NewCatalogue() *Catalogue { return &Catalogue{} }

// Movie is one film. Its own fields are the merged ones, see [events.Film].
type Movie struct {
	events.Movie
	Datasets  []string      `json:"datasets,omitempty"`   // that list it, in order of first listing
	Simulated bool          `json:"simulated,omitempty"`  // of the invented world, and of no real data set
	Listed    *events.Movie `json:"listed,omitempty"`     // as data sets have it; only once details were fetched
	Fetched   *events.Movie `json:"fetched,omitempty"`    // as TMDB has it
	RawSHA256 string        `json:"raw_sha256,omitempty"` // blob with TMDB's raw answer
	Hidden    *Hidden       `json:"hidden,omitempty"`     // from every list; nil: it is not
	fold.Stamp
}

// Hidden says why a film is on no list, who wanted it and when.
type Hidden struct {
	Reason string `json:"reason"`
	Actor  string `json:"actor"`
	Millis int64  `json:"event_millis"`
}

// datasetSimulated is the data set name of films that do not exist.
const datasetSimulated = "simulated"

var movieDocs = fold.Documents[Movie]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.MovieHidden:
			return events.CanonicalMovie(x.MovieID), true
		case *events.MovieUnhidden:
			return events.CanonicalMovie(x.MovieID), true
		}
		return events.FilmOf(in.Event.Data)
	},
	Fold: func(m *Movie, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.MovieHidden:
			m.MovieID, m.Hidden = events.CanonicalMovie(x.MovieID), &Hidden{x.Reason, in.Event.Actor, in.Event.Time.UnixMilli()}
			return
		case *events.MovieUnhidden:
			m.MovieID, m.Hidden = events.CanonicalMovie(x.MovieID), nil
			return
		}
		film := events.Film{Listed: m.Listed, Fetched: m.Fetched}
		if film.Fetched == nil {
			listed := m.Movie
			film.Listed = &listed
		}
		film.Fold(in.Event.Data)
		m.Movie = film.Merged()
		switch x := in.Event.Data.(type) {
		case *events.MovieListed:
			if x.Dataset != "" && !slices.Contains(m.Datasets, x.Dataset) {
				m.Datasets = append(m.Datasets, x.Dataset)
			}
		case *events.MovieFetched:
			m.RawSHA256 = x.RawSHA256
		}
		if film.Fetched != nil {
			m.Listed, m.Fetched = film.Listed, film.Fetched
		}
		m.Simulated = len(m.Datasets) == 1 && m.Datasets[0] == datasetSimulated && m.Fetched == nil
	},
	Index: func(m *Movie) []fold.Key {
		words := TitleWords(m.Title)
		title := titleKey(words)
		keys := []fold.Key{fold.Table('n').Str(title).Str(m.MovieID), fold.Table('o').U64(uint64(m.Offset)).Str(m.MovieID)}
		if m.Hidden != nil {
			keys = append(keys, fold.Table('h').Str(title).Str(m.MovieID))
		}
		if m.IMDbID != "" {
			keys = append(keys, fold.Table('i').Str(imdbKey(m.IMDbID)).Str(m.MovieID))
		}
		if m.TMDBID != "" {
			keys = append(keys, fold.Table('t').Str(m.TMDBID).Str(m.MovieID))
		}
		for _, w := range words {
			keys = append(keys, fold.Table('w').Str(w).Str(title).Str(m.MovieID))
		}
		for _, g := range m.Genres {
			keys = append(keys, fold.Table('g').Str(GenreKey(g)).Str(title).Str(m.MovieID))
		}
		return keys
	},
	Stamp: func(m *Movie) *fold.Stamp { return &m.Stamp },
}

// accents are the Latin letters whose accent a search leaves out, by the letters it leaves.
var accents = func() map[rune]string {
	m := map[rune]string{'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'þ': "th", 'ł': "l", 'ı': "i"}
	for letter, accented := range map[string]string{
		"a": "àáâãäåāăą", "c": "çćĉċč", "d": "ď", "e": "èéêëēĕėęě", "g": "ĝğġģ", "h": "ĥħ", "i": "ìíîïĩīĭį",
		"j": "ĵ", "k": "ķ", "l": "ĺļľ", "n": "ñńņň", "o": "òóôõöōŏő", "r": "ŕŗř", "s": "śŝşšș", "t": "ţťŧț",
		"u": "ùúûüũūŭůűų", "w": "ŵ", "y": "ýÿŷ", "z": "źżž",
	} {
		for _, r := range accented {
			m[r] = letter
		}
	}
	return m
}()

// TitleWords are the folded words of a text, in its order. An apostrophe ends an elided article ("l'",
// "d'", "qu'") and is left out of longer words, so that "Schindler's" is found as "schindlers".
func TitleWords(text string) []string {
	const elidedLetters = 2
	var b strings.Builder
	letters := 0 // of the word so far
	for _, r := range text {
		r = unicode.ToLower(r)
		switch {
		case accents[r] != "":
			b.WriteString(accents[r])
			letters++
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
			letters++
		case unicode.IsMark(r), (r == '\'' || r == '’') && letters > elidedLetters:
		default:
			b.WriteByte(' ')
			letters = 0
		}
	}
	return strings.Fields(b.String())
}

// titleKeyBytes bounds titles in keys; beyond it order no longer matters.
const titleKeyBytes = 96

func titleKey(words []string) string {
	t := strings.Join(words, " ")
	return t[:min(len(t), titleKeyBytes)]
}

// GenreKey folds a genre: "Sci-Fi" and "sci fi" are one.
func GenreKey(genre string) string { return strings.Join(TitleWords(genre), " ") }

// imdbKey is an IMDb id without its "tt" and leading zeros.
func imdbKey(id string) string {
	return events.CanonicalMovie(strings.TrimPrefix(id, "tt"))
}

func (*Catalogue) Spec() fold.Spec {
	return fold.Spec{Name: "catalogue", Format: 3, Topics: fold.LedgerTopics, Indexed: true}
}

func (c *Catalogue) Open(r fold.Reader) error                 { c.r = r; return nil }
func (*Catalogue) Flush(fold.Writer) error                    { return nil }
func (*Catalogue) Apply(w fold.Writer, in []fold.Input) error { return movieDocs.Apply(w, in) }

// Movie reads one film, under any spelling of its id.
func (c *Catalogue) Movie(id string) (Movie, bool, error) {
	return movieDocs.Get(c.r, events.CanonicalMovie(id))
}

// Count is the number of films.
func (c *Catalogue) Count() (int64, error) { return movieDocs.Number(c.r) }

// All yields every film, in byte order of id.
func (c *Catalogue) All() iter.Seq2[Movie, error] { return movieDocs.All(c.r) }

// IDs are those of all films, in order.
func (c *Catalogue) IDs() iter.Seq2[string, error] { return movieDocs.IDs(c.r) }

// Changed yields the films that have changed after an offset of the ledger (-1: all), each with the offset of
// its last change, in the order of these.
func (c *Catalogue) Changed(after int64) iter.Seq2[Changed, error] {
	return func(yield func(Changed, error) bool) {
		for kv, err := range c.r.Scan(fold.Table('o').U64(uint64(after+1)), fold.Table('o').End()) {
			var f Changed
			if err == nil {
				p := fold.Parts(kv.Key)
				f = Changed{int64(p.U64()), p.Str()}
				err = p.Err()
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// Changed is a film and the offset in the ledger at which it changed.
type Changed struct {
	Offset  int64
	MovieID string
}

// ByIMDb finds a film by its IMDb id, with or without "tt" and leading zeros.
func (c *Catalogue) ByIMDb(id string) (Movie, bool, error) {
	return movieDocs.First(c.r, fold.Table('i').Str(imdbKey(id)))
}

// ByTMDB finds a film by its TMDB id.
func (c *Catalogue) ByTMDB(id string) (Movie, bool, error) {
	return movieDocs.First(c.r, fold.Table('t').Str(id))
}

// List pages through the films by title.
func (c *Catalogue) List(q fold.PageQuery) (fold.Page[Movie], error) {
	return movieDocs.Paginate(c.r, fold.Table('n'), false, q, nil)
}

// Hidden pages through the films that are hidden from lists, by title.
func (c *Catalogue) Hidden(q fold.PageQuery) (fold.Page[Movie], error) {
	return movieDocs.Paginate(c.r, fold.Table('h'), false, q, nil)
}

// ByGenre pages through a genre's films by title.
func (c *Catalogue) ByGenre(genre string, q fold.PageQuery) (fold.Page[Movie], error) {
	return movieDocs.Paginate(c.r, fold.Table('g').Str(GenreKey(genre)), false, q, nil)
}

// Search pages through the films in whose title every word of the text begins some word, whatever the
// order, case and accents.
func (c *Catalogue) Search(text string, q fold.PageQuery) (fold.Page[Movie], error) {
	words := TitleWords(text)
	if len(words) == 0 {
		return fold.Page[Movie]{Items: []Movie{}}, fault.Field("q", "must hold a letter or a digit of the title")
	}
	// The longest word is the rarest as a rule: look through what it finds.
	rare := slices.MaxFunc(words, func(a, b string) int { return len(a) - len(b) })
	prefix := fold.Key(append(fold.Table('w'), rare...))
	return fold.Paginate(c.r, prefix, false, q, func(r fold.Reader, kv fold.KV) (Movie, bool, error) {
		m, ok, err := movieDocs.Load(r, kv)
		if err != nil || !ok {
			return m, false, err
		}
		// A title with several words that fit has as many entries: the first counts.
		word, title := fold.Parts(kv.Key).Str(), TitleWords(m.Title)
		for _, w := range title {
			if strings.HasPrefix(w, rare) && w < word {
				return m, false, nil
			}
		}
		for _, want := range words {
			if !slices.ContainsFunc(title, func(w string) bool { return strings.HasPrefix(w, want) }) {
				return m, false, nil
			}
		}
		return m, true, nil
	})
}

// FoldMovie folds what at admits of a "movie/ID" stream; false when that is nothing.
func FoldMovie(commits iter.Seq2[*streams.Committed, error], at fold.At) (Movie, bool, error) {
	return movieDocs.FoldStream(commits, at)
}
