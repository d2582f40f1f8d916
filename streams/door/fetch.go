package door

import (
	"context"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// fetchPart is one partition of a Fetch.
type fetchPart struct {
	tp    streams.TP
	from  int64
	bytes int // at most
	code  int16
	head  int64
	batch []byte
	risen <-chan struct{}
}

// fetch answers with what there is, or waits for it.
func (c *conn) fetch(req *kmsg.FetchRequest, correlation uint32) error {
	d := c.d
	var parts []fetchPart
	failed := false
	for _, t := range req.Topics {
		for _, p := range t.Partitions {
			if len(parts) == requestPartitionsMax {
				return fault.New(fault.TooLarge, "a Fetch of more than %d partitions", requestPartitionsMax)
			}
			f := fetchPart{tp: streams.TP{Topic: t.Topic, Partition: p.Partition}, from: p.FetchOffset,
				bytes: min(max(int(p.PartitionMaxBytes), 0), fetchPartitionBytesMax)}
			if n, ok := d.partitions[t.Topic]; !ok || p.Partition < 0 || p.Partition >= n {
				f.code = codeUnknownTopic
			} else if head, _, err := d.log.Watch(f.tp); err != nil {
				f.code = faultCode(err)
			} else if f.head = head; f.from < 0 || f.from > head {
				f.code = codeOffsetOutOfRange
			}
			failed = failed || f.code != 0
			parts = append(parts, f)
		}
	}
	limit := min(max(int64(req.MaxBytes), 1), fetchBytesMax)
	if d.fetch.try(limit) {
		defer d.fetch.release(limit)
	} else {
		limit = min(limit, fetchBytesMin)
	}
	wait := min(time.Duration(max(req.MaxWaitMillis, 0))*time.Millisecond, fetchWaitMax)
	deadline := time.Now().Add(wait)
	want := min(int64(max(req.MinBytes, 0)), limit)
	var ctx context.Context // of the long poll
	defer func() {
		for i := range parts {
			giveBuffer(parts[i].batch)
		}
	}()
	for {
		// Looked at before the records are: a rise after this wakes.
		for i := range parts {
			f := &parts[i]
			if f.code == 0 {
				var err error
				if f.head, f.risen, err = d.log.Watch(f.tp); err != nil {
					f.code, failed = faultCode(err), true
				}
			}
		}
		got, err := d.collect(parts, limit)
		if err != nil {
			failed = true
		}
		if got >= want && got > 0 || failed || want == 0 || !time.Now().Before(deadline) {
			break
		}
		if ctx == nil {
			var stop func()
			ctx, stop = c.watch()
			defer stop()
		}
		if !waitRise(ctx, parts, deadline) {
			if ctx.Err() != nil && d.ctx.Err() == nil {
				return errDone // the client is gone
			}
			break
		}
		if got > 0 { // less than it wants: not for every record anew
			select {
			case <-time.After(min(5*time.Millisecond, time.Until(deadline))):
			case <-ctx.Done():
			}
		}
	}

	resp := kmsg.NewFetchResponse()
	resp.Version = req.Version
	for i := range parts {
		f := &parts[i]
		rp := kmsg.NewFetchResponseTopicPartition()
		rp.Partition, rp.ErrorCode = f.tp.Partition, f.code
		rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = f.head, f.head, 0
		if f.code != 0 {
			rp.HighWatermark, rp.LastStableOffset, rp.LogStartOffset = -1, -1, -1
		}
		rp.RecordBatches = f.batch
		if f.batch == nil {
			rp.RecordBatches = []byte{} // null is not for every client
		}
		if n := len(resp.Topics); n == 0 || resp.Topics[n-1].Topic != f.tp.Topic {
			t := kmsg.NewFetchResponseTopic()
			t.Topic = f.tp.Topic
			resp.Topics = append(resp.Topics, t)
		}
		t := &resp.Topics[len(resp.Topics)-1]
		t.Partitions = append(t.Partitions, rp)
	}
	size := int64(1 << 10)
	for i := range parts {
		size += int64(len(parts[i].batch)+len(parts[i].tp.Topic)) + 64
	}
	out := appendAnswer(takeBuffer(size), correlation, &resp)
	defer giveBuffer(out)
	_, err := c.write(out)
	return err
}

// buffers are those of answers and batches that went out, for the next: making a megabyte anew for each
// costs more than filling it.
var buffers sync.Pool

// pooledBytes is where a buffer is worth keeping.
const pooledBytes = 64 << 10

// takeBuffer is an empty buffer with room for n bytes.
func takeBuffer(n int64) []byte {
	if n < pooledBytes {
		return make([]byte, 0, n)
	}
	if b, ok := buffers.Get().(*[]byte); ok && int64(cap(*b)) >= n {
		return (*b)[:0]
	}
	return make([]byte, 0, max(n, fetchPartitionBytesMax+pooledBytes))
}

func giveBuffer(b []byte) {
	if cap(b) >= pooledBytes {
		buffers.Put(&b)
	}
}

// frames are buffers of Produce requests that were answered, and of what was decompressed of them. An
// import sends a megabyte in each; the collector would else run every few of them.
var frames sync.Pool

// takeFrame is an empty buffer with room for n bytes that was used before, or nil: memory is not to grow
// with what a client announces.
func takeFrame(n int) []byte {
	if n < pooledBytes {
		return nil
	}
	b, ok := frames.Get().(*[]byte)
	if !ok {
		return nil
	}
	if cap(*b) < n {
		frames.Put(b)
		return nil
	}
	return (*b)[:0]
}

func giveFrame(b []byte) {
	if cap(b) >= pooledBytes {
		frames.Put(&b)
	}
}

// roomy makes a buffer of n bytes that has room for a few more, so that the next such frame fits too.
func roomy(n int) []byte {
	if n < pooledBytes {
		return make([]byte, n)
	}
	return make([]byte, n, (n/pooledBytes+1)*pooledBytes)
}

// waitRise waits until a partition's head rises; false at the deadline or the end of ctx.
func waitRise(ctx context.Context, parts []fetchPart, deadline time.Time) bool {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	if len(parts) == 1 {
		select {
		case <-parts[0].risen:
			return true
		case <-timer.C:
		case <-ctx.Done():
		}
		return false
	}
	cases := []reflect.SelectCase{
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(timer.C)},
		{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())},
	}
	seen := map[<-chan struct{}]bool{} // a partition may be named a thousand times
	for i := range parts {
		if r := parts[i].risen; r != nil && !seen[r] {
			seen[r] = true
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(r)})
		}
	}
	chosen, _, _ := reflect.Select(cases)
	return chosen >= 2
}

