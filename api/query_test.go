package api_test

import (
	"slices"
	"testing"

	"github.com/projectionist/projectionist/api"
)

// Names in one text are those that were joined, whatever they hold; a quoted one has to end, and a comma or nothing follows it.
func TestNamesInOneText(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, "a": {"a"}, "a,b": {"a", "b"}, ",": {"", ""}, "a,,b": {"a", "", "b"}, "a,": {"a", ""}, `"a,b",c`: {"a,b", "c"}, `"a"`: {"a"}, `""`: {""},
		`"say ""no"""`: {`say "no"`}, `5"`: {`5"`}, `a "b",c`: {`a "b"`, "c"}, `"a",`: {"a", ""}, `"",""`: {"", ""}, `""""`: {`"`}, " a, b": {" a", " b"},
	} {
		if got, err := api.SplitNames(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`"`, `"a`, `"a,b`, `"a""`, `"a"b`, `"a" ,b`, `c,"a`, `""""""a`} {
		if got, err := api.SplitNames(text); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
	for _, names := range [][]string{{""}, {"", ""}, {"a"}, {"a,b"}, {`"`, `""`, `","`}, {"é,映", `a"b`, " "}, {`"a`, "b,"}} {
		if got, err := api.SplitNames(api.JoinNames(names...)); err != nil || !slices.Equal(got, names) {
			t.Errorf("%q are joined to %s, and that is %q, %v", names, api.JoinNames(names...), got, err)
		}
	}
}
