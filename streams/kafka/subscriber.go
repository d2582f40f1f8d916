package kafka

import (
	"context"
	"sync/atomic"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// MetaPosition is the metadata of a [Subscriber]'s messages with the position of the record,
// "mlops-events/0@12".
const MetaPosition = "position"

// Subscriber is a member of a consumer group on the ledger's topic. The group's members share one place in
// it: each record, accepted commit or not, is given to one of them as a message, in order, the next one
// after the last was acked; when that member leaves or dies another goes on from there. A record can be
// given again: at least once.
type Subscriber struct {
	inner  *wkafka.Subscriber
	prefix string
	member member
}

var _ message.Subscriber = (*Subscriber)(nil)

// Subscriber makes a member of a group, whose name is given the log's topic prefix. Close it before the
// log. Errors: fault.Invalid.
func (l *Log) Subscriber(group string, logger watermill.LoggerAdapter) (*Subscriber, error) {
	c := l.opts.config(l.dialer, groupRebalance+netTimeout) // a join is answered when all have joined
	c.Net.DialTimeout = netTimeout
	c.Consumer.Return.Errors = true
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Session.Timeout, c.Consumer.Group.Heartbeat.Interval = groupSession, groupHeartbeat
	c.Consumer.Group.Rebalance.Timeout = groupRebalance
	c.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategySticky()}
	s := &Subscriber{prefix: l.opts.TopicPrefix}
	var err error
	s.inner, err = wkafka.NewSubscriber(wkafka.SubscriberConfig{
		Brokers: l.opts.Brokers, ConsumerGroup: s.prefix + group, OverwriteSaramaConfig: c,
		Unmarshaler: recordMessage{s.prefix}, Tracer: &s.member,
	}, logger)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "a member of consumer group %s", group)
	}
	return s, nil
}

// Subscribe delivers until ctx ends or [Subscriber.Close]. The topic is the ledger's.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if topic != events.LedgerTopic {
		return nil, fault.New(fault.Invalid, "groups are on %s, not on %q", events.LedgerTopic, topic)
	}
	return s.inner.Subscribe(ctx, s.prefix+topic)
}

// Assigned says whether this member is the one that is given the group's messages now, and from which
// offset on it has been.
func (s *Subscriber) Assigned() (from int64, here bool) {
	return s.member.from.Load(), s.member.assigned.Load()
}

// Close ends all deliveries and leaves the group.
func (s *Subscriber) Close() error { return s.inner.Close() }

// recordMessage makes a message of a record: its value, and where it stands.
type recordMessage struct{ prefix string }

func (m recordMessage) Unmarshal(r *sarama.ConsumerMessage) (*message.Message, error) {
	p := streams.Position{TP: streams.TP{Topic: r.Topic[len(m.prefix):], Partition: r.Partition}, Offset: r.Offset}
	msg := message.NewMessage(p.String(), r.Value)
	msg.Metadata.Set(MetaPosition, p.String())
	return msg, nil
}

// member sees what the group's sessions give this process. Watermill lets it in as a tracer.
type member struct {
	wkafka.OTELSaramaTracer // of what a group has no use for
	assigned                atomic.Bool
	from                    atomic.Int64
}

func (m *member) WrapConsumerGroupHandler(h sarama.ConsumerGroupHandler) sarama.ConsumerGroupHandler {
	return session{h, m}
}

type session struct {
	sarama.ConsumerGroupHandler
	m *member
}

func (s session) ConsumeClaim(gs sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	s.m.from.Store(max(claim.InitialOffset(), 0)) // below 0: the group has no place yet
	s.m.assigned.Store(true)
	defer s.m.assigned.Store(false)
	// A message under way may go on for long after the session has ended: then it is another member's.
	defer context.AfterFunc(gs.Context(), func() { s.m.assigned.Store(false) })()
	return s.ConsumerGroupHandler.ConsumeClaim(gs, claim)
}
