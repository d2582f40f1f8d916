package react

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Metadata of a message; its payload is the event as CloudEvents structured JSON, its UUID the event's id.
const (
	metaPosition    = "position" // "topic/partition@offset" of the commit
	metaIndex       = "index"    // of the event within its commit
	metaType        = "type"
	metaSubject     = "subject"
	metaCorrelation = "correlation"
)

// cursor is the place of the first event that was not dealt with yet.
type cursor struct {
	Offset int64 `json:"offset"`
	Index  int   `json:"index"`
}

func (c cursor) before(d cursor) bool {
	return c.Offset < d.Offset || c.Offset == d.Offset && c.Index < d.Index
}

func (s *Subscriber) stat(context.Context) place {
	at, lag := s.tail.lag(s)
	return place{at.Offset, lag, true, s.tail.why()}
}

// Subscriber is a watermill subscriber over the ledger for one reactor: one message per wanted event,
// in the ledger's order, the next one only after the last was acked; a nacked one is sent again after a
// pause. What was acked is in the cursor's file: at least once.
type Subscriber struct {
	delivery
	name  string
	tail  *tail
	wants func(*events.Event) bool
	path  string // of the cursor's file

	cursor cursor // guarded by tail.mu
	saved  cursor // of the goroutine that delivers

	running   sync.WaitGroup
	closing   chan struct{}
	closeOnce sync.Once
}

var _ message.Subscriber = (*Subscriber)(nil)

const cursorFormat = "projectionist-cursor 1"

// cursorFile is what the cursor's file holds, as JSON.
type cursorFile struct {
	Format string `json:"format"`
	cursor
}

// newSubscriber registers with the tail and loads the cursor. One that cannot be read, or lies beyond
// the ledger's end, starts anew: events are then seen again, which is harmless.
func newSubscriber(ctx context.Context, t *tail, name, dir string, wants func(*events.Event) bool, drain, resend time.Duration) (*Subscriber, error) {
	s := &Subscriber{name: name, tail: t, wants: wants, path: filepath.Join(dir, name+".cursor"),
		delivery: delivery{t.log.With("reactor", name), drain, resend}, closing: make(chan struct{})}
	b, err := os.ReadFile(s.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fault.Wrap(fault.Unavailable, err, "the cursor of reactor %s cannot be read", name)
	}
	head, headErr := t.ledger.Head(ctx, time.Time{})
	if headErr != nil {
		return nil, headErr
	}
	var f cursorFile
	switch {
	case err != nil: // none yet
	case json.Unmarshal(b, &f) != nil || f.Format != cursorFormat || f.Offset < 0 || f.Index < 0:
		s.log.Warn("the cursor cannot be read; starting at the beginning of the ledger", "file", s.path)
	case f.Offset > head:
		s.log.Warn("the cursor is beyond the ledger's end; starting at its beginning", "file", s.path, "cursor", f.Offset, "head", head)
	default:
		s.cursor = f.cursor
	}
	s.saved = s.cursor
	t.subs = append(t.subs, s)
	return s, nil
}

// Subscribe delivers until ctx ends or [Subscriber.Close]. The topic is the ledger's.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if topic != events.LedgerTopic {
		return nil, fault.New(fault.Invalid, "reactors subscribe to %s, not %q", events.LedgerTopic, topic)
	}
	out := make(chan *message.Message)
	ctx, cancel := context.WithCancel(ctx)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		defer close(out)
		defer cancel()
		go func() {
			select {
			case <-s.closing:
				cancel()
			case <-ctx.Done():
			}
		}()
		s.run(ctx, out)
	}()
	return out, nil
}

// Close ends all deliveries.
func (s *Subscriber) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.running.Wait()
	return nil
}

func (s *Subscriber) run(ctx context.Context, out chan<- *message.Message) {
	defer func() {
		if at, _ := s.tail.lag(s); at != s.saved {
			s.save(at)
		}
	}()
	for ctx.Err() == nil {
		e, found, looked, changed := s.tail.next(s)
		if found {
			if !s.deliver(ctx, out, e) {
				return
			}
			to := cursor{e.at.Offset, e.at.Index + 1}
			s.tail.advance(s, to)
			s.save(to)
			continue
		}
		s.tail.advance(s, cursor{looked, 0})
		if at, _ := s.tail.lag(s); at.Offset-s.saved.Offset >= skippedMax {
			s.save(at)
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// delivery is how a subscriber hands its events on.
type delivery struct {
	log    *slog.Logger
	drain  time.Duration // how long an end waits for the message under way
	resend time.Duration // first pause after a nack, doubling to resendMax
}

// deliver sends the event until it is acked; false if the subscription ended before.
func (s *delivery) deliver(ctx context.Context, out chan<- *message.Message, e entry) bool {
	for pause := s.resend; ; pause = min(2*pause, resendMax) {
		msg, err := messageOf(e)
		if err != nil {
			s.log.Error("an event of the ledger has no JSON form; trying again", "position", ledgerPosition(e.at.Offset), "error", err)
			if !sleep(ctx, pause) {
				return false
			}
			continue
		}
		mctx, cancel := context.WithCancel(ctx)
		msg.SetContext(mctx)
		select {
		case out <- msg:
		case <-ctx.Done():
			cancel()
			return false
		}
		acked, answered := answer(ctx, msg, s.drain)
		cancel()
		switch {
		case acked:
			return true
		case !answered:
			s.log.Warn("the handler did not return in time; its event will be seen again", "event", msg.UUID)
			return false
		}
		if !sleep(ctx, pause) {
			return false
		}
	}
}

// answer waits for the message's ack or nack; after the end of ctx only so long.
func answer(ctx context.Context, msg *message.Message, drain time.Duration) (acked, answered bool) {
	select {
	case <-msg.Acked():
		return true, true
	case <-msg.Nacked():
		return false, true
	case <-ctx.Done():
	}
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-msg.Acked():
		return true, true
	case <-msg.Nacked():
		return false, true
	case <-timer.C:
		return false, false
	}
}

// save replaces the cursor's file. It is not synced: an older cursor only means reading again.
func (s *Subscriber) save(c cursor) {
	b, err := json.Marshal(cursorFile{cursorFormat, c})
	if err == nil {
		tmp := s.path + ".tmp"
		if err = os.WriteFile(tmp, append(b, '\n'), 0o600); err == nil {
			err = os.Rename(tmp, s.path)
		}
	}
	if err != nil {
		s.log.Error("the cursor cannot be written; events may be seen again after a restart", "file", s.path, "error", err)
		return
	}
	s.saved = c
}

func messageOf(e entry) (*message.Message, error) {
	payload, err := json.Marshal(*e.event)
	if err != nil {
		return nil, err
	}
	msg := message.NewMessage(e.event.ID, payload)
	msg.Metadata.Set(metaPosition, ledgerPosition(e.at.Offset).String())
	msg.Metadata.Set(metaIndex, strconv.Itoa(e.at.Index))
	msg.Metadata.Set(metaType, e.event.Type())
	msg.Metadata.Set(metaSubject, e.event.Subject)
	msg.Metadata.Set(metaCorrelation, e.event.Correlation)
	return msg, nil
}

func eventOf(msg *message.Message) (*events.Event, error) {
	var ev events.Event
	if err := json.Unmarshal(msg.Payload, &ev); err != nil {
		return nil, fmt.Errorf("message %s holds no event: %w", msg.UUID, err)
	}
	return &ev, nil
}

func ledgerPosition(offset int64) streams.Position {
	return streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: offset}
}

// sleep waits; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
