package cli

import (
	"context"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"
)

// moviesCommand is about the films of the catalogue.
func (p *program) moviesCommand() *cobra.Command {
	var query, genre string
	var hidden bool
	var g page
	list := &cobra.Command{Use: "list", Short: "List films by title", Args: cobra.NoArgs,
		Example: "  projectionist movies list --query matrix\n  projectionist movies list --hidden",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			q := with(with(g.query(nil), "q", query), "genre", genre)
			if hidden {
				q.Set("hidden", "true")
			}
			raw, err := c.get(ctx, "/api/v1/movies", q)
			if err != nil {
				return err
			}
			return p.list(raw, "items", "MOVIE movie_id, TITLE title, YEAR year, GENRES genres, HIDDEN hidden.reason, BY hidden.actor", "there is none")
		})}
	list.Flags().StringVar(&query, "query", "", "only films with these words in their title")
	list.Flags().StringVar(&genre, "genre", "", "only films of a genre")
	list.Flags().BoolVar(&hidden, "hidden", false, "only films that are hidden from lists")
	g.flags(list)
	steer := func(use, short, method string, needed bool) *cobra.Command {
		var reason string
		cmd := &cobra.Command{Use: use + " MOVIE --reason WHY", Short: short, Args: cobra.ExactArgs(1), Example: "  projectionist movies " + use + " 318 --reason 'licence'",
			RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
				if needed && reason == "" {
					return fmt.Errorf("--reason: say why")
				}
				raw, err := c.whole(ctx, call{method: method, path: "/api/v1/movies/" + escape(args[0]) + "/hidden", body: map[string]any{"reason": reason}})
				return p.commanded(raw, err)
			})}
		cmd.Flags().StringVar(&reason, "reason", "", "why, for whoever reads the log")
		return cmd
	}
	return group("movies", "Films: what there is, and what is on no list", list,
		steer("hide", "Keep a film off every list, from now on", http.MethodPut, true),
		steer("unhide", "Let a hidden film be on lists again", http.MethodDelete, false))
}
