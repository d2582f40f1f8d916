package roles

import (
	"cmp"
	"context"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const watchLogPath = "data/processed/watch_log.csv" // below Config.Dir

// watchLog is the log's interactions with their names numbered: ten million take 400 MB.
type watchLog struct {
	names []string
	rows  []watched
}

type watched struct {
	millis            int64
	hash              uint64 // see events.FactHash
	user, movie, kind int32  // index into names
	rating            float32
}

// processMovies writes every interaction of the log, with the film's title, year and genres, as a table
// in order of time: data/processed/watch_log.csv.
func processMovies(ctx context.Context, w *job) (map[string]string, error) {
	log, err := w.interactions(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.ledgerReaches(ctx, projections.NewCatalogue()); err != nil {
		return nil, err
	}
	catalogue := fold.Of[*projections.Catalogue](w.cfg.Views)
	path := filepath.Join(w.cfg.Dir, filepath.FromSlash(watchLogPath))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the folder of the watch log cannot be made")
	}
	films := map[int32]*projections.Movie{}
	err = replaceFile(path, func(f io.Writer) error {
		out := csv.NewWriter(f)
		out.Write([]string{"user_id", "movie_id", "title", "year", "genres", "interaction_type", "rating", "timestamp"}) // its error stays
		for i, r := range log.rows {
			if i%4096 == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				w.Progress("write the watch log", int64(i), int64(len(log.rows)))
			}
			m := films[r.movie]
			if m == nil {
				known, _, err := catalogue.Movie(log.names[r.movie])
				if err != nil {
					return err
				}
				m = &known
				films[r.movie] = m
			}
			year, rating := "", ""
			if m.Year != 0 {
				year = strconv.Itoa(m.Year)
			}
			if r.rating != 0 {
				rating = strconv.FormatFloat(float64(r.rating), 'g', -1, 32)
			}
			out.Write([]string{log.names[r.user], log.names[r.movie], m.Title, year, strings.Join(m.Genres, "|"), log.names[r.kind], rating,
				events.FormatTime(time.UnixMilli(r.millis))})
		}
		out.Flush()
		return out.Error()
	})
	if err != nil {
		return nil, err
	}
	return map[string]string{"path": watchLogPath, "rows": strconv.Itoa(len(log.rows)), "films": strconv.Itoa(len(films))}, nil
}

// interactions are those of the log as it stands, each once, in order of event time.
func (w *job) interactions(ctx context.Context) (*watchLog, error) {
	cut, err := fold.HeadCut(ctx, w.cfg.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	l := &watchLog{}
	numbers := map[string]int32{}
	number := func(name string) int32 {
		n, ok := numbers[name]
		if !ok {
			n = int32(len(l.names))
			name = strings.Clone(name) // not the whole record with it
			numbers[name] = n
			l.names = append(l.names, name)
		}
		return n
	}
	for _, tp := range cut.Partitions() {
		if tp.Topic != events.UserEventsTopic {
			continue
		}
		for rec, err := range w.cfg.Log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				return nil, err
			}
			if rec.Offset >= cut[tp] {
				break
			}
			ev, err := streams.ReadFact(rec)
			if err != nil {
				continue // in quarantine
			}
			if x, ok := ev.Data.(*events.Interaction); ok {
				l.rows = append(l.rows, watched{ev.Time.UnixMilli(), events.FactHash(ev.Source, ev.ID, x),
					number(x.UserID), number(x.MovieID), number(x.Kind), float32(x.Rating)})
			}
		}
	}
	slices.SortFunc(l.rows, func(a, b watched) int {
		return cmp.Or(cmp.Compare(a.millis, b.millis), cmp.Compare(l.names[a.user], l.names[b.user]), cmp.Compare(a.hash, b.hash))
	})
	l.rows = slices.CompactFunc(l.rows, func(a, b watched) bool { return a.millis == b.millis && a.user == b.user && a.hash == b.hash })
	return l, nil
}
