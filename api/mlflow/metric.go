package mlflow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) metricRoutes(r routes) {
	r.handle("POST", "mlflow/runs/log-metric", s.logMetric)
	r.handle("POST", "mlflow/runs/log-parameter", s.logParam)
	r.handle("POST", "mlflow/runs/log-batch", s.logBatch)
	r.handle("GET", "mlflow/metrics/get-history", s.metricHistory, "runs")
	r.handle("GET", "mlflow/metrics/get-history-bulk", s.bulkHistory, "runs")
	r.handle("GET", "mlflow/metrics/get-history-bulk-interval", s.sampledHistory, "runs")
}

func (s *Surface) logMetric(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id := q.runID()
	for _, field := range []string{"key", "value", "timestamp"} {
		q.needs(field)
	}
	if q.err != nil {
		return q.err
	}
	m := metric{Key: q.text("key"), Step: integer(q.whole("step", 0)), Value: new(float), Timestamp: new(integer),
		ModelID: q.text("model_id"), Dataset: q.text("dataset_name"), Digest: q.text("dataset_digest")}
	*m.Timestamp = integer(q.whole("timestamp", 0))
	if raw := q.raw("value"); m.Value.UnmarshalJSON(raw) != nil {
		q.wrong("value", raw)
	}
	c := &commands.LogBatch{RunID: id, Metrics: []events.Metric{q.event("", m)}}
	if q.err != nil {
		return q.err
	}
	if err := s.measured(r.Context(), c.Metrics); err != nil {
		return err
	}
	return done(w, s.change(r, id, c, 0))
}

func (s *Surface) logParam(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.runID(), q.required("key")
	value := cut(q.text("value"), paramLettersMax)
	if q.key("key", key); q.err != nil {
		return q.err
	}
	return done(w, s.change(r, id, &commands.LogBatch{RunID: id, Params: map[string]string{key: value}}, 0))
}

// logBatch logs all of a batch, or nothing of it.
func (s *Surface) logBatch(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.LogBatch{RunID: q.runID(), Metrics: q.metrics("metrics")}
	var params, tags int
	c.Params, params = q.pairs("params", paramLettersMax)
	c.Tags, tags = q.pairs("tags", tagLettersMax)
	for _, l := range []struct {
		what    string
		n, most int
	}{{"metrics", len(c.Metrics), commands.BatchMax}, {"params", params, commands.PairsMax}, {"tags", tags, commands.PairsMax},
		{"metrics, params, and tags", len(c.Metrics) + params + tags, commands.BatchMax}} {
		if l.n > l.most {
			return invalid("A batch logging request can contain at most %d %s. Got %d %s. Please split up %s across multiple requests and try again.", l.most, l.what, l.n, l.what, l.what)
		}
	}
	if params != len(c.Params) {
		q.fault(invalid("Duplicate parameter keys have been submitted: %s. Please ensure the request contains only one param value per param key.", api.Short(fmt.Sprint(slices.Sorted(maps.Keys(c.Params))))))
	}
	if q.err != nil {
		return q.err
	}
	if err := s.measured(r.Context(), c.Metrics); err != nil {
		return err
	}
	return done(w, s.tag(r, c))
}

// Bounds of histories of metrics.
const (
	historyMax  = 25_000 // values of one page, and what a page has where no number is asked for
	historyRuns = 100    // runs at once
	sampleMax   = 2500   // values of each of them, of a sample
)

// historyLine is a value of a history, and where several runs are asked for, of which it is.
type historyLine struct {
	runMetric
	RunID string `json:"run_id,omitempty"`
}

// timeline yields at most so many values of a run's metric, in the order of MLflow's own store, from a cursor on. It
// returns the cursor where they go on, "" at their end.
func (s *Surface) timeline(id, key, cursor string, most int64, yield func(historyLine) error) (next string, err error) {
	for next = cursor; most > 0; {
		p, err := s.runsView().MetricTimeline(id, key, fold.PageQuery{Cursor: next, Limit: int(min(most, fold.PageLimitMax))})
		if err != nil {
			return "", err
		}
		for i := range p.Items {
			if err := yield(historyLine{runMetric: metricOf(&p.Items[i])}); err != nil {
				return "", err
			}
		}
		most -= int64(len(p.Items))
		if next = p.Next; next == "" {
			break
		}
	}
	return next, nil
}

