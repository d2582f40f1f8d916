package react

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const (
	rawFolder    = "data/raw/tmdb"                // below Config.Dir
	watchLogPath = "data/processed/watch_log.csv" // below Config.Dir

	confPages   = "pages" // of a run of the data collection: pages of each list
	keywordsMax = 100     // kept of a film; TMDB's longest lists are vandalism
)

// lists are TMDB's lists that are fetched, by the name of their files.
var lists = []string{"popular", "top_rated"}

// fetchMovies reads TMDB's lists and the details of every film on them. Answers are kept as they came,
// as files and as blobs; popular.json and top_rated.json hold each list whole, under "movies".
//
// A film that the catalogue has under TMDB's or IMDb's id gets the details; another is new, and called
// "tmdb_ID", since TMDB's plain numbers are other films in other data sets.
func fetchMovies(ctx context.Context, w *work) (map[string]string, error) {
	pages := w.r.cfg.TMDBPages
	if text, ok := w.run.conf[confPages]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 500 {
			return nil, fault.Field("conf."+confPages, "is %q; want 1 to 500 pages of 20 films", text)
		}
		pages = n
	}
	raw := &rawAnswers{w: w, dir: filepath.Join(w.r.cfg.Dir, filepath.FromSlash(rawFolder)), hashes: map[string]string{}, results: map[string][]json.RawMessage{}}
	cfg := w.r.cfg.TMDB
	cfg.Save = raw.save
	client, err := tmdb.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(raw.dir, 0o755); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the folder of TMDB's answers cannot be made")
	}
	films, err := listed(ctx, w, client, pages)
	if err != nil {
		return nil, err
	}
	for _, name := range lists {
		if err := raw.writeList(name); err != nil {
			return nil, err
		}
	}
	if err := w.catalogueReaches(ctx); err != nil {
		return nil, err
	}
	catalogue := fold.Of[*projections.Catalogue](w.r.cfg.Runner)
	added, known, unchanged, refused := 0, 0, 0, 0
	for i, id := range films {
		w.progress("fetch details", int64(i), int64(len(films)))
		film, err := client.Movie(ctx, id)
		var missing *tmdb.Error
		if errors.As(err, &missing) && missing.Status == http.StatusNotFound {
			refused++ // withdrawn since it was listed
			continue
		}
		if err != nil {
			return nil, err
		}
		movieID, found, err := nameOf(catalogue, &film)
		if err != nil {
			return nil, err
		}
		hash := raw.hashes["movie-"+id+".json"]
		res, err := w.dispatch(ctx, "movie/"+movieID+"/"+hash, &commands.FetchMovie{Movie: movieOf(&film, movieID), RawSHA256: hash})
		switch {
		case fault.Is(err, fault.Invalid):
			w.r.log.Warn("TMDB's details of a film are not usable", "tmdb_id", id, "error", err)
			refused++
		case err != nil:
			return nil, err
		case res.Unchanged():
			unchanged++
		case found:
			known++
		default:
			added++
		}
	}
	return map[string]string{"films": strconv.Itoa(len(films)), "added": strconv.Itoa(added), "updated": strconv.Itoa(known),
		"unchanged": strconv.Itoa(unchanged), "refused": strconv.Itoa(refused), "raw": rawFolder + "/" + lists[0] + ".json"}, nil
}

// listed are the TMDB ids of the films on the lists, each once.
func listed(ctx context.Context, w *work, client *tmdb.Client, pages int) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for i, films := range []iter.Seq2[tmdb.Movie, error]{client.Popular(ctx, pages), client.TopRated(ctx, pages)} {
		w.progress("fetch lists", int64(i), int64(len(lists)))
		for film, err := range films {
			if err != nil {
				return nil, err
			}
			if !seen[film.ID] {
				seen[film.ID] = true
				ids = append(ids, film.ID)
			}
		}
	}
	return ids, nil
}