// collect reads up to limit bytes of the partitions' records, and at least one record if there is any:
// a client must get past a record that is larger than it allows.
func (d *Door) collect(parts []fetchPart, limit int64) (got int64, err error) {
	behind := int64(0)
	for i := range parts {
		if f := &parts[i]; f.code == 0 {
			behind += max(f.head-f.from, 0)
		}
	}
	busy := false
	if behind > catchUpRecords {
		// One catches up at a time, so that readers leave a core to those who append.
		select {
		case d.catchUp <- struct{}{}:
		case <-d.ctx.Done():
			return 0, d.ctx.Err()
		}
		defer func() { <-d.catchUp }()
		if busy = d.pace.busy(d.log.Stats().Syncs); busy {
			limit = min(limit, paceBytes)
		}
	}
	start := time.Now()
	more := false
	for i := range parts {
		f := &parts[i]
		giveBuffer(f.batch)
		f.batch = nil
		if f.code != 0 || f.from >= f.head {
			continue
		}
		room := min(int64(f.bytes), limit-got)
		if room <= 0 && got > 0 {
			more = true
			continue
		}
		w := batchWriter{start: -1, buf: takeBuffer(min(room, f.guess()) + 4*batchHeadBytes)}
		n := int64(0)
		rerr := d.log.ReadTails(d.ctx, f.tp, f.from, func(offset, millis int64, tail []byte) bool {
			if size := n + int64(len(tail)) + 16; size > room && (n > 0 || got > 0) {
				more = true
				return false
			}
			n = int64(w.add(offset, millis, tail))
			return true
		})
		w.end()
		f.batch = w.buf
		got += int64(len(f.batch))
		if rerr != nil && len(f.batch) == 0 {
			f.code, err = faultCode(rerr), rerr
			if d.ctx.Err() == nil {
				d.complain("records could not be read for a Kafka client", "error", rerr.Error())
			}
		}
	}
	if busy && more && got >= paceBytes/2 {
		pause := min(paceFactor*time.Since(start), paceMax)
		select {
		case <-time.After(pause): // with the turn held: others that catch up wait too
		case <-d.ctx.Done():
		}
	}
	return got, err
}

// guess is about how many bytes there are to read, so that a tail read does not take a megabyte.
func (f *fetchPart) guess() int64 {
	return min((f.head-f.from)*256, fetchPartitionBytesMax)
}

// pace knows whether the log is being written to. Who catches up then pauses for a multiple of what its last
// read took: a share of the disk and of a core, which no number of bytes or reads in a second stands for.
type pace struct {
	syncs atomic.Uint64
	until atomic.Int64 // busy until, Unix nanoseconds
}

// paceHold is how long after a write the log counts as being written to.
const paceHold = 20 * time.Millisecond

func (p *pace) busy(syncs uint64) bool {
	now := time.Now().UnixNano()
	if p.syncs.Swap(syncs) != syncs {
		p.until.Store(now + int64(paceHold))
		return true
	}
	return now < p.until.Load()
}
