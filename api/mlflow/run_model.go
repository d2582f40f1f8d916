package mlflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// historyTag is the tag in which clients of before MLflow 3 have the models that a run has logged: a list of JSON.
const historyTag = "mlflow.log-model.history"

// loggedAgain bounds how often a run's list is read anew because somebody else has written to the run.
const loggedAgain = 32

// logModel adds a model to the run's list of those it has logged.
func (s *Surface) logModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, text := q.runID(), q.required("model_json")
	if q.err != nil {
		return q.err
	}
	model, err := modelTags(text)
	if err != nil {
		return err
	}
	run, _, err := s.runAt(r.Context(), id)
	for range loggedAgain {
		if err != nil {
			return err
		}
		if run.Deleted {
			return invalid("The run %s must be in the 'active' state. Current state is deleted.", id)
		}
		err = s.addModel(r, run, model)
		if own := (*fault.Error)(nil); !errors.As(err, &own) || own.Code != fault.Conflict || own.Field != "If-Match" {
			return done(w, err)
		}
		var now projections.Run // somebody was faster
		now, _, err = projections.FoldRun(s.Log.Ledger().ReadStream(r.Context(), "run/"+id, 0), fold.At{})
		run = &now
	}
	return fault.New(fault.Conflict, "others write to run %s without an end", id).WithHint("try again later")
}

// addModel adds a model to the run's list, unless the run has gone on meanwhile.
func (s *Surface) addModel(r *http.Request, run *projections.Run, model json.RawMessage) error {
	var list []json.RawMessage
	id := run.RunID
	if was := run.Tags[historyTag]; was != "" && json.Unmarshal([]byte(was), &list) != nil {
		return invalid("The tag %s of run %s is no list of JSON: a model cannot be added to it.", historyTag, id)
	}
	b, err := api.EncodeJSON(append(list, model))
	if err != nil {
		return err
	}
	value := string(bytes.TrimSpace(b))
	if utf8.RuneCountInString(value) > tagLettersMax {
		return invalid("The list of models in the tag %s of run %s exceeds the maximum length of %d characters.", historyTag, id, tagLettersMax)
	}
	m, err := by(r, 0)
	if err != nil {
		return err
	}
	m.IfMatch = &run.Revision
	res, err := s.Dispatcher.Dispatch(r.Context(), &commands.LogBatch{RunID: id, Tags: map[string]string{historyTag: value}}, m)
	if err != nil {
		return err
	}
	s.Settle(r.Context(), []streams.Position{res.Position}, "runs")
	return nil
}

// modelTags are what the list says of a model: of flavors all but their configuration.
func modelTags(text string) (json.RawMessage, error) {
	var all map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &all) != nil || all == nil {
		return nil, invalid("Malformed model info. \n %s \n is not a valid JSON.", api.Short(text))
	}
	var lacks []string
	for _, field := range []string{"artifact_path", "flavors", "run_id", "utc_time_created"} {
		if _, ok := all[field]; !ok {
			lacks = append(lacks, "'"+field+"'")
		}
	}
	if len(lacks) > 0 {
		return nil, invalid("Model json is missing mandatory fields: {%s}", strings.Join(lacks, ", "))
	}
	maps.DeleteFunc(all, func(field string, _ json.RawMessage) bool {
		return !slices.Contains([]string{"run_id", "utc_time_created", "artifact_path", "model_uuid", "flavors"}, field)
	})
	var flavors map[string]json.RawMessage
	if json.Unmarshal(all["flavors"], &flavors) != nil {
		return nil, invalid("Malformed model info. \n %s \n has flavors that are no object.", api.Short(text))
	}
	for name, raw := range flavors {
		var flavor map[string]json.RawMessage
		if json.Unmarshal(raw, &flavor) != nil {
			continue
		}
		if _, has := flavor["config"]; has {
			delete(flavor, "config")
			b, err := api.EncodeJSON(flavor)
			if err != nil {
				return nil, err
			}
			flavors[name] = b
		}
	}
	b, err := api.EncodeJSON(flavors)
	if err != nil {
		return nil, err
	}
	all["flavors"] = b
	return api.EncodeJSON(all)
}
