package workflow

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones for a machine that has none: 411 kB of the program

	"github.com/projectionist/projectionist/internal/fault"
)

// Schedule says at which moments a workflow runs by itself: its slots, whole seconds in UTC. It does not change after
// [ParseSchedule], and may be used from several goroutines. It depends on nothing but its text and its zone's rules, so
// that every node, and each start, has the same slots.
//
// A text is a cron expression of five fields (minute, hour, day of the month, month, day of the week) with lists, ranges,
// steps and English names, where 7 is Sunday, L the last day of a month, fri#2 its second Friday, and L5 its last, and where two
// restricted day fields mean either; a preset (@hourly, @daily, @weekly, @monthly, @quarterly, @yearly); or an interval such as
// every 15m (s, m, h, d of 24 hours, w). Slots of an interval are whole multiples of it since 1970-01-01T00:00:00Z, a Thursday, whatever
// the zone: Airflow has the same of a timedelta when it does not catch up.
//
// The minutes that match a cron expression are read from the zone's wall clock. When it is changed, this holds, as in Airflow 2.10 to 3.3
// (airflow/timetables/_cron.py, _covers_every_hour):
//
//   - A minute that the clock jumps over counts as later by as much as the clock jumps: 30 2 * * * runs at 03:30 on that day.
//   - A minute that comes twice has one slot, when it comes again, so that a time of day has one run a day. Where every hour
//     matches (*/15 * * * *, @hourly) both times have one: such a schedule goes on by elapsed time.
//   - Two minutes that are moved to one moment are one slot: 0 2,3 * * * runs once, at 03:00.
//
// So each minute that matches has its slot, and no slot comes twice. Airflow steps from slot to slot instead, and differs
// where a step crosses the change:
//
//   - Of several times in the hour that is jumped over it runs only the first: of */30 2 * * * it has 03:00, and not 03:30.
//   - Where every hour matches and days are restricted, it adds the elapsed time of days: 0 * * * 1-5 in New York loses the run of
//     Monday 00:00 in March, and has one on Sunday 23:00 in November.
//   - Where a zone's change is not by a whole hour, as on Lord Howe, it leaves the expression: 0 * * * * runs at 01:30 too in April.
//
// Texts that cron and Airflow's croniter take for different things, or that no reader would expect, are refused with what to write: a
// range of one value (5-5), a step beyond all values (*/90), one in a range that goes on at the beginning (22-5/3),
// and days of the month beside fri#2. A star with a step (*/2) restricts a day field, as in croniter; some crons differ.
type Schedule struct {
	text  string
	zone  *time.Location
	cron  *cron // nil: an interval
	every int64 // seconds
}

// everyMax is the longest interval, in seconds: ten years of 53 weeks, beyond which a unit was mistaken.
const everyMax = 530 * 7 * secondsADay

// First and last second that slots may have: those whose year has four digits, as in RFC 3339.
const (
	slotMin = -62135596800 + 1 // year 1; time's zero means none
	slotMax = 253402300799     // year 9999
)

// ParseSchedule reads a schedule and the IANA name of its zone, "" for UTC. A zone's rules are the machine's, or, where it has
// none, those that the program was built with. Errors: fault.Invalid for "schedule" or "timezone".
func ParseSchedule(text, zone string) (*Schedule, error) {
	location, err := loadZone(zone)
	if err != nil {
		return nil, err
	}
	if len(text) > cronTextMax {
		return nil, scheduleFault("write ranges such as 0-29", "has %d bytes, of at most %d", len(text), cronTextMax)
	}
	fields := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })
	s := &Schedule{text: strings.Join(fields, " "), zone: location}
	switch {
	case len(fields) > 0 && strings.EqualFold(fields[0], "every"):
		s.text = strings.ToLower(s.text)
		s.every, err = parseEvery(s.text)
	case len(fields) == 1 && strings.HasPrefix(fields[0], "@"):
		s.text = cronPresets[strings.ToLower(fields[0])]
		if s.text == "" {
			return nil, scheduleFault("write @hourly, @daily, @weekly, @monthly, @quarterly or @yearly; a workflow without a schedule runs when it is triggered", "%q is not a preset", fields[0])
		}
		s.cron, err = parseCron(strings.Fields(s.text))
	case len(fields) != len(cronFields):
		return nil, scheduleFault("write minute, hour, day, month and weekday, such as 30 2 * * 1-5, a preset such as @daily, or every 15m", "has %d fields, and cron has five", len(fields))
	default:
		s.cron, err = parseCron(fields)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// parseEvery reads "every 15m" into seconds.
func parseEvery(text string) (int64, error) {
	units := map[byte]int64{'s': 1, 'm': 60, 'h': 60 * 60, 'd': secondsADay, 'w': 7 * secondsADay}
	text = strings.TrimSpace(strings.TrimPrefix(text, "every"))
	if n := len(text) - 1; n > 0 && digits(text[:n]) {
		x, err := strconv.ParseInt(text[:n], 10, 64)
		if unit := units[text[n]]; err == nil && unit > 0 && x > 0 && x <= everyMax/unit {
			return x * unit, nil
		}
	}
	return 0, scheduleFault("write such as every 30s, 15m, 2h, 1d or 1w, of at most 530w", "%q is not an interval", text)
}

// loadZone finds a zone by its IANA name. "Local" is none: it is another on each machine.
func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	location, err := time.LoadLocation(name)
	if err != nil || location == time.Local {
		return nil, fault.Field("timezone", "%q is not a time zone", name).WithHint("write an IANA name such as Europe/Berlin, or UTC")
	}
	return location, nil
}

