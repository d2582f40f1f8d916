package fold

import (
	"bytes"
	"encoding/json"
	"iter"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// LedgerTopics is what ledger views fold.
var LedgerTopics = []string{events.LedgerTopic}

// Stamp is what every document says of the events it was folded from.
type Stamp struct {
	Revision       streams.Revision `json:"revision"`        // of its stream's last event: the If-Match of a command
	Offset         int64            `json:"offset"`          // in the ledger, of the last event folded
	Index          int              `json:"index"`           // of that event in its commit
	CreatedMillis  int64            `json:"created_millis"`  // event time of the first event
	UpdatedMillis  int64            `json:"updated_millis"`  // event time of the last event
	RecordedMillis int64            `json:"recorded_millis"` // recorded time of the last event
}

// Origin says where one entry came from: the event behind it.
type Origin struct {
	Position       string `json:"position"` // "topic/partition@offset"
	EventID        string `json:"event_id"`
	EventMillis    int64  `json:"event_millis"`    // when it happened
	RecordedMillis int64  `json:"recorded_millis"` // when the log took it
	Source         string `json:"source,omitempty"`
	Actor          string `json:"actor,omitempty"`
	Correlation    string `json:"correlation,omitempty"`
	Causation      string `json:"causation,omitempty"`
}

func OriginOf(in *Input) Origin {
	ev := in.Event
	return Origin{in.Position.String(), ev.ID, ev.Time.UnixMilli(), in.RecordedMillis, ev.Source, ev.Actor, ev.Correlation, ev.Causation}
}

// AdmittedBy says whether the event counts at the moment.
func (o *Origin) AdmittedBy(at At) (bool, error) {
	pos, err := streams.ParsePosition(o.Position)
	if err != nil {
		return false, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
	}
	return at.Admits(o.EventMillis, o.RecordedMillis, pos), nil
}

// Documents describes one kind of document: one per stream, folded event by event, stored as JSON under
// table and id, with the number of documents under count. Index entries are kept in step with the
// document; the value of each is the document's id. It has no state.
type Documents[T any] struct {
	Table byte
	Count byte // table of the counter; 0 for none
	// id is the document an event belongs to; false for events this kind does not fold.
	ID    func(in *Input) (string, bool)
	Fold  func(doc *T, in *Input)
	Index func(doc *T) []Key // may be nil
	Stamp func(doc *T) *Stamp
	// Beside keeps what is stored beside a document in step with it; nil: nothing is. before is the document without the
	// event, but for its maps and slices, which have it; the zero value where there was none.
	Beside func(w Writer, before, after *T, in *Input) error
}

// next folds one event into the document. An event already in it changes nothing: the ledger is one
// sequence, so the last position says what is in.
func (d *Documents[T]) next(doc *T, exists bool, in *Input) bool {
	s := d.Stamp(doc)
	if exists && (in.Position.Offset < s.Offset || in.Position.Offset == s.Offset && in.Index <= s.Index) {
		return false
	}
	if !exists {
		s.CreatedMillis = in.Event.Time.UnixMilli()
	}
	s.Revision, s.Offset, s.Index = in.Revision, in.Position.Offset, in.Index
	s.UpdatedMillis, s.RecordedMillis = in.Event.Time.UnixMilli(), in.RecordedMillis
	d.Fold(doc, in)
	return true
}

// Apply folds every input this kind of document takes.
func (d *Documents[T]) Apply(w Writer, in []Input) error {
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		if id, ok := d.ID(&in[i]); ok {
			if err := d.applyOne(w, id, &in[i]); err != nil {
				return PoisonAt(&in[i], err)
			}
		}
	}
	return nil
}

