package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

var loggedModelGrammar = grammar{kinds: runGrammar.kinds, attrs: map[string]bool{"name": false, "model_id": false, "model_type": false, "source_run_id": false, "experiment_id": false, "status": false,
	"creation_timestamp": true, "last_updated_timestamp": true}, again: true, anyList: true, noNull: true, named: true,
	alias: map[string]string{"creation_timestamp_ms": "creation_timestamp", "creation_time": "creation_timestamp", "last_updated_timestamp_ms": "last_updated_timestamp"},
	ties:  order{{ofAttribute, "creation_timestamp", true, true}, {ofAttribute, "model_id", false, false}}} // newest first

func loggedModelHas(m *projections.LoggedModel) having {
	return func(kind, key string) value {
		switch kind {
		case ofMetric: // there are several: see [loggedSearch]
			return value{}
		case ofParam:
			v, ok := m.Params[key]
			return value{text: v, is: ok}
		case ofTag:
			v, ok := m.Tags[key]
			return value{text: v, is: ok}
		}
		switch key {
		case "name":
			return text(m.Name)
		case "model_id":
			return text(m.ModelID)
		case "model_type":
			return text(m.ModelType)
		case "source_run_id":
			return text(m.SourceRunID)
		case "experiment_id":
			return text(m.ExperimentID)
		case "status":
			return text(strings.TrimPrefix(loggedStatuses[m.Status], "LOGGED_MODEL_"))
		case "last_updated_timestamp":
			return number(float64(m.UpdatedMillis))
		}
		return number(float64(m.CreatedMillis))
	}
}

// basis is the data set that values of metrics are measured on: any of that name, where no digest is said; "" is any at all.
type basis struct {
	Name   string `json:"dataset_name"`
	Digest string `json:"dataset_digest"`
}

func (d basis) has(m *projections.LoggedMetric) bool {
	return (d.Name == "" || d.Name == m.DatasetName) && (d.Digest == "" || d.Digest == m.DatasetDigest)
}

// loggedSearch is what logged models are searched by.
type loggedSearch struct {
	filter   filter
	order    order
	by       []basis // of each of the order, where it is a metric
	datasets []basis
}

// measured says whether a value is of one of the data sets that are asked about.
func (q *loggedSearch) measured(m *projections.LoggedMetric) bool {
	return len(q.datasets) == 0 || slices.ContainsFunc(q.datasets, func(d basis) bool { return d.has(m) })
}

// fits says whether a logged model fits: of metrics any value may.
func (q *loggedSearch) fits(m *projections.LoggedModel, view *projections.LoggedModels) (bool, error) {
	has, metrics := loggedModelHas(m), false
	for i := range q.filter {
		c := &q.filter[i]
		if c.kind != ofMetric {
			if !c.holds(has(c.kind, c.key)) {
				return false, nil
			}
			continue
		}
		metrics = true
		if ok, err := q.any(view, m.ModelID, c.key, func(v *projections.LoggedMetric) bool { return c.holds(number(float64(kept(v.Value)))) }); err != nil || !ok {
			return false, err
		}
	}
	if len(q.datasets) == 0 || metrics {
		return true, nil
	}
	return q.any(view, m.ModelID, "", func(*projections.LoggedMetric) bool { return true })
}

// any says whether a value on the data sets that are asked about is as wanted.
func (q *loggedSearch) any(view *projections.LoggedModels, model, metric string, wanted func(*projections.LoggedMetric) bool) (bool, error) {
	for v, err := range view.Metrics(model, metric) {
		if err != nil {
			return false, err
		}
		if q.measured(&v) && wanted(&v) {
			return true, nil
		}
	}
	return false, nil
}

