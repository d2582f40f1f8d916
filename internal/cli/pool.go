package cli

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"
)

// poolsCommand is about how many tasks of workflows may be at work at once.
func (p *program) poolsCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "List pools, their slots, and how many tasks have and wait for", Args: cobra.NoArgs, Example: "  projectionist pools list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows/pools", nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, _, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				if it["undefined"] == true {
					it["slots"], it["description"] = nil, "not defined: tasks that name it wait"
				}
			}
			return p.rows(items, "", "POOL name, SLOTS slots, RUNNING running_slots, WAITING waiting_slots, DESCRIPTION description", "there is none")
		})}
	var description string
	set := &cobra.Command{Use: "set NAME SLOTS", Short: "Give a pool its slots: so many tasks that name it may be at work at once, on all nodes; -1 for any number", Args: cobra.ExactArgs(2),
		Example: "  projectionist pools set gpu 1 --description 'one card'",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			slots, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("SLOTS: %q is not a whole number", args[1])
			}
			raw, err := c.whole(ctx, call{method: http.MethodPut, path: "/api/v1/workflows/pools/" + escape(args[0]), body: map[string]any{"slots": slots, "description": description}})
			return p.commanded(raw, err)
		})}
	set.Flags().StringVar(&description, "description", "", "what it is for")
	remove := &cobra.Command{Use: "remove NAME", Short: "Take a pool away; tasks that name it wait until there is one again", Args: cobra.ExactArgs(1), Example: "  projectionist pools remove gpu",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.whole(ctx, call{method: http.MethodDelete, path: "/api/v1/workflows/pools/" + escape(args[0])})
			return p.commanded(raw, err)
		})}
	return group("pools", "Pools: how many tasks of workflows may be at work at once", list, set, remove)
}