func (d *Documents[T]) applyOne(w Writer, id string, in *Input) error {
	doc, exists, err := d.Get(w, id)
	if err != nil {
		return err
	}
	var before []Key
	if d.Index != nil && exists {
		before = d.Index(&doc)
	}
	old := doc
	if !d.next(&doc, exists, in) {
		return nil
	}
	if d.Beside != nil {
		if err := d.Beside(w, &old, &doc, in); err != nil {
			return err
		}
	}
	if err := SetJSON(w, Table(d.Table).Str(id), &doc); err != nil {
		return err
	}
	if !exists && d.Count != 0 {
		n, err := readCount(w, Table(d.Count))
		if err != nil {
			return err
		}
		if err := writeCount(w, Table(d.Count), n+1); err != nil {
			return err
		}
	}
	if d.Index == nil {
		return nil
	}
	after := d.Index(&doc)
	for _, k := range before {
		if !holds(after, k) {
			if err := w.Delete(k); err != nil {
				return err
			}
		}
	}
	for _, k := range after {
		if !holds(before, k) {
			if err := w.Set(k, []byte(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

func holds(keys []Key, key Key) bool {
	for _, k := range keys {
		if bytes.Equal(k, key) {
			return true
		}
	}
	return false
}

// FoldStream folds what at admits of one stream, in log order; false when that is nothing.
func (d *Documents[T]) FoldStream(commits iter.Seq2[*streams.Committed, error], at At) (doc T, exists bool, err error) {
	for in, err := range Inputs(commits, at) {
		if err != nil {
			return doc, false, err
		}
		if _, ok := d.ID(in); ok {
			exists = d.next(&doc, exists, in) || exists
		}
	}
	return doc, exists, nil
}

func (d *Documents[T]) Get(r Reader, id string) (doc T, ok bool, err error) {
	ok, err = GetJSON(r, Table(d.Table).Str(id), &doc)
	return doc, ok, err
}

// Load reads the document an index entry points at.
func (d *Documents[T]) Load(r Reader, kv KV) (T, bool, error) { return d.Get(r, string(kv.Value)) }

// First reads the document of the first index entry under a prefix.
func (d *Documents[T]) First(r Reader, prefix Key) (doc T, ok bool, err error) {
	for kv, err := range r.Scan(prefix, prefix.End()) {
		if err != nil {
			return doc, false, err
		}
		return d.Load(r, kv)
	}
	return doc, false, nil
}

// Paginate lists the documents of the index entries under a prefix that keep lets through (nil: all).
func (d *Documents[T]) Paginate(r Reader, prefix Key, back bool, q PageQuery, keep func(*T) bool) (Page[T], error) {
	return Paginate(r, prefix, back, q, func(r Reader, kv KV) (T, bool, error) {
		doc, ok, err := d.Load(r, kv)
		return doc, ok && (keep == nil || keep(&doc)), err
	})
}

// IDs yields the ids of all documents, in order; the documents are not read.
func (d *Documents[T]) IDs(r Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for kv, err := range r.Scan(Table(d.Table), Table(d.Table).End()) {
			id := ""
			if err == nil {
				k := Parts(kv.Key)
				id, err = strings.Clone(k.Str()), k.Err()
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// All yields every document in order of id.
func (d *Documents[T]) All(r Reader) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for kv, err := range r.Scan(Table(d.Table), Table(d.Table).End()) {
			var doc T
			if err == nil {
				err = DecodeJSON(kv.Value, &doc)
			}
			if !yield(doc, err) || err != nil {
				return
			}
		}
	}
}

// Number is how many documents there are.
func (d *Documents[T]) Number(r Reader) (int64, error) { return readCount(r, Table(d.Count)) }

func readCount(r Reader, key Key) (n int64, err error) {
	_, err = GetJSON(r, key, &n)
	return n, err
}

func writeCount(w Writer, key Key, n int64) error { return SetJSON(w, key, n) }

// GetJSON reads a stored value into v.
func GetJSON(r Reader, key Key, v any) (bool, error) {
	raw, ok, err := r.Get(key)
	if err != nil || !ok {
		return false, err
	}
	return true, DecodeJSON(raw, v)
}

func DecodeJSON(raw []byte, v any) error {
	return fault.Wrap(fault.Corrupt, json.Unmarshal(raw, v), "a stored value of a view does not read")
}

// SetJSON stores v; encoding/json writes the fields in order and map keys sorted, so the same value
// has the same bytes.
func SetJSON(w Writer, key Key, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.Set(key, raw)
}

// PageJSON lists the values stored under a prefix that keep lets through (nil: all).
func PageJSON[T any](r Reader, prefix Key, back bool, q PageQuery, keep func(*T) (bool, error)) (Page[T], error) {
	return Paginate(r, prefix, back, q, func(_ Reader, kv KV) (item T, ok bool, err error) {
		if err := DecodeJSON(kv.Value, &item); err != nil || keep == nil {
			return item, err == nil, err
		}
		ok, err = keep(&item)
		return item, ok, err
	})
}

// deletedAtOnce bounds the keys that are held to be deleted.
const deletedAtOnce = 4096

// DeleteAll deletes all that is stored under a prefix.
func DeleteAll(w Writer, prefix Key) error {
	for from := prefix; ; {
		keys := make([]Key, 0, deletedAtOnce)
		for kv, err := range w.Scan(from, prefix.End()) {
			if err != nil {
				return err
			}
			if keys = append(keys, bytes.Clone(kv.Key)); len(keys) == deletedAtOnce {
				break
			}
		}
		for _, key := range keys {
			if err := w.Delete(key); err != nil {
				return err
			}
		}
		if len(keys) < deletedAtOnce {
			return nil
		}
		from = append(bytes.Clone(keys[len(keys)-1]), 0)
	}
}
