package roles

import (
	"cmp"
	"context"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// deployModel has a version serve a slot, without a gate: that one is chosen by whoever wrote the workflow, by its
// number, an alias or "latest".
func deployModel(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	name, slot := args[argModel], args[argSlot]
	_, v, err := w.versionNamed(ctx, name, args[argVersion])
	if err != nil {
		return nil, err
	}
	version := v.Version
	c := &commands.DeployModel{Slot: slot, Model: name, Version: version, Reason: cmp.Or(args[argReason], "workflow run "+w.RunID())}
	if w.cfg.Served == nil {
		return nil, react.Permanent(fault.New(fault.Unavailable, "this process does not deploy"))
	}
	if err := w.ledgerReaches(ctx, projections.NewDeployments()); err != nil {
		return nil, err
	}
	if c.Served, err = w.cfg.Served(ctx, name, version); err == nil {
		_, err = w.Dispatch(ctx, "deploy", c)
	}
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		err = react.Permanent(err)
	}
	if err != nil {
		return nil, err
	}
	w.Log().Info("model version deployed", "model", name, "version", version, "slot", slot)
	return map[string]string{"model": name, "version": strconv.Itoa(version), "slot": slot}, nil
}

// versionNamed is a model with the version of it that a number, an alias or "latest" stands for.
func (w *job) versionNamed(ctx context.Context, name, called string) (m projections.Model, v *projections.ModelVersion, err error) {
	m, ok, err := projections.ModelNamed(ctx, w.cfg.Log.Ledger(), name, fold.At{})
	if err == nil && !ok {
		err = react.Permanent(fault.New(fault.NotFound, "there is no model %q", name).WithHint("projectionist models list"))
	}
	if err != nil {
		return m, nil, err
	}
	number, err := versionCalled(&m, called)
	if err == nil {
		if v = m.Version(number); v == nil {
			err = fault.New(fault.NotFound, "there is no version %d of model %s", number, name).WithHint("projectionist models show %s", name)
		}
	}
	if err != nil {
		return m, nil, react.Permanent(err)
	}
	return m, v, nil
}

// versionCalled is the version that a number, an alias or "latest" stands for.
func versionCalled(m *projections.Model, called string) (int, error) {
	if n, err := strconv.Atoi(called); err == nil {
		return n, nil
	}
	if n, ok := m.Aliases[called]; ok {
		return n, nil
	}
	newest := 0
	for i := range m.Versions {
		newest = max(newest, m.Versions[i].Version)
	}
	if called != latestVersion || newest == 0 {
		return 0, fault.Field(argVersion, "is %q; want the number of a version of %s, one of its aliases, or %s", called, m.Name, latestVersion).WithHint("projectionist models show %s", m.Name)
	}
	return newest, nil
}

const latestVersion = "latest"
