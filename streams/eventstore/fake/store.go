package fake

import (
	"encoding/json"
	"math"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Event is one event as it is stored.
type Event struct {
	Position uint64 // in $all; commit and prepare position are the same, as for every event of this protocol
	Stream   string
	Number   uint64 // in the stream
	ID       uuid.UUID
	Type     string
	JSON     bool
	Data     []byte
	Metadata []byte
	Created  time.Time // 100 ns
}

// MaxAppendSize is the server's default limit of one append: data, metadata and two bytes per character
// of the type, of all its events.
const MaxAppendSize = 1 << 20

// Store is what a server keeps; the servers of a cluster share one.
type Store struct {
	mu      sync.Mutex
	events  []Event // in the order of $all
	next    uint64  // position of the next event
	streams map[string]*stream
	recent  map[uuid.UUID]place // the idempotency cache
	changed chan struct{}       // closed when an event is added
	now     func() time.Time
}

type stream struct {
	events     []int // indexes of Store.events by number
	tombstoned bool
}

type place struct {
	stream string
	number int64
}

// NewStore is an empty store.
func NewStore() *Store {
	return &Store{streams: map[string]*stream{}, recent: map[uuid.UUID]place{}, changed: make(chan struct{}), now: time.Now}
}

// SetClock gives the times of events; default time.Now.
func (s *Store) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Events are copies of all events, in the order of $all.
func (s *Store) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event{}, s.events...)
}

// ForgetRecent empties the idempotency cache, as a restart does, or too many other events.
func (s *Store) ForgetRecent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.recent)
}

// LoseTail takes the last n events away, as a restored backup does.
func (s *Store) LoseTail(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.events[len(s.events)-n].Position
	for _, e := range s.events[len(s.events)-n:] {
		st := s.streams[e.Stream]
		st.events = st.events[:len(st.events)-1]
		if len(st.events) == 0 {
			delete(s.streams, e.Stream)
		}
		delete(s.recent, e.ID)
	}
	s.events = s.events[:len(s.events)-n]
}

// Put appends an event to a stream as another program would, whatever the stream's revision is.
func (s *Store) Put(name, eventType string, isJSON bool, data, metadata []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(name, []Event{{ID: uuid.New(), Type: eventType, JSON: isJSON, Data: data, Metadata: metadata}})
	s.wake()
}

// Expected revisions below the numbers.
const (
	noStream     = -1
	anyRevision  = -2
	streamExists = -4
)

type decision int

const (
	written decision = iota
	wrongExpected
	idempotent
	deleted
)

// outcome of an append: the number and position of its last event, or the stream's current number.
type outcome struct {
	decision decision
	number   int64
	position uint64
}

// append judges and writes. The caller wakes the subscribers.
func (s *Store) append(name string, expected int64, events []Event) outcome {
	current := int64(noStream)
	st := s.streams[name]
	if st != nil {
		if st.tombstoned {
			return outcome{decision: deleted}
		}
		current = int64(len(st.events)) - 1
	}
	wrong := outcome{decision: wrongExpected, number: current}
	again := func(last int64) outcome {
		return outcome{idempotent, last, s.events[st.events[last]].Position}
	}
	switch {
	case expected == streamExists && (current < 0 || s.softDeleted(name)):
		return wrong
	case expected == anyRevision || expected == streamExists:
		for i, e := range events {
			p, ok := s.recent[e.ID]
			if ok = ok && p.stream == name; !ok {
				if i > 0 {
					return wrong // a part of it is there
				}
				break
			}
			if i == len(events)-1 {
				return again(p.number)
			}
		}
	case expected < current:
		number := expected
		for i, e := range events {
			number++
			if number > current || s.events[st.events[number]].ID != e.ID {
				if i > 0 || expected != noStream || !s.softDeleted(name) {
					return wrong
				}
				number = -1
				break
			}
		}
		if number >= 0 {
			return again(number)
		}
	case expected > current:
		return wrong
	}
	undelete := s.softDeleted(name)
	if undelete {
		s.setTruncateBefore(name, uint64(current+1))
	}
	last := s.write(name, events)
	return outcome{written, int64(last.Number), last.Position}
}

func (s *Store) write(name string, events []Event) Event {
	st := s.streams[name]
	if st == nil {
		st = &stream{}
		s.streams[name] = st
	}
	var last Event
	for _, e := range events {
		e.Stream, e.Number, e.Position = name, uint64(len(st.events)), s.next
		e.Created = s.now().UTC().Truncate(100 * time.Nanosecond)
		s.next += uint64(len(e.Data)+len(e.Metadata)+2*len(e.Type)+len(name)) + 70
		st.events = append(st.events, len(s.events))
		s.events = append(s.events, e)
		s.recent[e.ID] = place{name, int64(e.Number)}
		last = e
	}
	return last
}

// wake tells the subscribers that there is something new.
func (s *Store) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// truncateBefore is the number of the stream's first event that is not deleted: $tb of its metadata.
func (s *Store) truncateBefore(name string) uint64 {
	meta := s.streams["$$"+name]
	if meta == nil || len(meta.events) == 0 {
		return 0
	}
	var m struct {
		TruncateBefore uint64 `json:"$tb"`
	}
	if json.Unmarshal(s.events[meta.events[len(meta.events)-1]].Data, &m) != nil {
		return 0
	}
	return m.TruncateBefore
}

func (s *Store) setTruncateBefore(name string, number uint64) {
	data, err := json.Marshal(map[string]uint64{"$tb": number})
	if err != nil {
		panic(err)
	}
	s.write("$$"+name, []Event{{ID: uuid.New(), Type: "$metadata", JSON: true, Data: data}})
}

func (s *Store) softDeleted(name string) bool { return s.truncateBefore(name) == math.MaxInt64 }

// Delete deletes a stream's events: softly, so that it may be written to again, or for good.
func (s *Store) Delete(name string, forGood bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if forGood {
		s.write(name, []Event{{ID: uuid.New(), Type: "$streamDeleted", JSON: true}})
		s.streams[name].tombstoned = true
		s.events[len(s.events)-1].Number = math.MaxInt64 // as the server has it
	} else {
		s.setTruncateBefore(name, math.MaxInt64)
	}
	s.wake()
}

// TruncateBefore deletes a stream's events below a number.
func (s *Store) TruncateBefore(name string, number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setTruncateBefore(name, number)
	s.wake()
}
