package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func (p *program) recommendCommand() *cobra.Command {
	var user string
	var k int
	var explain bool
	var m moment
	cmd := &cobra.Command{Use: "recommend --user U", Short: "Recommend films to somebody, now or as it would have been at a moment", Args: cobra.NoArgs,
		Long: `Recommend films to somebody. Without a moment this is what they are shown now, and the log keeps it.
With --as-of or --known-at it is what they would have been shown: computed by replay, and not recorded.
What somebody was really shown is in 'projectionist shown'.`,
		Example: "  projectionist recommend --user 7 -k 5 --explain\n  projectionist recommend --user 7 --known-at 2024-01-15",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			var raw []byte
			var err error
			if m.asOf == "" && m.knownAt == "" {
				q := with(url.Values{"k": {fmt.Sprint(k)}}, "user_id", user)
				if explain {
					q.Set("explain", "true")
				}
				raw, err = c.get(ctx, "/api/v1/recommendations", q)
			} else {
				body := map[string]any{"user_id": user, "k": k, "explain": explain}
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
	m.flags(cmd)
	return cmd
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
		it["rank"] = i + 1
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
	cmd := &cobra.Command{Use: "similar MOVIE", Short: "List films like one", Args: cobra.ExactArgs(1), Example: "  projectionist similar 318 -k 5",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/movies/"+escape(args[0])+"/similar", url.Values{"k": {fmt.Sprint(k)}})
			if err != nil {
				return err
			}
			return p.ranking(raw, false)
		})}
	cmd.Flags().IntVarP(&k, "count", "k", 10, "how many films")
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
			if len(items) == 0 {
				fmt.Fprintln(p.err, "they were shown nothing yet")
				return nil
			}
			if more != "" {
				defer fmt.Fprintf(p.err, "there are more: add --cursor %s\n", more)
			}
			return table(p.out, columns("SHOWN event_millis, MODEL model_name, VERSION model_version, STRATEGY strategy, FILMS n, TITLES titles, POSITION position"), items)
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
