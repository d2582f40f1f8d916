package react

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/training"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const (
	// gateMetric decides on promotion. Chosen because the product is a short ordered list.
	gateMetric = "ndcg@10"
	// gateTolerance is how far, relatively, a version may be below what the deployed one recorded. The two
	// were judged on different last parts of a growing log, so small differences say nothing, and a fresher
	// model has seen what the older one has not; beyond 5 % the recipe or the data is likely at fault.
	gateTolerance = .05
	// gateMoments is the least a metric is believed from: with fewer, its standard error is as large as what
	// it is compared with.
	gateMoments = 30
)

// gate decides on a version. deployed is nil if there is none, or it has no metric.
func gate(moments int, model, popularity float64, deployed *float64, deployedName string) (promote bool, reason string) {
	switch {
	case moments < gateMoments && deployedName == "":
		return true, fmt.Sprintf("nothing is deployed, and the data has %d moments to judge by, fewer than %d", moments, gateMoments)
	case moments < gateMoments:
		return false, fmt.Sprintf("kept %s: the data has %d moments to judge the new version by, fewer than %d", deployedName, moments, gateMoments)
	case model < popularity:
		return false, fmt.Sprintf("kept %s: %s %.4f is below popularity's %.4f", orNothing(deployedName), gateMetric, model, popularity)
	case deployed != nil && model < *deployed*(1-gateTolerance):
		return false, fmt.Sprintf("kept %s: %s %.4f is more than %.0f %% below the %.4f it recorded", deployedName, gateMetric, model, 100*gateTolerance, *deployed)
	case deployed != nil:
		return true, fmt.Sprintf("%s %.4f, popularity %.4f, %s recorded %.4f", gateMetric, model, popularity, deployedName, *deployed)
	}
	return true, fmt.Sprintf("%s %.4f, popularity %.4f", gateMetric, model, popularity)
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}

// promoteModel deploys the version if it passes the gate; otherwise the slot keeps what it has, and the
// version stays in Staging.
func promoteModel(ctx context.Context, w *work) (map[string]string, error) {
	var versionText, blob, momentsText, modelText, popularityText string
	if err := w.inputs(taskRegister, map[string]*string{"version": &versionText}); err != nil {
		return nil, err
	}
	if err := w.inputs(taskTrain, map[string]*string{"blob": &blob}); err != nil {
		return nil, err
	}
	if err := w.inputs(taskEvaluate, map[string]*string{"moments": &momentsText, gateMetric: &modelText, "popularity." + gateMetric: &popularityText}); err != nil {
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
	out := map[string]string{"model": training.Algorithm, "version": versionText}

	slot, ok, err := w.slot(ctx)
	if err != nil {
		return nil, err
	}
	if now := slot.Current; ok && now.Model == training.Algorithm && now.Version == version && now.Blob == blob {
		out["promoted"], out["reason"] = "true", now.Reason // by an earlier try
		return out, nil
	}
	var deployed *float64
	name := ""
	if ok {
		name = fmt.Sprintf("%s/%d", slot.Current.Model, slot.Current.Version)
		if deployed, err = w.recorded(ctx, slot.Current.Model, slot.Current.Version); err != nil {
			return nil, err
		}
	}
	promote, reason := gate(moments, model, popularity, deployed, name)
	out["promoted"], out["reason"] = strconv.FormatBool(promote), reason
	if !promote {
		w.r.log.Warn("model version not promoted", "model", training.Algorithm, "version", version, "reason", reason)
		return out, nil
	}
	c := &commands.DeployModel{Slot: events.ProductionSlot, Model: training.Algorithm, Version: version, Reason: reason}
	if ok {
		c.Served = commands.Served{events.ProductionSlot: {Model: slot.Current.Model, Version: slot.Current.Version}}
	}
	// The reason is part of the step: between two tries somebody may have deployed another version.
	if _, err := w.dispatch(ctx, "promote/"+hashID(reason), c); err != nil {
		return nil, err
	}
	w.r.log.Info("model version promoted", "model", training.Algorithm, "version", version, "reason", reason)
	return out, nil
}

// slot is what serves, of all that the ledger holds now.
func (w *work) slot(ctx context.Context) (projections.Slot, bool, error) {
	head, err := w.r.cfg.Log.Ledger().Head(ctx, time.Time{})
	if err != nil {
		return projections.Slot{}, false, err
	}
	if head > 0 {
		wctx, cancel := context.WithTimeout(ctx, viewsTimeout)
		defer cancel()
		if err := w.r.cfg.Runner.Wait(wctx, streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: head - 1}, "deployments"); err != nil {
			return projections.Slot{}, false, err
		}
	}
	return fold.Of[*projections.Deployments](w.r.cfg.Runner).Slot(events.ProductionSlot)
}

// recorded is the gate's metric as the version's run logged it, nil if it has none.
func (w *work) recorded(ctx context.Context, model string, version int) (*float64, error) {
	ledger := w.r.cfg.Log.Ledger()
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
