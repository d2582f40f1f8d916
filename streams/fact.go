package streams

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Facts in their records: CloudEvents in Kafka's binary mode. What the value says is for package events to know.

// FactRecord is the record of a fact: CloudEvents in Kafka's binary mode. The key is whom the fact is
// about; it chooses the partition. The error is fault.Invalid or fault.TooLarge.
func FactRecord(key string, ev *events.Event) (Record, error) {
	e := FactEncoder{chunk: 512}
	recs, err := e.Append(nil, key, ev)
	if err != nil {
		return Record{}, err
	}
	return recs[0], nil
}

// FactEncoder makes the records of many facts in memory that it reuses: the bulk form of [FactRecord],
// with the same bytes. The zero value is ready; it is not for concurrent use.
type FactEncoder struct {
	arena   []byte
	headers []Header
	chunk   int // bytes of a new arena
}

const (
	arenaBytes   = 256 << 10 // enough for some thousand facts, small enough to stay in the cache
	arenaHeaders = 8 << 10
	factHeaders  = 11 // at most
)

var (
	specVersion = []byte("1.0")
	jsonType    = []byte(typeJSON)
	schemaOne   = []byte("1")
)

// Append appends the fact's record to recs. The record's memory is the encoder's until [FactEncoder.Reset].
func (e *FactEncoder) Append(recs []Record, key string, ev *events.Event) ([]Record, error) {
	if ev.Data == nil {
		return recs, fault.Field("data", "event %s has no data", ev.ID)
	}
	if ev.ID == "" || ev.Source == "" {
		return recs, fault.Field("id", "an event needs an id and a source; it has %q and %q", ev.ID, ev.Source)
	}
	eventType, schema := ev.Type(), ev.Schema
	raw := []byte(ev.Raw)
	size := len(raw)
	if raw == nil {
		schema = events.SchemaOf(eventType)
		size = events.JSONBytesMax(ev.Data)
	}
	b := e.room(len(key) + len(ev.ID) + len(eventType) + len(ev.Source) + len(ev.Subject) + len(ev.Actor) +
		len(ev.Correlation) + len(ev.Causation) + size + 64)
	n0 := len(b)

	var k []byte
	k, b = put(b, key)
	n := len(b)
	if raw != nil {
		b = append(b, raw...)
	} else {
		var err error
		if b, err = events.AppendJSON(b, ev.Data); err != nil {
			return recs, fault.Wrap(fault.Invalid, err, "event %s has no JSON form", ev.ID)
		}
	}
	v := b[n:len(b):len(b)]

	h := e.headers
	if cap(h)-len(h) < factHeaders {
		size := arenaHeaders
		if e.chunk != 0 {
			size = factHeaders
		}
		h = make([]Header, 0, size)
	}
	first := len(h)
	add := func(name, value string) {
		if value != "" {
			var s []byte
			s, b = put(b, value)
			h = append(h, Header{name, s})
		}
	}
	h = append(h, Header{headerSpecVersion, specVersion})
	add(headerID, ev.ID)
	add(headerType, eventType)
	add(headerSource, ev.Source)
	n = len(b)
	b = events.AppendTime(b, ev.Time)
	h = append(h, Header{headerTime, b[n:len(b):len(b)]})
	if schema == 1 {
		h = append(h, Header{headerSchema, schemaOne})
	} else {
		n = len(b)
		b = strconv.AppendInt(b, int64(schema), 10)
		h = append(h, Header{headerSchema, b[n:len(b):len(b)]})
	}
	add(headerSubject, ev.Subject)
	add(headerActor, ev.Actor)
	add(headerCorrelation, ev.Correlation)
	add(headerCausation, ev.Causation)
	h = append(h, Header{headerContentType, jsonType})

	r := Record{Key: k, Value: v, Headers: h[first:len(h):len(h)]}
	if len(key) > KeyBytesMax || len(b)-n0 > RecordBytesMax/2 { // else nothing can be over a limit
		if err := CheckRecord(&r); err != nil {
			return recs, err
		}
	}
	e.arena, e.headers = b, h
	return append(recs, r), nil
}

// Reset takes back the memory of all records made so far.
func (e *FactEncoder) Reset() { e.arena, e.headers = e.arena[:0], e.headers[:0] }

// room is an arena with n free bytes. Records made before keep the older one alive.
func (e *FactEncoder) room(n int) []byte {
	if cap(e.arena)-len(e.arena) >= n {
		return e.arena
	}
	size := e.chunk
	if size == 0 {
		size = arenaBytes
	}
	return make([]byte, 0, max(size, n))
}

// put appends s and returns the bytes it became, and the arena.
func put(arena []byte, s string) ([]byte, []byte) {
	n := len(arena)
	arena = append(arena, s...)
	return arena[n:len(arena):len(arena)], arena
}

// ReadFact reads a record of a feed: CloudEvents in binary or structured mode or, with neither ce_specversion nor
// ce_type, the plain JSON documented for the topic. A plain value's id is its ce_id or else its position, its source
// its ce_source or else [events.PlainSource]. A fact happened when its ce_time says, else when the value's
// "timestamp" does (of a plain value the other way about), else when the log took it; at most [events.AheadMax] after that. The event owns its memory. The
// error is fault.Invalid and says what is wrong: no view can fold such a record, it belongs in quarantine.
func ReadFact(r *Record) (events.Event, error) {
	var read FactReader
	var ev events.Event
	if err := read.Read(r, &ev, nil); err != nil {
		return events.Event{}, fault.Wrap(fault.Invalid, err, "record %s cannot be read", r.Position)
	}
	if ev.Raw == nil {
		ev.Raw = bytes.Clone(r.Value)
	}
	return ev, nil
}

