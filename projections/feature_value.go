package projections

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/rawjson"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// FeatureValues is what was pushed of features that are computed elsewhere: of each entity and view all of it, and the
// row that is served. That is the one of the newest event time, and of several of one time the last in the log: by
// offset, and of different partitions by their number.
//
//	h VIEW ENTITY millis partition offset -> PushedValues
//	s VIEW ENTITY millis partition offset -> nothing: of those that are not for training alone
//	o VIEW ENTITY -> the key of the one that is served, then it
type FeatureValues struct{ r fold.Reader }

// NewFeatureValues makes the view "feature-values".
func NewFeatureValues() *FeatureValues { return &FeatureValues{} }

// PushedValues are values of one entity as they were pushed.
type PushedValues struct {
	Values  map[string]json.RawMessage `json:"values"`
	Created string                     `json:"created,omitempty"`
	Offline bool                       `json:"offline,omitempty"` // for training alone
	fold.Origin
}

func (*FeatureValues) Spec() fold.Spec {
	return fold.Spec{Name: "feature-values", Format: 2, Indexed: true, Topics: []string{events.FeatureValuesTopic}}
}

func (v *FeatureValues) Open(r fold.Reader) error { v.r = r; return nil }
func (*FeatureValues) Flush(fold.Writer) error    { return nil }

func (*FeatureValues) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if x, ok := in[i].Event.Data.(*events.FeatureValues); ok {
			if err := applyValues(w, &in[i], x); err != nil {
				return fold.PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func applyValues(w fold.Writer, in *fold.Input, x *events.FeatureValues) error {
	row, err := json.Marshal(&PushedValues{x.Values, x.Created, x.Offline, fold.OriginOf(in)})
	if err != nil {
		return err
	}
	key := fold.Table('h').Str(x.View).ID(x.EntityKey).Fact(in, in.Event.Time.UnixMilli())
	if err := w.Set(key, row); err != nil || x.Offline {
		return err
	}
	if err := w.Set(fold.Table('s').Str(x.View).ID(x.EntityKey).Fact(in, in.Event.Time.UnixMilli()), nil); err != nil {
		return err
	}
	served := fold.Table('o').Str(x.View).ID(x.EntityKey)
	before, ok, err := w.Get(served)
	if err != nil {
		return err
	}
	place := placeOf(key, x.View, x.EntityKey)
	if ok {
		parts := fold.PartsOf(before)
		if last := parts.Text(); parts.Err() != nil || slices.Compare(last, place) >= 0 {
			return parts.Err()
		}
	}
	return w.Set(served, append(fold.Key{}.Text(string(place)), row...))
}

// placeOf is the part of a key of a history that is its order.
func placeOf(key fold.Key, view, entity string) []byte {
	return key[len(fold.Table('h').Str(view).ID(entity)):]
}

// Served reads the row of an entity that counts at a moment: what is served, or was. False is for one of whom nothing was
// pushed.
func (v *FeatureValues) Served(ctx context.Context, view, entityKey string, at fold.At) (row PushedValues, ok bool, err error) {
	if at.IsZero() {
		raw, ok, err := v.r.Get(fold.Table('o').Str(view).ID(entityKey))
		if err != nil || !ok {
			return row, false, err
		}
		parts := fold.PartsOf(raw)
		place := parts.Text()
		if err := parts.Err(); err != nil {
			return row, false, err
		}
		rest := raw[len(fold.Key{}.Text(string(place))):]
		row, err = pushedValuesOf(rest)
		return row, true, err
	}
	prefix := fold.Table('s').Str(view).ID(entityKey)
	for kv, err := range v.r.ScanBack(prefix, until(prefix, at)) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return row, false, err
		}
		key := slices.Clone(kv.Key)
		copy(key, fold.Table('h'))
		raw, ok, err := v.r.Get(key)
		if err == nil && !ok {
			err = fault.New(fault.Corrupt, "view feature-values has no row of what was served")
		}
		if err == nil {
			row, err = pushedValuesOf(raw)
		}
		if err == nil {
			ok, err = row.AdmittedBy(at)
		}
		if ok || err != nil {
			return row, err == nil, err
		}
	}
	return PushedValues{}, false, nil
}

// until ends what is of an event time that a moment admits.
func until(prefix fold.Key, at fold.At) []byte {
	if at.EventMillis == 0 {
		return prefix.End()
	}
	return slices.Clone(prefix).Millis(at.EventMillis + 1)
}

// History yields what was pushed of an entity, as far as a moment admits it, in the order in which one counts over the
// other: by event time, then by place in the log.
func (v *FeatureValues) History(view, entityKey string, at fold.At) iter.Seq2[PushedValues, error] {
	prefix := fold.Table('h').Str(view).ID(entityKey)
	return v.rows(v.r.Scan(prefix, until(prefix, at)), at)
}

// Moment is an entity and an event time.
type Moment struct {
	EntityKey string
	Millis    int64
}