// nameOf is the id under which the film is known, or is from now on.
func nameOf(c *projections.Catalogue, film *tmdb.Movie) (id string, known bool, err error) {
	m, ok, err := c.ByTMDB(film.TMDBID)
	if err == nil && !ok && film.IMDbID != "" {
		m, ok, err = c.ByIMDb(film.IMDbID)
	}
	if err != nil || ok {
		return m.MovieID, ok, err
	}
	return "tmdb_" + film.TMDBID, false, nil
}

func movieOf(f *tmdb.Movie, id string) events.Movie {
	return events.Movie{MovieID: id, Title: f.Title, Year: f.Year, Genres: f.Genres, IMDbID: f.IMDbID, TMDBID: f.TMDBID,
		Overview: f.Overview, Language: f.Language, RuntimeMinutes: int(f.RuntimeMinutes), ReleaseDate: f.ReleaseDate,
		Keywords: f.Keywords[:min(len(f.Keywords), keywordsMax)], PosterPath: f.PosterPath, Popularity: f.Popularity,
		VoteAverage: f.VoteAverage, VoteCount: int(f.VoteCount)}
}

// rawAnswers keeps what TMDB answered.
type rawAnswers struct {
	w       *work
	dir     string
	hashes  map[string]string            // blob by name of the answer
	results map[string][]json.RawMessage // films of the lists, by name of the list
}

// save takes an answer as it came. Pages of lists go to files of their own ("popular-page-1.json").
func (a *rawAnswers) save(name string, raw []byte) error {
	hash, _, err := a.w.r.cfg.Blobs.Put(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	a.hashes[name] = hash
	for _, list := range lists {
		rest, ok := strings.CutPrefix(strings.TrimSuffix(name, ".json"), list)
		if !ok {
			continue
		}
		var page struct {
			Results []json.RawMessage `json:"results"`
		}
		if err := json.Unmarshal(raw, &page); err != nil {
			return err
		}
		a.results[list] = append(a.results[list], page.Results...)
		number := cmp.Or(strings.TrimPrefix(rest, "-"), "1")
		name = list + "-page-" + number + ".json"
	}
	return replaceFile(filepath.Join(a.dir, name), func(f io.Writer) error {
		_, err := f.Write(raw)
		return err
	})
}

// writeList writes all films of a list as TMDB gave them: {"source": "tmdb", "list": …, "movies": […]}.
func (a *rawAnswers) writeList(name string) error {
	return replaceFile(filepath.Join(a.dir, name+".json"), func(f io.Writer) error {
		enc := json.NewEncoder(f)
		enc.SetIndent("", " ")
		return enc.Encode(map[string]any{"source": "tmdb", "list": name, "movies": a.results[name]})
	})
}

// replaceFile writes a file whole or not at all.
func replaceFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "%s cannot be written", path)
	}
	defer os.Remove(f.Name())
	b := bufio.NewWriter(f)
	err = errors.Join(write(b), b.Flush(), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return fault.Wrap(fault.Unavailable, err, "%s cannot be written", path)
}

// catalogueReaches waits until the catalogue has folded the ledger as it stands.
func (w *work) catalogueReaches(ctx context.Context) error {
	head, err := w.r.cfg.Log.Ledger().Head(ctx, time.Time{})
	if err != nil || head == 0 {
		return err
	}
	w.progress("wait for the views", 0, 0)
	wctx, cancel := context.WithTimeout(ctx, viewsTimeout)
	defer cancel()
	return w.r.cfg.Runner.Wait(wctx, ledgerPosition(head-1), projections.NewCatalogue().Spec().Name)
}

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
func processMovies(ctx context.Context, w *work) (map[string]string, error) {
	log, err := w.interactions(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.catalogueReaches(ctx); err != nil {
		return nil, err
	}
	catalogue := fold.Of[*projections.Catalogue](w.r.cfg.Runner)
	path := filepath.Join(w.r.cfg.Dir, filepath.FromSlash(watchLogPath))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
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
				w.progress("write the watch log", int64(i), int64(len(log.rows)))
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
func (w *work) interactions(ctx context.Context) (*watchLog, error) {
	cut, err := fold.HeadCut(ctx, w.r.cfg.Log, time.Time{})
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
		for rec, err := range w.r.cfg.Log.Feed().Read(ctx, tp, 0) {
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
