package door

import (
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// factRoom is where a fact is read that only has to be judged.
type factRoom struct {
	read        streams.FactReader
	fact        events.Event
	interaction events.Interaction
}

var factRooms = sync.Pool{New: func() any { return new(factRoom) }}

// ValidFact says whether a record of a feed is one that every view can read, as [streams.ReadFact] judges it, and
// whether it may be of the time that it says. One that says none happened at the time that the client gave the
// record, if that can be: it gets the header for it. Else, as a plain value in the log without one, it happens when
// the log takes it. now is the clock. It is what a program gives a door as Config.Validate.
func ValidFact(topic string, rec *streams.Record, now time.Time) error {
	room := factRooms.Get().(*factRoom)
	defer factRooms.Put(room)
	return readFact(&room.read, &room.fact, &room.interaction, topic, rec, now)
}

// ReadFact is ValidFact, and gives what it has read: once placed, what reading the record from the log gives. It is what
// a program gives a door as Config.Read.
func ReadFact(topic string, rec *streams.Record, now time.Time) (*events.Event, error) {
	var read streams.FactReader
	fact := new(events.Event)
	return fact, readFact(&read, fact, new(events.Interaction), topic, rec, now)
}

func readFact(read *streams.FactReader, fact *events.Event, room *events.Interaction, topic string, rec *streams.Record, now time.Time) error {
	r := *rec
	r.Topic = topic
	if err := read.ReadAhead(&r, fact, room); err != nil {
		return err
	}
	if !fact.Time.IsZero() {
		return fact.CheckTime(now)
	}
	if own := rec.Recorded; !own.Before(ownTimeMin) && events.CheckTime(own, now) == nil {
		streams.Date(rec, own)
		fact.Date(own)
	}
	return nil
}

// ownTimeMin is when records' own times begin: a clock that was never set stands in 1970, and so do seconds that
// are taken for milliseconds.
var ownTimeMin = time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)
