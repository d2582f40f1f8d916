package projections

import (
	"slices"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Online is the view that keeps what has to be at hand at once: the online model (what every person did,
// which films go together, what is popular, learned from each interaction as it comes) and the state of
// every film's features. It lives in memory; its rows are written at checkpoints.
//
//	u USER    a person's row of the model
//	i ITEM    a film's row of the model
//	f ITEM    the state of a film's features
//
// Both halves stand in one view because one of them, the model, knows which facts are repetitions. Acts are read by
// the definition of what they mean that is in force ([signal.Definition]); another one is another fold.
type Online struct {
	signals *signal.Definition // by which it reads acts

	mu    sync.RWMutex
	cut   streams.Cut // what of the log all this is the fold of
	m     *online.Model
	films map[string]*features.State
	dirty map[string]bool // films whose feature state changed since the last Flush
}

// NewOnline makes an empty online view.
func NewOnline() *Online {
	return &Online{signals: signal.Default(), cut: streams.Cut{}, m: online.New(), films: map[string]*features.State{}, dirty: map[string]bool{}}
}

func (v *Online) Spec() fold.Spec {
	return fold.Spec{Name: "online", Format: 3, Topics: []string{events.UserEventsTopic}, Lazy: true}
}

// restoreRows bounds the rows read before they are handed on.
const restoreRows = 1 << 14

// rows are some rows of one table, or the error that ended reading.
type rows struct {
	table byte
	rows  []online.Row
	err   error
}

// Open reads one table while it restores the one before: with millions of facts both take a second.
func (v *Online) Open(r fold.Reader) (err error) {
	if v.cut, err = r.Cut(); err != nil {
		return err
	}
	read, stop := make(chan rows, 4), make(chan struct{})
	defer func() {
		close(stop)
		for range read { // until the reader has let go of the store
		}
	}()
	go func() {
		defer close(read)
		send := func(b rows) bool {
			select {
			case read <- b:
				return b.err == nil
			case <-stop:
				return false
			}
		}
		for _, table := range []byte{'i', 'u', 'f'} {
			b := rows{table: table}
			for kv, err := range r.Scan(fold.Table(table), fold.Table(table).End()) {
				if err == nil {
					p := fold.Parts(kv.Key)
					b.rows = append(b.rows, online.Row{ID: p.Str(), Data: slices.Clone(kv.Value)})
					err = p.Err()
				}
				if err != nil {
					send(rows{err: err})
					return
				}
				if len(b.rows) == restoreRows && table != 'i' { // films all at once: they name each other
					if !send(b) {
						return
					}
					b.rows = nil
				}
			}
			if !send(b) {
				return
			}
		}
	}()
	var checked chan error // the model is whole when the films' states begin, and is checked beside them
	for b := range read {
		err := b.err
		if err == nil {
			switch b.table {
			case 'i':
				err = v.m.RestoreItems(b.rows)
			case 'u':
				err = v.m.RestoreUsers(b.rows)
			case 'f':
				if checked == nil {
					checked = make(chan error, 1)
					go func() { checked <- v.m.Check() }()
				}
				err = v.restoreFilms(b.rows)
			}
		}
		if err != nil {
			return err
		}
	}
	if err := <-checked; err != nil {
		return err
	}
	v.m.ClearDirty()
	return nil
}

func (v *Online) restoreFilms(films []online.Row) error {
	for _, row := range films {
		s, err := features.ParseState(row.Data)
		if err != nil {
			return err
		}
		v.films[row.ID] = s
	}
	return nil
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
		at := ev.Time.UnixMilli()
		if !v.m.Add(x.UserID, x.MovieID, at, events.FactHash(ev.Source, ev.ID, x), v.signals.Of(x.Kind, x.Rating)) {
			continue // a repetition
		}
		film := v.films[x.MovieID]
		if film == nil {
			film = features.NewState(features.Movie)
			at, _ := v.m.Lookup(x.MovieID)
			v.films[v.m.ItemID(at)] = film // the model's own copy of the id
		}
		film.Add(features.Fact{TimeMillis: at, RecordedMillis: in[i].RecordedMillis, Other: x.UserID, Kind: x.Kind, Rating: x.Rating})
		if !v.dirty[x.MovieID] {
			at, _ := v.m.Lookup(x.MovieID)
			v.dirty[v.m.ItemID(at)] = true
		}
	}
	return nil
}

func (v *Online) Flush(w fold.Writer) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	write := func(table byte, id string, row []byte) error {
		if len(row) == 0 {
			return w.Delete(fold.Table(table).Str(id))
		}
		return w.Set(fold.Table(table).Str(id), row)
	}
	var row []byte
	for id := range v.m.DirtyUsers() {
		row = v.m.EncodeUser(row[:0], id)
		if err := write('u', id, row); err != nil {
			return err
		}
	}
	for id := range v.m.DirtyItems() {
		row = v.m.EncodeItem(row[:0], id)
		if err := write('i', id, row); err != nil {
			return err
		}
	}
	films := make([]string, 0, len(v.dirty))
	for id := range v.dirty {
		films = append(films, id)
	}
	slices.Sort(films)
	for _, id := range films {
		row = v.films[id].AppendTo(row[:0])
		if err := write('f', id, row); err != nil {
			return err
		}
	}
	v.m.ClearDirty()
	clear(v.dirty)
	return nil
}

// Read calls f with the model at rest; f must not keep it.
func (v *Online) Read(f func(m *online.Model)) {
	v.ReadAt(func(m *online.Model, _ streams.Cut) { f(m) })
}

// ReadAt is Read, with what of the log the model has learned: it holds every fact of the cut, and no other. f
// must keep neither.
func (v *Online) ReadAt(f func(m *online.Model, cut streams.Cut)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	f(v.m, v.cut)
}

// Film calls f with the feature state of a film at rest, nil for one without facts; f must not keep it.
func (v *Online) Film(id string, f func(s *features.State)) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	f(v.films[id])
}
