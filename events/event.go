package events

import (
	"encoding/json"
	"time"
)

// Data is the payload of an event: a struct of this package, registered under a wire name.
type Data interface {
	// EventType is the wire name, such as "model.version_registered". It never changes once written.
	EventType() string
}

// ActorImporter is the actor of facts that were imported: they happened elsewhere.
const ActorImporter = "importer"

// Event is one immutable fact in its CloudEvents 1.0 envelope.
type Event struct {
	ID      string    // unique with Source; a repeated (Source, ID) is the same event
	Source  string    // who produced it: "/projectionist", "/import/movielens", "/simulation", …
	Subject string    // the stream it belongs to ("model/NAME") or the person ("user/7")
	Time    time.Time // event time: when it happened, millisecond precision, UTC
	Schema  int       // schema version of Data as written; 1 is the first

	Actor       string // who wanted it: "user:anna", "reactor:train", [ActorImporter]
	Correlation string // the request or workflow run all of it belongs to
	Causation   string // id of the event or command that led to it

	Data Data            // decoded and upcast to the newest schema
	Raw  json.RawMessage // as written; nil on an event not yet appended
}

// Type is the wire name of the event's payload, or "" without one.
func (e *Event) Type() string {
	if e.Data == nil {
		return ""
	}
	return e.Data.EventType()
}
