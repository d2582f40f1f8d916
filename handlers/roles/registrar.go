package roles

import (
	"context"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
)

const nameRegistrar = "registrar"

// outModelKey is the registered model's key in what the registrar puts out: it may be renamed before the promoter's turn.
const outModelKey = "model_key"

// registrar registers model versions.
func (c *Config) registrar() react.Role {
	return react.Role{Name: nameRegistrar, Tasks: map[string]react.TaskFunc{opRegister: c.task(registerModel)}, Failed: closeRuns}
}

// registerModel registers the trained version with everything it takes to train it again, and stages it.
func registerModel(ctx context.Context, w *job) (map[string]string, error) {
	var run, blob, bytesText, code, dataset, cut, hash string
	if err := w.Inputs(opTrain, map[string]*string{"run_id": &run, "blob": &blob, "bytes": &bytesText, "code_version": &code}); err != nil {
		return nil, err
	}
	if err := w.Inputs(opDataset, map[string]*string{"dataset_id": &dataset, "cut": &cut, "features_hash": &hash}); err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(bytesText, 10, 64)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "size of the weights")
	}
	r, p, err := w.recipe()
	if err != nil {
		return nil, err
	}
	err = w.Ensure(ctx, "register_model", &commands.RegisterModel{Name: r.Name, Description: r.Description})
	if err != nil {
		return nil, err
	}
	res, err := w.Dispatch(ctx, "register_version", &commands.RegisterModelVersion{Name: r.Name, RunID: run, Algorithm: r.Name,
		Params: p, Seed: r.Seed(p), CodeVersion: code, DatasetID: dataset, DatasetCut: cut, FeaturesHash: hash, Blob: blob, Bytes: size,
		Slot: events.ProductionSlot, FeatureViews: noViews})
	if err != nil {
		return nil, err
	}
	registered, ok := res.Events[0].Data.(*events.ModelVersionRegistered)
	if !ok {
		return nil, fault.New(fault.Internal, "RegisterModelVersion was answered with a %s", res.Events[0].Type())
	}
	name, err := w.called(ctx, registered.Name)
	if err != nil {
		return nil, err
	}
	_, err = w.Dispatch(ctx, "stage", &commands.StageModelVersion{Name: name, Version: registered.Version, Stage: commands.StageStaging,
		Reason: "registered by workflow run " + w.RunID()})
	if err != nil {
		return nil, err
	}
	out := map[string]string{"model": name, outModelKey: registered.Name, "version": strconv.Itoa(registered.Version)}
	w.keepModel(ctx, r.Name, registered.Version, blob, "", out)
	return out, w.registerBaseline(ctx, dataset, cut, hash, out)
}

// registerBaseline registers the neural baseline that was trained beside, if one was, and adds its version to out. It
// serves no slot, and nothing has judged it: it is in no stage.
func (w *job) registerBaseline(ctx context.Context, dataset, cut, hash string, out map[string]string) error {
	if _, err := w.Input(opTrain, runMLP+".code_version"); err != nil { // none was, or by a release that registered none
		return nil
	}
	var run, blob, bytesText, code string
	if err := w.Inputs(opTrain, map[string]*string{runMLP + ".run_id": &run, runMLP + ".blob": &blob, runMLP + ".bytes": &bytesText, runMLP + ".code_version": &code}); err != nil {
		return err
	}
	size, err := strconv.ParseInt(bytesText, 10, 64)
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "size of the baseline's weights")
	}
	err = w.Ensure(ctx, runMLP+"/register_model", &commands.RegisterModel{Name: runMLP, Description: "Ratings predicted from features by a small neural network: the baseline"})
	if err != nil {
		return err
	}
	views, err := w.cfg.viewsOfBaseline(ctx, cut)
	if err != nil {
		return err
	}
	p := *w.cfg.MLP
	res, err := w.Dispatch(ctx, runMLP+"/register_version", &commands.RegisterModelVersion{Name: runMLP, RunID: run, Algorithm: runMLP,
		Params: baselineParams(p), Seed: p.Seed, CodeVersion: code, DatasetID: dataset, DatasetCut: cut, FeaturesHash: hash, Blob: blob, Bytes: size,
		FeatureViews: views})
	if err != nil {
		return err
	}
	registered, ok := res.Events[0].Data.(*events.ModelVersionRegistered)
	if !ok {
		return fault.New(fault.Internal, "RegisterModelVersion was answered with a %s", res.Events[0].Type())
	}
	out[runMLP+".version"] = strconv.Itoa(registered.Version)
	w.keepModel(ctx, runMLP, registered.Version, blob, runMLP+".", out)
	return nil
}