// FactReader reads the records of many facts: the bulk form of [ReadFact]. The zero value is ready; it is not for
// concurrent use.
type FactReader struct {
	source, actor string // of the last fact, which most others share
}

// Read reads a record into *ev, which it overwrites: what ReadFact gives, but without Raw. An interaction is put
// into *room, unless that is nil. The error does not name the record.
func (f *FactReader) Read(r *Record, ev *events.Event, room *events.Interaction) error {
	if err := f.ReadAhead(r, ev, room); err != nil {
		return err
	}
	if ev.ID == "" || ev.Time.IsZero() {
		ev.Place(r.Position, r.Recorded)
	}
	if !r.Recorded.IsZero() && ev.CheckTime(r.Recorded) != nil {
		return fault.Field("timestamp", "says more than a day after the log took it, which was at %s", events.FormatTime(r.Recorded))
	}
	return nil
}

// ReadAhead is Read for a record that the log has not taken yet, so that its position and time are not known: what
// depends on them is left for [events.Event.Place]. The time of a fact that does not say when it happened is zero.
func (f *FactReader) ReadAhead(r *Record, ev *events.Event, room *events.Interaction) error {
	if len(r.Headers) == 0 {
		return decodePlain(r, ev, room)
	}
	*ev = events.Event{}
	var spec, stamp, schema, contentType []byte
	var eventType string
	enveloped := false
	for i := range r.Headers {
		h := &r.Headers[i]
		switch h.Key {
		case headerSpecVersion:
			spec, enveloped = h.Value, true
		case headerID:
			ev.ID = string(h.Value)
		case headerType:
			eventType, enveloped = events.TypeNamed(h.Value), true
		case headerSource:
			ev.Source = again(&f.source, h.Value)
		case headerTime:
			stamp = h.Value
		case headerSchema:
			schema = h.Value
		case headerSubject:
			ev.Subject = string(h.Value)
		case headerActor:
			ev.Actor = again(&f.actor, h.Value)
		case headerCorrelation:
			ev.Correlation = string(h.Value)
		case headerCausation:
			ev.Causation = string(h.Value)
		case headerContentType:
			contentType = h.Value
		}
	}
	switch {
	case enveloped:
		return readBinary(r, ev, string(spec), eventType, stamp, schema, room)
	case bytes.HasPrefix(contentType, []byte(typeStructured)):
		return readStructured(r, ev)
	}
	return readPlain(r, ev, stamp, room)
}

// readPlain reads a value without an envelope, though with some of an envelope's headers, into *ev, which has them.
func readPlain(r *Record, ev *events.Event, stamp []byte, room *events.Interaction) error {
	given := *ev
	if err := decodePlain(r, ev, room); err != nil {
		return err
	}
	ev.ID, ev.Subject, ev.Actor, ev.Correlation, ev.Causation = given.ID, given.Subject, given.Actor, given.Correlation, given.Causation
	if given.Source != "" {
		ev.Source = given.Source
	}
	if stamp == nil {
		return nil
	}
	t, err := parseTime(stamp)
	if err == nil {
		ev.Date(t)
	}
	return err
}

func decodePlain(r *Record, ev *events.Event, room *events.Interaction) error {
	topic, _ := events.TopicOf(r.Topic)
	if topic.Plain == "" {
		return fault.New(fault.Invalid, "it has no CloudEvents headers, and topic %q has no documented plain form", r.Topic)
	}
	return events.DecodePlain(topic, r.Value, ev, room)
}

// parseTime reads a ce_time, which has to be one that an event may have.
func parseTime(stamp []byte) (time.Time, error) {
	t, err := events.ParseTime(stamp)
	switch {
	case err != nil:
		return t, fault.Field(headerTime, "is %q; want RFC 3339", stamp)
	case t.UnixMilli() < events.TimeMillisMin || t.UnixMilli() >= events.TimeMillisEnd:
		return t, fault.Field(headerTime, "%s is outside 1970 to 2100", stamp)
	}
	return t, nil
}

// Date gives the record of a fact that does not say when it happened the header that does.
func Date(r *Record, at time.Time) {
	r.Headers = append(r.Headers, Header{headerTime, events.AppendTime(nil, at)})
}

func readBinary(r *Record, ev *events.Event, spec, eventType string, stamp, schema []byte, room *events.Interaction) error {
	if spec != "1.0" {
		return fault.Field(headerSpecVersion, "is %q; want 1.0", spec)
	}
	if ev.ID == "" || ev.Source == "" {
		return fault.Field(headerID, "it has no ce_id or no ce_source")
	}
	ev.Schema = 1
	if schema != nil {
		n, err := strconv.Atoi(string(schema))
		if err != nil {
			return fault.Field(headerSchema, "is %q; want a number", schema)
		}
		ev.Schema = n
	}
	if stamp == nil {
		return events.DecodeUndated(eventType, r.Value, ev, room)
	}
	var err error
	if ev.Time, err = events.ParseTime(stamp); err != nil {
		return fault.Field(headerTime, "is %q; want RFC 3339", stamp)
	}
	ev.Data, err = events.DecodeFact(eventType, ev.Schema, r.Value, ev.Time, room)
	return err
}

func readStructured(r *Record, ev *events.Event) error {
	var v events.Event // one that may escape
	if err := json.Unmarshal(r.Value, &v); err != nil {
		return fault.Wrap(fault.Invalid, err, "it is no CloudEvent")
	}
	*ev = v
	if ev.ID == "" || ev.Source == "" {
		return fault.Field("id", "the event has no id or no source")
	}
	return events.JudgeFact(ev.Data, ev.Time)
}

// again is the bytes as a string, without an allocation where it is the last one again.
func again(last *string, b []byte) string {
	if *last != string(b) {
		*last = string(b)
	}
	return *last
}
