package events

import "testing"

func TestCanonicalIMDb(t *testing.T) {
	for id, want := range map[string]string{
		"": "", " ": "", "0": "", "0111161": "tt0111161", "111161": "tt0111161", "tt0111161": "tt0111161", "tt111161": "tt0111161",
		" tt0111161 ": "tt0111161", "tt10872600": "tt10872600", "tt010872600": "tt10872600",
	} {
		if got, ok := CanonicalIMDb(id); got != want || !ok {
			t.Errorf("%q: %q, %t; want %q", id, got, ok, want)
		}
	}
	for _, id := range []string{"tt", "nm0000001", "tt12x", "-1", "tt 1", "TT0111161", "tt0000000000000111161", "https://www.imdb.com/title/tt0111161/"} {
		if got, ok := CanonicalIMDb(id); ok || got != "" {
			t.Errorf("%q: %q, %t; want none", id, got, ok)
		}
	}
}

func TestKeyOf(t *testing.T) {
	for cell, want := range map[string]string{"5": "5", " 5 ": "5", "5.0": "5", "5.000": "5", "0.0": "0", "007": "007", "user_7": "user_7", "a.b": "a.b",
		"1.2.3": "1.2.3", "1e3": "1e3", "-5": "-5", ".5": ".5", "5.": "5.", "nana": "nana", "NAN": "NAN"} {
		if id, ok, err := KeyOf(cell); id != want || !ok || err != nil {
			t.Errorf("%q: %q, %t, %v; want %q", cell, id, ok, err, want)
		}
	}
	for _, cell := range []string{"", "  ", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT", "NA", "n/a"} {
		if id, ok, err := KeyOf(cell); ok || id != "" || err != nil {
			t.Errorf("%q: %q, %t, %v; want none", cell, id, ok, err)
		}
	}
	for _, cell := range []string{"1.5", "0.01"} {
		if _, ok, err := KeyOf(cell); ok || err == nil {
			t.Errorf("%q is a key", cell)
		}
	}
}
