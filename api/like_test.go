package api_test

import (
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"%", "", true}, {"%", "anything", true}, {"_", "", false}, {"_", "é", true}, {"_", "ab", false},
		{"a%", "abc", true}, {"%c", "abc", true}, {"a%c", "abbc", true}, {"a%c", "abcd", false}, {"%b%", "abc", true}, {"%ab%ab%", "abxab", true}, {"%ab%ab%", "abx", false},
		{"a_c", "abc", true}, {"A", "a", false}, {"%aab", "aaaab", true}, {"映%", "映画", true}, {"50%", "50%", true},
	} {
		if got := api.Like(c.pattern, c.text); got != c.want {
			t.Errorf("%q like %q: %v", c.text, c.pattern, got)
		}
	}
	if api.Like(strings.Repeat("%a", 5000)+"b", strings.Repeat("a", 20_000)) { // a walk back over every % would not end
		t.Error("it has no b")
	}
}
