package airflow

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// delta is a length of time.
type delta struct {
	Type    string `json:"__type"`
	Days    int64  `json:"days"`
	Seconds int64  `json:"seconds"`
	Micros  int64  `json:"microseconds"`
}

func deltaOf(d time.Duration) delta {
	const day = 24 * time.Hour
	return delta{"TimeDelta", int64(d / day), int64(d % day / time.Second), int64(d % time.Second / time.Microsecond)}
}

// dagDetail is a workflow with what its definition says of runs.
type dagDetail struct {
	dag
	Timezone        string         `json:"timezone"`
	Catchup         bool           `json:"catchup"`
	Orientation     string         `json:"orientation"`
	Concurrency     int            `json:"concurrency"`
	Datasets        *string        `json:"dataset_expression"`
	Start           *string        `json:"start_date"`
	End             *string        `json:"end_date"`
	Timeout         *delta         `json:"dag_run_timeout"`
	Doc             *string        `json:"doc_md"`
	Params          map[string]any `json:"params"`
	PausedAtFirst   *bool          `json:"is_paused_upon_creation"`
	LastParsed      string         `json:"last_parsed"`
	TemplatesAt     *string        `json:"template_searchpath"`
	NativeTemplates bool           `json:"render_template_as_native_obj"`
}

func detailOf(k *projections.KnownWorkflow, now time.Time) dagDetail {
	v := dagDetail{dag: dagOf(k, now), Timezone: "UTC", Orientation: "LR", Params: map[string]any{}, LastParsed: iso(k.DefinedMillis), Start: optional(k.CreatedMillis)}
	v.Concurrency = v.MaxActiveTasks
	d := k.Definition
	if d == nil {
		return v
	}
	timeout := deltaOf(d.Timeout)
	v.Catchup, v.Timeout = d.Catchup, &timeout
	if d.Schedule != nil {
		v.Timezone = d.Schedule.Zone()
	}
	for i := range d.Params {
		p := &d.Params[i]
		v.Params[p.Name] = map[string]any{"__class": "airflow.models.param.Param", "value": paramValue(p), "description": p.Description, "schema": schemaOf(p)}
	}
	return v
}

// paramValue is a param's default as its type has it; null without one.
func paramValue(p *workflow.Param) any {
	if p.Default == nil {
		return nil
	}
	switch p.Type {
	case workflow.Whole, workflow.Number:
		if x, err := strconv.ParseFloat(*p.Default, 64); err == nil {
			return x
		}
	case workflow.Boolean:
		return *p.Default == "true"
	}
	return *p.Default
}

// schemaOf is what a param may be, as JSON Schema has it.
func schemaOf(p *workflow.Param) map[string]any {
	v := map[string]any{"type": map[workflow.Type]string{workflow.Text: "string", workflow.Whole: "integer", workflow.Number: "number", workflow.Boolean: "boolean"}[p.Type]}
	if p.Least != nil {
		v["minimum"] = *p.Least
	}
	if p.Most != nil {
		v["maximum"] = *p.Most
	}
	if len(p.OneOf) > 0 {
		v["enum"] = p.OneOf
	}
	return v
}

func (s *Surface) dagDetails(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "fields*")
	if err := q.Err(); err != nil {
		return err
	}
	k, err := s.known(r)
	if err != nil {
		return err
	}
	v, err := only(detailOf(&k, s.Now()), several(q, "fields"), "DAGDetailSchema")
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// dagSource is the definition in force as it was written: text, or a document around it where JSON is asked for.
func (s *Surface) dagSource(w http.ResponseWriter, r *http.Request) error {
	view := fold.Of[*projections.Workflows](s.Views)
	k, err := s.Workflows.Of(r.PathValue("token"))
	var d events.WorkflowDefined
	if err == nil {
		d, _, err = view.DefinitionAt(k.Name, k.DefinedOffset+1)
	} else {
		err = missing("Dag source not found", "no DAG has the file token %s", api.Short(r.PathValue("token")))
	}
	if err != nil {
		return err
	}
	accept := r.Header.Get("Accept")
	switch {
	case accept == "", strings.Contains(accept, "text/plain"), strings.Contains(accept, "text/*"), strings.Contains(accept, "*/*"):
		return api.WriteText(w, "text/plain", []byte(d.Source))
	case strings.Contains(accept, "application/json"):
		return api.WriteJSON(w, http.StatusOK, map[string]any{"content": d.Source})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotAcceptable)
	w.Write([]byte("Not Allowed Accept Header")) //nolint:errcheck // the client is gone
	return nil
}

// reparse reads the file of a workflow again.
func (s *Surface) reparse(w http.ResponseWriter, r *http.Request) error {
	k, err := s.Workflows.Of(r.PathValue("token"))
	if err != nil {
		return missing("File not found", "no DAG has the file token %s", api.Short(r.PathValue("token")))
	}
	if s.Reparse != nil {
		if err := s.Reparse(r.Context(), k.Name); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}
