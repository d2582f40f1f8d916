package app

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// workflowsFolder is where people put definitions of workflows, below the data folder.
const workflowsFolder = "workflows"

// originProgram marks the definitions that the program comes with.
const originProgram = "program"

// DefineWorkflows puts in force the workflows that the program comes with, where people have not put others in their place,
// and those of the data folder's files, each content of a file once. A file that cannot be used is told, and holds up nothing.
func (a *App) DefineWorkflows(ctx context.Context) error {
	for _, d := range roles.Definitions() {
		before, deleted, err := a.workflowsDefined(ctx, d.Name)
		if err != nil {
			return err
		}
		if n := len(before); deleted || n > 0 && (before[n-1].Origin != originProgram || before[n-1].Hash == d.Hash()) {
			continue
		}
		if err := a.defineWorkflow(ctx, d, originProgram); err != nil {
			return err
		}
	}
	paths, err := filepath.Glob(filepath.Join(a.opts.Dir, workflowsFolder, "*.yaml"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := a.defineWorkflowFile(ctx, path); err != nil {
			if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.TooLarge) {
				return err
			}
			a.opts.Logger.Error("a workflow's file cannot be used: what was in force stays", "file", path, "error", err)
		}
	}
	return nil
}

func (a *App) defineWorkflowFile(ctx context.Context, path string) error {
	source, err := readBounded(path, commands.WorkflowBytesMax)
	if err != nil {
		return err
	}
	d, err := workflow.Parse(source, roles.Operators())
	if err != nil {
		return err
	}
	if err := a.operators().Allow(d); err != nil {
		return err
	}
	if want := d.Name + ".yaml"; filepath.Base(path) != want {
		return fault.Field("name", "is %q in the file %s", d.Name, filepath.Base(path)).WithHint("call the file %s", want)
	}
	before, _, err := a.workflowsDefined(ctx, d.Name)
	if err != nil || slices.ContainsFunc(before, func(e *events.WorkflowDefined) bool { return e.Hash == d.Hash() }) {
		return err
	}
	return a.defineWorkflow(ctx, d, "file "+filepath.Base(path))
}

// operators are those of roles, with those off that are off here.
func (a *App) operators() workflow.Operators {
	all := roles.Operators()
	if !a.opts.Commands {
		roles.TurnCommandsOff(all)
	}
	return all
}

// readBounded reads a file of at most so many bytes.
func readBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fault.Wrap(fault.Unavailable, err, "%s cannot be read", path)
	case !info.Mode().IsRegular():
		return nil, fault.New(fault.Invalid, "%s is no file", path)
	case info.Size() > most:
		return nil, fault.New(fault.TooLarge, "%s has %d bytes; the most is %d", path, info.Size(), most)
	}
	b, err := os.ReadFile(path)
	return b, fault.Wrap(fault.Unavailable, err, "%s cannot be read", path)
}

// workflowsDefined are the definitions of a workflow that the log has, oldest first, and whether it was deleted after them.
func (a *App) workflowsDefined(ctx context.Context, name string) (all []*events.WorkflowDefined, deleted bool, err error) {
	for c, err := range a.Log.Ledger().ReadStream(ctx, "workflow/"+name, 0) {
		if err != nil {
			return nil, false, err
		}
		for i := range c.Events {
			switch e := c.Events[i].Data.(type) {
			case *events.WorkflowDefined:
				all, deleted = append(all, e), false
			case *events.WorkflowDeleted:
				deleted = true
			}
		}
	}
	return all, deleted, nil
}

// defineWorkflow puts a definition in force, and waits a while until it is to be read.
func (a *App) defineWorkflow(ctx context.Context, d *workflow.Definition, origin string) error {
	res, err := a.Dispatcher.Dispatch(ctx, &commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash(), Origin: origin}, handlers.Meta{Actor: "projectionist"})
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, definedWait)
	defer cancel()
	if err := a.Views.Wait(wait, res.Position, "workflows"); err != nil && ctx.Err() == nil {
		a.opts.Logger.Warn("a workflow is defined, and not to be read yet", "workflow", d.Name, "error", err)
	}
	return ctx.Err()
}

// definedWait is how long a definition may take to be read, before what goes by it says that there is none.
const definedWait = 10 * time.Second

// activeRuns are the workflow runs that have not ended.
func (a *App) activeRuns(ctx context.Context) ([]string, error) {
	if err := a.caughtUp(ctx, "workflows"); err != nil {
		return nil, err
	}
	runs, err := fold.Of[*projections.Workflows](a.Views).Active()
	ids := make([]string, len(runs))
	for i := range runs {
		ids[i] = runs[i].RunID
	}
	return ids, err
}

// definedWorkflows are the names of all workflows.
func (a *App) definedWorkflows(context.Context) (names []string, err error) {
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := fold.Of[*projections.Workflows](a.Views).Workflows(q)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			names = append(names, p.Items[i].Name)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return names, nil
		}
	}
}

// lastScheduled is the slot of the newest run that a workflow's schedule has asked for.
func (a *App) lastScheduled(_ context.Context, name string) (time.Time, error) {
	millis, err := fold.Of[*projections.Workflows](a.Views).LastScheduled(name)
	if millis == 0 {
		return time.Time{}, err
	}
	return time.UnixMilli(millis), err
}

// triggered is what the triggers of a workflow have asked for.
func (a *App) triggered(_ context.Context, name string) (map[string]projections.TriggeredRuns, error) {
	return fold.Of[*projections.Workflows](a.Views).TriggeredOf(name)
}

// pools are those that are defined, with their slots.
func (a *App) pools(context.Context) (map[string]int, error) {
	all, err := fold.Of[*projections.Workflows](a.Views).Pools()
	slots := map[string]int{}
	for i := range all {
		slots[all[i].Name] = all[i].Slots
	}
	return slots, err
}

// backfills are the ids of those that go on.
func (a *App) backfills(context.Context) ([]string, error) {
	return fold.Of[*projections.Workflows](a.Views).OpenBackfills()
}

// variable is the value of a variable as all that the log has by now leaves it.
func (a *App) variable(key string) (string, bool, error) {
	ctx, cancel := context.WithTimeout(a.work, definedWait)
	defer cancel()
	if err := a.caughtUp(ctx, "variables"); err != nil {
		return "", false, fault.Wrap(fault.Unavailable, err, "the view of variables is behind the log")
	}
	v, ok, err := fold.Of[*projections.Variables](a.Views).Variable(key)
	return v.Value, ok, err
}
