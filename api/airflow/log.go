package airflow

import (
	"bytes"
	"context"

	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
)

// logText is the log of a try as it is now, or what its events say where no logs are kept.
func (s *Surface) logText(ctx context.Context, run *projections.WorkflowRun, t *projections.Task, y *projections.Try) (string, error) {
	if s.TaskLog == nil {
		return logOf(t, y), nil
	}
	var b bytes.Buffer // a log is bounded
	err := s.TaskLog(ctx, s.Views, tasklog.Query{ID: tasklog.ID{Run: run.RunID, Task: t.Task, Try: y.Try}}, func(line []byte) error {
		b.Write(line)
		return nil
	})
	return b.String(), err
}
