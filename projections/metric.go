package projections

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
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

// stepKey is where a value stands in the order of steps, timeKey where in that of time.
func stepKey(run string, m *events.Metric) fold.Key {
	return metricKey(metricTable('h', run, m.Key), m.Step, m.TimestampMillis, m.Value)
}

func timeKey(run string, m *events.Metric) fold.Key {
	return metricKey(metricTable('t', run, m.Key), m.TimestampMillis, m.Step, m.Value)
}

// A metric's values mostly come in one order, of steps and of time. Those that do, each neither before the last such one
// in the one order nor in the other, are the metric's line: rows of table h, which are in the order of time too. The
// others are strays: they are marked there, and have rows of table t beside.
var strayMark = []byte{1}

// latestMetric is what is known of a metric without its history.
type latestMetric struct {
	events.Metric                // its latest value
	line          *events.Metric // the last one of its line, where it is another
}

// takes says whether a value goes on with the line.
func (l *latestMetric) takes(m *events.Metric) bool {
	end := l.line
	if end == nil {
		end = &l.Metric
	}
	if m.Step < end.Step || m.TimestampMillis < end.TimestampMillis {
		return false
	}
	return m.Step > end.Step || m.TimestampMillis > end.TimestampMillis || bytes.Compare(metricKey(nil, 0, 0, m.Value), metricKey(nil, 0, 0, end.Value)) >= 0
}

