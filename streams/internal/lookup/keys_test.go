package lookup

import (
	"bytes"
	"testing"

	"github.com/projectionist/projectionist/streams"
)

func FuzzStreamKey(f *testing.F) {
	f.Add("model/als", int64(7), []byte("xmodel\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, stream string, last int64, raw []byte) {
		last &= 1<<63 - 1
		if streams.CheckStream(stream) == nil {
			k := StreamKey(stream, streams.Revision(last))
			if s, r, ok := parseStreamKey(k); !ok || s != stream || r != streams.Revision(last) {
				t.Fatalf("%x is parsed as %q %d %v", k, s, r, ok)
			}
			if bytes.Compare(k, streamKeyEnd(stream)) >= 0 || bytes.Compare(StreamKey(stream+"x", 0), streamKeyEnd(stream)) < 0 {
				t.Fatal("a stream's keys are not by themselves")
			}
		}
		if s, r, ok := parseStreamKey(raw); ok && !bytes.Equal(StreamKey(s, r), raw) {
			t.Fatalf("%x is parsed and written as %x", raw, StreamKey(s, r))
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add(int64(1_700_000_000_000), int64(0), []byte("tail"))
	f.Add(int64(0), int64(300), []byte{})
	f.Fuzz(func(t *testing.T, millis, revision int64, tail []byte) {
		revision &= 1<<63 - 1
		v := append(AppendHead(nil, millis, streams.Revision(revision)), tail...)
		if len(v) != HeadSize(streams.Revision(revision))+len(tail) {
			t.Fatalf("%d bytes are measured as %d", len(v), HeadSize(streams.Revision(revision))+len(tail))
		}
		m, r, rest, ok := ParseHead(v)
		if !ok || m != millis || r != streams.Revision(revision) || !bytes.Equal(rest, tail) {
			t.Fatalf("%x is parsed as %d %d %x %v", v, m, r, rest, ok)
		}
		if m, r, rest, ok := ParseHead(tail); ok && !bytes.Equal(append(AppendHead(nil, m, r), rest...), tail) {
			t.Fatalf("%x is parsed and written otherwise", tail)
		}
		e := Entry{Offset: revision, Last: streams.Revision(revision), Millis: millis, Stream: "s" + string(tail)}
		if got, err := parseEntry(AppendEntry(nil, e)); err != nil || got != e {
			t.Fatalf("%+v is parsed as %+v, %v", e, got, err)
		}
		if e, err := parseEntry(tail); err == nil && e.Offset >= 0 && !bytes.Equal(AppendEntry(nil, e), tail) {
			t.Fatalf("%x is parsed and written otherwise", tail)
		}
	})
}
