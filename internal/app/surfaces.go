package app

import (
	"context"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/prometheus"
	v1 "github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/projections"
)

// surfaces makes the HTTP surfaces and mounts them on their listeners.
func (a *App) surfaces(scratch string) (err error) {
	a.API, err = api.New(api.Config{Log: a.Log, Dispatcher: a.Dispatcher, Views: a.Views, Now: a.opts.Now, Logger: a.opts.Logger, Token: a.opts.Token,
		Hosts: a.opts.Hosts})
	if err != nil {
		return err
	}
	own := v1.Config{Factories: projections.All(), Features: a.Features, Recommend: a.Recommend, Blobs: a.Blobs, Importer: a.Importer,
		Reactors: a.Reactors, Dir: a.opts.Dir, ScratchDir: scratch, Version: Version}
	figures := prometheus.Config{Reactors: a.Reactors}
	if a.embedded != nil {
		own.Backup = func(ctx context.Context, dir string, progress func(string, int64, int64)) (any, error) {
			return a.Backup(ctx, dir, progress)
		}
		figures.LogStats = a.logStats
	}
	if a.ledger != nil {
		own.Relay, figures.Relay = a.relay, a.relay
	}
	if l, ok := a.opened.(interface{ Writable() error }); ok {
		own.Writable = l.Writable
	}
	if l, ok := a.opened.(interface{ Damaged() error }); ok {
		own.Damaged = l.Damaged
	}
	if l, ok := a.opened.(nodeLog); ok {
		own.Snapshot = a.snapshotOf(l)
	}
	main, err := v1.New(a.API, own)
	if err != nil {
		return err
	}
	a.Server = a.API.Serve(main, prometheus.New(a.API, figures))
	return nil
}
