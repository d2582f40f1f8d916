package events

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// From the type and the JSON of a fact to what it says. Reading and judging are one pass: a fact that was read is
// one that every view can fold.

// PlainSource is the source of facts that came without an envelope.
const PlainSource = "/kafka"

const (
	interactionType   = "user.interaction"
	interactionSchema = 1 // the newest
)

// stamped is a payload that says itself when it happened.
type stamped interface{ stamp() *string }

func (i *Interaction) stamp() *string          { return &i.Timestamp }
func (r *RecommendationServed) stamp() *string { return &r.Timestamp }
func (d *ModelDrift) stamp() *string           { return &d.Timestamp }
func (h *SystemHealth) stamp() *string         { return &h.Timestamp }

// DecodeFact is [Decode] and [JudgeFact] for a fact in an envelope of the time at. An interaction is put into *room,
// unless that is nil.
func DecodeFact(eventType string, schema int, raw []byte, at time.Time, room *Interaction) (Data, error) {
	data, err := decodeInto(eventType, schema, raw, room)
	if err != nil {
		return nil, err
	}
	return data, JudgeFact(data, at)
}

// JudgeFact says whether views can fold a payload that has been decoded: of an interaction, what
// [Interaction.Validate] does, of a list what [RecommendationServed.Validate] does. One that does not say when it happened is given the time at.
func JudgeFact(data Data, at time.Time) error {
	if s, ok := data.(stamped); ok {
		if stamp := s.stamp(); *stamp == "" {
			*stamp = FormatTime(at)
		}
	}
	switch x := data.(type) {
	case *Interaction:
		return x.Validate()
	case *FeatureValues:
		return x.Validate()
	case *RecommendationServed:
		return x.Validate()
	}
	return nil
}

func decodeInto(eventType string, schema int, raw []byte, room *Interaction) (Data, error) {
	if room == nil || eventType != interactionType || schema != interactionSchema {
		return Decode(eventType, schema, raw)
	}
	if err := ParseInteraction(raw, room); err != nil {
		return nil, payloadError(eventType, schema, err)
	}
	return room, nil
}

func payloadError(eventType string, schema int, err error) error {
	return fmt.Errorf("payload of %s (schema %d): %w", eventType, schema, err)
}

// DecodePlain reads a value without an envelope, of a topic that takes such, into *into, which it overwrites; it
// judges as [DecodeFact] does, and leaves to [Event.Place] what [DecodeUndated] does.
func DecodePlain(topic Topic, raw []byte, into *Event, room *Interaction) error {
	*into = Event{Source: PlainSource, Schema: 1}
	return DecodeUndated(topic.Plain, raw, into, room)
}

// DecodeUndated is [DecodeFact] for a payload of into.Schema whose envelope, if there is one, does not say when it
// happened. It gives *into the payload and the time that this says; if it says none, the time stays zero for
// [Event.Date] and [Event.Place].
func DecodeUndated(eventType string, raw []byte, into *Event, room *Interaction) error {
	data, err := decodeInto(eventType, into.Schema, raw, room)
	if err != nil {
		return err
	}
	into.Data = data
	var stamp string
	var millis int64
	switch d := data.(type) {
	case *Interaction:
		stamp = d.Timestamp
		millis, err = d.check(stamp != "")
	case stamped:
		if stamp = *d.stamp(); stamp != "" {
			if millis, err = TimeMillis(stamp); err != nil {
				err = &FieldError{"timestamp", err.Error()}
			}
		}
	}
	if x, ok := data.(*FeatureValues); ok && err == nil {
		judged := *x
		if stamp == "" {
			judged.Timestamp = "1970-01-01T00:00:00Z" // its time is still to come; the rest is judged
		}
		err = judged.Validate()
	}
	if x, ok := data.(*RecommendationServed); ok && err == nil {
		err = x.Validate()
	}
	if stamp != "" {
		into.Time = TimeOf(millis)
	}
	return err
}

// AppendJSON appends the JSON of a payload, as encoding/json gives it.
func AppendJSON(b []byte, d Data) ([]byte, error) {
	if x, ok := d.(*Interaction); ok {
		return appendInteraction(b, x)
	}
	raw, err := json.Marshal(d)
	return append(b, raw...), err
}

// JSONBytesMax is what [AppendJSON] appends at most, of payloads that it writes itself; of others it is not known, and 0.
func JSONBytesMax(d Data) int {
	if x, ok := d.(*Interaction); ok {
		return interactionBytesMax(x)
	}
	return 0
}

// Date says when an event happened that does not say so itself.
func (e *Event) Date(at time.Time) {
	if !e.Time.IsZero() {
		return
	}
	e.Time = at.UTC()
	if s, ok := e.Data.(stamped); ok && *s.stamp() == "" {
		*s.stamp() = FormatTime(at)
	}
}

// Place completes an event that has been read, once the log has taken it: its id is its position if it has none, and
// it happened when the log took it if nothing says otherwise.
func (e *Event) Place(position fmt.Stringer, recorded time.Time) {
	if e.ID == "" {
		e.ID = position.String()
	}
	e.Date(recorded)
}

// CheckTime says whether a fact may be taken in now: both when it happened and what its payload says of that have to
// be times that [CheckTime] lets in.
func (e *Event) CheckTime(now time.Time) error {
	if err := CheckTime(e.Time, now); err != nil {
		return err
	}
	if s, ok := e.Data.(stamped); ok {
		if millis, err := TimeMillis(*s.stamp()); err == nil {
			return CheckTime(TimeOf(millis), now)
		}
	}
	return nil
}

// Settled says whether a valid event is the very one that reading its record will give, so that it can stand for
// it: its times and ids are in the form of the log. What would have to be read to know it is not settled.
func (e *Event) Settled() bool {
	x, ok := e.Data.(*Interaction)
	return ok && e.Raw == nil && e.ID != "" && e.Source != "" && e.Schema == interactionSchema &&
		e.Time.Equal(TimeOf(e.Time.UnixMilli())) && e.Time.Location() == time.UTC &&
		e.Time.UnixMilli() >= TimeMillisMin && e.Time.UnixMilli() < TimeMillisEnd &&
		x.Timestamp != "" && x.UserID == CanonicalUser(x.UserID) && x.MovieID == CanonicalMovie(x.MovieID) &&
		(x.Rating != 0 || !math.Signbit(x.Rating))
}
