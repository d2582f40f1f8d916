package recipe

import (
	"cmp"
	"math"
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml/online"
)

// Content is what is known of a film without anybody having met it.
type Content struct {
	Genres []string
	Year   int // of release; 0 unknown
}

// Film is one that may be recommended. It is not changed: a film whose content changes is another Film.
type Film struct {
	ID string
	Content
}

// Films are the films that may be recommended, in order of id; ties of a ranking stand in that order. A
// film's index in it is its place. Films do not change.
type Films struct {
	list  []*Film
	index map[string]int32

	mu    sync.Mutex
	known *online.Model // that placed maps
	place []int32       // online index -> place, or -1
}

// NewFilms keeps and sorts list; of two films of one id the last counts.
func NewFilms(list []*Film) *Films {
	slices.SortStableFunc(list, func(a, b *Film) int { return cmp.Compare(a.ID, b.ID) })
	kept := list[:0]
	for _, f := range list {
		if n := len(kept); n > 0 && kept[n-1].ID == f.ID {
			kept[n-1] = f
		} else {
			kept = append(kept, f)
		}
	}
	return newFilms(kept)
}

func newFilms(list []*Film) *Films {
	f := &Films{list: list, index: make(map[string]int32, len(list))}
	for i, film := range list {
		f.index[film.ID] = int32(i)
	}
	return f
}

// With is f with films that are new or have changed.
func (f *Films) With(changed []*Film) *Films {
	changed = NewFilms(slices.Clone(changed)).list
	list := make([]*Film, 0, len(f.list)+len(changed))
	rest := f.list
	for _, c := range changed {
		at, found := slices.BinarySearchFunc(rest, c.ID, func(a *Film, id string) int { return cmp.Compare(a.ID, id) })
		list = append(append(list, rest[:at]...), c)
		if found {
			at++
		}
		rest = rest[at:]
	}
	return newFilms(append(list, rest...))
}

// Len is the number of films.
func (f *Films) Len() int { return len(f.list) }

// At is the film at a place, 0 ≤ place < Len.
func (f *Films) At(place int) *Film { return f.list[place] }

// Place is where the film of an id stands.
func (f *Films) Place(id string) (int, bool) {
	at, ok := f.index[id]
	return int(at), ok
}

// Shares of [Films.Alike]: what genres that are shared say, and years that are near each other; not tuned.
const (
	alikeGenres = .75
	alikeYears  = .25
	alikeDecade = 10 // years apart at which their share is half
)

// Alike gives, by place, how much each film's content is like that of the film at a place, 0 to 1: the cosine of their
// genres, and how near their years are. What is unknown of one of them says nothing. The film itself has 0.
func (f *Films) Alike(place int) []float32 {
	out := make([]float32, f.Len())
	of := f.At(place)
	for i, film := range f.list {
		if i == place {
			continue
		}
		shared := 0
		for _, g := range film.Genres {
			if slices.Contains(of.Genres, g) {
				shared++
			}
		}
		var score float64
		if shared > 0 {
			score = alikeGenres * min(1, float64(shared)/math.Sqrt(float64(len(film.Genres)*len(of.Genres))))
		}
		if film.Year > 0 && of.Year > 0 {
			score += float64(alikeYears / (1 + math.Abs(float64(film.Year-of.Year))/alikeDecade))
		}
		out[i] = float32(score)
	}
	return out
}

// Places gives the place of every item of the online model, -1 for what is none of the films. m must be
// at rest; the slice is the caller's to read.
func (f *Films) Places(m *online.Model) []int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if origin := m.Origin(); f.known != origin {
		f.known, f.place = origin, nil
	}
	for i := len(f.place); i < m.ItemCount(); i++ {
		at, ok := f.index[m.ItemID(i)]
		if !ok {
			at = -1
		}
		f.place = append(f.place, at)
	}
	return f.place
}
