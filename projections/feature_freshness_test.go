package projections_test

import (
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// TestFeatureFreshness: the newest time counts, whatever came last, and none is later than the log took it.
func TestFeatureFreshness(t *testing.T) {
	act := &events.Interaction{UserID: "1", MovieID: "1", Kind: "click"}
	s := foldtest.NewScript()
	v := foldtest.Opened(t, projections.NewFeatureFreshness(), s.In)
	if _, ok, err := v.Computed(); ok || err != nil {
		t.Errorf("of nothing: %v, %v", ok, err)
	}
	s.Fact("user-events", 0, "a", 500, 1000, act)
	s.Fact("user-events", 1, "b", 200, 1001, act) // late
	s.Fact("feature-values", 0, "c", 300, 1002, pushed("movie_id=1", "1"))
	s.Fact("feature-values", 1, "d", 9_000_000, 1003, pushed("movie_id=2", "1")) // of a clock that goes wrong
	s.Fact("feature-values", 0, "e", 400, 1004, pushed("movie_id=1", "1"))
	v = foldtest.Opened(t, projections.NewFeatureFreshness(), s.In)
	equal(t, "computed", found[int64](t)(v.Computed()), 500)
	equal(t, "pushed", found[int64](t)(v.Pushed("scores")), 1003)
	if _, ok, err := v.Pushed("score"); ok || err != nil {
		t.Errorf("of another view: %v, %v", ok, err)
	}
}
