package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/projections"
)

// taskLogs prints what was said of a task's tries.
func (p *program) taskLogs() *cobra.Command {
	var try int
	var follow bool
	var since, until string
	cmd := &cobra.Command{Use: "logs RUN TASK", Short: "Print the log of a task's try, the last one by default", Args: cobra.ExactArgs(2),
		Long: "Print the log of a task's try, the last one by default: a line each, with its time (UTC) and level.\n" +
			"With --follow it is printed as it is written, until the try is over; without --try, until the task is over,\nwith all tries that follow. Of a long log the first 2 MiB and the last 1 to 2 MiB are kept.",
		Example: "  projectionist workflows logs 4f2c… train_movie_model\n  projectionist workflows logs 4f2c… train_movie_model --try 1 --since 2026-01-15T10:00:00Z\n" +
			"  projectionist workflows logs 4f2c… train_movie_model --follow",
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("try") && try < 1 {
				return fmt.Errorf("--try: %d: want a number from 1", try)
			}
			return nil
		},
		RunE: p.asking(func(ctx context.Context, c *client, args []string) error {
			q := with(with(url.Values{}, "since", since), "until", until)
			if !follow {
				if try > 0 {
					q.Set("try", strconv.Itoa(try))
				}
				return p.taskLog(ctx, c, args[0], args[1], q)
			}
			q.Set("follow", "true")
			if try > 0 {
				q.Set("try", strconv.Itoa(try))
				return p.taskLog(ctx, c, args[0], args[1], q)
			}
			if c.app != nil {
				return errors.New("--follow: no server works on it: start one with projectionist serve")
			}
			return p.followTask(ctx, c, args[0], args[1], q)
		})}
	cmd.Flags().IntVar(&try, "try", 0, "number of the try, from 1 (default: the last)")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "stay, and print what is said as it is said")
	cmd.Flags().StringVar(&since, "since", "", "only lines from this time on: RFC 3339, a date, or Unix seconds or milliseconds")
	cmd.Flags().StringVar(&until, "until", "", "only lines before this time")
	return cmd
}

func taskLogPath(run, task string) string {
	return "/api/v1/workflows/runs/" + escape(run) + "/tasks/" + escape(task) + "/logs"
}

func (p *program) taskLog(ctx context.Context, c *client, run, task string, q url.Values) error {
	return c.lines(ctx, call{method: http.MethodGet, path: taskLogPath(run, task), query: q}, func(line []byte) error {
		_, err := fmt.Fprintf(p.out, "%s\n", line)
		return err
	})
}

// followTask prints a task's tries from the present one, or the first, until the task is over.
func (p *program) followTask(ctx context.Context, c *client, run, task string, q url.Values) error {
	at := func() (t projections.Task, over bool, err error) {
		raw, err := c.get(ctx, "/api/v1/workflows/runs/"+escape(run), nil)
		if err != nil {
			return t, false, err
		}
		var r projections.WorkflowRun
		if err := decode(raw, &r); err != nil {
			return t, false, err
		}
		t = r.TaskOf(task)
		return t, r.Ended() || t.State != projections.StateRunning && t.State != projections.StateUpForRetry && t.State != projections.StateQueued, nil
	}
	t, over, err := at()
	if err != nil {
		return err
	}
	for try := max(t.Try, 1); ; try++ {
		q.Set("try", strconv.Itoa(try))
		if err := p.taskLog(ctx, c, run, task, q); err != nil || over {
			return err
		}
		if t, over, err = at(); err != nil || over && t.Try <= try {
			return err
		}
	}
}
