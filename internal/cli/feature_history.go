package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// featureHistoryCommand shows the events that changed features of one entity.
func (p *program) featureHistoryCommand() *cobra.Command {
	var m moment
	var g page
	cmd := &cobra.Command{Use: "history VIEW[:FEATURE,…] KEY=VALUE…", Short: "Show every value that features of a film, a person or another entity had, with the event that changed it", Args: cobra.MinimumNArgs(2),
		Long: `Show every value that features of an entity had, with the event that changed it, the newest first. The entity is given by the view's join
keys. What changes as time goes by, such as counts of a window, changes by no event; it is shown as of each event's own time.`,
		Example: "  projectionist features history movie_features:rating,rating_count movie_id=42\n  projectionist features history movie_reviews movie_id=42 --known-at 2026-11-17T09:00:00Z",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			view, names, _ := strings.Cut(args[0], ":")
			q := with(m.query(g.query(url.Values{})), "features", names)
			for _, arg := range args[1:] {
				key, value, ok := strings.Cut(arg, "=")
				if !ok || q.Has(key) {
					return usage("%q is no join key with its value: write it as movie_id=42, each once", arg)
				}
				q.Set(key, value)
			}
			raw, err := c.get(ctx, "/api/v1/features/views/"+escape(view)+"/history", q)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			var rows []map[string]any
			for _, it := range items {
				changes, _ := it["changes"].([]any)
				for _, change := range changes {
					row, ok := change.(map[string]any)
					if !ok {
						continue
					}
					row["event_millis"], row["event_id"], row["position"], row["by"] = it["event_millis"], it["event_id"], it["position"], changedBy(it)
					rows = append(rows, row)
				}
			}
			return p.rows(rows, more, "TIME event_millis, FEATURE feature, FROM from, TO to, BY by, POSITION position, EVENT event_id", "nothing has changed")
		})}
	m.flags(cmd)
	g.flags(cmd)
	return cmd
}

// changedBy says what an event was.
func changedBy(it map[string]any) string {
	kind, ok := it["interaction_type"].(string)
	if !ok {
		text := fmt.Sprint(it["event_type"])
		if it["offline"] == true {
			text += " for training"
		}
		return text
	}
	if rating := it["rating"]; rating != nil {
		kind += " " + cell(rating)
	}
	return fmt.Sprintf("%s of film %s by %s", kind, cell(it["movie_id"]), cell(it["user_id"]))
}

// featureStatisticsCommand shows how features are distributed.
func (p *program) featureStatisticsCommand() *cobra.Command {
	var m moment
	var features, against string
	var sample int
	cmd := &cobra.Command{Use: "statistics [VIEW]", Short: "Show how features are distributed over their entities, and how far that is from a training set", Args: cobra.MaximumNArgs(1),
		Long: `Show how the features of a view, or of all, are distributed over their entities: each entity counts once, of very many a sample of
them. With --against a training set, each feature is compared with the column of its name: js is the distance of Jensen and Shannon,
from 0 to 1; psi the population stability index; ks the statistic of Kolmogorov and Smirnov. A feature has drifted where js reaches
.1, or twice what chance makes of so few rows. --json shows quantiles and histograms too.`,
		Example: "  projectionist features statistics movie_features\n  projectionist features statistics user_features --against ranking_set@2",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q := with(with(m.query(url.Values{}), "features", features), "against", against)
			if len(args) > 0 {
				q.Set("view", args[0])
			}
			if sample != 0 {
				q.Set("sample", fmt.Sprint(sample))
			}
			raw, err := c.get(ctx, "/api/v1/features/statistics", q)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			views, _, err := itemsOf(raw, "views")
			if err != nil {
				return err
			}
			var rows []map[string]any
			for _, v := range views {
				fmt.Fprintf(p.err, "%s: %s of %s entities\n", cell(v["view"]), cell(v["found"]), cell(v["entities"]))
				list, _ := v["features"].([]any)
				for _, f := range list {
					row, ok := f.(map[string]any)
					if !ok {
						continue
					}
					row["view"] = v["view"]
					row["top"] = topOf(row)
					rows = append(rows, row)
				}
			}
			cols := "VIEW view, FEATURE feature, COUNT count, NULLS nulls, MIN numbers.min, P50 numbers.quantiles.p50, MEAN numbers.mean, MAX numbers.max, DISTINCT numbers.distinct|words.distinct, TOP top"
			if against != "" {
				cols += ", JS drift.js, PSI drift.psi, KS drift.ks, DRIFTED drift.drifted"
			}
			return p.rows(rows, "", cols, "no features are defined")
		})}
	m.flags(cmd)
	cmd.Flags().StringVar(&features, "features", "", "features of the view by name, with commas between")
	cmd.Flags().StringVar(&against, "against", "", "training set to compare with: NAME@VERSION, or NAME for its latest version")
	cmd.Flags().IntVar(&sample, "sample", 0, "how many entities to look at, at most (default 20000)")
	return cmd
}

// topOf is the text that was met most.
func topOf(row map[string]any) any {
	top, _ := lookUp(row, "words.top").([]any)
	if len(top) == 0 {
		return nil
	}
	word, _ := top[0].(map[string]any)
	return clip(cell(word["value"]), 30)
}
