package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/streams"
)

// bareClients are the clients that the log on Kafka is compared with, each on topics like the log's.
type bareClients struct {
	sarama, kgo *peer
}

// prefixes of topics on the cluster.
const (
	oursPrefix   = "ours."
	saramaPrefix = "sarama."
	kgoPrefix    = "kgo."
	replayPrefix = "replay."
)

func (b *bench) bareClients(c *cluster) (_ *bareClients, err error) {
	for _, prefix := range []string{saramaPrefix, kgoPrefix} {
		if err := c.makeTopics(b.ctx, prefix); err != nil {
			return nil, err
		}
	}
	p := &bareClients{}
	if p.sarama, err = c.start(b.ctx, "sarama", c.address); err != nil {
		return nil, err
	}
	if p.kgo, err = c.start(b.ctx, "kgo", c.address, "none"); err != nil { // the log on Kafka does not compress
		return nil, errors.Join(err, p.sarama.close())
	}
	p.kgo.name = "franz-go" + p.kgo.name[len("kgo"):]
	return p, nil
}

func (p *bareClients) each(fn func(p *peer, prefix string) error) error {
	if err := fn(p.sarama, saramaPrefix); err != nil {
		return err
	}
	return fn(p.kgo, kgoPrefix)
}

func (p *bareClients) close() error { return errors.Join(p.sarama.close(), p.kgo.close()) }

// load has the peers load records for a topic.
func (b *bench) load(topic string, recs []streams.Record, peers ...*peer) error {
	path := filepath.Join(b.dir, "records")
	if err := writeRecords(path, recs, int32(len(streams.PartitionsOf(topic)))); err != nil {
		return err
	}
	for _, p := range peers {
		var a peerAnswer
		if err := p.call(map[string]any{"do": "load", "path": path}, &a); err != nil {
			return err
		}
		if a.Records != int64(len(recs)) {
			return fmt.Errorf("%s has loaded %d records of %d", p.name, a.Records, len(recs))
		}
	}
	return nil
}

// onKafka measures the log on Kafka beside bare clients that write and read the same bytes.
func (b *bench) onKafka() error {
	c, err := b.kafka()
	if err != nil {
		return err
	}
	peers, err := b.bareClients(c)
	if err != nil {
		return err
	}
	defer peers.close() //nolint:errcheck // nothing is asked of them any more
	l, err := c.openLog(b.ctx, oursPrefix)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := b.kafkaAppend(l.Ledger(), peers); err != nil {
		return err
	}
	if err := b.kafkaPublishOne(l, peers); err != nil {
		return err
	}
	if err := b.kafkaPublish(l, peers); err != nil {
		return err
	}
	return b.kafkaReplay(c, peers)
}

// appendTurn is how many records one side sends in its turn, each when the one before was acknowledged.
const appendTurn = 10

// inTurns measures one record at a time: ours and the peers' by turns of appendTurn. The values are each
// run's medians.
func (b *bench) inTurns(peers *bareClients, topic string, ours func(i int) error) (mine []float64, theirs map[string][]float64, err error) {
	turns, sent := b.size(100, 15), 0
	theirs = map[string][]float64{}
	turn := func(mine *[]float64, took map[string][]float64) error {
		for i := range appendTurn {
			t := time.Now()
			if err := ours(sent + i); err != nil {
				return err
			}
			*mine = append(*mine, time.Since(t).Seconds())
		}
		err := peers.each(func(p *peer, prefix string) error {
			var a peerAnswer
			err := p.call(map[string]any{"do": "append", "topic": prefix + topic, "first": sent, "count": appendTurn}, &a)
			took[p.name] = append(took[p.name], a.Took...)
			return err
		})
		sent += appendTurn
		return err
	}
	for range b.size(200, 20) { // the broker's compiler takes some thousand requests to get warm
		if err := turn(new([]float64), map[string][]float64{}); err != nil {
			return nil, nil, err
		}
	}
	err = b.eachRun(func(int) error {
		var took []float64
		peersTook := map[string][]float64{}
		for range turns {
			if err := turn(&took, peersTook); err != nil {
				return err
			}
		}
		mine = append(mine, median(took))
		for name, t := range peersTook {
			theirs[name] = append(theirs[name], median(t))
		}
		return nil
	})
	return mine, theirs, err
}

