package world

import (
	"cmp"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

// Interaction is one simulated act.
type Interaction struct {
	UserID, MovieID string
	Kind            string  // "view", "click", "watch", "skip", "like", "dislike" or "rating"
	Rating          float64 // 0.5 to 5 in half stars where Kind is "rating", else 0
	SessionID       string
	TimeMillis      int64 // event time, Unix milliseconds
}

const (
	// offered is how many films are put before a person for one choice: a screenful.
	offered = 24
	// choosiness weighs taste against chance in the choice: the logit's scale.
	choosiness = 10.0
	// goalMillis is the mean time for which a person's taste keeps its goal, adaptMillis how long it
	// takes to come near: 120 and 40 days.
	goalMillis  = 120 * 24 * 3600 * 1000
	adaptMillis = 40 * 24 * 3600 * 1000
	// slotMillis is the grain in which interactions are spread over time; sessions overlap slots.
	slotMillis = 3600 * 1000
	dayMillis  = 24 * slotMillis
)

// hours is how busy each hour of the day is, UTC.
var hours = [24]float64{3, 2, 1, .6, .4, .4, .7, 1.2, 1.8, 2, 2.2, 2.5, 3, 3, 2.8, 2.8, 3, 3.6, 4.5, 6, 7.5, 8, 7, 5}

// Interactions yields the world's interactions, exactly Params.Events of them, ordered by time. Every
// call begins anew and yields the same. It holds one hour of them.
func (w *World) Interactions() iter.Seq[Interaction] {
	return func(yield func(Interaction) bool) {
		r := newRun(w)
		r.each(func(a act) bool {
			return yield(Interaction{
				UserID: r.ids[a.user], MovieID: w.movies[a.movie].ID, Kind: a.kind.String(), Rating: float64(a.halfStars) / 2,
				SessionID: a.session, TimeMillis: a.at,
			})
		})
	}
}

type kind uint8

const (
	view kind = iota
	click
	watch
	skip
	like
	dislike
	rating
)

func (k kind) String() string {
	return [...]string{"view", "click", "watch", "skip", "like", "dislike", "rating"}[k]
}

// act is an interaction before its ids are written out.
type act struct {
	at          int64
	number      int64 // in the order of generation, which decides between equal times
	session     string
	user, movie int32
	kind        kind
	halfStars   uint8
}

// run is one pass through time: what changes while it lasts.
type run struct {
	w        *World
	rng      *rand.Rand
	ids      []string
	people   []person
	genres   alias
	heat     []float64 // clicks, decayed by the day
	weights  []float64
	exposure alias
	day      int64 // of exposure, in days since Start
	sessions int64
	pending  []act // generated but not yet due
	numbered int64
	left     int     // of the slot's quota
	pace     float64 // by which all spans of a session are multiplied, at most 1
}

func newRun(w *World) *run {
	r := &run{
		w: w, rng: rand.New(rand.NewPCG(w.params.Seed, 3)), people: slices.Clone(w.people), genres: genreTable(),
		heat: make([]float64, len(w.movies)), weights: make([]float64, len(w.movies)), day: -1,
	}
	for i := range w.people {
		r.ids = append(r.ids, strconv.Itoa(i+1))
	}
	return r
}

// busyness is the weight of the slot that begins at the given time.
func busyness(at int64) float64 {
	t := time.UnixMilli(at).UTC()
	b := hours[t.Hour()]
	if d := t.Weekday(); d == time.Saturday || d == time.Sunday {
		b *= 1.4
	}
	return b
}

func (r *run) each(emit func(act) bool) {
	w := r.w
	// A world of less than a day is spread over shorter slots.
	step := max(1, min(slotMillis, (w.end-w.start)/24))
	var total float64
	for at := w.start; at < w.end; at += step {
		total += busyness(at)
	}
	var sum float64
	done := 0
	var starts []int64
	for at := w.start; at < w.end; at += step {
		sum += busyness(at)
		length := min(step, w.end-at)
		due := w.params.Events
		if at+step < w.end {
			due = min(due, int(sum/total*float64(w.params.Events)))
		}
		r.left = due - done
		done = due
		if day := (at - w.start) / dayMillis; day != r.day {
			r.expose(at, day)
		}
		// The pace of sessions is a person's own, unless there are too few people for the quota.
		r.pace = min(1, .3*float64(len(r.people))*float64(length)/float64(max(r.left, 1))/meanGapMillis)
		// Sessions are generated in the order of their start, as many as fill the quota.
		starts = starts[:0]
		for range r.left/4 + 1 {
			starts = append(starts, at+r.rng.Int64N(length))
		}
		slices.Sort(starts)
		for i := 0; r.left > 0; i++ {
			start := at + length - 1
			if i < len(starts) {
				start = starts[i]
			}
			r.visit(start)
		}
		slices.SortFunc(r.pending, func(a, b act) int {
			if a.at != b.at {
				return cmp.Compare(a.at, b.at)
			}
			return cmp.Compare(a.number, b.number)
		})
		ready := 0
		for ready < len(r.pending) && (r.pending[ready].at < at+length || at+step >= w.end) {
			if !emit(r.pending[ready]) {
				return
			}
			ready++
		}
		r.pending = append(r.pending[:0], r.pending[ready:]...)
	}
}

// expose recomputes how likely each film is to be put before people, once a day.
func (r *run) expose(at, day int64) {
	const cooling = .93 // a day: half in ten days
	r.day = day
	var mean, appeal float64
	for i := range r.heat {
		r.heat[i] *= cooling
		mean += r.heat[i]
		appeal += r.w.movies[i].appeal
	}
	mean /= float64(len(r.heat))
	appeal /= float64(len(r.heat))
	for i := range r.weights {
		m := &r.w.movies[i]
		r.weights[i] = 0
		if m.ReleasedMillis > at {
			continue
		}
		const newnessDays = 21
		r.weights[i] = .4 * m.appeal
		if age := at - m.ReleasedMillis; age < 20*newnessDays*dayMillis { // beyond, nothing is left of it
			r.weights[i] += float64(3 * m.appeal * math.Exp(-float64(age)/(newnessDays*dayMillis)))
		}
		if r.heat[i] > 0 {
			r.weights[i] += float64(.6 * appeal * math.Sqrt(r.heat[i]/mean))
		}
	}
	r.exposure.reset(r.weights)
}

// visit is one session of somebody.
func (r *run) visit(start int64) {
	// Who comes depends on how active they are, and on the hour.
	const tries = 6 // then the last one drawn comes anyway
	hour := float64(start%dayMillis) / slotMillis
	u := 0
	for range tries {
		u = r.w.activity.draw(r.rng)
		p := &r.people[u]
		away := math.Abs(hour - p.peakHour)
		if away > 12 {
			away = 24 - away
		}
		if start >= p.joined && start > p.busyUntil && r.rng.Float64() < max(.08, 1-away/8) {
			break
		}
	}
	p := &r.people[u]
	if start > p.busyUntil || p.session == "" {
		r.sessions++
		p.session = "sim-" + strconv.FormatInt(r.sessions, 10)
	}
	at := max(start, p.busyUntil+1)
	r.drift(p, at)
	for more := true; more && r.left > 0; more = r.rng.Float64() < .6 {
		at = r.watchOne(u, p, at)
	}
	p.busyUntil = at
}

// meanGapMillis is about the mean time between two acts of a session.
const meanGapMillis = 15 * 60 * 1000

// after is a time later by a random span with the given mean.
func (r *run) after(at int64, meanMillis float64) int64 {
	return at + 1 + int64(r.rng.ExpFloat64()*meanMillis*r.pace)
}

func (r *run) add(at int64, user int, p *person, movie int, k kind, halfStars uint8) {
	if r.left == 0 {
		return
	}
	r.left--
	r.numbered++
	r.pending = append(r.pending, act{at: min(at, r.w.end), number: r.numbered, session: p.session, user: int32(user), movie: int32(movie), kind: k, halfStars: halfStars})
}

// watchOne is the choice of one film and what comes of it. It returns when the person is free again.
func (r *run) watchOne(u int, p *person, at int64) int64 {
	movie := r.choose(p)
	m := &r.w.movies[movie]
	liking := dot(&p.taste, &r.w.vectors[movie]) // -1 to 1
	r.add(at, u, p, movie, view, 0)
	at = r.after(at, 30_000)
	if r.rng.Float64() > sigmoid(.6+2*liking) {
		if r.rng.Float64() < .4 {
			r.add(at, u, p, movie, skip, 0)
		}
		return r.after(at, 20_000)
	}
	r.add(at, u, p, movie, click, 0)
	r.heat[movie]++
	at = r.after(at, 45_000)
	if r.rng.Float64() > sigmoid(.3+1.5*liking) {
		return at
	}
	r.add(at, u, p, movie, watch, 0)
	at += 1 + int64((80+40*r.rng.Float64())*60_000*r.pace)
	stars := 2.1 + float64(1.8*liking) + m.merit + p.bias + float64(.65*r.rng.NormFloat64())
	if r.rng.Float64() < p.curious {
		half := min(max(math.Round(2*stars), 1), 10)
		r.add(at, u, p, movie, rating, uint8(half))
		at = r.after(at, 20_000)
	}
	switch x := r.rng.Float64(); {
	case stars > 3.7 && x < .45:
		r.add(at, u, p, movie, like, 0)
	case stars < 2.3 && x < .35:
		r.add(at, u, p, movie, dislike, 0)
	}
	return r.after(at, 60_000)
}

// choose takes one of the films that are put before the person: the multinomial logit of liking, drawn
// as a race of exponential clocks.
func (r *run) choose(p *person) int {
	best, bestTime := -1, math.Inf(1)
	for range offered {
		movie := r.exposure.draw(r.rng)
		t := r.rng.ExpFloat64() * math.Exp(-choosiness*dot(&p.taste, &r.w.vectors[movie]))
		if t < bestTime && !slices.Contains(p.recent[:], int32(movie+1)) {
			best, bestTime = movie, t
		}
	}
	if best < 0 { // all of them seen lately
		best = r.exposure.draw(r.rng)
	}
	p.recent[p.recentNext] = int32(best + 1)
	p.recentNext = (p.recentNext + 1) % recentFilms
	return best
}

// drift moves the person's taste on to the given time.
func (r *run) drift(p *person, at int64) {
	for p.tasteAt < at {
		until := min(at, max(p.goalUntil, p.tasteAt+1))
		keep := math.Exp(-float64(until-p.tasteAt) / adaptMillis)
		for i := range p.taste {
			p.taste[i] = float64(keep*p.taste[i]) + float64((1-keep)*p.goal[i])
		}
		p.taste = unit(p.taste)
		p.tasteAt = until
		if until >= p.goalUntil {
			p.goal = blend(r.rng, drawGenres(r.rng, &r.genres, 3), .35)
			p.goalUntil = until + 1 + int64(r.rng.ExpFloat64()*goalMillis)
		}
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
