package recommend

import (
	"slices"
	"unique"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// films is the catalogue as rankers have it. It does not change: a film that changes makes other films.
type films struct {
	view   *projections.Catalogue // read from; a rebuilt view is another one
	folded int64                  // every change before this offset of the ledger is in
	last   int64                  // offset of the newest change, -1 without any
	ranked *recipe.Films          // the same as before where nothing changed that matters to a ranking
	cards  []card                 // by place in ranked
	hidden int                    // how many are
}

// card is what an answer says of a film.
type card struct {
	film      *recipe.Film
	title     string
	simulated bool
	hidden    bool
	language  string
	genres    []unique.Handle[string] // as [projections.GenreKey] folds them
}

func cardOf(m *projections.Movie) card {
	return card{&recipe.Film{ID: m.MovieID, Content: recipe.Content{Genres: m.Genres, Year: m.Year}}, m.Title, m.Simulated, m.Hidden != nil, languageOf(m), genresOf(m)}
}

// changesFew is up to how many changed films are taken in while a request waits: some milliseconds.
const changesFew = 256

var ledger = streams.TP{Topic: events.LedgerTopic}

// head is the catalogue as it is now, and up to where it has folded the ledger.
func (s *Service) head() (*projections.Catalogue, int64) {
	view := fold.Of[*projections.Catalogue](s.views)
	return view, s.views.FoldedTo(view.Spec().Name, ledger)
}

// readFilms reads the whole catalogue.
func readFilms(view *projections.Catalogue, folded int64) (*films, error) {
	f := &films{view: view, folded: folded, last: -1, ranked: recipe.NewFilms(nil)}
	var cards []card
	for m, err := range view.All() {
		if err != nil {
			return nil, err
		}
		f.last = max(f.last, m.Offset)
		cards = append(cards, cardOf(&m))
	}
	return f.with(cards), nil
}

// changed are the films that have changed since f was read, at most limit of them.
func (f *films) changed(limit int) (ids []string, last int64, err error) {
	last = f.last
	for c, err := range f.view.Changed(f.last) {
		if err != nil {
			return nil, 0, err
		}
		if len(ids) == limit {
			break
		}
		ids, last = append(ids, c.MovieID), c.Offset
	}
	return ids, last, nil
}

// after is f with the changes up to now.
func (f *films) after(folded int64) (*films, error) {
	next := *f
	next.folded = folded
	ids, last, err := f.changed(-1)
	if err != nil {
		return nil, err
	}
	next.last = last
	var cards []card
	for _, id := range ids {
		m, ok, err := f.view.Movie(id)
		if err != nil {
			return nil, err
		}
		if ok {
			cards = append(cards, cardOf(&m))
		}
	}
	return next.with(cards), nil
}

// with puts cards in, each in the place of one of the same id or as a new one.
func (f *films) with(cards []card) *films {
	if len(cards) == 0 {
		return f
	}
	changed := make(map[string]card, len(cards))
	var other []*recipe.Film // what a ranking has to be made anew for
	for _, c := range cards {
		if at, ok := f.ranked.Place(c.film.ID); ok {
			if was := f.cards[at].film; was.Year == c.film.Year && slices.Equal(was.Genres, c.film.Genres) {
				c.film = was
			}
		}
		if at, ok := f.ranked.Place(c.film.ID); !ok || f.cards[at].film != c.film {
			other = append(other, c.film)
		}
		changed[c.film.ID] = c
	}
	if len(other) > 0 {
		f.ranked = f.ranked.With(other)
	}
	was := f.cards
	f.cards = make([]card, f.ranked.Len())
	at := 0 // in was
	for i := range f.cards {
		id := f.ranked.At(i).ID
		if at < len(was) && was[at].film.ID == id {
			f.cards[i] = was[at]
			at++
		}
		if c, ok := changed[id]; ok {
			f.cards[i] = c
		}
	}
	f.hidden = 0
	for i := range f.cards {
		if f.cards[i].hidden {
			f.hidden++
		}
	}
	return f
}

// card is what is known of a film.
func (f *films) card(id string) (card, bool) {
	at, ok := f.ranked.Place(id)
	if !ok {
		return card{}, false
	}
	return f.cards[at], true
}
