package eventstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// metadata is what stands in an event's metadata, as JSON. $correlationId and $causationId are the names
// that EventStoreDB's own projections know. An id or count that equals the first event's may be missing
// in the others.
type metadata struct {
	SpecVersion string     `json:"specversion,omitempty"`
	ID          string     `json:"id"`
	Source      string     `json:"source"`
	Subject     string     `json:"subject,omitempty"`
	Time        string     `json:"time"`
	Schema      int        `json:"schemaversion"`
	Actor       string     `json:"actor,omitempty"`
	Correlation string     `json:"$correlationId,omitempty"`
	Causation   string     `json:"$causationId,omitempty"`
	Commit      commitMeta `json:"commit"`
	// Envelope is the event as it was written in another log, where this program could not read it and the rest of
	// the metadata does not say it all.
	Envelope json.RawMessage `json:"envelope,omitempty"`
}

type commitMeta struct {
	ID       string            `json:"id,omitempty"`
	Index    int               `json:"index"`
	Count    int               `json:"count,omitempty"`
	Expected *streams.Revision `json:"expected,omitempty"` // of the first event only
	Attempt  string            `json:"attempt,omitempty"`  // of the first event only: which try of which writer
	Restored *restoredMeta     `json:"restored,omitempty"` // of the first event only: where and when the commit stood in another log
}

// restoredMeta is what a commit keeps that was copied from another log.
type restoredMeta struct {
	Offset int64 `json:"offset"`
	Millis int64 `json:"millis"` // recorded, Unix time
}

// appendBytesMax is the server's default limit of one append.
const appendBytesMax = 1 << 20

// eventIDs is the name space of event ids. It never changes: the server's own recognition of repeated
// appends rests on it.
var eventIDs = uuid.MustParse("6f0d7b0a-4c1e-5d0e-9a41-3d6b0a5c2f17")

// encode makes the events of one append. A commit that streams.CommitRecord takes fits the server's
// default limit, in the short form if it must.
func encode(c *streams.Commit, attempt string, restored *restoredMeta) ([]esdb.EventData, error) {
	out, size, err := encodeAs(c, attempt, restored, false)
	if err == nil && size > appendBytesMax {
		out, size, err = encodeAs(c, attempt, restored, true)
	}
	if err == nil && size > appendBytesMax {
		err = fault.New(fault.TooLarge, "commit %s takes %d bytes on the server; at most %d are allowed", c.ID, size, appendBytesMax)
	}
	return out, err
}

func encodeAs(c *streams.Commit, attempt string, restored *restoredMeta, short bool) (_ []esdb.EventData, size int, err error) {
	out := make([]esdb.EventData, len(c.Events))
	for i := range c.Events {
		e := &c.Events[i]
		m := metadata{
			SpecVersion: "1.0", ID: e.ID, Source: e.Source, Subject: e.Subject, Time: events.FormatTime(e.Time), Schema: e.Schema,
			Actor: e.Actor, Correlation: e.Correlation, Causation: e.Causation,
			Commit: commitMeta{ID: c.ID, Index: i, Count: len(c.Events)},
		}
		switch {
		case i == 0:
			m.Commit.Expected, m.Commit.Attempt, m.Commit.Restored = &c.Expected, attempt, restored
		case short:
			m.SpecVersion, m.Commit.ID, m.Commit.Count = "", "", 0
		}
		var payload any = e.Raw // as written; Marshal gives it the form it has in a record
		if e.Raw == nil {
			payload, m.Schema = e.Data, events.SchemaOf(e.Type())
		}
		if m.Envelope, err = envelopeOf(e); err != nil {
			return nil, 0, fault.Wrap(fault.Invalid, err, "event %d of commit %s", i, c.ID)
		}
		data, err := json.Marshal(payload)
		if err != nil {
			return nil, 0, fault.Wrap(fault.Invalid, err, "event %d of commit %s has no JSON form", i, c.ID)
		}
		meta, err := json.Marshal(m)
		if err != nil {
			return nil, 0, fault.Wrap(fault.Invalid, err, "event %d of commit %s has no JSON form", i, c.ID)
		}
		out[i] = esdb.EventData{EventID: eventID(c, i), EventType: e.Type(), ContentType: esdb.ContentTypeJson, Data: data, Metadata: meta}
		size += len(data) + len(meta) + 2*len(e.Type())
	}
	return out, size, nil
}

