package workflow_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

func schedule(t testing.TB, text, zone string) *workflow.Schedule {
	t.Helper()
	s, err := workflow.ParseSchedule(text, zone)
	if err != nil {
		t.Fatalf("%q in %q: %v", text, zone, err)
	}
	return s
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// TestScheduleSlots has hard cases, each slot in the zone's own clock.
func TestScheduleSlots(t *testing.T) {
	for _, c := range []struct{ name, text, zone, after, want string }{
		{"strictly after", "0 3 * * *", "", "2025-05-01T03:00:00Z", "2025-05-02T03:00Z 2025-05-03T03:00Z"},
		{"within a second before", "0 3 * * *", "", "2025-05-01T02:59:59.999Z", "2025-05-01T03:00Z"},
		{"after that of an hour in another zone", "0 3 * * *", "Asia/Kathmandu", "2025-05-01T00:00:00+02:00", "2025-05-02T03:00+0545 2025-05-03T03:00+0545"},
		{"leap day", "0 0 29 2 *", "", "2025-01-01T00:00:00Z", "2028-02-29T00:00Z 2032-02-29T00:00Z"},
		{"leap day over 2100", "0 0 29 2 *", "", "2096-03-01T00:00:00Z", "2104-02-29T00:00Z"},
		{"fifth Friday in February over 2100", "0 0 * 2 5#5", "", "2092-03-01T00:00:00Z", "2104-02-29T00:00Z"},
		{"never", "0 0 30 2 *", "Europe/Berlin", "2025-01-01T00:00:00Z", "none"},
		{"31st where there is one", "0 0 31 * *", "", "2025-01-31T00:00:00Z", "2025-03-31T00:00Z 2025-05-31T00:00Z"},
		{"last day", "0 0 L * *", "", "2028-01-31T00:00:00Z", "2028-02-29T00:00Z 2028-03-31T00:00Z"},
		{"last day beside another", "0 0 15,L * *", "", "2025-02-01T00:00:00Z", "2025-02-15T00:00Z 2025-02-28T00:00Z 2025-03-15T00:00Z"},
		{"second Friday", "0 0 * * fri#2", "", "2025-01-01T00:00:00Z", "2025-01-10T00:00Z 2025-02-14T00:00Z"},
		{"several weeks", "0 0 * * 0#1,7#3", "", "2025-01-01T00:00:00Z", "2025-01-05T00:00Z 2025-01-19T00:00Z 2025-02-02T00:00Z"},
		{"fifth where there is one", "0 0 * * 1#5", "", "2025-01-01T00:00:00Z", "2025-03-31T00:00Z 2025-06-30T00:00Z"},
		{"last Friday", "0 0 * * L5", "", "2025-01-01T00:00:00Z", "2025-01-31T00:00Z 2025-02-28T00:00Z"},
		{"Sunday is 7 too", "0 0 * * 7", "", "2025-01-01T00:00:00Z", "2025-01-05T00:00Z 2025-01-12T00:00Z"},
		{"up to 7", "0 0 * * 6-7", "", "2025-01-01T00:00:00Z", "2025-01-04T00:00Z 2025-01-05T00:00Z 2025-01-11T00:00Z"},
		{"over the week's end", "0 0 * * fri-mon", "", "2025-01-01T00:00:00Z", "2025-01-03T00:00Z 2025-01-04T00:00Z 2025-01-05T00:00Z 2025-01-06T00:00Z 2025-01-10T00:00Z"},
		{"over midnight", "0 23-1 * * *", "", "2025-01-01T12:00:00Z", "2025-01-01T23:00Z 2025-01-02T00:00Z 2025-01-02T01:00Z 2025-01-02T23:00Z"},
		{"over the year's end", "0 0 1 nov-jan *", "", "2025-01-01T12:00:00Z", "2025-11-01T00:00Z 2025-12-01T00:00Z 2026-01-01T00:00Z 2026-11-01T00:00Z"},
		{"either day", "0 0 13 * 5", "", "2025-06-01T00:00:00Z", "2025-06-06T00:00Z 2025-06-13T00:00Z 2025-06-20T00:00Z 2025-06-27T00:00Z 2025-07-04T00:00Z 2025-07-11T00:00Z 2025-07-13T00:00Z"},
		{"a star with a step restricts", "0 0 */20 * 1", "", "2025-01-01T00:00:00Z", "2025-01-06T00:00Z 2025-01-13T00:00Z 2025-01-20T00:00Z 2025-01-21T00:00Z"},
		{"steps begin at the range", "10-50/20 * * * *", "", "2025-01-01T00:00:00Z", "2025-01-01T00:10Z 2025-01-01T00:30Z 2025-01-01T00:50Z 2025-01-01T01:10Z"},
		{"a step from a value", "50/4 0 * * *", "", "2025-01-01T00:00:00Z", "2025-01-01T00:50Z 2025-01-01T00:54Z 2025-01-01T00:58Z 2025-01-02T00:50Z"},
		{"names and spaces", "  0  0\t1 JAN,jul  ? ", "", "2025-01-01T00:00:00Z", "2025-07-01T00:00Z 2026-01-01T00:00Z"},
		{"@hourly", "@hourly", "", "2025-01-01T00:10:00Z", "2025-01-01T01:00Z"},
		{"@daily", "@daily", "Asia/Seoul", "2025-01-01T00:00:00Z", "2025-01-02T00:00+0900"},
		{"@weekly", "@weekly", "", "2025-01-01T00:00:00Z", "2025-01-05T00:00Z"},
		{"@monthly", "@Monthly", "", "2025-01-01T00:00:00Z", "2025-02-01T00:00Z"},
		{"@quarterly", "@quarterly", "", "2025-01-01T00:00:00Z", "2025-04-01T00:00Z 2025-07-01T00:00Z"},
		{"@yearly", "@yearly", "", "2025-01-01T00:00:00Z", "2026-01-01T00:00Z"},
		{"interval", "every 15m", "", "2025-01-01T00:07:00Z", "2025-01-01T00:15Z 2025-01-01T00:30Z"},
		{"interval that does not divide a day", "every 7h", "Europe/Berlin", "1970-01-01T00:00:00Z", "1970-01-01T08:00+0100 1970-01-01T15:00+0100 1970-01-01T22:00+0100 1970-01-02T05:00+0100"},
		{"weeks begin on Thursday", "Every 1w", "", "2025-01-01T00:00:00Z", "2025-01-02T00:00Z"},
		{"before 1970", "every 1d", "", "1969-12-30T12:00:00Z", "1969-12-31T00:00Z 1970-01-01T00:00Z"},

		{"does not exist that day", "30 2 * * *", "America/New_York", "2025-03-08T00:00:00-05:00", "2025-03-08T02:30-0500 2025-03-09T03:30-0400 2025-03-10T02:30-0400"},
		{"several do not exist that day", "*/30 2 * * *", "America/New_York", "2025-03-09T00:00:00-05:00", "2025-03-09T03:00-0400 2025-03-09T03:30-0400 2025-03-10T02:00-0400"},
		{"moved to one that is there", "0 2,3 * * *", "America/New_York", "2025-03-09T00:00:00-05:00", "2025-03-09T03:00-0400 2025-03-10T02:00-0400"},
		{"comes twice", "30 1 * * *", "America/New_York", "2025-11-01T12:00:00-04:00", "2025-11-02T01:30-0500 2025-11-03T01:30-0500"},
		{"comes twice, asked in between", "30 1 * * *", "America/New_York", "2025-11-02T01:45:00-04:00", "2025-11-02T01:30-0500 2025-11-03T01:30-0500"},
		{"elapsed time ahead", "*/20 * * * *", "Europe/Berlin", "2025-03-30T01:30:00+01:00", "2025-03-30T01:40+0100 2025-03-30T03:00+0200 2025-03-30T03:20+0200"},
		{"elapsed time back", "*/30 * * * *", "Europe/Berlin", "2025-10-26T02:00:00+02:00", "2025-10-26T02:30+0200 2025-10-26T02:00+0100 2025-10-26T02:30+0100 2025-10-26T03:00+0100"},
		{"hours by the wall", "0 */2 * * *", "Europe/Berlin", "2025-10-26T00:00:00+02:00", "2025-10-26T02:00+0100 2025-10-26T04:00+0100"},
		{"days are not lost to elapsed time", "0 * * * 1-5", "America/New_York", "2025-03-07T22:00:00-05:00", "2025-03-07T23:00-0500 2025-03-10T00:00-0400 2025-03-10T01:00-0400"},
		{"days are not begun early by elapsed time", "0 * * * 1-5", "America/New_York", "2025-10-31T22:00:00-04:00", "2025-10-31T23:00-0400 2025-11-03T00:00-0500"},
		{"half an hour ahead", "15,40 2 * * *", "Australia/Lord_Howe", "2025-10-05T00:00:00+10:30", "2025-10-05T02:40+1100 2025-10-05T02:45+1100 2025-10-06T02:15+1100"},
		{"half an hour back", "45 1 * * *", "Australia/Lord_Howe", "2025-04-06T00:00:00+11:00", "2025-04-06T01:45+1030 2025-04-07T01:45+1030"},
		{"half an hour back, every hour", "0 * * * *", "Australia/Lord_Howe", "2025-04-06T00:30:00+11:00", "2025-04-06T01:00+1100 2025-04-06T02:00+1030 2025-04-06T03:00+1030"},
		{"half an hour back, a minute of it", "45 * * * *", "Australia/Lord_Howe", "2025-04-06T01:00:00+11:00", "2025-04-06T01:45+1100 2025-04-06T01:45+1030 2025-04-06T02:45+1030"},
		{"midnight does not exist", "@daily", "Asia/Beirut", "2025-03-29T12:00:00+02:00", "2025-03-30T01:00+0300 2025-03-31T00:00+0300"},
		{"the last hour of a day does not exist", "30 23 * * 6", "America/Nuuk", "2025-03-29T12:00:00-02:00", "2025-03-30T00:30-0100 2025-04-05T23:30-0100"},
		{"the last hour of a day comes twice", "30 * * * 6", "Asia/Beirut", "2025-10-25T22:45:00+03:00", "2025-10-25T23:30+0300 2025-10-25T23:30+0200 2025-11-01T00:30+0200"},
		{"Ramadan", "30 2 * * *", "Africa/Casablanca", "2025-02-22T12:00:00Z", "2025-02-23T02:30+0000 2025-02-24T02:30+0000"},
		{"a day that was left out", "0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2011-12-31T12:00+1400 2012-12-30T12:00+1400"},
		{"rules beyond those listed", "30 2 * * *", "America/New_York", "2200-03-08T12:00:00Z", "2200-03-09T03:30-0400 2200-03-10T02:30-0400"},
		{"offsets of seconds", "0 0 1 * *", "Africa/Monrovia", "1960-01-15T00:00:00Z", "1960-02-01T00:00-0044 1960-03-01T00:00-0044"},
		{"the last year", "@yearly", "", "9998-06-01T00:00:00Z", "9999-01-01T00:00Z none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, at := schedule(t, c.text, c.zone), moment(t, c.after)
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range strings.Fields(c.want) {
				before := at
				at = s.Next(at)
				got := "none"
				if !at.IsZero() {
					got = at.In(zone).Format("2006-01-02T15:04Z0700")
				}
				if strings.HasSuffix(want, "+0000") {
					got = strings.Replace(got, "Z", "+0000", 1)
				}
				if got != want {
					t.Fatalf("slot %d of %q after %v is %s, expected %s", i, c.text, before, got, want)
				}
			}
		})
	}
}

