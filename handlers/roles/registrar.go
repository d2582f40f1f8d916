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

// registrar registers model versions.
func (c *Config) registrar() react.Role {
	return react.Role{Name: nameRegistrar, Tasks: map[string]react.TaskFunc{taskRegister: c.task(registerModel)}, Failed: closeRuns}
}

// registerModel registers the trained version with everything it takes to train it again, and stages it.
func registerModel(ctx context.Context, w *job) (map[string]string, error) {
	var run, blob, bytesText, code, dataset, cut, hash string
	if err := w.Inputs(taskTrain, map[string]*string{"run_id": &run, "blob": &blob, "bytes": &bytesText, "code_version": &code}); err != nil {
		return nil, err
	}
	if err := w.Inputs(taskPrepare, map[string]*string{"dataset_id": &dataset, "cut": &cut, "features_hash": &hash}); err != nil {
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
		Slot: events.ProductionSlot})
	if err != nil {
		return nil, err
	}
	registered, ok := res.Events[0].Data.(*events.ModelVersionRegistered)
	if !ok {
		return nil, fault.New(fault.Internal, "RegisterModelVersion was answered with a %s", res.Events[0].Type())
	}
	_, err = w.Dispatch(ctx, "stage", &commands.StageModelVersion{Name: r.Name, Version: registered.Version, Stage: commands.StageStaging,
		Reason: "registered by workflow run " + w.RunID()})
	if err != nil {
		return nil, err
	}
	return map[string]string{"model": r.Name, "version": strconv.Itoa(registered.Version)}, nil
}