func (s *Surface) metricHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key, token := q.runID(), q.required("metric_key"), q.text("page_token")
	size := q.whole("max_results", historyMax)
	if size < 1 {
		q.fault(invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer.", size))
	}
	if q.err != nil {
		return q.err
	}
	v := struct {
		Metrics []historyLine `json:"metrics,omitempty"`
		Next    string        `json:"next_page_token,omitempty"`
	}{}
	v.Next, err = s.timeline(id, key, token, min(size, historyMax), func(m historyLine) error { v.Metrics = append(v.Metrics, m); return nil })
	if own := (*fault.Error)(nil); errors.As(err, &own) && own.Field == "cursor" {
		return invalid("Invalid page token: it is not one that this server gave out")
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// bulkHistory is the histories of a metric of some runs, by run, up to a number of values in all: what charts ask for.
func (s *Surface) bulkHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	ids, key, left := q.texts("run_id"), q.text("metric_key"), min(q.whole("max_results", historyMax), historyMax)
	switch {
	case q.err != nil:
		return q.err
	case len(ids) == 0:
		return invalid("GetMetricHistoryBulk request must specify at least one run_id.")
	case len(ids) > historyRuns:
		return invalid("GetMetricHistoryBulk request cannot specify more than %d run_ids. Received %d run_ids.", historyRuns, len(ids))
	case !q.has("metric_key"):
		return invalid("GetMetricHistoryBulk request must specify a metric_key.")
	case left < 0:
		return invalid("Invalid value %d for parameter 'max_results' supplied. It must be a positive integer.", left)
	}
	slices.Sort(ids)
	return s.answerHistories(w, r, true, func(put func(historyLine) error) error {
		for _, id := range slices.Compact(ids) {
			_, err := s.timeline(id, key, "", left, func(m historyLine) error {
				m.RunID, left = id, left-1
				return put(m)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// sampledHistory is samples of a metric's history of some runs, in the order they are asked for.
func (s *Surface) sampledHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	ids, key, most := q.texts("run_ids"), q.required("metric_key"), q.whole("max_results", sampleMax)
	from, to := q.whole("start_step", math.MinInt64), q.whole("end_step", math.MaxInt64)
	switch {
	case q.err != nil:
		return q.err
	case len(ids) == 0:
		q.needs("run_ids")
		return q.err
	case len(ids) > historyRuns:
		return invalid("GetMetricHistoryBulkInterval request must specify at most %d run_ids. Received %d run_ids.", historyRuns, len(ids))
	case most < 1 || most > sampleMax:
		return invalid("max_results must be between 1 and %d.", sampleMax)
	case q.has("start_step") != q.has("end_step"):
		return invalid("If either start step or end step are specified, both must be specified.")
	case from > to:
		return invalid("end_step must be greater than start_step. Found start_step=%d and end_step=%d.", from, to)
	}
	return s.answerHistories(w, r, false, func(put func(historyLine) error) error {
		for _, id := range ids {
			sample, err := s.runsView().MetricSample(r.Context(), id, key, from, to, int(most))
			for i := range sample {
				if err == nil {
					err = put(historyLine{metricOf(&sample[i]), id})
				}
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// answerHistories writes a list of values, each as it is read. empty says whether there is a list of none.
func (s *Surface) answerHistories(w http.ResponseWriter, r *http.Request, empty bool, each func(put func(historyLine) error) error) error {
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	before, end := `{"metrics":[`, "]}\n"
	err := each(func(m historyLine) error {
		b, err := api.EncodeJSON(m)
		if err == nil {
			_, err = io.WriteString(out, before+string(bytes.TrimSpace(b)))
		}
		before = ","
		return err
	})
	if before != "," && !empty {
		before, end = "{", "}\n"
	} else if before == "," {
		before = ""
	}
	if err == nil {
		_, err = io.WriteString(out, before+end)
	}
	return out.End(err)
}
