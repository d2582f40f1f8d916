package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (p *program) experimentsCommand() *cobra.Command {
	var g page
	list := &cobra.Command{Use: "list", Short: "List experiments", Args: cobra.NoArgs, Example: "  projectionist experiments list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/experiments", g.query(nil))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "ID experiment_id, NAME name, CREATED created_millis", "there is no experiment yet")
		})}
	g.flags(list)
	return group("experiments", "Experiments: what runs belong to", list)
}

func (p *program) runsCommand() *cobra.Command {
	var g page
	var experiment string
	list := &cobra.Command{Use: "list", Short: "List training and evaluation runs, newest first", Args: cobra.NoArgs, Example: "  projectionist runs list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/runs", with(g.query(nil), "experiment_id", experiment))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				it["metrics"] = metrics(it["metrics"])
			}
			return p.rows(items, more, "RUN run_id, NAME name, STATUS status, STARTED start_millis, ENDED end_millis, EXPERIMENT experiment_id, METRICS metrics", "there is no run yet")
		})}
	list.Flags().StringVar(&experiment, "experiment", "", "only the runs of one experiment, by its id")
	g.flags(list)
	show := &cobra.Command{Use: "show ID", Short: "Show a run: parameters, metrics, artifacts", Args: cobra.ExactArgs(1), Example: "  projectionist runs show 4f2c…",
		RunE: p.showing("/api/v1/runs/")}
	return group("runs", "Runs: what was trained and measured, and with what", list, show)
}

// metrics leaves of each metric its value.
func metrics(v any) map[string]any {
	values := map[string]any{}
	m, _ := v.(map[string]any)
	for k, v := range m {
		if entry, ok := v.(map[string]any); ok {
			v = entry["value"]
		}
		values[k] = v
	}
	return values
}

// showing is the body of a command that shows one thing by its id.
func (p *program) showing(path string) func(*cobra.Command, []string) error {
	return p.asking(func(ctx context.Context, c *client, args []string) error {
		raw, err := c.get(ctx, path+escape(args[0]), nil)
		if err != nil {
			return err
		}
		return p.document(raw)
	})
}
