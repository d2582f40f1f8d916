package local

import (
	"bytes"
	"testing"

	"github.com/projectionist/projectionist/streams/internal/lookup"
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
	for _, k := range [][]byte{nil, lookup.CommitKey("c"), topicKey("t")} {
		if end := tableEnd(k); bytes.Compare(k, end) >= 0 || bytes.Compare(end, key(0, 0, 0)) > 0 {
			t.Errorf("the table of %x ends at %x; want before the records", k, end)
		}
	}
	if end := tableEnd(lookup.StreamKey("s", 1)); end != nil {
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
