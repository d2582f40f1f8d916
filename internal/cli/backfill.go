package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) backfillCommand() *cobra.Command {
	var v struct {
		From        string `json:"from"`
		To          string `json:"to"`
		MaxActive   int    `json:"max_active"`
		RerunFailed bool   `json:"rerun_failed"`
		RerunDone   bool   `json:"rerun_done"`
		LatestFirst bool   `json:"latest_first"`
		DryRun      bool   `json:"dry_run"`

		Conf map[string]string `json:"conf,omitempty"`
	}
	var conf []string
	cmd := &cobra.Command{Use: "backfill NAME", Short: "Run a schedule for those of its intervals that begin in a time and have no run", Args: cobra.ExactArgs(1),
		Example: "  projectionist workflows backfill nightly --from 2024-01-01 --to 2024-01-31 --dry-run\n  projectionist workflows backfill nightly --from 2024-01-01 --to 2024-01-31 --max-active 4 --rerun-failed",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			var err error
			if v.Conf, err = settings(conf); err != nil {
				return err
			}
			raw, err := c.post(ctx, "/api/v1/workflows/"+escape(args[0])+"/backfills", &v)
			if err == nil && v.DryRun {
				return p.list(raw, "items", "RUN run_id, FROM interval_start_millis, TO interval_end_millis, STATE state", "every interval has its run")
			}
			return p.commanded(raw, err)
		})}
	cmd.Flags().StringVar(&v.From, "from", "", "the first time at which an interval may begin, UTC unless it says otherwise")
	cmd.Flags().StringVar(&v.To, "to", "", "the last")
	cmd.Flags().IntVar(&v.MaxActive, "max-active", 1, "how many runs at once")
	cmd.Flags().BoolVar(&v.RerunFailed, "rerun-failed", false, "do what has failed again, too")
	cmd.Flags().BoolVar(&v.RerunDone, "rerun-done", false, "do what has failed, and what ended well, again, too")
	cmd.Flags().BoolVar(&v.LatestFirst, "latest-first", false, "begin with the last interval")
	cmd.Flags().StringArrayVar(&conf, "conf", nil, "a setting of the runs, NAME=VALUE; may be given again; runs that are done again keep theirs")
	cmd.Flags().BoolVar(&v.DryRun, "dry-run", false, "only say which runs it would be")
	return cmd
}

func (p *program) backfillsCommand() *cobra.Command {
	var g page
	var cancel, pause, unpause bool
	var reason string
	cmd := &cobra.Command{Use: "backfills [ID]", Short: "List backfills, newest first; or show how far one is, pause or cancel it", Args: cobra.MaximumNArgs(1),
		Example: "  projectionist workflows backfills\n  projectionist workflows backfills 4f2c…\n  projectionist workflows backfills 4f2c… --cancel --reason 'wrong month'",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			if len(args) == 0 {
				for name, asked := range map[string]bool{"cancel": cancel, "pause": pause, "unpause": unpause} {
					if asked {
						return fmt.Errorf("--%s: say which: projectionist workflows backfills ID --%s", name, name)
					}
				}
				raw, err := c.get(ctx, "/api/v1/workflows/backfills", g.query(nil))
				if err != nil {
					return err
				}
				return p.list(raw, "items", "ID backfill_id, WORKFLOW workflow, STATE state, PAUSED paused, FROM from_millis, TO to_millis, AT_ONCE max_active, REQUESTED requested_millis, BY actor, ENDED ended_millis", "there is none")
			}
			at := "/api/v1/workflows/backfills/" + escape(args[0])
			switch {
			case pause, unpause:
				verb := "/pause"
				if unpause {
					verb = "/unpause"
				}
				raw, err := c.post(ctx, at+verb, map[string]any{})
				return p.commanded(raw, err)
			case cancel:
				raw, err := c.post(ctx, at+"/cancel", map[string]any{"reason": reason})
				return p.commanded(raw, err)
			}
			raw, err := c.get(ctx, at, url.Values{})
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			var v struct {
				Workflow, State string
				Paused          bool
				Slots           []struct{}
				States          map[string]int
			}
			if err := decode(raw, &v); err != nil {
				return err
			}
			var parts []string
			for _, state := range []string{"none", "queued", "running", "success", "failed", "cancelled"} {
				if n := v.States[state]; n > 0 {
					parts = append(parts, fmt.Sprint(n, " ", state))
				}
			}
			if v.Paused && v.State == "running" {
				v.State = "paused"
			}
			fmt.Fprintf(p.out, "%s: %s, of %s %s\n\n", oneLine(v.Workflow), v.State, count(int64(len(v.Slots)), "interval"), strings.Join(parts, ", "))
			return p.list(raw, "slots", "RUN run_id, FROM interval_start_millis, TO interval_end_millis, STATE state", "it has no interval")
		})}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "have it ask for no more runs; those that it has asked for go on")
	cmd.Flags().BoolVar(&pause, "pause", false, "have it ask for no runs for now; those that it has asked for go on")
	cmd.Flags().BoolVar(&unpause, "unpause", false, "let it go on")
	cmd.MarkFlagsMutuallyExclusive("cancel", "pause", "unpause")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the log")
	g.flags(cmd)
	return cmd
}

// settings are those of a run's conf, given as NAME=VALUE.
func settings(given []string) (map[string]string, error) {
	values := map[string]string{}
	for _, kv := range given {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("--conf: %q: want NAME=VALUE", kv)
		}
		values[k] = v
	}
	return values, nil
}
