package events_test

import "github.com/projectionist/projectionist/events"
import "testing"

func TestCanonicalIMDb(t *testing.T) {
	for id, want := range map[string]string{
		"": "", " ": "", "0": "", "0111161": "tt0111161", "111161": "tt0111161", "tt0111161": "tt0111161", "tt111161": "tt0111161",
		" tt0111161 ": "tt0111161", "tt10872600": "tt10872600", "tt010872600": "tt10872600",
	} {
		if got, ok := events.CanonicalIMDb(id); got != want || !ok {
			t.Errorf("%q: %q, %t; want %q", id, got, ok, want)
		}
	}
	for _, id := range []string{"tt", "nm0000001", "tt12x", "-1", "tt 1", "TT0111161", "tt0000000000000111161", "https://www.imdb.com/title/tt0111161/"} {
		if got, ok := events.CanonicalIMDb(id); ok || got != "" {
			t.Errorf("%q: %q, %t; want none", id, got, ok)
		}
	}
}
