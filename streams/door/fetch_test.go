package door

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/racing"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

var timeZero time.Time

func mustPublish(t testing.TB, l *local.Log, topic string, recs ...streams.Record) {
	t.Helper()
	if err := l.Feed().Publish(context.Background(), topic, recs); err != nil {
		t.Fatal(err)
	}
}

// TestFetch: what the program writes can be read, at any offset and size, with the log's times.
func TestFetch(t *testing.T) {
	var millis atomic.Int64
	millis.Store(1_000_000)
	l := mustMem(t, local.Options{Now: func() time.Time { return time.UnixMilli(millis.Add(7)) }})
	d := mustListen(t, Config{Log: l})
	const topic = events.DriftAlertsTopic // one partition
	var want []streams.Record
	for i := range racing.Rounds(300) {
		r := []streams.Record{rec("k", fmt.Sprint(i)), {Value: bytes.Repeat([]byte("x"), 40*i)}}
		mustPublish(t, l, topic, r...)
		want = append(want, r...)
	}
	p := mustDial(t, d)
	for version := int16(4); version <= 11; version++ {
		for _, limit := range []int32{0, 100, 10_000, 1 << 20} {
			got := 0
			for got < len(want) {
				req := fetchRequest(topic, 0, int64(got))
				req.Version, req.Topics[0].Partitions[0].PartitionMaxBytes = version, limit
				resp := p.fetch(req)
				if resp.ErrorCode != 0 || resp.HighWatermark != int64(len(want)) {
					t.Fatalf("%+v", resp)
				}
				recs := records(t, resp.RecordBatches)
				if len(recs) == 0 || len(recs) > 1 && len(resp.RecordBatches) > int(limit)+2*batchHeadBytes {
					t.Fatalf("%d records of %d bytes; at most %d are wanted", len(recs), len(resp.RecordBatches), limit)
				}
				for _, r := range recs {
					w := &want[got]
					if r.Offset != int64(got) || !r.Recorded.Equal(w.Recorded) || !bytes.Equal(streams.AppendTail(nil, &r), streams.AppendTail(nil, w)) {
						t.Fatalf("record %d is %+v; want %+v", got, r, w)
					}
					got++
				}
				if limit == 0 && got > 5 {
					break
				}
			}
		}
	}
	end := int64(len(want))
	for offset, code := range map[int64]int16{-1: codeOffsetOutOfRange, end + 1: codeOffsetOutOfRange, end: 0} {
		if resp := p.fetch(fetchRequest(topic, 0, offset)); resp.ErrorCode != code {
			t.Errorf("offset %d: %+v", offset, resp)
		}
	}
	if resp := p.fetch(fetchRequest(topic, 7, 0)); resp.ErrorCode != codeUnknownTopic {
		t.Errorf("%+v", resp)
	}

	t.Run("ListOffsets", func(t *testing.T) {
		for version := int16(1); version <= 5; version++ {
			for _, c := range []struct{ millis, offset int64 }{
				{timeLatest, end}, {timeEarliest, 0}, {0, 0}, {want[0].Recorded.UnixMilli(), 0}, {want[0].Recorded.UnixMilli() + 1, 2},
				{want[end-1].Recorded.UnixMilli(), end - 2}, {want[end-1].Recorded.UnixMilli() + 1, -1},
			} {
				req := kmsg.NewPtrListOffsetsRequest()
				req.Version, req.ReplicaID = version, -1
				rt := kmsg.NewListOffsetsRequestTopic()
				rt.Topic = topic
				rp := kmsg.NewListOffsetsRequestTopicPartition()
				rp.Timestamp = c.millis
				rt.Partitions = append(rt.Partitions, rp)
				req.Topics = append(req.Topics, rt)
				got := p.call(req).(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]
				if got.ErrorCode != 0 || got.Offset != c.offset {
					t.Errorf("offset at %d: %+v; want %d", c.millis, got, c.offset)
				}
				if c.millis >= 0 && c.offset >= 0 && got.Timestamp != want[c.offset].Recorded.UnixMilli() {
					t.Errorf("time at %d: %d", c.millis, got.Timestamp)
				}
			}
		}
	})
}

