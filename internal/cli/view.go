package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/events"
)

func (p *program) verifyCommand() *cobra.Command {
	return &cobra.Command{Use: "verify", Short: "Rebuild every view from the log and compare it with the live one, byte for byte", Args: cobra.NoArgs,
		Long:    "Rebuild every view from the log into a scratch folder and compare it with the live one, byte for byte.\nThe live ones go on meanwhile. Exit code 1 if any differs.",
		Example: "  projectionist verify",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := p.operate(ctx, c, "/api/v1/ops/verify", nil, nil, "verifying")
			if err != nil {
				return err
			}
			return p.verified(raw)
		})}
}

// verified writes the report and is an error if any view differs.
func (p *program) verified(raw json.RawMessage) error {
	items, err := reports(raw)
	if err != nil {
		return err
	}
	different := 0
	for _, it := range items {
		if it["equal"] != true {
			different++
		}
	}
	if p.json {
		if err := p.printRaw(raw); err != nil {
			return err
		}
	} else if err := table(p.out, columns("VIEW view, RECORDS records, PAIRS pairs, BYTES bytes, SHA-256 sha256, EQUAL equal, DIFFERENCE diff"), items); err != nil {
		return err
	}
	if different > 0 {
		return fmt.Errorf("%d of %d views differ from what the log says: rebuild each with `projectionist replay --view NAME`", different, len(items))
	}
	if !p.json {
		fmt.Fprintf(p.out, "all %d views equal\n", len(items))
	}
	return nil
}

// reports are what an operation says of each view.
func reports(raw []byte) ([]map[string]any, error) {
	items, _, err := itemsOf(raw, "views")
	for _, it := range items {
		it["records"] = recordsIn(cell(it["cut"]))
		if sum := cell(it["sha256"]); len(sum) > 16 {
			it["sha256"] = sum[:16]
		}
	}
	return items, err
}

func (p *program) replayCommand() *cobra.Command {
	var view, until, into string
	cmd := &cobra.Command{Use: "replay", Short: "Fold views again from the log, beside the running ones", Args: cobra.NoArgs,
		Long: `Fold views again from the log, beside the running ones, and put them in their place when they have
caught up. With --into they go into a folder of their own instead, and with --until only as far as a time
or a position (recorded time); the running ones stay as they are.`,
		Example: "  projectionist replay --view histories\n  projectionist replay --until 2024-01-15 --into ./then",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			body := map[string]any{}
			path, err := absolute(into)
			if err != nil {
				return err
			}
			for name, v := range map[string]string{"view": view, "until": until, "into": path} {
				if v != "" {
					body[name] = v
				}
			}
			raw, err := p.operate(ctx, c, "/api/v1/ops/replay", nil, body, "replaying")
			if err != nil {
				return err
			}
			var res struct {
				Rebuilt   []string
				Cut, Into string
			}
			if err := decode(raw, &res); err != nil || p.json {
				return errors.Join(err, p.printRaw(raw))
			}
			if len(res.Rebuilt) > 0 {
				fmt.Fprintln(p.out, "rebuilt and in place:", strings.Join(res.Rebuilt, ", "))
				return nil
			}
			items, err := reports(raw)
			if err != nil {
				return err
			}
			if err := table(p.out, columns("VIEW view, RECORDS records, PAIRS pairs, BYTES bytes, SHA-256 sha256"), items); err != nil {
				return err
			}
			fmt.Fprintln(p.out, "folded up to", res.Cut)
			if res.Into != "" {
				fmt.Fprintln(p.out, "the views are in", res.Into)
			}
			return nil
		})}
	cmd.Flags().StringVar(&view, "view", "", "only this view (default: all)")
	cmd.Flags().StringVar(&until, "until", "", "a time or a position in the log to stop at")
	cmd.Flags().StringVar(&into, "into", "", "a new folder for the views, on the server's machine")
	return cmd
}

func (p *program) viewsCommand() *cobra.Command {
	var reason string
	var all bool
	skip := &cobra.Command{Use: "skip NAME POSITION | --all POSITION…", Short: "Make a halted view pass over the record it cannot fold, or all over one that cannot be read",
		Long: `Make a halted view pass over the record it cannot fold. The record stays in the log, and so does who
passed over it and why.

With --all: have views, commands, reactors and training pass over commits of the ledger that this release
cannot read, each as a whole. For a release that can read one it counts all the same.`,
		Example: "  projectionist views skip histories user-events/0@120 --reason 'written by a broken client'\n  projectionist views skip --all mlops-events/0@17 --reason 'written by another program'",
		Args: func(_ *cobra.Command, args []string) error {
			if all && len(args) == 0 || !all && len(args) != 2 {
				return errors.New("want a view and a position, or --all and positions")
			}
			return nil
		},
		PreRunE: need(&reason, "reason", "'written by a broken client'"),
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			view, positions := events.AllViews, args
			if !all {
				view, positions = args[0], args[1:]
			}
			for _, position := range positions {
				raw, err := c.post(ctx, "/api/v1/views/"+escape(view)+"/skip", map[string]any{"position": position, "reason": reason})
				if err := p.commanded(raw, err); err != nil {
					return err
				}
			}
			return nil
		})}
	skip.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	skip.Flags().BoolVar(&all, "all", false, "whoever cannot read it passes over it")
	cmd := &cobra.Command{Use: "views", Short: "List the views and how far they have folded the log", Args: cobra.NoArgs, Example: "  projectionist views",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/views", nil)
			if err != nil {
				return err
			}
			return p.list(raw, "items", "VIEW view, LAG lag_events, FOLDED inputs, CUT cut, ERROR error", "there are no views")
		})}
	cmd.AddCommand(skip)
	return cmd
}