// of is what a logged model is ordered by: of metrics the last values, by timestamp and step, and of those of several runs the
// first one's.
func (q *loggedSearch) of(m *projections.LoggedModel, view *projections.LoggedModels) ([]value, error) {
	has, all := loggedModelHas(m), make([]value, len(q.order))
	for i := range q.order {
		if q.order[i].kind != ofMetric {
			all[i] = has(q.order[i].kind, q.order[i].key)
			continue
		}
		var last projections.LoggedMetric
		for v, err := range view.Metrics(m.ModelID, q.order[i].key) {
			if err != nil {
				return nil, err
			}
			if q.by[i].has(&v) && (!all[i].is || v.TimestampMillis != last.TimestampMillis || v.Step != last.Step) {
				last, all[i] = v, number(float64(kept(v.Value)))
			}
		}
	}
	return all, nil
}

// loggedOrder reads by what a search of logged models is to be ordered: fields and ways, and of metrics on which data set.
func (q *request) loggedOrder() (by []string, on []basis) {
	var list []struct {
		basis
		Field     string `json:"field_name"`
		Ascending *bool  `json:"ascending"`
	}
	if raw := q.raw("order_by"); raw != nil && json.Unmarshal(raw, &list) != nil {
		q.wrong("order_by", raw)
	}
	for _, o := range list {
		if o.Ascending != nil && !*o.Ascending {
			o.Field += " DESC"
		}
		by, on = append(by, o.Field), append(on, o.basis)
	}
	return by, on
}

// Bounds of a search of logged models.
const (
	loggedDefault = 100
	loggedMax     = 1000
)

func (s *Surface) searchLoggedModels(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	ids, wanted := q.texts("experiment_ids"), q.text("filter")
	by, on := q.loggedOrder()
	search := &loggedSearch{by: on}
	if raw := q.raw("datasets"); raw != nil && json.Unmarshal(raw, &search.datasets) != nil {
		q.wrong("datasets", raw)
	}
	if slices.ContainsFunc(search.datasets, func(d basis) bool { return d.Name == "" }) {
		q.fault(invalid("`dataset_name` in the `datasets` clause must be specified."))
	}
	asked := q.page(loggedDefault, loggedMax, false, "logged models", wanted, by, on, ids, search.datasets)
	if len(ids) > experimentsAtOnce {
		q.fault(invalid("a search takes at most %d experiments, not %d", experimentsAtOnce, len(ids)))
	}
	if q.err != nil {
		return q.err
	}
	search.filter, search.order, err = loggedModelGrammar.read(wanted, by)
	if own := (*refusal)(nil); errors.As(err, &own) && strings.HasPrefix(own.Message, badClause) {
		return invalid("Invalid filter string: '%s'. Expected a list of comparisons separated by 'AND' (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01').", api.Short(wanted))
	}
	if err != nil {
		return err
	}
	pages, err := newPager[string](asked, search.order)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err := s.findLogged(r.Context(), pages, id, search); err != nil {
			return err
		}
	}
	found, next, err := pages.end()
	if err != nil {
		return err
	}
	v := struct {
		Models []loggedModel `json:"models,omitempty"`
		Next   string        `json:"next_page_token,omitempty"`
	}{Next: next}
	for _, id := range found {
		m, e, err := s.loggedModelAt(r.Context(), id)
		if err != nil {
			return err
		}
		shown, err := s.showLogged(m, e)
		if err != nil {
			return err
		}
		v.Models = append(v.Models, shown)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// findLogged offers the logged models of one experiment that fit. They themselves are read when they are answered.
func (s *Surface) findLogged(ctx context.Context, pages *pager[string], experiment string, q *loggedSearch) error {
	if e, err := s.experimentNamed(experiment); err != nil || e == nil || e.Deleted {
		return err
	}
	models := everyOne(func(page fold.PageQuery) (fold.Page[projections.LoggedModel], error) {
		return s.loggedModels().Models(experiment, page)
	})
	for m, err := range models {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if m.Deleted {
			continue
		}
		fits, err := q.fits(m, s.loggedModels())
		if err != nil {
			return err
		}
		if !fits {
			continue
		}
		if pages.by, err = q.of(m, s.loggedModels()); err != nil {
			return err
		}
		pages.take(func() string { return m.ModelID })
	}
	return nil
}
