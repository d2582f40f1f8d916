package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// kgoPeer is franz-go's client with its defaults, which are an idempotent producer that waits for all
// replicas and Java's partitioner.
type kgoPeer struct {
	brokers []string
	recs    []record
	headers [][]kgo.RecordHeader
	client  *kgo.Client
}

func newKgo(brokers, codec []string) (peer, error) {
	opts := []kgo.Opt{kgo.SeedBrokers(brokers...)}
	switch {
	case len(codec) == 1 && codec[0] == "none":
		opts = append(opts, kgo.ProducerBatchCompression(kgo.NoCompression()))
	case len(codec) == 1 && codec[0] == "default":
	default:
		return peer{}, errors.New("want a codec, none or default")
	}
	p := &kgoPeer{brokers: brokers}
	var err error
	if p.client, err = kgo.NewClient(opts...); err != nil {
		return peer{}, err
	}
	return peer{"github.com/twmb/franz-go", map[string]func(*request) (answer, error){
		"load": p.load, "append": p.append, "produce": p.produce, "consume": p.consume}}, nil
}

func (p *kgoPeer) load(r *request) (answer, error) {
	var err error
	if p.recs, err = load(r.Path); err != nil {
		return answer{}, err
	}
	p.headers = make([][]kgo.RecordHeader, len(p.recs))
	for i := range p.recs {
		for _, h := range p.recs[i].Headers {
			p.headers[i] = append(p.headers[i], kgo.RecordHeader{Key: string(h.Key), Value: h.Value})
		}
	}
	return answer{Records: int64(len(p.recs))}, nil
}

func (p *kgoPeer) record(topic string, i int) *kgo.Record {
	r := &p.recs[i]
	return &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: p.headers[i]}
}

func (p *kgoPeer) append(r *request) (a answer, err error) {
	for i := range r.Count {
		t := time.Now()
		if err := p.client.ProduceSync(context.Background(), p.record(r.Topic, (r.First+i)%len(p.recs))).FirstErr(); err != nil {
			return a, err
		}
		a.Took = append(a.Took, time.Since(t).Seconds())
	}
	return a, nil
}

func (p *kgoPeer) produce(r *request) (answer, error) {
	var wg sync.WaitGroup
	var once sync.Once
	var failed error
	t := time.Now()
	wg.Add(r.Count)
	for i := range r.Count {
		p.client.Produce(context.Background(), p.record(r.Topic, i%len(p.recs)), func(_ *kgo.Record, err error) {
			if err != nil {
				once.Do(func() { failed = err })
			}
			wg.Done()
		})
	}
	wg.Wait()
	return answer{Took: []float64{time.Since(t).Seconds()}, Records: int64(r.Count)}, failed
}

func (p *kgoPeer) consume(r *request) (answer, error) {
	from := map[int32]kgo.Offset{}
	var total int64
	for n, end := range r.Ends {
		from[int32(n)] = kgo.NewOffset().At(0)
		total += end
	}
	t := time.Now()
	c, err := kgo.NewClient(kgo.SeedBrokers(p.brokers...), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{r.Topic: from}))
	if err != nil {
		return answer{}, err
	}
	defer c.Close()
	a := answer{}
	for a.Records < total {
		f := c.PollFetches(context.Background())
		if err := f.Err(); err != nil {
			return answer{}, err
		}
		a.Records += int64(f.NumRecords())
	}
	a.Took = []float64{time.Since(t).Seconds()}
	return a, nil
}
