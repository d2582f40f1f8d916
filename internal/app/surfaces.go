package app

import (
	"context"
	"path/filepath"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/airflow"
	"github.com/projectionist/projectionist/api/console"
	"github.com/projectionist/projectionist/api/feast"
	"github.com/projectionist/projectionist/api/feast/registry"
	"github.com/projectionist/projectionist/api/flight"
	"github.com/projectionist/projectionist/api/inference"
	"github.com/projectionist/projectionist/api/mlflow"
	"github.com/projectionist/projectionist/api/prometheus"
	"github.com/projectionist/projectionist/api/topics"
	v1 "github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/projections"
)

// surfaces makes the HTTP surfaces and mounts them on their listeners.
func (a *App) surfaces(scratch string) (err error) {
	a.API, err = api.New(api.Config{Log: a.Log, Dispatcher: a.Dispatcher, Views: a.Views, Now: a.opts.Now, Logger: a.opts.Logger, Token: a.opts.Token,
		Users: a.opts.Users, Hosts: a.opts.Hosts, Factories: projections.All(), ScratchDir: filepath.Join(scratch, "past"),
		TokenKey: func() ([]byte, error) { return a.seals.Key("tokens") }})
	if err != nil {
		return err
	}
	workflows := &projections.DefinedWorkflows{Views: a.Views, Operators: a.operators()}
	own := v1.Config{Factories: projections.All(), Features: a.Features, Recommend: a.Recommend, Blobs: a.Blobs, Importer: a.Importer,
		Reactors: a.Reactors, Workflows: workflows, Dir: a.opts.Dir, ScratchDir: scratch, Version: Version, Holder: a.Reactors.Holder(operationsHolder), Console: console.Path,
		TaskLog: a.TaskLog, Train: a.train, Tune: a.tune, Import: a.importModel, Rebuild: roles.Rebuild, Freed: a.Freed, Sweep: a.Sweep}
	own.Groups = a.consumerGroups()
	figures := prometheus.Config{Reactors: a.Reactors, Disk: a.store.Disk, Models: roles.Models(), Workflows: workflows, Decided: roles.Decided, Features: a.Features}
	if a.embedded != nil {
		own.LogBytes = a.embedded.DiskUsage
		own.Backup = func(ctx context.Context, dir string, progress func(string, int64, int64)) (any, error) {
			return a.Backup(ctx, dir, progress)
		}
		figures.LogStats = a.logStats
	}
	if a.ledger != nil {
		own.Relay, figures.Relay = a.relay, a.relay
	}
	if l, ok := a.opened.(interface{ Writable() error }); ok {
		own.Writable, figures.Writable = l.Writable, l.Writable
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
	a.main = main
	lead := console.NewLead(a.API, a.mainAddress, nil)
	tracking := mlflow.New(a.API, mlflow.Config{Blobs: a.Blobs, Served: main.Served, Pages: a.mlflowPages, Lead: lead.To("runs"), Webhooks: mlflow.Webhooks{Check: a.messenger.Check, Seal: a.seals.Seal,
		Test: func(ctx context.Context, h *projections.Webhook, event string) (int, string, error) {
			sent := a.messenger.Test(ctx, h, event)
			return sent.Status, sent.Body, sent.Err
		}}})
	pages, err := console.New(a.API, Version)
	if err != nil {
		return err
	}
	dags := a.airflow(workflows)
	features := feast.New(a.API, feast.Config{Features: a.Features, Lead: lead.To("features")})
	a.Servers = map[string]*api.Server{
		MainListener: a.API.Serve(main, tracking.Guide(), features.Page(), prometheus.New(a.API, figures), pages),
		"inference":  a.API.Serve(inference.New(a.API, inference.Config{Recommend: a.Recommend, Weights: a.Blobs.Get}), lead),
		"workflows":  a.API.Serve(dags, airflow.NewV2(dags), console.NewLead(a.API, a.mainAddress, dagPages)),
		"features":   a.API.Serve(features, lead),
		// A browser finds the page of features at the two of gRPC, too.
		RegistryListener: a.API.Serve(registry.New(a.API, registry.Config{Features: a.Features}), features, lead),
		OfflineListener:  a.API.Serve(flight.New(a.API, flight.Config{Features: a.Features, ScratchDir: scratch}), features, lead),
		"tracking":       a.API.Serve(tracking, lead),
		"topics":         a.API.Serve(topics.New(a.API, topics.Config{Groups: own.Groups}), lead),
	}
	return checkAlso(a.opts.Also)
}

// dagPages are where Airflow's users, of version 2 and 3, look for workflows, one of them and a run, and where these are in the console.
var dagPages = map[string]string{"/home": "workflows", "/dags": "workflows", "/dags/{$}": "workflows", "/dags/{dag}": "workflows/{dag}", "/dags/{dag}/{$}": "workflows/{dag}",
	"/dags/{dag}/{view}": "workflows/{dag}", "/dags/{dag}/runs/{run}": "workflows/runs/{run}", "/dags/{dag}/runs/{run}/{part...}": "workflows/runs/{run}"}

// mainAddress is where the program's own API is answered, "" until it is.
func (a *App) mainAddress() string {
	at := a.at.Load()
	if at == nil || len(*at) == 0 {
		return ""
	}
	return (*at)[0].Address
}

// consumerGroups reads the offsets of the embedded log's consumer groups; nil where the log is elsewhere.
func (a *App) consumerGroups() func() (map[string][]api.GroupOffset, error) {
	if a.embedded == nil {
		return nil
	}
	return func() (map[string][]api.GroupOffset, error) {
		known, err := a.embedded.Groups()
		if err != nil {
			return nil, err
		}
		all := map[string][]api.GroupOffset{}
		for name := range known {
			offsets, err := a.embedded.GroupOffsets(name)
			if err != nil {
				return nil, err
			}
			for _, o := range offsets {
				all[name] = append(all[name], api.GroupOffset{TP: o.TP, Offset: o.Offset, Committed: o.Committed})
			}
		}
		return all, nil
	}
}
