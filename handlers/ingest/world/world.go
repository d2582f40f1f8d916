package world

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
)

// Source is the CloudEvents source of everything simulated.
const Source = "/simulation"

// Params say which world. The zero value of a field other than End stands for its default.
type Params struct {
	Seed   uint64
	Users  int       // default 600
	Movies int       // default 1,000
	Events int       // interactions, exactly; default 60,000
	Start  time.Time // default 180 days before End
	End    time.Time // needed: no interaction is later
}

const (
	usersMax  = 5_000_000     // some 400 bytes each
	moviesMax = 1_000_000     // some 500 bytes each
	eventsMax = 1_000_000_000 // half an hour's work
	spanMax   = 100 * 365 * 24 * time.Hour
)

// World is the people and films. It is not changed by reading it.
type World struct {
	params     Params
	start, end int64 // Unix milliseconds, both inclusive
	movies     []Movie
	vectors    [][dims]float64 // of the films, of unit length; apart, because choices read little else
	people     []person
	activity   alias // who begins a session
}

// Movie is an invented film.
type Movie struct {
	dataset.Movie
	Overview       string
	Language       string
	ReleasedMillis int64 // nobody sees it before

	appeal float64 // how readily it is put before people, > 0
	merit  float64 // what everyone adds to its rating, in stars
}

// dims is the number of latent dimensions.
const dims = 8

// person is somebody's habits and, in a run, state of mind.
type person struct {
	joined   int64   // Unix milliseconds
	peakHour float64 // of the day, UTC
	bias     float64 // added to every rating, in stars
	curious  float64 // the share of watched films that they rate

	taste, goal [dims]float64 // unit length; taste moves towards goal
	tasteAt     int64         // Unix milliseconds for which taste holds
	goalUntil   int64
	busyUntil   int64
	session     string
	recent      [recentFilms]int32 // ring of 1 + film
	recentNext  int
}

// recentFilms is for how many films a person does not come back to one. Later, they may.
const recentFilms = 48

// New makes the world of the given parameters. Errors name the parameter.
func New(p Params) (*World, error) {
	if p.Users == 0 {
		p.Users = 600
	}
	if p.Movies == 0 {
		p.Movies = 1000
	}
	if p.Events == 0 {
		p.Events = 60_000
	}
	if p.Start.IsZero() && !p.End.IsZero() {
		p.Start = p.End.AddDate(0, 0, -180)
	}
	w := &World{params: p, start: p.Start.UnixMilli(), end: p.End.UnixMilli()}
	var faults []error
	for _, n := range []struct {
		name       string
		value, max int
	}{{"Users", p.Users, usersMax}, {"Movies", p.Movies, moviesMax}, {"Events", p.Events, eventsMax}} {
		if n.value < 1 || n.value > n.max {
			faults = append(faults, fmt.Errorf("world: %s is %d: expected 1 to %d", n.name, n.value, n.max))
		}
	}
	switch {
	case p.End.IsZero():
		faults = append(faults, errors.New("world: End is not set"))
	case w.start < 0:
		faults = append(faults, fmt.Errorf("world: Start is %v: expected 1970 or later", p.Start))
	case w.end <= w.start || p.End.Sub(p.Start) > spanMax:
		faults = append(faults, fmt.Errorf("world: Start %v and End %v: expected End to be later, by at most a hundred years", p.Start, p.End))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	// Films, people and events have a stream of random numbers each, so that more of one leave the
	// beginnings of the others as they are.
	w.makeMovies(rand.New(rand.NewPCG(p.Seed, 1)))
	w.makePeople(rand.New(rand.NewPCG(p.Seed, 2)))
	return w, nil
}

// Movies are the films in the order of their ids, "1" and on. The caller must not change them.
func (w *World) Movies() []Movie { return w.movies }

// Events is the number of interactions that [World.Interactions] yields.
func (w *World) Events() int { return w.params.Events }

// genres and how common they are. Each is a direction in the latent space.
var genres = []struct {
	name   string
	weight float64
}{
	{"Drama", 10}, {"Comedy", 8}, {"Thriller", 6}, {"Action", 6}, {"Romance", 5}, {"Adventure", 4}, {"Sci-Fi", 4}, {"Crime", 4},
	{"Horror", 4}, {"Fantasy", 3}, {"Animation", 2}, {"Mystery", 2}, {"Documentary", 2}, {"War", 1}, {"Musical", 1}, {"Western", 1},
}

// genreVectors are of unit length and the same in every world.
var genreVectors = func() (v [][dims]float64) {
	for g := range genres {
		r := rand.New(rand.NewPCG(uint64(g), 99))
		v = append(v, randomUnit(r))
	}
	return v
}()

func randomUnit(r *rand.Rand) (v [dims]float64) {
	for i := range v {
		v[i] = r.NormFloat64()
	}
	return unit(v)
}

func unit(v [dims]float64) [dims]float64 {
	length := math.Sqrt(dot(&v, &v))
	if length == 0 {
		v[0] = 1
		return v
	}
	for i := range v {
		v[i] /= length
	}
	return v
}

// dot rounds every product, so that no processor fuses it with the sum.
func dot(a, b *[dims]float64) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i] * b[i])
	}
	return sum
}

