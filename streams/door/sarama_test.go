package door

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams/local"
)

func saramaConfig() *sarama.Config {
	c := sarama.NewConfig()
	c.Version = sarama.V3_6_0_0
	c.Producer.RequiredAcks = sarama.WaitForAll
	c.Producer.Return.Successes = true
	c.Producer.Idempotent = true
	c.Net.MaxOpenRequests = 1
	c.Consumer.Offsets.Initial = sarama.OffsetOldest
	c.Consumer.Group.Rebalance.Timeout = 10 * time.Second
	c.Consumer.Group.Heartbeat.Interval = 100 * time.Millisecond
	c.Consumer.Offsets.AutoCommit.Enable = false
	return c
}

// TestSarama produces with every codec and consumes it all.
func TestSarama(t *testing.T) {
	d := mustListen(t, Config{})
	addr := []string{d.Addr().String()}
	const each = 200
	seen := map[string]bool{}
	for _, codec := range []sarama.CompressionCodec{sarama.CompressionNone, sarama.CompressionGZIP, sarama.CompressionSnappy, sarama.CompressionLZ4, sarama.CompressionZSTD} {
		c := saramaConfig()
		c.Producer.Compression = codec
		p, err := sarama.NewSyncProducer(addr, c)
		if err != nil {
			t.Fatal(err)
		}
		var batch []*sarama.ProducerMessage
		for i := range each {
			v := fmt.Sprint(codec, " ", i)
			seen[v] = false
			batch = append(batch, &sarama.ProducerMessage{Topic: testTopic, Key: sarama.StringEncoder(fmt.Sprint(i)), Value: sarama.StringEncoder(v)})
		}
		if err := p.SendMessages(batch); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: ledgerTopic, Value: sarama.StringEncoder("x")}); !errors.Is(err, sarama.ErrPolicyViolation) {
			t.Errorf("to the ledger: %v", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	consumer, err := sarama.NewConsumer(addr, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	partitions, err := consumer.Partitions(testTopic)
	if err != nil || len(partitions) != 3 {
		t.Fatal(partitions, err)
	}
	messages := make(chan *sarama.ConsumerMessage, 1000)
	for _, n := range partitions {
		pc, err := consumer.ConsumePartition(testTopic, n, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		go func() {
			for m := range pc.Messages() {
				messages <- m
			}
		}()
	}
	timeout := time.After(5 * time.Minute)
	for range len(seen) {
		select {
		case m := <-messages:
			if again, ok := seen[string(m.Value)]; !ok || again {
				t.Fatalf("%q came again, or was never sent", m.Value)
			}
			seen[string(m.Value)] = true
		case <-timeout:
			t.Fatal("not everything came")
		}
	}
}

// groupHandler marks what it consumes, and tells of its partitions.
type groupHandler struct {
	name     string
	assigned chan<- string
	got      chan<- *sarama.ConsumerMessage
}

func (h *groupHandler) Setup(s sarama.ConsumerGroupSession) error {
	h.assigned <- fmt.Sprintf("%s has %d", h.name, len(s.Claims()[testTopic]))
	return nil
}

func (h *groupHandler) Cleanup(s sarama.ConsumerGroupSession) error { s.Commit(); return nil }

func (h *groupHandler) ConsumeClaim(s sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for m := range claim.Messages() {
		s.MarkMessage(m, "")
		h.got <- m
	}
	return nil
}

// TestSaramaGroup: partitions are shared among members, move when one leaves, and nothing is consumed
// twice across orderly rebalances and a restart of the group.
func TestSaramaGroup(t *testing.T) {
	d := mustListen(t, Config{})
	addr := []string{d.Addr().String()}
	producer, err := sarama.NewSyncProducer(addr, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	assigned := make(chan string, 100)
	got := make(chan *sarama.ConsumerMessage, 1000)
	type running struct {
		group sarama.ConsumerGroup
		stop  context.CancelFunc
		done  sync.WaitGroup
	}
	start := func(name string) *running {
		group, err := sarama.NewConsumerGroup(addr, "g", saramaConfig())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		r := &running{group: group, stop: cancel}
		r.done.Go(func() {
			for ctx.Err() == nil {
				if err := group.Consume(ctx, []string{testTopic}, &groupHandler{name, assigned, got}); err != nil && ctx.Err() == nil {
					t.Error(err)
					return
				}
			}
		})
		return r
	}
	stop := func(r *running) {
		r.stop()
		r.done.Wait()
		if err := r.group.Close(); err != nil {
			t.Error(err)
		}
	}
	expect := func(want ...string) {
		t.Helper()
		timeout := time.After(5 * time.Minute)
		for len(want) > 0 {
			select {
			case s := <-assigned:
				for i, w := range want {
					if s == w {
						want = append(want[:i], want[i+1:]...)
						break
					}
				}
			case <-timeout:
				t.Fatalf("no assignment %q", want)
			}
		}
	}
	sent, seen := 0, map[string]bool{}
	send := func() {
		t.Helper()
		for range 30 {
			sent++
			v := sarama.StringEncoder(fmt.Sprint(sent))
			if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: testTopic, Key: v, Value: v}); err != nil {
				t.Fatal(err)
			}
		}
		timeout := time.After(5 * time.Minute)
		for len(seen) < sent {
			select {
			case m := <-got:
				if seen[string(m.Value)] {
					t.Fatalf("%q came twice", m.Value)
				}
				seen[string(m.Value)] = true
			case <-timeout:
				t.Fatalf("%d of %d have come", len(seen), sent)
			}
		}
	}
	a := start("a")
	expect("a has 3")
	send()
	b := start("b")
	for { // sarama's range assignor gives either of them two
		if s := <-assigned; strings.HasPrefix(s, "b has ") {
			break
		}
	}
	send()
	stop(a)
	expect("b has 3")
	send()
	stop(b)
	c := start("c")
	expect("c has 3")
	send()
	stop(c)

	admin, err := sarama.NewClusterAdmin(addr, saramaConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	offsets, err := admin.ListConsumerGroupOffsets("g", map[string][]int32{testTopic: {0, 1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, b := range offsets.Blocks[testTopic] {
		sum += b.Offset
	}
	if sum != int64(sent) {
		t.Errorf("the group's offsets add up to %d; want %d", sum, sent)
	}
	if topics, err := admin.ListTopics(); err != nil || len(topics) != len(events.Topics) {
		t.Errorf("%d topics, %v", len(topics), err)
	}
	if groups, err := admin.ListConsumerGroups(); err != nil || groups["g"] != "consumer" {
		t.Errorf("groups %v, %v", groups, err)
	}
}

// testTLS is a certificate for 127.0.0.1, and who trusts it.
func testTLS(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

// TestSASL: an address of the network needs a certificate and users; then only they get in.
func TestSASL(t *testing.T) {
	server, client := testTLS(t)
	d := mustListen(t, Config{Log: mustMem(t, local.Options{}), Address: "0.0.0.0:0", Advertised: "127.0.0.1:9", TLS: server, Users: map[string]string{"ada": "s3cret"}})
	_, port, _ := net.SplitHostPort(d.Addr().String())
	addr := "127.0.0.1:" + port
	for _, c := range []struct {
		name, user, password string
		tls                  bool
		ok                   bool
	}{
		{"right", "ada", "s3cret", true, true},
		{"wrong password", "ada", "secret", true, false},
		{"wrong name", "eve", "s3cret", true, false},
		{"no password for an unknown name", "eve", "", true, false},
		{"no SASL", "", "", true, false},
		{"no TLS", "ada", "s3cret", false, false},
	} {
		cfg := saramaConfig()
		cfg.Net.TLS.Enable, cfg.Net.TLS.Config = c.tls, client
		if c.user != "" {
			cfg.Net.SASL.Enable, cfg.Net.SASL.User, cfg.Net.SASL.Password = true, c.user, c.password
			if c.password == "" {
				cfg.Net.SASL.Password = " "
			}
		}
		if !c.ok { // who is let in has as long as it takes
			cfg.Net.DialTimeout, cfg.Net.ReadTimeout = 3*time.Second, 3*time.Second
		}
		for _, version := range []int16{sarama.SASLHandshakeV0, sarama.SASLHandshakeV1} { // without a request around the password, and with
			cfg.Net.SASL.Version, cfg.ApiVersionsRequest = version, version != sarama.SASLHandshakeV0
			b := sarama.NewBroker(addr)
			if err := b.Open(cfg); err != nil {
				t.Fatal(err)
			}
			resp, err := b.GetMetadata(&sarama.MetadataRequest{Version: 7})
			if ok := err == nil && len(resp.Topics) == len(events.Topics); ok != c.ok {
				t.Errorf("%s, version %d: %+v, %v", c.name, version, resp, err)
			}
			b.Close()
		}
	}
}

// TestSASLHostile: what stands in place of a password is bounded, and no request gets in with it.
func TestSASLHostile(t *testing.T) {
	d := mustListen(t, Config{Users: map[string]string{"ada": "s3cret"}})
	for name, after := range map[string][]byte{
		"large":            {0x7f, 0xff, 0xff, 0xff},
		"empty":            {0, 0, 0, 0},
		"no PLAIN message": {0, 0, 0, 3, 'a', 'd', 'a'},
		"a request":        {0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff},
	} {
		p := mustDial(t, d)
		hello := kmsg.NewPtrSASLHandshakeRequest()
		hello.Mechanism = mechanismPlain
		if r := p.call(hello).(*kmsg.SASLHandshakeResponse); r.ErrorCode != 0 {
			t.Fatalf("%+v", r)
		}
		if _, err := p.nc.Write(after); err != nil {
			t.Fatal(name, err)
		}
		p.gone()
	}
}

// TestTLS produces into long polls over TLS: their ends leave the connection whole.
func TestTLS(t *testing.T) {
	server, client := testTLS(t)
	d := mustListen(t, Config{TLS: server, Users: map[string]string{"ada": "s3cret"}})
	addr := []string{d.Addr().String()}
	cfg := saramaConfig()
	cfg.Net.TLS.Enable, cfg.Net.TLS.Config = true, client
	cfg.Net.SASL.Enable, cfg.Net.SASL.User, cfg.Net.SASL.Password = true, "ada", "s3cret"
	cfg.Consumer.MaxWaitTime = 20 * time.Millisecond // some end without a record
	consumer, err := sarama.NewConsumer(addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	pc, err := consumer.ConsumePartition("model-drift-alerts", 0, sarama.OffsetOldest)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	producer, err := sarama.NewSyncProducer(addr, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	timeout := time.After(5 * time.Minute)
	for i := range 30 {
		if _, _, err := producer.SendMessage(&sarama.ProducerMessage{Topic: "model-drift-alerts", Value: sarama.StringEncoder(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-pc.Messages():
			if string(m.Value) != fmt.Sprint(i) {
				t.Fatalf("%q; want %d", m.Value, i)
			}
		case <-timeout:
			t.Fatal("not everything came")
		}
		time.Sleep(time.Duration(i) * time.Millisecond)
	}
}
