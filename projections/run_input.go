package projections

import (
	"bytes"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// RunData is what a run was given and has made. It is part of the view [Runs], but not of a [Run], which is written
// with every value it logs.
type RunData struct {
	Datasets []events.Dataset     `json:"datasets,omitempty"` // by name and digest
	Models   []string             `json:"models,omitempty"`   // logged models it was given, by id
	Outputs  []events.ModelOutput `json:"outputs,omitempty"`  // by id and step
}

// beside begins the key of what stands beside a run, of a kind: right behind it, so that they are read together.
func beside(run string, kind byte) fold.Key { return append(fold.Table(runTable).Str(run), kind) }

func applyRunData(w fold.Writer, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.RunArtifactLogged:
		return setFile(w, x.RunID, &Artifact{x.Path, x.Blob, x.Bytes, in.Event.Time.UnixMilli()})
	case *events.RunArtifactDeleted:
		return deleteFiles(w, x.RunID, x.Path)
	case *events.RunInputsLogged:
		for i := range x.Datasets {
			d := &x.Datasets[i]
			if err := fold.SetJSON(w, beside(x.RunID, 'i').Str(d.Name).Str(d.Digest), d); err != nil {
				return err
			}
		}
		for _, id := range x.Models {
			if err := w.Set(beside(x.RunID, 'm').Str(id), nil); err != nil {
				return err
			}
		}
	case *events.RunOutputsLogged:
		for _, m := range x.Models {
			if err := w.Set(beside(x.RunID, 'o').Str(m.ModelID).Millis(m.Step), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// WholeRun is a run with what stands beside it.
type WholeRun struct {
	Run                    // but for its metrics
	Latest []events.Metric // of each metric, by key; they are their taker's until it returns
	RunData

	latest []latestMetric
}

// take takes an entry in that stands beside the run; rest is its key after the run.
func (r *WholeRun) take(rest, value []byte) error {
	p := fold.PartsOf(rest[1:])
	switch rest[0] {
	case 'l':
		latest, err := readLatest(value, r.latest)
		r.latest = latest
		for i := range latest {
			r.Latest = append(r.Latest, latest[i].Metric)
		}
		return err
	case 'i':
		var d events.Dataset
		if err := fold.DecodeJSON(value, &d); err != nil {
			return err
		}
		r.Datasets = append(r.Datasets, d)
		return nil
	case 'm':
		r.Models = append(r.Models, p.Str())
	case 'o':
		r.Outputs = append(r.Outputs, events.ModelOutput{ModelID: p.Str(), Step: p.Millis()})
	}
	return p.Err()
}

// Whole reads runs with what stands beside them, in the order of their ids. Those that are not there are left out.
func (v *Runs) Whole(ids []string, take func(*WholeRun) error) error {
	key := func(id string) fold.Key { return fold.Table(runTable).Str(id) }
	keys := func(yield func(fold.Key) bool) {
		for _, id := range ids {
			if !yield(key(id)) {
				return
			}
		}
	}
	var run *WholeRun
	var own fold.Key // of the run at hand
	for kv, err := range v.r.Under(keys) {
		if err != nil {
			return err
		}
		if at := bytes.IndexByte(kv.Key, 0) + 1; at < len(kv.Key) {
			if run == nil || !bytes.Equal(kv.Key[:at], own) {
				continue // of a run that is not there
			}
			if err := run.take(kv.Key[at:], kv.Value); err != nil {
				return err
			}
			continue
		}
		if run != nil {
			if err := take(run); err != nil {
				return err
			}
		}
		var was WholeRun
		if run != nil {
			was = *run
		}
		run, own = &WholeRun{Latest: was.Latest[:0], latest: was.latest}, slices.Clone(kv.Key)
		if err := fold.DecodeJSON(kv.Value, &run.Run); err != nil {
			return err
		}
	}
	if run == nil {
		return nil
	}
	return take(run)
}

// Data reads what a run was given and has made.
func (v *Runs) Data(id string) (d RunData, err error) {
	err = v.Whole([]string{id}, func(r *WholeRun) error { d = r.RunData; return nil })
	return d, err
}

// Datasets reads the data sets a run was given.
func (v *Runs) Datasets(run string) (all []events.Dataset, err error) {
	prefix := beside(run, 'i')
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		var one events.Dataset
		if err == nil {
			err = fold.DecodeJSON(kv.Value, &one)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
