package kafka

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// The benchmarks put the log beside plain sarama (what a program would write with it: SyncProducer,
// AsyncProducer with flush settings, Consumer), in turn, on the same topics of the same brokers. Nothing
// is switched off on either side.

func percentile(d []time.Duration, p int) time.Duration {
	slices.Sort(d)
	return d[(len(d)-1)*p/100]
}

func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.Idempotent, c.Net.MaxOpenRequests, c.Producer.RequiredAcks = true, 1, sarama.WaitForAll
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Partitioner = sarama.NewManualPartitioner
	return c
}

func saramaMessage(topic string, partition int32, r *streams.Record) *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: topic, Partition: partition, Key: sarama.ByteEncoder(r.Key), Value: sarama.ByteEncoder(r.Value)}
	m.Headers = make([]sarama.RecordHeader, len(r.Headers))
	for i, h := range r.Headers {
		m.Headers[i] = sarama.RecordHeader{Key: []byte(h.Key), Value: h.Value}
	}
	return m
}

// BenchmarkAppend is one caller's commit, in turn with one send of the same record by a bare SyncProducer
// to another topic.
func BenchmarkAppend(b *testing.B) {
	opts := testOptions(b)
	l := mustOpen(b, opts)
	bare, err := sarama.NewSyncProducer(opts.Brokers, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	topic := opts.TopicPrefix + events.DriftAlertsTopic
	var ours, theirs []time.Duration
	for i := range b.N + 50 {
		c := testCommit("c"+strconv.Itoa(i), "model/als", streams.AnyRevision, 1)
		rec, err := streams.CommitRecord(c)
		if err != nil {
			b.Fatal(err)
		}
		if i == 50 { // connections are made, the brokers warm
			b.ResetTimer()
			ours, theirs = nil, nil
		}
		t := time.Now()
		if _, _, err := bare.SendMessage(saramaMessage(topic, 0, &rec)); err != nil {
			b.Fatal(err)
		}
		theirs = append(theirs, time.Since(t))
		t = time.Now()
		if _, err := l.Ledger().Append(context.Background(), c); err != nil {
			b.Fatal(err)
		}
		ours = append(ours, time.Since(t))
	}
	b.StopTimer()
	p, q := percentile(ours, 50), percentile(theirs, 50)
	b.ReportMetric(float64(p.Microseconds()), "p50-µs")
	b.ReportMetric(float64(percentile(ours, 99).Microseconds()), "p99-µs")
	b.ReportMetric(float64(q.Microseconds()), "sarama-p50-µs")
	b.ReportMetric(float64(percentile(theirs, 99).Microseconds()), "sarama-p99-µs")
	b.ReportMetric(float64(p)/float64(q), "p50/sarama")
}

// BenchmarkAppend64 is 64 callers' commits on 1000 streams.
func BenchmarkAppend64(b *testing.B) {
	l := mustOpen(b, testOptions(b))
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if _, err := l.Ledger().Append(context.Background(), testCommit("c"+strconv.FormatInt(i, 10), "run/"+strconv.FormatInt(i%1000, 10), streams.AnyRevision, 1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

// benchFacts are n facts as an import writes them.
func benchFacts(b testing.TB, n int) []streams.Record {
	var enc streams.FactEncoder
	var recs []streams.Record
	for i := range n {
		user := strconv.Itoa(i * 7919 % 100_000)
		at := time.UnixMilli(1_400_000_000_000 + int64(i)*1000).UTC()
		ev := events.Event{ID: "ml-" + strconv.Itoa(i), Source: "/import/movielens", Time: at, Actor: "importer", Correlation: "import/4f2c",
			Data: &events.Interaction{UserID: user, MovieID: strconv.Itoa(i % 27_000), Kind: "rating", Timestamp: events.FormatTime(at), Rating: float64(i%10+1) / 2}}
		var err error
		if recs, err = enc.Append(recs, user, &ev); err != nil {
			b.Fatal(err)
		}
	}
	return recs
}

const benchRecords = 200_000

// BenchmarkPublish loads the same facts in turn with the log, in publishes of 10,000, and with a bare
// AsyncProducer with flush settings for bulk loads. An operation is 200,000 facts on each side.
func BenchmarkPublish(b *testing.B) {
	opts := testOptions(b)
	l := mustOpen(b, opts)
	c := saramaConfig()
	c.Producer.Flush.Bytes, c.Producer.Flush.Messages, c.Producer.Flush.Frequency = 1<<20, 10_000, 5*time.Millisecond
	bare, err := sarama.NewAsyncProducer(opts.Brokers, c)
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	recs := benchFacts(b, benchRecords)
	topic := opts.TopicPrefix + events.UserEventsTopic
	var ours, theirs time.Duration
	run := func() {
		t := time.Now()
		for i := 0; i < len(recs); i += 10_000 {
			if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, recs[i:i+10_000]); err != nil {
				b.Fatal(err)
			}
		}
		ours += time.Since(t)
		t = time.Now()
		go func() {
			for i := range recs {
				bare.Input() <- saramaMessage(topic, streams.PartitionOf(recs[i].Key, 3), &recs[i])
			}
		}()
		for range recs {
			select {
			case <-bare.Successes():
			case err := <-bare.Errors():
				b.Fatal(err)
			}
		}
		theirs += time.Since(t)
	}
	run()
	ours, theirs = 0, 0
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.StopTimer()
	n := float64(b.N * len(recs))
	b.ReportMetric(n/ours.Seconds(), "facts/s")
	b.ReportMetric(n/theirs.Seconds(), "sarama/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-sarama")
}

// consume reads a topic's partitions up to their ends with a bare Consumer, all at once, which is how it
// is fastest.
func consume(b *testing.B, consumer sarama.Consumer, topic string, ends map[int32]int64) int {
	var n atomic.Int64
	var wg sync.WaitGroup
	for p, end := range ends {
		pc, err := consumer.ConsumePartition(topic, p, 0)
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			count := int64(0)
			for m := range pc.Messages() {
				if count++; m.Offset+1 == end {
					break
				}
			}
			n.Add(count)
			pc.AsyncClose()
		})
	}
	wg.Wait()
	return int(n.Load())
}

// BenchmarkRead reads three partitions, one after the other, in turn with a bare Consumer that reads them
// all at once. An operation is a million records on each side.
func BenchmarkRead(b *testing.B) {
	opts := testOptions(b)
	l := mustOpen(b, opts)
	recs := benchFacts(b, benchRecords)
	const total = 5 * benchRecords
	for range total / benchRecords {
		if err := l.Feed().Publish(newContext(b), events.UserEventsTopic, recs); err != nil {
			b.Fatal(err)
		}
	}
	bare, err := sarama.NewConsumer(opts.Brokers, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	var ours, theirs time.Duration
	run := func() {
		t := time.Now()
		n := 0
		ends := map[int32]int64{}
		for p := range int32(3) {
			for r, err := range l.Feed().Read(context.Background(), streams.TP{Topic: events.UserEventsTopic, Partition: p}, 0) {
				if err != nil {
					b.Fatal(err)
				}
				n++
				ends[p] = r.Offset + 1
			}
		}
		ours += time.Since(t)
		if n != total {
			b.Fatalf("%d records", n)
		}
		t = time.Now()
		n = consume(b, bare, opts.TopicPrefix+events.UserEventsTopic, ends)
		theirs += time.Since(t)
		if n != total {
			b.Fatalf("%d records", n)
		}
	}
	run()
	ours, theirs = 0, 0
	b.ResetTimer()
	for range b.N {
		run()
	}
	b.StopTimer()
	n := float64(b.N * total)
	b.ReportMetric(n/ours.Seconds(), "records/s")
	b.ReportMetric(n/theirs.Seconds(), "sarama/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-sarama")
}

// BenchmarkFold opens a log of 50,000 commits without its index, in turn with a bare Consumer that only
// reads them. An operation is one start.
func BenchmarkFold(b *testing.B) {
	opts := testOptions(b)
	l := mustOpen(b, opts)
	const total = 50_000
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for i := next.Add(1); i <= total; i = next.Add(1) {
				if _, err := l.Ledger().Append(context.Background(), testCommit("c"+strconv.FormatInt(i, 10), "run/"+strconv.FormatInt(i%1000, 10), streams.AnyRevision, 1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	end := l.Stats().Judged
	bare, err := sarama.NewConsumer(opts.Brokers, saramaConfig())
	if err != nil {
		b.Fatal(err)
	}
	defer bare.Close()
	var ours, theirs, replay time.Duration
	b.ResetTimer()
	for range b.N {
		fresh := opts
		fresh.Dir = b.TempDir()
		t := time.Now()
		l := mustOpen(b, fresh)
		ours += time.Since(t)
		if s := l.Stats(); s.Accepted != total {
			b.Fatalf("stats %+v", s)
		}
		t = time.Now()
		n := 0
		for _, err := range l.Ledger().Read(context.Background(), 0) {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		replay += time.Since(t)
		if n != total {
			b.Fatalf("%d commits", n)
		}
		l.Close()
		t = time.Now()
		consume(b, bare, opts.TopicPrefix+events.LedgerTopic, map[int32]int64{0: end})
		theirs += time.Since(t)
	}
	b.StopTimer()
	n := float64(b.N * total)
	b.ReportMetric(n/ours.Seconds(), "folded/s")
	b.ReportMetric(n/replay.Seconds(), "replayed/s")
	b.ReportMetric(n/theirs.Seconds(), "sarama/s")
}
