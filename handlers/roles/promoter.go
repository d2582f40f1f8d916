package roles

import (
	"context"
	"fmt"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const namePromoter = "promoter"

// promoter deploys versions that pass the gate.
func (c *Config) promoter() react.Role {
	return react.Role{Name: namePromoter, Tasks: map[string]react.TaskFunc{taskPromote: c.task(promoteModel)}, Failed: closeRuns}
}

// promoteModel deploys the version if it passes the gate; otherwise the slot keeps what it has, and the
// version stays in Staging.
func promoteModel(ctx context.Context, w *job) (map[string]string, error) {
	var name, versionText, blob, momentsText, modelText, popularityText string
	if err := w.Inputs(taskRegister, map[string]*string{"model": &name, "version": &versionText}); err != nil {
		return nil, err
	}
	if err := w.Inputs(taskTrain, map[string]*string{"blob": &blob}); err != nil {
		return nil, err
	}
	if err := w.Inputs(taskEvaluate, map[string]*string{"moments": &momentsText, gateMetric: &modelText, "popularity." + gateMetric: &popularityText}); err != nil {
		return nil, err
	}
	version, err1 := strconv.Atoi(versionText)
	moments, err2 := strconv.Atoi(momentsText)
	model, err3 := strconv.ParseFloat(modelText, 64)
	popularity, err4 := strconv.ParseFloat(popularityText, 64)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "outputs of the tasks before")
		}
	}
	out := map[string]string{"model": name, "version": versionText}

	slot, ok, err := w.slot(ctx)
	if err != nil {
		return nil, err
	}
	if now := slot.Current; ok && now.Model == name && now.Version == version && now.Blob == blob {
		out["promoted"], out["reason"] = "true", now.Reason // by an earlier try
		return out, nil
	}
	var deployed *float64
	serving := ""
	if ok {
		serving = fmt.Sprintf("%s/%d", slot.Current.Model, slot.Current.Version)
		if deployed, err = w.recorded(ctx, slot.Current.Model, slot.Current.Version); err != nil {
			return nil, err
		}
	}
	promote, reason := gate(moments, model, popularity, deployed, serving)
	out["promoted"], out["reason"] = strconv.FormatBool(promote), reason
	if !promote {
		w.Log().Warn("model version not promoted", "model", name, "version", version, "reason", reason)
		return out, nil
	}
	c := &commands.DeployModel{Slot: events.ProductionSlot, Model: name, Version: version, Reason: reason}
	if ok {
		c.Served = commands.Served{events.ProductionSlot: {Model: slot.Current.Model, Version: slot.Current.Version}}
	}
	// The reason is part of the step: between two tries somebody may have deployed another version.
	if _, err := w.Dispatch(ctx, "promote/"+react.HashID(reason), c); err != nil {
		return nil, err
	}
	w.Log().Info("model version promoted", "model", name, "version", version, "reason", reason)
	return out, nil
}

// slot is what serves, of all that the ledger holds now.
func (w *job) slot(ctx context.Context) (projections.Slot, bool, error) {
	if err := w.ledgerReaches(ctx, projections.NewDeployments()); err != nil {
		return projections.Slot{}, false, err
	}
	return fold.Of[*projections.Deployments](w.cfg.Views).Slot(events.ProductionSlot)
}

// recorded is the gate's metric as the version's run logged it, nil if it has none.
func (w *job) recorded(ctx context.Context, model string, version int) (*float64, error) {
	ledger := w.cfg.Log.Ledger()
	m, ok, err := projections.FoldModel(ledger.ReadStream(ctx, "model/"+model, 0), fold.At{})
	if err != nil || !ok {
		return nil, err
	}
	v := m.Version(version)
	if v == nil || v.RunID == "" {
		return nil, nil
	}
	run, ok, err := projections.FoldRun(ledger.ReadStream(ctx, "run/"+v.RunID, 0), fold.At{})
	if err != nil || !ok {
		return nil, err
	}
	metric, ok := run.Metrics[gateMetric]
	if !ok {
		return nil, nil
	}
	return &metric.Value, nil
}
