package door

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
)

// allRequests are good requests of every API and version that is spoken, framed.
func allRequests() (frames [][]byte) {
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID("test"))
	for _, api := range apis {
		for v := api.min; v <= api.max; v++ {
			var req kmsg.Request
			switch api.key {
			case keyProduce:
				req = produceRequest(testTopic, 0, newBatch(rec("a", "1"), rec("b", "2")).bytes())
			case keyFetch:
				req = fetchRequest(testTopic, 0, 0)
			case 11:
				r := joinRequest("g", "")
				r.SessionTimeoutMillis, r.RebalanceTimeoutMillis = 500, 500
				req = r
			case 14:
				req = syncRequest("g", "m", 1, map[string]string{"m": "a"})
			default:
				req = kmsg.RequestForKey(api.key)
			}
			req.SetVersion(v)
			frames = append(frames, f.AppendRequest(nil, req, 1))
		}
	}
	return frames
}

// throw sends bytes on a connection of their own and reads until the door closes it, or has been silent.
func throw(t testing.TB, d *Door, b []byte) {
	t.Helper()
	nc, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(5 * time.Minute))
	nc.Write(b)
	nc.(*net.TCPConn).CloseWrite()
	buf := make([]byte, 4096)
	for {
		if _, err := nc.Read(buf); err != nil {
			return
		}
	}
}

// alive says that the door still does its work.
func alive(t testing.TB, d *Door) {
	t.Helper()
	p := mustDial(t, d)
	defer p.nc.Close()
	if resp := p.produce(testTopic, 1, newBatch(rec("k", "v")).bytes()); resp.ErrorCode != 0 {
		t.Fatalf("%+v", resp)
	}
	if resp := p.fetch(fetchRequest(testTopic, 1, 0)); resp.ErrorCode != 0 || len(resp.RecordBatches) == 0 {
		t.Fatalf("%+v", resp)
	}
	p.listed()
}

// TestHostile throws malformed requests at the door: cut short, with bytes changed, with lengths and
// counts that are not there, and noise.
func TestHostile(t *testing.T) {
	d := mustListen(t, Config{})
	rng := rand.New(rand.NewPCG(1, 2))
	good := allRequests()
	n := 0
	for _, frame := range good {
		for range 12 {
			b := append([]byte(nil), frame...)
			switch rng.IntN(4) {
			case 0:
				b = b[:rng.IntN(len(b))]
			case 1:
				for range 1 + rng.IntN(4) {
					b[4+rng.IntN(len(b)-4)] = byte(rng.Uint32())
				}
			case 2: // a count or length of anything
				if at := 8 + rng.IntN(len(b)-8); at+4 <= len(b) {
					binary.BigEndian.PutUint32(b[at:], []uint32{0x7fffffff, 0xffffffff, 0x80000000, uint32(len(b)), 1 << 20}[rng.IntN(5)])
				}
			case 3:
				extra := make([]byte, rng.IntN(64))
				b = append(b, extra...)
				binary.BigEndian.PutUint32(b, uint32(len(b)-4))
			}
			throw(t, d, b)
			n++
		}
	}
	for range 100 {
		b := make([]byte, rng.IntN(200))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		throw(t, d, b)
		n++
	}
	throw(t, d, []byte("GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"))
	// 2³² tags in the body of ApiVersions 3, and of a flexible version that is not spoken.
	throw(t, d, []byte{0, 0, 0, 17, 0, 18, 0, 3, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	throw(t, d, []byte{0, 0, 0, 17, 0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0})
	alive(t, d)
	t.Logf("%d malformed connections", n+3)
}

// TestHostileSizes: what a frame announces is not believed.
func TestHostileSizes(t *testing.T) {
	d := mustListen(t, Config{})
	frame := func(size int, key, version int16) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(size))
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		return append(b, 0, 0, 0, 1, 0xff, 0xff)
	}
	for _, b := range [][]byte{
		frame(frameBytesMax+1, keyProduce, 8), frame(-1, keyProduce, 8), frame(9, keyProduce, 8),
		frame(smallFrameBytesMax+1, 3, 8), frame(smallFrameBytesMax+1, keyFetch, 11),
	} {
		p := mustDial(t, d)
		if _, err := p.nc.Write(b); err != nil {
			t.Fatal(err)
		}
		p.gone()
	}
	// Announced and not sent: nothing is held, and the others go on.
	for range 20 {
		p := mustDial(t, d)
		if _, err := p.nc.Write(frame(frameBytesMax, keyProduce, 8)); err != nil {
			t.Fatal(err)
		}
	}
	alive(t, d)
	d.produce.mu.Lock()
	free := d.produce.free
	d.produce.mu.Unlock()
	if free != produceBudget {
		t.Errorf("%d bytes of the budget are taken", produceBudget-free)
	}
}