func TestScheduleRefused(t *testing.T) {
	for _, c := range []struct{ text, zone, field, says string }{
		{"", "", "schedule", "has 0 fields"},
		{"* * * *", "", "schedule", "has 4 fields"},
		{"0 * * * * *", "", "schedule", "has 6 fields"},
		{"@once", "", "schedule", "not a preset"},
		{"60 * * * *", "", "schedule", `the minute has "60"`},
		{"* 24 * * *", "", "schedule", "write a number from 0 to 23"},
		{"* * 0 * *", "", "schedule", "day of the month"},
		{"* * * 13 *", "", "schedule", "a name such as feb"},
		{"* * * * 8", "", "schedule", "day of the week"},
		{"* * * mon *", "", "schedule", `the month has "mon"`},
		{"-1 * * * *", "", "schedule", `has ""`},
		{"+1 * * * *", "", "schedule", `has "+1"`},
		{"1, * * * *", "", "schedule", `has ""`},
		{"*/0 * * * *", "", "schedule", "step"},
		{"*/x * * * *", "", "schedule", "step"},
		{"*/90 * * * *", "", "schedule", "every 90m"},
		{"*/99999999999999999999 * * * *", "", "schedule", "step"},
		{"0 5-5 * * *", "", "schedule", "write 5, or *"},
		{"0 22-5/3 * * *", "", "schedule", "list the values"},
		{"0 0 1 * 1#1", "", "schedule", "either"},
		{"0 0 * * 1#6", "", "schedule", "#5"},
		{"0 0 * * *#2", "", "schedule", "fri#2"},
		{"0 0 * * L", "", "schedule", `has "l"`},
		{"0 0 15W * *", "", "schedule", `"15w"`},
		{"0 L * * *", "", "schedule", `"l"`},
		{"? * * * *", "", "schedule", `"?"`},
		{"H * * * *", "", "schedule", `"h"`},
		{"٣ * * * *", "", "schedule", `has "٣"`},
		{"0\u00a00 * * *", "", "schedule", "has 4 fields"},
		{"every", "", "schedule", "is not an interval"},
		{"every 0m", "", "schedule", "is not an interval"},
		{"every 15", "", "schedule", "is not an interval"},
		{"every 1.5h", "", "schedule", "is not an interval"},
		{"every -1h", "", "schedule", "is not an interval"},
		{"every 15 m", "", "schedule", "is not an interval"},
		{"every 531w", "", "schedule", "at most 530w"},
		{"every 9223372036854775807s", "", "schedule", "at most 530w"},
		{strings.Repeat("0,", 600) + "0 * * * *", "", "schedule", "1000"},
		{"@daily", "Mars/Olympus", "timezone", "Europe/Berlin"},
		{"@daily", "Local", "timezone", "IANA"},
		{"@daily", "../etc/passwd", "timezone", "IANA"},
		{"@daily", "+02:00", "timezone", "IANA"},
	} {
		s, err := workflow.ParseSchedule(c.text, c.zone)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.Invalid || e.Field != c.field || e.Hint == "" || !strings.Contains(e.Error(), c.says) || s != nil {
			t.Errorf("%q in %q: %v, expected a fault of %s with a remedy that says %q", c.text, c.zone, err, c.field, c.says)
		}
	}
}

