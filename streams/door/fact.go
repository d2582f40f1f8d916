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
	rec         streams.Record
	fact        events.Event
	interaction events.Interaction
}

var factRooms = sync.Pool{New: func() any { return new(factRoom) }}

// ValidFact says whether a record of a feed is one that every view can read, as [streams.ReadFact] judges it. now
// stands for the time at which the log will take it. It is what a program gives a door as Config.Validate.
func ValidFact(topic string, rec *streams.Record, now time.Time) error {
	room := factRooms.Get().(*factRoom)
	defer factRooms.Put(room)
	room.rec = *rec
	room.rec.Topic, room.rec.Recorded = topic, now
	err := room.read.ReadAhead(&room.rec, &room.fact, &room.interaction)
	room.rec = streams.Record{} // its slices are the caller's
	return err
}
