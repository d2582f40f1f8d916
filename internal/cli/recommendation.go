package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/api"
)

func (p *program) recommendCommand() *cobra.Command {
	var user string
	var k int
	var explain, record bool
	var m moment
	var rules listRules
	cmd := &cobra.Command{Use: "recommend --user U", Short: "Recommend films to somebody, now or as it would have been at a moment", Args: cobra.NoArgs,
		Long: `Recommend films to somebody. Without a moment this is what they are shown now, and the log keeps it, unless --record=false says only to look.
With --as-of or --known-at it is what they would have been shown: computed by replay, and not recorded.
What somebody was really shown is in 'projectionist shown'.

Films that are left out leave no gap: the next ones move up. With --diversity and --fresh the order is another than that
of the scores. Pages (--offset) of one cut, version and day neither skip nor repeat a film, unless one was added or hidden between them.`,
		Example: "  projectionist recommend --user 7 -k 5 --explain\n  projectionist recommend --user 7 --known-at 2024-01-15\n" +
			"  projectionist recommend --user 7 --genre Drama --genre Crime --year-from 1990 --diversity .3 --record=false",
		PreRunE: func(*cobra.Command, []string) error { return rules.parse() },
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			var raw []byte
			var err error
			if m.asOf == "" && m.knownAt == "" {
				q := with(url.Values{"k": {fmt.Sprint(k)}}, "user_id", user)
				if explain {
					q.Set("explain", "true")
				}
				if !record {
					q.Set("record", "false")
				}
				for name, v := range rules.given() {
					if names, ok := v.([]string); ok {
						v = api.JoinNames(names...)
					}
					q.Set(name, fmt.Sprint(v))
				}
				raw, err = c.get(ctx, "/api/v1/recommendations", q)
			} else {
				body := map[string]any{"user_id": user, "k": k, "explain": explain}
				maps.Copy(body, rules.given())
				for name, v := range map[string]string{"as_of": m.asOf, "known_at": m.knownAt} {
					if v != "" {
						body[name] = v
					}
				}
				raw, err = p.operate(ctx, c, "/api/v1/ops/recommendations", nil, body, "replaying")
			}
			if err != nil {
				return err
			}
			return p.ranking(raw, explain)
		})}
	cmd.Flags().StringVarP(&user, "user", "u", "", "whom; without it, somebody nothing is known of")
	cmd.Flags().IntVarP(&k, "count", "k", 10, "how many films")
	cmd.Flags().BoolVar(&explain, "explain", false, "why: which of their films, which source")
	cmd.Flags().BoolVar(&record, "record", true, "whether the log is to keep that they were shown this")
	rules.flags(cmd)
	m.flags(cmd)
	return cmd
}

// listRules are what a list has to keep to beside the ranking.
type listRules struct {
	exclude, genres, languages []string
	yearFrom, yearTo, offset   int
	diversity, fresh           float64
}

func (r *listRules) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&r.exclude, "exclude", nil, "films to leave out, with commas between; may be repeated; an id with a comma stands in double quotes: '\"a,b\",c'")
	f.StringArrayVar(&r.genres, "genre", nil, "only films of this genre; may be repeated, or several with commas between, for films of one of them")
	f.IntVar(&r.yearFrom, "year-from", 0, "only films of that year or later")
	f.IntVar(&r.yearTo, "year-to", 0, "only films of that year or earlier")
	f.StringArrayVar(&r.languages, "language", nil, "only films in this language, such as en; may be repeated")
	f.Float64Var(&r.diversity, "diversity", 0, "0 to 1: how much it weighs that films are unlike those before them")
	f.Float64Var(&r.fresh, "fresh", 0, "0 to 1: what a film of the year weighs beside a score; of last year half of it, and so on")
	f.IntVar(&r.offset, "offset", 0, "places to pass over: those of the pages before")
}

// parse takes lists apart, as the API does.
func (r *listRules) parse() error {
	for _, f := range []struct {
		flag string
		list *[]string
	}{{"exclude", &r.exclude}, {"genre", &r.genres}, {"language", &r.languages}} {
		var all []string
		for _, text := range *f.list {
			names, err := api.SplitNames(text)
			if err != nil {
				return fmt.Errorf("--%s: it %w", f.flag, err)
			}
			all = append(all, names...)
		}
		*f.list = all
	}
	return nil
}

