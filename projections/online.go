package projections

import (
	"errors"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Online is the view that keeps what has to be at hand at once: the online model (what every person did,
// which films go together, what is popular, learned from each interaction as it comes) and the state of
// every film's features. Its rows are written at checkpoints.
//
//	u USER    a person's row of the model
//	i ITEM    how often a film was met, and when: of the model
//	n ITEM    what came after a film: of the model
//	f ITEM    the state of a film's features
//
// In memory it has all of i, of n what was wanted and soon the rest, and of u and f those that were met lately.
//
// Both halves stand in one view because one of them, the model, knows which facts are repetitions. Acts are read by
// the definition of what they mean that is in force ([signal.Definition]); another one is another fold.
type Online struct {
	meanings
	stored fold.Reader

	mu    sync.RWMutex
	by    *Online     // what has taken its place
	cut   streams.Cut // what of the log all this is the fold of
	m     *online.Model
	films filmStates

	damage   atomic.Pointer[error] // that a query has met
	watch    atomic.Pointer[func(*Learning)]
	learning Learning // what who watches is told of
}

// Learning is an act that the online model is about to learn, and the model as it stands before.
type Learning struct {
	Model  *online.Model // at rest, and the watcher's alone; what concerns the person is at hand
	Input  *fold.Input
	Act    *events.Interaction // of the input
	Signal signal.Signal       // what it means
}

// Watch has f told of each act before it is learned, from now on, also by what takes the view's place. It is one that looks on: what is folded does not
// depend on it, and it keeps nothing of what it is given. Who reads the model waits meanwhile.
func (v *Online) Watch(f func(*Learning)) { v.watch.Store(&f) }

// NewOnline makes an empty online view.
func NewOnline() *Online {
	return &Online{meanings: meanings{signal.Default()}, cut: streams.Cut{}, m: online.New(), films: newFilmStates()}
}

func (v *Online) Spec() fold.Spec {
	return fold.Spec{Name: "online", Format: 5, Topics: []string{events.UserEventsTopic}, Lazy: true}
}

// Open reads what has to be in memory: a row for each film.
func (v *Online) Open(r fold.Reader) (err error) {
	if v.cut, err = r.Cut(); err != nil {
		return err
	}
	v.stored = r
	return v.m.Restore(v.items(), v)
}

// items gives the rows of all films; some are read while the ones before are taken.
func (v *Online) items() iter.Seq2[online.Row, error] {
	type part struct {
		rows []online.Row
		err  error
	}
	const together = 256
	return func(yield func(online.Row, error) bool) {
		read, stop := make(chan part, 4), make(chan struct{})
		defer func() {
			close(stop)
			for range read { // until the reader has let go of the store
			}
		}()
		go func() {
			defer close(read)
			var p part
			for kv, err := range v.stored.Scan(fold.Table('i'), fold.Table('i').End()) {
				if p.err = err; err == nil {
					key := fold.Parts(kv.Key)
					p.rows = append(p.rows, online.Row{ID: key.Str(), Data: slices.Clone(kv.Value)})
					p.err = key.Err()
				}
				if p.err != nil {
					break
				}
				if len(p.rows) == together {
					select {
					case read <- p:
					case <-stop:
						return
					}
					p = part{}
				}
			}
			select {
			case read <- p:
			case <-stop:
			}
		}()
		for p := range read {
			for i := range p.rows {
				if !yield(p.rows[i], nil) {
					return
				}
			}
			if p.err != nil {
				yield(online.Row{}, p.err)
				return
			}
		}
	}
}

// tables are those of the model's rows.
var tables = [...]byte{online.UserRows: 'u', online.ItemRows: 'i', online.NextRows: 'n'}

// Row gives a stored row of the model; nil where there is none.
func (v *Online) Row(t online.Table, id string) ([]byte, error) {
	row, ok, err := v.stored.Get(fold.Table(tables[t]).Str(id))
	if !ok {
		return nil, err
	}
	return row, nil
}

func (v *Online) Apply(_ fold.Writer, in []fold.Input) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	fold.Widen(v.cut, in)
	for i := range in {
		ev := in[i].Event
		x, ok := ev.Data.(*events.Interaction)
		if !ok {
			continue
		}
		if err := v.m.FetchUser(x.UserID); err != nil {
			return unreadable(err)
		}
		meaning := v.signals.Of(x.Kind, x.Rating)
		if watch := v.watch.Load(); watch != nil {
			v.learning = Learning{v.m, &in[i], x, meaning}
			(*watch)(&v.learning)
			v.learning = Learning{}
		}
		fact := features.Fact{TimeMillis: ev.Time.UnixMilli(), RecordedMillis: in[i].RecordedMillis, Other: x.UserID, Kind: x.Kind, Rating: x.Rating}
		was, is := v.learn(ev, x, meaning, in[i].Position.Partition)
		if was == is {
			continue // a repetition, or what counts says as much
		}
		film, err := v.film(x.MovieID)
		if err != nil {
			return err
		}
		v.films.touch(film)
		if was == nothing {
			film.state.Add(fact)
		} else {
			fact.Rating = float64(is) / 100
			film.state.Correct(fact, float64(was)/100)
		}
	}
	return nil
}

// What of a fact counts: stars in hundredths, or
const (
	nothing  = 0  // nothing of it
	starless = -1 // a fact without
)

// learn has the model learn a fact, and says what counted of such a one before and what does now.
func (v *Online) learn(ev *events.Event, x *events.Interaction, meaning signal.Signal, partition int32) (was, is int) {
	at, id := ev.Time.UnixMilli(), events.FactHash(ev.Source, ev.ID, x)
	if meaning.RatingCenti() > 0 {
		return v.m.Rate(x.UserID, x.MovieID, at, id, meaning, x.Kind, partition)
	}
	if !v.m.Add(x.UserID, x.MovieID, at, id, meaning) {
		return nothing, nothing
	}
	return nothing, starless
}

// unreadable is an error of reading the view's rows. One that is not the store's own tells that they are not as they
// were written.
func unreadable(err error) error {
	if errors.Is(err, online.ErrRow) {
		return fold.Damage(err)
	}
	return err
}

// film is the state of a film's features, read if need be; mu is held.
func (v *Online) film(id string) (*film, error) {
	if f := v.films.at(id); f != nil {
		return f, nil
	}
	row, ok, err := v.stored.Get(fold.Table('f').Str(id))
	if err != nil {
		return nil, err
	}
	state := features.NewState(features.Movie)
	if ok {
		if state, err = features.ParseState(row); err != nil {
			return nil, fold.Damage(err)
		}
	}
	return v.films.put(id, state), nil
}

// Flush writes what has changed since the last time.
func (v *Online) Flush(w fold.Writer) error { return v.Save(w)() }

// Save begins to write it. What is written is taken from the model under its lock, and handed to w without it.
func (v *Online) Save(w fold.Writer) (write func() error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var taken, free rows
	model := v.m.Save(func(t online.Table, id string, row []byte) error { taken.add(tables[t], id, row); return nil })
	films := v.films.save(func(id string, row []byte) error { taken.add('f', id, row); return nil })
	step := func(step func() (bool, error)) (done bool, err error) {
		free.reset()
		v.mu.Lock()
		done, err = step()
		taken, free = free, taken
		v.mu.Unlock()
		if err != nil {
			return false, unreadable(err)
		}
		return done, free.write(w)
	}
	return func() error {
		for _, part := range []func() (bool, error){model.Step, films.step} {
			for done := false; !done; {
				var err error
				if done, err = step(part); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// rows are on their way into the store.
type rows struct {
	data []byte // key and row of each
	ends []int  // of each key and of each row
}

func (r *rows) reset() { r.data, r.ends = r.data[:0], r.ends[:0] }

func (r *rows) add(table byte, id string, row []byte) {
	r.data = fold.Key(append(r.data, table)).Str(id)
	r.ends = append(r.ends, len(r.data))
	r.data = append(r.data, row...)
	r.ends = append(r.ends, len(r.data))
}

// write hands them to w; one without bytes is deleted.
func (r *rows) write(w fold.Writer) error {
	from := 0
	for i := 0; i < len(r.ends); i += 2 {
		key, row := r.data[from:r.ends[i]], r.data[r.ends[i]:r.ends[i+1]]
		from = r.ends[i+1]
		err := error(nil)
		if len(row) == 0 {
			err = w.Delete(key)
		} else {
			err = w.Set(key, row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Rest lets go of people and of films' states that were not met lately.
func (v *Online) Rest() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.m.Rest()
	v.films.rest()
}

// warmRows is how many rows are read under one lock: a millisecond's work.
const warmRows = 8

// Warm reads some more of what came after films.
func (v *Online) Warm() (more bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if met := v.damage.Load(); met != nil {
		return false, *met
	}
	left, err := v.m.FetchNexts(warmRows)
	return left > 0, unreadable(err)
}

// Replaced has queries answered by another view.
func (v *Online) Replaced(by fold.View) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.by = by.(*Online)
	v.by.watch.Store(v.watch.Load())
}

// read calls f with the view that answers, at rest, once have says that what f wants is in memory; until then it has
// fetch read it.
func (v *Online) read(have func(v *Online) bool, fetch func(v *Online) error, f func(v *Online)) error {
	for {
		v.mu.RLock()
		by := v.by
		if by == nil && have(v) {
			defer v.mu.RUnlock()
			f(v)
			return nil
		}
		v.mu.RUnlock()
		if by == nil {
			v.mu.Lock()
			if by = v.by; by == nil {
				if err := unreadable(fetch(v)); err != nil {
					v.mu.Unlock()
					if errors.Is(err, fold.ErrDamaged) {
						v.damage.CompareAndSwap(nil, &err)
					}
					return err
				}
			}
			v.mu.Unlock()
		}
		if by != nil {
			v = by
		}
	}
}

// ReadFor calls f with the model at rest, and with what of the log it has learned: it holds every fact of the cut, and no
// other. What f may ask of it is what concerns all, and what concerns the person; f must keep neither.
func (v *Online) ReadFor(userID string, f func(m *online.Model, cut streams.Cut)) error {
	return v.read(func(v *Online) bool { return v.m.Fetched(userID) }, func(v *Online) error { return v.m.Fetch(userID) }, func(v *Online) { f(v.m, v.cut) })
}

// fetchedAtOnce is for how many people rows are read while others wait for the model.
const fetchedAtOnce = 32

// Fetch sees to it that what [Online.ReadFor] reads for people is in memory, for a while: who reads for several side by side does not have one
// wait for each of the others then.
func (v *Online) Fetch(userIDs []string) error {
	for some := range slices.Chunk(userIDs, fetchedAtOnce) {
		have := func(v *Online) bool {
			return !slices.ContainsFunc(some, func(id string) bool { return !v.m.Fetched(id) })
		}
		err := v.read(have, func(v *Online) error {
			for _, id := range some {
				if err := v.m.Fetch(id); err != nil {
					return err
				}
			}
			return nil
		}, func(*Online) {})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadGuest is ReadFor somebody without an id, who has chosen films at a moment, the last one last: f is given the model with
// them in it, under the id "".
func (v *Online) ReadGuest(films []string, nowMillis int64, f func(m *online.Model, cut streams.Cut)) error {
	return v.read(func(v *Online) bool { return v.m.FetchedItems(films) }, func(v *Online) error { return v.m.FetchItems(films) },
		func(v *Online) { f(v.m.Guest(films, nowMillis, signal.Chosen()), v.cut) })
}

// ReadAll is ReadFor, for which films go together and what concerns all.
func (v *Online) ReadAll(f func(m *online.Model)) error {
	return v.read(func(v *Online) bool { return v.m.Unread() == 0 }, func(v *Online) error { _, err := v.m.FetchNexts(warmRows); return err },
		func(v *Online) { f(v.m) })
}

// Read is ReadFor, for what concerns all: how often films were met.
func (v *Online) Read(f func(m *online.Model)) {
	v.read(func(*Online) bool { return true }, nil, func(v *Online) { f(v.m) }) //nolint:errcheck // all of it is in memory
}

// Film calls f with the feature state of a film at rest, nil for one without facts; f must not keep it.
func (v *Online) Film(id string, f func(s *features.State)) error {
	return v.read(func(v *Online) bool { return v.films.at(id) != nil }, func(v *Online) error { _, err := v.film(id); return err },
		func(v *Online) {
			if s := v.films.at(id).state; !s.Empty() {
				f(s)
			} else {
				f(nil)
			}
		})
}
