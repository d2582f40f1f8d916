package events

import (
	"slices"
	"testing"
)

// TestKindsAreStored: views hold the codes, so that they never change.
func TestKindsAreStored(t *testing.T) {
	stored := []string{"rating", "click", "view", "watch", "complete", "like", "dislike", "purchase", "wishlist", "share", "search", "skip", "impression"}
	if len(Kinds) < len(stored) || !slices.Equal(Kinds[:len(stored)], stored) {
		t.Fatalf("the kinds are %v; those that are stored already are %v", Kinds, stored)
	}
	for i, kind := range Kinds {
		code := KindCode(kind)
		if back, ok := KindOf(code); int(code) != i+1 || !ok || back != kind || kindFault(kind) != "" {
			t.Errorf("%s has the code %d, which stands for %q", kind, code, back)
		}
	}
	for _, code := range []byte{0, byte(len(Kinds) + 1), 255} {
		if kind, ok := KindOf(code); ok {
			t.Errorf("code %d stands for %q", code, kind)
		}
	}
	if KindCode("hummed") != 0 || KindCode("") != 0 {
		t.Error("a kind that is not in the list has a code")
	}
}
