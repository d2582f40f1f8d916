// Package ingest brings films and the acts of people from a data set, or from the simulated world,
// into the log: films as commands, facts in bulk. It can be stopped at any moment and started again, and
// importing the same thing twice adds nothing.
package ingest

import (
	"context"
	"errors"
	"iter"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Fact is one act of a person towards a film.
type Fact struct {
	UserID, MovieID string
	Kind            string
	Rating          float64 // 0: none
	SessionID       string
	TimeMillis      int64 // event time
}

// Source is what can be imported. Every film comes once, and so does every person; facts come in the order of their event time, and
// every iteration yields the same. A [*dataset.LineError] with the line's text is of that line alone: who goes
// on iterating gets the rest.
type Source struct {
	Dataset string // "ml-latest-small", "simulated"
	Origin  string // CloudEvents source of the facts
	Digest  string // SHA-256 of the content
	Path    string
	// Merge says that ids mean the same as in whatever was imported before under another name.
	Merge bool
	// BadRowsMax is how many lines that cannot be read go to the quarantine; at the next the import stops.
	BadRowsMax int64
	// ByID says that of films no more is known than their ids: one that the log has stays as it is.
	ByID   bool
	Movies iter.Seq2[events.Movie, error]
	// Users is what the source tells of people; nil is nothing.
	Users iter.Seq2[events.User, error]
	Facts iter.Seq2[Fact, error]
	// Total is the number of facts, 0 where it is not known beforehand.
	Total int64
}

// Progress says how far an import is.
type Progress struct {
	Stage       string // "movies", "people" or "interactions"
	Done, Total int64  // Total 0: not known
}

// Result says what an import added.
type Result struct {
	ImportID       string `json:"import_id"`
	Dataset        string `json:"dataset"`
	AlreadyDone    bool   `json:"already_imported"` // the very same content had been imported before
	MoviesAdded    int64  `json:"movies_added"`
	UsersDescribed int64  `json:"users_described"` // people of whom something was said that was not known
	FactsAdded     int64  `json:"interactions_added"`
	FactsDuplicate int64  `json:"interactions_already_there"`
	BadRows        int64  `json:"bad_rows"` // lines passed over, which are in quarantine
}

// Importer imports, one source at a time.
type Importer struct {
	Log        streams.Log
	Dispatcher *handlers.Dispatcher
	// Imported are the names of the data sets that were imported before, or begun; nil for a log that
	// takes whatever comes.
	Imported func(context.Context) ([]string, error)
	// Shared says that other nodes write to the log too, and may import the same.
	Shared bool
	// Look gives a look at what the log has now, by view: whether a person has an event of a time and an id. Its error, and
	// that of the look, say that there is none for now; then the log is read. nil: it is always read.
	Look func(context.Context) (func(userID string, timeMillis int64, eventID string) (bool, error), error)

	mu sync.Mutex
}

// Bounds of the work under way.
const (
	commitWriters = 64     // commits of films or people share a sync: as many as a group commit takes well
	chunkFacts    = 16_384 // facts in one publish
)

// Import brings everything of the source into the log that is not there yet.
func (im *Importer) Import(ctx context.Context, src Source, actor string, progress func(Progress)) (Result, error) {
	if !im.mu.TryLock() {
		return Result{}, fault.New(fault.Conflict, "another import is running").WithHint("try again when it has ended")
	}
	defer im.mu.Unlock()
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := im.sameIDs(ctx, src); err != nil {
		return Result{}, err
	}
	start := &commands.StartImport{Dataset: src.Dataset, Digest: src.Digest, Path: src.Path}
	res := Result{ImportID: start.ImportID(), Dataset: src.Dataset}
	meta := handlers.Meta{Actor: actor, Correlation: "import/" + res.ImportID, Source: src.Origin}
	started, err := im.Dispatcher.Dispatch(ctx, start, meta)
	if err != nil {
		return res, err
	}
	if started.Unchanged() {
		res.AlreadyDone = true
		return res, nil
	}
	if im.Shared {
		if res.AlreadyDone, err = im.turn(ctx, start, started, progress); err != nil || res.AlreadyDone {
			return res, err
		}
	}
	err = im.movies(ctx, src, meta, &res, progress)
	if err == nil {
		err = im.users(ctx, src, meta, &res, progress)
	}
	if err == nil {
		err = im.facts(ctx, src, meta, &res, progress)
	}
	if err != nil {
		if ctx.Err() == nil { // a stopped import simply goes on at the next start
			_, failErr := im.Dispatcher.Dispatch(ctx, &commands.FailImport{ImportID: res.ImportID, Reason: err.Error()}, meta)
			if failErr != nil {
				return res, fault.Wrap(fault.CodeOf(err), err, "the import failed, and so did recording that: %v", failErr)
			}
		}
		return res, err
	}
	_, err = im.Dispatcher.Dispatch(ctx, &commands.CompleteImport{ImportID: res.ImportID,
		MoviesAdded: res.MoviesAdded, FactsAdded: res.FactsAdded, FactsDuplicate: res.FactsDuplicate}, meta)
	return res, err
}

// sameIDs refuses a second data set: person 1 of one is not person 1 of the other.
func (im *Importer) sameIDs(ctx context.Context, src Source) error {
	if src.Merge || im.Imported == nil {
		return nil
	}
	names, err := im.Imported(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name != src.Dataset {
			return fault.New(fault.Conflict, "this data folder holds %q; with %q in it too, people and films with the same ids would be taken for the same", name, src.Dataset).
				WithHint("import into a folder of its own (--dir, or DIR= for make); or say --merge if the ids do mean the same")
		}
	}
	return nil
}

func (im *Importer) movies(ctx context.Context, src Source, meta handlers.Meta, res *Result, progress func(Progress)) (err error) {
	res.MoviesAdded, err = list(ctx, im, "movies", src.Movies, func(m events.Movie) commands.Command {
		return &commands.ListMovie{Movie: m, Dataset: src.Dataset, IfNew: src.ByID}
	}, &src, meta, res, progress)
	return err
}

func (im *Importer) users(ctx context.Context, src Source, meta handlers.Meta, res *Result, progress func(Progress)) (err error) {
	if src.Users == nil {
		return nil
	}
	res.UsersDescribed, err = list(ctx, im, "people", src.Users, func(u events.User) commands.Command {
		return &commands.DescribeUser{User: u, Dataset: src.Dataset}
	}, &src, meta, res, progress)
	return err
}

// list gives a command for each thing, each of a stream of its own, and says how many of them changed something.
func list[T any](ctx context.Context, im *Importer, stage string, things iter.Seq2[T, error], command func(T) commands.Command,
	src *Source, meta handlers.Meta, res *Result, progress func(Progress)) (int64, error) {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(commitWriters)
	var added, done atomic.Int64
	for x, err := range things {
		if err != nil {
			if err = im.putAside(ctx, err, events.LedgerTopic, src, meta, res); err != nil {
				g.Wait() //nolint:errcheck // what comes of the others is told by the next try
				return added.Load(), err
			}
			continue
		}
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error {
			r, err := im.Dispatcher.Dispatch(gctx, command(x), meta)
			if err != nil {
				return err
			}
			if !r.Unchanged() {
				added.Add(1)
			}
			done.Add(1)
			return nil
		})
		if n := done.Load(); n%256 == 0 {
			progress(Progress{Stage: stage, Done: n})
		}
	}
	err := g.Wait()
	progress(Progress{Stage: stage, Done: done.Load(), Total: done.Load()})
	return added.Load(), err
}

