package online

import (
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml/signal"
)

// A guest is scored and explained as somebody who has met the same, and the model does not change by them.
func TestGuest(t *testing.T) {
	m, other := small(), small()
	day := int64(dayMillis)
	for k, id := range []string{"1", "2"} {
		other.Add("g", id, day, uint64(k), signal.Chosen())
	}
	guest := m.Guest([]string{"1", "nowhere", "2"}, day, signal.Chosen())
	if guest.UserEvents("") != 2 || m.UserEvents("") != 0 || guest.Origin() != m || m.Origin() != m || guest.ItemCount() != m.ItemCount() {
		t.Error("a guest is somebody else")
	}
	var s, of Scratch
	got := guest.Score(nil, "", day, CoCounts, &s)
	// Counts of what the other has met are one more each: compare what does not depend on them.
	if want := other.Score(nil, "g", day, CoCounts, &of); (got[0] == Excluded) != (want[0] == Excluded) || got[1] != Excluded || got[2] <= 0 {
		t.Errorf("%v, as somebody known %v", got, want)
	}
	asB := m.Score(nil, "b", day, Blend, &of) // who has met 1 and 2
	if got := guest.Score(nil, "", day, Blend, &s); !slices.Equal(got, asB) {
		t.Errorf("%v, and for who has met the same %v", got, asB)
	}
	guest.Score(nil, "", day, Blend, &s)
	m.Score(nil, "b", day, Blend, &of)
	if got := guest.ExplainScored(&s, "3")[0]; !slices.Equal(got, m.ExplainScored(&of, "3")[0]) || len(got) != 3 {
		t.Errorf("%v", got)
	}
}

// Of a model whose rows are elsewhere a guest's are read first, and then they are scored as by one that has all.
func TestGuestOfRestored(t *testing.T) {
	m := small()
	restored, err := saved(t, m).open()
	if err != nil {
		t.Fatal(err)
	}
	items := []string{"1", "nowhere", "2"}
	if restored.FetchedItems(items) || !m.FetchedItems(items) {
		t.Error("what is at hand is not told")
	}
	if err := restored.FetchItems(items); err != nil || !restored.FetchedItems(items) {
		t.Fatal(err)
	}
	var s, of Scratch
	got, want := restored.Guest(items, 0, signal.Chosen()), m.Guest(items, 0, signal.Chosen())
	for _, id := range []string{"1", "2", "3"} {
		a, _ := got.Lookup(id)
		b, _ := want.Lookup(id)
		if x, y := got.Score(nil, "", 0, Blend, &s)[a], want.Score(nil, "", 0, Blend, &of)[b]; x != y {
			t.Errorf("%s has %v, and %v of one that has all", id, x, y)
		}
	}
}
