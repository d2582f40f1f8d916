package cli

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
)

func (p *program) workflowsCommand() *cobra.Command {
	var g page
	var workflow, state string
	list := &cobra.Command{Use: "list", Short: "List workflow runs, newest first", Args: cobra.NoArgs, Example: "  projectionist workflows list --state failed",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows/runs", with(with(g.query(nil), "workflow", workflow), "state", state))
			if err != nil {
				return err
			}
			return p.list(raw, "items", "RUN run_id, WORKFLOW workflow, STATE state, LATE late, TYPE run_type, REQUESTED requested_millis, ENDED ended_millis, ACTOR actor, REASON reason", "no workflow has run yet")
		})}
	list.Flags().StringVar(&workflow, "workflow", "", "only the runs of one workflow")
	list.Flags().StringVar(&state, "state", "", "only queued, running, success, failed or cancelled ones")
	g.flags(list)
	kinds := &cobra.Command{Use: "kinds", Short: "List the workflows there are", Args: cobra.NoArgs, Example: "  projectionist workflows kinds",
		RunE: p.asking(func(ctx context.Context, c *client, _ []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows", nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			items, _, err := itemsOf(raw, "items")
			if err != nil {
				return err
			}
			for _, it := range items {
				var names []string
				tasks, _ := it["tasks"].([]any)
				between := " → "
				for i, t := range tasks {
					t, _ := t.(map[string]any)
					names = append(names, cell(t["name"]))
					if needs, _ := t["needs"].([]any); i > 0 && (len(needs) != 1 || needs[0] != tasks[i-1].(map[string]any)["name"]) {
						between = ", " // it is no chain
					}
				}
				it["chain"] = strings.Join(names, between)
				if it["paused"] == true {
					it["chain"] = "(paused) " + it["chain"].(string)
				}
				if why, ok := it["error"].(string); ok {
					it["chain"] = "cannot be used: " + oneLine(why)
				}
			}
			return p.rows(items, "", "WORKFLOW name, BY actor, SCHEDULE schedule, NEXT next_millis, TASKS chain", "there is none")
		})}
	show := &cobra.Command{Use: "show ID", Short: "Show a workflow run and its tasks", Args: cobra.ExactArgs(1), Example: "  projectionist workflows show 4f2c…",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.get(ctx, "/api/v1/workflows/runs/"+escape(args[0]), nil)
			if err != nil || p.json {
				return p.answer(raw, err)
			}
			var run map[string]any
			if err := decode(raw, &run); err != nil {
				return err
			}
			fmt.Fprintf(p.out, "%s %s: %s", cell(run["workflow"]), cell(run["run_id"]), cell(run["state"]))
			if r := run["reason"]; r != nil {
				fmt.Fprintf(p.out, ": %s", cell(r))
			}
			fmt.Fprintf(p.out, "\nrequested %s by %s\n", cell(lookUp(run, "requested_millis")), cell(run["actor"]))
			if t, ok := run["triggered"].(map[string]any); ok {
				fmt.Fprintf(p.out, "trigger %s: %s at %s (projectionist why %s)\n", cell(t["trigger"]), cell(t["type"]), cell(t["position"]), cell(t["event_id"]))
			}
			fmt.Fprintln(p.out)
			if err := p.list(raw, "tasks", "TASK task, STATE state, TRY try, STARTED started_millis, ENDED ended_millis, LATE sla_missed_millis, ERROR error, OUTPUT output", "no task has started yet"); err != nil {
				return err
			}
			p.reasons(run)
			return nil
		})}
	var conf []string
	var values map[string]string
	var follow bool
	var id, note string
	run := &cobra.Command{Use: "run NAME", Aliases: []string{"trigger"}, Short: "Ask for a workflow run", Args: cobra.ExactArgs(1),
		Long:    "Ask for a workflow run. The conf of movie_training_pipeline is algorithm=NAME, one of " + recipeNames() + "\nand without it the first, and parameters of that recipe.",
		Example: "  projectionist workflows run movie_training_pipeline --follow\n  projectionist workflows run movie_training_pipeline --conf holdout_share=0.2",
		PreRunE: func(*cobra.Command, []string) (err error) {
			values, err = settings(conf)
			return err
		},
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			return p.runWorkflow(ctx, c, args[0], values, id, note, follow)
		})}
	run.Flags().StringArrayVar(&conf, "conf", nil, "a setting of the run, NAME=VALUE; may be given again")
	run.Flags().StringVar(&id, "run-id", "", "the run's id (default: one of its own)")
	run.Flags().StringVar(&note, "note", "", "a word on the run")
	run.Flags().BoolVarP(&follow, "follow", "f", false, "stay until it has ended; exit code 1 if it failed")
	all := append([]*cobra.Command{list, kinds, show, run, p.taskLogs(), p.workflowTriggers()}, p.workflowSteering()...)
	return group("workflows", "Workflows: training, fetching films", append(all, p.workflowDefinitions()...)...)
}

