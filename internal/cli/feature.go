package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// choosing are the flags that say which features.
type choosing struct {
	service, view, features string
	full                    bool
}

func (s *choosing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.service, "service", "", "the features of a service")
	f.StringVar(&s.view, "view", "", "the features of a view")
	f.StringVar(&s.features, "features", "", "features by name, or view:name, with commas between")
	f.BoolVar(&s.full, "full-names", false, "name each feature view__feature")
}

func (s *choosing) query(q url.Values) url.Values {
	q = with(with(with(q, "service", s.service), "view", s.view), "features", s.features)
	if s.full {
		q.Set("full_feature_names", "true")
	}
	return q
}

func (p *program) featuresCommand() *cobra.Command {
	var m moment
	var which choosing
	var said []string
	get := &cobra.Command{Use: "get movie|user ID", Short: "Read the features of a film or a person, now or at a moment", Args: cobra.ExactArgs(2),
		Example: "  projectionist features get movie 123 --as-of 2013-09-01 --known-at 2024-01-15",
		PreRunE: func(_ *cobra.Command, args []string) error {
			if args[0] != "movie" && args[0] != "user" {
				return fmt.Errorf("%q is not an entity: want movie or user", args[0])
			}
			return nil
		},
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q := m.query(which.query(nil))
			for _, text := range said {
				q.Add("request", text)
			}
			raw, err := c.get(ctx, "/api/v1/features/"+args[0]+"/"+escape(args[1]), q)
			if err != nil {
				return err
			}
			return p.document(raw)
		})}
	m.flags(get)
	which.flags(get)
	get.Flags().StringArrayVar(&said, "request", nil, "NAME=VALUE that an on-demand view wants of the request; may be given several times")

	var h historical
	join := &cobra.Command{Use: "historical --entities rows.csv", Short: "Join rows with features as they were at each row's own time", Args: cobra.NoArgs,
		Long: `Join rows with features as they were at each row's own time, for training: no value is from the row's
future. The file has the columns event_timestamp and user_id, movie_id or both; others are kept. A cell
without an id (nothing, NaN, null) is nobody's: its features stay empty. What an on-demand view wants of
a request is a column by its name; an empty cell is null. A .json file is a list under
"rows"; of a .parquet file the answer is one, too. With --known-at, and --known-at-row for each row's own time, only what the log had by then
counts too.`,
		Example: "  projectionist features historical --entities rows.csv --service ranking -o training.csv",
		PreRunE: need(&h.entities, "entities", "rows.csv"),
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			return p.historical(ctx, c, h)
		})}
	h.which.flags(join)
	h.moments(join)
	join.Flags().StringVarP(&h.out, "out", "o", "", "file to write (default: standard output)")

	apply := &cobra.Command{Use: "apply FILE", Short: "Put a definitions file in force", Args: cobra.ExactArgs(1), Example: "  projectionist features apply definitions.yaml",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			body, done, err := fileOf(args[0], "application/yaml")
			if err != nil {
				return err
			}
			defer done()
			raw, err := c.whole(ctx, call{method: http.MethodPost, path: "/api/v1/features/definitions", body: body})
			return p.commanded(raw, err)
		})}

	var dm moment
	definitions := &cobra.Command{Use: "definitions", Short: "Print the definitions file in force, now or at a moment", Args: cobra.NoArgs,
		Example: "  projectionist features definitions > definitions.yaml",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			headers := map[string]string{"Accept": "application/yaml"}
			if p.json {
				headers = nil
			}
			raw, err := c.whole(ctx, call{method: http.MethodGet, path: "/api/v1/features/definitions", query: dm.query(nil), headers: headers})
			return p.answer(raw, err)
		})}
	dm.flags(definitions)

	var lm moment
	list := &cobra.Command{Use: "list", Short: "List all features", Args: cobra.NoArgs, Example: "  projectionist features list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/features/views", lm.query(nil))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			views, _, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			var rows []map[string]any
			for _, v := range views {
				features, _ := v["features"].([]any)
				for _, f := range features {
					if f, ok := f.(map[string]any); ok {
						f["view"], f["entity"] = v["name"], v["entity"]
						rows = append(rows, f)
					}
				}
			}
			return p.rows(rows, "", "VIEW view, ENTITY entity, FEATURE name, TYPE type, AGGREGATION aggregation, DESCRIPTION description", "no features are defined")
		})}
	lm.flags(list)
	return group("features", "Features: read them, join them, define them, and look at their history and statistics", get, join, list, definitions, apply, p.featureHistoryCommand(), p.featureStatisticsCommand(), p.viewVersionsCommand("versions", "features versions"))
}

// The following are spelt as Feast's command line has them.

func (p *program) featureViewsCommand() *cobra.Command {
	return group("feature-views", "Feature views, as Feast calls them", p.listing("feature views", "/api/v1/features/views", "NAME name, ENTITIES entity, FEATURES features, DESCRIPTION description"),
		p.viewVersionsCommand("list-versions", "feature-views list-versions"))
}

// viewVersionsCommand lists the definitions that a view has had.
func (p *program) viewVersionsCommand(use, typed string) *cobra.Command {
	return &cobra.Command{Use: use + " VIEW", Short: "List the definitions that a view has had, each of which may be read as VIEW@vN:feature", Args: cobra.ExactArgs(1),
		Example: "  projectionist " + typed + " movie_features",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/features/views/"+escape(args[0])+"/versions", nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			return p.rows(items, more, "VERSION version, KIND kind, FEATURES features, IN-FORCE in_force, DEFINED event_millis, POSITION position, HASH hash", "there are none")
		})}
}

func (p *program) entitiesCommand() *cobra.Command {
	return group("entities", "What features are of", p.listing("entities", "/api/v1/features/entities", "NAME name, JOIN-KEY join_key, DESCRIPTION description"))
}

func (p *program) featureServicesCommand() *cobra.Command {
	return group("feature-services", "Named choices of features", p.listing("feature services", "/api/v1/features/services", "NAME name, FEATURES features, DESCRIPTION description"))
}

func (p *program) listing(what, path, cols string) *cobra.Command {
	var m moment
	list := &cobra.Command{Use: "list", Short: "List " + what, Args: cobra.NoArgs, Example: "  projectionist " + strings.ReplaceAll(what, " ", "-") + " list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, path, m.query(nil))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				it["features"] = names(it["features"])
			}
			return p.rows(items, more, cols, "there are none")
		})}
	m.flags(list)
	return list
}

// names leaves of a list of things their names.
func names(v any) any {
	list, ok := v.([]any)
	if !ok {
		return v
	}
	out := make([]any, len(list))
	for i := range list {
		out[i] = list[i]
		if m, ok := list[i].(map[string]any); ok {
			out[i] = m["name"]
		}
	}
	return out
}
