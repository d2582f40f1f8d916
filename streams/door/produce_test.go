package door

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// form is b as a client sends it.
type form struct {
	codec int16
	bytes []byte
}

// forms are those in which clients send records, by name.
var forms = map[string]func(testing.TB, []byte) form{
	"none": func(_ testing.TB, b []byte) form { return form{codecNone, b} },
	"gzip": func(_ testing.TB, b []byte) form {
		var out bytes.Buffer
		w := gzip.NewWriter(&out)
		w.Write(b)
		w.Close()
		return form{codecGzip, out.Bytes()}
	},
	"snappy": func(_ testing.TB, b []byte) form { return form{codecSnappy, snappy.Encode(nil, b)} },
	"xerial": func(_ testing.TB, b []byte) form {
		framed := append([]byte(nil), xerial...)
		framed = append(framed, 0, 0, 0, 1, 0, 0, 0, 1)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 32<<10)
			block := snappy.Encode(nil, rest[:n])
			framed = binary.BigEndian.AppendUint32(framed, uint32(len(block)))
			framed = append(framed, block...)
			rest = rest[n:]
		}
		return form{codecSnappy, framed}
	},
	"lz4": func(_ testing.TB, b []byte) form {
		var out bytes.Buffer
		w := lz4.NewWriter(&out)
		w.Write(b)
		w.Close()
		return form{codecLZ4, out.Bytes()}
	},
	"zstd": func(t testing.TB, b []byte) form {
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		return form{codecZstd, w.EncodeAll(b, nil)}
	},
}

// TestProduce: what is acknowledged is in the log, as it was sent, whatever the codec and the version.
func TestProduce(t *testing.T) {
	l := mustMem(t, local.Options{})
	d := mustListen(t, Config{Log: l})
	p := mustDial(t, d)
	var want []streams.Record
	n := 0
	for version := int16(3); version <= 8; version++ {
		for name, in := range forms {
			recs := []streams.Record{rec("k", fmt.Sprint("v", n)), {Key: nil, Value: bytes.Repeat([]byte("x"), n)}, {Key: []byte{}, Value: nil}}
			b := newBatch(recs...)
			form := in(t, b.plain)
			b.Attributes, b.Records = form.codec, form.bytes
			req := produceRequest(testTopic, 2, b.bytes())
			req.Version = version
			resp := p.call(req).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
			if resp.ErrorCode != 0 || resp.BaseOffset != int64(len(want)) {
				t.Fatalf("%s version %d: %+v", name, version, resp)
			}
			want = append(want, recs...)
			n++
		}
	}
	i := 0
	for r, err := range l.Feed().Read(context.Background(), streams.TP{Topic: testTopic, Partition: 2}, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(streams.AppendTail(nil, r), streams.AppendTail(nil, &want[i])) {
			t.Fatalf("record %d is %+v; want %+v", i, r, want[i])
		}
		i++
	}
	if i != len(want) {
		t.Errorf("%d records; want %d", i, len(want))
	}
}

// TestProducePipelined: a client may send on before it is answered; the order holds.
func TestProducePipelined(t *testing.T) {
	d := mustListen(t, Config{})
	p := mustDial(t, d)
	const n = 200
	go func() {
		p := &peer{t: t, nc: p.nc}
		for i := range n {
			p.send(produceRequest(testTopic, 0, newBatch(rec("k", fmt.Sprint(i))).bytes()))
		}
	}()
	for i := range n {
		resp := p.recv(produceRequest("", 0, nil)).(*kmsg.ProduceResponse).Topics[0].Partitions[0]
		if resp.BaseOffset != int64(i) {
			t.Fatalf("answer %d has offset %d", i, resp.BaseOffset)
		}
	}
	if got := records(t, p.fetch(fetchRequest(testTopic, 0, 0)).RecordBatches); len(got) != n || string(got[n-1].Value) != fmt.Sprint(n-1) {
		t.Errorf("%d records; want %d", len(got), n)
	}
}

