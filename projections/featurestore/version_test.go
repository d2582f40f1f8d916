package featurestore

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// TestVersionsKnown: the versions that a moment knows, and which of them was in force, are those of a log that ends there, whatever files and
// the registry declared, took away and put back.
func TestVersionsKnown(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	ledger := streams.TP{Topic: events.LedgerTopic}
	names := []string{"a", "b"}
	some := func() declaring { return declaring{hash: []string{"", "x", "y"}[rng.IntN(3)], kind: KindPushed} }
	gone, again := 0, 0
	for range 200 {
		var changes []change
		for i := range 12 {
			c := change{place: streams.Position{TP: ledger, Offset: int64(i)}, eventMillis: int64(100 + i), recorded: int64(1000 + i)}
			if rng.IntN(2) == 0 {
				c.view, c.is = names[rng.IntN(2)], some()
			} else {
				c.file = map[string]declaring{}
				for _, name := range names {
					if is := some(); is.hash != "" {
						c.file[name] = is
					}
				}
			}
			changes = append(changes, c)
		}
		all := &versions{of: versionsOf(changes), changes: changes}
		for n := 1; n <= len(changes); n++ {
			want := versionsOf(changes[:n])
			for _, at := range []fold.At{{Cut: streams.Cut{ledger: int64(n)}}, {RecordedMillis: int64(1000 + n - 1)}, {EventMillis: int64(100 + n - 1)}} {
				for _, name := range names {
					got := all.knownAt(name, at)
					if len(got)+len(want[name]) > 0 && !reflect.DeepEqual(got, want[name]) {
						t.Fatalf("%s at %d of %+v: %+v, want %+v", name, n, changes, got, want[name])
					}
					if k := len(got); k > 0 && !got[k-1].InForce {
						gone++
					} else if k > 2 {
						again++
					}
				}
			}
		}
	}
	if gone < 100 || again < 100 {
		t.Errorf("%d views were gone and %d had several versions: the changes do not try it", gone, again)
	}
	// A moment that leaves a change between out knows the others by the numbers that they have.
	changes := []change{{view: "a", is: declaring{hash: "x"}, eventMillis: 1}, {view: "a", is: declaring{hash: "y"}, eventMillis: 9}, {view: "a", is: declaring{hash: "z"}, eventMillis: 2}}
	for i := range changes {
		changes[i].place = streams.Position{TP: ledger, Offset: int64(i)}
	}
	had := (&versions{of: versionsOf(changes), changes: changes}).knownAt("a", fold.At{EventMillis: 5})
	if v := VersionOf(had, 3); len(had) != 2 || VersionOf(had, 2) != nil || v == nil || v.Hash != "z" || !v.InForce {
		t.Errorf("%+v", had)
	}
}
