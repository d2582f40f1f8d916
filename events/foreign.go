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

// ReadForeign reads an event of which this program need not know the type: CloudEvents 1.0 structured JSON with data.
// What else it says stays empty where it has another shape than this program gives it. The event's Data is a [*Foreign],
// and Raw its data.
func ReadForeign(envelope json.RawMessage) (Event, error) {
	var v struct {
		SpecVersion string          `json:"specversion"`
		ID          string          `json:"id"`
		Source      string          `json:"source"`
		Type        string          `json:"type"`
		Time        string          `json:"time"`
		Data        json.RawMessage `json:"data"`
		Subject     json.RawMessage `json:"subject"`
		Schema      json.RawMessage `json:"schemaversion"`
		Actor       json.RawMessage `json:"actor"`
		Correlation json.RawMessage `json:"correlationid"`
		Causation   json.RawMessage `json:"causationid"`
	}
	if err := json.Unmarshal(envelope, &v); err != nil {
		return Event{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, v.Time)
	if err != nil || v.SpecVersion != "1.0" || v.Type == "" || len(v.Data) == 0 || string(v.Data) == "null" {
		return Event{}, errors.New("it is no CloudEvent of version 1.0 with a type, a time and data")
	}
	f := &Foreign{Name: v.Type, Envelope: envelope}
	var read Event
	f.Err = read.UnmarshalJSON(envelope)
	e := Event{ID: v.ID, Source: v.Source, Time: t.UTC(), Data: f, Raw: v.Data}
	e.Subject, e.Actor, e.Correlation, e.Causation = text(v.Subject), text(v.Actor), text(v.Correlation), text(v.Causation)
	if json.Unmarshal(v.Schema, &e.Schema) != nil {
		e.Schema = 0
	}
	return e, nil
}

// text is a JSON string, "" for anything else.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// AsForeign is an event as one that this program cannot read, and why: of the type name, with e.Raw as its data.
func AsForeign(e Event, name string, why error) (Event, error) {
	raw, err := json.Marshal(envelope{"1.0", e.ID, e.Source, name, e.Subject, FormatTime(e.Time), e.Schema, e.Actor, e.Correlation, e.Causation, e.Raw})
	e.Data = &Foreign{Name: name, Envelope: raw, Err: why}
	return e, err
}
