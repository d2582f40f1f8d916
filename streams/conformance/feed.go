package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func (s suite) feed(t *testing.T) {
	t.Run("OK_Topics", s.topics)
	t.Run("OK_RoundTrip", s.recordRoundTrip)
	t.Run("OK_PartitionByKey", s.partitionByKey)
	t.Run("OK_OrderPerPartition", s.orderPerPartition)
	t.Run("OK_HeadByTime", s.feedHead)
	t.Run("OK_Wait", s.feedWait)
	t.Run("OK_ReadersBesideWriters", s.readersBesideWriters)
	t.Run("OK_StopEarly", s.feedStopEarly)
	t.Run("OK_Limits", s.recordLimits)
	t.Run("OK_Facts", s.facts)
	t.Run("OK_Reopen", s.reopenFeed)
	t.Run("ErrNotFound", s.unknownTopics)
	t.Run("ErrContext", s.feedCanceled)
	t.Run("ErrClosed", s.closedFeed)
}

func mustPublish(t testing.TB, l streams.Log, topic string, recs ...streams.Record) []streams.Record {
	t.Helper()
	if err := l.Feed().Publish(newContext(t), topic, recs); err != nil {
		t.Fatalf("publish %d records to %s: %v", len(recs), topic, err)
	}
	return recs
}

func partitionsOf(topic string) int32 {
	for _, t := range streams.Topics {
		if t.Name == topic {
			return t.Partitions
		}
	}
	return 0
}

// partitions are murmur2 values of Kafka's Java client, from its own tests.
func partitions(t *testing.T) {
	for key, hash := range map[string]int32{
		"21":                         -973932308,
		"foobar":                     -790332482,
		"a-little-bit-long-string":   -985981536,
		"a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		for _, n := range []int32{1, 2, 3, 7, 1 << 30} {
			if got, want := streams.PartitionOf([]byte(key), n), (hash&0x7fffffff)%n; got != want {
				t.Errorf("key %q of %d partitions: %d; Kafka has %d", key, n, got, want)
			}
		}
	}
}

func (s suite) topics(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	for _, topic := range streams.Topics {
		for p := range topic.Partitions {
			tp := streams.TP{Topic: topic.Name, Partition: p}
			if head, err := l.Feed().Head(ctx, tp, time.Time{}); err != nil || head != 0 {
				t.Errorf("head of %s in an empty log: %d, %v", tp, head, err)
			}
			if all := readAll(t, l, tp, 0); len(all) != 0 {
				t.Errorf("%s of an empty log has %d records", tp, len(all))
			}
		}
	}
	mustPublish(t, l, events.UserEventsTopic) // nothing is nothing
}

func (s suite) recordRoundTrip(t *testing.T) {
	l := s.open(t)
	topic := events.DriftAlertsTopic // one partition
	var many []streams.Header
	for i := range streams.HeadersMax {
		many = append(many, streams.Header{Key: fmt.Sprint("h", i), Value: []byte{byte(i)}})
	}
	sent := []streams.Record{
		{Key: []byte("k"), Value: []byte("v")},
		{Key: nil, Value: []byte("no key")},
		{Key: []byte{}, Value: []byte("empty key")},
		{Key: []byte("no value"), Value: nil},
		{Key: []byte("empty value"), Value: []byte{}},
		{Key: []byte{0, 255, 1}, Value: []byte{0, 1, 2, 254, 255}},
		{Key: []byte("headers"), Value: []byte("v"), Headers: []streams.Header{
			{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}, {Key: "", Value: []byte{}}, {Key: "nil", Value: nil}, {Key: "ce_id", Value: []byte("é")},
		}},
		{Key: []byte("many"), Value: []byte("v"), Headers: many},
		{Key: []byte("big"), Value: bytes.Repeat([]byte("x"), 900_000)},
	}
	want := make([]streams.Record, len(sent))
	for i := range sent {
		want[i] = cloneRecord(&sent[i])
	}
	mustPublish(t, l, topic, sent...)
	got := readAll(t, l, streams.TP{Topic: topic}, 0)
	if len(got) != len(want) {
		t.Fatalf("read %d records of %d", len(got), len(want))
	}
	for i := range got {
		if sent[i].Position != got[i].Position || !sent[i].Recorded.Equal(got[i].Recorded) {
			t.Errorf("record %d was sent to %s %v and read at %s %v", i, sent[i].Position, sent[i].Recorded, got[i].Position, got[i].Recorded)
		}
		want[i].Position, want[i].Recorded = got[i].Position, got[i].Recorded
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d: got %.200v, want %.200v", i, got[i], want[i])
		}
	}
}