// String is the text with its presets written out, as Airflow's summary of a timetable.
func (s *Schedule) String() string { return s.text }

// Zone is the IANA name of the zone, UTC where none was given.
func (s *Schedule) Zone() string { return s.zone.String() }

// Next is the first slot after a moment; the zero time where there is none, as for 30 February or beyond the year 9999.
func (s *Schedule) Next(after time.Time) time.Time {
	if slot, ok := s.next(seconds(after)); ok {
		return time.Unix(slot, 0).UTC()
	}
	return time.Time{}
}

// ScheduledRunID is the id of the run of a schedule's slot. It is not that of its interval's beginning, as in Airflow: where
// a schedule has been changed, two slots may begin at one moment.
func ScheduledRunID(name string, slot time.Time) string {
	return name + "@scheduled__" + slot.UTC().Format("2006-01-02T15:04:05+00:00")
}

// Interval is the data interval of the run of a slot: from the slot before it up to it. For a moment between slots, that of a
// run by hand, it is the last one that was over, as Airflow's CronDataIntervalTimetable infers it, or, where the schedule is an interval,
// the one that ends at the moment. Where there are no two slots, start and end are both the moment.
func (s *Schedule) Interval(slot time.Time) (start, end time.Time) {
	at := seconds(slot)
	if s.every > 0 {
		end = slot.UTC()
		return end.Add(-time.Duration(s.every) * time.Second), end
	}
	if last, ok := s.previous(at + 1); ok {
		if first, ok := s.previous(last); ok {
			return time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC()
		}
	}
	return slot.UTC(), slot.UTC()
}

// Missed are the slots after one moment up to another, both of any distance: the last ones of them, at most as many as asked for, oldest
// first, and how many there are in all. It takes a time that grows with the months between, not with the slots.
func (s *Schedule) Missed(after, now time.Time, most int) (slots []time.Time, n int) {
	from, to := seconds(after), seconds(now)
	n = s.count(from, to)
	at := to + 1
	for range min(n, most) {
		slot, ok := s.previous(at)
		if !ok || slot <= from {
			break
		}
		slots = append(slots, time.Unix(slot, 0).UTC())
		at = slot
	}
	slices.Reverse(slots)
	return slots, n
}

// Beginning are the slots, up to now, whose intervals begin in a time, both ends in it: the first of them, at most so many, oldest first. more says that there are others.
func (s *Schedule) Beginning(from, to, now time.Time, most int) (slots []time.Time, more bool) {
	for begin := s.Next(from.Add(-time.Second)); !begin.IsZero() && !begin.After(to); {
		slot := s.Next(begin)
		if slot.IsZero() || slot.After(now) {
			break
		}
		if len(slots) == most {
			return slots, true
		}
		slots = append(slots, slot)
		begin = slot
	}
	return slots, false
}

// changeMax is more than any clock was ever changed by, in seconds: the Pacific's moved by a day across the date line.
const changeMax = 2 * secondsADay

// seconds since 1970 at or before a moment, within those that slots may have.
func seconds(t time.Time) int64 { return min(max(t.Unix(), slotMin-1), slotMax) }

// period is a time in which a zone's clock stands in one relation to UTC, from one moment up to before another, in seconds since 1970.
type period struct {
	from, to int64 // math.MinInt64 and MaxInt64 where it is open
	offset   int64 // wall time - UTC, in seconds
	gap      int64 // by how much the clock jumped ahead at from
	fold     int64 // by how much it is set back at to
}

