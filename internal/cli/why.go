package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/projections"
)

func (p *program) whyCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{Use: "why EVENT", Short: "Show what led to something, and all that came of it, as a tree", Args: cobra.ExactArgs(1),
		Long: "Show what led to something, back to what nothing known led to, and all that came of that, as a tree: each event with its time,\n" +
			"who wanted it and what it says. EVENT is an event's id, a position such as model-drift-alerts/0@4, a stream such as workflow-run/ID,\nor deployment/SLOT: why what serves there serves.",
		Example: "  projectionist why deployment/production\n  projectionist why model-drift-alerts/0@4\n  projectionist why workflow-run/4f2c…",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q := url.Values{"of": {args[0]}}
			if all {
				q.Set("all", "true")
			}
			raw, err := c.get(ctx, "/api/v1/audit/chain", q)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			var chain projections.Chain
			if err := decode(raw, &chain); err != nil {
				return err
			}
			p.tree(chain.Root, "", "")
			if chain.LeftOut > 0 {
				fmt.Fprintf(p.err, "%s of leases and metrics left out: --all shows them\n", count(int64(chain.LeftOut), "event"))
			}
			if chain.Truncated {
				fmt.Fprintf(p.err, "there is more than these %s\n", count(int64(chain.Events), "event"))
			}
			return nil
		})}
	cmd.Flags().BoolVar(&all, "all", false, "events of leases and metrics too")
	return cmd
}

// tree writes an event and what came of it: first before its own line, rest before those below.
func (p *program) tree(l *projections.Link, first, rest string) {
	what, when := l.Type, strings.Repeat(" ", len(isoTime(time.Time{})))
	if l.EventMillis != 0 {
		when = isoTime(time.UnixMilli(l.EventMillis))
	}
	if what == "" {
		what = "event " + l.EventID
	}
	line := fmt.Sprintf("%s  %s%s", when, first, what)
	if l.Summary != "" {
		line += ": " + oneLine(l.Summary)
	}
	if l.Actor != "" {
		line += " (" + oneLine(l.Actor) + ")"
	}
	if l.Asked {
		line += "  <- asked for"
	}
	fmt.Fprintln(p.out, line)
	for i, then := range l.Then {
		if i == len(l.Then)-1 {
			p.tree(then, rest+"└─ ", rest+"   ")
		} else {
			p.tree(then, rest+"├─ ", rest+"│  ")
		}
	}
}