// TestProduceRefused: nothing of a refused batch is written, and the error says why.
func TestProduceRefused(t *testing.T) {
	l := mustMem(t, local.Options{})
	var mu sync.Mutex
	var rejected []string
	d := mustListen(t, Config{Log: l,
		Validate: func(topic string, r *streams.Record) error {
			if strings.HasPrefix(string(r.Value), "bad") {
				return errors.New("no such movie" + strings.Repeat(".", max(0, len(r.Value)-10)))
			}
			return nil
		},
		Rejected: func(r *streams.Record, reason error) {
			mu.Lock()
			defer mu.Unlock()
			rejected = append(rejected, r.Topic+" "+string(r.Value)+" "+reason.Error())
		}})
	good := func() *testBatch { return newBatch(rec("a", "1"), rec("b", "2")) }
	edit := func(fn func(*testBatch)) []byte {
		b := good()
		fn(b)
		return b.bytes()
	}
	spoil := func(fn func([]byte)) []byte {
		b := good().bytes()
		fn(b)
		return b
	}
	bomb := func(name string) []byte {
		b := good()
		form := forms[name](t, make([]byte, batchPlainBytesMax+1))
		b.Attributes, b.Records = form.codec, form.bytes
		return b.bytes()
	}
	cases := []struct {
		name      string
		topic     string
		partition int32
		batch     []byte
		code      int16
		message   string
	}{
		{"ledger", ledgerTopic, 0, good().bytes(), codePolicyViolation, "is the ledger"},
		{"unknown topic", "nope", 0, good().bytes(), codeUnknownTopic, "no partition"},
		{"unknown partition", testTopic, 3, good().bytes(), codeUnknownTopic, "no partition 3"},
		{"topic not UTF-8", "\xff", 0, good().bytes(), codeInvalidTopic, "UTF-8"},
		{"validate", testTopic, 0, newBatch(rec("a", "1"), rec("b", "bad 1")).bytes(), codeInvalidRecord, "record 1: no such movie"},
		{"validate, at length", testTopic, 0, newBatch(rec("a", "bad "+strings.Repeat("x", 100_000))).bytes(), codeInvalidRecord, "record 0: no such movie"},
		{"empty", testTopic, 0, nil, codeInvalidRecord, "0 bytes"},
		{"CRC", testTopic, 0, spoil(func(b []byte) { b[len(b)-1]++ }), codeCorruptMessage, "CRC"},
		{"magic", testTopic, 0, edit(func(b *testBatch) { b.Magic = 1 }), codeInvalidRecord, "format 1"},
		{"length", testTopic, 0, spoil(func(b []byte) { b[11]++ }), codeInvalidRecord, "one batch per partition"},
		{"two batches", testTopic, 0, append(good().bytes(), good().bytes()...), codeInvalidRecord, "one batch per partition"},
		{"transactional", testTopic, 0, edit(func(b *testBatch) { b.Attributes = 0x10 }), codeInvalidRecord, "transactions"},
		{"control", testTopic, 0, edit(func(b *testBatch) { b.Attributes = 0x20 }), codeInvalidRecord, "control"},
		{"codec", testTopic, 0, edit(func(b *testBatch) { b.Attributes = 5 }), codeUnsupportedCompression, "codec"},
		{"count", testTopic, 0, edit(func(b *testBatch) { b.NumRecords = 3 }), codeInvalidRecord, "last offset delta"},
		{"count and delta", testTopic, 0, edit(func(b *testBatch) { b.NumRecords, b.LastOffsetDelta = 1<<30, 1<<30-1 }), codeInvalidRecord, "records in"},
		{"none", testTopic, 0, edit(func(b *testBatch) { b.NumRecords, b.LastOffsetDelta = 0, -1 }), codeInvalidRecord, "0 records"},
		{"fewer", testTopic, 0, edit(func(b *testBatch) { b.NumRecords, b.LastOffsetDelta = 1, 0 }), codeInvalidRecord, "after the batch's last"},
		{"offset delta", testTopic, 0, edit(func(b *testBatch) { b.Records = append(b.Records, b.plain...); b.NumRecords, b.LastOffsetDelta = 4, 3 }), codeInvalidRecord, "record 2 is malformed"},
		{"producer epoch", testTopic, 0, good().producer(7, -1, 0).bytes(), codeInvalidRecord, "epoch -1"},
		{"large key", testTopic, 0, newBatch(rec(strings.Repeat("k", streams.KeyBytesMax+1), "")).bytes(), codeInvalidRecord, "key of"},
		{"large record", testTopic, 0, newBatch(rec("", strings.Repeat("v", streams.RecordBytesMax))).bytes(), codeMessageTooLarge, "at most"},
		{"header key", testTopic, 0, newBatch(streams.Record{Headers: []streams.Header{{Key: "\xff"}}}).bytes(), codeInvalidRecord, "UTF-8"},
		{"gzip bomb", testTopic, 0, bomb("gzip"), codeMessageTooLarge, "decompressed"},
		{"snappy bomb", testTopic, 0, bomb("snappy"), codeMessageTooLarge, "decompressed"},
		{"xerial bomb", testTopic, 0, bomb("xerial"), codeMessageTooLarge, "decompressed"},
		{"lz4 bomb", testTopic, 0, bomb("lz4"), codeMessageTooLarge, "decompressed"},
		{"zstd bomb", testTopic, 0, bomb("zstd"), codeMessageTooLarge, "decompressed"},
		{"gzip garbage", testTopic, 0, edit(func(b *testBatch) { b.Attributes = codecGzip }), codeCorruptMessage, "decompressed"},
		{"lz4 garbage", testTopic, 0, edit(func(b *testBatch) { b.Attributes = codecLZ4 }), codeCorruptMessage, "decompressed"},
		{"zstd garbage", testTopic, 0, edit(func(b *testBatch) { b.Attributes = codecZstd }), codeCorruptMessage, "decompressed"},
		{"snappy garbage", testTopic, 0, edit(func(b *testBatch) { b.Attributes = codecSnappy }), codeCorruptMessage, "decompressed"},
	}
	p := mustDial(t, d)
	for _, c := range cases {
		resp := p.produce(c.topic, c.partition, c.batch)
		if resp.ErrorCode != c.code || resp.ErrorMessage == nil || !strings.Contains(*resp.ErrorMessage, c.message) || resp.BaseOffset != -1 {
			got := "no message"
			if resp.ErrorMessage != nil {
				got = *resp.ErrorMessage
			}
			t.Errorf("%s: code %d, %q; want %d, %q", c.name, resp.ErrorCode, got, c.code, c.message)
		}
	}
	transactional := produceRequest(testTopic, 0, good().bytes())
	id := "tx"
	transactional.TransactionID = &id
	if resp := p.call(transactional).(*kmsg.ProduceResponse).Topics[0].Partitions[0]; resp.ErrorCode != codeTransactionalForbidden {
		t.Errorf("transactional: %+v", resp)
	}
	for _, topic := range l.Topics() {
		for i := range topic.Partitions {
			if head, err := l.Feed().Head(context.Background(), streams.TP{Topic: topic.Name, Partition: i}, timeZero); head != 0 || err != nil {
				t.Errorf("%s/%d holds %d records, %v", topic.Name, i, head, err)
			}
		}
	}
	if want := testTopic + " bad 1 no such movie"; len(rejected) != 2 || rejected[0] != want {
		t.Errorf("rejected: %q; want %q", rejected, want)
	}

	t.Run("Acks0", func(t *testing.T) {
		p := mustDial(t, d)
		req := produceRequest(testTopic, 0, good().bytes())
		req.Acks = 0
		p.send(req)
		p.call(kmsg.NewPtrFindCoordinatorRequest()) // the next answer is this one's
		req = produceRequest(ledgerTopic, 0, good().bytes())
		req.Acks = 0
		p.send(req)
		p.gone()
		if head, _ := l.Feed().Head(context.Background(), streams.TP{Topic: testTopic}, timeZero); head != 2 {
			t.Errorf("the head is %d; want 2", head)
		}
	})
}

