package roles

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// champion is the version that serves, as the registry has it.
type champion struct {
	name   string                // "als/1", of the model's key
	called string                // the same of its present name
	by     *recipe.Configuration // what made it; nil where this program cannot make its like
	why    string                // it cannot
}

// champion looks up how a deployed version was made.
func (w *job) champion(ctx context.Context, d projections.Deployment) (*champion, error) {
	c := &champion{name: fmt.Sprintf("%s/%d", d.Model, d.Version)}
	c.called = c.name
	m, ok, err := projections.FoldModel(w.cfg.Log.Ledger().ReadStream(ctx, "model/"+d.Model, 0), fold.At{})
	if err != nil {
		return nil, err
	}
	if ok {
		c.called = fmt.Sprintf("%s/%d", m.Name, d.Version)
	}
	v := m.Version(d.Version)
	if !ok || v == nil {
		c.why = "the registry does not have it"
		return c, nil
	}
	c.by, c.why = madeBy(&v.ModelVersionRegistered)
	return c, nil
}

// madeBy is what made a registered version, or why this program cannot make its like.
func madeBy(v *events.ModelVersionRegistered) (by *recipe.Configuration, why string) {
	r, err := all.Find(v.Algorithm)
	if err != nil {
		return nil, "of its recipe this program knows nothing: " + brief(err)
	}
	if !r.SameCode(v.CodeVersion) {
		return nil, fmt.Sprintf("it was trained by code %q, this program is %q", v.CodeVersion, r.CodeVersion())
	}
	p, err := r.Stated(v.Params)
	if err != nil {
		return nil, "its parameters are not taken any more: " + brief(err)
	}
	return &recipe.Configuration{Recipe: r, Params: p}, ""
}

// briefBytesMax keeps an error short enough for a task's output and a deployment's reason.
const briefBytesMax = 1000

// brief is an error in one line of bounded length.
func brief(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > briefBytesMax {
		text = strings.ToValidUTF8(text[:briefBytesMax], "") + " …"
	}
	return text
}

// configurationID is the same for what makes the same model of the same data; "" for nil.
func configurationID(c *recipe.Configuration) string {
	if c == nil {
		return ""
	}
	parts := []string{"configuration", c.Recipe.Name, c.Recipe.Code}
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		parts = append(parts, name, c.Params[name])
	}
	return react.HashID(parts...)
}

// championNow is what serves, of all that the ledger holds now; nil for nothing.
func (w *job) championNow(ctx context.Context) (*champion, projections.Slot, error) {
	if err := w.ledgerReaches(ctx, projections.NewDeployments()); err != nil {
		return nil, projections.Slot{}, err
	}
	slot, ok, err := fold.Of[*projections.Deployments](w.cfg.Views).Slot(events.ProductionSlot)
	if err != nil || !ok {
		return nil, slot, err
	}
	c, err := w.champion(ctx, slot.Current)
	return c, slot, err
}

// championThen is what served when the task was first started, the same at every try; nil for nothing.
func (w *job) championThen(ctx context.Context, task string) (*champion, error) {
	started, err := w.started(ctx, task)
	if err != nil {
		return nil, err
	}
	if err := w.reaches(ctx, started, projections.NewDeployments()); err != nil {
		return nil, err
	}
	d, ok, err := fold.Of[*projections.Deployments](w.cfg.Views).At(events.ProductionSlot, fold.At{Cut: started})
	if err != nil || !ok {
		return nil, err
	}
	return w.champion(ctx, d)
}

// started is the ledger up to where a task of the run was first started.
func (w *job) started(ctx context.Context, task string) (streams.Cut, error) {
	for com, err := range w.cfg.Log.Ledger().ReadStream(ctx, "workflow-run/"+w.RunID(), 0) {
		if err != nil {
			return nil, err
		}
		for i := range com.Events {
			if s, ok := com.Events[i].Data.(*events.TaskStarted); ok && s.Task == task {
				cut := streams.Cut{}
				cut.Include(com.Position)
				return cut, nil
			}
		}
	}
	return nil, fault.New(fault.Internal, "task %s of workflow run %s has not been started", task, w.RunID())
}
