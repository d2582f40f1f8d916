package kafka

import (
	"math"
	"testing"
)

func FuzzOffsetKey(f *testing.F) {
	f.Add(int64(7), []byte("o\x80\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, n int64, raw []byte) {
		n &= math.MaxInt64
		if got, ok := parseOffsetKey(offsetKey(n)); !ok || got != n {
			t.Errorf("offset %d: %d, %v", n, got, ok)
		}
		if got, ok := parseOffsetKey(raw); ok && string(offsetKey(got)) != string(raw) {
			t.Errorf("%x is parsed and written otherwise", raw)
		}
	})
}
