package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
)

func (p *program) acceptLossCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{Use: "accept-loss", Short: "Give up records that a log has lost, so that it can be served again", Args: cobra.NoArgs,
		Long: "Give up records that were acknowledged and are gone, so that a log that ends before them can be served again.\n" +
			"`serve` names them when it refuses. A backup is the better way: what is given up cannot be had again. It is written\n" +
			"down in the log with the reason, its offsets are not given out again, and all views are folded anew.",
		Example: "  projectionist log accept-loss --dir ./ml-1m --reason 'the disk was replaced on Monday'",
		PreRunE: need(&reason, "reason", "'the disk was replaced'"),
		RunE: p.running(func(ctx context.Context, _ []string) error {
			if p.server != "" {
				return usage("accept-loss works on a folder that is not served: --server does not go with it")
			}
			dir := cmp.Or(p.dir, folder(ctx))
			if logLocked(dir) {
				return fault.New(fault.Unavailable, "%s is open in another process", dir).WithHint("stop that first")
			}
			logger := p.logger(slog.LevelWarn)
			losses, err := app.AcceptLoss(dir, reason, func(format string, args ...any) { logger.Debug(fmt.Sprintf(format, args...)) })
			if err != nil {
				return err
			}
			var rows []map[string]any
			for _, l := range losses {
				rows = append(rows, map[string]any{"partition": l.TP.String(), "records": thousands(l.To - l.From), "from_offset": l.From, "to_offset": l.To,
					"accepted": l.Accepted.Format(time.RFC3339), "reason": l.Reason})
			}
			return p.rows(rows, "", "PARTITION partition, RECORDS records, FROM from_offset, BEFORE to_offset, ACCEPTED accepted, REASON reason", "nothing was given up")
		})}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is written down")
	return cmd
}
