package cli

import (
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

// workflowTriggers is the command that shows what workflows are triggered by.
func (p *program) workflowTriggers() *cobra.Command {
	var workflow string
	cmd := &cobra.Command{Use: "triggers", Short: "List what workflows are triggered by, and why each has fired last or has not", Args: cobra.NoArgs,
		Long:    "List what workflows are triggered by, and what each trigger has decided last: waiting for events, cooling down or over\nbudget until a time, waiting for its last run to end, or paused.",
		Example: "  projectionist workflows triggers\n  projectionist workflows triggers --workflow movie_training_pipeline --json",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows/triggers", with(url.Values{}, "workflow", workflow))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, _, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				t, _ := it["trigger"].(map[string]any)
				it["name"], it["event"] = t["name"], t["event"]
				if last, ok := it["last_event"].(map[string]any); ok {
					it["looked"] = fmt.Sprintf("%s: %s", cell(last["position"]), cell(last["word"]))
				}
			}
			return p.rows(items, "", "WORKFLOW workflow, TRIGGER name, EVENT event, STATE state, WHY reason, LAST_EVENT looked, LAST_RUN run, ASKED run_millis", "no workflow is triggered by events")
		})}
	cmd.Flags().StringVar(&workflow, "workflow", "", "only those of one workflow")
	return cmd
}
