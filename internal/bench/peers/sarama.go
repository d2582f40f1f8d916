package main

import (
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// saramaPeer is what a program would write with sarama: a SyncProducer where it waits for one record, an
// AsyncProducer with flush settings for bulk loads, a Consumer of all partitions at once.
type saramaPeer struct {
	brokers []string
	recs    []record
	headers [][]sarama.RecordHeader
	sync    sarama.SyncProducer
	bulk    sarama.AsyncProducer
}

func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Net.MaxOpenRequests = 1 // sarama asks for it where the producer is idempotent
	c.Producer.Idempotent, c.Producer.RequiredAcks = true, sarama.WaitForAll
	c.Producer.Return.Successes, c.Producer.Return.Errors = true, true
	c.Producer.Partitioner = sarama.NewManualPartitioner // which is spared the hash
	return c
}

func newSarama(brokers []string) (peer, error) {
	p := &saramaPeer{brokers: brokers}
	var err error
	if p.sync, err = sarama.NewSyncProducer(brokers, saramaConfig()); err != nil {
		return peer{}, err
	}
	c := saramaConfig()
	c.Producer.Flush.Bytes, c.Producer.Flush.Messages, c.Producer.Flush.Frequency = 1<<20, 10_000, 5*time.Millisecond
	if p.bulk, err = sarama.NewAsyncProducer(brokers, c); err != nil {
		return peer{}, err
	}
	return peer{"github.com/IBM/sarama", map[string]func(*request) (answer, error){
		"load": p.load, "append": p.append, "produce": p.produce, "consume": p.consume}}, nil
}

func (p *saramaPeer) load(r *request) (answer, error) {
	var err error
	if p.recs, err = load(r.Path); err != nil {
		return answer{}, err
	}
	p.headers = make([][]sarama.RecordHeader, len(p.recs))
	for i := range p.recs {
		for _, h := range p.recs[i].Headers {
			p.headers[i] = append(p.headers[i], sarama.RecordHeader{Key: h.Key, Value: h.Value})
		}
	}
	return answer{Records: int64(len(p.recs))}, nil
}

func (p *saramaPeer) message(topic string, i int) *sarama.ProducerMessage {
	r := &p.recs[i]
	return &sarama.ProducerMessage{Topic: topic, Partition: r.Partition, Key: sarama.ByteEncoder(r.Key), Value: sarama.ByteEncoder(r.Value), Headers: p.headers[i]}
}

func (p *saramaPeer) append(r *request) (a answer, err error) {
	for i := range r.Count {
		t := time.Now()
		if _, _, err := p.sync.SendMessage(p.message(r.Topic, (r.First+i)%len(p.recs))); err != nil {
			return a, err
		}
		a.Took = append(a.Took, time.Since(t).Seconds())
	}
	return a, nil
}

func (p *saramaPeer) produce(r *request) (answer, error) {
	t := time.Now()
	go func() {
		for i := range r.Count {
			p.bulk.Input() <- p.message(r.Topic, i%len(p.recs))
		}
	}()
	for range r.Count {
		select {
		case <-p.bulk.Successes():
		case err := <-p.bulk.Errors():
			return answer{}, err
		}
	}
	return answer{Took: []float64{time.Since(t).Seconds()}, Records: int64(r.Count)}, nil
}

func (p *saramaPeer) consume(r *request) (answer, error) {
	t := time.Now()
	consumer, err := sarama.NewConsumer(p.brokers, saramaConfig())
	if err != nil {
		return answer{}, err
	}
	defer consumer.Close()
	counts := make([]int64, len(r.Ends))
	var wg sync.WaitGroup
	for n, end := range r.Ends {
		if end == 0 {
			continue
		}
		pc, err := consumer.ConsumePartition(r.Topic, int32(n), 0)
		if err != nil {
			return answer{}, err
		}
		defer pc.AsyncClose()
		wg.Go(func() {
			for m := range pc.Messages() {
				counts[n]++
				if m.Offset+1 == end {
					return
				}
			}
		})
	}
	wg.Wait()
	a := answer{Took: []float64{time.Since(t).Seconds()}}
	for _, n := range counts {
		a.Records += n
	}
	return a, nil
}
