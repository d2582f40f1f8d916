package roles

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const watchLogPath = "data/processed/watch_log.csv" // below Config.Files

// watchLogMemory is what acts are sorted in, in bytes; more of them go to the disk.
var watchLogMemory = 64 << 20

// watchLogColumns are explained in docs/guide.md.
var watchLogColumns = []string{"user_id", "movie_id", "title", "year", "genres", "interaction_type", "rating", "timestamp"}

// processMovies writes every interaction of the log, with the film's title, year and genres, as a table
// in order of time: data/processed/watch_log.csv.
func processMovies(ctx context.Context, w *job) (_ map[string]string, err error) {
	acts := spill.NewSorter(filepath.Join(w.cfg.Dir, "scratch"), watchLogMemory)
	defer func() { err = errors.Join(err, acts.Close()) }()
	read, err := w.sortActs(ctx, acts)
	if err != nil {
		return nil, err
	}
	if err := w.ledgerReaches(ctx, projections.NewCatalogue()); err != nil {
		return nil, err
	}
	t := watchTable{films: map[string]film{}, catalogue: fold.Of[*projections.Catalogue](w.cfg.Views)}
	err = w.cfg.writeFile(watchLogPath, func(f io.Writer) error {
		t.out = csv.NewWriter(f)
		t.out.Write(watchLogColumns) //nolint:errcheck // it stays, for Error
		for before, i := (watched{}), int64(0); ; i++ {
			record, err := acts.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			if i%4096 == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				w.Progress("write the watch log", i, read)
			}
			act := decodeWatched(record)
			if i > 0 && act.repeats(before) {
				continue
			}
			if err := t.add(act); err != nil {
				return err
			}
			before = act
		}
		t.out.Flush()
		return t.out.Error()
	})
	if err != nil {
		return nil, err
	}
	return map[string]string{"path": watchLogPath, "folder": w.cfg.folder(), "rows": strconv.Itoa(t.rows), "films": strconv.Itoa(len(t.films))}, nil
}

// sortActs gives the interactions of the log as it stands to a sorter, and says how many there are.
func (w *job) sortActs(ctx context.Context, to *spill.Sorter) (n int64, err error) {
	cut, err := fold.HeadCut(ctx, w.cfg.Log, time.Time{})
	if err != nil {
		return 0, err
	}
	var record []byte
	for _, tp := range cut.Partitions() {
		if tp.Topic != events.UserEventsTopic {
			continue
		}
		for rec, err := range w.cfg.Log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				return 0, err
			}
			if rec.Offset >= cut[tp] {
				break
			}
			ev, err := streams.ReadFact(rec)
			if err != nil {
				continue // in quarantine
			}
			x, ok := ev.Data.(*events.Interaction)
			if !ok {
				continue
			}
			record = watched{ev.Time.UnixMilli(), events.FactHash(ev.Source, ev.ID, x), x.UserID, x.MovieID, x.Kind, x.Rating}.append(record[:0])
			if err := to.Add(record); err != nil {
				return 0, err
			}
			n++
		}
	}
	return n, nil
}

// watched is an interaction as a row of the watch log.
type watched struct {
	millis            int64
	hash              uint64 // see events.FactHash
	user, movie, kind string
	rating            float64 // 0 for none
}

// repeats says that it is the same act as one next to it in order.
func (a watched) repeats(b watched) bool {
	return a.millis == b.millis && a.user == b.user && a.hash == b.hash
}

// append writes the act so that the order of the bytes is that of time, person and hash:
//
//	time, user, 0, hash, movie, kind, rating, lengths of user and movie
//
// Numbers are big-endian, of 8 bytes but for the lengths, which are of 4; the time's sign is flipped.
func (a watched) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(a.millis)^1<<63)
	b = append(append(b, a.user...), 0)
	b = binary.BigEndian.AppendUint64(b, a.hash)
	b = append(append(b, a.movie...), a.kind...)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(a.rating))
	b = binary.BigEndian.AppendUint32(b, uint32(len(a.user)))
	return binary.BigEndian.AppendUint32(b, uint32(len(a.movie)))
}

func decodeWatched(b []byte) (a watched) {
	const tail = 16 // rating and lengths
	users, movies := int(binary.BigEndian.Uint32(b[len(b)-8:])), int(binary.BigEndian.Uint32(b[len(b)-4:]))
	a.rating = math.Float64frombits(binary.BigEndian.Uint64(b[len(b)-tail:]))
	a.millis = int64(binary.BigEndian.Uint64(b) ^ 1<<63)
	a.user = string(b[8 : 8+users])
	a.hash = binary.BigEndian.Uint64(b[9+users:])
	names := b[17+users : len(b)-tail]
	a.movie, a.kind = string(names[:movies]), string(names[movies:])
	return a
}

// watchTable writes rows with what the catalogue says of films.
type watchTable struct {
	catalogue *projections.Catalogue
	films     map[string]film // by id
	out       *csv.Writer
	rows      int
}

// film is what a row says of one.
type film struct{ title, year, genres string }

func (t *watchTable) add(a watched) error {
	f, ok := t.films[a.movie]
	if !ok {
		m, _, err := t.catalogue.Movie(a.movie)
		if err != nil {
			return err
		}
		f = film{title: m.Title, genres: strings.Join(m.Genres, "|")}
		if m.Year != 0 {
			f.year = strconv.Itoa(m.Year)
		}
		t.films[a.movie] = f
	}
	rating := ""
	if a.rating != 0 {
		rating = strconv.FormatFloat(a.rating, 'g', -1, 64)
	}
	t.rows++
	return fault.Wrap(fault.Unavailable, t.out.Write([]string{a.user, a.movie, f.title, f.year, f.genres, a.kind, rating, events.FormatTime(time.UnixMilli(a.millis))}),
		"the watch log cannot be written")
}
