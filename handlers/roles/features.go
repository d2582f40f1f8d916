package roles

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// readyFeatures puts definitions of features in force, where a file is named or none are, and waits until all that features are made of is folded up to the log's head: what is read
// of them afterwards has everything that happened before the task.
func readyFeatures(ctx context.Context, w *job) (map[string]string, error) {
	args, err := w.Args()
	if err != nil {
		return nil, err
	}
	if path := args[argPath]; path != "" {
		text, err := w.readDefinitions(path)
		if err != nil {
			return nil, react.Permanent(err)
		}
		d, err := features.Parse(text)
		if err != nil {
			return nil, react.Permanent(fault.Wrap(fault.Invalid, err, "%s has definitions that cannot be used", path))
		}
		// The hash is part of the step: the file may be another at the next try.
		if _, err := w.Dispatch(ctx, "define_features/"+d.Hash(), &commands.DefineFeatures{Definitions: string(text), Hash: d.Hash()}); err != nil {
			return nil, err
		}
	}
	cut, err := w.pin(ctx)
	if err != nil {
		return nil, err
	}
	began := w.Now()
	for _, v := range []fold.View{projections.NewDefinitions(), projections.NewCatalogue(), projections.NewUsers(), projections.NewOnline(), projections.NewHistories()} {
		if err := w.reaches(ctx, cut, v); err != nil {
			return nil, err
		}
	}
	inForce, ok, err := projections.FoldDefinitions(w.cfg.Log.Ledger().ReadStream(ctx, "features/definitions", 0), fold.At{Cut: cut})
	if err == nil && !ok {
		err = fault.New(fault.Internal, "no definitions of features are in force at %s", cut)
	}
	if err != nil {
		return nil, err
	}
	d, err := features.Parse([]byte(inForce.Definitions))
	if err != nil {
		return nil, err
	}
	n := 0
	for _, v := range d.Views {
		n += len(v.Features)
	}
	waited := w.Now().Sub(began)
	w.Log().Info("features are up to date", "cut", cut.String(), "views", len(d.Views), "features", n, "waited", waited)
	return map[string]string{"cut": cut.String(), "features_hash": inForce.Hash, "views": strconv.Itoa(len(d.Views)), "features": strconv.Itoa(n), "services": strconv.Itoa(len(d.Services)),
		"waited_ms": strconv.FormatInt(waited.Milliseconds(), 10)}, nil
}

// readDefinitions reads a file of definitions below the data folder. It is no other file, and reached through no link that leads out: what is wrong with definitions is said
// in their own words.
func (w *job) readDefinitions(name string) ([]byte, error) {
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" {
		return nil, fault.Field(argPath, "is %q; want a .yaml file", name)
	}
	wrong := func(err error) error {
		return fault.Field(argPath, "%v", err).WithHint("name a file below the data folder %s", w.cfg.Dir)
	}
	root, err := os.OpenRoot(w.cfg.Dir)
	if err != nil {
		return nil, wrong(err)
	}
	defer root.Close()
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, wrong(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, fault.Field(argPath, "%s is no file", name)
	}
	text, err := io.ReadAll(io.LimitReader(f, commands.DocumentBytesMax+1))
	if err == nil && len(text) > commands.DocumentBytesMax {
		err = fmt.Errorf("%s has more than %d bytes, which is the most", name, commands.DocumentBytesMax)
	}
	if err != nil {
		return nil, wrong(err)
	}
	return text, nil
}