// AtMoments gives what was pushed at some moments, each row with the place of its moment: in their order, and of one moment the last in
// the log last. An error of each is passed on.
func (v *FeatureValues) AtMoments(view string, moments []Moment, each func(i int, row *PushedValues) error) error {
	at := 0 // the moment whose rows are read
	prefixes := func(yield func(fold.Key) bool) {
		for at = range moments {
			if !yield(fold.Table('h').Str(view).ID(moments[at].EntityKey).Millis(moments[at].Millis)) {
				return
			}
		}
	}
	for row, err := range v.rows(v.r.Under(prefixes), fold.At{}) {
		if err == nil {
			err = each(at, &row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PushedTo yields the keys of those of whom anything was pushed to a view, each once.
func (v *FeatureValues) PushedTo(view string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		prefix := fold.Table('h').Str(view)
		for from := []byte(prefix); from != nil; {
			entity, ok := "", false
			for kv, err := range v.r.Scan(from, prefix.End()) {
				if err == nil {
					parts := fold.PartsOf(kv.Key[len(prefix):])
					entity, ok = strings.Clone(parts.ID()), true
					err = parts.Err()
				}
				if err != nil {
					yield("", err)
					return
				}
				break
			}
			if !ok || !yield(entity, nil) {
				return
			}
			from = fold.Table('h').Str(view).ID(entity).End()
		}
	}
}

// Newest reads the row of an entity that counts over all others that a moment admits, also of those that were pushed for
// training alone; false is for none.
func (v *FeatureValues) Newest(view, entityKey string, at fold.At) (PushedValues, bool, error) {
	prefix := fold.Table('h').Str(view).ID(entityKey)
	for row, err := range v.rows(v.r.ScanBack(prefix, until(prefix, at)), at) {
		return row, err == nil, err
	}
	return PushedValues{}, false, nil
}

func (v *FeatureValues) rows(pairs iter.Seq2[fold.KV, error], at fold.At) iter.Seq2[PushedValues, error] {
	return func(yield func(PushedValues, error) bool) {
		for kv, err := range pairs {
			var row PushedValues
			admitted := false
			if err == nil {
				row, err = pushedValuesOf(slices.Clone(kv.Value))
			}
			if err == nil {
				admitted, err = row.AdmittedBy(at)
			}
			if (admitted || err != nil) && !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// pushedValuesOf reads a stored row, whose parts the result has: it has hundreds of values, and is read for every request.
func pushedValuesOf(raw []byte) (p PushedValues, err error) {
	if !json.Valid(raw) || raw[0] != '{' {
		return p, fold.DecodeJSON(raw, &p) // which says so
	}
	number := func(value []byte) int64 {
		n, bad := strconv.ParseInt(string(value), 10, 64)
		err = cmp.Or(err, bad)
		return n
	}
	text := func(value []byte) string {
		if value[0] != '"' {
			err = cmp.Or(err, fold.ErrKey)
			return ""
		}
		return rawjson.Text(value)
	}
	rawjson.Each(raw, func(name, value []byte) {
		switch string(name) {
		case `"values"`:
			if value[0] != '{' { // null
				return
			}
			p.Values = make(map[string]json.RawMessage, min(bytes.Count(value, []byte{':'}), events.FeatureValuesMax))
			rawjson.Each(value, func(name, of []byte) { p.Values[rawjson.Text(name)] = of })
		case `"created"`:
			p.Created = text(value)
		case `"offline"`:
			p.Offline = string(value) == "true"
		case `"position"`:
			p.Position = text(value)
		case `"event_id"`:
			p.EventID = text(value)
		case `"event_millis"`:
			p.EventMillis = number(value)
		case `"recorded_millis"`:
			p.RecordedMillis = number(value)
		case `"source"`:
			p.Source = text(value)
		case `"actor"`:
			p.Actor = text(value)
		case `"correlation"`:
			p.Correlation = text(value)
		case `"causation"`:
			p.Causation = text(value)
		}
	})
	return p, fault.Wrap(fault.Corrupt, err, "a stored row of view feature-values does not read")
}

// HistoryPage pages through what was pushed of an entity, the last that counts first.
func (v *FeatureValues) HistoryPage(view, entityKey string, at fold.At, q fold.PageQuery) (fold.Page[PushedValues], error) {
	return fold.PageJSON(v.r, fold.Table('h').Str(view).ID(entityKey), true, q, func(row *PushedValues) (bool, error) { return row.AdmittedBy(at) })
}

// Before reads the row of an entity's history that another one comes right after, as far as a moment admits it; false for none.
func (v *FeatureValues) Before(view, entityKey string, after *PushedValues, at fold.At) (row PushedValues, ok bool, err error) {
	pos, err := streams.ParsePosition(after.Position)
	if err != nil {
		return row, false, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
	}
	prefix := fold.Table('h').Str(view).ID(entityKey)
	place := slices.Clone(prefix).Millis(after.EventMillis).Number(uint64(pos.Partition)).Number(uint64(pos.Offset))
	for row, err := range v.rows(v.r.ScanBack(prefix, place), at) {
		return row, err == nil, err
	}
	return row, false, nil
}

// ServedEntities yields the keys of those of whom something is served of a view, in the order of their bytes.
func (v *FeatureValues) ServedEntities(view string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		prefix := fold.Table('o').Str(view)
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			id := ""
			if err == nil {
				parts := fold.PartsOf(kv.Key[len(prefix):])
				id, err = strings.Clone(parts.ID()), parts.Err()
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// CreatedMillis is when the values were computed, as their producer says; when the log took them where it does not.
func (p *PushedValues) CreatedMillis() int64 {
	millis, err := events.TimeMillis(p.Created)
	if p.Created == "" || err != nil {
		return cmp.Or(p.RecordedMillis, p.EventMillis)
	}
	return millis
}
