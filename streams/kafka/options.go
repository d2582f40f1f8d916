package kafka

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Options of a log on a cluster. Brokers is all that must be given; [ParseURL] makes them from one string.
type Options struct {
	// Brokers are host:port of some of the cluster's brokers; the others are learned from them.
	Brokers []string
	// Dir is the folder of the ledger's index, one per process; empty keeps the index in memory and folds
	// the ledger anew at every start.
	Dir string
	// TopicPrefix stands before every topic's name on the brokers, for several logs on one cluster.
	// Positions have the names without it.
	TopicPrefix string
	// Restoring opens an empty log, or one whose filling was begun, to be filled from another one: see
	// [streams.Restorer]. Appends are refused meanwhile.
	Restoring bool
	// TLS encrypts connections; nil for none.
	TLS *tls.Config
	// SASL authenticates; nil for none.
	SASL *SASL
	// ClientID names this program in the brokers' logs and quotas; default "projectionist".
	ClientID string
	// ReplicationFactor of topics that are made; default 3, or as many brokers as there are.
	ReplicationFactor int
	// WriteTimeout bounds how long an append or publish tries, default 30 s: longer than a cluster takes to
	// replace a leader that died. When it ends in doubt the error is fault.Unknown. An append that was
	// written waits for its verdict up to as long again.
	WriteTimeout time.Duration
	// ReadTimeout bounds how long a read or head tries before it fails as fault.Unavailable; default 15 s.
	ReadTimeout time.Duration
	// FetchBytes is asked for per fetch; a read holds at most three such, and one that is ended early leaves
	// them to the next for some seconds. Default 2 MiB.
	FetchBytes int
	// CloseTimeout bounds how long Close waits for what is under way; default 10 s.
	CloseTimeout time.Duration
	// Logf reports what happens in the background; default log.Printf.
	Logf func(format string, args ...any)

	watchEvery time.Duration
}

// SASL are credentials.
type SASL struct {
	Mechanism string // "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512"
	User      string
	Password  string
}

func (o *Options) setDefaults() {
	if o.ClientID == "" {
		o.ClientID = clientIDDefault
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = writeTimeoutDefault
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = readTimeoutDefault
	}
	if o.FetchBytes == 0 {
		o.FetchBytes = fetchBytesDefault
	}
	if o.CloseTimeout == 0 {
		o.CloseTimeout = closeTimeoutDefault
	}
	if o.watchEvery == 0 {
		o.watchEvery = watchEvery
	}
	if o.Logf == nil {
		o.Logf = log.Printf
	}
}

// Validate names everything that is wrong with the options, each as a fault.Invalid.
func (o *Options) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) { errs = append(errs, fault.Field(field, format, args...)) }
	if len(o.Brokers) == 0 {
		bad("brokers", "no broker is given; want host:port such as 127.0.0.1:9092")
	}
	for _, b := range o.Brokers {
		host, port, err := net.SplitHostPort(b)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || host == "" || n == 0 {
			bad("brokers", "%q; want host:port such as 127.0.0.1:9092", b)
		}
	}
	for _, r := range o.TopicPrefix {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-') {
			bad("prefix", "topic prefix %q; want letters, digits, '.', '_' and '-'", o.TopicPrefix)
			break
		}
	}
	if n := len(o.TopicPrefix); n > topicPrefixMax {
		bad("prefix", "topic prefix of %d bytes; at most %d are allowed", n, topicPrefixMax)
	}
	if s := o.SASL; s != nil {
		if _, ok := mechanisms[s.Mechanism]; !ok {
			bad("sasl", "mechanism %q; want PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
		}
		if s.User == "" || s.Password == "" {
			bad("sasl", "%s needs a user and a password", s.Mechanism)
		}
	}
	if o.ReplicationFactor < 0 || o.ReplicationFactor > 1<<15-1 {
		bad("replication", "replication factor %d; want 1 or more, or 0 for the default", o.ReplicationFactor)
	}
	if o.FetchBytes < 0 || o.FetchBytes > 1<<30 {
		bad("fetch_bytes", "%d; want 1 to %d", o.FetchBytes, 1<<30)
	}
	return errors.Join(errs...)
}

// config is sarama's configuration for connections on which one request may take so long.
func (o *Options) config(d *dialer, timeout time.Duration) *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.ClientID = o.ClientID
	c.Net.MaxOpenRequests = 1
	c.Net.DialTimeout, c.Net.ReadTimeout, c.Net.WriteTimeout = timeout, timeout, timeout
	c.Net.Proxy.Enable, c.Net.Proxy.Dialer = true, d
	c.Producer.Idempotent = true
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Metadata.Retry.Max, c.Metadata.Retry.Backoff = 1, 100*time.Millisecond
	c.Metadata.RefreshFrequency = time.Minute
	c.Admin.Timeout = timeout
	if o.TLS != nil {
		c.Net.TLS.Enable, c.Net.TLS.Config = true, o.TLS
	}
	if s := o.SASL; s != nil {
		c.Net.SASL.Enable = true
		c.Net.SASL.Handshake = true
		c.Net.SASL.Version = sarama.SASLHandshakeV1
		c.Net.SASL.Mechanism = sarama.SASLMechanism(s.Mechanism)
		c.Net.SASL.User, c.Net.SASL.Password = s.User, s.Password
		if hash := mechanisms[s.Mechanism]; hash != nil {
			c.Net.SASL.SCRAMClientGeneratorFunc = func() sarama.SCRAMClient { return &scram{hash: hash} }
		}
	}
	return c
}

// topicNames are those of all topics on the brokers, in the order of [streams.Topics].
func (o *Options) topicNames() []string {
	names := make([]string, len(streams.Topics))
	for i, t := range streams.Topics {
		names[i] = o.topicName(t)
	}
	return names
}

// topicName is a topic's name on the brokers.
func (o *Options) topicName(t streams.Topic) string { return o.TopicPrefix + t.Name }
