package mlflow

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) metricRoutes(r routes) {
	r.handle("POST", "mlflow/runs/log-metric", s.logMetric)
	r.handle("POST", "mlflow/runs/log-parameter", s.logParam)
	r.handle("POST", "mlflow/runs/log-batch", s.logBatch)
	r.handle("GET", "mlflow/metrics/get-history", s.metricHistory, "runs")
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
	m := metric{Key: q.text("key"), Step: integer(q.whole("step", 0)), Value: new(float), Timestamp: new(integer)}
	*m.Timestamp = integer(q.whole("timestamp", 0))
	if raw := q.raw("value"); m.Value.UnmarshalJSON(raw) != nil {
		q.wrong("value", raw)
	}
	c := &commands.LogBatch{RunID: id, Metrics: []events.Metric{q.event(m)}}
	if q.err != nil {
		return q.err
	}
	return done(w, s.change(r, id, c, 0))
}

func (s *Surface) logParam(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.runID(), q.required("key")
	value := cut(q.text("value"), commands.ParamBytesMax)
	if q.key(key); q.err != nil {
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
	c.Params, params = q.pairs("params", commands.ParamBytesMax)
	c.Tags, tags = q.pairs("tags", commands.TagBytesMax)
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
	return done(w, s.tag(r, c))
}

// historyMax is the most values of one page of a metric's history, and what a page has where none is asked for.
const historyMax = 25_000

func (s *Surface) metricHistory(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key, token := q.runID(), q.required("metric_key"), q.text("page_token")
	size := q.whole("max_results", historyMax)
	if size < 1 {
		q.fault(invalid("Invalid value %d for parameter 'max_results' supplied: It must be at least 1", size))
	}
	if q.err != nil {
		return q.err
	}
	v := struct {
		Metrics []runMetric `json:"metrics,omitempty"`
		Next    string      `json:"next_page_token,omitempty"`
	}{Next: token}
	for left := min(size, historyMax); left > 0; {
		p, err := s.runsView().MetricHistory(id, key, fold.PageQuery{Cursor: v.Next, Limit: int(min(left, fold.PageLimitMax))})
		if err != nil {
			return err
		}
		for _, m := range p.Items {
			v.Metrics = append(v.Metrics, runMetric{key, m.Value, m.TimestampMillis, m.Step})
		}
		left -= int64(len(p.Items))
		if v.Next = p.Next; v.Next == "" {
			break
		}
	}
	return api.WriteJSON(w, http.StatusOK, v)
}
