package eventstore

import (
	"crypto/sha256"
	"math"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// fold is the ledger as the events of the category make it, in the order of $all. Every process reaches
// the same one.
type fold struct {
	prefix string

	mu       sync.Mutex
	entries  []entry          // accepted commits, ascending by offset and by position; only ever appended to
	ids      map[idHash]int32 // of accepted commits: index of entries
	streams  map[string]*streamState
	open     *pending             // a commit whose last event has not come by
	filling  filling              // whether the ledger is filled from another one
	restored int                  // how many commits it had when that ended
	tail     tail                 // the last accepted event
	begun    bool                 // an event was folded
	last     uint64               // position of the last event folded
	seen     uint64               // position up to which $all is folded
	live     bool                 // the subscription stands
	counts   Stats                // its counts
	waiting  map[string][]*waiter // by commit id
	doubted  map[string]struct{}  // ids of commits of which it is not known whether they were written
	changed  chan struct{}        // closed at the next change; nil when nobody waits
	broken   error                // why the fold has ended for good
}

// entry is an accepted commit.
type entry struct {
	offset      int64
	first, last uint64 // positions of its first and last event in $all
	millis      int64  // recorded
	revision    streams.Revision
	events      int32
}

func (e *entry) receipt() streams.Receipt {
	return streams.Receipt{Position: position(e.offset), Revision: e.revision + streams.Revision(e.events) - 1, Recorded: time.UnixMilli(e.millis).UTC()}
}

func position(offset int64) streams.Position {
	return streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: offset}
}

// idHash stands for a commit id: 128 bits of SHA-256 do not collide by chance.
type idHash [16]byte

func hashID(id string) idHash {
	h := sha256.Sum256([]byte(id))
	return idHash(h[:16])
}

// streamState is a stream as far as it is folded.
type streamState struct {
	head  streams.Revision // of the last accepted event
	next  uint64           // number of the server's next event
	last  int64            // offset of the last accepted commit
	voids []uint64         // numbers of events that do not count, ascending
}

// number is the server's number of an accepted event.
func (s *streamState) number(r streams.Revision) uint64 {
	n := uint64(r)
	for _, v := range s.voids {
		if v > n {
			break
		}
		n++
	}
	return n
}

// pending is a commit that is coming by. Its events follow one another: the server writes an append whole.
type pending struct {
	commitMeta
	stream *streamState
	first  uint64
	number uint64
	got    int
}

// filling says whether the ledger is filled from another one: see restore.go.
type filling int

const (
	neverFilled filling = iota
	beingFilled         // restored commits count, no others
	wasFilled           // others count, no restored ones
)

// tail names an event, to see whether the server still has it.
type tail struct {
	stream string // the server's name; "" for none
	number uint64
	id     uuid.UUID
}

// waiter waits for the verdict on an attempt.
type waiter struct {
	attempt string
	done    chan verdict // buffered
}

type verdict struct {
	receipt streams.Receipt
	err     error
}

func newFold(prefix string) *fold {
	return &fold{prefix: prefix, ids: map[idHash]int32{}, streams: map[string]*streamState{}, waiting: map[string][]*waiter{}, doubted: map[string]struct{}{}}
}

// add folds the next event of the category. The error is fault.Corrupt: nothing can be folded after it.
func (f *fold) add(e *esdb.RecordedEvent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	defer f.bump()
	p := e.Position.Commit
	if f.begun && p <= f.seen {
		return nil // folded before
	}
	f.begun, f.last, f.seen = true, p, p
	name := strings.TrimPrefix(e.StreamID, f.prefix)
	s := f.streams[name]
	if s == nil {
		s = &streamState{head: streams.NoStream, last: -1}
		f.streams[name] = s
	}
	if e.EventType == "$streamDeleted" { // the end of a stream that was deleted for good; it has no number
		f.counts.Garbage++
		return nil
	}
	if e.EventNumber != s.next {
		f.broken = fault.New(fault.Corrupt, "stream %s goes on with event %d; %d was expected: the server has lost or deleted events", e.StreamID, e.EventNumber, s.next).
			WithHint("restore the server from a backup that has them, or move the ledger's copy to a new category")
		return f.broken
	}
	s.next++
	m, ok := parseFrame(e)
	if !ok || !goodStream(name) {
		f.discard()
		if name != "" || !f.mark(e.EventType) {
			f.garbage(s, e.EventNumber)
		}
		return nil
	}
	if m.Commit.Index == 0 {
		f.discard()
		f.open = &pending{commitMeta: m.Commit, stream: s, first: p, number: e.EventNumber}
	}
	o := f.open
	if o == nil || o.stream != s || m.Commit.Index != o.got || m.Commit.ID != "" && m.Commit.ID != o.ID || m.Commit.Count != 0 && m.Commit.Count != o.Count {
		f.discard()
		f.garbage(s, e.EventNumber)
		return nil
	}
	if o.got++; o.got == o.Count {
		f.open = nil
		if f.judge(name, o, p, e.CreatedDate.UnixMilli()) {
			f.tail = tail{e.StreamID, e.EventNumber, e.EventID}
		}
	}
	return nil
}