func (b *bench) addOneByOne(name string, ours []float64, theirs map[string][]float64, peers *bareClients) {
	b.add(figure{name: name, unit: seconds, ours: ours, peer: theirs[peers.sarama.name],
		peerName: peers.sarama.name + " SyncProducer, the same bytes", aim: ratioAtMost(2)},
		figure{name: "… against franz-go", unit: seconds, ours: ours, peer: theirs[peers.kgo.name], peerName: peers.kgo.name + " ProduceSync"})
}

// kafkaAppend is one caller's commits, each judged by the fold of the partition when Append returns.
func (b *bench) kafkaAppend(ledger streams.Ledger, peers *bareClients) error {
	commit := func(i int) streams.Commit {
		return streams.Commit{ID: "bench-" + strconv.Itoa(i), Stream: "run/bench", Expected: streams.AnyRevision, Events: []events.Event{{
			ID: "bench-event-" + strconv.Itoa(i), Source: world.Source, Time: worldEnd, Actor: "bench",
			Data: &events.RunMetricsLogged{RunID: "bench", Metrics: []events.Metric{{Key: "loss", Value: events.Number(1 / float64(i+1)), Step: int64(i), TimestampMillis: worldEnd.UnixMilli()}}}}}}
	}
	var recs []streams.Record
	for i := range 1000 {
		r, err := streams.CommitRecord(commit(i))
		if err != nil {
			return err
		}
		recs = append(recs, r)
	}
	if err := b.load(events.LedgerTopic, recs, peers.sarama, peers.kgo); err != nil {
		return err
	}
	ours, theirs, err := b.inTurns(peers, events.LedgerTopic, func(i int) error {
		_, err := ledger.Append(b.ctx, commit(i))
		return err
	})
	if err != nil {
		return err
	}
	b.addOneByOne("on Kafka: append of one commit until its verdict, p50", ours, theirs, peers)
	return nil
}

// kafkaPublishOne is one caller's facts, one by one.
func (b *bench) kafkaPublishOne(l streams.Log, peers *bareClients) error {
	recs, err := worldRecords(1000)
	if err != nil {
		return err
	}
	if err := b.load(events.UserEventsTopic, recs, peers.sarama, peers.kgo); err != nil {
		return err
	}
	ours, theirs, err := b.inTurns(peers, events.UserEventsTopic, func(i int) error {
		i %= len(recs)
		return l.Feed().Publish(b.ctx, events.UserEventsTopic, recs[i:i+1])
	})
	if err != nil {
		return err
	}
	b.addOneByOne("on Kafka: publish of one fact, p50", ours, theirs, peers)
	return nil
}

// worldRecords are facts of the simulated world as they are published.
func worldRecords(n int) ([]streams.Record, error) {
	facts, err := worldFacts(n)
	if err != nil {
		return nil, err
	}
	var w writer
	return w.encode(facts, 0)
}

// publishBatch is how many facts one caller publishes at once, as the importer does.
const publishBatch = 8192

func publishAll(ctx context.Context, l streams.Log, recs []streams.Record) error {
	for batch := range slices.Chunk(recs, publishBatch) {
		if err := l.Feed().Publish(ctx, events.UserEventsTopic, batch); err != nil {
			return err
		}
	}
	return nil
}

// kafkaPublish is a bulk load by one caller.
func (b *bench) kafkaPublish(l streams.Log, peers *bareClients) error {
	recs, err := worldRecords(b.size(300_000, 30_000))
	if err != nil {
		return err
	}
	if err := b.load(events.UserEventsTopic, recs, peers.sarama, peers.kgo); err != nil {
		return err
	}
	var ours []float64
	theirs := map[string][]float64{}
	measure := func(int) error {
		t := time.Now()
		if err := publishAll(b.ctx, l, recs); err != nil {
			return err
		}
		ours = append(ours, float64(len(recs))/time.Since(t).Seconds())
		return peers.each(func(p *peer, prefix string) error {
			rate, err := p.rate(map[string]any{"do": "produce", "topic": prefix + events.UserEventsTopic, "count": len(recs)}, int64(len(recs)))
			theirs[p.name] = append(theirs[p.name], rate)
			return err
		})
	}
	if err := measure(0); err != nil { // brokers and clients get warm
		return err
	}
	ours = nil
	clear(theirs)
	if err := b.eachRun(measure); err != nil {
		return err
	}
	b.add(figure{name: "on Kafka: publish of " + thousands(int64(len(recs))) + " facts by one caller", unit: perSecond, ours: ours,
		peer: theirs[peers.sarama.name], peerName: peers.sarama.name + " AsyncProducer, flush settings for bulk", aim: ratioAtLeast(.9)},
		figure{name: "… against franz-go", unit: perSecond, ours: ours, peer: theirs[peers.kgo.name], peerName: peers.kgo.name + " Produce"})
	return nil
}