// putAside writes a line that cannot be read to the quarantine and returns nil, if the source allows for one
// more and it is only a line that the error is about.
func (im *Importer) putAside(ctx context.Context, err error, topic string, src *Source, meta handlers.Meta, res *Result) error {
	var line *dataset.LineError
	switch {
	case !errors.As(err, &line) || line.Text == nil || src.BadRowsMax == 0:
		return err
	case res.BadRows == src.BadRowsMax:
		return fault.Wrap(fault.Invalid, line, "more lines cannot be read than may be passed over (%d)", res.BadRows).(*fault.Error).
			WithHint("look at them (projectionist quarantine list), then mend the file or allow for more")
	}
	res.BadRows++
	_, err = im.Dispatcher.Dispatch(ctx, &commands.RefuseRow{ImportID: res.ImportID, Topic: topic, File: filepath.Base(line.File), Line: line.Line,
		Reason: line.Reason(), Text: line.Text}, meta)
	return err
}

// facts publishes what is not in the log yet. Encoding the next chunk overlaps with the sync of the last.
func (im *Importer) facts(ctx context.Context, src Source, meta handlers.Meta, res *Result, progress func(Progress)) error {
	known, err := im.recall(ctx, src.Total, progress)
	if err != nil {
		return err
	}
	type chunk struct {
		enc  streams.FactEncoder
		recs []streams.Record
	}
	free, full := make(chan *chunk, 2), make(chan *chunk, 1)
	free <- &chunk{}
	free <- &chunk{}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for c := range full {
			if err := im.Log.Feed().Publish(gctx, events.UserEventsTopic, c.recs); err != nil {
				return err
			}
			c.enc.Reset()
			c.recs = c.recs[:0]
			free <- c
		}
		return nil
	})
	g.Go(func() error {
		defer close(full)
		take := func() (*chunk, error) {
			select {
			case c := <-free:
				return c, nil
			case <-gctx.Done():
				return nil, gctx.Err()
			}
		}
		give := func(c *chunk) error {
			select {
			case full <- c:
				return nil
			case <-gctx.Done():
				return gctx.Err()
			}
		}
		c, err := take()
		if err != nil {
			return err
		}
		var done int64
		var now moment
		for f, err := range src.Facts {
			if err != nil {
				if err = im.putAside(gctx, err, events.UserEventsTopic, &src, meta, res); err != nil {
					return err
				}
				continue
			}
			done++
			id := factHash(&f)
			dup := now.repeated(f.TimeMillis, id)
			if !dup {
				if dup, err = known.has(gctx, &f, id); err != nil {
					return err
				}
			}
			if dup {
				res.FactsDuplicate++
				continue
			}
			ev := events.Event{ID: eventID(id), Source: src.Origin, Time: time.UnixMilli(f.TimeMillis).UTC(), Actor: events.ActorImporter}
			x := events.Interaction{UserID: f.UserID, MovieID: f.MovieID, Kind: f.Kind, Rating: f.Rating, SessionID: f.SessionID, Timestamp: events.FormatTime(ev.Time)}
			if err := x.Validate(); err != nil {
				return fault.Wrap(fault.Invalid, err, "interaction %d of %s", done, src.Dataset)
			}
			ev.Data = &x
			if c.recs, err = c.enc.Append(c.recs, x.UserID, &ev); err != nil {
				return err
			}
			res.FactsAdded++
			if len(c.recs) == chunkFacts {
				if err := give(c); err != nil {
					return err
				}
				progress(Progress{Stage: "interactions", Done: done, Total: src.Total})
				if c, err = take(); err != nil {
					return err
				}
			}
		}
		progress(Progress{Stage: "interactions", Done: done, Total: max(done, src.Total)})
		return give(c)
	})
	return g.Wait()
}

// moment is the facts of one event time, by number: a repetition within a source has the same time.
type moment struct {
	millis int64
	ids    map[uint64]bool
}

// repeated takes the next fact, and says whether it had it already.
func (m *moment) repeated(millis int64, id uint64) bool {
	const small = 8 // clearing a map that once was large takes as long as if it still were
	switch {
	case m.ids == nil || millis != m.millis && len(m.ids) > small:
		m.ids = map[uint64]bool{}
	case millis != m.millis:
		clear(m.ids)
	}
	m.millis = millis
	had := m.ids[id]
	m.ids[id] = true
	return had
}

// factHash numbers a fact by its content: the same act is the same fact whichever file it came from.
func factHash(f *Fact) uint64 {
	h := events.Hash(events.HashStart, f.UserID)
	h = events.Hash(h, f.MovieID)
	h = events.Hash(h, f.Kind)
	h = events.HashNumber(h, uint64(f.TimeMillis))
	return events.HashNumber(h, uint64(int64(f.Rating*100+.5)))
}

// eventID is the id of the event of a fact with a number.
func eventID(id uint64) string { return strconv.FormatUint(id, 16) }
