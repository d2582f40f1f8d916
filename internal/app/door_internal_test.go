package app

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/local"
)

// TestDoorAdvertised: Kafka's clients are told to come back to the address that was given.
func TestDoorAdvertised(t *testing.T) {
	l, err := local.OpenMem(local.Options{ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a := &App{embedded: l, refused: &refusals{}, opts: Options{Kafka: "127.0.0.1:0", KafkaAdvertised: "films.example.com:19092", Now: time.Now}}
	d, err := a.openDoor()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	b := sarama.NewBroker(d.Addr().String())
	cfg := sarama.NewConfig()
	if err := b.Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	m, err := b.GetMetadata(&sarama.MetadataRequest{Version: 7})
	if err != nil || len(m.Brokers) != 1 || m.Brokers[0].Addr() != "films.example.com:19092" {
		t.Errorf("%+v, %v", m, err)
	}
	for _, o := range []Options{
		{Kafka: "0.0.0.0:0"},
		{Kafka: "0.0.0.0:0", KafkaAdvertised: "films.example.com:19092"}, // neither a certificate nor a token
		{Kafka: net.JoinHostPort("127.0.0.1", "0"), KafkaAdvertised: "films.example.com"},
	} {
		o.Now = time.Now
		a := &App{embedded: l, refused: &refusals{}, opts: o}
		if d, err := a.openDoor(); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", o, err)
			if d != nil {
				d.Close()
			}
		} else if o.KafkaAdvertised != "" && strings.Contains(err.Error(), "come back to") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