// given are those that say anything, under the names of the API.
func (r *listRules) given() map[string]any {
	given := map[string]any{}
	put := func(name string, v any, says bool) {
		if says {
			given[name] = v
		}
	}
	put("exclude", r.exclude, len(r.exclude) > 0)
	put("genre", r.genres, len(r.genres) > 0)
	put("language", r.languages, len(r.languages) > 0)
	put("year_from", r.yearFrom, r.yearFrom != 0)
	put("year_to", r.yearTo, r.yearTo != 0)
	put("diversity", r.diversity, r.diversity != 0)
	put("fresh", r.fresh, r.fresh != 0)
	put("offset", r.offset, r.offset != 0)
	return given
}

// ranking writes films in their order, and what ranked them.
func (p *program) ranking(raw []byte, explain bool) error {
	if p.json {
		return p.printRaw(raw)
	}
	var res map[string]any
	if err := decode(raw, &res); err != nil {
		return err
	}
	var about []string
	if model := lookUp(res, "model_name"); model != nil {
		about = append(about, fmt.Sprintf("model %s version %s", cell(model), cell(res["model_version"])))
	}
	if s := res["strategy"]; s != nil {
		about = append(about, "strategy "+cell(s))
	}
	if res["replayed"] == true {
		about = append(about, "replayed for "+cell(lookUp(res, "now_millis")))
	}
	if res["timestamp"] != nil {
		about = append(about, "shown "+cell(res["timestamp"]))
	}
	if res["simulated"] == true {
		about = append(about, "simulated films and people")
	}
	if len(about) > 0 {
		fmt.Fprintln(p.out, strings.Join(about, " · "))
	}
	items, _, err := itemsOf(raw, "items")
	if err != nil {
		return err
	}
	if len(items) == 0 {
		fmt.Fprintln(p.out, "no films: the catalogue had none then, or the person had met all of them")
		return nil
	}
	for i, it := range items {
		if it["rank"] = it["position"]; it["rank"] == nil {
			it["rank"] = i + 1
		}
		if y := cell(it["year"]); y != "-" {
			it["title"] = fmt.Sprintf("%s (%s)", cell(it["title"]), y)
		}
		it["why"] = why(it["because"])
	}
	cols := "# rank, MOVIE movie_id, TITLE title, SCORE score"
	if explain {
		cols += ", FROM sources, BECAUSE why"
	}
	return table(p.out, columns(cols), items)
}

// whyMax is how many films stand in a row of a table.
const whyMax = 5

// why names the films that speak most for another, or what else does, each once.
func why(because any) string {
	var titles []string
	list, _ := because.([]any)
	for _, b := range list {
		m, ok := b.(map[string]any)
		if against, _ := strconv.ParseFloat(fmt.Sprint(m["score"]), 64); !ok || against < 0 || len(titles) == whyMax {
			continue
		}
		if title := cell(lookUp(m, "title|movie_id|source")); !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	return strings.Join(titles, "; ")
}

func (p *program) similarCommand() *cobra.Command {
	var k int
	var m moment
	cmd := &cobra.Command{Use: "similar MOVIE", Short: "List films like one", Args: cobra.ExactArgs(1), Example: "  projectionist similar 318 -k 5\n  projectionist similar 318 --known-at user-events/0@120",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/movies/"+escape(args[0])+"/similar", m.query(url.Values{"k": {fmt.Sprint(k)}}))
			if err != nil {
				return err
			}
			return p.ranking(raw, false)
		})}
	cmd.Flags().IntVarP(&k, "count", "k", 10, "how many films")
	m.knownFlag(cmd)
	return cmd
}

