package events_test

import (
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

func TestKeyOf(t *testing.T) {
	for cell, want := range map[string]string{"5": "5", " 5 ": "5", "5.0": "5", "5.000": "5", "0.0": "0", "007": "007", "user_7": "user_7", "a.b": "a.b",
		"1.2.3": "1.2.3", "1e3": "1e3", "-5": "-5", ".5": ".5", "5.": "5.", "nana": "nana", "NAN": "NAN"} {
		if id, ok, err := events.KeyOf(cell); id != want || !ok || err != nil {
			t.Errorf("%q: %q, %t, %v; want %q", cell, id, ok, err, want)
		}
	}
	for _, cell := range []string{"", "  ", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT", "NA", "n/a"} {
		if id, ok, err := events.KeyOf(cell); ok || id != "" || err != nil {
			t.Errorf("%q: %q, %t, %v; want none", cell, id, ok, err)
		}
	}
	for _, cell := range []string{"1.5", "0.01"} {
		if _, ok, err := events.KeyOf(cell); ok || err == nil {
			t.Errorf("%q is a key", cell)
		}
	}
}

func TestMillisOf(t *testing.T) {
	want := time.Date(2013, 9, 1, 10, 30, 0, 0, time.UTC).UnixMilli()
	for _, text := range []string{"2013-09-01T10:30:00Z", "2013-09-01T12:30:00+02:00", "2013-09-01 10:30:00", "2013-09-01T10:30:00.000", "2013-09-01 10:30:00+00:00", "2013-09-01T10:30", "2013-09-01 10:30", " 2013-09-01T10:30:00+0000",
		"1378031400", "1378031400.0", "1378031400000"} {
		if got, err := events.MillisOf(text); err != nil || got != want {
			t.Errorf("%s = %d, %v; want %d", text, got, err, want)
		}
	}
	if got, _ := events.MillisOf("2013-09-01T10:30:00.25Z"); got != want+250 {
		t.Errorf("a fraction is lost: %d", got)
	}
}
