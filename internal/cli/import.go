package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/internal/fault"
)

const (
	datasetSimulated = "simulated"
	worldPrefix      = "simulation:"
)

// worldParams are the parameters of a simulated world, as the path of its import has them:
// "simulation:seed=1,users=600,movies=1000,events=60000,end=2026-01-31T10:00:00Z".
type worldParams struct{ world.Params }

// defaultWorld is enough to learn from and trained in seconds.
func defaultWorld() worldParams {
	return worldParams{world.Params{Seed: 1, Users: 600, Movies: 1000, Events: 60_000}}
}

func (w worldParams) path() string { return ingest.WorldPath(w.Params) }

// same says whether two worlds differ by nothing but when they end.
func (w worldParams) same(o worldParams) bool {
	w.End, o.End = time.Time{}, time.Time{}
	return w == o
}

func (w worldParams) source(now time.Time) (ingest.Source, error) {
	return ingest.FromWorld(w.Params, now)
}

// parseWorld reads "users=600,seed=2"; what is not named keeps its default.
func parseWorld(text string) (worldParams, error) {
	w := defaultWorld()
	if text == "" {
		return w, nil
	}
	for _, part := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			return w, fmt.Errorf("--simulate: %q: want NAME=NUMBER, such as users=600", part)
		}
		var err error
		switch name {
		case "seed":
			w.Seed, err = strconv.ParseUint(value, 10, 64)
		case "users":
			w.Users, err = positive(value)
		case "movies":
			w.Movies, err = positive(value)
		case "events":
			w.Events, err = positive(value)
		case "end":
			w.End, err = time.Parse(time.RFC3339, value)
		case "start":
			w.Start, err = time.Parse(time.RFC3339, value)
		default:
			return w, fmt.Errorf("--simulate: %q is not known; it takes seed, users, movies and events", name)
		}
		if err != nil {
			return w, fmt.Errorf("--simulate: %s: %q is not one", name, value)
		}
	}
	return w, nil
}

func positive(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	return n, err
}

// worldOfPath reads what path wrote.
func worldOfPath(path string) (worldParams, bool) {
	text, ok := strings.CutPrefix(path, worldPrefix)
	if !ok {
		return worldParams{}, false
	}
	w, err := parseWorld(text)
	return w, err == nil && !w.End.IsZero()
}

// openData finds the data set to import.
func openData(path string) (*dataset.Set, error) {
	set, err := dataset.Open(path)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "cannot import %s", path).(*fault.Error).
			WithHint("give a MovieLens or MovieTweetings folder, or its .zip")
	}
	return set, nil
}

func (p *program) importCommand() *cobra.Command {
	merge, badRows, columns := false, int64(0), map[string]string{}
	cmd := &cobra.Command{Use: "import PATH", Short: "Import a data set: films, and what people did with them",
		Long: `Import a MovieLens (.csv, .dat or u.data layout) or MovieTweetings data set, a folder or a .zip. What
users.dat or u.user tell of people (age, gender, occupation) comes along; of an age group, as ml-1m has
them, the lower end is taken.
An import that was cut off goes on where it was; importing twice adds nothing.

Any other csv file of ratings is read with --columns, which says in which column stands what: by its
name in the header, or by its number from 1. Ratings are above 0 and at most 5; times are Unix seconds
or milliseconds, or ISO 8601. A film that the log does not have is listed by its id.

A line that cannot be read stops it. With --bad-rows N, up to N such lines go to the quarantine instead,
with their file and line (projectionist quarantine list), and are counted in the result.`,
		Example: "  projectionist import ml-latest-small.zip\n  projectionist import ml-1m --bad-rows 100\n" +
			"  projectionist import reviews.csv --columns user=reviewer,item=asin,rating=stars,time=posted_at", Args: cobra.ExactArgs(1),
		RunE: p.filling(func(ctx context.Context, c *client, args []string) error {
			path, err := absolute(args[0])
			if err != nil {
				return err
			}
			body := map[string]any{"path": path, "merge": merge, "bad_rows": badRows}
			if len(columns) > 0 {
				body["columns"] = columns
			}
			return p.imported(ctx, c, body)
		})}
	mergeFlag(cmd, &merge)
	cmd.Flags().StringToStringVar(&columns, "columns", nil, "of a csv file: user=…,item=…,rating=…,time=…, names or numbers")
	cmd.Flags().Int64Var(&badRows, "bad-rows", 0, "lines that cannot be read and are passed over, into the quarantine")
	return cmd
}

