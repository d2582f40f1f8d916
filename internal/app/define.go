package app

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Begin gives a new log in the data folder the experiment of runs that name none, so that the first request already
// finds it.
func (a *App) Begin(ctx context.Context) error {
	head, err := a.Log.Ledger().Head(ctx, time.Time{})
	if a.opts.LogURL != "" || head > 0 || err != nil {
		return err
	}
	if err := a.define(ctx, &commands.CreateExperiment{Name: commands.DefaultExperiment}); err != nil {
		return err
	}
	return a.caughtUp(ctx, "runs")
}

// Define makes the built-in definitions, of features and of what acts mean, the ones in force where there are none
// yet, and the experiment of runs that name none. That one is an event like any other's creation: it can be deleted and
// restored, and a past without it has none.
func (a *App) Define(ctx context.Context) error {
	err := a.define(ctx, &commands.CreateExperiment{Name: commands.DefaultExperiment})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	if err := a.DefineWorkflows(ctx); err != nil {
		return err
	}
	if err := a.caughtUp(ctx, "definitions"); err != nil {
		return err
	}
	if _, err := a.Features.Definitions(fold.At{}); fault.Is(err, fault.NotFound) {
		text := features.DefaultYAML()
		defs, err := features.Parse([]byte(text))
		if err != nil {
			return err
		}
		if err := a.define(ctx, &commands.DefineFeatures{Definitions: text, Hash: defs.Hash()}); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if _, ok, err := fold.Of[*projections.Definitions](a.Views).Signals(fold.At{}); ok || err != nil {
		return err
	}
	return a.define(ctx, &commands.DefineSignals{Definitions: signal.DefaultYAML(), Hash: signal.Default().Hash()})
}

func (a *App) define(ctx context.Context, c commands.Command) error {
	_, err := a.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "projectionist"})
	return err
}

// lookAgain is how long after a failure it is tried again to fold views by what is in force.
const lookAgain = 5 * time.Second

// redefine folds the views again that read by a definition, whenever another is in force. They answer by the one
// before until they are there.
func (a *App) redefine(ctx context.Context) {
	ledger, told := streams.TP{Topic: events.LedgerTopic}, time.Time{}
	for ctx.Err() == nil {
		views, err := a.Views.Redefine(ctx, func(view string, done, total int64) {
			if now := a.opts.Now(); now.Sub(told) > lookAgain {
				told = now
				a.opts.Logger.Info("folding again by the definition that is in force now", "view", view, "done", done, "total", total)
			}
		})
		if len(views) > 0 {
			a.opts.Logger.Info("folded again by the definition that is in force now", "views", views)
		}
		if err != nil && ctx.Err() == nil {
			a.opts.Logger.Warn("a view reads by a definition that is no more in force", "err", err)
			sleep(ctx, lookAgain)
			continue
		}
		seen := a.Views.FoldedTo("definitions", ledger)
		if err := a.Views.Wait(ctx, streams.Position{TP: ledger, Offset: seen}, "definitions"); err != nil {
			sleep(ctx, lookAgain)
		}
		sleep(ctx, time.Second) // an import lists films by the thousand
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