// mark takes an event of the stream without a name: it says that the ledger is filled from another one, or
// that this is over. Where it comes at the wrong time it is void, as is anything else there.
func (f *fold) mark(eventType string) (ok bool) {
	switch {
	case eventType == fillBegun && f.filling == neverFilled && len(f.entries) == 0:
		f.filling = beingFilled
	case eventType == fillEnded && f.filling == beingFilled:
		f.filling, f.restored = wasFilled, len(f.entries)
	default:
		return false
	}
	return true
}

// judge decides about a commit whose events have all come by: it counts if its id was not accepted before,
// its expected revision is the stream's head, and it is restored if and only if the ledger is being filled.
// A restored one has its offset and recorded time with it, which go on from those before; any other has the
// next offset, and the server's time.
func (f *fold) judge(name string, o *pending, last uint64, millis int64) (accepted bool) {
	s, expected := o.stream, *o.Expected
	void := func() {
		for i := range o.Count {
			s.voids = append(s.voids, o.number+uint64(i))
		}
	}
	id := hashID(o.ID)
	if _, known := f.ids[id]; known {
		f.counts.Duplicates++
		void()
		return false
	}
	offset, lastMillis := f.head(), int64(math.MinInt64)
	if n := len(f.entries); n > 0 {
		lastMillis = f.entries[n-1].millis
	}
	var refused error
	switch r := o.Restored; {
	case expected != streams.AnyRevision && expected != s.head:
		refused = streams.Conflict(name, expected, s.head)
	case (r != nil) != (f.filling == beingFilled):
		refused = f.notOpenFor(r != nil)
	case r == nil:
		millis = max(millis, lastMillis) // the clock of another leader may be behind
	case r.Offset < offset || r.Offset > judgedOffsetMax:
		refused = fault.New(fault.Conflict, "commit %s is to be restored at offset %d; the next one is %d", o.ID, r.Offset, offset)
	case r.Millis < lastMillis:
		refused = fault.New(fault.Corrupt, "commit %s was recorded before the one that it follows", o.ID)
	default:
		offset, millis = r.Offset, r.Millis
	}
	if refused != nil {
		f.counts.Conflicts++
		void()
		f.tell(o.ID, func(w *waiter) (verdict, bool) { return verdict{err: refused}, w.attempt == o.Attempt })
		return false
	}
	e := entry{offset: offset, first: o.first, last: last, millis: millis, revision: s.head + 1, events: int32(o.Count)}
	f.ids[id] = int32(len(f.entries))
	f.entries = append(f.entries, e)
	f.counts.Accepted++
	s.head += streams.Revision(o.Count)
	s.last = offset
	f.tell(o.ID, func(w *waiter) (verdict, bool) {
		r := e.receipt()
		r.Duplicate = w.attempt != o.Attempt
		return verdict{receipt: r}, true
	})
	return true
}

// notOpenFor is why a commit is refused: restored ones count while the ledger is being filled, others while
// it is not.
func (f *fold) notOpenFor(restored bool) error { // f.mu is held
	if restored {
		return fault.New(fault.Conflict, "the ledger on EventStoreDB is not open to be filled")
	}
	return fault.New(fault.Conflict, "the ledger on EventStoreDB is being filled from another one: it takes nothing else")
}

// garbage is an event that is no part of a commit.
func (f *fold) garbage(s *streamState, number uint64) {
	f.counts.Garbage++
	s.voids = append(s.voids, number)
}

// discard gives up a commit that does not go on.
func (f *fold) discard() {
	if o := f.open; o != nil {
		for i := range o.got {
			f.garbage(o.stream, o.number+uint64(i))
		}
		f.open = nil
	}
}

// tell answers the waiters of a commit id that the function chooses.
func (f *fold) tell(id string, answer func(*waiter) (verdict, bool)) {
	var left []*waiter
	for _, w := range f.waiting[id] {
		if v, ok := answer(w); ok {
			w.done <- v
		} else {
			left = append(left, w)
		}
	}
	f.setWaiting(id, left)
}

