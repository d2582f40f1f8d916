package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// variablesCommand is about the values that definitions of workflows name by {{ var.value.KEY }}.
func (p *program) variablesCommand() *cobra.Command {
	at := func(key string) string { return "/api/v1/variables/" + escape(key) }
	var g page
	list := &cobra.Command{Use: "list", Short: "List the variables and their values, by key", Args: cobra.NoArgs, Example: "  projectionist variables list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/variables", g.query(nil))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "KEY key, VALUE value, BY actor, SET updated_millis, DESCRIPTION description", "no variable is set")
		})}
	g.flags(list)
	get := &cobra.Command{Use: "get KEY", Short: "Print a variable's value", Args: cobra.ExactArgs(1), Example: "  projectionist variables get region",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, at(args[0]), nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			var v struct {
				Value string `json:"value"`
			}
			if err := decode(raw, &v); err != nil {
				return err
			}
			fmt.Fprintln(p.out, v.Value)
			return nil
		})}
	var description string
	set := &cobra.Command{Use: "set KEY VALUE", Short: "Give a variable a value; tasks that start from now on see it", Args: cobra.ExactArgs(2),
		Example: "  projectionist variables set region eu --description 'where films are shown'",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.whole(ctx, call{method: http.MethodPut, path: at(args[0]), body: map[string]any{"value": args[1], "description": description}})
			return p.commanded(raw, err)
		})}
	set.Flags().StringVar(&description, "description", "", "what it is for")
	remove := &cobra.Command{Use: "delete KEY", Short: "Take a variable away; a task that names it fails", Args: cobra.ExactArgs(1), Example: "  projectionist variables delete region",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.whole(ctx, call{method: http.MethodDelete, path: at(args[0])})
			return p.commanded(raw, err)
		})}
	return group("variables", "Variables: values that workflows name", list, get, set, remove)
}
