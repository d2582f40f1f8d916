package workflow

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// cron is a cron expression: which minutes of a calendar match it. It knows no zone: a wall time is in seconds since
// 1970-01-01 00:00 of the same clock.
type cron struct {
	minutes    uint64   // bit 0 to 59
	hours      uint32   // bit 0 to 23
	days       uint32   // bit 1 to 31
	lastDay    bool     // of the month, beside days
	months     uint16   // bit 1 to 12
	weekdays   [7]uint8 // from Sunday: in bit n the n-th of a month, from 0; in bit lastWeek the last one
	anyDay     bool     // the day of the month is not restricted
	anyWeekday bool
	perDay     int // matching minutes in a matching day
}

const (
	lastWeek = 5
	allWeeks = 1<<lastWeek - 1

	cronTextMax   = 1000 // bytes: more than all minutes, hours, days, months and weekdays listed
	cronYearsMax  = 41   // from one match to the next: 5#5 in February skips 40 years over one such as 2100
	everyHourMask = 1<<24 - 1
)

var everyWeekday = [7]uint8{allWeeks, allWeeks, allWeeks, allWeeks, allWeeks, allWeeks, allWeeks}

// cronPresets are Airflow's (airflow/timetables/_cron.py), and the two more that croniter knows.
var cronPresets = map[string]string{
	"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *",
	"@quarterly": "0 0 1 */3 *", "@yearly": "0 0 1 1 *",
	"@midnight": "0 0 * * *", "@annually": "0 0 1 1 *",
}

// cronField is one of the five.
type cronField struct {
	name   string
	lo, hi int      // bounds of what may be written
	top    int      // where * and "from/step" end
	names  []string // of the values from lo on
}

const (
	minuteField = iota
	hourField
	dayField
	monthField
	weekdayField
)