func (s *Schedule) periodAt(at int64) period {
	t := time.Unix(at, 0).In(s.zone)
	_, offset := t.Zone()
	p := period{from: math.MinInt64, to: math.MaxInt64, offset: int64(offset)}
	start, end := t.ZoneBounds()
	if !start.IsZero() {
		p.from = start.Unix()
		_, before := start.Add(-time.Second).Zone()
		p.gap = max(int64(offset-before), 0)
	}
	if !end.IsZero() {
		p.to = end.Unix()
		if p.to <= at { // of a year that is beyond the listed changes, package time ends the 365th day, and 31 December of a leap year is later
			p.to = (floor(at, secondsADay) + 1) * secondsADay
		}
		_, then := time.Unix(p.to, 0).In(s.zone).Zone()
		p.fold = max(int64(offset-then), 0)
	}
	return p
}

// last is the last second of the period in which a minute that the clock shows counts: not those that come again, unless every hour matches.
func (s *Schedule) last(p period) int64 {
	switch {
	case p.to == math.MaxInt64:
		return slotMax
	case s.cron.everyHour():
		return p.to - 1
	}
	return p.to - p.fold - 1
}

// next is the first slot after a moment, both in seconds since 1970.
func (s *Schedule) next(after int64) (int64, bool) {
	if s.every > 0 {
		slot := (floor(after, s.every) + 1) * s.every
		return slot, slot <= slotMax
	}
	for after < slotMax {
		p := s.periodAt(after + 1)
		wall, ok := s.cron.next(after + p.offset)
		if !ok {
			return 0, false
		}
		slot, found := wall-p.offset, wall-p.offset <= s.last(p)
		if moved, ok := s.moved(p, after); ok && (!found || moved < slot) {
			slot, found = moved, true
		}
		if found {
			return slot, slot <= slotMax
		}
		if p.to == math.MaxInt64 {
			return 0, false
		}
		if p.to-after > changeMax { // of which no minute comes again: on to what may match
			after = max(p.to-1, slot-changeMax)
		} else {
			after = p.to - 1
		}
	}
	return 0, false
}

// moved is the first slot after a moment of a minute that the clock jumped over at the beginning of the period: the old
// clock is read on for as long as it jumped.
func (s *Schedule) moved(p period, after int64) (int64, bool) {
	if p.gap == 0 || after >= p.from+p.gap-1 {
		return 0, false
	}
	old := p.offset - p.gap
	wall, ok := s.cron.next(max(after, p.from-1) + old)
	slot := wall - old
	return slot, ok && slot < min(p.from+p.gap, p.to)
}

// previous is the last slot before a moment, both in seconds since 1970.
func (s *Schedule) previous(before int64) (int64, bool) {
	if s.every > 0 {
		slot := floor(before-1, s.every) * s.every
		return slot, slot >= slotMin
	}
	for before > slotMin {
		p := s.periodAt(before - 1)
		wall, ok := s.cron.previous(min(before, s.last(p)+1) + p.offset)
		if !ok {
			return 0, false
		}
		slot, found := wall-p.offset, wall-p.offset >= p.from
		if p.gap > 0 {
			old := p.offset - p.gap
			wall, ok := s.cron.previous(min(before, p.from+p.gap, p.to) + old)
			if moved := wall - old; ok && moved >= p.from && (!found || moved > slot) {
				slot, found = moved, true
			}
		}
		if found {
			return slot, slot >= slotMin
		}
		if p.from == math.MinInt64 {
			return 0, false
		}
		if before-p.from > changeMax {
			before = min(p.from, wall-p.offset+changeMax)
		} else {
			before = p.from
		}
	}
	return 0, false
}

// count is how many slots there are after one moment up to another.
func (s *Schedule) count(after, upTo int64) int {
	if after >= upTo {
		return 0
	}
	if s.every > 0 {
		return int(floor(upTo, s.every) - floor(after, s.every))
	}
	n := 0
	for after < upTo {
		p := s.periodAt(after + 1)
		last := min(s.last(p), upTo)
		n += s.cron.count(after+p.offset, last+p.offset)
		for at := after; ; n++ {
			moved, ok := s.moved(p, at)
			if !ok || moved > upTo {
				break
			}
			if at = moved; moved <= last && s.cron.matchesAt(moved+p.offset) {
				n--
			}
		}
		if p.to > upTo {
			break
		}
		after = p.to - 1
	}
	return n
}
