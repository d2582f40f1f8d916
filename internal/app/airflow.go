package app

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/airflow"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/projections"
)

// airflow is Airflow's API over this program.
func (a *App) airflow(workflows *projections.DefinedWorkflows) *airflow.Surface {
	return airflow.New(a.API, airflow.Config{Workflows: workflows, TaskLog: a.TaskLog, Version: Version, Reparse: a.reparseWorkflow, Connections: a.connections(), Users: a.users()})
}

// reparseWorkflow reads the file of a workflow, where there is one, and puts it in force if it is new.
func (a *App) reparseWorkflow(ctx context.Context, name string) error {
	path := filepath.Join(a.opts.Dir, workflowsFolder, name+".yaml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return a.defineWorkflowFile(ctx, path)
}

// users are the names that requests may come under.
func (a *App) users() (names []string) {
	for name := range a.opts.Users {
		names = append(names, name)
	}
	if a.opts.Token != "" && !slices.Contains(names, api.TokenUser) {
		names = append(names, api.TokenUser)
	}
	if len(names) == 0 {
		names = []string{api.UserDefault}
	}
	slices.Sort(names)
	return names
}

// connections are what the program was configured to reach, without what opens it.
func (a *App) connections() (all []airflow.Connection) {
	for _, c := range []struct{ id, address, what string }{
		{"log", a.opts.LogURL, "the log"},
		{"feeds", a.opts.FeedsURL, "the log's feeds"},
		{"blobs", a.opts.Blobs, "the bucket of blobs"},
		{"tmdb", cmp.Or(os.Getenv(tmdb.URLVariable), tmdb.URLDefault), "TMDB, whose key is " + tmdb.KeyVariable},
	} {
		u, err := url.Parse(c.address)
		if err != nil || u.Host == "" { // several hosts, separated by commas, are one
			continue
		}
		one := airflow.Connection{ID: c.id, Type: u.Scheme, Description: c.what}
		host, schema := u.Hostname(), u.Path
		one.Host = &host
		if port, err := strconv.Atoi(u.Port()); err == nil {
			one.Port = &port
		}
		if schema != "" {
			one.Schema = &schema
		}
		all = append(all, one)
	}
	return all
}
