package door

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

const testTopic = events.UserEventsTopic

func mustMem(t testing.TB, opts local.Options) *local.Log {
	t.Helper()
	opts.ReserveBytes = -1
	l, err := local.OpenMem(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// mustListen opens a door on a free port; without a log, over one in memory.
func mustListen(t testing.TB, cfg Config) *Door {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = mustMem(t, local.Options{})
	}
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	d, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// peer is a client that speaks the protocol by hand.
type peer struct {
	t    testing.TB
	nc   net.Conn
	br   *bufio.Reader
	next int32
}

func mustDial(t testing.TB, d *Door) *peer {
	t.Helper()
	nc, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(5 * time.Minute))
	return &peer{t: t, nc: nc, br: bufio.NewReader(nc)}
}

func (p *peer) send(req kmsg.Request) {
	p.t.Helper()
	p.next++
	b := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, p.next)
	if _, err := p.nc.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

// frame reads one answer and gives what follows the correlation id.
func (p *peer) frame() (int32, []byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(p.br, head[:]); err != nil {
		return 0, nil, err
	}
	body := make([]byte, int(binary.BigEndian.Uint32(head[:]))-4)
	_, err := io.ReadFull(p.br, body)
	return int32(binary.BigEndian.Uint32(head[4:])), body, err
}

func (p *peer) recv(req kmsg.Request) kmsg.Response {
	p.t.Helper()
	_, body, err := p.frame()
	if err != nil {
		p.t.Fatalf("no answer to %s: %v", kmsg.NameForKey(req.Key()), err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	if resp.IsFlexible() {
		if len(body) == 0 || body[0] != 0 {
			p.t.Fatalf("the answer to %s begins with %x; want no tags", kmsg.NameForKey(req.Key()), body)
		}
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		p.t.Fatalf("the answer to %s version %d cannot be read: %v", kmsg.NameForKey(req.Key()), req.GetVersion(), err)
	}
	return resp
}

func (p *peer) call(req kmsg.Request) kmsg.Response {
	p.t.Helper()
	p.send(req)
	return p.recv(req)
}

// gone waits for the door to close the connection.
func (p *peer) gone() {
	p.t.Helper()
	if _, body, err := p.frame(); err == nil {
		p.t.Fatalf("an answer %x; want a closed connection", body)
	} else if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
		p.t.Fatal("the connection is still open")
	}
}

// testBatch is a Produce request's batch, to be spoilt by tests.
type testBatch struct {
	kmsg.RecordBatch
	plain []byte
}

func newBatch(recs ...streams.Record) *testBatch {
	b := &testBatch{RecordBatch: kmsg.NewRecordBatch()}
	b.Magic, b.ProducerID, b.ProducerEpoch, b.FirstSequence = 2, -1, -1, -1
	b.NumRecords, b.LastOffsetDelta = int32(len(recs)), int32(len(recs)-1)
	for i := range recs {
		body := []byte{0}
		body = binary.AppendVarint(body, 0)
		body = binary.AppendVarint(body, int64(i))
		body = streams.AppendTail(body, &recs[i])
		b.plain = binary.AppendVarint(b.plain, int64(len(body)))
		b.plain = append(b.plain, body...)
	}
	b.Records = b.plain
	return b
}

func (b *testBatch) producer(id int64, epoch int16, sequence int32) *testBatch {
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = id, epoch, sequence
	return b
}

// bytes seals the batch.
func (b *testBatch) bytes() []byte {
	b.Length = int32(batchHeadBytes - batchLengthFrom + len(b.Records))
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[17:], crc32.Checksum(out[batchCRCFrom:], castagnoli))
	return out
}

func produceRequest(topic string, partition int32, batch []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = 8, -1, 1000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Partition, p.Records = partition, batch
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// produce sends a batch and gives the partition's answer.
func (p *peer) produce(topic string, partition int32, batch []byte) kmsg.ProduceResponseTopicPartition {
	p.t.Helper()
	resp := p.call(produceRequest(topic, partition, batch)).(*kmsg.ProduceResponse)
	if len(resp.Topics) != 1 || resp.Topics[0].Topic != topic || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != partition {
		p.t.Fatalf("the answer is %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

func rec(key, value string) streams.Record {
	return streams.Record{Key: []byte(key), Value: []byte(value), Headers: []streams.Header{{Key: "h", Value: []byte("v")}}}
}

func fetchRequest(topic string, partition int32, from int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.Version, req.ReplicaID, req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 11, -1, 0, 1, 1<<20
	t := kmsg.NewFetchRequestTopic()
	t.Topic = topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, from, 1<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	return req
}

// records reads the batches of a Fetch's answer.
func records(t testing.TB, b []byte) (out []streams.Record) {
	t.Helper()
	for len(b) > 0 {
		var batch kmsg.RecordBatch
		n := batchLengthFrom + int(binary.BigEndian.Uint32(b[8:]))
		if err := batch.ReadFrom(b[:n]); err != nil {
			t.Fatal(err)
		}
		if crc := crc32.Checksum(b[batchCRCFrom:n], castagnoli); int32(crc) != batch.CRC || batch.Magic != 2 {
			t.Fatalf("CRC %x, want %x; magic %d", batch.CRC, crc, batch.Magic)
		}
		rest := batch.Records
		for i := range batch.NumRecords {
			n, m := binary.Varint(rest)
			body := rest[m : m+int(n)]
			rest = rest[m+int(n):]
			delta, m := binary.Varint(body[1:])
			body = body[1+m:]
			at, m := binary.Varint(body)
			if at < int64(i) { // more behind a hole
				t.Fatalf("offset delta %d of record %d", at, i)
			}
			var r streams.Record
			if err := streams.ParseTail(body[m:], &r); err != nil {
				t.Fatal(err)
			}
			r.Offset, r.Recorded = batch.FirstOffset+at, time.UnixMilli(batch.FirstTimestamp+delta)
			if i == batch.NumRecords-1 && (int64(batch.LastOffsetDelta) != at || batch.FirstTimestamp+delta != batch.MaxTimestamp) {
				t.Fatalf("the batch's ends are wrong: %+v", batch)
			}
			out = append(out, r)
		}
		if len(rest) != 0 {
			t.Fatalf("%d bytes too many", len(rest))
		}
		b = b[n:]
	}
	return out
}

func (p *peer) fetch(req *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	p.t.Helper()
	resp := p.call(req).(*kmsg.FetchResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.ErrorCode != 0 || resp.SessionID != 0 {
		p.t.Fatalf("the answer is %+v", resp)
	}
	return resp.Topics[0].Partitions[0]
}

func TestListen(t *testing.T) {
	l := mustMem(t, local.Options{})
	t.Run("ErrTaken", func(t *testing.T) {
		d := mustListen(t, Config{Log: l})
		_, err := Listen(Config{Log: l, Address: d.Addr().String()})
		if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "stop the program that has the port") {
			t.Errorf("a taken port: %v", err)
		}
	})
	for _, cfg := range []Config{
		{Log: l, Address: "0.0.0.0:0"},
		{Log: l, Address: ":0"},
		{Log: l, Address: "192.0.2.1:9092", Users: map[string]string{"u": "p"}},
		{Log: l, Address: "127.0.0.1"},
		{Log: l, Address: "127.0.0.1:0", Advertised: "nowhere"},
		{Address: "127.0.0.1:0"},
	} {
		if d, err := Listen(cfg); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", cfg, err)
			if d != nil {
				d.Close()
			}
		}
	}
}

func TestApiVersions(t *testing.T) {
	d := mustListen(t, Config{})
	for v := int16(0); v <= 4; v++ {
		p := mustDial(t, d)
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = v, "test", "1"
		p.send(req)
		_, body, err := p.frame()
		if err != nil {
			t.Fatal(err)
		}
		resp := kmsg.NewApiVersionsResponse()
		want := int16(codeNone)
		if resp.Version = v; v > 3 {
			resp.Version, want = 0, codeUnsupportedVersion
		}
		if err := resp.ReadFrom(body); err != nil || resp.ErrorCode != want || len(resp.ApiKeys) != len(apis) {
			t.Errorf("version %d: %+v, %v", v, resp, err)
		}
	}
	for _, api := range apis { // one version beyond, and the last before
		if api.key == keyApiVersions {
			continue
		}
		for _, v := range []int16{api.min - 1, api.max + 1} {
			req := kmsg.RequestForKey(api.key)
			if v < 0 || v > req.MaxVersion() {
				continue
			}
			req.SetVersion(v)
			p := mustDial(t, d)
			p.send(req)
			p.gone()
		}
	}
	p := mustDial(t, d)
	p.send(kmsg.NewPtrEndTxnRequest())
	p.gone()
}

func TestMetadata(t *testing.T) {
	d := mustListen(t, Config{Advertised: "example.org:1234"})
	p := mustDial(t, d)
	for v := int16(0); v <= 8; v++ {
		req := kmsg.NewPtrMetadataRequest()
		req.Version = v
		resp := p.call(req).(*kmsg.MetadataResponse)
		if len(resp.Topics) != len(streams.Topics) || len(resp.Brokers) != 1 || resp.Brokers[0].Host != "example.org" || resp.Brokers[0].Port != 1234 {
			t.Fatalf("version %d: %+v", v, resp)
		}
		for i, want := range streams.Topics {
			if got := resp.Topics[i]; *got.Topic != want.Name || len(got.Partitions) != int(want.Partitions) || got.ErrorCode != 0 {
				t.Errorf("topic %+v; want %+v", got, want)
			}
		}
	}
	for name, code := range map[string]int16{"nope": codeUnknownTopic, "\xff": codeInvalidTopic} {
		req := kmsg.NewPtrMetadataRequest()
		req.Version, req.AllowAutoTopicCreation = 8, true
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = &name
		req.Topics = append(req.Topics, topic)
		if resp := p.call(req).(*kmsg.MetadataResponse); len(resp.Topics) != 1 || resp.Topics[0].ErrorCode != code {
			t.Errorf("%q: %+v", name, resp.Topics)
		}
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	configs.Version = 3
	for name, kind := range map[string]kmsg.ConfigResourceType{testTopic: kmsg.ConfigResourceTypeTopic, "1": kmsg.ConfigResourceTypeBroker} {
		r := kmsg.NewDescribeConfigsRequestResource()
		r.ResourceName, r.ResourceType = name, kind
		configs.Resources = append(configs.Resources, r)
	}
	for _, r := range p.call(configs).(*kmsg.DescribeConfigsResponse).Resources {
		if r.ErrorCode != 0 || len(r.Configs) < 5 {
			t.Errorf("%+v", r)
		}
	}
}

// TestClose: long polls, parked joins and idle connections do not hold it up.
func TestClose(t *testing.T) {
	l := mustMem(t, local.Options{})
	d, err := Listen(Config{Log: l, Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	mustDial(t, d) // idle
	poll := mustDial(t, d)
	req := fetchRequest(testTopic, 0, 0)
	req.MaxWaitMillis = 60_000
	poll.send(req)
	half := mustDial(t, d)
	if _, err := half.nc.Write([]byte{0, 0, 1, 0, 0}); err != nil {
		t.Fatal(err)
	}
	// The poll has arrived when a request behind it on another connection is answered; then Close.
	mustDial(t, d).call(kmsg.NewPtrFindCoordinatorRequest())
	d.patience = time.Hour
	closed := make(chan error, 1)
	go func() { closed <- d.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(frameTimeout): // before which none of them ends by itself
		t.Fatal("it has to be forced")
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", d.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}
