package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/spf13/cobra"
)

func (p *program) readyCommand() *cobra.Command {
	return &cobra.Command{Use: "ready", Short: "Say by the exit code whether the running program can serve recommendations", Args: cobra.NoArgs,
		Long: `Say by the exit code whether the running program can serve recommendations: 0 if it can, 1 if not, or if nothing
runs. It opens no folder and changes nothing: for supervisors and containers that have no other way to ask.`,
		Example: "  projectionist ready",
		RunE: p.running(func(ctx context.Context, _ []string) (err error) {
			if p.server == "" {
				if p.dir == "" {
					p.dir = folder(ctx)
				}
				if _, ok := servedAt(ctx, p.dir); !ok {
					return fault.New(fault.Unavailable, "nothing serves %s", p.dir)
				}
			}
			c, err := p.connect(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.Close()) }()
			ctx, cancel := context.WithTimeout(ctx, readyTimeout)
			defer cancel()
			if _, err := c.get(ctx, "/readyz", nil); err != nil {
				return err
			}
			fmt.Fprintln(p.out, "ready")
			return nil
		})}
}
