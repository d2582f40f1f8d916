package cli

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"
)

func (p *program) webhooksCommand() *cobra.Command {
	var g page
	list := &cobra.Command{Use: "list", Short: "List who is told of what happens in the registry, and how the last message fared", Args: cobra.NoArgs, Example: "  projectionist webhooks list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/webhooks", g.query(nil))
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				for _, field := range []string{"waiting", "last"} {
					if v, ok := it[field].(map[string]any); ok {
						it[field], it[field+"_error"], it["delivered"] = v["event"], v["error"], v["delivered"]
					}
				}
			}
			return p.rows(items, more, "ID webhook_id, NAME name, URL url, DISABLED disabled, WAITING waiting, LAST last, DELIVERED delivered, ERROR last_error", "nobody is told of anything")
		})}
	g.flags(list)

	var dg page
	var waiting bool
	deliveries := &cobra.Command{Use: "deliveries ID", Short: "Show what a webhook was told last, and what came of it", Args: cobra.ExactArgs(1),
		Example: "  projectionist webhooks deliveries d003fa21107d41a1b022ed9c0e0bfaaf\n  projectionist webhooks deliveries d003fa21107d41a1b022ed9c0e0bfaaf --waiting",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q, columns := dg.query(nil), "EVENT event, DELIVERED delivered, ATTEMPTS attempts, STATUS status, TIME event_millis, DELIVERY delivery_id, ERROR error"
			if waiting {
				if q == nil {
					q = url.Values{}
				}
				q.Set("waiting", "true")
				columns = "EVENT event, SINCE event_millis, DELIVERY delivery_id, DATA data"
			}
			raw, err := c.get(ctx, "/api/v1/webhooks/"+escape(args[0])+"/deliveries", q)
			if err != nil {
				return err
			}
			return p.list(raw, "items", columns, "nothing")
		})}
	deliveries.Flags().BoolVar(&waiting, "waiting", false, "what it is still to be told, in order")
	dg.flags(deliveries)
	return group("webhooks", "Webhooks, which MLflow's clients make: list, what they were told", list, deliveries)
}
