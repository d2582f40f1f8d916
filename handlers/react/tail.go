package react

import (
	"context"
	"errors"
	"log/slog"
	"sort"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

type entry struct {
	at    cursor
	event *events.Event
}

// tail reads the ledger once for all its subscribers and keeps what one of them still wants.
type tail struct {
	ledger streams.Ledger
	log    *slog.Logger
	subs   []*Subscriber // fixed before run

	mu      sync.Mutex
	entries []entry
	scanned int64 // entries holds all that is wanted below this offset
	err     error // why the ledger is not read further for now
	changed chan struct{}
}

func newTail(l streams.Ledger, log *slog.Logger) *tail {
	return &tail{ledger: l, log: log, changed: make(chan struct{})}
}

func (t *tail) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// start sets where to read from: the hindmost cursor.
func (t *tail) start() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries, t.scanned = nil, t.subs[0].cursor.Offset
	for _, s := range t.subs[1:] {
		t.scanned = min(t.scanned, s.cursor.Offset)
	}
}

// run reads until ctx ends. While the ledger cannot be read it says so and looks again: all reactors halt at a commit
// that this program cannot read, until it can, or an operator has told all to pass over it.
func (t *tail) run(ctx context.Context) {
	for backoff := time.Duration(0); ctx.Err() == nil; {
		err := t.read(ctx)
		if err == nil {
			t.note(nil)
			backoff = 0
			err = t.ledger.Wait(ctx, t.scanned)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		t.note(err)
		backoff = min(max(2*backoff, backoffMin), backoffMax)
		sleep(ctx, backoff)
	}
}

// note keeps why the ledger is not read further, nil if it is, and says it once.
func (t *tail) note(err error) {
	t.mu.Lock()
	was := t.err
	t.err = err
	t.mu.Unlock()
	switch {
	case err != nil && (was == nil || was.Error() != err.Error()):
		t.log.Error("the ledger cannot be read; it is looked at again", "from", t.scanned, "error", err)
	case err == nil && was != nil:
		t.log.Info("the ledger is read again", "from", t.scanned)
	}
}

// read takes in what the ledger has from scanned on.
func (t *tail) read(ctx context.Context) error {
	head, err := t.ledger.Head(ctx, time.Time{})
	if err != nil {
		return err
	}
	var found []entry
	read := 0
	for c, err := range t.ledger.Read(ctx, t.scanned) {
		if c == nil {
			return err
		}
		if err != nil {
			return errors.Join(t.publish(ctx, found, c.Position.Offset), err)
		}
		for i := range c.Events {
			if t.wanted(&c.Events[i]) {
				found = append(found, entry{cursor{c.Position.Offset, i}, &c.Events[i]})
			}
		}
		if read++; read%publishEvery == 0 {
			if err := t.publish(ctx, found, c.Position.Offset+1); err != nil {
				return err
			}
			found = nil
		}
		head = max(head, c.Position.Offset+1)
	}
	return t.publish(ctx, found, head)
}

func (t *tail) wanted(ev *events.Event) bool {
	for _, s := range t.subs {
		if s.wants(ev) {
			return true
		}
	}
	return false
}

// publish hands on what was found below the offset, once there is room.
func (t *tail) publish(ctx context.Context, found []entry, scanned int64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.entries) >= pendingMax {
		changed := t.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		t.mu.Lock()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	t.entries = append(t.entries, found...)
	t.scanned = max(t.scanned, scanned)
	t.wake()
	return nil
}

// next is the first event from the cursor on that s wants; without one, how far it was looked for and
// what tells of more.
func (t *tail) next(s *Subscriber) (e entry, found bool, looked int64, changed chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := sort.Search(len(t.entries), func(i int) bool { return !t.entries[i].at.before(s.cursor) })
	for _, e := range t.entries[from:] {
		if s.wants(e.event) {
			return e, true, 0, nil
		}
	}
	return entry{}, false, t.scanned, t.changed
}

// advance moves a subscriber's cursor and drops what nobody wants any more.
func (t *tail) advance(s *Subscriber, to cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !s.cursor.before(to) {
		return
	}
	s.cursor = to
	least := to
	for _, o := range t.subs {
		if o.cursor.before(least) {
			least = o.cursor
		}
	}
	if n := sort.Search(len(t.entries), func(i int) bool { return !t.entries[i].at.before(least) }); n > 0 {
		full := len(t.entries) >= pendingMax
		t.entries = append([]entry(nil), t.entries[n:]...)
		if full {
			t.wake()
		}
	}
}

// lag is how many offsets of the ledger the subscriber has not passed, of those that were read.
func (t *tail) lag(s *Subscriber) (next cursor, lag int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return s.cursor, max(0, t.scanned-s.cursor.Offset)
}

// why is why the ledger is not read further, nil if it is.
func (t *tail) why() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
