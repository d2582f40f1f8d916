package streams

import (
	"encoding/json"
	"fmt"
	"strconv"
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
	value := []byte{'['}
	for i := range c.Events {
		if i > 0 {
			value = append(value, ',')
		}
		var err error
		if value, err = c.Events[i].AppendJSON(value); err != nil {
			return Record{}, fault.Wrap(fault.Invalid, err, "an event of commit %s has no JSON form", c.ID)
		}
	}
	value = append(value, ']')
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

// ReadCommit reads what [CommitRecord] writes. The commit owns its memory. A commit with an event that this program
// cannot read is one all the same: see [Commit.Unreadable]. The error is fault.Invalid, names what is wrong with the
// record, and says that it is no commit.
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
	if json.Unmarshal(r.Value, &c.Events) != nil {
		if c.Events, err = readForeign(r.Value); err != nil {
			return Commit{}, fault.Wrap(fault.Invalid, err, "commit %s on %s cannot be read", c.ID, c.Stream)
		}
	}
	return c, checkCommit(&c)
}

// readForeign reads the events of a commit of which this program cannot read one: all are [*events.Foreign], as a
// commit counts as a whole.
func readForeign(value []byte) ([]events.Event, error) {
	var raw []json.RawMessage
	if err := json.Unmarshal(value, &raw); err != nil {
		return nil, err
	}
	evs := make([]events.Event, len(raw))
	for i := range raw {
		var err error
		if evs[i], err = events.ReadForeign(raw[i]); err != nil {
			return nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	return evs, nil
}

func header(r *Record, key string) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == key {
			return r.Headers[i].Value
		}
	}
	return nil
}