// take takes a value in, and says whether it has gone on with the line.
func (l *latestMetric) take(m *events.Metric) (inLine bool) {
	inLine = l.takes(m)
	isLatest := later(m, &l.Metric)
	switch {
	case inLine: // then no value of the line is later
		l.line = m
	case isLatest && l.line == nil:
		was := l.Metric
		l.line = &was
	}
	if isLatest {
		l.Metric = *m
	}
	if l.line != nil && !later(l.line, &l.Metric) && !later(&l.Metric, l.line) {
		l.line = nil
	}
	return inLine
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
		at, known := slices.BinarySearchFunc(latest, m.Key, func(l latestMetric, key string) int { return strings.Compare(l.Key, key) })
		if !known {
			latest = slices.Insert(latest, at, latestMetric{Metric: *m})
		}
		l := &latest[at]
		isLatest := !known || later(m, &l.Metric)
		var mark []byte
		if known && !l.take(m) {
			mark = strayMark
			if err := w.Set(timeKey(r.RunID, m), nil); err != nil {
				return err
			}
		}
		if err := w.Set(stepKey(r.RunID, m), mark); err != nil {
			return err
		}
		changed[m.Key] = changed[m.Key] || isLatest
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

// latestRow is the latest values of a run's metrics, by key, as they are stored: key, step, timestamp and value of each,
// and whether its line ends elsewhere, and where.
func latestRow(latest []latestMetric) []byte {
	b := make([]byte, 0, 40*len(latest))
	point := func(m *events.Metric) {
		b = binary.AppendVarint(binary.AppendVarint(b, m.Step), m.TimestampMillis)
		b = append(b, numberCell(m.Value)...)
	}
	for i := range latest {
		l := &latest[i]
		b = append(binary.AppendUvarint(b, uint64(len(l.Key))), l.Key...)
		point(&l.Metric)
		if l.line == nil {
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		point(l.line)
	}
	return b
}

// readLatest reads what latestRow has written, into the memory of those of another run, whose metrics mostly have the same names; nil: of none.
func readLatest(b []byte, other []latestMetric) (all []latestMetric, err error) {
	all = other[:0]
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fold.ErrKey
		}
		var l latestMetric
		key := b[n : n+int(size)]
		if i := len(all); i < len(other) && string(key) == other[i].Key {
			l.Key = other[i].Key
		} else {
			l.Key = string(key)
		}
		if b, err = readPoint(b[n+int(size):], &l.Metric); err != nil {
			return nil, err
		}
		if len(b) == 0 {
			return nil, fold.ErrKey
		}
		elsewhere := b[0] == 1
		if b = b[1:]; elsewhere {
			l.line = &events.Metric{Key: l.Key}
			if b, err = readPoint(b, l.line); err != nil {
				return nil, err
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// readPoint reads step, timestamp and value.
func readPoint(b []byte, m *events.Metric) (rest []byte, err error) {
	for _, v := range []*int64{&m.Step, &m.TimestampMillis} {
		n := 0
		if *v, n = binary.Varint(b); n <= 0 {
			return nil, fold.ErrKey
		}
		b = b[n:]
	}
	if len(b) < numberBytes {
		return nil, fold.ErrKey
	}
	v, err := CellNumber(b[:numberBytes])
	m.Value = events.Number(v)
	return b[numberBytes:], err
}

// latestOf reads the latest value of each of a run's metrics, by key.
func latestOf(r fold.Reader, run string) ([]latestMetric, error) {
	row, _, err := r.Get(beside(run, 'l'))
	if err != nil {
		return nil, err
	}
	return readLatest(row, nil)
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
	return fold.Paginate(v.r, metricTable('h', run, metric), false, q, func(_ fold.Reader, kv fold.KV) (events.Metric, bool, error) {
		m, err := metricOf(kv.Key)
		return m, err == nil, err
	})
}

// timelineScanMax bounds the values that a page of a timeline looks at: some 50 ms.
const timelineScanMax = 20_000

// MetricTimeline pages through every value of a run's metric, by timestamp, step and value: its line and its strays.
func (v *Runs) MetricTimeline(run, metric string, q fold.PageQuery) (fold.Page[events.Metric], error) {
	p := fold.Page[events.Metric]{Items: []events.Metric{}}
	limit, err := q.Size()
	if err != nil {
		return p, err
	}
	t := timeline{line: metricTable('h', run, metric), strays: metricTable('t', run, metric)}
	if err := t.from(q.Cursor); err != nil {
		return p, err
	}
	nextLine, stopLine := iter.Pull2(v.r.Scan(t.lineFrom, t.line.End()))
	defer stopLine()
	nextStray, stopStrays := iter.Pull2(v.r.Scan(t.straysFrom, t.strays.End()))
	defer stopStrays()
	inLine, stray := pulled(nextLine), pulled(nextStray)
	for seen := 0; ; seen++ {
		switch {
		case inLine.err != nil || stray.err != nil:
			return p, cmp.Or(inLine.err, stray.err)
		case !inLine.ok && !stray.ok:
			return p, nil
		case len(p.Items) == limit || seen == timelineScanMax:
			p.Next = t.cursor()
			return p, nil
		case inLine.ok && inLine.stray:
			t.lineFrom = append(inLine.key, 0)
			inLine = pulled(nextLine)
			continue
		}
		one := &stray
		if inLine.ok && (!stray.ok || bytes.Compare(timeKey(run, &inLine.m), stray.key) <= 0) {
			one = &inLine
		}
		p.Items = append(p.Items, one.m)
		t.straysFrom = append(timeKey(run, &one.m), 0)
		if one == &inLine {
			t.lineFrom = append(inLine.key, 0)
			inLine = pulled(nextLine)
		} else {
			stray = pulled(nextStray)
		}
	}
}

// pulledMetric is a row of a history.
type pulledMetric struct {
	key   fold.Key
	m     events.Metric
	stray bool // and of table h
	ok    bool
	err   error
}

func pulled(next func() (fold.KV, error, bool)) (p pulledMetric) {
	kv, err, ok := next()
	if !ok || err != nil {
		return pulledMetric{err: err}
	}
	p = pulledMetric{key: bytes.Clone(kv.Key), stray: kv.Key[0] == 'h' && len(kv.Value) > 0, ok: true}
	p.m, p.err = metricOf(kv.Key)
	return p
}

// timeline is how far a page has come in both tables.
type timeline struct {
	line, strays         fold.Key // the prefixes
	lineFrom, straysFrom []byte
}

func (t *timeline) cursor() string {
	return fold.PageCursor(append(binary.AppendUvarint(nil, uint64(len(t.lineFrom))), append(bytes.Clone(t.lineFrom), t.straysFrom...)...))
}

// from goes on where a cursor says; "" is the beginning.
func (t *timeline) from(cursor string) error {
	t.lineFrom, t.straysFrom = t.line, t.strays
	if cursor == "" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	size, n := binary.Uvarint(b)
	if err == nil && n > 0 && size <= uint64(len(b)-n) {
		t.lineFrom, t.straysFrom = b[n:n+int(size)], b[n+int(size):]
	}
	if err != nil || n <= 0 || !bytes.HasPrefix(t.lineFrom, t.line) || !bytes.HasPrefix(t.straysFrom, t.strays) {
		return fault.Field("cursor", "is not one that this list gave out").WithHint("leave it out to start at the beginning")
	}
	return nil
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

// MetricBucket is the values of a metric whose steps are in a piece of their range.
type MetricBucket struct {
	FirstStep       int64         `json:"first_step"` // of the first value that is in it
	Step            int64         `json:"step"`       // of the last
	TimestampMillis int64         `json:"timestamp_millis"`
	Last            events.Number `json:"last"` // by step, timestamp and value
	Min             events.Number `json:"min"`  // of those that are numbers; NaN where none is
	Max             events.Number `json:"max"`
	Count           int           `json:"count"`
}

func (b *MetricBucket) add(m *events.Metric) {
	if b.Count == 0 {
		b.FirstStep, b.Min, b.Max = m.Step, m.Value, m.Value
	}
	b.Step, b.TimestampMillis, b.Last = m.Step, m.TimestampMillis, m.Value
	b.Count++
	switch v := float64(m.Value); {
	case math.IsNaN(v):
	case math.IsNaN(float64(b.Min)):
		b.Min, b.Max = m.Value, m.Value
	default:
		b.Min, b.Max = min(b.Min, m.Value), max(b.Max, m.Value)
	}
}

// MetricSteps are the first and the last step of a run's metric; false where it has no value.
func (v *Runs) MetricSteps(run, metric string) (first, last int64, ok bool, err error) {
	table := metricTable('h', run, metric)
	for _, end := range []struct {
		scan func(lo, hi []byte) iter.Seq2[fold.KV, error]
		step *int64
	}{{v.r.Scan, &first}, {v.r.ScanBack, &last}} {
		for kv, err := range end.scan(table, table.End()) {
			if err != nil {
				return 0, 0, false, err
			}
			m, err := metricOf(kv.Key)
			if err != nil {
				return 0, 0, false, err
			}
			*end.step, ok = m.Step, true
			break
		}
	}
	return first, last, ok, nil
}

// MetricBuckets are the values of a run's metric whose steps are from..to, in pieces of as many steps, those that have any. It holds no more than these.
func (v *Runs) MetricBuckets(ctx context.Context, run, metric string, from, to int64, steps uint64) (all []MetricBucket, err error) {
	var piece uint64 // of the last bucket
	err = v.eachMetric(ctx, run, metric, from, to, func(key []byte) error {
		m, err := metricOf(key)
		if err != nil {
			return err
		}
		at := (uint64(m.Step) - uint64(from)) / steps
		if len(all) == 0 || at != piece {
			all, piece = append(all, MetricBucket{}), at
		}
		all[len(all)-1].add(&m)
		return nil
	})
	return all, err
}
