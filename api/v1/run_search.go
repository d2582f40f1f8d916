package v1

import (
	"context"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/mlflow"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// runsPage is a piece of the runs that fit; Total is how many do.
type runsPage struct {
	fold.Page[projections.Run]
	Total int `json:"total"`
}

// searchRuns gives the runs that fit q=, a filter as MLflow has it, ordered by order_by=: as documents, or, with columns=, as columns of values.
func (s *Surface) searchRuns(w http.ResponseWriter, r *http.Request, q *api.Query) error {
	asked := mlflow.RunsAsked{Experiments: q.List("experiment_id"), Deleted: q.Flag("deleted"), Filter: q.Str("q"), Cursor: q.Str("cursor")}
	for _, by := range q.All("order_by") {
		asked.OrderBy = append(asked.OrderBy, namesIn(by)...)
	}
	for _, names := range q.All("columns") {
		asked.Columns = append(asked.Columns, namesIn(names)...)
	}
	if len(asked.Columns) == 0 {
		asked.Limit = q.Page().Limit
	} else {
		asked.Limit = int(q.Number("limit", runsColumnarDefault, 1, runsColumnarMax))
		if asked.Limit*len(asked.Columns) > runCellsMax {
			q.Fault("columns", "are %d, of %d rows; the most is %d values at once", len(asked.Columns), asked.Limit, runCellsMax)
		}
	}
	if err := q.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	found, err := mlflow.FindRuns(ctx, s.Core, asked)
	if err != nil {
		return err
	}
	if len(asked.Columns) > 0 {
		out := api.NewAnswer(ctx, w, r, "application/json")
		return out.End(writeColumns(out, asked.Columns, found))
	}
	page := runsPage{Page: fold.Page[projections.Run]{Items: []projections.Run{}, Next: found.Next}, Total: found.Total}
	view := fold.Of[*projections.Runs](s.Views)
	for i := range found.Rows {
		run, ok, err := view.Run(found.Rows[i].RunID)
		if err != nil {
			return err
		}
		if ok { // else it is purged since
			page.Items = append(page.Items, run)
		}
	}
	return api.WriteJSON(w, http.StatusOK, page)
}

// namesIn are names, or what is ordered by, separated by commas that do not stand in quotes.
func namesIn(text string) (all []string) {
	from, quote := 0, rune(0)
	for i, c := range text {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '`' || c == '"':
			quote = c
		case c == ',':
			all = append(all, strings.TrimSpace(text[from:i]))
			from = i + 1
		}
	}
	if last := strings.TrimSpace(text[from:]); last != "" || from > 0 {
		all = append(all, last)
	}
	return all
}

// writeColumns writes {"columns":{NAME:[…]},"total":N,"next_cursor":…}: the columns as they were asked for, each once, with a value of every run in order.
func writeColumns(out *api.Answer, names []string, found *mlflow.RunRows) (err error) {
	b := []byte(`{"columns":{`)
	first := true
	for i, name := range names {
		if slices.Index(names, name) != i {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendJSONText(b, name), ":["...)
		for k := range found.Rows {
			if k > 0 {
				b = append(b, ',')
			}
			switch v := found.Rows[k].Values[i].(type) {
			case string:
				b = appendJSONText(b, v)
			case events.Number:
				b = v.AppendJSON(b)
			case int64:
				b = strconv.AppendInt(b, v, 10)
			default:
				b = append(b, "null"...)
			}
			if len(b) > columnBytes {
				if _, err := out.Write(b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
		b = append(b, ']')
	}
	b = strconv.AppendInt(append(b, `},"total":`...), int64(found.Total), 10)
	if found.Next != "" {
		b = appendJSONText(append(b, `,"next_cursor":`...), found.Next)
	}
	_, err = out.Write(append(b, "}\n"...))
	return err
}

// columnBytes are gathered before they are written.
const columnBytes = 32 << 10

// curves are the values of one metric of several runs, in the same pieces of steps.
type curves struct {
	Metric      string  `json:"metric"`
	FromStep    int64   `json:"from_step"`
	ToStep      int64   `json:"to_step"`
	BucketSteps uint64  `json:"bucket_steps"` // 1: every step has its own
	Runs        []curve `json:"runs"`
}

type curve struct {
	RunID  string                     `json:"run_id"`
	Points []projections.MetricBucket `json:"points"`
}

// runCurves gives of several runs the least, greatest and last value of a metric in each of buckets= pieces of the steps from_step..to_step, by default all that
// one of them has: no value that stands out is lost. A run that is not known, or has no such metric, has no points.
func (s *Surface) runCurves(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "runs", "metric", "buckets", "from_step", "to_step")
	const least, most = -1 << 63, 1<<63 - 1
	ids, metric, buckets := q.List("runs"), q.Str("metric"), q.Number("buckets", curveBucketsDefault, 1, curveBucketsMax)
	from, to := q.Number("from_step", least, least, most), q.Number("to_step", most, least, most)
	switch {
	case len(ids) == 0:
		q.Add(fault.Field("runs", "is needed").WithHint("ids of runs, separated by commas"))
	case len(ids) > curvesMax:
		q.Fault("runs", "are %d; the most is %d", len(ids), curvesMax)
	case int64(len(ids))*buckets > curvePointsMax:
		q.Fault("buckets", "is %d, of %d runs; the most is %d points at once", buckets, len(ids), curvePointsMax)
	}
	if metric == "" {
		q.Add(fault.Field("metric", "is needed").WithHint("the name of one, such as ndcg"))
	}
	if from > to {
		q.Fault("to_step", "is less than from_step")
	}
	if err := q.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	view := fold.Of[*projections.Runs](s.Views)
	out := curves{Metric: metric, BucketSteps: 1, Runs: make([]curve, len(ids))}
	some := false
	for _, id := range ids {
		first, last, ok, err := view.MetricSteps(id, metric)
		if err != nil {
			return err
		}
		if first, last = max(first, from), min(last, to); !ok || first > last {
			continue
		}
		if !some {
			out.FromStep, out.ToStep = first, last
		}
		out.FromStep, out.ToStep, some = min(out.FromStep, first), max(out.ToStep, last), true
	}
	if span := uint64(out.ToStep) - uint64(out.FromStep); span >= uint64(buckets) {
		if out.BucketSteps = span / uint64(buckets); out.BucketSteps < math.MaxUint64 {
			out.BucketSteps++
		}
	}
	for i, id := range ids {
		points := []projections.MetricBucket{}
		if some {
			got, err := view.MetricBuckets(ctx, id, metric, out.FromStep, out.ToStep, out.BucketSteps)
			if err != nil {
				return err
			}
			points = append(points, got...)
		}
		out.Runs[i] = curve{id, points}
	}
	return api.WriteJSON(w, http.StatusOK, out)
}
