package streams

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Header is one record header. CloudEvents attributes travel as ce_* headers (Kafka binding, binary mode).
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a topic, as Kafka knows it.
type Record struct {
	Position
	Recorded time.Time // when the log took it, milliseconds; never decreases with the offset
	Key      []byte
	Value    []byte
	Headers  []Header

	// Fact is the event that the record was made of, where its publisher hands that along: one that is valid and
	// settled ([events.Event.Settled]), so that it is the very one that reading the record gives. A feed may carry
	// it to whoever folds the record ([Carrier]); from then on nobody may change it. It is not stored, and nil in
	// records that were read.
	Fact *events.Event
}

// Topic describes one topic of the log.
type Topic struct {
	Name       string
	Partitions int32
}

// Topics are the log's topics, ledger first: those of [events.Topics]. The hash that chooses a partition is
// murmur2, as Kafka's Java client has it.
var Topics = func() []Topic {
	topics := make([]Topic, len(events.Topics))
	for i, t := range events.Topics {
		topics[i] = Topic{t.Name, t.Partitions}
	}
	return topics
}()

// CheckPartition says whether a topic with so many partitions, 0 for one that the log has not, has this one. The
// error is fault.NotFound.
func CheckPartition(tp TP, partitions int) error {
	if partitions == 0 {
		return fault.New(fault.NotFound, "the log has no topic %q", tp.Topic)
	}
	if tp.Partition < 0 || int(tp.Partition) >= partitions {
		return fault.New(fault.NotFound, "topic %s has no partition %d; it has 0 to %d", tp.Topic, tp.Partition, partitions-1)
	}
	return nil
}

// PartitionsOf are all partitions of the named topics, in the order of Topics; of every topic without a name.
func PartitionsOf(topics ...string) []TP {
	var tps []TP
	for _, t := range Topics {
		if len(topics) > 0 && !slices.Contains(topics, t.Name) {
			continue
		}
		for p := range t.Partitions {
			tps = append(tps, TP{t.Name, p})
		}
	}
	return tps
}

// Feed is the data plane's log: topics of facts. Nothing is refused for its revision.
type Feed interface {
	// Publish appends the records to the topic, each to the partition its Key hashes to ([PartitionOf]),
	// and returns when all are durable. Position and Recorded of the given records are set to where they
	// went. On an error any part of them may have been written. The slices are not kept.
	Publish(ctx context.Context, topic string, recs []Record) error
	// Read yields records of a partition in order from offset `from` up to the head at the time of the
	// call. A yielded record and its slices are valid only until the next one: copy what is kept.
	Read(ctx context.Context, tp TP, from int64) iter.Seq2[*Record, error]
	// Head is the offset after the last durable record recorded at or before `until`; the zero time means now.
	Head(ctx context.Context, tp TP, until time.Time) (int64, error)
	// Wait blocks until Head > from, or ctx ends.
	Wait(ctx context.Context, tp TP, from int64) error
}

// Carried is a fact that was not read from the log but handed along by its publisher.
type Carried struct {
	Offset   int64
	Recorded time.Time
	Fact     *events.Event // what reading the record gives, but for Raw; not to be changed
}

// Carrier is a feed that has the last facts at hand which were published through this process, so that they need not
// be read, parsed and judged again to be folded.
type Carrier interface {
	// Carried gives the facts of a partition from offset `from` to before `until`, in order, or nil: unless it has
	// every one of them at hand, and all are durable.
	Carried(tp TP, from, until int64) []Carried
}

// Log is what an adapter offers: the ledger, and the feeds (the ledger's topic can be read as one too,
// with Feed().Read, but never published to).
type Log interface {
	Ledger() Ledger
	Feed() Feed
	Close() error
}
