package roles

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	rawFolder = "data/raw/tmdb" // below Config.Files

	keywordsMax = 100 // kept of a film; TMDB's longest lists are vandalism
)

// lists are TMDB's lists that are fetched, by the name of their files.
var lists = []string{"popular", "top_rated"}

const nameIngester = "ingester"

// ingester fetches films and imports data sets, and writes what is there: what people watched, and backups.
func (c *Config) ingester() react.Role {
	return react.Role{Name: nameIngester, Tasks: map[string]react.TaskFunc{opFetch: c.task(fetchMovies), opWatchLog: c.task(processMovies),
		opImport: c.task(importData), opBackup: c.task(backup), opExport: c.task(export)}}
}

// fetchMovies reads TMDB's lists and the details of every film on them. Answers are kept as they came,
// as files and as blobs; popular.json and top_rated.json hold each list whole, under "movies".
//
// A film that the catalogue has under TMDB's id gets the details, or under IMDb's if it has no other id of
// TMDB's; another is new, and called "tmdb_ID", since TMDB's plain numbers are other films in other data sets.
//
// What is no film, or one that the log would not take, is passed over and counted; the output's reason says why.
func fetchMovies(ctx context.Context, w *job) (map[string]string, error) {
	out, err := fetchListed(ctx, w)
	var refused *tmdb.Error
	if errors.Is(err, tmdb.ErrNoKey) || errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500 && refused.Status != http.StatusTooManyRequests {
		err = react.Permanent(err)
	}
	return out, err
}

