package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) statusCommand() *cobra.Command {
	return &cobra.Command{Use: "status", Short: "Show whether recommendations can be served, what is there, and how far the views are", Args: cobra.NoArgs,
		Long:    "Show whether recommendations can be served, what is there, and how far the views are.\nExit code 1 if recommendations cannot be served.",
		Example: "  projectionist status",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			ready := "ready"
			_, notReady := c.get(ctx, "/readyz", nil)
			var why *problem
			if notReady != nil && !errors.As(notReady, &why) {
				return notReady
			}
			if why != nil {
				ready = "NOT READY: " + strings.ReplaceAll(why.Error(), "\n", "; ")
			}
			views, err := c.get(ctx, "/api/v1/views", nil)
			if err != nil {
				return err
			}
			raw, err := c.get(ctx, "/api/v1/log/topics", nil)
			if err != nil {
				return err
			}
			if p.json {
				fmt.Fprintf(p.out, `{"ready":%t,"topics":%s,"views":%s}`+"\n", why == nil, strings.TrimSpace(string(raw)), strings.TrimSpace(string(views)))
				return p.notReady(why)
			}
			topics, err := topicsOf(raw)
			if err != nil {
				return err
			}
			where := c.base
			if c.app != nil {
				where = "no server: opened " + p.dir + " here"
			}
			fmt.Fprintf(p.out, "%s (%s)\n", ready, where)
			deployed, err := c.get(ctx, "/api/v1/deployments", nil)
			if err != nil {
				return err
			}
			slots, _, err := itemsOf(deployed, "items")
			if err != nil {
				return err
			}
			for _, s := range slots {
				fmt.Fprintf(p.out, "%s: model %s version %s since %s\n", cell(s["slot"]), cell(s["model"]), cell(s["version"]), cell(lookUp(s, "event_millis")))
			}
			fmt.Fprintln(p.out)
			var rows []map[string]any
			for _, t := range topics {
				if r := t.Relay; r != nil && r.Error != "" {
					fmt.Fprintf(p.out, "%s IS NOT COPIED for Kafka's tools, by %s: %s\n\n", t.Topic, count(r.Behind, "commit"), r.Error)
				}
				n := int64(0)
				for _, part := range t.Partitions {
					n += part.Next - part.First
				}
				rows = append(rows, map[string]any{"t": t.Topic, "n": thousands(n), "p": len(t.Partitions)})
			}
			if err := table(p.out, columns("TOPIC t, RECORDS n, PARTITIONS p"), rows); err != nil {
				return err
			}
			fmt.Fprintln(p.out)
			if err := p.list(views, "items", "VIEW view, LAG lag_events, ERROR error", "there are no views"); err != nil {
				return err
			}
			if active, err := c.get(ctx, "/api/v1/workflows/runs", url.Values{"state": {"running"}}); err == nil {
				runs, _, err := itemsOf(active, "items")
				if err != nil {
					return err
				}
				for _, r := range runs {
					fmt.Fprintf(p.out, "\nrunning: %s %s since %s\n", cell(r["workflow"]), cell(r["run_id"]), cell(lookUp(r, "started_millis|requested_millis")))
				}
			}
			return p.notReady(why)
		})}
}

// notReady is exit code 1, whose reason was printed.
func (p *program) notReady(why *problem) error {
	if why == nil {
		return nil
	}
	return exitCode{code: exitFailed}
}
