package streams

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// What anyone sees in Kafka, and what every adapter stores:
//
//	ledger commit   key = stream, value = JSON array of CloudEvents (structured mode),
//	                headers content-type, commit_id, expected_revision
//	fact            key = whom it is about, value = payload JSON (CloudEvents binary mode),
//	                headers ce_specversion, ce_id, ce_type, ce_source, ce_time, ce_schemaversion,
//	                ce_subject, ce_actor, ce_correlationid, ce_causationid where set, content-type
//	tail            a record's key, value and headers as in Kafka's record format v2, from the key's
//	                length to the last header: what follows the deltas that depend on the batch

// Limits of what the log takes. Every adapter has the same, so that a log can move between them.
const (
	// RecordBytesMax bounds a record's tail. Kafka brokers take batches of 1,048,588 bytes by default;
	// this leaves room for the batch's own header and for a client's bookkeeping.
	RecordBytesMax = 1_000_000
	// KeyBytesMax bounds a record's key: keys are ids and are held in memory by many folds.
	KeyBytesMax = 4 << 10
	// HeadersMax and HeaderKeyBytesMax bound what a record costs beyond its bytes when it is parsed.
	HeadersMax        = 100
	HeaderKeyBytesMax = 256
	// StreamBytesMax bounds a stream's name: it is a key of indexes and a part of URLs.
	StreamBytesMax = 400
	// CommitEventsMax bounds one command's decision, so that no reader meets an unbounded one.
	CommitEventsMax = 1000
	// CommitIDBytesMax leaves room for ids derived from a (reactor, cause, step) beside UUIDs.
	CommitIDBytesMax = 100
)

const (
	typeBatch      = "application/cloudevents-batch+json"
	typeStructured = "application/cloudevents+json"
	typeJSON       = "application/json"

	interactionType = "user.interaction"

	// VoidHeader marks records that are none: an adapter that cannot leave an offset out fills holes with
	// them and shows them to no reader. No other record has it.
	VoidHeader = "projectionist-void"

	headerContentType = "content-type"
	headerCommitID    = "commit_id"
	headerExpected    = "expected_revision"

	headerSpecVersion = "ce_specversion"
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerSource      = "ce_source"
	headerTime        = "ce_time"
	headerSchema      = "ce_schemaversion"
	headerSubject     = "ce_subject"
	headerActor       = "ce_actor"
	headerCorrelation = "ce_correlationid"
	headerCausation   = "ce_causationid"
)

// typeOfTopic is the event type of a plain JSON value on a feed.
var typeOfTopic = map[string]string{
	events.UserEventsTopic:      interactionType,
	events.RecommendationsTopic: "recommendation.served",
	events.DriftAlertsTopic:     "model.drift",
	events.SystemHealthTopic:    "system.health",
}

// CheckStream says whether a stream name can be used: 1 to [StreamBytesMax] bytes of UTF-8 without
// control characters. The error is fault.Invalid or fault.TooLarge.
func CheckStream(name string) error {
	if name == "" {
		return fault.Field("stream", "the stream's name is empty; want one such as model/als")
	}
	if len(name) > StreamBytesMax {
		return fault.New(fault.TooLarge, "stream name of %d bytes; at most %d are allowed", len(name), StreamBytesMax)
	}
	if !utf8.ValidString(name) {
		return fault.Field("stream", "the stream's name %q is not UTF-8", name)
	}
	for _, r := range name {
		if r < 0x20 || r == 0x7f {
			return fault.Field("stream", "the stream's name %q has a control character", name)
		}
	}
	return nil
}

func checkCommit(c *Commit) error {
	if err := CheckStream(c.Stream); err != nil {
		return err
	}
	if c.ID == "" || len(c.ID) > CommitIDBytesMax {
		return fault.Field("commit_id", "commit id %.20q has %d bytes; want 1 to %d, such as a UUID", c.ID, len(c.ID), CommitIDBytesMax)
	}
	for i := 0; i < len(c.ID); i++ {
		if c.ID[i] <= ' ' || c.ID[i] > '~' {
			return fault.Field("commit_id", "commit id %q has other than visible ASCII characters", c.ID)
		}
	}
	if c.Expected < AnyRevision {
		return fault.Field("expected_revision", "expected revision %d; want 0 or more, %d (no stream) or %d (any)", c.Expected, NoStream, AnyRevision)
	}
	if len(c.Events) == 0 {
		return fault.Field("events", "the commit has no event; want 1 to %d", CommitEventsMax)
	}
	if len(c.Events) > CommitEventsMax {
		return fault.New(fault.TooLarge, "commit of %d events; at most %d are allowed", len(c.Events), CommitEventsMax)
	}
	return nil
}

