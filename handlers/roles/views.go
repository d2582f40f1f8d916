package roles

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// viewsTimeout bounds the wait for views that are being folded; the task is tried again after it.
const viewsTimeout = 15 * time.Minute

// ledgerReaches waits until a view has folded the ledger as it stands.
func (w *job) ledgerReaches(ctx context.Context, v fold.View) error {
	head, err := w.cfg.Log.Ledger().Head(ctx, time.Time{})
	if err != nil {
		return err
	}
	return w.reaches(ctx, streams.Cut{{Topic: events.LedgerTopic}: head}, v)
}

func (w *job) reaches(ctx context.Context, cut streams.Cut, v fold.View) error {
	w.Progress("wait for the views", 0, 0)
	ctx, cancel := context.WithTimeout(ctx, viewsTimeout)
	defer cancel()
	for _, tp := range cut.Partitions() {
		if cut[tp] == 0 {
			continue
		}
		if err := w.cfg.Views.Wait(ctx, streams.Position{TP: tp, Offset: cut[tp] - 1}, v.Spec().Name); err != nil {
			return err
		}
	}
	return nil
}