func TestScheduleInterval(t *testing.T) {
	for _, c := range []struct{ text, zone, at, start, end string }{
		{"@daily", "", "2025-05-02T00:00:00Z", "2025-05-01T00:00:00Z", "2025-05-02T00:00:00Z"},
		{"@daily", "Europe/Berlin", "2025-03-30T22:00:00Z", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z"},
		{"30 2 * * *", "America/New_York", "2025-03-09T07:30:00Z", "2025-03-08T07:30:00Z", "2025-03-09T07:30:00Z"},
		{"0 * * * *", "America/New_York", "2025-11-02T06:00:00Z", "2025-11-02T05:00:00Z", "2025-11-02T06:00:00Z"},
		{"30 1 * * *", "America/New_York", "2025-11-02T06:30:00Z", "2025-11-01T05:30:00Z", "2025-11-02T06:30:00Z"},
		{"0 0 * * 1-5", "", "2025-05-05T00:00:00Z", "2025-05-02T00:00:00Z", "2025-05-05T00:00:00Z"},
		// By hand: the last one that was over; in the hour of a change too.
		{"@daily", "", "2025-05-02T13:00:00.5Z", "2025-05-01T00:00:00Z", "2025-05-02T00:00:00Z"},
		{"0 2 * * *", "America/New_York", "2024-03-10T07:30:00Z", "2024-03-09T07:00:00Z", "2024-03-10T07:00:00Z"},
		{"0 1 * * *", "America/New_York", "2024-11-03T05:30:00Z", "2024-11-01T05:00:00Z", "2024-11-02T05:00:00Z"},
		{"every 6h", "Asia/Kathmandu", "2025-05-02T12:00:00Z", "2025-05-02T06:00:00Z", "2025-05-02T12:00:00Z"},
		{"every 6h", "", "2025-05-02T13:00:00Z", "2025-05-02T07:00:00Z", "2025-05-02T13:00:00Z"},
		{"0 0 30 2 *", "", "2025-05-02T13:00:00Z", "2025-05-02T13:00:00Z", "2025-05-02T13:00:00Z"},
	} {
		start, end := schedule(t, c.text, c.zone).Interval(moment(t, c.at))
		if !start.Equal(moment(t, c.start)) || !end.Equal(moment(t, c.end)) {
			t.Errorf("%q at %s: %v to %v, expected %s to %s", c.text, c.at, start, end, c.start, c.end)
		}
	}
}

func TestScheduleMissed(t *testing.T) {
	for _, c := range []struct {
		text, zone, after, now string
		most, n                int
		want                   string
	}{
		{"@hourly", "", "2025-01-01T00:00:00Z", "2025-01-01T03:00:00Z", 2, 3, "2025-01-01T02:00:00Z 2025-01-01T03:00:00Z"},
		{"@hourly", "", "2025-01-01T00:00:00Z", "2025-01-01T00:59:59Z", 2, 0, ""},
		{"@hourly", "", "2025-01-01T00:00:00Z", "2025-01-01T03:00:00Z", 0, 3, ""},
		{"@hourly", "", "2025-01-01T00:00:00Z", "2025-01-01T03:00:00Z", -1, 3, ""},
		{"@hourly", "", "2025-01-01T05:00:00Z", "2025-01-01T03:00:00Z", 5, 0, ""}, // a clock that was set back
		{"* * * * *", "America/New_York", "2015-01-01T00:00:00Z", "2025-01-01T00:00:00Z", 1, 3653 * 1440, "2025-01-01T00:00:00Z"},
		{"every 1s", "", "2015-01-01T00:00:00Z", "2025-01-01T00:00:00Z", 1, 3653 * 86400, "2025-01-01T00:00:00Z"},
		{"30 2 * * *", "Europe/Berlin", "2015-01-01T00:00:00Z", "2025-01-01T00:00:00Z", 1, 3653, "2024-12-31T01:30:00Z"},
		{"* * * * *", "Europe/Berlin", "1900-01-01T00:00:00Z", "9999-12-31T23:59:00Z", 1, 2958464*1440 - 1, "9999-12-31T23:59:00Z"},
		{"0 0 30 2 *", "", "2015-01-01T00:00:00Z", "2025-01-01T00:00:00Z", 9, 0, ""},
	} {
		slots, n := schedule(t, c.text, c.zone).Missed(moment(t, c.after), moment(t, c.now), c.most)
		var got []string
		for _, s := range slots {
			got = append(got, s.Format(time.RFC3339))
		}
		if n != c.n || strings.Join(got, " ") != c.want {
			t.Errorf("%q from %s to %s: %d, the last %v, expected %d and %s", c.text, c.after, c.now, n, got, c.n, c.want)
		}
	}
}

func TestScheduleString(t *testing.T) {
	for text, want := range map[string]string{" @daily ": "0 0 * * *", "0\t 2 * *  MON": "0 2 * * MON", "EVERY  15M": "every 15m", "@Quarterly": "0 0 1 */3 *"} {
		if s := schedule(t, text, ""); s.String() != want || s.Zone() != "UTC" {
			t.Errorf("%q is %q in %s, expected %q in UTC", text, s, s.Zone(), want)
		}
	}
}

// clock is what a zone's wall clock shows, minute by minute, read from the standard library alone.
type clock struct {
	from, to int64 // UTC minutes since 1970, to is not in it
	shown    []shown
}

// shown is a wall minute and the UTC minute that it counts for.
type shown struct {
	wall, at   int64
	onlyHourly bool // it comes again, and counts only where every hour matches
}

func readClock(t *testing.T, name string, from time.Time, days int) clock {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	c := clock{from: from.Unix() / 60, to: from.Unix()/60 + int64(days)*1440}
	last := map[int64]int{}
	for at := c.from - 1500; at < c.to+1500; at++ {
		y, m, d := time.Unix(at*60, 0).In(zone).Date()
		hour, minute, _ := time.Unix(at*60, 0).In(zone).Clock()
		wall := time.Date(y, m, d, hour, minute, 0, 0, time.UTC).Unix() / 60
		if n := len(c.shown); n > 0 {
			for w := c.shown[n-1].wall + 1; w < wall && at > c.from-1500; w++ { // jumped over
				c.shown = append(c.shown, shown{wall: w, at: at + w - c.shown[n-1].wall - 1})
			}
		}
		if i, twice := last[wall]; twice {
			c.shown[i].onlyHourly = true
		}
		last[wall] = len(c.shown)
		c.shown = append(c.shown, shown{wall: wall, at: at})
	}
	return c
}

// named is what a field of numbers, ranges, steps and stars names, up to a bound.
func named(field string, lo, hi int) (all [64]bool) {
	for item := range strings.SplitSeq(field, ",") {
		body, step, stepped := strings.Cut(item, "/")
		by := 1
		if stepped {
			by, _ = strconv.Atoi(step)
		}
		from, to := lo, hi
		if body != "*" {
			first, last, ranged := strings.Cut(body, "-")
			from, _ = strconv.Atoi(first)
			if to, _ = strconv.Atoi(last); !ranged {
				if to = from; stepped {
					to = hi
				}
			}
		}
		for v := from; v <= to; v += by {
			all[v] = true
		}
	}
	return all
}

// slots are those of an expression by the rules of [workflow.Schedule], one minute after the other.
func (c clock) slots(text string) (all []int64) {
	f := strings.Fields(text)
	minutes, hours, months := named(f[0], 0, 59), named(f[1], 0, 23), named(f[3], 1, 12)
	days, weekdays := named(strings.ReplaceAll(f[2], "L", "0"), 1, 31), named(f[4], 0, 6)
	for _, s := range c.shown {
		if s.at < c.from || s.at >= c.to || s.onlyHourly && f[1] != "*" || !minutes[s.wall%60] || !hours[s.wall/60%24] {
			continue
		}
		at := time.Unix(s.wall*60, 0).UTC()
		day := days[at.Day()] || days[0] && at.AddDate(0, 0, 1).Day() == 1
		weekday := weekdays[at.Weekday()] || weekdays[7] && at.Weekday() == time.Sunday
		matches := day && weekday
		if f[2] != "*" && f[4] != "*" {
			matches = day || weekday
		}
		if matches && months[at.Month()] {
			all = append(all, s.at)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// anExpression makes a random one that is more likely than not to have slots near a change of the clock.
func anExpression(r *rand.Rand) string {
	list := func(lo, hi int) string {
		var items []string
		for range 1 + r.IntN(3) {
			a := lo + r.IntN(hi-lo)
			switch r.IntN(4) {
			case 0:
				items = append(items, fmt.Sprintf("%d-%d", a, a+1+r.IntN(hi-a)))
			case 1:
				items = append(items, fmt.Sprintf("%d/%d", a, 1+r.IntN(hi-lo)))
			default:
				items = append(items, strconv.Itoa(a))
			}
		}
		return strings.Join(items, ",")
	}
	or := func(others ...string) string { return others[r.IntN(len(others))] }
	return strings.Join([]string{
		or("0", "30", "*/15", "*/7", "1-59/29", list(0, 59)),
		or("*", "*", "1", "2", "0-3", "1-2", "2,3", "23", "*/2", list(0, 23)),
		or("*", "*", "*", "L", "*/9", "1,L", list(1, 31)),
		or("*", "*", "*/2", "2-4,9-11", list(1, 12)),
		or("*", "*", "*", "0", "7", "1-5", "6-7", list(0, 6)),
	}, " ")
}

func TestScheduleAgreesWithAWalk(t *testing.T) {
	expressions := 8
	if testing.Short() {
		expressions = 2
	}
	for _, zone := range []struct {
		name, from string
		days       int
	}{
		{"America/New_York", "2025-01-01", 730}, {"Europe/Berlin", "2025-01-01", 730}, {"Australia/Lord_Howe", "2025-01-01", 730},
		{"Asia/Kathmandu", "2025-01-01", 730}, {"Asia/Seoul", "2025-01-01", 730}, {"America/St_Johns", "2025-01-01", 730},
		{"Africa/Casablanca", "2025-01-01", 730}, {"UTC", "2027-06-01", 730},
		{"America/New_York", "2088-02-01", 400},                                 // beyond the changes that are listed
		{"Asia/Beirut", "2025-01-01", 365}, {"America/Nuuk", "2024-01-01", 365}, // at midnight
		{"America/Havana", "2025-01-01", 365}, {"Africa/Cairo", "2025-01-01", 365}, {"Antarctica/Troll", "2025-01-01", 365}, // by two hours
		{"Pacific/Apia", "2011-06-01", 365}, {"Asia/Pyongyang", "2015-06-01", 365}, {"Europe/Dublin", "2025-01-01", 365},
	} {
		t.Run(zone.name+" "+zone.from, func(t *testing.T) {
			t.Parallel()
			from := moment(t, zone.from+"T00:00:00Z")
			c := readClock(t, zone.name, from, zone.days)
			r := rand.New(rand.NewPCG(uint64(len(zone.name)), uint64(zone.days)))
			texts := []string{"*/15 * * * *", "30 2 * * *", "0,30 1-3 * * 0,6"}
			for range expressions {
				texts = append(texts, anExpression(r))
			}
			for _, text := range texts {
				agrees(t, c, text, zone.name)
			}
		})
	}
}

// agrees holds Next, Interval and Missed against a walk.
func agrees(t *testing.T, c clock, text, zone string) {
	t.Helper()
	s, want := schedule(t, text, zone), c.slots(text)
	before := time.Unix(c.from*60, 0).Add(-time.Nanosecond)
	at, end := before, time.Unix(c.to*60, 0)
	for i, w := range want {
		next := s.Next(at)
		if next.Unix() != w*60 {
			t.Fatalf("%q in %s: after %v comes %v, expected %v", text, zone, at, next, time.Unix(w*60, 0).UTC())
		}
		if from, to := s.Interval(next); i > 0 && (!from.Equal(at) || !to.Equal(next)) {
			t.Fatalf("%q in %s: the interval of %v is %v to %v, expected from %v", text, zone, next, from, to, at)
		}
		at = next
	}
	if next := s.Next(at); !next.IsZero() && next.Before(end) {
		t.Fatalf("%q in %s: %v is one too many", text, zone, next)
	}
	for i := 0; i < len(want); i += 1 + len(want)/50 {
		for _, now := range []int64{want[i]*60 - 1, want[i] * 60, want[i]*60 + 1} {
			slots, n := s.Missed(before, time.Unix(now, 0), 2)
			all := i
			if now >= want[i]*60 {
				all++
			}
			if n != all || len(slots) != min(2, all) || all > 0 && slots[len(slots)-1].Unix() != want[all-1]*60 {
				t.Fatalf("%q in %s: up to %v there are %d, the last %v, expected %d", text, zone, time.Unix(now, 0).UTC(), n, slots, all)
			}
		}
	}
}

func FuzzSchedule(f *testing.F) {
	for _, text := range []string{"*/15 * * * *", "0 2,3 1-7 * 1", "0 0 L * *", "0 0 * 2 5#5", "0 0 30 2 *", "every 15m", "@daily", "50-10 22-2 * nov-feb fri-mon", "0 0 * * L5", "*/0 ,- / * 7#"} {
		f.Add(text, "America/New_York", int64(1741500000))
		f.Add(text, "", int64(math.MinInt64))
		f.Add(text, "Australia/Lord_Howe", int64(math.MaxInt64))
	}
	f.Fuzz(func(t *testing.T, text, zone string, unix int64) {
		s, err := workflow.ParseSchedule(text, zone)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		at := time.Unix(unix, 0)
		next := s.Next(at)
		if again := schedule(t, s.String(), s.Zone()); !again.Next(at).Equal(next) {
			t.Fatalf("%q is %q, which comes at %v, expected %v", text, s, again.Next(at), next)
		}
		if next.IsZero() {
			if _, n := s.Missed(at, time.Unix(1<<40, 0), 1); n != 0 {
				t.Fatalf("%q: nothing comes after %v, and %d were missed", text, at, n)
			}
			return
		}
		if unix > -1<<36 && !next.After(at) {
			t.Fatalf("%q: %v is not after %v", text, next, at)
		}
		if slots, n := s.Missed(at, next, 3); n != 1 || len(slots) != 1 || !slots[0].Equal(next) {
			t.Fatalf("%q: after %v comes %v, and missed are %d, %v", text, at, next, n, slots)
		}
		if start, end := s.Interval(next); !end.Equal(next) || start.After(end) || unix > -1<<33 && !start.Before(end) {
			t.Fatalf("%q: the interval of %v is %v to %v", text, next, start, end)
		}
	})
}

// TestSchedulesOf answers deploy/airflow/schedules.sh, which holds schedules against those of other programs: each line of the file
// PROJECTIONIST_SCHEDULES is a schedule, and the file of that name with .out gets its slots, or its refusal.
func TestSchedulesOf(t *testing.T) {
	name := os.Getenv("PROJECTIONIST_SCHEDULES")
	if name == "" {
		t.Skip("PROJECTIONIST_SCHEDULES names no file")
	}
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.Create(name + ".out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	w := bufio.NewWriter(out)
	lines, answers := json.NewDecoder(in), json.NewEncoder(w)
	for lines.More() {
		var line struct {
			Text, Zone string
			From, To   int64
		}
		if err := lines.Decode(&line); err != nil {
			t.Fatal(err)
		}
		var answer struct {
			Refused string  `json:"refused,omitempty"`
			Slots   []int64 `json:"slots"`
			Starts  []int64 `json:"starts"`
		}
		s, err := workflow.ParseSchedule(line.Text, line.Zone)
		if err != nil {
			answer.Refused = err.Error()
		} else {
			for at := s.Next(time.Unix(line.From-1, 0)); !at.IsZero() && at.Unix() < line.To; at = s.Next(at) {
				start, _ := s.Interval(at)
				answer.Slots, answer.Starts = append(answer.Slots, at.Unix()), append(answer.Starts, start.Unix())
			}
		}
		if err := answers.Encode(answer); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkSchedule(b *testing.B) {
	at := time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ text, zone string }{
		{"*/15 * * * *", "UTC"}, {"*/15 * * * *", "America/New_York"}, {"30 2 * * 1-5", "Europe/Berlin"}, {"@yearly", "Europe/Berlin"}, {"0 0 29 2 *", "America/New_York"}, {"0 0 30 2 *", "America/New_York"}, {"every 15m", "UTC"},
	} {
		s := schedule(b, c.text, c.zone)
		b.Run("Next "+c.text+" "+c.zone, func(b *testing.B) {
			for b.Loop() {
				s.Next(at)
			}
		})
	}
	s := schedule(b, "* * * * *", "America/New_York")
	b.Run("Missed in ten years of minutes", func(b *testing.B) {
		for b.Loop() {
			s.Missed(at.AddDate(-10, 0, 0), at, 1)
		}
	})
}