func fetchListed(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	pages, err := strconv.Atoi(args[argPages])
	if err != nil {
		return nil, err
	}
	raw := &rawAnswers{w: w, hashes: map[string]string{}, results: map[string][]json.RawMessage{}}
	cfg := w.cfg.TMDB
	cfg.Save = func(name string, answer []byte) error { return raw.save(ctx, name, answer) }
	client, err := tmdb.New(cfg)
	if err != nil {
		return nil, err
	}
	films, skipped, err := listed(ctx, w, client, pages)
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
	added, known, unchanged := 0, 0, 0
	var refused []string
	for i, id := range films {
		w.Progress("fetch details", int64(i), int64(len(films)))
		film, err := client.Movie(ctx, id)
		if why := unusable(err); why != "" {
			refused = append(refused, "film "+id+": "+why)
			continue
		}
		if err != nil {
			return nil, err
		}
		res, found, err := keepDetails(ctx, w, catalogue, &film, raw.hashes["movie-"+id+".json"])
		switch {
		case fault.Is(err, fault.Invalid), fault.Is(err, fault.Conflict):
			refused = append(refused, "film "+id+": "+strings.ReplaceAll(err.Error(), "\n", ", "))
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
	out := map[string]string{"films": strconv.Itoa(len(films)), "added": strconv.Itoa(added), "updated": strconv.Itoa(known),
		"unchanged": strconv.Itoa(unchanged), "refused": strconv.Itoa(len(refused)), "skipped": strconv.Itoa(len(skipped)), "raw": rawFolder + "/" + lists[0] + ".json", "folder": w.cfg.folder()}
	if why := reasons(append(skipped, refused...)); why != "" {
		out["reason"] = why
	}
	return out, nil
}

// unusable is why no film can be made of an answer, "" where that is not what is wrong.
func unusable(err error) string {
	var odd *tmdb.UnusableError
	var missing *tmdb.Error
	switch {
	case errors.As(err, &odd):
		return odd.Err.Error()
	case errors.As(err, &missing) && missing.Status == http.StatusNotFound:
		return "TMDB does not have it any more"
	}
	return ""
}

// reasons are as many as an output holds.
func reasons(all []string) string {
	const bytesMax = commands.ParamBytesMax - 100
	var b strings.Builder
	for i, why := range all {
		if why = strings.ToValidUTF8(why[:min(len(why), 500)], ""); b.Len()+len(why) > bytesMax {
			fmt.Fprintf(&b, "; and %d more", len(all)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(why)
	}
	return b.String()
}

// keepDetails records a film's details; known says that it is one the log had. The catalogue may lag behind
// what this very run wrote, so that the log has the last word on whose details a film can take.
func keepDetails(ctx context.Context, w *job, c *projections.Catalogue, film *tmdb.Movie, hash string) (res handlers.Result, known bool, err error) {
	id, known, err := nameOf(c, film)
	for err == nil {
		res, err = w.Dispatch(ctx, "movie/"+id+"/"+hash, &commands.FetchMovie{Movie: movieOf(film, id), RawSHA256: hash})
		if !known || !fault.Is(err, fault.Conflict) {
			break
		}
		id, known, err = newName(film), false, nil
	}
	return res, known, err
}

// listed are the TMDB ids of the films on the lists, each once, and what is wrong with the entries that are
// none.
func listed(ctx context.Context, w *job, client *tmdb.Client, pages int) (ids, skipped []string, err error) {
	seen := map[string]bool{}
	for i, films := range []iter.Seq2[tmdb.Movie, error]{client.Popular(ctx, pages), client.TopRated(ctx, pages)} {
		w.Progress("fetch lists", int64(i), int64(len(lists)))
		for film, err := range films {
			var odd *tmdb.UnusableError
			switch {
			case errors.As(err, &odd):
				skipped = append(skipped, odd.Place+": "+odd.Err.Error())
			case err != nil:
				return nil, nil, err
			case !seen[film.ID]:
				seen[film.ID] = true
				ids = append(ids, film.ID)
			}
		}
	}
	return ids, skipped, nil
}

// nameOf is the id under which the film is known, or is from now on. IMDb's id alone makes no film another
// one of TMDB's: TMDB has it on several.
func nameOf(c *projections.Catalogue, film *tmdb.Movie) (id string, known bool, err error) {
	m, ok, err := c.ByTMDB(film.TMDBID)
	if err == nil && ok && tmdbID(&m) == film.TMDBID {
		return m.MovieID, true, nil
	}
	if err == nil && film.IMDbID != "" {
		m, ok, err = c.ByIMDb(film.IMDbID)
		if own := tmdbID(&m); err == nil && ok && (own == "" || own == film.TMDBID) {
			return m.MovieID, true, nil
		}
	}
	return newName(film), false, err
}

// tmdbID is TMDB's id of a film of the catalogue: its data sets' word counts before its details'.
func tmdbID(m *projections.Movie) string {
	if m.Listed != nil && m.Listed.TMDBID != "" {
		return m.Listed.TMDBID
	}
	return m.TMDBID
}

func newName(film *tmdb.Movie) string { return "tmdb_" + film.TMDBID }

func movieOf(f *tmdb.Movie, id string) events.Movie {
	return events.Movie{MovieID: id, Title: f.Title, Year: f.Year, Genres: f.Genres, IMDbID: f.IMDbID, TMDBID: f.TMDBID,
		Overview: f.Overview, Language: f.Language, RuntimeMinutes: int(f.RuntimeMinutes), ReleaseDate: f.ReleaseDate,
		Keywords: f.Keywords[:min(len(f.Keywords), keywordsMax)], PosterPath: f.PosterPath, Popularity: f.Popularity,
		VoteAverage: f.VoteAverage, VoteCount: int(f.VoteCount)}
}

// rawAnswers keeps what TMDB answered.
type rawAnswers struct {
	w       *job
	hashes  map[string]string            // blob by name of the answer
	results map[string][]json.RawMessage // films of the lists, by name of the list
}

// save takes an answer as it came. Pages of lists go to files of their own ("popular-page-1.json").
func (a *rawAnswers) save(ctx context.Context, name string, raw []byte) error {
	hash, _, err := a.w.PutBlob(ctx, raw)
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
	return a.w.cfg.writeFile(rawFolder+"/"+name, func(f io.Writer) error {
		_, err := f.Write(raw)
		return err
	})
}

// writeList writes all films of a list as TMDB gave them: {"source": "tmdb", "list": …, "movies": […]}.
func (a *rawAnswers) writeList(name string) error {
	return a.w.cfg.writeFile(rawFolder+"/"+name+".json", func(f io.Writer) error {
		enc := json.NewEncoder(f)
		enc.SetIndent("", " ")
		return enc.Encode(map[string]any{"source": "tmdb", "list": name, "movies": a.results[name]})
	})
}
