package door

import (
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// ValidFact says whether a record of a feed is one that every view can read: what [streams.ReadFact] says
// and, of an interaction, Validate. now stands for the time at which the log will take it. It is what a
// program gives a door as Config.Validate; the common shape costs half of reading the fact.
func ValidFact(topic string, rec *streams.Record, now time.Time) error {
	if topic == events.UserEventsTopic && len(rec.Headers) == 0 && validInteraction(rec.Value) {
		return nil
	}
	r := *rec
	r.Topic, r.Recorded = topic, now
	ev, err := streams.ReadFact(&r)
	if err != nil {
		return err
	}
	if x, ok := ev.Data.(*events.Interaction); ok {
		return x.Validate()
	}
	return nil
}

// validInteraction says whether a plain value is a valid interaction with a time of its own.
func validInteraction(value []byte) bool {
	var x events.Interaction
	return events.ParseInteraction(value, &x) == nil && x.Timestamp != "" && x.Validate() == nil
}
