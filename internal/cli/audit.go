package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"
)

func (p *program) lineageCommand() *cobra.Command {
	var downstream bool
	var m moment
	cmd := &cobra.Command{Use: "lineage NODE", Short: "Show what something was made of, or what was made of it", Args: cobra.ExactArgs(1),
		Long:    "Show what something was made of, nearest first, or with --downstream what was made of it.\nNodes: model/NAME/VERSION, deployment/SLOT, run/ID, dataset/ID, import/ID, blob/SHA-256, workflow-run/ID,\nfeature-view/NAME (as it is defined now), feature-view/NAME@v2.",
		Example: "  projectionist lineage model/" + exampleModel + "/1\n  projectionist lineage import/ID --downstream",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q := m.query(url.Values{"node": {args[0]}})
			if downstream {
				q.Set("direction", "downstream")
			}
			raw, err := c.get(ctx, "/api/v1/lineage", q)
			if err != nil {
				return err
			}
			return p.list(raw, "edges", "FROM from, EDGE kind, TO to, WHEN event_millis, ACTOR actor, POSITION position", "nothing is known of "+oneLine(args[0])+" in that direction")
		})}
	cmd.Flags().BoolVar(&downstream, "downstream", false, "what was made of it")
	m.flags(cmd)
	return cmd
}

func (p *program) auditCommand() *cobra.Command {
	var g page
	var m moment
	filters := map[string]*string{}
	cmd := &cobra.Command{Use: "audit", Short: "List what happened in the ledger: what, to what, who wanted it, what led to it", Args: cobra.NoArgs,
		Example: "  projectionist audit --stream-prefix model/ -n 20\n  projectionist audit --actor user:anna --from 2024-01-15",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			q := m.query(g.query(nil))
			for name, v := range filters {
				with(q, name, *v)
			}
			raw, err := c.get(ctx, "/api/v1/audit", q)
			if err != nil {
				return err
			}
			return p.list(raw, "items", "TIME event_millis, TYPE type, STREAM stream, REV revision, ACTOR actor, CAUSE causation, SUMMARY summary, POSITION position", "nothing fits")
		})}
	for flag, f := range map[string][2]string{"actor": {"actor", "only what they wanted, such as user:anna"}, "type": {"type", "only one type, such as model.deployed"},
		"correlation": {"correlation", "only what belongs to one request or workflow run"}, "stream": {"stream", "only one stream, such as model/" + exampleModel},
		"stream-prefix": {"stream_prefix", "only streams that begin so, such as model/"}, "from": {"from", "from that time on (event time)"}, "to": {"to", "before that time (event time)"}} {
		filters[f[0]] = cmd.Flags().String(flag, "", f[1])
	}
	m.flags(cmd)
	g.flags(cmd)
	return cmd
}

const exampleValue = `'{"user_id":"7","movie_id":"11","interaction_type":"view"}'`

func (p *program) quarantineCommand() *cobra.Command {
	var g page
	var topic, state, reason, value string
	list := &cobra.Command{Use: "list", Short: "List facts from outside that could not be read", Args: cobra.NoArgs, Example: "  projectionist quarantine list",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/quarantine", with(with(g.query(nil), "topic", topic), "state", state))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "RECORDED recorded_millis, POSITION position, STATE state, TOPIC topic, REFUSED refused, REASON reason", "nothing is in quarantine")
		})}
	list.Flags().StringVar(&topic, "topic", "", "only those of one topic")
	list.Flags().StringVar(&state, "state", "", "only open, replaced or dropped ones")
	g.flags(list)
	show := &cobra.Command{Use: "show POSITION", Short: "Show such a fact as it came", Args: cobra.ExactArgs(1), Example: "  projectionist quarantine show user-events/0@12",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/quarantine/records/"+args[0], nil)
			if err != nil {
				return err
			}
			return p.document(raw)
		})}
	resolve := func(resolution string) func(*cobra.Command, []string) error {
		return p.asking(func(ctx context.Context, c *client, args []string) error {
			body := map[string]any{"resolution": resolution, "reason": reason}
			if value != "" {
				body["value"] = json.RawMessage(value)
			}
			raw, err := c.post(ctx, "/api/v1/quarantine/records/"+args[0], body)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			_, err = fmt.Fprintf(p.out, "%s: %s\n", args[0], resolution)
			return err
		})
	}
	replace := &cobra.Command{Use: "replace POSITION", Short: "Publish a value in the place of such a fact", Args: cobra.ExactArgs(1),
		Example: `  projectionist quarantine replace user-events/0@12 --value ` + exampleValue,
		PreRunE: needJSON(&value, "value", exampleValue), RunE: resolve("replaced")}
	replace.Flags().StringVar(&value, "value", "", "the value, in JSON, as it is documented for the topic")
	replace.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	drop := &cobra.Command{Use: "drop POSITION", Short: "Say that nothing comes of such a fact", Args: cobra.ExactArgs(1), Example: "  projectionist quarantine drop user-events/0@12 --reason 'a test'",
		PreRunE: need(&reason, "reason", "'a test'"), RunE: resolve("dropped")}
	drop.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return group("quarantine", "Facts from outside that could not be read, kept whole: replace or drop them", list, show, replace, drop)
}

// needJSON makes the check that a flag was given, with JSON.
func needJSON(value *string, flag, example string) func(*cobra.Command, []string) error {
	given := need(value, flag, example)
	return func(cmd *cobra.Command, args []string) error {
		if err := given(cmd, args); err != nil {
			return err
		}
		if !json.Valid([]byte(*value)) {
			return fmt.Errorf("--%s is not JSON: names and texts have double quotes, and the shell needs all of it in single ones, such as --%s %s", flag, flag, example)
		}
		return nil
	}
}

func (p *program) deadLettersCommand() *cobra.Command {
	var g page
	var state, reason string
	list := &cobra.Command{Use: "list", Short: "List events that reactors gave up on", Args: cobra.NoArgs, Example: "  projectionist dead-letters list --state open",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/dead-letters", with(g.query(nil), "state", state))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "ID dead_letter_id, STATE state, REACTOR reactor, WRITTEN created_millis, ATTEMPTS attempts, ERROR error, RESOLVED resolved_by", "there are none")
		})}
	list.Flags().StringVar(&state, "state", "", "only open, retried or dropped ones")
	g.flags(list)
	retry := &cobra.Command{Use: "retry ID", Short: "Have the reactor deal with the event again", Args: cobra.ExactArgs(1), Example: "  projectionist dead-letters retry ID",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			return p.resolved(c.post(ctx, "/api/v1/dead-letters/"+escape(args[0])+"/retry", map[string]any{}))
		})}
	drop := &cobra.Command{Use: "drop ID", Short: "Give up on the event for good", Args: cobra.ExactArgs(1), Example: "  projectionist dead-letters drop ID --reason 'the film is gone'",
		PreRunE: need(&reason, "reason", "'the film is gone'"),
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			return p.resolved(c.post(ctx, "/api/v1/dead-letters/"+escape(args[0])+"/drop", map[string]any{"reason": reason}))
		})}
	drop.Flags().StringVar(&reason, "reason", "", "why, for the audit")
	return group("dead-letters", "Events that reactors gave up on: retry or drop them", list, retry, drop)
}

func (p *program) resolved(raw []byte, err error) error {
	if err != nil || p.json {
		return p.answer(raw, err)
	}
	var letter map[string]any
	if err := decode(raw, &letter); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.out, "%s: %s\n", cell(letter["dead_letter_id"]), cell(letter["state"]))
	return err
}