func (f *fold) setWaiting(id string, ws []*waiter) {
	if len(ws) == 0 {
		delete(f.waiting, id)
	} else {
		f.waiting[id] = ws
	}
}

// await registers a waiter, or says that the commit was accepted before.
func (f *fold) await(id, attempt string) (*waiter, *streams.Receipt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i, known := f.ids[hashID(id)]; known {
		r := f.entries[i].receipt()
		r.Duplicate = true
		return nil, &r
	}
	w := &waiter{attempt, make(chan verdict, 1)}
	f.waiting[id] = append(f.waiting[id], w)
	return w, nil
}

// doubt remembers that an append of the commit ended in doubt.
func (f *fold) doubt(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.doubted) >= doubtedMax {
		clear(f.doubted)
	}
	f.doubted[id] = struct{}{}
}

// doubtedMax bounds what callers that never try again leave behind. Forgetting it is harmless: the server
// may then write a commit twice, and the second is void.
const doubtedMax = 10_000

// inDoubt says whether an append of the commit ended in doubt, and nothing has settled it since.
func (f *fold) inDoubt(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.doubted[id]
	return ok
}

// settle ends the doubt: the fold has what the server had of the commit's stream.
func (f *fold) settle(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.doubted, id)
}

// forget ends what await began.
func (f *fold) forget(id string, w *waiter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var left []*waiter
	for _, other := range f.waiting[id] {
		if other != w {
			left = append(left, other)
		}
	}
	f.setWaiting(id, left)
}

// snapshot are the commits so far, and a stream's state with them; slices are not to be written to.
func (f *fold) snapshot(name string) ([]entry, streamState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	state := streamState{head: streams.NoStream, last: -1}
	if s := f.streams[name]; s != nil {
		state = *s
	}
	return f.entries, state, f.broken
}

// head is the offset after the last accepted commit.
func (f *fold) head() int64 { // f.mu is held
	if n := len(f.entries); n > 0 {
		return f.entries[n-1].offset + 1
	}
	return 0
}

// headAt is the offset after the last commit recorded at or before a time.
func headAt(entries []entry, until time.Time) int64 {
	millis := until.UnixMilli()
	n := sort.Search(len(entries), func(i int) bool { return entries[i].millis > millis })
	if n == 0 {
		return 0
	}
	return entries[n-1].offset + 1
}

// takes says whether restored commits, or others, are taken now.
func (f *fold) takes(restored bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if restored != (f.filling == beingFilled) {
		return f.notOpenFor(restored)
	}
	return nil
}

// lastRestored says that no commit was accepted after the filling ended.
func (f *fold) lastRestored() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.entries) == f.restored
}

// ordinal is which accepted commit has the id, counted from 0.
func (f *fold) ordinal(id string) (n int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.ids[hashID(id)]
	return int(i), ok
}

// state says whether the ledger is filled, and how many commits it has.
func (f *fold) state() (filling, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.filling, len(f.entries)
}

// checkpoint says that there is nothing of the category up to a position.
func (f *fold) checkpoint(p uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = max(f.seen, p)
}

// rewind forgets checkpoints: the server may have lost the events of others on which they stood.
func (f *fold) rewind() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen = f.last
}

// at says where to go on.
func (f *fold) at() (seen uint64, t tail) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen, f.tail
}

// stats are the counts, and how far the fold is.
func (f *fold) stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.counts
	s.Seen, s.Live = f.seen, f.live
	return s
}

func (f *fold) setLive(live bool) (was bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was, f.live = f.live, live
	f.bump()
	return was
}

// fail ends the fold for good.
func (f *fold) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = err
	}
	f.bump()
}

func (f *fold) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// look calls the function under the lock: when it says no, the channel tells of the next change.
func (f *fold) look(fn func() bool) (ok bool, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fn() {
		return true, nil, nil
	}
	if f.broken != nil {
		return false, nil, f.broken
	}
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return false, f.changed, nil
}

func (f *fold) bump() { // f.mu is held
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// judgedStreamBytes and judgedOffsetMax are part of the rule: see judgedEvents. Above the greatest offset
// that can be restored there is room for as many commits again.
const (
	judgedStreamBytes = 400
	judgedOffsetMax   = 1 << 62
)

func goodStream(s string) bool {
	if len(s) == 0 || len(s) > judgedStreamBytes || !utf8.ValidString(s) {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return true
}