// TestFetchLedger: the ledger's topic is read as any.
func TestFetchLedger(t *testing.T) {
	l := mustMem(t, local.Options{})
	_, err := l.Ledger().Append(context.Background(), streams.Commit{ID: "c1", Stream: "model/als", Expected: streams.NoStream, Events: []events.Event{
		{ID: "e1", Source: "/test", Time: time.UnixMilli(1).UTC(), Data: &events.ModelAliasSet{Name: "als", Alias: "a", Version: 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := mustDial(t, mustListen(t, Config{Log: l}))
	recs := records(t, p.fetch(fetchRequest(ledgerTopic, 0, 0)).RecordBatches)
	if len(recs) != 1 || string(recs[0].Key) != "model/als" || !bytes.Contains(recs[0].Value, []byte(`"als"`)) {
		t.Errorf("%+v", recs)
	}
}

// TestFetchWait: a long poll over many partitions ends with the first record, or when its time is up.
func TestFetchWait(t *testing.T) {
	l := mustMem(t, local.Options{})
	d := mustListen(t, Config{Log: l})
	p := mustDial(t, d)
	req := fetchRequest(testTopic, 0, 0)
	req.MaxWaitMillis = 30_000
	for i := int32(1); i < 3; i++ {
		part := req.Topics[0].Partitions[0]
		part.Partition = i
		req.Topics[0].Partitions = append(req.Topics[0].Partitions, part)
	}
	for i := range 50 { // each round has another chance to lose the wake-up
		p.send(req)
		key := []byte(fmt.Sprint(i))
		mustPublish(t, l, testTopic, streams.Record{Key: key})
		resp := p.recv(req).(*kmsg.FetchResponse)
		got := 0
		for j, part := range resp.Topics[0].Partitions {
			for _, r := range records(t, part.RecordBatches) {
				if got++; !bytes.Equal(r.Key, key) {
					t.Fatalf("round %d: %q", i, r.Key)
				}
				req.Topics[0].Partitions[j].FetchOffset++
			}
		}
		if got != 1 {
			t.Fatalf("round %d: %d records", i, got)
		}
	}
	req.MaxWaitMillis = 20
	for _, part := range p.call(req).(*kmsg.FetchResponse).Topics[0].Partitions {
		if part.ErrorCode != 0 || len(part.RecordBatches) != 0 {
			t.Errorf("%+v", part)
		}
	}
	// Less than MinBytes is given when the time is up, and at once when it comes together.
	req.MinBytes = 500
	mustPublish(t, l, testTopic, streams.Record{Key: []byte("a")})
	if n := fetched(t, p.call(req).(*kmsg.FetchResponse)); n != 1 {
		t.Errorf("%d records; want 1", n)
	}
	req.MaxWaitMillis = 30_000
	p.send(req)
	mustPublish(t, l, testTopic, streams.Record{Key: []byte("a"), Value: make([]byte, 1000)})
	if n := fetched(t, p.recv(req).(*kmsg.FetchResponse)); n != 2 {
		t.Errorf("%d records; want 2", n)
	}
}

func fetched(t testing.TB, resp *kmsg.FetchResponse) (n int) {
	for _, topic := range resp.Topics {
		for _, part := range topic.Partitions {
			n += len(records(t, part.RecordBatches))
		}
	}
	return n
}

// TestFetch_Holes: a log that was copied from another one has offsets without records.
func TestFetch_Holes(t *testing.T) {
	const topic = events.DriftAlertsTopic
	fs := vfs.NewMem()
	filled, err := local.Open("log", local.Options{FS: fs, Restoring: true, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	var want []streams.Record
	for i := range int64(400) {
		offset := i + i/3*5 // three in a row, then a hole of five
		if i == 399 {
			offset = 1 << 40 // more than a batch can span
		}
		want = append(want, streams.Record{Position: streams.Position{TP: streams.TP{Topic: topic}, Offset: offset}, Recorded: time.UnixMilli(1000 + i).UTC(),
			Key: []byte("k"), Value: bytes.Repeat([]byte("x"), int(i))})
	}
	if err := filled.Restore(t.Context(), want[0].TP, want); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(filled.Restored(t.Context()), filled.Close()); err != nil {
		t.Fatal(err)
	}
	l, err := local.Open("log", local.Options{FS: fs, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d := mustListen(t, Config{Log: l})

	p := mustDial(t, d)
	for _, limit := range []int32{0, 5000, 1 << 20} {
		n := 0
		for from := int64(0); n < len(want); {
			req := fetchRequest(topic, 0, from)
			req.Topics[0].Partitions[0].PartitionMaxBytes = limit
			resp := p.fetch(req)
			recs := records(t, resp.RecordBatches)
			if resp.ErrorCode != 0 || resp.HighWatermark != 1<<40+1 || len(recs) == 0 {
				t.Fatalf("from %d: %+v", from, resp)
			}
			for _, r := range recs {
				if w := &want[n]; r.Offset != w.Offset || !r.Recorded.Equal(w.Recorded) || !bytes.Equal(r.Value, w.Value) {
					t.Fatalf("record %d is %+v; want %+v", n, r, w)
				}
				n++
			}
			from = recs[len(recs)-1].Offset + 1
		}
	}

	c, err := sarama.NewConsumer([]string{d.Addr().String()}, sarama.NewConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	pc, err := c.ConsumePartition(topic, 0, 4)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for n := 3; n < len(want); n++ {
		select {
		case m := <-pc.Messages():
			if w := &want[n]; m.Offset != w.Offset || !m.Timestamp.Equal(w.Recorded) || !bytes.Equal(m.Value, w.Value) {
				t.Fatalf("sarama reads %d at %v; want %d", m.Offset, m.Timestamp, w.Offset)
			}
		case <-time.After(5 * time.Minute):
			t.Fatalf("sarama reads %d records of %d", n-3, len(want)-3)
		}
	}
}
