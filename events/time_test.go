package events

import (
	"testing"
	"time"
)

func TestTimeMillis(t *testing.T) {
	base := time.Date(2024, 1, 15, 10, 30, 0, 0, time.UTC).UnixMilli()
	for s, want := range map[string]int64{
		"2024-01-15T10:30:00":            base,
		"2024-01-15T10:30:00Z":           base,
		"2024-01-15T19:30:00+09:00":      base,
		"2024-01-15T19:30:00+0900":       base,
		"2024-01-15T05:00:00-05:30":      base,
		"2024-01-15T10:30:00.5":          base + 500,
		"2024-01-15T10:30:00,12Z":        base + 120,
		"2024-01-15T10:30:00.1239999999": base + 123,
		"2024-02-29T00:00:00.001Z":       time.Date(2024, 2, 29, 0, 0, 0, 1e6, time.UTC).UnixMilli(),
		"9999-12-31T23:59:59Z":           253402300799000,
		"0000-01-01T00:00:00Z":           -62167219200000,
	} {
		if got, err := TimeMillis(s); err != nil || got != want {
			t.Errorf("%s: %d %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "now", "2024-01-15", "2024-01-15 10:30:00", "2024-01-15T10:30", "2024-01-15T10:30:00.", "2024-01-15T10:30:00.Z",
		"2024-13-15T10:30:00", "2024-00-15T10:30:00", "2023-02-29T10:30:00", "1900-02-29T10:30:00", "2024-01-32T10:30:00", "2024-01-15T24:00:00", "2024-01-15T10:60:00",
		"2024-01-15T10:30:60", "2024-01-15T10:30:00+9", "2024-01-15T10:30:00+24:00", "2024-01-15T10:30:00+09:60", "2024-01-15T10:30:00z", "2024-01-15T10:30:00Zz",
		"2024-01-15T10:30:00+09-00", "20240115T103000", "+024-01-15T10:30:00", "１２34-01-15T10:30:00"} {
		if got, err := TimeMillis(s); err == nil {
			t.Errorf("%s was read as %d", s, got)
		}
	}
}

// Every day of the years 0 to 9999 agrees with the standard library.
func TestTimeMillisCalendar(t *testing.T) {
	for day := time.Date(0, 1, 1, 23, 59, 59, 999e6, time.UTC); day.Year() < 10000; day = day.AddDate(0, 0, 1) {
		if got := daysSinceEpoch(day.Year(), int(day.Month()), day.Day())*86_400_000 + 86_399_999; got != day.UnixMilli() {
			t.Fatalf("%v: %d, want %d", day, got, day.UnixMilli())
		}
	}
	if got, err := TimeMillis("2000-02-29T23:59:59.999Z"); err != nil || !TimeOf(got).Equal(time.Date(2000, 2, 29, 23, 59, 59, 999e6, time.UTC)) {
		t.Fatal(got, err)
	}
}

func FuzzTimeMillis(f *testing.F) {
	for _, s := range []string{"2024-01-15T10:30:00Z", "2024-01-15T10:30:00.123+09:00", "2024-02-30T10:30:00-01:30"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := TimeMillis(s)
		want, stdErr := time.Parse(time.RFC3339Nano, s)
		if err == nil && stdErr == nil && got != want.UnixMilli() {
			t.Fatalf("%s: %d, the library reads %d", s, got, want.UnixMilli())
		}
	})
}

func FuzzAppendTime(f *testing.F) {
	for _, s := range []int64{0, 1_700_000_000, -1, -62_135_596_800, 253_402_300_799, 253_402_300_800, 1 << 40, -1 << 40} {
		f.Add(s, int64(999_999_999))
	}
	f.Fuzz(func(t *testing.T, seconds, nanos int64) {
		at := time.Unix(seconds%(1<<45), nanos%1e9).In(time.FixedZone("x", 3600))
		if got, want := string(AppendTime(nil, at)), at.UTC().Format(TimeFormat); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
		if got := FormatTime(at); got != string(AppendTime(nil, at)) {
			t.Fatalf("FormatTime gives %s", got)
		}
	})
}

// FuzzParseTime holds the short way to what package time reads.
func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2013-05-01T02:03:04.056Z", "2013-05-01T02:03:04,056Z", "2013-05-01T02:03:04.056z", "2016-02-30T02:03:04.056Z", "2016-02-29T23:59:60.056Z",
		"2013-05-01T02:03:04Z", "2013-05-01T02:03:04.056789+02:00", "0000-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2013-05-01 02:03:04.056Z", ""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		want, wantErr := time.Parse(time.RFC3339Nano, string(b))
		got, err := ParseTime(b)
		if (err != nil) != (wantErr != nil) || err == nil && got != want.UTC() {
			t.Fatalf("%q: %v, %v; want %v, %v", b, got, err, want.UTC(), wantErr)
		}
	})
}

// An event may be of any time from 1970 to a day ahead.
func TestCheckTime(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for at, fault := range map[time.Time]string{
		time.UnixMilli(0):                    "",
		time.UnixMilli(-1):                   "timestamp: 1969-12-31T23:59:59.999Z is before 1970",
		{}:                                   "timestamp: 0001-01-01T00:00:00.000Z is before 1970",
		now:                                  "",
		now.Add(AheadMax):                    "",
		now.Add(AheadMax + time.Millisecond): "timestamp: 2026-06-02T00:00:00.001Z is more than a day ahead of this server's clock",
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): "timestamp: 9999-01-01T00:00:00.000Z is more than a day ahead of this server's clock",
	} {
		got := ""
		err := CheckTime(at, now)
		if err != nil {
			got = err.Error()
		}
		if got != fault {
			t.Errorf("%v: %v; want %q", at, err, fault)
		}
	}
	// Both times of an event have to be such.
	x := &Interaction{Timestamp: "2090-01-01T00:00:00Z"}
	if err := (&Event{Time: now, Data: x}).CheckTime(now); err == nil {
		t.Error("a payload of 2090 is let in")
	}
	x.Timestamp = "2026-01-01T00:00:00Z"
	if err := (&Event{Time: now, Data: x}).CheckTime(now); err != nil {
		t.Error(err)
	}
	if err := (&Event{Time: now.AddDate(1, 0, 0), Data: x}).CheckTime(now); err == nil {
		t.Error("an envelope of next year is let in")
	}
}
