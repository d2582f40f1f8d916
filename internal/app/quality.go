package app

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// qualityJudge is who judges what serves by the acts that come from now on. Nothing is folded yet.
func (a *App) qualityJudge(ctx context.Context) (*roles.Judge, error) {
	head, err := fold.HeadCut(ctx, a.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	j := &roles.Judge{Dispatcher: a.Dispatcher, Rank: a.Recommend.Judge, Hold: a.Recommend.Hold, Since: head, Logger: a.opts.Logger,
		Here: func() bool { return roles.JudgeHere(a.Reactors.Stats(a.work)) }}
	fold.Of[*projections.Online](a.Views).Watch(j.Learning)
	return j, nil
}
