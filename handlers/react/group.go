package react

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Group is this process's membership of a reactor's consumer group. Its messages are records of the
// ledger's topic, with their position as metadata "position", in order, the next one after the last was
// acked; *kafka.Subscriber is one.
type Group interface {
	message.Subscriber
	// Assigned says whether the messages come to this member now, and since which offset.
	Assigned() (from int64, here bool)
}

// shared turns the records that this member of a group is given into the events the reactor wants. A
// record is only a hint where to look: whether it is an accepted commit, the ledger says. It is acked,
// and thereby done for the whole group, when the last of its events was.
type shared struct {
	delivery
	group  Group
	ledger streams.Ledger
	wants  func(*events.Event) bool

	next    atomic.Int64          // offset after the last record that was dealt with here
	halted  atomic.Pointer[error] // why it does not go on
	running sync.WaitGroup
}

var _ source = (*shared)(nil)

func (s *shared) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	records, err := s.group.Subscribe(ctx, topic)
	if err != nil {
		return nil, err
	}
	out := make(chan *message.Message)
	s.running.Go(func() {
		defer close(out)
		for record := range records {
			if !s.relay(record.Context(), record, out) {
				record.Nack()
				continue
			}
			record.Ack()
		}
	})
	return out, nil
}

// relay delivers a record's events; false if the membership ended before, or the record must come again. At a commit
// that this program cannot read the whole group halts, until the member that is given it can, or an operator has told
// all to pass over it.
func (s *shared) relay(ctx context.Context, record *message.Message, out chan<- *message.Message) bool {
	at, err := streams.ParsePosition(record.Metadata.Get(metaPosition))
	if err != nil {
		s.log.Error("a message of the group names no record; it is left out", "message", record.UUID, "error", err)
		return true
	}
	c, err := s.commit(ctx, at.Offset)
	told := ""
	for pause := s.resend; err != nil; pause = min(2*pause, resendMax) {
		if ctx.Err() != nil {
			return false
		}
		s.halted.Store(&err)
		if err.Error() != told {
			told = err.Error()
			s.log.Error("the ledger cannot be read; it is looked at again", "position", at, "error", err)
		}
		if !sleep(ctx, pause) {
			return false
		}
		c, err = s.commit(ctx, at.Offset)
	}
	s.halted.Store(nil)
	if c != nil {
		for i := range c.Events {
			if s.wants(&c.Events[i]) && !s.deliver(ctx, out, entry{cursor{at.Offset, i}, &c.Events[i]}) {
				return false
			}
		}
	}
	s.next.Store(at.Offset + 1)
	return true
}

// commit is the accepted commit at an offset; nil if the record there is void.
func (s *shared) commit(ctx context.Context, offset int64) (*streams.Committed, error) {
	// The ledger may be behind the group. Past a void record at its end the next commit is waited for:
	// until then there is nothing to react to anyway.
	if err := s.ledger.Wait(ctx, offset); err != nil {
		return nil, err
	}
	for c, err := range s.ledger.Read(ctx, offset) {
		if c != nil && c.Position.Offset != offset {
			break
		}
		return c, err
	}
	return nil, nil
}

func (s *shared) Close() error {
	err := s.group.Close()
	s.running.Wait()
	return err
}

func (s *shared) stat(ctx context.Context) place {
	from, here := s.group.Assigned()
	if !here {
		return place{}
	}
	p := place{offset: max(from, s.next.Load()), here: true}
	if head, err := s.ledger.Head(ctx, time.Time{}); err == nil {
		p.lag = max(0, head-p.offset)
	}
	if err := s.halted.Load(); err != nil {
		p.err = *err
	}
	return p
}
