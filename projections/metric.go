package projections

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"

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

// setMetrics writes values into the run's histories, and those that are the latest of their metrics as that. The latest
// are one row: as many rows would each have to be looked for, and leave their older versions side by side, which whoever
// reads them walks over.
func setMetrics(w fold.Writer, r *Run, values []events.Metric) error {
	latest, err := latestOf(w, r.RunID)
	if err != nil {
		return err
	}
	changed := map[string]bool{}
	for i := range values {
		m := &values[i]
		if err := w.Set(metricKey(metricTable('h', r.RunID, m.Key), m.Step, m.TimestampMillis, m.Value), nil); err != nil {
			return err
		}
		if err := w.Set(metricKey(metricTable('t', r.RunID, m.Key), m.TimestampMillis, m.Step, m.Value), nil); err != nil {
			return err
		}
		at, known := slices.BinarySearchFunc(latest, m.Key, func(m events.Metric, key string) int { return strings.Compare(m.Key, key) })
		switch {
		case !known:
			latest = slices.Insert(latest, at, *m)
		case !later(m, &latest[at]):
			continue
		default:
			latest[at] = *m
		}
		changed[m.Key] = true
	}
	if len(changed) == 0 {
		return nil
	}
	for i := range latest {
		if m := &latest[i]; changed[m.Key] {
			if err := w.Set(cellKey(r, MetricColumn(m.Key)), numberCell(m.Value)); err != nil {
				return err
			}
		}
	}
	return w.Set(beside(r.RunID, 'l'), latestRow(latest))
}

// latestRow is the latest values of a run's metrics, by key, as they are stored: key, step, timestamp and value of each.
func latestRow(latest []events.Metric) []byte {
	b := make([]byte, 0, 40*len(latest))
	for i := range latest {
		m := &latest[i]
		b = append(binary.AppendUvarint(b, uint64(len(m.Key))), m.Key...)
		b = binary.AppendVarint(binary.AppendVarint(b, m.Step), m.TimestampMillis)
		b = append(b, numberCell(m.Value)...)
	}
	return b
}

// readLatest reads what latestRow has written.
func readLatest(b []byte) (all []events.Metric, err error) {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fold.ErrKey
		}
		m := events.Metric{Key: string(b[n : n+int(size)])}
		b = b[n+int(size):]
		for _, v := range []*int64{&m.Step, &m.TimestampMillis} {
			if *v, n = binary.Varint(b); n <= 0 {
				return nil, fold.ErrKey
			}
			b = b[n:]
		}
		if len(b) < numberBytes {
			return nil, fold.ErrKey
		}
		v, err := CellNumber(b[:numberBytes])
		if err != nil {
			return nil, err
		}
		m.Value, b = events.Number(v), b[numberBytes:]
		all = append(all, m)
	}
	return all, nil
}

// latestOf reads the latest value of each of a run's metrics, by key.
func latestOf(r fold.Reader, run string) ([]events.Metric, error) {
	row, _, err := r.Get(beside(run, 'l'))
	if err != nil {
		return nil, err
	}
	return readLatest(row)
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
