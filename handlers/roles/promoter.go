package roles

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const namePromoter = "promoter"

// promoter deploys versions that pass the gate, or are chosen.
func (c *Config) promoter() react.Role {
	return react.Role{Name: namePromoter, Tasks: map[string]react.TaskFunc{opPromote: c.task(promoteModel), opDeploy: c.task(deployModel)}, Failed: closeRuns}
}

// promoteModel deploys the version if it passes the gate; otherwise the slot keeps what it has, and the
// version stays in Staging.
func promoteModel(ctx context.Context, w *job) (map[string]string, error) {
	var name, versionText, blob string
	if err := w.Inputs(opRegister, map[string]*string{"model": &name, "version": &versionText}); err != nil {
		return nil, err
	}
	if err := w.Inputs(opTrain, map[string]*string{"blob": &blob}); err != nil {
		return nil, err
	}
	version, err := strconv.Atoi(versionText)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the registered version")
	}
	key := name
	if k, err := w.Input(opRegister, outModelKey); err == nil {
		key = k
	}
	if name, err = w.called(ctx, key); err != nil {
		return nil, err
	}
	out := map[string]string{"model": name, "version": versionText}

	serving, slot, err := w.championNow(ctx)
	if err != nil {
		return nil, err
	}
	if now := slot.Current; serving != nil && now.Model == key && now.Version == version && now.Blob == blob {
		out["promoted"], out["reason"] = "true", now.Reason // by an earlier try
		return out, nil
	}
	j, err := w.judgement(serving)
	if err != nil {
		return nil, err
	}
	promote, reason := gate(*j)
	out["promoted"], out["reason"] = strconv.FormatBool(promote), reason
	if !promote {
		w.Log().Warn("model version not promoted", "model", name, "version", version, "reason", reason)
		return out, nil
	}
	c := &commands.DeployModel{Slot: events.ProductionSlot, Model: name, Version: version, Reason: reason}
	if serving != nil {
		c.Served = commands.Served{events.ProductionSlot: {Model: slot.Current.Model, Version: slot.Current.Version}}
	}
	// The reason is part of the step: between two tries somebody may have deployed another version.
	if _, err := w.Dispatch(ctx, "promote/"+react.HashID(reason), c); err != nil {
		return nil, err
	}
	w.Log().Info("model version promoted", "model", name, "version", version, "reason", reason)
	return out, nil
}

// called is what the model of a key is called now.
func (w *job) called(ctx context.Context, key string) (string, error) {
	m, ok, err := projections.FoldModel(w.cfg.Log.Ledger().ReadStream(ctx, "model/"+key, 0), fold.At{})
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "the model %s was deleted", key)
	}
	return m.Name, err
}

// Decided is what the gate made of a run's version: ok where it has decided.
func Decided(run *projections.WorkflowRun) (promoted, ok bool) {
	for i := range run.Tasks {
		if t := &run.Tasks[i]; t.State == projections.StateSuccess {
			if promoted, err := strconv.ParseBool(t.Output["promoted"]); err == nil {
				return promoted, true
			}
		}
	}
	return false, false
}

// judgement is what the evaluation found out, held against what serves now; nil for nothing.
func (w *job) judgement(serving *champion) (*judgement, error) {
	j := &judgement{}
	var championThen, configurationThen string
	if err := w.Inputs(opEvaluate, map[string]*string{outChampion: &championThen, outConfiguration: &configurationThen, outUnjudged: &j.why}); err != nil {
		return nil, err
	}
	var moments, people float64
	figures := map[string]*float64{outMoments: &moments, outPeople: &people, gateMetric: &j.model, "popularity." + gateMetric: &j.popularity,
		outVsPopularity: &j.vsPopularity.Mean, outVsPopularity + ".low": &j.vsPopularity.Low, outVsPopularity + ".high": &j.vsPopularity.High}
	_, err := w.Input(opEvaluate, outVsChampion)
	judged := err == nil
	if judged {
		maps.Copy(figures, map[string]*float64{outChampion + "." + gateMetric: &j.rival, outVsChampion: &j.vsChampion.Mean,
			outVsChampion + ".low": &j.vsChampion.Low, outVsChampion + ".high": &j.vsChampion.High})
	}
	if err := w.figures(opEvaluate, figures); err != nil {
		return nil, err
	}
	j.moments, j.people = int(moments), int(people)
	if serving == nil {
		return j, nil
	}
	r, p, err := w.recipe()
	if err != nil {
		return nil, err
	}
	j.champion = serving.called
	same := serving.name == championThen || serving.by != nil && configurationID(serving.by) == configurationThen
	switch {
	case serving.by != nil && serving.by.Equal(recipe.Configuration{Recipe: r, Params: p}):
		j.standing = alike
	case same && judged:
		j.standing, j.judged = compared, championThen
	case same:
		j.standing = unjudged
	default:
		j.standing = changed
		j.why = fmt.Sprintf("it took the slot after the new version had been judged beside %s", cmp.Or(championThen, "nothing that served"))
	}
	return j, nil
}

// figures reads several numbers that a task has put out.
func (w *job) figures(task string, to map[string]*float64) error {
	for name, at := range to {
		text, err := w.Input(task, name)
		if err != nil {
			return err
		}
		if *at, err = strconv.ParseFloat(text, 64); err != nil {
			return fault.Wrap(fault.Corrupt, err, "what %s has put out as %s", task, name)
		}
	}
	return nil
}
