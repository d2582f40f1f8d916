package flight

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// offlineWrite records the rows of a table as values of a view, for training alone: all rows are valid, or none is recorded. What
// the log has already is not recorded again, so that a table whose sending was broken off is sent again as it is.
func (s *Surface) offlineWrite(r *http.Request, c *command, p *put) error {
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	reg, err := s.Features.Registry()
	if err != nil {
		return err
	}
	x, err := writable(reg, c)
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	m.IdempotencyKey = "" // what is known already, the log says
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	select { // one after the other, so that a table that comes twice at once is recorded once
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	w := &offlineWriting{s: s, x: x, meta: m, rows: spill.NewSorter(s.ScratchDir, sortMemoryBytes), room: recordedBytesMax}
	defer w.rows.Close() //nolint:errcheck // scratch is emptied at start
	t, err := openTable(api.Interrupted(ctx, p.body.Open()))
	if err != nil {
		return err
	}
	if err := w.columns(reg, t); err != nil {
		return err
	}
	now := s.Now()
	if err := t.eachBatch(func(rows int, columns []*arrow.Array) error {
		for i := range rows {
			if err := w.take(columns, i, t.row0+i, now); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if err := s.folded(ctx); err != nil {
		return err
	}
	return w.record(ctx)
}

// writable is the view that a command writes to.
func writable(reg *featurestore.Registry, c *command) (*features.External, error) {
	if len(c.FeatureViewNames) != 1 {
		return nil, fault.Field("feature_view_names", "are %d views", len(c.FeatureViewNames)).WithHint("write to one view")
	}
	name := c.FeatureViewNames[0]
	x := reg.ExternalNamed(name)
	switch {
	case reg.View(name) != nil:
		return nil, fault.Field("feature_view_names", "%s is computed from the log, and nothing can be written to it", name).
			WithHint("record what happened instead: POST /api/v1/feedback, or POST /api/v1/users for what is said of a person")
	case x == nil:
		return nil, noView(api.Short(name))
	}
	return x, nil
}

// folded waits until the values that the log has are known.
func (s *Surface) folded(ctx context.Context) error {
	head, err := fold.HeadCut(ctx, s.Log, time.Time{})
	if err != nil {
		return err
	}
	return s.settled(ctx, head, fault.New(fault.Unavailable, "what the log has of pushed values is not known yet").WithHint("send the same again in a moment"))
}

// settled waits until the view of pushed values is at a cut; or else the error.
func (s *Surface) settled(ctx context.Context, cut streams.Cut, or error) error {
	var last []streams.Position
	for tp, next := range cut {
		if tp.Topic == events.FeatureValuesTopic && next > 0 {
			last = append(last, streams.Position{TP: tp, Offset: next - 1})
		}
	}
	if !s.Settle(ctx, last, "feature-values") {
		return cmp.Or(ctx.Err(), or)
	}
	return nil
}

// offlineWriting is a table that is being recorded.
type offlineWriting struct {
	s    *Surface
	x    *features.External
	meta handlers.Meta
	rows *spill.Sorter // by entity, time, and place in the table
	room int64         // bytes that they may still take

	fields      []*arrow.Field
	keys        []int // columns of the join keys, of the features, and of the times; negative where there is none
	features    []int
	at, created int
	row         []byte
}

// columns finds those of the view.
func (w *offlineWriting) columns(reg *featurestore.Registry, t *entityTable) error {
	w.fields = t.schema.Fields
	known := map[string]bool{}
	shared := []*features.External{w.x}
	for i := range reg.Declared.Views { // views of one source are written with the same table, one after the other
		if is := &reg.Declared.Views[i].Is; is.View == w.x.Name {
			shared = append(shared, sourced(reg, batchSource(is.Spec, is.Stream))...)
		}
	}
	for _, x := range shared {
		for _, name := range append(keysOf(x), timeColumn(x), cmp.Or(x.CreatedColumn(), "created")) {
			known[name] = true
		}
		for _, f := range x.Features {
			known[f.Name] = true
		}
	}
	places := map[string]int{}
	for i, f := range w.fields {
		if _, twice := places[f.Name]; twice {
			return fault.Field(f.Name, "is the name of two columns").WithHint("give each column a name of its own")
		}
		if places[f.Name] = i; !known[f.Name] && !strings.HasPrefix(f.Name, "__index_level_") { // which pandas adds
			return fault.Field(f.Name, "is no column of %s", w.x.Name).WithHint("leave it out, or declare it")
		}
	}
	find := func(name string) int {
		if i, ok := places[name]; ok {
			return i
		}
		return -1
	}
	var missing []string
	need := func(name string) int {
		i := find(name)
		if i < 0 {
			missing = append(missing, name)
		}
		return i
	}
	for _, k := range w.x.JoinKeys {
		if k.Name == features.NobodysKey {
			w.keys = append(w.keys, -1)
		} else {
			w.keys = append(w.keys, need(k.Name))
		}
	}
	for _, f := range w.x.Features {
		w.features = append(w.features, need(f.Name))
	}
	w.at = need(timeColumn(w.x))
	w.created = -1
	if name := w.x.CreatedColumn(); name != "" {
		w.created = find(name)
	}
	if w.created < 0 && !slices.ContainsFunc(shared, func(x *features.External) bool { return x.HasColumn("created") }) { // which is then what it says
		w.created = find("created")
	}
	if missing != nil {
		return fault.Field(missing[0], "is not among the columns; missing of %s: %s", w.x.Name, strings.Join(missing, ", ")).WithHint("give each column of the view")
	}
	for _, i := range w.keys {
		if i >= 0 {
			if err := tables.CheckColumn(w.fields[i], false); err != nil {
				return err
			}
		}
	}
	for _, i := range []int{w.at, w.created} {
		if i >= 0 {
			if err := tables.CheckColumn(w.fields[i], true); err != nil {
				return err
			}
		}
	}
	return nil
}

// take checks a row and keeps it.
func (w *offlineWriting) take(columns []*arrow.Array, i, number int, now time.Time) error {
	wrong := func(column string, err error) error {
		hint := ""
		var f *fault.Error
		if errors.As(err, &f) {
			hint = f.Hint
		}
		return fault.Field(fmt.Sprintf("table[%d].%s", number, column), "%s", messageOf(err)).WithHint("%s", hint)
	}
	key, err := w.x.EntityKey(func(name string) json.RawMessage {
		k := slices.IndexFunc(w.x.JoinKeys, func(f events.FeatureField) bool { return f.Name == name })
		return tables.KeyIn(columns[w.keys[k]], i, &w.x.JoinKeys[k])
	})
	if err != nil {
		var f *fault.Error
		if errors.As(err, &f) && f.Field != "" {
			return wrong(f.Field, err)
		}
		return err
	}
	if key == "" {
		return wrong(keysOf(w.x)[0], errors.New("a join key is missing: the values are nobody's"))
	}
	at, err := tables.TimeIn(columns[w.at], i)
	if err == nil {
		err = events.CheckTime(events.TimeOf(at), now)
	}
	if err != nil {
		return wrong(w.fields[w.at].Name, err)
	}
	v := events.FeatureValues{EntityKey: key, View: w.x.Name, Values: map[string]json.RawMessage{}, Timestamp: events.FormatTime(events.TimeOf(at)), Offline: true}
	created := int64(math.MinInt64)
	if w.created >= 0 && columns[w.created].Valid(i) {
		if created, err = tables.TimeIn(columns[w.created], i); err != nil {
			return wrong(w.fields[w.created].Name, err)
		}
	}
	for k, f := range w.x.Features {
		if v.Values[f.Name], err = tables.ValueIn(columns[w.features[k]], i, f.Type); err != nil {
			return wrong(f.Name, err)
		}
	}
	if err := v.Validate(); err != nil {
		return fault.Field(fmt.Sprintf("table[%d]", number), "%s", err)
	}
	values, err := json.Marshal(v.Values)
	if err != nil {
		return err
	}
	if len(values) > rowBytesMax {
		return fault.New(fault.TooLarge, "row %d has values of %d bytes; the most is %d", number, len(values), rowBytesMax)
	}
	b := append(append(w.row[:0], key...), 0) // which no key has
	b = binary.BigEndian.AppendUint64(b, uint64(at)^1<<63)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	b = binary.BigEndian.AppendUint64(b, uint64(created))
	w.row = append(b, values...)
	if w.room -= int64(len(w.row)); w.room < 0 {
		return fault.New(fault.TooLarge, "up to row %d the table takes more than %d bytes as it is recorded, where each row has the names of its features", number, int64(recordedBytesMax)).
			WithHint("send it in parts")
	}
	return w.rows.Add(w.row)
}

func messageOf(err error) string {
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Message
	}
	var e *events.FieldError
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// said is a row as it is recorded, in one form: the same values, computed at the same time, are the same.
type said struct {
	values  string // JSON
	created int64
}

// digest stands for a row where it is compared: rows of the log are not held for that.
type digest [sha256.Size]byte

func (s *said) digest() digest {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(s.values)), uint64(s.created))
	return sha256.Sum256(append(b, s.values...))
}

// rowOverhead is what a row of a moment takes beside its values.
const rowOverhead = 128

// moment is the rows of an entity and a time, in their order.
type moment struct {
	projections.Moment
	rows []said
	sums []digest // of the rows
	last []digest // of what the log has of it last, no more than there are rows
}

// add adds a row, unless it says the same as the one before.
func (m *moment) add(row said) bool {
	sum := row.digest()
	if k := len(m.sums); k > 0 && m.sums[k-1] == sum {
		return false
	}
	m.rows, m.sums = append(m.rows, row), append(m.sums, sum)
	return true
}

// knows takes what the log has next.
func (m *moment) knows(sum digest) {
	if len(m.last) == len(m.rows) {
		if len(m.last) == 0 {
			return
		}
		m.last = m.last[1:]
	}
	m.last = append(m.last, sum)
}

// record publishes the rows that the log does not have, those of an entity and a time in their order.
func (w *offlineWriting) record(ctx context.Context) error {
	out := &publishing{w: w, ctx: ctx, cut: streams.Cut{}}
	var all []moment // some, which are compared with the log at once
	var of []byte    // the entity and the time of the last
	rows, size := 0, 0
	for {
		b, err := w.rows.Next()
		if err != nil && err != io.EOF {
			return err
		}
		next := err == nil && !bytes.HasPrefix(b, of) // of another moment: the entity ends with a zero byte, and a time is of one length
		if err == io.EOF || next && (rows >= rowsAtOnce || size > groupBytesMax/2) {
			if err := w.publish(out, all); err != nil {
				return err
			}
			all, rows, size = all[:0], 0, 0
		}
		if err == io.EOF {
			break
		}
		n := bytes.IndexByte(b, 0)
		if of == nil || next {
			of = append(of[:0], b[:n+9]...)
			all = append(all, moment{Moment: projections.Moment{EntityKey: string(b[:n]), Millis: int64(binary.BigEndian.Uint64(b[n+1:]) ^ 1<<63)}})
		}
		m := &all[len(all)-1]
		if !m.add(said{string(b[n+25:]), int64(binary.BigEndian.Uint64(b[n+17:]))}) { // the same twice
			continue
		}
		rows++
		if size += len(b) + rowOverhead; size > groupBytesMax {
			return fault.New(fault.TooLarge, "the table has rows of more than %d bytes of one entity and one time", groupBytesMax/2).WithHint("of one time the last row counts: leave the others out")
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	return w.s.settled(ctx, out.cut, nil)
}

// publish writes the rows of some moments that the log does not have.
func (w *offlineWriting) publish(out *publishing, all []moment) error {
	moments := make([]projections.Moment, len(all))
	for i := range all {
		moments[i] = all[i].Moment
	}
	if err := w.s.Features.PushedAt(w.x, moments, func(i int, row *projections.PushedValues) error {
		was, err := w.said(row)
		all[i].knows(was.digest())
		return cmp.Or(err, out.ctx.Err())
	}); err != nil {
		return err
	}
	for i := range all {
		m := &all[i]
		for _, row := range m.rows[m.known():] {
			if err := out.add(m.EntityKey, m.Millis, row); err != nil {
				return err
			}
		}
	}
	return nil
}

// known says how many of the rows the log has: it ends with the first of them there, the most that can be. It takes time in
// proportion to them (Knuth, Morris and Pratt): borders has, of the first rows, how many of them they begin and end with.
func (m *moment) known() int {
	borders := make([]int, len(m.sums)+1)
	longer := func(n int, next digest) int { // what the next makes of n that are alike
		for n > 0 && m.sums[n] != next {
			n = borders[n]
		}
		if m.sums[n] == next {
			n++
		}
		return n
	}
	for i := 1; i < len(m.sums); i++ {
		borders[i+1] = longer(borders[i], m.sums[i])
	}
	n := 0
	for i := range m.last { // no more than rows: all are alike at the last at the earliest
		n = longer(n, m.last[i])
	}
	return n
}

// said is a row of the log in that form, of the features that the view has now.
func (w *offlineWriting) said(row *projections.PushedValues) (said, error) {
	created, bad := events.TimeMillis(row.Created)
	if row.Created == "" || bad != nil {
		created = math.MinInt64
	}
	values := map[string]json.RawMessage{}
	for _, f := range w.x.Features {
		form, err := features.Coerce(f.Type, row.Values[f.Name])
		if err != nil {
			form = json.RawMessage("null")
		}
		values[f.Name] = form
	}
	text, err := json.Marshal(values)
	return said{string(text), created}, err
}

// publishing writes facts to the log, some at once.
type publishing struct {
	w     *offlineWriting
	ctx   context.Context
	facts []handlers.Identified
	cut   streams.Cut
}

func (p *publishing) add(entity string, millis int64, row said) error {
	v := events.FeatureValues{EntityKey: entity, View: p.w.x.Name, Timestamp: events.FormatTime(events.TimeOf(millis)), Offline: true}
	if row.created != math.MinInt64 {
		v.Created = events.FormatTime(events.TimeOf(row.created))
	}
	if err := json.Unmarshal([]byte(row.values), &v.Values); err != nil {
		return err
	}
	if p.facts = append(p.facts, handlers.Identified{ID: uuid.NewString(), Fact: &commands.PushFeatureValues{FeatureValues: v}}); len(p.facts) < factsAtOnce {
		return nil
	}
	return p.flush()
}

func (p *publishing) flush() error {
	if len(p.facts) == 0 {
		return nil
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	done, err := p.w.s.Dispatcher.PublishMany(p.ctx, events.FeatureValuesTopic, p.facts, p.w.meta)
	if err != nil {
		return err
	}
	for tp, next := range done {
		p.cut[tp] = max(p.cut[tp], next)
	}
	p.facts = p.facts[:0]
	return nil
}