// reasons writes in full why tasks decided as they did, which the table cuts.
func (p *program) reasons(run map[string]any) {
	tasks, _ := run["tasks"].([]any)
	for _, t := range tasks {
		t, _ := t.(map[string]any)
		output, _ := t["output"].(map[string]any)
		if reason, ok := output["reason"].(string); ok {
			fmt.Fprintf(p.out, "\n%s: %s\n", cell(t["task"]), oneLine(reason))
		}
	}
}

func recipeNames() string {
	var names []string
	for _, r := range all.Recipes() {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

// followEvery is how often a run is looked at; a task takes seconds at least.
const followEvery = 200 * time.Millisecond

// runWorkflow asks for a run. Following one without a server, this process does the work.
func (p *program) runWorkflow(ctx context.Context, c *client, name string, conf map[string]string, id, note string, follow bool) error {
	if c.app != nil { // the workflows that the program comes with may not be in the log yet
		if err := c.app.DefineWorkflows(ctx); err != nil {
			return err
		}
	}
	raw, err := c.post(ctx, "/api/v1/workflows/"+escape(name)+"/runs", map[string]any{"conf": conf, "run_id": id, "note": note})
	if err != nil {
		return err
	}
	var res struct {
		Stream   string
		Position string
	}
	if err := decode(raw, &res); err != nil {
		return err
	}
	id = res.Stream[strings.IndexByte(res.Stream, '/')+1:]
	if !follow {
		if p.json {
			return p.printRaw(raw)
		}
		fmt.Fprintln(p.out, id)
		if c.app != nil {
			fmt.Fprintln(p.err, "it runs when `projectionist serve` does, or with --follow")
		}
		return nil
	}
	if c.app != nil {
		wctx, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- c.app.Reactors.Run(wctx) }()
		defer func() { stop(); <-ended }()
	}
	return p.followWorkflow(ctx, c, id, res.Position)
}

// followWorkflow tells how a run goes, which was asked for at a position, until it has ended.
func (p *program) followWorkflow(ctx context.Context, c *client, id, after string) error {
	bar := p.bar("")
	defer bar.end()
	told := map[string]bool{}
	for {
		raw, err := c.get(ctx, "/api/v1/workflows/runs/"+escape(id), url.Values{"after": {after}})
		if err != nil {
			return err
		}
		var run projections.WorkflowRun
		if err := decode(raw, &run); err != nil {
			return err
		}
		for _, t := range run.Tasks {
			said := fmt.Sprint(t.Task, t.State, t.Try)
			if t.State == projections.StateRunning || t.State == projections.StateQueued || told[said] || p.json {
				continue
			}
			told[said] = true
			bar.end()
			fmt.Fprintf(p.out, "%s  %s: %s%s%s\n", isoTime(time.UnixMilli(t.EndedMillis)), t.Task, t.State, errorText(t.Error), outputText(t.Output))
		}
		if run.Ended() {
			bar.end()
			if p.json {
				if err := p.printRaw(raw); err != nil {
					return err
				}
			} else {
				fmt.Fprintf(p.out, "%s %s: %s\n", run.Workflow, id, run.State)
			}
			if run.State == projections.StateFailed {
				return errors.New(strings.TrimSuffix("the run failed: "+run.Reason, ": "))
			}
			return nil
		}
		if raw, err := c.get(ctx, "/api/v1/reactors", nil); err == nil {
			var now struct {
				Tasks []struct {
					WorkflowRun string `json:"workflow_run"`
					Task, Stage string
					Done, Of    int64
				}
			}
			if decode(raw, &now) == nil {
				for _, t := range now.Tasks {
					if t.WorkflowRun == id {
						bar.show(strings.TrimSuffix(t.Task+", "+t.Stage, ", "), t.Done, t.Of)
					}
				}
			}
		}
		if err := sleep(ctx, followEvery); err != nil {
			return err
		}
	}
}
