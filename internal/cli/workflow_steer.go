package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// workflowSteering are the commands that steer workflows and their runs.
func (p *program) workflowSteering() []*cobra.Command {
	steer := func(use, short, example string, path func(args []string) string, body func() any) *cobra.Command {
		return &cobra.Command{Use: use, Short: short, Args: cobra.ExactArgs(1), Example: "  projectionist workflows " + example,
			RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
				raw, err := c.post(ctx, path(args), body())
				return p.commanded(raw, err)
			})}
	}
	none := func() any { return map[string]any{} }
	ofWorkflow := func(verb string) func([]string) string {
		return func(args []string) string { return "/api/v1/workflows/" + escape(args[0]) + "/" + verb }
	}
	ofRun := func(verb string) func([]string) string {
		return func(args []string) string { return "/api/v1/workflows/runs/" + escape(args[0]) + "/" + verb }
	}
	pause := steer("pause NAME", "Hold back the runs of a workflow: what is asked for waits, what has begun goes on", "pause movie_training_pipeline", ofWorkflow("pause"), none)
	unpause := steer("unpause NAME", "Let the runs of a workflow go on", "unpause movie_training_pipeline", ofWorkflow("unpause"), none)
	var reason string
	cancel := steer("cancel RUN", "End a run at once; its tasks stop", "cancel 4f2c… --reason 'wrong data'", ofRun("cancel"), func() any { return map[string]any{"reason": reason} })
	cancel.Flags().StringVar(&reason, "reason", "", "why, for the log")
	var clear struct {
		Tasks      []string `json:"tasks"`
		Note       string   `json:"note"`
		Downstream bool     `json:"downstream"`
	}
	var only bool
	again := steer("clear RUN", "Do tasks of a run again, by default those that failed, and all that need them; the run goes on", "clear 4f2c… --task train_movie_model", ofRun("clear"),
		func() any { clear.Downstream = !only; return &clear })
	again.Flags().StringArrayVar(&clear.Tasks, "task", nil, "a task; may be given again (default: those that failed)")
	again.Flags().BoolVar(&only, "only", false, "not the tasks that need them")
	again.Flags().StringVar(&clear.Note, "note", "", "why, for the log")
	var mark struct {
		Task  string `json:"task"`
		State string `json:"state"`
		Note  string `json:"note"`
	}
	marked := steer("mark RUN", "Say what has become of a task, whatever it did; the run goes on by that", "mark 4f2c… --task train_movie_model --state success", ofRun("mark"), func() any { return &mark })
	marked.Flags().StringVar(&mark.Task, "task", "", "the task")
	marked.Flags().StringVar(&mark.State, "state", "", "success, failed or skipped")
	marked.Flags().StringVar(&mark.Note, "note", "", "why, for the log")
	retry := &cobra.Command{Use: "retry RUN TASK", Short: "Begin the next try of a task at once, which waits for it", Args: cobra.ExactArgs(2), Example: "  projectionist workflows retry 4f2c… fetch_movies",
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			raw, err := c.post(ctx, ofRun("retry")(args), map[string]any{"task": args[1]})
			return p.commanded(raw, err)
		})}
	return []*cobra.Command{p.backfillCommand(), p.backfillsCommand(), retry, pause, unpause, cancel, again, marked}
}
