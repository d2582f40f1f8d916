package kafka

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
	"unsafe"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

var _ streams.Restorer = (*Log)(nil)

// A log that is being filled has topics of message.timestamp.type=CreateTime, so that records keep the
// times they have, and so that no program takes half a log for a whole one: the check of the settings
// refuses it. The ledger's topic is the mark. It is made, or set, as the first, and set to LogAppendTime
// as the last.
//
// A record has to get the offset it had. What a partition's end is, is known; a batch that was acknowledged
// for another place means that somebody else writes, and ends it. Offsets that were passed over are filled
// with void records (streams.VoidHeader).

// openRestoring sets the mark where a filling begins, and has all topics take times as they are given.
func (l *Log) openRestoring(ctx context.Context, client sarama.Client, admin sarama.ClusterAdmin, found map[string]topicFound) error {
	if found[l.ledger.name].settings[timestampType] != writersTime {
		for _, tp := range streams.PartitionsOf() {
			p := l.partitions[tp.Topic][tp.Partition]
			end, err := l.endOf(ctx, p)
			if err != nil {
				return err
			}
			if end > 0 {
				return fault.New(fault.Conflict, "topic %s has records of its own, up to offset %d of partition %d: the log cannot be filled from another one", p.name, end, p.Partition).
					WithHint("copy to a cluster without such topics, or give the copy's topics a prefix: kafka://…?prefix=name.")
			}
		}
	}
	for _, t := range streams.Topics { // the ledger's is the first
		name := l.opts.topicName(t)
		if have := found[name].settings; have[timestampType] == brokersTime {
			if err := l.setTimes(ctx, client, admin, name, writersTime); err != nil {
				return err
			}
			have[timestampType] = writersTime
		}
	}
	return nil
}

// writable refuses appends to a log that is opened to be filled.
func (l *Log) writable() error {
	if l.opts.Restoring {
		return fault.New(fault.Conflict, "%s is open to be filled from another one: it takes nothing else", l)
	}
	if err := l.unfit.Load(); err != nil {
		return err
	}
	return nil
}

// Restore writes batches one after another, each to the place it has to get. Commits are judged before by
// what the fold has, and the fold's verdict is waited for.
func (l *Log) Restore(ctx context.Context, tp streams.TP, recs []streams.Record) error {
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if !l.opts.Restoring {
		return fault.New(fault.Conflict, "%s is not open to be filled", l)
	}
	if len(recs) == 0 {
		return nil
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	f := &p.filling
	f.Lock()
	defer f.Unlock()
	if f.done {
		return fault.New(fault.Conflict, "%s was filled to its end", l)
	}
	if f.next < 0 {
		end, err := l.endOf(ctx, p)
		if err != nil {
			return err
		}
		f.next = end
	}
	if p.ledger && f.next > 0 {
		if err := l.waitFor(ctx, &l.judged, f.next-1, l.ops.Ending()); err != nil {
			return err
		}
	}
	good, refused := l.restorable(p, f.next, recs)
	before := l.Stats()
	if err := l.restore(ctx, p, recs[:good]); err != nil {
		return err
	}
	if p.ledger && good > 0 {
		if err := l.waitFor(ctx, &l.judged, recs[good-1].Offset, l.ops.Ending()); err != nil {
			return err
		}
		if n := l.Stats().Accepted - before.Accepted; n != uint64(good) {
			return fault.New(fault.Corrupt, "%d commits were restored and %d of them accepted: somebody else writes to topic %s", good, n, p.name).
				WithHint("stop whoever writes there, delete the copy's topics and begin again")
		}
	}
	return refused
}

// restorable says how many of the records can be restored behind an offset, and why the next one cannot.
func (l *Log) restorable(p *partition, next int64, recs []streams.Record) (int, error) {
	var frames []frame
	if p.ledger {
		frames = parseFrames(recs)
	}
	heads, ids := map[string]streams.Revision{}, map[string]bool{}
	millis := l.index.snapshot().Millis
	for i := range recs {
		r := &recs[i]
		at := streams.Position{TP: p.TP, Offset: r.Offset}
		if r.Offset < next {
			return i, fault.New(fault.Conflict, "record %s is to be restored, and %s has records up to offset %d", at, p.TP, next)
		}
		if r.Offset-next > holeMax {
			return i, fault.New(fault.Invalid, "%s has no record from offset %d to %d: a hole of more than %d offsets is not filled", p.TP, next, r.Offset, holeMax).
				WithHint("copy into a data folder, which holds holes of any length")
		}
		if err := streams.CheckRecord(r); err != nil {
			return i, fault.Wrap(fault.CodeOf(err), err, "record %s", at)
		}
		if r.Recorded.UnixMilli() < 0 {
			return i, fault.New(fault.Corrupt, "record %s has no recorded time", at)
		}
		next = r.Offset + 1
		if !p.ledger {
			continue
		}
		f := &frames[i]
		if f.events == 0 {
			return i, fault.New(fault.Corrupt, "record %s of the ledger is no commit", at)
		}
		if r.Recorded.UnixMilli() < millis {
			return i, fault.New(fault.Corrupt, "commit %s was recorded before the one that it follows", at)
		}
		millis = r.Recorded.UnixMilli()
		known := ids[f.id]
		if !known {
			_, found, err := l.index.entry(f.id)
			if err != nil {
				return i, err
			}
			known = found
		}
		head, ok := heads[f.stream]
		if !ok {
			var err error
			if head, err = l.index.head(f.stream); err != nil {
				return i, err
			}
		}
		if v := judge(f, head, known); v != accepted {
			return i, fault.New(fault.Corrupt, "commit %s (id %s, on stream %s) would not be accepted: it is a %s", at, f.id, f.stream, v)
		}
		heads[f.stream], ids[f.id] = head+streams.Revision(f.events), true
	}
	return len(recs), nil
}

// parseFrames parses on all processors; the frame of what is no commit has no events.
func parseFrames(recs []streams.Record) []frame {
	frames := make([]frame, len(recs))
	workers := min(runtime.GOMAXPROCS(0), 1+len(recs)/256)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * len(recs) / workers; i < (w+1)*len(recs)/workers; i++ {
				if f, ok := parseFrame(&recs[i]); ok {
					frames[i] = f
				}
			}
		})
	}
	wg.Wait()
	return frames
}

