package cli

import (
	"cmp"
	"crypto/tls"
	"os"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/door"
	"github.com/spf13/cobra"
)

// kafkaFlags are those about Kafka's clients.
func (s *serving) kafkaFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.kafka, "kafka", "", "address for Kafka's clients, or off (default "+door.AddressDefault+" beside the default --listen, else off);\nbeyond this machine they need TLS and SASL PLAIN as user "+app.KafkaUser+" with $"+envToken)
	cmd.Flags().StringVar(&s.advertise, "kafka-advertise", "", "host:port under which Kafka's clients reach that address, such as films.example.com:9092:\nneeded for 0.0.0.0, and where a name or a port is translated (default $"+envAdvertise+")")
	cmd.Flags().StringVar(&s.cert, "kafka-cert", "", "PEM file of the certificate for Kafka's clients")
	cmd.Flags().StringVar(&s.key, "kafka-key", "", "PEM file of its key")
}

// door is where Kafka's clients are let in, and with which certificate.
func (s *serving) door() (address string, c *tls.Config, err error) {
	switch {
	case s.kafka == "off" || s.kafka == "" && s.listen != app.ListenDefault:
		if s.advertise != "" {
			return "", nil, fault.Field("kafka-advertise", "Kafka's clients are not let in").WithHint("say where they are, such as --kafka " + door.AddressDefault)
		}
		return "", nil, nil
	case s.kafka == "":
		s.kafka = door.AddressDefault
	}
	s.advertise = cmp.Or(s.advertise, os.Getenv(envAdvertise))
	if s.cert == "" && s.key == "" {
		return s.kafka, nil, nil
	}
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return "", nil, fault.Field("kafka-cert", "the certificate for Kafka's clients cannot be read: %v", err)
	}
	return s.kafka, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}

// comeTo says where Kafka's clients are answered.
func comeTo(address, advertised string) string {
	if advertised == "" {
		return address
	}
	return address + ", and come to " + advertised
}
