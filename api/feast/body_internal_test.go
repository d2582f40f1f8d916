package feast

import "testing"

// TestKeyOfAsked: requests for other things have other keys.
func TestKeyOfAsked(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range []asked{{}, {full: true}, {service: "a"}, {features: []string{"a"}}, {features: []string{"", "a"}}, {features: []string{"a", "b"}}, {features: []string{"a:b"}},
		{features: []string{"a1:b"}}, {features: []string{"a", "1:b"}}, {service: "a", features: []string{"b"}}, {service: "1:a"}} {
		if key := string(a.key()); seen[key] {
			t.Errorf("%+v has the key of another, %q", a, key)
		} else {
			seen[key] = true
		}
	}
}