// restoring is a batch of records that follow each other.
type restoring struct {
	recs  []*sarama.Record
	times []int64 // milliseconds
	bytes int
}

func (b *restoring) add(r *sarama.Record, millis int64, size int) {
	b.recs = append(b.recs, r)
	b.times = append(b.times, millis)
	b.bytes += size + recordOverhead
}

// restore writes records that can be restored.
func (l *Log) restore(ctx context.Context, p *partition, recs []streams.Record) error {
	f := &p.filling
	var b restoring
	flush := func(last bool) error {
		if len(b.recs) == 0 {
			return nil
		}
		if err := f.w.restore(ctx, &b, f.next); err != nil {
			f.next = -1
			return err
		}
		f.next += int64(len(b.recs))
		if last { // not behind void records
			p.last.Raise(f.next)
		}
		b = restoring{recs: b.recs[:0], times: b.times[:0]}
		return nil
	}
	for i := range recs {
		r := &recs[i]
		millis := r.Recorded.UnixMilli()
		for f.next+int64(len(b.recs)) < r.Offset { // one that is passed over
			if b.bytes+voidBytes > batchBytes {
				if err := flush(false); err != nil {
					return err
				}
			}
			b.add(voidRecord(), millis, voidBytes)
		}
		size := streams.TailSize(r)
		if len(b.recs) > 0 && b.bytes+size+recordOverhead > batchBytes {
			if err := flush(false); err != nil {
				return err
			}
		}
		b.add(wireRecord(r), millis, size)
	}
	return flush(true)
}

// wireRecord shares the record's memory.
func wireRecord(r *streams.Record) *sarama.Record {
	headers := make([]sarama.RecordHeader, len(r.Headers))
	out := &sarama.Record{Key: r.Key, Value: r.Value, Headers: make([]*sarama.RecordHeader, len(r.Headers))}
	for i := range r.Headers {
		h := &r.Headers[i]
		// The bytes are the record's, and only read. An empty key is not a nil one, which Kafka refuses.
		headers[i] = sarama.RecordHeader{Key: []byte{}, Value: h.Value}
		if h.Key != "" {
			headers[i].Key = unsafe.Slice(unsafe.StringData(h.Key), len(h.Key))
		}
		out.Headers[i] = &headers[i]
	}
	return out
}

