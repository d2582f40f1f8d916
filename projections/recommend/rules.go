package recommend

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
	"unique"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
)

// Bounds of rules.
const (
	ExcludeMax = 1000 // films that are left out
	NamesMax   = 50   // genres, or languages
	nameBytes  = 256
	yearMin    = 1870 // before the first moving pictures
	yearMax    = 2100
	// orderedMax is of how many films, the best, diversity and freshness choose a list: as many as a ranking has places, so
	// that every page is of the same order.
	orderedMax = KMax
)

// CheckRules gives the rules of a list of k in the form in which they are recorded. The error names every field that is
// wrong, as requests call it.
func CheckRules(r events.ListRules, k int) (events.ListRules, error) {
	var errs []error
	wrong := func(field, format string, args ...any) { errs = append(errs, fault.Field(field, format, args...)) }
	if n := len(r.Exclude); n > ExcludeMax {
		wrong("exclude", "has %d films; want at most %d", n, ExcludeMax)
	} else if n > 0 {
		r.Exclude = mapped(r.Exclude, events.CanonicalMovie)
		for _, id := range r.Exclude {
			if id == "" || len(id) > events.IDBytesMax || !plain(id) {
				wrong("exclude", "has an id of %d bytes; want 1 to %d, UTF-8 without control characters", len(id), events.IDBytesMax)
				break
			}
		}
	}
	names := func(field string, list []string) bool {
		if len(list) > NamesMax {
			wrong(field, "has %d values; want at most %d", len(list), NamesMax)
			return false
		}
		return len(list) > 0
	}
	if names("genre", r.Genres) {
		r.Genres = mapped(r.Genres, strings.TrimSpace)
		for _, g := range r.Genres {
			if projections.GenreKey(g) == "" || len(g) > nameBytes || !plain(g) {
				wrong("genre", "has %d bytes; want the name of a genre, with a letter or digit and without control characters, at most %d bytes of UTF-8", len(g), nameBytes)
				break
			}
		}
	}
	if names("language", r.Languages) {
		r.Languages = mapped(r.Languages, func(v string) string { return strings.ToLower(strings.TrimSpace(v)) })
		for _, l := range r.Languages {
			if len(l) < 2 || len(l) > 3 || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz") != "" {
				wrong("language", "has %d bytes; want a code of two or three letters (ISO 639), such as en", len(l))
				break
			}
		}
	}
	year := func(field string, v int) {
		if v != 0 && (v < yearMin || v > yearMax) {
			wrong(field, "is %d; want %d to %d", v, yearMin, yearMax)
		}
	}
	year("year_from", r.YearFrom)
	year("year_to", r.YearTo)
	if r.YearFrom != 0 && r.YearTo != 0 && r.YearFrom > r.YearTo {
		wrong("year_to", "is %d, before year_from, %d", r.YearTo, r.YearFrom)
	}
	share := func(field string, v float64) {
		if !(v >= 0 && v <= 1) {
			wrong(field, "is %v; want 0 to 1", v)
		}
	}
	share("diversity", r.Diversity)
	share("fresh", r.Fresh)
	if most := KMax - k; r.Offset < 0 || r.Offset > most {
		wrong("offset", "is %d; want 0 to %d: offset and k together are at most %d", r.Offset, most, KMax)
	}
	return r, errors.Join(errs...)
}

// plain says that a text is UTF-8 without control characters, as what is recorded has to be.
func plain(v string) bool { return utf8.ValidString(v) && strings.IndexFunc(v, unicode.IsControl) < 0 }

