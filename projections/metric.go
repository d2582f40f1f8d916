package projections

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Values of metrics are part of the view [Runs]. Where they are ordered, NaN stands right behind 0, as in MLflow's SQL
// store, which keeps it as a 0 with a mark.

// ordered is what a value is ordered by.
func ordered(n events.Number) float64 {
	if math.IsNaN(float64(n)) {
		return 0
	}
	return float64(n)
}

// later says whether a run's value a of a metric comes after b: by step, then timestamp, then value.
func later(a, b *events.Metric) bool {
	return cmp.Or(cmp.Compare(a.Step, b.Step), cmp.Compare(a.TimestampMillis, b.TimestampMillis), cmp.Compare(ordered(a.Value), ordered(b.Value))) > 0
}

func metricKey(k fold.Key, first, second int64, n events.Number) fold.Key {
	k = k.Millis(first).Millis(second).U64(floatOrder(ordered(n)))
	if math.IsNaN(float64(n)) {
		return append(k, 1)
	}
	return append(k, 0)
}

// setMetrics writes values into the run's histories, and those that are the latest of their metrics as that. What is the
// latest so far is read at once: one reading costs as much as a hundred values side by side.
func setMetrics(w fold.Writer, r *Run, values []events.Metric) error {
	if len(values) == 0 {
		return nil
	}
	first, last := values[0].Key, values[0].Key
	for i := range values {
		m := &values[i]
		first, last = min(first, m.Key), max(last, m.Key)
		if err := w.Set(metricKey(metricTable('h', r.RunID, m.Key), m.Step, m.TimestampMillis, m.Value), nil); err != nil {
			return err
		}
		if err := w.Set(metricKey(metricTable('t', r.RunID, m.Key), m.TimestampMillis, m.Step, m.Value), nil); err != nil {
			return err
		}
	}
	known := Run{}
	if err := eachLatest(w, r.RunID, first, last, func(m events.Metric) error { known.setMetric(m); return nil }); err != nil {
		return err
	}
	changed := map[string]bool{}
	for i := range values {
		if known.setMetric(values[i]) {
			changed[values[i].Key] = true
		}
	}
	for key := range changed {
		m := known.Metrics[key]
		row := append(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(m.Step)), uint64(m.TimestampMillis)), numberCell(m.Value)...)
		if err := errors.Join(w.Set(beside(r.RunID, 'l').Str(key), row), w.Set(cellKey(r, MetricColumn(key)), numberCell(m.Value))); err != nil {
			return err
		}
	}
	return nil
}

// latestOf reads a metric's latest value.
func latestOf(key string, raw []byte) (m events.Metric, err error) {
	p := fold.PartsOf(raw)
	m = events.Metric{Key: key, Step: int64(p.U64()), TimestampMillis: int64(p.U64()), Value: events.Number(math.Float64frombits(p.U64()))}
	return m, p.Err()
}

// eachLatest hands out the latest value of each of a run's metrics, by key, from the first to the last; "" is to the end.
func eachLatest(r fold.Reader, run, first, last string, fn func(events.Metric) error) error {
	prefix := beside(run, 'l')
	lo, hi := append(slices.Clone(prefix), first...), prefix.End()
	if last != "" {
		hi = slices.Clone(prefix).Str(last).End()
	}
	for kv, err := range r.Scan(lo, hi) {
		if err != nil {
			return err
		}
		p := fold.PartsOf(kv.Key[len(prefix):])
		m, err := latestOf(p.Str(), kv.Value)
		if err = errors.Join(err, p.Err()); err == nil {
			err = fn(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func metricTable(table byte, run, metric string) fold.Key {
	return fold.Table(table).Str(run).Str(metric)
}

// metricOf reads a key of table h or t.
func metricOf(key []byte) (events.Metric, error) {
	p := fold.Parts(key)
	p.Str()
	m := events.Metric{Key: p.Str(), Step: p.Millis(), TimestampMillis: p.Millis(), Value: events.Number(floatOf(p.U64()))}
	if key[0] == 't' {
		m.Step, m.TimestampMillis = m.TimestampMillis, m.Step
	}
	if p.Byte() == 1 {
		m.Value = events.Number(math.NaN())
	}
	return m, p.Err()
}

// floatOrder maps a float to an integer of the same order; floatOf maps it back.
func floatOrder(f float64) uint64 {
	b := math.Float64bits(f)
	if b>>63 == 1 {
		return ^b
	}
	return b | 1<<63
}

func floatOf(n uint64) float64 {
	if n>>63 == 1 {
		return math.Float64frombits(n &^ (1 << 63))
	}
	return math.Float64frombits(^n)
}

// MetricHistory pages through every value of a run's metric, by step, timestamp and value.
func (v *Runs) MetricHistory(run, metric string, q fold.PageQuery) (fold.Page[events.Metric], error) {
	return v.metrics('h', run, metric, q)
}

// MetricTimeline pages through every value of a run's metric, by timestamp, step and value.
func (v *Runs) MetricTimeline(run, metric string, q fold.PageQuery) (fold.Page[events.Metric], error) {
	return v.metrics('t', run, metric, q)
}

func (v *Runs) metrics(table byte, run, metric string, q fold.PageQuery) (fold.Page[events.Metric], error) {
	return fold.Paginate(v.r, metricTable(table, run, metric), false, q, func(_ fold.Reader, kv fold.KV) (events.Metric, bool, error) {
		m, err := metricOf(kv.Key)
		return m, err == nil, err
	})
}

// MetricSample is at most n (1 or more) of the values of a run's metric whose steps are from..to, in their order: all, or
// the first of each of n pieces of equal length. The very last is always among them. It holds no more than these,
// however many were logged.
func (v *Runs) MetricSample(ctx context.Context, run, metric string, from, to int64, n int) ([]events.Metric, error) {
	total := 0
	if err := v.eachMetric(ctx, run, metric, from, to, func([]byte) error { total++; return nil }); err != nil {
		return nil, err
	}
	var picked []events.Metric
	var last []byte
	at, begins, is := 0, 0, false // is: the last one is picked
	err := v.eachMetric(ctx, run, metric, from, to, func(key []byte) (err error) {
		last, is = append(last[:0], key...), at == begins && len(picked) < n
		if at++; is {
			var m events.Metric
			m, err = metricOf(key)
			picked = append(picked, m)
			begins = len(picked)*(total/n) + min(len(picked), total%n)
		}
		return err
	})
	if err != nil || is || last == nil {
		return picked, err
	}
	if len(picked) == n {
		picked = picked[:n-1]
	}
	m, err := metricOf(last)
	return append(picked, m), err
}

// eachMetric hands out the keys of the values of those steps, which are fn's until it returns.
func (v *Runs) eachMetric(ctx context.Context, run, metric string, from, to int64, fn func(key []byte) error) error {
	table := metricTable('h', run, metric)
	lo, hi := slices.Clone(table).Millis(from), slices.Clone(table).Millis(to).End()
	for kv, err := range v.r.Scan(lo, hi) {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = fn(kv.Key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
