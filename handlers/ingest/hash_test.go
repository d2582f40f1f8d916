package ingest

import "testing"

const want = 0x15bd7912a10f25c1

// The number of a fact is the id of its event: were it another tomorrow, importing again would double everything.
func TestFactHashStays(t *testing.T) {
	f := Fact{UserID: "7", MovieID: "42", Kind: "rating", Rating: 4.5, TimeMillis: 1_365_029_107_000}
	if got := factHash(&f); got != want {
		t.Fatalf("%#x, want %#x", got, uint64(want))
	}
}
