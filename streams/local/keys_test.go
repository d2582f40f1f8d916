package local

import (
	"bytes"
	"testing"

	"github.com/projectionist/projectionist/streams"
)

func TestTableEnd(t *testing.T) {
	key := func(topic, part uint32, offset int64) []byte {
		k := make([]byte, recordKeyBytes)
		recordKey(k, topic, part, offset)
		return k
	}
	if end := tableEnd(key(2, 0xffffffff, 7)); !bytes.Equal(end, key(3, 0, 0)[:9]) {
		t.Errorf("a partition's tables end at %x", end)
	}
	for _, k := range [][]byte{nil, commitKey("c"), topicKey("t")} {
		if end := tableEnd(k); bytes.Compare(k, end) >= 0 || bytes.Compare(end, key(0, 0, 0)) > 0 {
			t.Errorf("the table of %x ends at %x; want before the records", k, end)
		}
	}
	if end := tableEnd(streamKey("s", 1)); end != nil {
		t.Errorf("the index's tables end at %x", end)
	}
}

func FuzzRecordKey(f *testing.F) {
	f.Add(uint32(1), uint32(2), int64(3), []byte("r"))
	f.Add(uint32(0xffffffff), uint32(0xffffffff), int64(1<<62), bytes.Repeat([]byte{'r'}, recordKeyBytes))
	f.Fuzz(func(t *testing.T, topic, part uint32, offset int64, raw []byte) {
		offset &= 1<<63 - 1
		k := make([]byte, recordKeyBytes)
		recordKey(k, topic, part, offset)
		if gt, gp, off, ok := parseRecordKey(k); !ok || gt != topic || gp != part || off != offset {
			t.Fatalf("%x is parsed as %d %d %d %v", k, gt, gp, off, ok)
		}
		if end := recordSpanEnd(k); bytes.Compare(k, end) >= 0 {
			t.Fatalf("%x ends at %x", k, end)
		}
		if offset < 1<<62 {
			next := make([]byte, recordKeyBytes)
			if recordKey(next, topic, part, offset+1); bytes.Compare(k, next) >= 0 || bytes.Compare(next, recordSpanEnd(k)) >= 0 {
				t.Fatal("keys do not sort as offsets do")
			}
		}
		if gt, gp, off, ok := parseRecordKey(raw); ok {
			again := make([]byte, recordKeyBytes)
			if recordKey(again, gt, gp, off); !bytes.Equal(again, raw) {
				t.Fatalf("%x is parsed and written as %x", raw, again)
			}
		}
	})
}

func FuzzStreamKey(f *testing.F) {
	f.Add("model/als", int64(7), []byte("xmodel\x00\x00\x00\x00\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, stream string, last int64, raw []byte) {
		last &= 1<<63 - 1
		if streams.CheckStream(stream) == nil {
			k := streamKey(stream, streams.Revision(last))
			if s, r, ok := parseStreamKey(k); !ok || s != stream || r != streams.Revision(last) {
				t.Fatalf("%x is parsed as %q %d %v", k, s, r, ok)
			}
			if bytes.Compare(k, streamKeyEnd(stream)) >= 0 || bytes.Compare(streamKey(stream+"x", 0), streamKeyEnd(stream)) < 0 {
				t.Fatal("a stream's keys are not by themselves")
			}
		}
		if s, r, ok := parseStreamKey(raw); ok && !bytes.Equal(streamKey(s, r), raw) {
			t.Fatalf("%x is parsed and written as %x", raw, streamKey(s, r))
		}
	})
}

func FuzzRecordHead(f *testing.F) {
	f.Add(int64(1_700_000_000_000), int64(0), []byte("tail"))
	f.Add(int64(0), int64(300), []byte{})
	f.Fuzz(func(t *testing.T, millis, revision int64, tail []byte) {
		revision &= 1<<63 - 1
		v := append(appendRecordHead(nil, millis, streams.Revision(revision)), tail...)
		if len(v) != recordValueSize(streams.Revision(revision), len(tail)) {
			t.Fatalf("%d bytes are measured as %d", len(v), recordValueSize(streams.Revision(revision), len(tail)))
		}
		m, r, rest, ok := parseRecordHead(v)
		if !ok || m != millis || r != streams.Revision(revision) || !bytes.Equal(rest, tail) {
			t.Fatalf("%x is parsed as %d %d %x %v", v, m, r, rest, ok)
		}
		if m, r, rest, ok := parseRecordHead(tail); ok && !bytes.Equal(append(appendRecordHead(nil, m, r), rest...), tail) {
			t.Fatalf("%x is parsed and written otherwise", tail)
		}
		if e, err := parseCommitEntry(tail); err == nil && e.offset >= 0 && !bytes.Equal(appendCommitEntry(nil, e), tail) {
			t.Fatalf("%x is parsed and written otherwise", tail)
		}
	})
}
