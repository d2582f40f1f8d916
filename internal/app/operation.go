package app

import (
	"context"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// operationsHolder is who does operations here, beside the roles of this process.
const operationsHolder = "operations"

// endInterrupted ends the operations that processes had begun and not ended which are gone: what they did of them is not gone on with. The views
// are open, so no other process has this folder. On a log that others share, those of a node whose folder is gone are left: it may only be out of reach.
func (a *App) endInterrupted(ctx context.Context) {
	if err := a.caughtUp(ctx, "operations"); err != nil {
		if ctx.Err() == nil {
			a.opts.Logger.Warn("operations of before are not looked through: their view does not get there", "error", err)
		}
		return
	}
	for cursor := ""; ; {
		page, err := fold.Of[*projections.Operations](a.Views).Running(fold.PageQuery{Cursor: cursor})
		if err != nil {
			a.opts.Logger.Warn("operations of before cannot be read", "error", err)
			return
		}
		for _, o := range page.Items {
			if !a.Reactors.Gone(o.Holder) {
				continue
			}
			c := &commands.EndOperation{OperationID: o.OperationID, State: commands.OperationInterrupted}
			if _, err := a.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "projectionist"}); err != nil && ctx.Err() == nil {
				a.opts.Logger.Warn("an operation that was interrupted is not ended", "operation", o.OperationID, "error", err)
			}
		}
		if cursor = page.Next; cursor == "" {
			return
		}
	}
}
