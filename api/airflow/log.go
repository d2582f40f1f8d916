package airflow

import (
	"context"

	"github.com/projectionist/projectionist/projections"
)

// logText is the log of a try as it is now: what its events say.
func (s *Surface) logText(_ context.Context, _ *projections.WorkflowRun, t *projections.Task, y *projections.Try) (string, error) {
	return logOf(t, y), nil
}