var cronFields = [5]cronField{
	minuteField:  {name: "minute", lo: 0, hi: 59, top: 59},
	hourField:    {name: "hour", lo: 0, hi: 23, top: 23},
	dayField:     {name: "day of the month", lo: 1, hi: 31, top: 31},
	monthField:   {name: "month", lo: 1, hi: 12, top: 12, names: strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	weekdayField: {name: "day of the week", lo: 0, hi: 7, top: 6, names: strings.Fields("sun mon tue wed thu fri sat")},
}

// parseCron reads five fields.
func parseCron(fields []string) (*cron, error) {
	c := &cron{}
	for i, text := range fields {
		items := strings.Split(strings.ToLower(text), ",")
		for _, item := range items {
			if err := c.item(i, item); err != nil {
				return nil, err
			}
		}
	}
	day, weekday := fields[dayField], fields[weekdayField]
	// As croniter has it, a field that has every value is no restriction only where the other has a star.
	c.anyDay = starred(day) || c.days == 1<<32-2 && strings.Contains(weekday, "*")
	c.anyWeekday = starred(weekday) || c.weekdays == everyWeekday && strings.Contains(day, "*")
	if !starred(day) && strings.ContainsAny(strings.ToLower(weekday), "#l") {
		return nil, scheduleFault("write * for one of them, or two workflows", "names days of the month (%s) beside one week's day (%s), which cron takes as either, and Airflow as both", day, weekday)
	}
	c.perDay = bits.OnesCount64(c.minutes) * bits.OnesCount32(c.hours)
	return c, nil
}

// starred says whether an item of a field's list is a star.
func starred(text string) bool {
	for item := range strings.SplitSeq(text, ",") {
		if item == "*" || item == "?" {
			return true
		}
	}
	return false
}

// item adds what one item of a field's list names.
func (c *cron) item(i int, text string) error {
	f := &cronFields[i]
	body, week, err := f.week(i, text)
	if err != nil {
		return err
	}
	if i == dayField && body == "l" {
		c.lastDay = true
		return nil
	}
	body, stepText, stepped := strings.Cut(body, "/")
	from, to, step := f.lo, f.top, 1
	if stepped {
		if step, err = strconv.Atoi(stepText); err != nil || !digits(stepText) || step == 0 {
			return scheduleFault("write a whole number from 1 on", "the %s has the step %q in %q", f.name, stepText, text)
		}
	}
	switch first, last, ranged := strings.Cut(body, "-"); {
	case body == "*", body == "?" && (i == dayField || i == weekdayField) && !stepped:
	case ranged:
		if from, to, err = f.bounds(i, text, first, last, stepped); err != nil {
			return err
		}
	default:
		if from, err = f.value(text, body); err != nil {
			return err
		}
		if !stepped {
			to = from
		} else if from > to { // 7/2
			from = f.lo
		}
	}
	if stepped && step > f.top-f.lo {
		return scheduleFault("write "+strconv.Itoa(from)+" for that one value, or an interval such as every 90m", "the %s has the step %d in %q, which is beyond all values", f.name, step, text)
	}
	for v := from; v <= to; v += step {
		c.add(i, (v-f.lo)%(f.top-f.lo+1)+f.lo, week)
	}
	return nil
}

// week cuts off which week of the month a weekday is of: "fri#2" is the second Friday, "l5" the last.
func (f *cronField) week(i int, text string) (body string, week uint8, err error) {
	if i != weekdayField {
		return text, 0, nil
	}
	if body, n, found := strings.Cut(text, "#"); found {
		if len(n) != 1 || n[0] < '1' || n[0] > '5' || strings.ContainsAny(body, "*?/") || body == "" {
			return "", 0, scheduleFault("write such as fri#2, from #1 to #5", "the %s has %q", f.name, text)
		}
		return body, 1 << (n[0] - '1'), nil
	}
	if body, found := strings.CutPrefix(text, "l"); found && digits(body) {
		return body, 1 << lastWeek, nil
	}
	return text, allWeeks, nil
}

// bounds reads a range. One that goes on from the end at the beginning (fri-mon, 22-2) ends beyond the field.
func (f *cronField) bounds(i int, text, first, last string, stepped bool) (from, to int, err error) {
	if from, err = f.value(text, first); err != nil {
		return 0, 0, err
	}
	if i == dayField && last == "l" {
		last = "31"
	}
	if to, err = f.value(text, last); err != nil {
		return 0, 0, err
	}
	if from > f.top && from > to { // 7-2 is 0-2
		from = f.lo
	}
	switch {
	case from == to:
		return 0, 0, scheduleFault("write "+last+", or *", "the %s has the range %q, which cron takes as one value, and Airflow as all", f.name, text)
	case from > to && stepped:
		return 0, 0, scheduleFault("list the values, separated by commas", "the %s has the range %q, which goes on from its end at its beginning, with a step: programs differ in what that is", f.name, text)
	case from > to:
		to += f.top - f.lo + 1
	}
	return from, to, nil
}

// value reads a number or a name; item is the text it stands in.
func (f *cronField) value(item, text string) (int, error) {
	for i, name := range f.names {
		if text == name {
			return f.lo + i, nil
		}
	}
	v, err := strconv.Atoi(text)
	if err != nil || !digits(text) || v < f.lo || v > f.hi {
		hint := "write a number from " + strconv.Itoa(f.lo) + " to " + strconv.Itoa(f.hi)
		if f.names != nil {
			hint += ", or a name such as " + f.names[1]
		}
		return 0, scheduleFault(hint, "the %s has %q in %q", f.name, text, item)
	}
	return v, nil
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func (c *cron) add(i, v int, week uint8) {
	switch i {
	case minuteField:
		c.minutes |= 1 << v
	case hourField:
		c.hours |= 1 << v
	case dayField:
		c.days |= 1 << v
	case monthField:
		c.months |= 1 << v
	default:
		c.weekdays[v] |= week
	}
}

func scheduleFault(hint, format string, args ...any) error {
	return fault.Field("schedule", format, args...).WithHint("%s", hint)
}

// everyHour says whether the hour is not restricted.
func (c *cron) everyHour() bool { return c.hours == everyHourMask }

const secondsADay = 24 * 60 * 60

// month is a month of the calendar.
type month struct {
	year  int
	month time.Month
}

func (m month) after() month {
	if m.month == time.December {
		return month{m.year + 1, time.January}
	}
	return month{m.year, m.month + 1}
}

func (m month) before() month {
	if m.month == time.January {
		return month{m.year - 1, time.December}
	}
	return month{m.year, m.month - 1}
}

// first is the day, since 1970-01-01, that the month begins with.
func (m month) first() int64 {
	return floor(time.Date(m.year, m.month, 1, 0, 0, 0, 0, time.UTC).Unix(), secondsADay)
}

// monthOf is the month that a day since 1970-01-01 is in, and its day in that, from 1.
func monthOf(day int64) (month, int) {
	y, m, d := time.Unix(day*secondsADay, 0).UTC().Date()
	return month{y, m}, d
}

// daysIn are the matching days of a month, bit 1 to 31, and the day since 1970-01-01 before it, where it has any.
func (c *cron) daysIn(m month) (days uint32, before int64) {
	if c.months&(1<<m.month) == 0 {
		return 0, 0
	}
	first := m.first()
	length := int(m.after().first() - first)
	all := uint32(1)<<(length+1) - 2
	days = c.days & all
	if c.lastDay {
		days |= 1 << length
	}
	switch {
	case c.anyDay && c.anyWeekday:
		days = all
	case c.anyDay:
		days = c.weekdaysIn(first, length)
	case !c.anyWeekday:
		days |= c.weekdaysIn(first, length)
	}
	return days, first - 1
}

// weekdaysIn are the days whose weekday matches in a month of a first day and a length.
func (c *cron) weekdaysIn(first int64, length int) (days uint32) {
	begins := int((first+4)%7+7) % 7 // 1970-01-01 was a Thursday
	for weekday, weeks := range c.weekdays {
		for d, n := (weekday-begins+7)%7+1, 0; weeks != 0 && d <= length; d, n = d+7, n+1 {
			if weeks&(1<<n) != 0 || weeks&(1<<lastWeek) != 0 && d+7 > length {
				days |= 1 << d
			}
		}
	}
	return days
}

// next is the first matching minute after a wall time.
func (c *cron) next(wall int64) (int64, bool) {
	minute := floor(wall, 60) + 1
	day := floor(minute, 24*60)
	m, d := monthOf(day)
	for range cronYearsMax*12 + 1 {
		days, before := c.daysIn(m)
		for days = days >> d << d; days != 0; days &= days - 1 {
			on, from := before+int64(bits.TrailingZeros32(days)), 0
			if on == day {
				from = int(minute - day*24*60)
			}
			if t := c.timeFrom(from); t >= 0 {
				return (on*24*60 + int64(t)) * 60, true
			}
		}
		m, d = m.after(), 0
	}
	return 0, false
}

// previous is the last matching minute before a wall time.
func (c *cron) previous(wall int64) (int64, bool) {
	minute := floor(wall-1, 60)
	day := floor(minute, 24*60)
	m, d := monthOf(day)
	for range cronYearsMax*12 + 1 {
		days, before := c.daysIn(m)
		for days &= 2<<d - 1; days != 0; {
			last := bits.Len32(days) - 1
			on, upTo := before+int64(last), 24*60-1
			if on == day {
				upTo = int(minute - day*24*60)
			}
			if t := c.timeUpTo(upTo); t >= 0 {
				return (on*24*60 + int64(t)) * 60, true
			}
			days &^= 1 << last
		}
		m, d = m.before(), 31
	}
	return 0, false
}

// timeFrom is the first matching minute of a day from one on, or -1.
func (c *cron) timeFrom(minute int) int {
	hour := minute / 60
	if c.hours&(1<<hour) != 0 {
		if rest := c.minutes >> (minute % 60) << (minute % 60); rest != 0 {
			return hour*60 + bits.TrailingZeros64(rest)
		}
	}
	if later := c.hours >> (hour + 1) << (hour + 1); later != 0 {
		return bits.TrailingZeros32(later)*60 + bits.TrailingZeros64(c.minutes)
	}
	return -1
}

// timeUpTo is the last matching minute of a day up to one, or -1.
func (c *cron) timeUpTo(minute int) int {
	hour := minute / 60
	if c.hours&(1<<hour) != 0 {
		if rest := c.minutes & (2<<(minute%60) - 1); rest != 0 {
			return hour*60 + bits.Len64(rest) - 1
		}
	}
	if earlier := c.hours & (1<<hour - 1); earlier != 0 {
		return (bits.Len32(earlier)-1)*60 + bits.Len64(c.minutes) - 1
	}
	return -1
}

// timesBefore is how many minutes of a day match before one.
func (c *cron) timesBefore(minute int) int {
	hour := minute / 60
	n := bits.OnesCount32(c.hours&(1<<hour-1)) * bits.OnesCount64(c.minutes)
	if c.hours&(1<<hour) != 0 {
		n += bits.OnesCount64(c.minutes & (1<<(minute%60) - 1))
	}
	return n
}

// count is how many matching minutes there are after one wall time up to another, in time that grows with the months.
func (c *cron) count(after, upTo int64) int {
	from, to := floor(after, 60)+1, floor(upTo, 60) // in minutes, both in it
	if from > to {
		return 0
	}
	first, last := floor(from, 24*60), floor(to, 24*60)
	n := 0
	m, _ := monthOf(first)
	end, _ := monthOf(last)
	for end = end.after(); m != end; m = m.after() {
		days, before := c.daysIn(m)
		if d := first - before; d > 0 && days != 0 {
			days = days >> d << d
			if days&(1<<d) != 0 {
				n -= c.timesBefore(int(from - first*24*60))
			}
		}
		if d := last - before; d < 32 && days != 0 {
			days &= 2<<d - 1
			if days&(1<<d) != 0 {
				n -= c.perDay - c.timesBefore(int(to-last*24*60)+1)
			}
		}
		n += bits.OnesCount32(days) * c.perDay
	}
	return n
}

// matchesAt says whether the minute that begins at a wall time matches.
func (c *cron) matchesAt(wall int64) bool {
	if wall%60 != 0 {
		return false
	}
	next, ok := c.next(wall - 60)
	return ok && next == wall
}

// floor is a/b, rounded down.
func floor(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
