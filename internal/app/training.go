package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/projectionist/projectionist/api"
	v1 "github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections/recommend"
)

// byHand trains for whoever waits.
func (a *App) byHand() *roles.ByHand {
	return &roles.ByHand{Config: roles.Config{Log: a.Log, Views: a.Views, Dir: a.opts.Dir, Files: a.opts.Files, Sets: a.sets}, Dispatcher: a.Dispatcher, Blobs: a.Blobs, Now: a.opts.Now}
}

func training(t v1.Training) roles.Training {
	to := roles.Training{Algorithm: t.Algorithm, Params: map[string]string{}, Actor: t.Actor, Request: t.Request}
	for name, v := range t.Params {
		to.Params[name] = string(v)
	}
	return to
}

// train trains and registers a version, and answers once the registry shows it.
func (a *App) train(ctx context.Context, t v1.Training, out *api.Lines) (any, error) {
	done, err := a.byHand().Train(ctx, training(t), roles.Told{Progress: out.Progress,
		Sizes: func(sizes []recipe.Size) {
			out.Tell(struct {
				Sizes []recipe.Size `json:"sizes"`
			}{sizes})
		},
		Epoch: func(e roles.Epoch) { out.Tell(e) }})
	if err != nil {
		return nil, err
	}
	return done, a.API.Await(ctx, done.Position, "registry")
}

// tune searches parameters and registers the best, and answers once the registry shows it. There is one search at a time: the same
// one twice would write to the same runs, and two would share what memory there is.
func (a *App) tune(ctx context.Context, t v1.Tuning, out *api.Lines) (any, error) {
	if !a.tuning.TryLock() {
		return nil, fault.New(fault.Conflict, "a search for parameters is under way").WithHint("wait for its end: projectionist runs list shows its trials")
	}
	defer a.tuning.Unlock()
	done, err := a.byHand().Tune(ctx, roles.Tuning{Training: training(t.Training), Trials: cmp.Or(t.Trials, recipe.TrialsDefault), Seed: t.Seed, Parallel: cmp.Or(t.Parallel, 1)},
		roles.Told{Progress: out.Progress}, func(trial roles.Trial) {
			out.Tell(struct {
				Tried roles.Trial `json:"tried"`
			}{trial})
		})
	if err != nil {
		return nil, err
	}
	return done, a.API.Await(ctx, done.Position, "registry")
}

// importModel registers a version from a safetensors file.
func (a *App) importModel(ctx context.Context, name string, file []byte, t v1.Training) (any, error) {
	id := func(canonical func(string) string) func(string) (string, error) {
		return func(id string) (string, error) {
			id = canonical(id)
			return id, api.CheckID("id", id)
		}
	}
	var errs []error
	for _, r := range all.Recipes() {
		if r.Import == nil {
			continue
		}
		m, err := r.Import(file, id(events.CanonicalUser), id(events.CanonicalMovie))
		if err != nil {
			errs = append(errs, fault.Wrap(fault.Invalid, err, "the file is no model of %s", r.Name))
			continue
		}
		done, err := a.byHand().Import(ctx, name, r, m, file, training(t))
		if err != nil {
			return nil, err
		}
		return done, a.API.Await(ctx, done.Position, "registry")
	}
	return nil, errors.Join(errs...)
}

// rank is what a version of a model, or, of no name, what serves, shows to a person now: the films, best first, and by what.
func (a *App) rank(_ context.Context, model string, version int, user string, k int) (films []string, by string, err error) {
	q := recommend.Request{UserID: user, K: k, NowMillis: a.opts.Now().UnixMilli()}
	ask := func() (*recommend.Result, error) { return a.Recommend.Recommend(q) }
	if model != "" {
		ask = func() (*recommend.Result, error) { return a.Recommend.RecommendBy(model, version, q) }
	}
	res, err := ask()
	if err != nil {
		return nil, "", err
	}
	if res.ModelName != "" {
		by = fmt.Sprintf("%s/%d", res.ModelName, res.ModelVersion)
	}
	for i := range res.Items {
		films = append(films, res.Items[i].MovieID)
	}
	return films, by, nil
}
