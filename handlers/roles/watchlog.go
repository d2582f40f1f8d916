package roles

import (
	"context"
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const watchLogPath = "data/processed/watch_log.csv" // below Config.Files

// processMovies writes every interaction of the log that counts, with the film's title, year and genres, as a table
// in order of time: data/processed/watch_log.csv. Its columns are explained in docs/guide.md.
func processMovies(ctx context.Context, w *job) (map[string]string, error) {
	cut, err := fold.HeadCut(ctx, w.cfg.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	set, err := w.cfg.Sets.LoadActs(ctx, w.cfg.Log, cut, w.reading)
	if err != nil && !(fault.Is(err, fault.Conflict) && set != nil && len(set.Signals) == 0) { // without any it is a table too
		return nil, err
	}
	samples := set.Data.Samples
	if err := w.ledgerReaches(ctx, projections.NewCatalogue()); err != nil {
		return nil, err
	}
	catalogue := fold.Of[*projections.Catalogue](w.cfg.Views)
	films := map[int32]*projections.Movie{}
	err = w.cfg.writeFile(watchLogPath, func(f io.Writer) error {
		out := csv.NewWriter(f)
		out.Write([]string{"user_id", "movie_id", "title", "year", "genres", "interaction_type", "rating", "timestamp"}) // its error stays
		for i, r := range samples {
			if i%4096 == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				w.Progress("write the watch log", int64(i), int64(len(samples)))
			}
			m := films[r.Item]
			if m == nil {
				known, _, err := catalogue.Movie(set.Data.Items[r.Item])
				if err != nil {
					return err
				}
				m = &known
				films[r.Item] = m
			}
			year, rating := "", ""
			if m.Year != 0 {
				year = strconv.Itoa(m.Year)
			}
			if stars := set.Acts.Rating(i); stars != 0 {
				rating = strconv.FormatFloat(stars, 'g', -1, 64)
			}
			out.Write([]string{set.Data.Users[r.User], set.Data.Items[r.Item], m.Title, year, strings.Join(m.Genres, "|"), set.Acts.Kind(i), rating,
				events.FormatTime(time.UnixMilli(r.Time))})
		}
		out.Flush()
		return out.Error()
	})
	if err != nil {
		return nil, err
	}
	return map[string]string{"path": watchLogPath, "folder": w.cfg.folder(), "rows": strconv.Itoa(len(samples)), "films": strconv.Itoa(len(films))}, nil
}
