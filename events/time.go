package events

import (
	"fmt"
	"time"
)

// Event times lie in [1970, 2100): outside it a timestamp is a mistake (seconds read as milliseconds,
// a default year) that would bend every decay and window it touches.
const (
	TimeMillisMin = 0             // 1970-01-01T00:00:00Z
	TimeMillisEnd = 4102444800000 // 2100-01-01T00:00:00Z, the first that is out
)

// AheadMax is how far ahead of the clock of who takes it in an event may be: a day covers every mistake about
// time zones.
const AheadMax = 24 * time.Hour

// CheckTime says whether an event of a time may be taken in now, by whichever way it comes: not before 1970, and at
// most [AheadMax] ahead. The error is a [*FieldError].
func CheckTime(at, now time.Time) error {
	switch {
	case at.UnixMilli() < TimeMillisMin:
		return &FieldError{"timestamp", FormatTime(at) + " is before 1970"}
	case at.After(now.Add(AheadMax)):
		return &FieldError{"timestamp", FormatTime(at) + " is more than a day ahead of this server's clock"}
	}
	return nil
}

// TimeMillis reads an ISO 8601 time into Unix milliseconds: YYYY-MM-DDThh:mm:ss, then optionally a
// fraction of any length (cut to milliseconds), then Z, ±hh:mm, ±hhmm or nothing, which is UTC. It
// reads the text only; whether the time is plausible is [Interaction.Validate]'s business.
func TimeMillis(s string) (int64, error) {
	millis, ok := timeMillis(s)
	if !ok {
		return 0, badTime(s)
	}
	return millis, nil
}

func timeMillis(s string) (millis int64, ok bool) {
	if len(s) < 19 || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	year1, year2 := two(s, 0), two(s, 2)
	month, day, hour, minute, second := two(s, 5), two(s, 8), two(s, 11), two(s, 14), two(s, 17)
	if year1|year2|month|day|hour|minute|second < 0 ||
		month < 1 || month > 12 || day < 1 || day > daysIn(year1*100+year2, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	millis = daysSinceEpoch(year1*100+year2, month, day)*86_400_000 +
		int64(hour*3_600_000+minute*60_000+second*1000)

	i := 19
	if i < len(s) && (s[i] == '.' || s[i] == ',') {
		start, scale := i+1, 100
		for i++; i < len(s) && s[i]-'0' <= 9; i++ {
			millis += int64(s[i]-'0') * int64(scale)
			scale /= 10
		}
		if i == start {
			return 0, false
		}
	}
	switch zone := s[i:]; {
	case zone == "" || zone == "Z":
		return millis, true
	case zone[0] != '+' && zone[0] != '-',
		len(zone) != 5 && (len(zone) != 6 || zone[3] != ':'):
		return 0, false
	default:
		h, m := two(zone, 1), two(zone, len(zone)-2)
		if h|m < 0 || h > 23 || m > 59 {
			return 0, false
		}
		offset := int64(h*3_600_000 + m*60_000)
		if zone[0] == '-' {
			offset = -offset
		}
		return millis - offset, true
	}
}

func badTime(s string) error {
	const shown = 40
	if len(s) > shown {
		s = s[:shown] + "…"
	}
	return fmt.Errorf("time %q: want ISO 8601, such as 2024-01-15T10:30:00Z", s)
}

// two is the number of the two digits at i, or -1.
func two(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysSinceEpoch counts the days from 1970-01-01 in the proleptic Gregorian calendar: years are made
// to begin in March, so that the leap day comes last (Hinnant, "chrono-compatible low-level date
// algorithms", days_from_civil).
func daysSinceEpoch(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	return int64(year*365+floorDiv(year, 4)-floorDiv(year, 100)+floorDiv(year, 400)+dayOfYear) - 719468
}

func floorDiv(a, b int) int {
	if a < 0 {
		return -((-a + b - 1) / b)
	}
	return a / b
}

// TimeOf is the time of Unix milliseconds, in UTC.
func TimeOf(millis int64) time.Time { return time.UnixMilli(millis).UTC() }

// TimeFormat is how times are written: RFC 3339, UTC, milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// FormatTime writes a time as [TimeFormat].
func FormatTime(t time.Time) string {
	var b [len(TimeFormat)]byte
	return string(AppendTime(b[:0], t))
}

// ParseTime reads an RFC 3339 time, into UTC. The form in which [FormatTime] writes it costs a fourth of the rest.
func ParseTime(b []byte) (time.Time, error) {
	if len(b) == len(TimeFormat) && b[len(b)-1] == 'Z' && b[len(b)-5] == '.' {
		if millis, ok := timeMillis(string(b)); ok {
			return TimeOf(millis), nil
		}
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	return t.UTC(), err
}

// AppendTime appends what [FormatTime] gives, some five times faster than time.Format.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(b, TimeFormat)
	}
	hour, minute, second := t.Clock()
	milli := t.Nanosecond() / 1_000_000
	b = append(b, digit(year/1000), digit(year/100), digit(year/10), digit(year), '-')
	b = append(b, digit(int(month)/10), digit(int(month)), '-', digit(day/10), digit(day), 'T')
	b = append(b, digit(hour/10), digit(hour), ':', digit(minute/10), digit(minute), ':')
	return append(b, digit(second/10), digit(second), '.', digit(milli/100), digit(milli/10), digit(milli), 'Z')
}

func digit(n int) byte { return byte('0' + n%10) }