// filledLog opens a log on Kafka that holds so many facts, which are published where they are missing,
// and gives where the partitions of facts end.
func (b *bench) filledLog(c *cluster) (streams.Log, []int64, error) {
	l, err := c.openLog(b.ctx, replayPrefix)
	if err != nil {
		return nil, nil, err
	}
	ends, n := []int64(nil), b.size(1_000_000, 50_000)
	for range 2 {
		ends = nil
		var total int64
		for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
			end, err := l.Feed().Head(b.ctx, tp, time.Time{})
			if err != nil {
				return nil, nil, errors.Join(err, l.Close())
			}
			ends = append(ends, end)
			total += end
		}
		if total == int64(n) {
			return l, ends, nil
		}
		b.say("publishing %s facts", thousands(int64(n)))
		recs, err := worldRecords(n)
		if err == nil {
			err = publishAll(b.ctx, l, recs)
		}
		if err != nil {
			return nil, nil, errors.Join(err, l.Close())
		}
	}
	return nil, nil, errors.Join(fmt.Errorf("the log holds up to %v facts; want %d", ends, n), l.Close())
}

func sum(ends []int64) (n int64) {
	for _, end := range ends {
		n += end
	}
	return n
}

// kafkaReplay reads a topic's partitions, all at once.
func (b *bench) kafkaReplay(c *cluster, peers *bareClients) error {
	l, ends, err := b.filledLog(c)
	if err != nil {
		return err
	}
	defer l.Close()
	total := sum(ends)
	topic := replayPrefix + events.UserEventsTopic
	var ours []float64
	theirs := map[string][]float64{}
	measure := func(int) error {
		t := time.Now()
		if err := readAll(b.ctx, l.Feed(), total); err != nil {
			return err
		}
		ours = append(ours, float64(total)/time.Since(t).Seconds())
		return peers.each(func(p *peer, _ string) error {
			rate, err := p.rate(map[string]any{"do": "consume", "topic": topic, "ends": ends}, total)
			theirs[p.name] = append(theirs[p.name], rate)
			return err
		})
	}
	if err := measure(0); err != nil {
		return err
	}
	ours = nil
	clear(theirs)
	if err := b.eachRun(measure); err != nil {
		return err
	}
	b.add(figure{name: "on Kafka: reading " + thousands(total) + " facts in 3 partitions", unit: perSecond, ours: ours,
		peer: theirs[peers.sarama.name], peerName: peers.sarama.name + " Consumer", aim: ratioAtLeast(.9)},
		figure{name: "… against franz-go", unit: perSecond, ours: ours, peer: theirs[peers.kgo.name], peerName: peers.kgo.name + " PollFetches"})
	return nil
}

// readAll reads the partitions of facts, each on a goroutine of its own, and expects so many.
func readAll(ctx context.Context, feed streams.Feed, want int64) error {
	var n atomic.Int64
	tps := streams.PartitionsOf(events.UserEventsTopic)
	done := make(chan error, len(tps))
	for _, tp := range tps {
		go func() {
			count := int64(0)
			for _, err := range feed.Read(ctx, tp, 0) {
				if err != nil {
					done <- err
					return
				}
				count++
			}
			n.Add(count)
			done <- nil
		}()
	}
	var errs error
	for range tps {
		errs = errors.Join(errs, <-done)
	}
	if errs == nil && n.Load() != want {
		errs = fmt.Errorf("%d facts were read of %d", n.Load(), want)
	}
	return errs
}
