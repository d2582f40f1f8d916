package roles

import (
	"context"
	"errors"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// Config is what roles work with. Log, Views and Dir are needed; the rest has defaults.
type Config struct {
	Log   streams.Log
	Views *fold.Runner    // runs, with the views catalogue and deployments
	Dir   string          // the program's data folder
	Files string          // where files for people are, in data/ and models/; default Dir
	Sets  *trainset.Cache // what loads training sets; default one that keeps nothing

	Commands bool            // the operator command is on
	Tracking func() Tracking // nil where MLflow's clients are not answered; needs the views runs and lineage

	HTTPPrivate bool // the operator http may ask at http, and at addresses that are not public

	TMDB tmdb.Config // without a key, fetching films fails and says so

	Params map[string]map[string]string // of training, by recipe, unless a run's conf says other; default those of the recipe
	MLP    *ml.MLPParams                // of the neural baseline; default ml.DefaultMLPParams

	// What the operators import, deploy, backup, drift and try do; nil: they say that this process does not. Served is what slots serve, and
	// whether a version of a model can.
	Import func(ctx context.Context, src ingest.Source, actor string, progress func(ingest.Progress)) (ingest.Result, error)
	Served func(ctx context.Context, model string, version int) (commands.Served, error)
	Backup func(ctx context.Context, dir string, progress func(stage string, done, total int64)) (Backup, error)
	// Publish is how facts are published, for the operator drift, and Rank is what a version of a model shows to a person, for the operator try: the films, best first. With
	// the name "" it is what is shown without anybody's asking, and by says by what.
	Publish func(ctx context.Context, facts []commands.Fact, m handlers.Meta) (handlers.Published, error)
	Rank    func(ctx context.Context, model string, version int, user string, k int) (films []string, by string, err error)

	fits *recipe.Fits // of the last training, for its evaluation
}

func (c *Config) setDefaults() error {
	var errs []error
	for name, missing := range map[string]bool{"Log": c.Log == nil, "Views": c.Views == nil, "Dir": c.Dir == ""} {
		if missing {
			errs = append(errs, fault.Field(name, "is needed"))
		}
	}
	if c.Sets == nil {
		c.Sets = &trainset.Cache{}
	}
	c.fits = &recipe.Fits{}
	if c.MLP == nil {
		p := ml.DefaultMLPParams()
		c.MLP = &p
	}
	return errors.Join(errs...)
}

// New makes the roles for [react.New]. The error names what the configuration lacks.
func New(c Config) ([]react.Role, error) {
	if err := c.setDefaults(); err != nil {
		return nil, err
	}
	return []react.Role{
		c.trigger(),
		c.ingester(),
		c.featurizer(),
		c.trainer(),
		c.evaluator(),
		c.registrar(),
		c.promoter(),
		c.messenger(),
		c.caller(),
		c.runner(),
	}, nil
}

// job is one try of a task, with what roles work with.
type job struct {
	*react.Work
	cfg *Config
}

// task is a task's work as the engine takes it.
func (c *Config) task(do func(context.Context, *job) (map[string]string, error)) react.TaskFunc {
	return func(ctx context.Context, w *react.Work) (map[string]string, error) { return do(ctx, &job{w, c}) }
}