// mapped are values in their form, each once, in order of first mention.
func mapped(list []string, form func(string) string) []string {
	out := make([]string, 0, len(list))
	seen := make(map[string]bool, len(list))
	for _, v := range list {
		if v = form(v); !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}

// skips says of a place that its film may not be on a list; nil: all may. met are films that a guest has named.
func (f *films) skips(r *events.ListRules, met []string) func(place int32) bool {
	left := ml.Bitset{}
	for _, ids := range [][]string{r.Exclude, met} {
		for _, id := range ids {
			if at, ok := f.ranked.Place(id); ok {
				left.Add(int32(at))
			}
		}
	}
	genres := make([]unique.Handle[string], len(r.Genres))
	for i, g := range r.Genres {
		genres[i] = unique.Make(projections.GenreKey(g))
	}
	if len(left)+len(genres)+len(r.Languages)+r.YearFrom+r.YearTo+f.hidden == 0 {
		return nil
	}
	return func(place int32) bool {
		c := &f.cards[place]
		year := c.film.Year
		return c.hidden || left.Has(place) ||
			len(genres) > 0 && !slices.ContainsFunc(c.genres, func(g unique.Handle[string]) bool { return slices.Contains(genres, g) }) ||
			(r.YearFrom != 0 || r.YearTo != 0) && year == 0 ||
			r.YearFrom != 0 && year < r.YearFrom || r.YearTo != 0 && year > r.YearTo ||
			len(r.Languages) > 0 && !slices.Contains(r.Languages, c.language)
	}
}

// page has a query answered with a page of k places. Without diversity and freshness it is of the ranking as it is. With them
// it is of the order that [ml.Diversify] makes of the best orderedMax films, whose relevance is their score between the
// least of these, 0, and the greatest, 1, with fresh / (1 + age in years) added; so a place does not depend on the page.
// Films are alike as the ranker's vectors are or, where it has none, as their genres.
func (f *films) page(q *recipe.Query, r *events.ListRules, ranker recipe.Ranker) {
	if r.Diversity == 0 && r.Fresh == 0 {
		if r.Offset > 0 {
			q.Among = r.Offset + q.K
			q.Order = func(best []ml.Scored) []ml.Scored { return best[min(r.Offset, len(best)):] }
		}
		return
	}
	until := r.Offset + q.K
	this := time.UnixMilli(q.NowMillis).UTC().Year()
	q.Among = orderedMax
	q.Order = func(best []ml.Scored) []ml.Scored {
		if len(best) == 0 {
			return best
		}
		places, relevance := make([]int32, len(best)), make([]float32, len(best))
		least, span := best[len(best)-1].Score, best[0].Score-best[len(best)-1].Score
		for i, b := range best {
			places[i] = b.Index
			if span > 0 {
				relevance[i] = (b.Score - least) / span
			}
			if year := f.cards[b.Index].film.Year; year > 0 {
				relevance[i] += float32(r.Fresh / float64(1+max(0, this-year)))
			}
		}
		vectors := make([]float32, len(best)) // that say nothing
		if r.Diversity > 0 {
			vectors = f.vectors(ranker, places)
		}
		order := ml.Diversify(relevance, vectors, len(vectors)/len(best), until, float32(r.Diversity))
		out := make([]ml.Scored, 0, q.K)
		for _, i := range order[min(r.Offset, len(order)):] {
			out = append(out, best[i])
		}
		return out
	}
}

// genreColumns bounds how many genres are told apart for likeness; those beyond share the columns of others.
const genreColumns = 256

// vectors are by what films are alike.
func (f *films) vectors(ranker recipe.Ranker, places []int32) []float32 {
	if r, ok := ranker.(recipe.Vectors); ok {
		if vectors := r.Vectors(places); len(vectors) > 0 {
			return vectors
		}
	}
	columns := map[unique.Handle[string]]int{}
	for _, p := range places {
		for _, g := range f.cards[p].genres {
			if _, ok := columns[g]; !ok {
				columns[g] = len(columns) % genreColumns
			}
		}
	}
	dim := max(1, min(len(columns), genreColumns))
	vectors := make([]float32, len(places)*dim)
	for i, p := range places {
		for _, g := range f.cards[p].genres {
			vectors[i*dim+columns[g]] = 1
		}
	}
	return vectors
}

// genresOf are genres as rules compare them.
func genresOf(m *projections.Movie) []unique.Handle[string] {
	out := make([]unique.Handle[string], 0, len(m.Genres))
	for _, g := range m.Genres {
		out = append(out, unique.Make(projections.GenreKey(g)))
	}
	return slices.Clip(out)
}

// languageOf is a film's as rules compare it.
func languageOf(m *projections.Movie) string { return strings.ToLower(m.Language) }