func mergeFlag(cmd *cobra.Command, merge *bool) {
	cmd.Flags().BoolVar(merge, "merge", false, "ids mean the same people and films as in the data sets that are there already")
}

// filling is asking for a command that may make the data folder.
func (p *program) filling(f func(ctx context.Context, c *client, args []string) error) func(*cobra.Command, []string) error {
	ask := p.asking(f)
	return func(cmd *cobra.Command, args []string) error {
		p.mayMake = true
		return ask(cmd, args)
	}
}

func (p *program) imported(ctx context.Context, c *client, body any) error {
	raw, err := p.operate(ctx, c, "/api/v1/imports", nil, body, "importing")
	if err != nil {
		return err
	}
	if p.json {
		return p.printRaw(raw)
	}
	var res ingest.Result
	if err := json.Unmarshal(raw, &res); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	if res.AlreadyDone {
		fmt.Fprintf(p.out, "%s is in the log already: nothing was added\n", res.Dataset)
	} else {
		fmt.Fprintf(p.out, "%s: %s and %s added, %s there already\n", res.Dataset, count(res.MoviesAdded, "film"),
			count(res.FactsAdded, "interaction"), thousands(res.FactsDuplicate))
	}
	if res.UsersDescribed > 0 {
		fmt.Fprintf(p.out, "%s described\n", people(res.UsersDescribed))
	}
	if res.BadRows > 0 {
		fmt.Fprintf(p.out, "%s could not be read: see `projectionist quarantine list`\n", count(res.BadRows, "line"))
	}
	if c.app != nil && !res.AlreadyDone {
		fmt.Fprintln(p.err, "a model is trained on it when `projectionist serve` runs")
	}
	return nil
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return thousands(n) + " people"
}

func (p *program) simulateCommand() *cobra.Command {
	w := defaultWorld()
	cmd := &cobra.Command{Use: "simulate", Short: "Import a simulated world: invented films, and people with tastes that drift", Args: cobra.NoArgs,
		Example: "  projectionist simulate --users 2000 --movies 500 --events 200000 --seed 7",
		RunE: p.filling(func(ctx context.Context, c *client, _ []string) error {
			return p.imported(ctx, c, map[string]any{"simulate": map[string]any{
				"seed": w.Seed, "users": w.Users, "movies": w.Movies, "events": w.Events}})
		})}
	cmd.Flags().Uint64Var(&w.Seed, "seed", w.Seed, "of the world's random numbers")
	cmd.Flags().IntVar(&w.Users, "users", w.Users, "how many people")
	cmd.Flags().IntVar(&w.Movies, "movies", w.Movies, "how many films")
	cmd.Flags().IntVar(&w.Events, "events", w.Events, "how many interactions")
	return cmd
}

func (p *program) ingestCommand() *cobra.Command {
	pages := 0
	tmdb := &cobra.Command{Use: "tmdb", Short: "Fetch popular and top rated films with their details from TMDB", Args: cobra.NoArgs,
		Long: `Fetch popular and top rated films with their details from TMDB. Needs $TMDB_API_KEY, also from a .env
file in the working folder, where the server runs; $PROJECTIONIST_TMDB_URL is another address of the API.
Entries that are no films are skipped, and films that cannot be kept refused: the result says why.`,
		Example: "  TMDB_API_KEY=… projectionist ingest tmdb --pages 5",
		RunE: p.filling(func(ctx context.Context, c *client, _ []string) error {
			conf := map[string]string{}
			if pages != 0 {
				conf["pages"] = strconv.Itoa(pages)
			}
			return p.runWorkflow(ctx, c, "movie_data_collection", conf, "", "", true)
		})}
	tmdb.Flags().IntVar(&pages, "pages", 0, "pages of each list, of 20 films each (default: the server's)")
	return group("ingest", "Fetch films from elsewhere", tmdb)
}