func (s suite) partitionByKey(t *testing.T) {
	l := s.open(t)
	for _, topic := range streams.Topics {
		if topic.Name == events.LedgerTopic {
			continue
		}
		var recs []streams.Record
		for i := range 60 {
			recs = append(recs, streams.Record{Key: []byte(strconv.Itoa(i)), Value: []byte{byte(i)}})
		}
		used := map[int32]bool{}
		for _, r := range mustPublish(t, l, topic.Name, recs...) {
			if want := streams.PartitionOf(r.Key, topic.Partitions); r.Position.Topic != topic.Name || r.Position.Partition != want {
				t.Fatalf("key %q went to %s; want partition %d", r.Key, r.Position, want)
			}
			used[r.Position.Partition] = true
		}
		if len(used) != int(topic.Partitions) {
			t.Errorf("60 keys use %d of %d partitions of %s", len(used), topic.Partitions, topic.Name)
		}
		for p := range topic.Partitions {
			for _, r := range readAll(t, l, streams.TP{Topic: topic.Name, Partition: p}, 0) {
				if streams.PartitionOf(r.Key, topic.Partitions) != p {
					t.Fatalf("key %q is in partition %d", r.Key, p)
				}
			}
		}
	}
}

// stamped makes a record whose value says who sent it, and as its how-manieth.
func stamped(writer, n int) streams.Record {
	v := binary.BigEndian.AppendUint32(nil, uint32(writer))
	return streams.Record{Key: []byte(strconv.Itoa(n % 17)), Value: binary.BigEndian.AppendUint32(v, uint32(n))}
}

// checkOrder says what is wrong with a partition's records: offsets and times grow, and every writer's
// records come in the order in which it sent them.
func checkOrder(recs []streams.Record) error {
	last := map[uint32]uint32{}
	for i, r := range recs {
		if i > 0 && (r.Offset <= recs[i-1].Offset || r.Recorded.Before(recs[i-1].Recorded)) {
			return fmt.Errorf("%s %v follows %s %v", r.Position, r.Recorded, recs[i-1].Position, recs[i-1].Recorded)
		}
		writer, n := binary.BigEndian.Uint32(r.Value), binary.BigEndian.Uint32(r.Value[4:])
		if prev, ok := last[writer]; ok && prev >= n {
			return fmt.Errorf("%s: writer %d's record %d follows its record %d", r.Position, writer, n, prev)
		}
		last[writer] = n
	}
	return nil
}

func (s suite) orderPerPartition(t *testing.T) {
	l := s.open(t)
	const n = 5000 // large enough for an adapter to cut a batch
	var recs []streams.Record
	for i := range n {
		r := stamped(1, i)
		r.Headers = []streams.Header{{Key: "pad", Value: bytes.Repeat([]byte{'x'}, 200)}}
		recs = append(recs, r)
	}
	mustPublish(t, l, events.UserEventsTopic, recs...)
	total := 0
	for p := range partitionsOf(events.UserEventsTopic) {
		tp := streams.TP{Topic: events.UserEventsTopic, Partition: p}
		got := readAll(t, l, tp, 0)
		if err := checkOrder(got); err != nil {
			t.Fatal(err)
		}
		total += len(got)
		if from := got[len(got)/2].Offset; len(readAll(t, l, tp, from)) != len(got)-len(got)/2 {
			t.Fatalf("reading %s from offset %d gives another number of records", tp, from)
		}
	}
	if total != n {
		t.Fatalf("%d records of %d", total, n)
	}
}

func (s suite) feedHead(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	var recs []streams.Record
	for i := range 7 {
		if i%3 == 0 {
			s.f.Advance(5 * time.Millisecond)
		}
		recs = append(recs, mustPublish(t, l, tp.Topic, stamped(1, i))...)
	}
	for _, r := range recs {
		for _, until := range []time.Time{r.Recorded.Add(-time.Millisecond), r.Recorded, r.Recorded.Add(time.Millisecond)} {
			head, err := l.Feed().Head(ctx, tp, until)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range recs {
				if in := !other.Recorded.After(until); in != (other.Offset < head) {
					t.Fatalf("head at %v is %d; a record of %v is at %d", until, head, other.Recorded, other.Offset)
				}
			}
		}
	}
}

