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

// ValidFact says whether a record of a feed is one that every view can read, as [streams.ReadFact] judges it, and
// whether it may be of the time that it says. One that says none happened at the time that the client gave the
// record, if that can be: it gets the header for it. Else, as a plain value in the log without one, it happens when
// the log takes it. now is the clock. It is what a program gives a door as Config.Validate.
func ValidFact(topic string, rec *streams.Record, now time.Time) error {
	room := factRooms.Get().(*factRoom)
	defer factRooms.Put(room)
	room.rec = *rec
	room.rec.Topic = topic
	err := room.read.ReadAhead(&room.rec, &room.fact, &room.interaction)
	room.rec = streams.Record{} // its slices are the caller's
	switch {
	case err != nil:
		return err
	case !room.fact.Time.IsZero():
		return room.fact.CheckTime(now)
	}
	if own := rec.Recorded; !own.Before(ownTimeMin) && events.CheckTime(own, now) == nil {
		streams.Date(rec, own)
	}
	return nil
}

// ownTimeMin is when records' own times begin: a clock that was never set stands in 1970, and so do seconds that
// are taken for milliseconds.
var ownTimeMin = time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)