// TestProduceIdempotent: a batch sent again is answered as before and written once, also after a restart.
func TestProduceIdempotent(t *testing.T) {
	dir := t.TempDir()
	open := func() (*local.Log, *Door, *peer) {
		l, err := local.Open(dir, local.Options{ReserveBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		d, err := Listen(Config{Log: l, Address: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		return l, d, mustDial(t, d)
	}
	l, d, p := open()
	newID := func() int64 {
		t.Helper()
		resp := p.call(kmsg.NewPtrInitProducerIDRequest()).(*kmsg.InitProducerIDResponse)
		if resp.ErrorCode != 0 || resp.ProducerEpoch != 0 {
			t.Fatalf("%+v", resp)
		}
		return resp.ProducerID
	}
	id := newID()
	if other := newID(); other == id {
		t.Fatal("the same producer id twice")
	}
	step := func(name string, epoch int16, sequence int32, n int, code int16, offset int64) {
		t.Helper()
		recs := make([]streams.Record, n)
		resp := p.produce(testTopic, 1, newBatch(recs...).producer(id, epoch, sequence).bytes())
		if resp.ErrorCode != code || resp.BaseOffset != offset {
			t.Errorf("%s: code %d offset %d; want %d, %d", name, resp.ErrorCode, resp.BaseOffset, code, offset)
		}
	}
	step("first", 0, 0, 2, 0, 0)
	step("again", 0, 0, 2, 0, 0)
	step("gap", 0, 3, 1, codeOutOfOrderSequence, -1)
	step("next", 0, 2, 3, 0, 2)
	step("other length", 0, 2, 2, codeOutOfOrderSequence, -1)
	for i := range int32(5) {
		step("run", 0, 5+i, 1, 0, int64(5+i))
	}
	step("fifth last", 0, 5, 1, 0, 5)
	step("sixth last", 0, 2, 3, codeOutOfOrderSequence, -1)
	restart := func() {
		if err := errors.Join(d.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		l, d, p = open()
	}
	restart()
	step("again after a restart", 0, 9, 1, 0, 9)
	step("next after a restart", 0, 10, 1, 0, 10)
	if other := newID(); other <= id {
		t.Errorf("producer id %d after %d", other, id)
	}
	step("new epoch not at 0", 1, 11, 1, codeOutOfOrderSequence, -1)
	step("new epoch", 1, 0, 1, 0, 11)
	step("old epoch", 0, 11, 1, codeInvalidProducerEpoch, -1)
	step("wrap", 2, 0, 1, 0, 12)
	id = newID() // not known here: may begin anywhere
	step("late", 0, 1<<31-2, 3, 0, 13)
	step("after the wrap", 0, 1, 1, 0, 16)
	if n, err := l.ExpireProducers(context.Background(), timeZero.AddDate(3000, 0, 0)); n != 2 || err != nil {
		t.Errorf("%d producers are forgotten, %v; want 2", n, err)
	}
	restart()
	step("after it was forgotten", 0, 1, 1, 0, 17)
	if err := errors.Join(d.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestValidateTimes: Validate sees the times that the client gave, and what it adds to a record is stored.
func TestValidateTimes(t *testing.T) {
	l := mustMem(t, local.Options{})
	d := mustListen(t, Config{Log: l, Validate: func(_ string, r *streams.Record) error {
		switch {
		case r.Recorded.IsZero():
		case r.Recorded.UnixMilli()%2 == 0:
			r.Headers = append(r.Headers, streams.Header{Key: "even", Value: []byte(r.Recorded.Format(time.RFC3339Nano))})
		case string(r.Value) == "large":
			r.Headers = append(r.Headers, streams.Header{Key: "odd", Value: make([]byte, streams.RecordBytesMax)})
		}
		return nil
	}})
	p := mustDial(t, d)
	at := time.UnixMilli(1_700_000_000_000).UTC()
	timed := func(first time.Time, deltas ...int64) *testBatch {
		recs := make([]streams.Record, len(deltas))
		b := newBatch()
		b.NumRecords, b.LastOffsetDelta = int32(len(recs)), int32(len(recs)-1)
		b.FirstTimestamp, b.MaxTimestamp = first.UnixMilli(), first.UnixMilli()+slices.Max(deltas)
		for i, delta := range deltas {
			recs[i] = rec("k", strings.Repeat("v", 10*i))
			body := binary.AppendVarint([]byte{0}, delta)
			body = binary.AppendVarint(body, int64(i))
			body = streams.AppendTail(body, &recs[i])
			b.Records = binary.AppendVarint(b.Records, int64(len(body)))
			b.Records = append(b.Records, body...)
		}
		return b
	}
	stamp := func(delta int64) string {
		return at.Add(time.Duration(delta) * time.Millisecond).Format(time.RFC3339Nano)
	}
	many := make([]int64, 100) // more than one piece of memory
	for i := range many {
		many[i] = int64(2 * i)
	}
	logTime := timed(at, 1, 2)
	logTime.Attributes |= timestampTypeBit // then all have the last time
	for name, c := range map[string]struct {
		batch *testBatch
		want  func(i int) string
	}{
		"own times":  {timed(at, 1, 4, 2, 3), func(i int) string { return []string{"", stamp(4), stamp(2), ""}[i] }},
		"many":       {timed(at, many...), func(i int) string { return stamp(many[i]) }},
		"the last":   {logTime, func(int) string { return stamp(2) }},
		"none":       {timed(time.UnixMilli(-1), 0, 0), func(int) string { return "" }},
		"zero":       {timed(time.UnixMilli(0), 0), func(int) string { return "" }},
		"ends there": {timed(time.UnixMilli(math.MaxInt64), 2), func(int) string { return "" }},
	} {
		r := p.produce(testTopic, 0, c.batch.bytes())
		if r.ErrorCode != 0 {
			t.Fatalf("%s: %+v", name, r)
		}
		i := 0
		for got, err := range l.Feed().Read(context.Background(), streams.TP{Topic: testTopic}, r.BaseOffset) {
			if err != nil {
				t.Fatal(err)
			}
			var even string
			if n := len(got.Headers); n == 2 && got.Headers[0].Key == "h" && got.Headers[1].Key == "even" {
				even = string(got.Headers[1].Value)
			} else if n != 1 {
				t.Errorf("%s: record %d has the headers %v", name, i, got.Headers)
			}
			if want := c.want(i); even != want || string(got.Key) != "k" || len(got.Value) != 10*i {
				t.Errorf("%s: record %d is %+v, marked %q; want %q", name, i, got, even, want)
			}
			i++
		}
		if i != int(c.batch.NumRecords) {
			t.Errorf("%s: %d records", name, i)
		}
	}
	large := newBatch(streams.Record{Value: []byte("large")})
	large.FirstTimestamp, large.MaxTimestamp = 1, 1
	if r := p.produce(testTopic, 0, large.bytes()); r.ErrorCode != codeMessageTooLarge || len(r.ErrorRecords) != 1 {
		t.Errorf("%+v", r)
	}
	alive(t, d)
	eventually(t, func() bool { d.produce.mu.Lock(); defer d.produce.mu.Unlock(); return d.produce.free == produceBudget })
}
