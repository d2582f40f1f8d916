package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/watermark"
)

// Log is the log on a cluster. Its methods are safe for concurrent use.
type Log struct {
	opts   Options
	dialer *dialer
	client sarama.Client
	pool   pool
	index  *index

	folding  sync.Mutex    // held by who folds the ledger's records into the index
	unjudged chan struct{} // gets a value when this node has written what has to be fetched to be judged

	partitions map[string][]*partition // by topic; fixed after Open
	ledger     *partition
	judged     watermark.Mark // the index's cursor: every record below has a verdict
	head       watermark.Mark // offset after the last accepted commit

	ops       *gate.Gate
	stop      chan struct{}  // closed when all operations have ended: the background ends
	running   sync.WaitGroup // background goroutines
	closeOnce sync.Once
	closeErr  error

	unfit  atomic.Pointer[fault.Error] // what is wrong with the topics, for as long as it is
	broken atomic.Pointer[error]       // why the fold has ended for good
	dead   chan struct{}               // closed with it
}

var _ streams.Log = (*Log)(nil)

// Open connects to the cluster, makes the topics that are missing, checks those that are there, and folds
// the ledger up to its end. Errors: fault.Invalid for options; fault.Unavailable when the cluster does not
// answer or the index is open elsewhere; fault.Forbidden for credentials; fault.Corrupt when a topic has
// settings under which the log would be lost, when it was not filled to its end, when the index belongs
// elsewhere, or when the brokers have lost what stands in it; fault.Conflict for Options.Restoring where
// there are records.
func Open(ctx context.Context, opts Options) (_ *Log, err error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the options of the log on Kafka")
	}
	if err := gate.Ended(ctx); err != nil {
		return nil, err
	}
	l := &Log{opts: opts, dialer: &dialer{}, ops: gate.New(), stop: make(chan struct{}), dead: make(chan struct{}), unjudged: make(chan struct{}, 1)}
	l.pool.config = opts.config(l.dialer, netTimeout)
	where := strings.Join(opts.Brokers, ",")
	if l.client, err = sarama.NewClient(opts.Brokers, opts.config(l.dialer, metadataTimeout)); err != nil {
		return nil, brokerError(err, "no broker of "+where+" can be reached")
	}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	l.partitions = map[string][]*partition{}
	for _, t := range streams.Topics {
		for n := range t.Partitions {
			p := &partition{TP: streams.TP{Topic: t.Name, Partition: n}, name: opts.topicName(t), queue: make(chan *request, queueMax)}
			p.trim.raw, p.filling.next = -1, -1
			p.filling.w = &writer{l: l, p: p, id: -1}
			p.tail.waiting = map[*int64]struct{}{}
			p.ledger = t.Name == events.LedgerTopic
			l.partitions[t.Name] = append(l.partitions[t.Name], p)
		}
	}
	l.ledger = l.partitions[events.LedgerTopic][0]
	id, err := l.openTopics(ctx)
	if err != nil {
		return nil, err
	}
	if l.index, err = openIndex(opts.Dir, opts.Logf); err != nil {
		return nil, err
	}
	if err := l.index.adopt(id.cluster, l.ledger.name, id.topicID); err != nil {
		return nil, err
	}
	if err := l.catchUp(ctx); err != nil {
		return nil, err
	}
	l.running.Go(l.follow)
	if opts.Restoring {
		return l, nil // Restore does its own writing
	}
	l.running.Go(l.watch)
	for _, ps := range l.partitions {
		for _, p := range ps {
			l.running.Go((&writer{l: l, p: p, id: -1}).run)
		}
	}
	return l, nil
}

// Ledger is the control plane's log.
func (l *Log) Ledger() streams.Ledger { return ledger{l} }

// Feed is the data plane's log; the ledger's topic can be read with it, void records included.
func (l *Log) Feed() streams.Feed { return feed{l} }

// Close ends all reads and waits, waits for the appends under way, and leaves the cluster. It may be
// called again.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	var late error
	if !l.ops.Close(l.opts.CloseTimeout) {
		late = fault.New(fault.Unavailable, "the log on Kafka is still in use after %v", l.opts.CloseTimeout)
	}
	close(l.stop)
	l.dialer.cut()
	l.running.Wait()
	l.pool.close()
	err := l.client.Close()
	if errors.Is(err, sarama.ErrClosedClient) {
		err = nil
	}
	if late != nil {
		return late // a reader has the index open: it is left to the end of the process
	}
	if l.index != nil {
		err = errors.Join(err, l.index.close())
	}
	return fault.Wrap(fault.Unavailable, err, "the log on Kafka was not closed cleanly; nothing acknowledged is lost")
}

func (l *Log) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// partition finds a partition.
func (l *Log) partition(tp streams.TP) (*partition, error) {
	ps := l.partitions[tp.Topic]
	if err := streams.CheckPartition(tp, len(ps)); err != nil {
		return nil, err
	}
	return ps[tp.Partition], nil
}

func (l *Log) String() string {
	return fmt.Sprintf("log on Kafka at %s", strings.Join(l.opts.Brokers, ","))
}

// Stats says what the fold has made of the ledger's records, and how far it is.
type Stats struct {
	Judged   int64  // offset of the first record without a verdict
	Accepted uint64 // commits
	// Void records, for every reader on every node: expected revisions that did not fit, commit ids
	// accepted before, and what is no commit.
	Conflicts, Duplicates, Garbage uint64
}

// Stats gives the counts since the ledger's beginning.
func (l *Log) Stats() Stats {
	s := l.index.snapshot()
	return Stats{Judged: s.Cursor, Accepted: s.Counts[accepted], Conflicts: s.Counts[conflict], Duplicates: s.Counts[duplicate], Garbage: s.Counts[garbage]}
}
