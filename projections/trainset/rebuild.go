package trainset

import (
	"context"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/streams"
)

// Rebuild trains again what a registered version states, from the log alone. progress may be nil. Errors:
// fault.Conflict for a version that this program does not train as it was trained, fault.Corrupt for one
// whose statement does not read, and those of the log and of training.
func Rebuild(ctx context.Context, log streams.Log, v *events.ModelVersionRegistered, progress func(stage string, done, of int64)) (*recipe.Trained, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	if v.Blob == "" {
		return nil, fault.New(fault.Conflict, "the version was made elsewhere: the log does not say how it was trained")
	}
	r, err := all.Find(v.Algorithm)
	if err != nil {
		return nil, fault.Wrap(fault.Conflict, err, "the version cannot be trained by this program")
	}
	if v.CodeVersion == recipe.CodeImported {
		return nil, fault.New(fault.Conflict, "the version was trained elsewhere, on data that is not in the log").WithHint("import its file again")
	}
	if !r.SameCode(v.CodeVersion) {
		return nil, fault.New(fault.Conflict, "the version was trained by code %q, this program is %q", v.CodeVersion, r.CodeVersion()).
			WithHint("run the release that trained it")
	}
	cut, err := streams.ParseCut(v.DatasetCut)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the version's data set")
	}
	p, err := r.Stated(v.Params)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the version's parameters")
	}
	set, err := Load(ctx, log, cut, func(done, total int64) { progress("read the log", done, total) })
	if err != nil {
		return nil, err
	}
	return r.Make(ctx, set.Input(), p, recipe.Hooks{Progress: func(stage string, done, of int, _ float64) {
		progress(stage, int64(done), int64(of))
	}})
}
