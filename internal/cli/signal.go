package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"
)

func (p *program) signalsCommand() *cobra.Command {
	var m moment
	show := &cobra.Command{Use: "show", Short: "Print the definition in force, now or at a moment", Args: cobra.NoArgs,
		Example: "  projectionist signals show > signals.yaml",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			headers := map[string]string{"Accept": "application/yaml"}
			if p.json {
				headers = nil
			}
			raw, err := c.whole(ctx, call{method: http.MethodGet, path: "/api/v1/signals", query: m.query(nil), headers: headers})
			return p.answer(raw, err)
		})}
	m.flags(show)

	apply := &cobra.Command{Use: "apply FILE", Short: "Put a definition in force", Args: cobra.ExactArgs(1), Example: "  projectionist signals apply signals.yaml",
		Long: `Put a definition in force of what acts mean: how much a person likes a film by it, whether it counts as
popularity, and for how long the film is not shown to them again. The online model is folded again by it from
the log, beside the one that answers meanwhile; what is trained from now on is trained by it.`,
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			body, done, err := fileOf(args[0], "application/yaml")
			if err != nil {
				return err
			}
			defer done()
			raw, err := c.whole(ctx, call{method: http.MethodPost, path: "/api/v1/signals", body: body})
			return p.commanded(raw, err)
		})}

	history := &cobra.Command{Use: "history", Short: "List the definitions that were in force, newest first", Args: cobra.NoArgs,
		Example: "  projectionist signals history",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/signals/history", nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, more, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			return p.rows(items, more, "RECORDED recorded_millis, HASH hash, POSITION position", "nothing was defined")
		})}
	return group("signals", "What acts mean: a click, a like, an impression", show, apply, history)
}