func (p *program) historyCommand() *cobra.Command {
	var movie, from, to string
	var oldest bool
	var m moment
	var g page
	cmd := &cobra.Command{Use: "history USER | --movie ID", Short: "List what somebody did, or what was done with a film, newest first", Args: cobra.MaximumNArgs(1),
		Example: "  projectionist history 7\n  projectionist history --movie 318 --as-of 2013-09-01 --known-at user-events/0@120",
		PreRunE: func(_ *cobra.Command, args []string) error {
			if (len(args) == 1) == (movie != "") {
				return errors.New("give either a user or --movie ID")
			}
			return nil
		},
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			path, cols := "/api/v1/movies/"+escape(movie)+"/history", "HAPPENED event_millis, USER user_id, WHAT interaction_type, RATING rating, SUPERSEDED superseded, RECORDED recorded_millis, OFFSET offset"
			if movie == "" {
				path, cols = "/api/v1/users/"+escape(args[0])+"/history", "HAPPENED event_millis, MOVIE movie_id, WHAT interaction_type, RATING rating, SUPERSEDED superseded, SOURCE source, RECORDED recorded_millis, OFFSET offset"
			}
			q := with(with(m.query(g.query(nil)), "from", from), "to", to)
			if oldest {
				q.Set("order", "oldest")
			}
			raw, err := c.get(ctx, path, q)
			if err != nil {
				return err
			}
			return p.list(raw, "items", cols, "nothing is known")
		})}
	f := cmd.Flags()
	f.StringVar(&movie, "movie", "", "a film instead of a person")
	f.StringVar(&from, "from", "", "only what happened from then on (event time)")
	f.StringVar(&to, "to", "", "only what happened before (event time)")
	f.BoolVar(&oldest, "oldest", false, "oldest first")
	m.flags(cmd)
	g.flags(cmd)
	return cmd
}

func (p *program) shownCommand() *cobra.Command {
	var at string
	var m moment
	var g page
	cmd := &cobra.Command{Use: "shown USER", Short: "Show what somebody was recommended, by which model and why", Args: cobra.ExactArgs(1),
		Example: "  projectionist shown 7\n  projectionist shown 7 --at 2024-01-15T10:30:00Z",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			path := "/api/v1/users/" + escape(args[0]) + "/recommendations"
			if at != "" {
				raw, err := c.get(ctx, path, m.query(url.Values{"at": {at}}))
				if err != nil {
					return err
				}
				return p.ranking(raw, true)
			}
			raw, err := c.get(ctx, path, m.query(g.query(nil)))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				list, _ := it["items"].([]any)
				it["titles"] = why(list)
				it["n"] = len(list)
			}
			return p.rows(items, more, "SHOWN event_millis, MODEL model_name, VERSION model_version, STRATEGY strategy, FILMS n, TITLES titles, POSITION position", "they were shown nothing yet")
		})}
	cmd.Flags().StringVar(&at, "at", "", "the last answer up to that time, with reasons")
	m.flags(cmd)
	g.flags(cmd)
	return cmd
}

// answer prints an answer as it is, for --json.
func (p *program) answer(raw []byte, err error) error {
	if err != nil {
		return err
	}
	return p.printRaw(raw)
}

func (p *program) feedbackCommand() *cobra.Command {
	var rating float64
	var kind, session, at string
	cmd := &cobra.Command{Use: "feedback USER MOVIE", Short: "Record what somebody did with a film", Args: cobra.ExactArgs(2),
		Long:    "Record what somebody did with a film. It is durable once this returns, and the next recommendation\nreflects it.",
		Example: "  projectionist feedback 7 318 --rating 4.5\n  projectionist feedback 7 318 --type click"}
	cmd.RunE = p.asking(func(ctx context.Context, c *client, args []string) error {
		body := map[string]any{"user_id": args[0], "movie_id": args[1]}
		if cmd.Flags().Changed("rating") {
			body["rating"] = rating
		}
		for name, v := range map[string]string{"interaction_type": kind, "session_id": session, "timestamp": at} {
			if v != "" {
				body[name] = v
			}
		}
		raw, err := c.whole(ctx, call{method: "POST", path: "/api/v1/feedback", body: body,
			headers: map[string]string{"Idempotency-Key": fmt.Sprintf("cli-%s-%d", c.actor, time.Now().UnixNano())}})
		if err != nil || p.json {
			return p.answer(raw, err)
		}
		var res map[string]any
		if err := decode(raw, &res); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "recorded at %s\n", cell(res["position"]))
		return nil
	})
	cmd.Flags().Float64Var(&rating, "rating", 0, "stars, above 0 up to 5")
	cmd.Flags().StringVar(&kind, "type", "", "what they did: click, view, watch, like, … (default: rating with --rating, else like)")
	cmd.Flags().StringVar(&session, "session", "", "the session it belongs to")
	cmd.Flags().StringVar(&at, "time", "", "when it happened (default: now)")
	return cmd
}
