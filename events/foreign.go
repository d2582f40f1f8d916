package events

import (
	"encoding/json"
	"errors"
	"time"
)

// Foreign stands for the data of an event that this program cannot read: of a type or a schema version it does not
// know, such as a newer release's, or of another shape than its type has. Written again, the event is what it was.
type Foreign struct {
	Name     string          // the event's type
	Envelope json.RawMessage // the whole event, as it was written
	// Err is why the event cannot be read; nil of one that could be, and stands beside one that cannot.
	Err error
}

func (f *Foreign) EventType() string { return f.Name }

// ReadForeign reads an event of which this program need not know the type: CloudEvents 1.0 structured JSON, of which
// the type has to be there. An attribute of another shape than CloudEvents gives it stays empty. The event's Data is a
// [*Foreign], and Raw its data.
func ReadForeign(envelope json.RawMessage) (Event, error) {
	var v struct {
		ID          json.RawMessage `json:"id"`
		Source      json.RawMessage `json:"source"`
		Type        json.RawMessage `json:"type"`
		Subject     json.RawMessage `json:"subject"`
		Time        json.RawMessage `json:"time"`
		Schema      json.RawMessage `json:"schemaversion"`
		Actor       json.RawMessage `json:"actor"`
		Correlation json.RawMessage `json:"correlationid"`
		Causation   json.RawMessage `json:"causationid"`
		Data        json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(envelope, &v); err != nil {
		return Event{}, err
	}
	text := func(raw json.RawMessage) (s string) {
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	f := &Foreign{Name: text(v.Type), Envelope: envelope}
	if f.Name == "" {
		return Event{}, errors.New("the event has no type")
	}
	var read Event
	f.Err = read.UnmarshalJSON(envelope)
	e := Event{ID: text(v.ID), Source: text(v.Source), Subject: text(v.Subject), Actor: text(v.Actor), Correlation: text(v.Correlation),
		Causation: text(v.Causation), Data: f, Raw: v.Data}
	if json.Unmarshal(v.Schema, &e.Schema) != nil {
		e.Schema = 0
	}
	if t, err := time.Parse(time.RFC3339Nano, text(v.Time)); err == nil {
		e.Time = t.UTC()
	}
	return e, nil
}

// AsForeign is an event as one that this program cannot read, and why: of the type name, with e.Raw as its data.
func AsForeign(e Event, name string, why error) (Event, error) {
	raw, err := json.Marshal(envelope{"1.0", e.ID, e.Source, name, e.Subject, FormatTime(e.Time), e.Schema, e.Actor, e.Correlation, e.Causation, e.Raw})
	e.Data = &Foreign{Name: name, Envelope: raw, Err: why}
	return e, err
}
