package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
	"github.com/lovoo/goka/storage"
)

// gokaPeer is goka with its defaults: a processor group whose table is persisted in LevelDB and in its
// changelog topic. Only what a broker of today and a topic that is full already ask for is set otherwise.
type gokaPeer struct{ brokers []string }

func newGoka(brokers []string) peer {
	p := &gokaPeer{brokers}
	return peer{"github.com/lovoo/goka", map[string]func(*request) (answer, error){"fold": p.fold}}
}

// event is what the fold wants of an interaction's JSON.
type event struct {
	UserID string `json:"user_id"`
}

// eventCodec decodes events. It is never asked to encode one.
type eventCodec struct{}

func (eventCodec) Encode(any) ([]byte, error) { return nil, errors.New("events are only read") }

func (eventCodec) Decode(b []byte) (any, error) {
	e := new(event)
	return e, json.Unmarshal(b, e)
}

// fold counts each user's events from the topic's beginning to its end. The time is from the first event
// that the callback got to the last one: finding the group, its partitions and its table is not in it.
func (p *gokaPeer) fold(r *request) (answer, error) {
	cfg := goka.DefaultConfig()
	cfg.Version = sarama.V2_8_0_0                      // Kafka 4 does not speak what 2.0 spoke
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest // the topic is full already
	goka.ReplaceGlobalConfig(cfg)
	topics := goka.NewTopicManagerConfig()
	topics.Table.Replication, topics.Stream.Replication = 1, 1 // there is one broker
	quiet := log.New(io.Discard, "", 0)

	var total int64
	for _, end := range r.Ends {
		total += end
	}
	var done atomic.Int64
	var once sync.Once
	var began time.Time
	finished := make(chan time.Time, 1)
	count := func(ctx goka.Context, m any) {
		once.Do(func() { began = time.Now() })
		var n int64
		if v := ctx.Value(); v != nil {
			n = v.(int64)
		}
		if m.(*event).UserID != ctx.Key() {
			ctx.Fail(errors.New("an event of user " + m.(*event).UserID + " has the key " + ctx.Key()))
		}
		ctx.SetValue(n + 1)
		if done.Add(1) == total {
			finished <- time.Now()
		}
	}
	g, err := goka.NewProcessor(p.brokers, goka.DefineGroup(goka.Group(r.Group),
		goka.Input(goka.Stream(r.Topic), eventCodec{}, count), goka.Persist(new(codec.Int64))),
		goka.WithTopicManagerBuilder(goka.TopicManagerBuilderWithConfig(cfg, topics)),
		goka.WithStorageBuilder(storage.DefaultBuilder(r.Dir)),
		goka.WithLogger(quiet))
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	var a answer
	select {
	case err := <-ended:
		return a, errors.Join(errors.New("the processor ended"), err)
	case t := <-finished:
		a.Took, a.Records = []float64{t.Sub(began).Seconds()}, total
	}
	cancel()
	if err := <-ended; err != nil {
		return a, err
	}
	return a, p.check(r, &a)
}

// check counts what is in the group's table when the processor has ended, from its state on disk.
func (p *gokaPeer) check(r *request, a *answer) error {
	for n := range r.Ends {
		st, err := storage.DefaultBuilder(r.Dir)(r.Group+"-table", int32(n))
		if err != nil {
			return err
		}
		defer st.Close()
		it, err := st.Iterator()
		if err != nil {
			return err
		}
		defer it.Release()
		for it.Next() {
			v, err := it.Value()
			if err != nil {
				return err
			}
			c, err := strconv.ParseInt(string(v), 10, 64)
			if err != nil {
				return err
			}
			a.Keys++
			a.Sum += c
		}
		if err := it.Err(); err != nil {
			return err
		}
	}
	return nil
}