func (s suite) feedWait(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	tp := streams.TP{Topic: events.SystemHealthTopic, Partition: 1}
	var key []byte
	for i := 0; streams.PartitionOf(key, 2) != 1; i++ {
		key = []byte(strconv.Itoa(i))
	}
	done := make(chan error, 1)
	go func() { done <- l.Feed().Wait(ctx, tp, 0) }()
	mustPublish(t, l, tp.Topic, streams.Record{Key: key, Value: []byte("x")})
	if err := <-done; err != nil {
		t.Fatalf("wait: %v", err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := l.Feed().Wait(short, streams.TP{Topic: tp.Topic}, 0); !isContext(err) {
		t.Fatalf("a wait on another partition gave %v; want the context's error", err)
	}
}

func (s suite) readersBesideWriters(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	const writers, batches, size = 4, 25, 20
	topic := events.RecommendationsTopic
	parts := partitionsOf(topic)
	var work sync.WaitGroup
	for w := range writers {
		work.Go(func() {
			for b := range batches {
				var recs []streams.Record
				for i := range size {
					recs = append(recs, stamped(w, b*size+i))
				}
				if err := l.Feed().Publish(ctx, topic, recs); err != nil {
					t.Error(err)
					return
				}
				r := recs[0] // read your writes
				for got, err := range l.Feed().Read(ctx, r.TP, r.Offset) {
					if err != nil || !bytes.Equal(got.Value, r.Value) {
						t.Errorf("%s: %v", r.Position, err)
						return
					}
					break
				}
			}
		})
	}
	counts := make([]int, parts)
	followed, stop := context.WithCancel(ctx)
	var followers sync.WaitGroup
	for p := range parts {
		followers.Go(func() {
			tp := streams.TP{Topic: topic, Partition: p}
			var next int64
			var all []streams.Record
			for {
				waitErr := l.Feed().Wait(followed, tp, next)
				for r, err := range l.Feed().Read(ctx, tp, next) {
					if err != nil {
						t.Error(err)
						return
					}
					all = append(all, cloneRecord(r))
					next = r.Offset + 1
				}
				if waitErr != nil {
					break // the writers are done, and what they wrote has been read
				}
			}
			if err := checkOrder(all); err != nil {
				t.Error(err)
			}
			counts[p] = len(all)
		})
	}
	work.Wait()
	stop()
	followers.Wait()
	total := 0
	for _, n := range counts {
		total += n
	}
	if total != writers*batches*size {
		t.Errorf("followers met %d records of %d", total, writers*batches*size)
	}
}

func (s suite) feedStopEarly(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	for i := range 10 {
		mustPublish(t, l, tp.Topic, stamped(1, i))
	}
	n := 0
	for _, err := range l.Feed().Read(ctx, tp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
	for _, err := range l.Feed().Read(ctx, tp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		mustPublish(t, l, tp.Topic, stamped(1, 100+n))
		n++
	}
	if n != 13 {
		t.Fatalf("%d steps; want 13: the head is that of the call", n)
	}
}

func (s suite) recordLimits(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	topic := events.DriftAlertsTopic
	many := make([]streams.Header, streams.HeadersMax+1)
	for name, r := range map[string]streams.Record{
		"value":      {Value: make([]byte, streams.RecordBytesMax)},
		"key":        {Key: make([]byte, streams.KeyBytesMax+1)},
		"headers":    {Headers: many},
		"header key": {Headers: []streams.Header{{Key: strings.Repeat("x", streams.HeaderKeyBytesMax+1)}}},
	} {
		// A wrong record among good ones: none is written.
		if err := l.Feed().Publish(ctx, topic, []streams.Record{stamped(1, 1), r}); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%s: %v; want code %s", name, err, fault.TooLarge)
		}
	}
	err := l.Feed().Publish(ctx, topic, []streams.Record{{Headers: []streams.Header{{Key: "\xff"}}}})
	wantCode(t, err, fault.Invalid)
	if all := readAll(t, l, streams.TP{Topic: topic}, 0); len(all) != 0 {
		t.Fatalf("%d records after refused publishes", len(all))
	}
	largest := streams.Record{Key: make([]byte, streams.KeyBytesMax)}
	largest.Value = make([]byte, streams.RecordBytesMax-streams.TailSize(&largest)-3)
	mustPublish(t, l, topic, largest, largest, largest)
	if all := readAll(t, l, streams.TP{Topic: topic}, 0); len(all) != 3 || len(all[2].Value) != len(largest.Value) {
		t.Fatalf("%d records of 3", len(all))
	}
}

func (s suite) facts(t *testing.T) {
	l := s.open(t)
	ev := events.Event{
		ID: "f1", Source: "/import/movielens", Subject: "user/7", Time: time.Date(2013, 5, 1, 2, 3, 4, 5e6, time.UTC), Actor: "importer", Correlation: "i1", Causation: "c1",
		Data: &events.Interaction{UserID: "7", MovieID: "42", Kind: "rating", Timestamp: "2013-05-01T02:03:04.005Z", Rating: 4.5},
	}
	r, err := streams.FactRecord("7", &ev)
	if err != nil {
		t.Fatal(err)
	}
	plain := streams.Record{Key: []byte("7"), Value: []byte(`{"user_id":"7","movie_id":"1","interaction_type":"click","timestamp":"2024-01-02T03:04:05Z"}`)}
	sent := mustPublish(t, l, events.UserEventsTopic, r, plain)
	got := readAll(t, l, sent[0].TP, 0)
	if len(got) != 2 {
		t.Fatalf("%d records of 2", len(got))
	}
	back, err := streams.ReadFact(&got[0])
	if err != nil {
		t.Fatal(err)
	}
	back.Raw, ev.Schema = nil, 1
	if !reflect.DeepEqual(back, ev) {
		t.Errorf("got %+v, want %+v", back, ev)
	}
	back, err = streams.ReadFact(&got[1])
	if err != nil || back.ID != got[1].Position.String() || back.Source != "/kafka" || !back.Time.Equal(time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)) || back.Data.(*events.Interaction).Kind != "click" {
		t.Errorf("plain fact: %+v, %v", back, err)
	}
}

func (s suite) reopenFeed(t *testing.T) {
	if s.f.Reopen == nil {
		t.Skip("the adapter cannot be reopened")
	}
	l := s.open(t)
	for i := range 40 {
		mustPublish(t, l, events.UserEventsTopic, stamped(1, 2*i), stamped(1, 2*i+1))
	}
	parts := partitionsOf(events.UserEventsTopic)
	before := make([][]streams.Record, parts)
	for p := range parts {
		before[p] = readAll(t, l, streams.TP{Topic: events.UserEventsTopic, Partition: p}, 0)
	}
	l = s.f.Reopen(t, l)
	for p := range parts {
		tp := streams.TP{Topic: events.UserEventsTopic, Partition: p}
		if after := readAll(t, l, tp, 0); !reflect.DeepEqual(before[p], after) {
			t.Fatalf("%s has %d records before and %d other ones after", tp, len(before[p]), len(after))
		}
	}
	r := mustPublish(t, l, events.UserEventsTopic, stamped(1, 1000))[0]
	old := before[r.Position.Partition]
	if last := old[len(old)-1]; r.Offset <= last.Offset || r.Recorded.Before(last.Recorded) {
		t.Fatalf("%s %v after %s %v", r.Position, r.Recorded, last.Position, last.Recorded)
	}
}

func (s suite) unknownTopics(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	wantCode(t, l.Feed().Publish(ctx, "no-such-topic", []streams.Record{stamped(1, 1)}), fault.NotFound)
	for _, tp := range []streams.TP{{Topic: "no-such-topic"}, {Topic: events.UserEventsTopic, Partition: 3}, {Topic: events.UserEventsTopic, Partition: -1}} {
		wantCode(t, firstError(l.Feed().Read(ctx, tp, 0)), fault.NotFound)
		_, err := l.Feed().Head(ctx, tp, time.Time{})
		wantCode(t, err, fault.NotFound)
		wantCode(t, l.Feed().Wait(ctx, tp, 0), fault.NotFound)
	}
	wantCode(t, firstError(l.Feed().Read(ctx, streams.TP{Topic: events.UserEventsTopic}, -1)), fault.Invalid)
}

func (s suite) feedCanceled(t *testing.T) {
	l := s.open(t)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	mustPublish(t, l, tp.Topic, stamped(1, 1))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.Feed().Publish(ctx, tp.Topic, []streams.Record{stamped(1, 2)}); !isContext(err) {
		t.Errorf("publish: %v", err)
	}
	if err := firstError(l.Feed().Read(ctx, tp, 0)); !isContext(err) {
		t.Errorf("read: %v", err)
	}
}

func (s suite) closedFeed(t *testing.T) {
	l := s.open(t)
	ctx := newContext(t)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	mustPublish(t, l, tp.Topic, stamped(1, 1))
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	wantCode(t, l.Feed().Publish(ctx, tp.Topic, []streams.Record{stamped(1, 2)}), fault.Unavailable)
	wantCode(t, firstError(l.Feed().Read(ctx, tp, 0)), fault.Unavailable)
	_, err := l.Feed().Head(ctx, tp, time.Time{})
	wantCode(t, err, fault.Unavailable)
	wantCode(t, l.Feed().Wait(ctx, tp, 0), fault.Unavailable)
}