const voidBytes = len(streams.VoidHeader) + 8

var voidHeaders = []*sarama.RecordHeader{{Key: []byte(streams.VoidHeader)}}

func voidRecord() *sarama.Record { return &sarama.Record{Headers: voidHeaders} }

// restore writes a batch to a place, which is the partition's end. It is sent again under the same producer
// id and sequence while the outcome is not known, which the broker recognises; where it no longer knows the
// producer, what stands in the log decides.
func (w *writer) restore(ctx context.Context, b *restoring, want int64) error {
	l, p := w.l, w.p
	first, last := b.times[0], slices.Max(b.times)
	for i, r := range b.recs {
		r.OffsetDelta = int64(i)
		r.TimestampDelta = time.Duration(b.times[i]-first) * time.Millisecond
	}
	expires := time.Now().Add(l.opts.WriteTimeout)
	maybe := false // written, by an attempt whose answer is not known
	for try := 0; ; try++ {
		err := func() error {
			if w.id < 0 {
				if maybe {
					if there, err := l.arrived(ctx, p, b, want); there || err != nil {
						return err
					}
					maybe = false
				}
				if err := w.introduce(); err != nil {
					return err
				}
			}
			ack, err := w.produce(b.recs, time.UnixMilli(first), time.UnixMilli(last))
			if err != nil {
				var unsent errUnsent
				maybe = maybe || !errors.As(err, &unsent)
				return err
			}
			switch ack.Err {
			case sarama.ErrNoError:
				if ack.Offset != want {
					return fault.New(fault.Corrupt, "a batch for offset %d of %s went to offset %d: somebody else writes to topic %s", want, p.TP, ack.Offset, p.name).
						WithHint("stop whoever writes there, delete the copy's topics and begin again")
				}
				// A broker that recognises a batch answers with the latest time in it.
				if !ack.Timestamp.IsZero() && ack.Timestamp.UnixMilli() != last {
					return fault.New(fault.Corrupt, "topic %s gave records times of its own: %s was changed while it was filled", p.name, timestampType).
						WithHint("delete the copy's topics and begin again")
				}
			case sarama.ErrDuplicateSequenceNumber:
				w.id, maybe = -1, true
				return errAgain
			case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch, sarama.ErrInvalidProducerIDMapping:
				w.id = -1
				return errAgain
			case sarama.ErrRequestTimedOut, sarama.ErrNotEnoughReplicasAfterAppend:
				maybe = true
				return ack.Err
			default:
				return ack.Err
			}
			return nil
		}()
		if err == nil {
			return nil
		}
		again := errors.Is(err, errAgain) || transient(err)
		if again && !errors.Is(err, errAgain) {
			l.refresh(p)
		}
		if !again || time.Now().After(expires) || !l.pause(ctx, try) {
			w.id = -1
			switch {
			case ctx.Err() != nil && maybe:
				return fault.Wrap(fault.Unknown, ctx.Err(), "the caller gave up while %s was being written", p.TP)
			case ctx.Err() != nil:
				return gate.Ended(ctx)
			case maybe && again:
				return fault.Wrap(fault.Unknown, err, "the brokers did not answer: it may or may not have been written to %s", p.TP)
			}
			return brokerError(err, "nothing was written to "+p.TP.String())
		}
	}
}

// errAgain: the next try does better.
var errAgain = errors.New("once more")

// arrived says whether a batch stands where it has to, and is the last there.
func (l *Log) arrived(ctx context.Context, p *partition, b *restoring, want int64) (bool, error) {
	end, err := l.endOf(ctx, p)
	if err != nil || end == want {
		return false, err
	}
	strange := fault.New(fault.Corrupt, "%s ends at offset %d; a batch of %d records was written to %d, or was not", p.TP, end, len(b.recs), want).
		WithHint("somebody else writes to topic %s: stop them, delete the copy's topics and begin again", p.name)
	if end != want+int64(len(b.recs)) {
		return false, strange
	}
	same := 0
	for from := want; from < end; {
		k, err := l.fetchBlock(ctx, p, from, 0, l.opts.FetchBytes)
		if err != nil {
			return false, err
		}
		if k == nil || k.next == from {
			return false, fault.New(fault.Unavailable, "%s is known to reach offset %d; the brokers give nothing from %d on", p.TP, end, from)
		}
		k.all(func(r *streams.Record) bool {
			i := r.Offset - want
			if i >= 0 && i < int64(len(b.recs)) && r.Recorded.UnixMilli() == b.times[i] && equal(r, b.recs[i]) {
				same++
			}
			return true
		})
		from = k.next
	}
	if same != len(b.recs) {
		return false, strange
	}
	return true, nil
}