// TestHostilePanic: a defect in handling one client's request ends that connection only.
func TestHostilePanic(t *testing.T) {
	d := mustListen(t, Config{Validate: func(topic string, r *streams.Record) error {
		if string(r.Value) == "panic" {
			panic("a defect")
		}
		return nil
	}})
	p := mustDial(t, d)
	req := produceRequest(testTopic, 0, newBatch(rec("k", "v")).bytes())
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, produceRequest(testTopic, 1, newBatch(rec("k", "panic")).bytes()).Topics[0].Partitions[0])
	req.Topics[0].Partitions[1].Partition = 1
	p.send(req)
	p.gone()
	alive(t, d)
}

func FuzzBatch(f *testing.F) {
	for _, in := range forms {
		b := newBatch(rec("a", "1"))
		form := in(f, b.plain)
		b.Attributes, b.Records = form.codec, form.bytes
		f.Add(b.bytes())
	}
	d := &Door{decoders: make(chan struct{}, decompressions)}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= batchHeadBytes { // seal it, or nothing gets past the CRC
			b := append([]byte(nil), raw...)
			binary.BigEndian.PutUint32(b[8:], uint32(len(b)-batchLengthFrom))
			binary.BigEndian.PutUint32(b[17:], crcOf(b))
			raw = b
		}
		b, refused := d.readBatch(testTopic, 0, raw, func(n int64) bool { return n < 1<<26 })
		if (b == nil) == (refused == nil) {
			t.Fatal("neither taken nor refused")
		}
		if b == nil {
			return
		}
		w := batchWriter{start: -1}
		for i, tail := range b.tails {
			w.add(int64(i), 1, tail)
		}
		w.end()
		again := records(t, w.buf)
		for i := range again {
			if string(streams.AppendTail(nil, &again[i])) != string(b.tails[i]) {
				t.Fatalf("record %d is handed out otherwise", i)
			}
		}
	})
}

func FuzzProduceRequest(f *testing.F) {
	req := produceRequest(testTopic, 0, newBatch(rec("a", "1")).bytes())
	f.Add(req.AppendTo(nil))
	f.Fuzz(func(t *testing.T, body []byte) {
		var p production
		transactional, err := p.parse(body)
		if err != nil {
			return
		}
		r := kmsg.NewPtrProduceRequest()
		r.Version = 8
		if err := r.ReadFrom(body); err != nil {
			return // kmsg is stricter about nulls
		}
		n := 0
		for _, topic := range r.Topics {
			for _, part := range topic.Partitions {
				if have := p.parts[n]; have.topic != topic.Topic || have.partition != part.Partition || string(have.records) != string(part.Records) {
					t.Fatalf("%+v; kmsg reads %+v", have, part)
				}
				n++
			}
		}
		if n != len(p.parts) || transactional != (r.TransactionID != nil) || p.acks != r.Acks {
			t.Fatal("kmsg reads it otherwise")
		}
	})
}

func crcOf(b []byte) uint32 { return crc32.Checksum(b[batchCRCFrom:], castagnoli) }