// CheckRecord says whether the log takes the record: its tail, key and headers are within the limits.
// The error is fault.TooLarge, or fault.Invalid for a header key that is not UTF-8 or the log's own.
func CheckRecord(r *Record) error {
	if len(r.Key) > KeyBytesMax {
		return fault.New(fault.TooLarge, "record key of %d bytes; at most %d are allowed", len(r.Key), KeyBytesMax)
	}
	if len(r.Headers) > HeadersMax {
		return fault.New(fault.TooLarge, "record with %d headers; at most %d are allowed", len(r.Headers), HeadersMax)
	}
	for i := range r.Headers {
		k := r.Headers[i].Key
		if len(k) > HeaderKeyBytesMax {
			return fault.New(fault.TooLarge, "record header key of %d bytes; at most %d are allowed", len(k), HeaderKeyBytesMax)
		}
		if k == VoidHeader {
			return fault.Field("headers", "header key %q is the log's own", k)
		}
		if !isASCII(k) && !utf8.ValidString(k) {
			return fault.Field("headers", "header key %q is not UTF-8", k)
		}
	}
	if n := TailSize(r); n > RecordBytesMax {
		return fault.New(fault.TooLarge, "record of %d bytes; at most %d are allowed", n, RecordBytesMax)
	}
	return nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// CommitRecord is the record of a commit on the ledger's topic, without offset and time. Errors are
// fault.Invalid or fault.TooLarge and name what is wrong with the commit.
func CommitRecord(c Commit) (Record, error) {
	if err := checkCommit(&c); err != nil {
		return Record{}, err
	}
	for i := range c.Events {
		if c.Events[i].Data == nil {
			return Record{}, fault.Field("events", "event %d of the commit has no data", i)
		}
	}
	value, err := json.Marshal(c.Events)
	if err != nil {
		return Record{}, fault.Wrap(fault.Invalid, err, "an event of commit %s has no JSON form", c.ID)
	}
	r := Record{
		Position: Position{TP: TP{Topic: events.LedgerTopic}},
		Key:      []byte(c.Stream),
		Value:    value,
		Headers: []Header{
			{headerContentType, []byte(typeBatch)},
			{headerCommitID, []byte(c.ID)},
			{headerExpected, strconv.AppendInt(nil, int64(c.Expected), 10)},
		},
	}
	return r, CheckRecord(&r)
}

// ReadCommit reads what [CommitRecord] writes. The commit owns its memory. The error is fault.Invalid
// and names what is wrong with the record.
func ReadCommit(r *Record) (Commit, error) {
	if t := string(header(r, headerContentType)); t != typeBatch {
		return Commit{}, fault.Field(headerContentType, "%q; want %s", t, typeBatch)
	}
	c := Commit{ID: string(header(r, headerCommitID)), Stream: string(r.Key)}
	expected, err := strconv.ParseInt(string(header(r, headerExpected)), 10, 64)
	if err != nil {
		return Commit{}, fault.Field(headerExpected, "%q; want a number", header(r, headerExpected))
	}
	c.Expected = Revision(expected)
	if err := json.Unmarshal(r.Value, &c.Events); err != nil {
		return Commit{}, fault.Wrap(fault.Invalid, err, "commit %s on %s cannot be read", c.ID, c.Stream)
	}
	return c, checkCommit(&c)
}

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
	inter, flat := ev.Data.(*events.Interaction)
	flat = flat && raw == nil
	if raw == nil {
		schema = events.SchemaOf(eventType)
		if !flat {
			var err error
			if raw, err = json.Marshal(ev.Data); err != nil {
				return recs, fault.Wrap(fault.Invalid, err, "event %s has no JSON form", ev.ID)
			}
		}
	}
	need := len(key) + len(ev.ID) + len(eventType) + len(ev.Source) + len(ev.Subject) + len(ev.Actor) +
		len(ev.Correlation) + len(ev.Causation) + len(raw) + 64
	if flat {
		need += interactionBytesMax(inter)
	}
	b := e.room(need)
	n0 := len(b)

	var k, v []byte
	k, b = put(b, key)
	if flat {
		n := len(b)
		var err error
		if b, err = appendInteraction(b, inter); err != nil {
			return recs, err
		}
		v = b[n:len(b):len(b)]
	} else {
		n := len(b)
		b = append(b, raw...)
		v = b[n:len(b):len(b)]
	}

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
	n := len(b)
	b = appendTime(b, ev.Time)
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

// ReadFact reads a record of a feed: CloudEvents in binary or structured mode or, without any ce_
// header, the plain JSON documented for the topic. A plain value's id is its position, its source
// "/kafka", its time the value's "timestamp" or else when the log took it. The event owns its memory.
// The error is fault.Invalid and names what is wrong: such a record belongs in quarantine.
func ReadFact(r *Record) (events.Event, error) {
	var ev events.Event
	var spec, stamp, schema, contentType []byte
	var eventType string
	binaryMode := false
	for i := range r.Headers {
		h := &r.Headers[i]
		switch h.Key {
		case headerSpecVersion:
			spec, binaryMode = h.Value, true
		case headerID:
			ev.ID, binaryMode = string(h.Value), true
		case headerType:
			eventType, binaryMode = knownString(h.Value), true
		case headerSource:
			ev.Source, binaryMode = knownString(h.Value), true
		case headerTime:
			stamp, binaryMode = h.Value, true
		case headerSchema:
			schema = h.Value
		case headerSubject:
			ev.Subject = string(h.Value)
		case headerActor:
			ev.Actor = knownString(h.Value)
		case headerCorrelation:
			ev.Correlation = string(h.Value)
		case headerCausation:
			ev.Causation = string(h.Value)
		case headerContentType:
			contentType = h.Value
		}
	}
	if !binaryMode {
		if bytes.HasPrefix(contentType, []byte(typeStructured)) {
			if err := json.Unmarshal(r.Value, &ev); err != nil {
				return events.Event{}, fault.Wrap(fault.Invalid, err, "record %s is no CloudEvent", r.Position)
			}
			return ev, nil
		}
		return readPlain(r)
	}
	if string(spec) != "1.0" {
		return events.Event{}, fault.Field(headerSpecVersion, "record %s has %q; want 1.0", r.Position, spec)
	}
	if ev.ID == "" || ev.Source == "" {
		return events.Event{}, fault.Field(headerID, "record %s has no ce_id or no ce_source", r.Position)
	}
	ev.Time = r.Recorded
	if stamp != nil {
		t, err := time.Parse(time.RFC3339Nano, string(stamp))
		if err != nil {
			return events.Event{}, fault.Field(headerTime, "record %s has %q; want RFC 3339", r.Position, stamp)
		}
		ev.Time = t.UTC()
	}
	ev.Schema = 1
	if schema != nil {
		n, err := strconv.Atoi(string(schema))
		if err != nil {
			return events.Event{}, fault.Field(headerSchema, "record %s has %q; want a number", r.Position, schema)
		}
		ev.Schema = n
	}
	ev.Raw = bytes.Clone(r.Value)
	var err error
	if ev.Data, err = events.Decode(eventType, ev.Schema, ev.Raw); err != nil {
		return events.Event{}, fault.Wrap(fault.Invalid, err, "record %s cannot be read", r.Position)
	}
	if stamp := stampOf(ev.Data); stamp != nil && *stamp == "" {
		*stamp = events.FormatTime(ev.Time)
	}
	return ev, nil
}

func readPlain(r *Record) (events.Event, error) {
	eventType, ok := typeOfTopic[r.Topic]
	if !ok {
		return events.Event{}, fault.New(fault.Invalid, "record %s has no CloudEvents headers, and topic %q has no documented plain form", r.Position, r.Topic)
	}
	ev := events.Event{ID: r.Position.String(), Source: "/kafka", Time: r.Recorded, Schema: 1, Raw: bytes.Clone(r.Value)}
	var err error
	if ev.Data, err = events.Decode(eventType, 1, ev.Raw); err != nil {
		return events.Event{}, fault.Wrap(fault.Invalid, err, "record %s cannot be read", r.Position)
	}
	if stamp := stampOf(ev.Data); *stamp != "" {
		millis, err := events.TimeMillis(*stamp)
		if err != nil {
			return events.Event{}, fault.Field("timestamp", "record %s has %q: %v", r.Position, *stamp, err)
		}
		ev.Time = time.UnixMilli(millis).UTC()
	} else { // it happened when the log took it
		*stamp = events.FormatTime(ev.Time)
	}
	return ev, nil
}

// stampOf is the timestamp in a fact of one of typeOfTopic's types, nil for another.
func stampOf(d events.Data) *string {
	switch d := d.(type) {
	case *events.Interaction:
		return &d.Timestamp
	case *events.RecommendationServed:
		return &d.Timestamp
	case *events.ModelDrift:
		return &d.Timestamp
	case *events.SystemHealth:
		return &d.Timestamp
	}
	return nil
}

func header(r *Record, key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}

// knownString spares an allocation for values that most facts share.
func knownString(b []byte) string {
	switch string(b) {
	case interactionType:
		return interactionType
	case "recommendation.served":
		return "recommendation.served"
	case "importer":
		return "importer"
	case "/kafka":
		return "/kafka"
	}
	return string(b)
}