func equal(r *streams.Record, s *sarama.Record) bool {
	return bytes.Equal(r.Key, s.Key) && bytes.Equal(r.Value, s.Value) &&
		slices.EqualFunc(r.Headers, s.Headers, func(h streams.Header, g *sarama.RecordHeader) bool {
			return h.Key == string(g.Key) && bytes.Equal(h.Value, g.Value)
		})
}

// Restored has the brokers give records their times again, the ledger's topic as the last, and sees that
// they do: one void record is written to the end of every partition. It waits up to a minute for a last
// record from the future.
func (l *Log) Restored(ctx context.Context) error {
	if !l.opts.Restoring {
		return fault.New(fault.Conflict, "%s is not open to be filled", l)
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	tps := streams.PartitionsOf()
	last := make([]time.Time, len(tps)) // recorded
	for i, tp := range tps {
		p := l.partitions[tp.Topic][tp.Partition]
		p.filling.Lock()
		defer p.filling.Unlock()
		head, err := l.headAt(ctx, p, time.Time{})
		if err != nil {
			return err
		}
		if head == 0 {
			continue
		}
		err = l.read(ctx, tp, head-1, func(r *streams.Record, _ error) bool {
			last[i] = r.Recorded
			return false
		})
		if err != nil {
			return err
		}
		if ahead := time.Until(last[i]); ahead > aheadMax {
			return fault.New(fault.Unavailable, "the last record of %s is from %v, which is in the future: later ones would step back", tp, last[i].Format(time.RFC3339)).
				WithHint("set the clock, or run it again then")
		} else if ahead > 0 && !l.sleep(ctx, ahead) {
			return l.ops.Stay(ctx)
		}
	}
	client, err := sarama.NewClient(l.opts.Brokers, l.opts.config(l.dialer, adminTimeout))
	if err != nil {
		return brokerError(err, "the cluster does not answer")
	}
	defer client.Close()
	admin, err := sarama.NewClusterAdminFromClient(client)
	if err != nil {
		return brokerError(err, "the cluster has no controller")
	}
	for _, t := range slices.Backward(streams.Topics) {
		if err := l.setTimes(ctx, client, admin, l.opts.topicName(t), brokersTime); err != nil {
			return err
		}
	}
	for i, tp := range tps {
		p := l.partitions[tp.Topic][tp.Partition]
		p.filling.done = true
		if err := p.filling.w.seal(ctx, last[i]); err != nil {
			return err
		}
	}
	return nil
}

// seal writes void records until the broker gives one a time of its own, at or after the last record's. An
// outcome that is not known does not matter here.
func (w *writer) seal(ctx context.Context, last time.Time) error {
	expires := time.Now().Add(w.l.opts.WriteTimeout)
	for try := 0; ; try++ {
		var err error
		if w.id < 0 {
			err = w.introduce()
		}
		if err == nil {
			now := time.Now()
			var ack *sarama.ProduceResponseBlock
			if ack, err = w.produce([]*sarama.Record{voidRecord()}, now, now); err == nil && ack.Err != sarama.ErrNoError {
				err = ack.Err
			}
			if err == nil && !ack.Timestamp.IsZero() && !ack.Timestamp.Before(last) {
				return nil
			}
		}
		if err != nil {
			w.id = -1
			w.l.refresh(w.p)
			if !transient(err) {
				return brokerError(err, "the end of "+w.p.TP.String()+" cannot be written")
			}
		}
		if time.Now().After(expires) {
			return fault.New(fault.Unavailable, "the brokers do not give the records of topic %s times of their own yet, or earlier ones than %v", w.p.name, last.Format(time.RFC3339)).
				WithHint("the copy itself is complete; look at the brokers' clocks, and at %s of the topic", timestampType)
		}
		if !w.l.pause(ctx, try) {
			return w.l.ops.Stay(ctx)
		}
	}
}

// sleep waits; false means that the log or the context ends.
func (l *Log) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-l.ops.Ending():
	}
	return false
}
