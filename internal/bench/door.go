package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/door"
	"github.com/projectionist/projectionist/streams/local"
)

// doorOpened is what the door's server says, with two addresses: of the door as the program opens it,
// and of one that takes any bytes.
const doorOpened = "the doors are "

// doorServer serves an embedded log in a folder to Kafka's clients, and does nothing else.
func doorServer() int {
	err := func() error {
		if len(os.Args) != 2 {
			return errors.New("want a folder")
		}
		l, err := local.Open(os.Args[1], local.Options{})
		if err != nil {
			return err
		}
		var addresses []string
		for _, c := range []door.Config{{Validate: validFact, Read: readFact}, {}} { // as in the program, and bare
			c.Log, c.Address = l, "127.0.0.1:0"
			d, err := door.Listen(c)
			if err != nil {
				return err
			}
			addresses = append(addresses, d.Addr().String())
		}
		fmt.Println(doorOpened + strings.Join(addresses, " "))
		select {} // until it is killed
	}()
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// validFact is what the program's door asks of a record.
func validFact(topic string, rec *streams.Record) error {
	return door.ValidFact(topic, rec, time.Now())
}

func readFact(topic string, rec *streams.Record) (*events.Event, error) {
	return door.ReadFact(topic, rec, time.Now())
}

// doors starts the door's server.
func (b *bench) doors() (c *child, valid, plain string, err error) {
	dir, err := b.folder("door")
	if err != nil {
		return nil, "", "", err
	}
	if c, err = b.spawn(childDoor, func(string) {}, dir); err != nil {
		return nil, "", "", err
	}
	err = c.wait(b.ctx, "opens its doors", func() bool {
		_, said, _ := strings.Cut(c.out.tail(), doorOpened)
		at := strings.Fields(said)
		if len(at) != 2 {
			return false
		}
		valid, plain = at[0], at[1]
		return true
	})
	return c, valid, plain, err
}

// plainBytes is how long the values are.
const plainBytes = 200

// plainFacts are interactions as anyone may write them: JSON without a key and headers.
func plainFacts(n int) []streams.Record {
	recs := make([]streams.Record, n)
	for i := range recs {
		v := fmt.Sprintf(`{"user_id":"user_%d","movie_id":"movie_%d","interaction_type":"view","timestamp":%q,"session_id":"`,
			i%5000, i*7919%3000, events.FormatTime(worldEnd.Add(time.Duration(i)*time.Second)))
		id := strconv.FormatUint(uint64(i+1)*0x9e3779b97f4a7c15, 16)
		v += strings.Repeat(id, plainBytes/len(id))
		recs[i].Value = []byte(v[:plainBytes-2] + `"}`)
	}
	return recs
}

// door measures one producer and one consumer, both franz-go's client with its defaults, on the embedded
// log's door and on Kafka.
func (b *bench) door() error {
	c, err := b.kafka()
	if err != nil {
		return err
	}
	const prefix = "door."
	if err := c.makeTopics(b.ctx, prefix); err != nil {
		return err
	}
	server, valid, plain, err := b.doors()
	if err != nil {
		return err
	}
	defer server.kill()
	facts := plainFacts(10_000)
	for i := range facts {
		if err := validFact(events.UserEventsTopic, &facts[i]); err != nil {
			return err
		}
	}
	var peers []*peer // of the door, of the door that takes any bytes, of Kafka
	for _, at := range []string{valid, plain, c.address} {
		p, err := startPeer(exec.CommandContext(b.ctx, c.peers, "kgo", at, "default"), "franz-go")
		if err != nil {
			return err
		}
		defer p.close() //nolint:errcheck // nothing is asked of it any more
		peers = append(peers, p)
	}
	if err := b.load(events.UserEventsTopic, facts, peers...); err != nil {
		return err
	}
	topics := []string{events.UserEventsTopic, events.UserEventsTopic, prefix + events.UserEventsTopic}
	n := b.size(500_000, 50_000)
	produced := make([][]float64, len(peers))
	produce := func(int) error {
		for i, p := range peers {
			rate, err := p.rate(map[string]any{"do": "produce", "topic": topics[i], "count": n}, int64(n))
			if err != nil {
				return err
			}
			produced[i] = append(produced[i], rate)
		}
		return nil
	}
	if err := produce(0); err != nil { // brokers and clients get warm
		return err
	}
	clear(produced)
	if err := b.eachRun(produce); err != nil {
		return err
	}

	// What is read is in a topic of its own, once.
	read := []string{"", events.RecommendationsTopic, prefix + events.RecommendationsTopic}
	total := int64(b.size(1_000_000, 100_000))
	for i, topic := range read {
		if topic == "" {
			continue
		}
		if _, err := peers[i].rate(map[string]any{"do": "produce", "topic": topic, "count": total}, total); err != nil {
			return err
		}
	}
	ends := make([]int64, len(streams.PartitionsOf(events.RecommendationsTopic)))
	ends[0] = total // the client counts them all
	consumed := make([][]float64, len(peers))
	consume := func(int) error {
		for i, topic := range read {
			if topic == "" {
				continue
			}
			rate, err := peers[i].rate(map[string]any{"do": "consume", "topic": topic, "ends": ends}, total)
			if err != nil {
				return err
			}
			consumed[i] = append(consumed[i], rate)
		}
		return nil
	}
	if err := consume(0); err != nil {
		return err
	}
	clear(consumed)
	if err := b.eachRun(consume); err != nil {
		return err
	}
	client := peers[0].name
	b.add(figure{name: "the door: one producer, facts of 200 bytes, validated and fsynced (" + client + ")", unit: perSecond, ours: produced[0], peer: produced[2],
		peerName: "Apache Kafka, which does neither", aim: ratioAtLeast(1)},
		figure{name: "… any bytes, fsynced", unit: perSecond, ours: produced[1], peer: produced[2], peerName: "Apache Kafka", aim: ratioAtLeast(1)},
		figure{name: "the door: one consumer (" + client + ")", unit: perSecond, ours: consumed[1], peer: consumed[2], peerName: "Apache Kafka", aim: atLeast(1_000_000)})
	return nil
}