// envelopeOf is the envelope of an event that this program cannot read, nil if data and metadata say all of it.
func envelopeOf(e *events.Event) (json.RawMessage, error) {
	f, ok := e.Data.(*events.Foreign)
	if !ok {
		return nil, nil
	}
	if strings.HasPrefix(f.Name, "$") {
		return nil, fault.New(fault.Invalid, "its type %s is one of EventStoreDB's own, and cannot be written there", f.Name)
	}
	same, err := events.AsForeign(*e, f.Name, f.Err)
	if err != nil {
		return nil, err
	}
	var have bytes.Buffer
	if err := json.Compact(&have, f.Envelope); err != nil {
		return nil, err
	}
	if bytes.Equal(have.Bytes(), same.Data.(*events.Foreign).Envelope) {
		return nil, nil
	}
	return f.Envelope, nil
}

// eventID is the id under which the server knows an event. A commit that was refused and comes again with
// another expected revision is another append to the server.
func eventID(c *streams.Commit, index int) uuid.UUID {
	return uuid.NewSHA1(eventIDs, fmt.Appendf(nil, "%s\x00%d\x00%d", c.ID, c.Expected, index))
}

// The rule by which every process judges every event of the category. Processes of different versions
// must reach the same verdict: the rule looks at an event's frame only, never at what it means, and its
// limits are written here and not taken from the program's, which may be raised one day. Frames that the
// program refuses to write today may therefore be accepted; they are found when they are decoded.
const (
	judgedCommitIDBytes = 100
	judgedEvents        = 1000
)

// parseFrame reads an event's frame; false means that it is no event of a commit.
func parseFrame(e *esdb.RecordedEvent) (m metadata, ok bool) {
	if e.ContentType != "application/json" || e.EventType == "" || e.EventType[0] == '$' || e.Position.Commit != e.Position.Prepare {
		return m, false
	}
	if json.Unmarshal(e.UserMetadata, &m) != nil || !json.Valid(e.Data) || string(e.Data) == "null" {
		return m, false
	}
	if _, err := time.Parse(time.RFC3339Nano, m.Time); err != nil {
		return m, false
	}
	c := &m.Commit
	if c.Index == 0 {
		return m, goodCommitID(c.ID) && c.Count >= 1 && c.Count <= judgedEvents && c.Expected != nil && *c.Expected >= streams.AnyRevision
	}
	return m, c.Index > 0 && c.Index < judgedEvents && c.Expected == nil && c.Restored == nil
}

func goodCommitID(s string) bool {
	if len(s) == 0 || len(s) > judgedCommitIDBytes {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// decode makes an event of a frame, an [*events.Foreign] of one that this program cannot read. It owns its memory: the
// client gives every event its own.
func decode(e *esdb.RecordedEvent, m *metadata) (events.Event, error) {
	if m.Envelope != nil {
		return events.ReadForeign(m.Envelope)
	}
	t, err := time.Parse(time.RFC3339Nano, m.Time)
	if err != nil {
		return events.Event{}, err
	}
	ev := events.Event{ID: m.ID, Source: m.Source, Subject: m.Subject, Time: t.UTC(), Schema: m.Schema,
		Actor: m.Actor, Correlation: m.Correlation, Causation: m.Causation, Raw: e.Data}
	if ev.Data, err = events.Decode(e.EventType, m.Schema, e.Data); err != nil {
		return events.AsForeign(ev, e.EventType, err)
	}
	return ev, nil
}

// asOne makes all events of a commit foreign where one cannot be read, and none where all can: it counts as a whole.
func asOne(evs []events.Event) (err error) {
	unread := slices.ContainsFunc(evs, func(e events.Event) bool {
		f, ok := e.Data.(*events.Foreign)
		return ok && f.Err != nil
	})
	for i := range evs {
		f, ok := evs[i].Data.(*events.Foreign)
		switch {
		case unread && !ok:
			evs[i], err = events.AsForeign(evs[i], evs[i].Type(), nil)
		case !unread && ok:
			err = evs[i].UnmarshalJSON(f.Envelope)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
