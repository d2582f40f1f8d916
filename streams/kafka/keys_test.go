package kafka

import (
	"bytes"
	"math"
	"testing"

	"github.com/projectionist/projectionist/streams"
)

func FuzzKeys(f *testing.F) {
	f.Add("model/als", int64(7), int64(1_700_000_000_000), []byte("tail"))
	f.Add("x", int64(0), int64(0), []byte{})
	f.Add("日本", int64(math.MaxInt64), int64(-1), []byte{0xff, 0})
	f.Fuzz(func(t *testing.T, stream string, n, millis int64, tail []byte) {
		if n < 0 || stream == "" || bytes.IndexByte([]byte(stream), 0) >= 0 {
			return
		}
		if got, ok := parseOffsetKey(offsetKey(n)); !ok || got != n {
			t.Errorf("offset %d: %d, %v", n, got, ok)
		}
		k := streamKey(stream, streams.Revision(n))
		if s, r, ok := parseStreamKey(k); !ok || s != stream || r != streams.Revision(n) {
			t.Errorf("stream %q %d: %q, %d, %v", stream, n, s, r, ok)
		}
		if bytes.Compare(k, streamKeyEnd(stream)) >= 0 || bytes.Compare(k, streamKey(stream, 0)) < 0 {
			t.Errorf("stream %q %d is outside its span", stream, n)
		}
		m, first, rest, ok := parseCommitHead(append(appendCommitHead(nil, millis, streams.Revision(n)), tail...))
		if !ok || m != millis || first != streams.Revision(n) || !bytes.Equal(rest, tail) {
			t.Errorf("head %d %d: %d, %d, %q, %v", millis, n, m, first, rest, ok)
		}
		e := entry{n, streams.Revision(n), millis, stream}
		if got, err := parseEntry(appendEntry(nil, e)); err != nil || got != e {
			t.Errorf("entry %+v: %+v, %v", e, got, err)
		}
		// Anything else is told apart, and nothing panics.
		parseOffsetKey(tail)
		parseStreamKey(tail)
		parseCommitHead(tail)
		if _, err := parseEntry(tail); err == nil && len(tail) < 25 {
			t.Errorf("an entry of %d bytes", len(tail))
		}
	})
}