// blend is the unit vector along the genres' weighted sum with some noise.
func blend(r *rand.Rand, of []int, noise float64) [dims]float64 {
	var v [dims]float64
	for rank, g := range of {
		for i := range v {
			v[i] += float64(genreVectors[g][i] / float64(rank+1))
		}
	}
	n := randomUnit(r)
	for i := range v {
		v[i] += float64(noise * n[i])
	}
	return unit(v)
}

// drawGenres takes 1 to n different ones, common ones more often.
func drawGenres(r *rand.Rand, table *alias, n int) []int {
	var drawn []int
	for range 1 + r.IntN(n) {
		g := table.draw(r)
		again := false
		for _, d := range drawn {
			again = again || d == g
		}
		if !again {
			drawn = append(drawn, g)
		}
	}
	return drawn
}

func genreTable() alias {
	weights := make([]float64, len(genres))
	for i := range genres {
		weights[i] = genres[i].weight
	}
	return newAlias(weights)
}

func (w *World) makeMovies(r *rand.Rand) {
	table := genreTable()
	titles := titler{taken: map[string]bool{}}
	day := int64(24 * time.Hour / time.Millisecond)
	w.movies = make([]Movie, w.params.Movies)
	w.vectors = make([][dims]float64, w.params.Movies)
	for i := range w.movies {
		m := &w.movies[i]
		kinds := drawGenres(r, &table, 3)
		// A fifth comes out during the simulated time; the first film is there from the start. Of the
		// others most are of the last decades.
		released := w.start - day - int64(r.ExpFloat64()*12*365*float64(day))
		if fresh := r.Float64() < .2; fresh && i > 0 {
			released = w.start + int64(r.Float64()*float64(w.end-w.start))
		}
		at := time.UnixMilli(released).UTC()
		if at.Year() < 1930 {
			at = time.Date(1930+r.IntN(40), 1, 1+r.IntN(365), 0, 0, 0, 0, time.UTC)
		}
		m.Movie = dataset.Movie{ID: strconv.Itoa(i + 1), Title: titles.draw(r), Year: at.Year(), Source: "simulated"}
		for _, g := range kinds {
			m.Genres = append(m.Genres, genres[g].name)
		}
		m.Language = "en"
		m.Overview = overview(r, m.Genres[0])
		m.ReleasedMillis = at.UnixMilli()
		w.vectors[i] = blend(r, kinds, .35)
		m.appeal = math.Exp(r.NormFloat64() * .9)
		m.merit = r.NormFloat64() * .4
	}
}

func (w *World) makePeople(r *rand.Rand) {
	table := genreTable()
	weights := make([]float64, w.params.Users)
	w.people = make([]person, w.params.Users)
	for i := range w.people {
		p := &w.people[i]
		weights[i] = math.Exp(r.NormFloat64() * .8)
		p.joined = w.start
		if late := r.Float64() < .3; late && i > 0 {
			p.joined += int64(r.Float64() * .6 * float64(w.end-w.start))
		}
		p.peakHour = []float64{20, 22, 13, 8}[min(r.IntN(6), 3)] + r.NormFloat64()
		p.bias = r.NormFloat64() * .35
		p.curious = .25 + .5*r.Float64()
		p.taste = blend(r, drawGenres(r, &table, 3), .35)
		p.goal = p.taste
		p.tasteAt = p.joined
		p.goalUntil = p.joined + int64(r.ExpFloat64()*goalMillis)
	}
	w.activity = newAlias(weights)
}

// alias draws an index in proportion to its weight in constant time (Walker 1977, Vose 1991).
type alias struct {
	keep  []float64
	other []int32
}

// newAlias needs a weight, and at least one above 0.
func newAlias(weights []float64) alias {
	var a alias
	a.reset(weights)
	return a
}

func (a *alias) reset(weights []float64) {
	n := len(weights)
	if len(a.keep) != n {
		a.keep, a.other = make([]float64, n), make([]int32, n)
	}
	var sum float64
	for _, x := range weights {
		sum += x
	}
	var small, large []int32
	for i, x := range weights {
		a.keep[i], a.other[i] = x/sum*float64(n), int32(i)
		if a.keep[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.other[s] = l
		if a.keep[l] -= 1 - a.keep[s]; a.keep[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	// What is left is 1 but for rounding; a weight of 0 must not win by it.
	for _, i := range large {
		a.keep[i] = 1
	}
	for _, i := range small {
		if weights[i] > 0 {
			a.keep[i] = 1
		}
	}
}

func (a *alias) draw(r *rand.Rand) int {
	i := r.IntN(len(a.keep))
	if r.Float64() < a.keep[i] {
		return i
	}
	return int(a.other[i])
}
