package roles

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	rawFolder = "data/raw/tmdb" // below Config.Dir

	keywordsMax = 100 // kept of a film; TMDB's longest lists are vandalism
)

// lists are TMDB's lists that are fetched, by the name of their files.
var lists = []string{"popular", "top_rated"}

const nameIngester = "ingester"

// ingester fetches films, and writes what people watched.
func (c *Config) ingester() react.Role {
	return react.Role{Name: nameIngester, Tasks: map[string]react.TaskFunc{taskFetch: c.task(fetchMovies), taskProcess: c.task(processMovies)}}
}

// fetchMovies reads TMDB's lists and the details of every film on them. Answers are kept as they came,
// as files and as blobs; popular.json and top_rated.json hold each list whole, under "movies".
//
// A film that the catalogue has under TMDB's or IMDb's id gets the details; another is new, and called
// "tmdb_ID", since TMDB's plain numbers are other films in other data sets.
func fetchMovies(ctx context.Context, w *job) (map[string]string, error) {
	out, err := fetchListed(ctx, w)
	var refused *tmdb.Error
	if errors.Is(err, tmdb.ErrNoKey) || errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 && refused.Status != http.StatusTooManyRequests {
		err = react.Permanent(err)
	}
	return out, err
}

func fetchListed(ctx context.Context, w *job) (map[string]string, error) {
	pages, err := pagesOf(w.cfg.TMDBPages, w.Conf())
	if err != nil {
		return nil, err
	}
	raw := &rawAnswers{w: w, dir: filepath.Join(w.cfg.Dir, filepath.FromSlash(rawFolder)), hashes: map[string]string{}, results: map[string][]json.RawMessage{}}
	cfg := w.cfg.TMDB
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
	if err := w.ledgerReaches(ctx, projections.NewCatalogue()); err != nil {
		return nil, err
	}
	catalogue := fold.Of[*projections.Catalogue](w.cfg.Views)
	added, known, unchanged, refused := 0, 0, 0, 0
	for i, id := range films {
		w.Progress("fetch details", int64(i), int64(len(films)))
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
		res, err := w.Dispatch(ctx, "movie/"+movieID+"/"+hash, &commands.FetchMovie{Movie: movieOf(&film, movieID), RawSHA256: hash})
		switch {
		case fault.Is(err, fault.Invalid):
			w.Log().Warn("TMDB's details of a film are not usable", "tmdb_id", id, "error", err)
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
func listed(ctx context.Context, w *job, client *tmdb.Client, pages int) ([]string, error) {
	var ids []string
	seen := map[string]bool{}
	for i, films := range []iter.Seq2[tmdb.Movie, error]{client.Popular(ctx, pages), client.TopRated(ctx, pages)} {
		w.Progress("fetch lists", int64(i), int64(len(lists)))
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
	w       *job
	dir     string
	hashes  map[string]string            // blob by name of the answer
	results map[string][]json.RawMessage // films of the lists, by name of the list
}

// save takes an answer as it came. Pages of lists go to files of their own ("popular-page-1.json").
func (a *rawAnswers) save(name string, raw []byte) error {
	hash, _, err := a.w.PutBlob(raw)
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
