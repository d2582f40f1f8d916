package mlflow

import (
	"encoding/json"
	"net/http"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) runInputRoutes(r routes) {
	r.handle("POST", "mlflow/runs/log-inputs", s.logInputs)
	r.handle("POST", "mlflow/runs/outputs", s.logOutputs)
}

// contextTag says of a data set what a run used it for.
const contextTag = "mlflow.data.context"

type runInputs struct {
	Datasets []datasetInput `json:"dataset_inputs,omitempty"`
	Models   []modelInput   `json:"model_inputs,omitempty"`
}

type datasetInput struct {
	Tags    []pair  `json:"tags,omitempty"`
	Dataset dataset `json:"dataset"`
}

type dataset struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

type modelInput struct {
	ID string `json:"model_id"`
}

type runOutputs struct {
	Models []modelOutput `json:"model_outputs,omitempty"`
}

type modelOutput struct {
	ID   string  `json:"model_id"`
	Step integer `json:"step"`
}

// datasetsHave is what data sets have: names, digests, or what they were used for.
func datasetsHave(all []events.Dataset, key string) (v value) {
	for i := range all {
		one, is := all[i].Name, true
		switch key {
		case "digest":
			one = all[i].Digest
		case "context":
			one, is = all[i].Tags[contextTag]
		}
		if is {
			v.texts = append(v.texts, one)
		}
	}
	return v
}

// addData gives a run what it was given and has made.
func (s *Surface) addData(v *run) error {
	data, err := s.runsView().Data(v.Info.ID)
	v.add(&data)
	return err
}

func (v *run) add(data *projections.RunData) {
	for _, d := range data.Datasets {
		v.Inputs.Datasets = append(v.Inputs.Datasets, datasetInput{pairsOf(d.Tags), dataset{d.Name, d.Digest, d.SourceType, d.Source, d.Schema, d.Profile}})
	}
	for _, id := range data.Models {
		v.Inputs.Models = append(v.Inputs.Models, modelInput{id})
	}
	for _, m := range data.Outputs {
		v.Outputs.Models = append(v.Outputs.Models, modelOutput{m.ModelID, integer(m.Step)})
	}
}

func (s *Surface) logInputs(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.LogInputs{RunID: q.runID()}
	var given runInputs
	for name, into := range map[string]any{"datasets": &given.Datasets, "models": &given.Models} {
		if raw := q.raw(name); raw != nil && json.Unmarshal(raw, into) != nil {
			q.wrong(name, raw)
		}
	}
	for _, d := range given.Datasets {
		tags := map[string]string{}
		for _, t := range d.Tags {
			q.key("key", t.Key)
			tags[t.Key] = cut(t.Value, commands.TextBytesMax/4)
		}
		c.Datasets = append(c.Datasets, events.Dataset{Name: d.Dataset.Name, Digest: d.Dataset.Digest, SourceType: d.Dataset.SourceType, Source: d.Dataset.Source,
			Schema: d.Dataset.Schema, Profile: d.Dataset.Profile, Tags: tags})
	}
	for _, m := range given.Models {
		c.Models = append(c.Models, m.ID)
	}
	if q.err != nil {
		return q.err
	}
	return done(w, s.change(r, c.RunID, c, 0))
}

func (s *Surface) logOutputs(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.LogOutputs{RunID: q.runID()}
	var made []modelOutput
	q.needs("models")
	if raw := q.raw("models"); raw != nil && json.Unmarshal(raw, &made) != nil {
		q.wrong("models", raw)
	}
	for _, m := range made {
		c.Models = append(c.Models, events.ModelOutput{ModelID: m.ID, Step: int64(m.Step)})
	}
	if q.err != nil {
		return q.err
	}
	return done(w, s.change(r, c.RunID, c, 0))
}
