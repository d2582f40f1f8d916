package kafka_test

import (
	"context"
	"fmt"
	"log"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
)

func ExampleParseURL() {
	opts, err := kafka.ParseURL("kafka://a.example,b.example:19092?tls=true&sasl=PLAIN&user=anna&password=hush&prefix=staging.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(opts.Brokers, opts.SASL.User, opts.TopicPrefix, opts.TLS != nil)

	_, err = kafka.ParseURL("kafka://a.example?sasl=PLAIN")
	fmt.Println(err)
	// Output:
	// [a.example:9092 b.example:19092] anna staging. true
	// the log's URL: sasl: PLAIN needs a user and a password
}

func ExampleOpen() {
	ctx := context.Background()
	opts, err := kafka.ParseURL("kafka://127.0.0.1:9092")
	if err != nil {
		log.Fatal(err)
	}
	opts.Dir = "data/kafka-index" // one per process; may be deleted while it is down
	l, err := kafka.Open(ctx, opts)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
	for c, err := range l.Ledger().ReadStream(ctx, "model/als", 0) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.Position, c.Revision, streams.Revision(len(c.Events)))
	}
}
