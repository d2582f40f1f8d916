package projections

import (
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

func applyRunData(w fold.Writer, in *fold.Input) error {
	switch x := in.Event.Data.(type) {
	case *events.RunInputsLogged:
		for i := range x.Datasets {
			d := &x.Datasets[i]
			if err := fold.SetJSON(w, fold.Table('i').Str(x.RunID).Str(d.Name).Str(d.Digest), d); err != nil {
				return err
			}
		}
		for _, id := range x.Models {
			if err := w.Set(fold.Table('m').Str(x.RunID).Str(id), nil); err != nil {
				return err
			}
		}
	case *events.RunOutputsLogged:
		for _, m := range x.Models {
			if err := w.Set(fold.Table('o').Str(x.RunID).Str(m.ModelID).Millis(m.Step), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// Data reads what a run was given and has made.
func (v *Runs) Data(run string) (d RunData, err error) {
	if d.Datasets, err = v.Datasets(run); err != nil {
		return d, err
	}
	err = v.each('m', run, func(_ fold.KV, p *fold.KeyParts) error {
		d.Models = append(d.Models, p.Str())
		return nil
	})
	if err != nil {
		return d, err
	}
	err = v.each('o', run, func(_ fold.KV, p *fold.KeyParts) error {
		d.Outputs = append(d.Outputs, events.ModelOutput{ModelID: p.Str(), Step: p.Millis()})
		return nil
	})
	return d, err
}

// Datasets reads the data sets a run was given.
func (v *Runs) Datasets(run string) (all []events.Dataset, err error) {
	err = v.each('i', run, func(kv fold.KV, _ *fold.KeyParts) error {
		var one events.Dataset
		err := fold.DecodeJSON(kv.Value, &one)
		all = append(all, one)
		return err
	})
	return all, err
}

// each hands out the entries of a run in a table, with the parts of their keys after the run.
func (v *Runs) each(table byte, run string, fn func(fold.KV, *fold.KeyParts) error) error {
	prefix := fold.Table(table).Str(run)
	for kv, err := range v.r.Scan(prefix, prefix.End()) {
		if err != nil {
			return err
		}
		p := fold.PartsOf(kv.Key[len(prefix):])
		if err := fn(kv, &p); err != nil {
			return err
		}
		if p.Err() != nil {
			return p.Err()
		}
	}
	return nil
}
