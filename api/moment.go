package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// The two times of a question, which are never mixed:
//
//	as_of=TIME       event time: what had happened by then
//	known_at=TIME    recorded time: what the log had taken by then
//	known_at=POSITION, such as user-events/0@12: what the log had taken when it took that record, the
//	                 record included; a whole number below 1,000,000,000 is an offset of the ledger
//	known_at=CUT, such as mlops-events/0:7,user-events/0:12: exactly that part of the log
//
// TIME is RFC 3339, a date (its first instant, UTC), or Unix seconds or milliseconds.
const (
	AsOfParam    = "as_of"
	KnownAtParam = "known_at"
)

const (
	secondsMax = 100_000_000_000 // from here on a number counts milliseconds: seconds would be past the year 5000
	offsetMax  = 1_000_000_000   // of the ledger; as a time it would be 2001, before any log of this program
)

// Moment is what a question is asked as of.
type Moment struct {
	At          fold.At
	EventMillis int64 // as_of, 0 when not given
	KnownMillis int64 // the recorded time known_at stands for, now at most; 0 when not given
}

// Given says whether the question is about another moment than now.
func (m *Moment) Given() bool { return m.EventMillis != 0 || m.KnownMillis != 0 }

// Millis is the instant that windows and decay look back from.
func (m *Moment) Millis(now int64) int64 {
	switch {
	case m.EventMillis != 0:
		return m.EventMillis
	case m.KnownMillis != 0:
		return m.KnownMillis
	}
	return now
}

// Moment reads as_of and known_at.
func (c *Core) Moment(ctx context.Context, q *Query) (Moment, error) {
	if err := q.Err(); err != nil {
		return Moment{}, err
	}
	return c.MomentOf(ctx, q.Str(AsOfParam), q.Str(KnownAtParam))
}

// MomentOf is the moment that as_of and known_at, as texts, stand for; "" is not given.
func (c *Core) MomentOf(ctx context.Context, asOf, knownAt string) (m Moment, err error) {
	if asOf != "" {
		if m.EventMillis, err = ParseTime(asOf); err != nil {
			return m, fault.Field(AsOfParam, "%v", err)
		}
		m.At.EventMillis = m.EventMillis
	}
	if knownAt != "" {
		m.At.RecordedMillis, m.At.Cut, err = c.knownAt(ctx, knownAt)
		if err != nil {
			return m, err
		}
		if m.KnownMillis = m.At.RecordedMillis; m.At.Cut != nil {
			m.KnownMillis, err = c.recordedMillis(ctx, m.At.Cut)
		}
		m.KnownMillis = min(m.KnownMillis, c.Now().UnixMilli()) // of a moment to come what is known is known now
	}
	return m, err
}

// knownAt is a time, or the cut that a position or cut stands for.
func (c *Core) knownAt(ctx context.Context, v string) (millis int64, cut streams.Cut, err error) {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil && n >= 0 && n < offsetMax {
		v = streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: n}.String()
	}
	switch {
	case strings.ContainsRune(v, '@'):
		p, err := streams.ParsePosition(v)
		if err != nil {
			return 0, nil, fault.Field(KnownAtParam, "%v", err)
		}
		cut, err = c.cutAt(ctx, p)
		return 0, cut, err
	case strings.ContainsRune(v, '/'):
		if cut, err = streams.ParseCut(v); err != nil {
			return 0, nil, fault.Field(KnownAtParam, "%v", err)
		}
		head, err := fold.HeadCut(ctx, c.Log, time.Time{})
		if err != nil {
			return 0, nil, err
		}
		for _, tp := range cut.Partitions() {
			if next, ok := head[tp]; !ok || cut[tp] > next {
				return 0, nil, fault.Field(KnownAtParam, "%s:%d is beyond the log, which ends at %d", tp, cut[tp], next)
			}
		}
		return 0, cut, nil
	}
	if millis, err = ParseTime(v); err != nil {
		return 0, nil, fault.Field(KnownAtParam, "%v", err).
			WithHint("or give a position such as user-events/0@12, or a cut such as mlops-events/0:7")
	}
	return millis, nil, nil
}

// cutAt is the log as it was when it took the record at p, with that record.
func (c *Core) cutAt(ctx context.Context, p streams.Position) (streams.Cut, error) {
	recorded, err := c.recordedAt(ctx, p)
	if err != nil {
		return nil, err
	}
	cut, err := fold.HeadCut(ctx, c.Log, recorded)
	if err == nil {
		cut[p.TP] = p.Offset + 1 // and none that came after it within its millisecond
	}
	return cut, err
}

func (c *Core) recordedAt(ctx context.Context, p streams.Position) (time.Time, error) {
	if Known(p.TP) {
		for rec, err := range c.Log.Feed().Read(ctx, p.TP, p.Offset) {
			if err != nil {
				return time.Time{}, err
			}
			if rec.Offset == p.Offset {
				return rec.Recorded, nil
			}
			break
		}
	}
	return time.Time{}, fault.Field(KnownAtParam, "the log has no record at %s", p)
}

// recordedMillis is the recorded time of the newest record in a cut.
func (c *Core) recordedMillis(ctx context.Context, cut streams.Cut) (int64, error) {
	newest := int64(events.TimeMillisMin + 1) // of an empty cut: before everything
	for _, tp := range cut.Partitions() {
		if cut[tp] == 0 {
			continue
		}
		for rec, err := range c.Log.Feed().Read(ctx, tp, cut[tp]-1) {
			if err != nil {
				return 0, err
			}
			newest = max(newest, rec.Recorded.UnixMilli())
			break
		}
	}
	return newest, nil
}

// Newest is when the log took the newest record of a cut; false for a cut without any.
func (c *Core) Newest(ctx context.Context, cut streams.Cut) (time.Time, bool, error) {
	millis, err := c.recordedMillis(ctx, cut)
	return events.TimeOf(millis), err == nil && millis > events.TimeMillisMin+1, err
}

// First is when the log took its first record; false for an empty log.
func (c *Core) First(ctx context.Context) (first time.Time, ok bool, err error) {
	for _, tp := range streams.PartitionsOf() {
		for rec, err := range c.Log.Feed().Read(ctx, tp, 0) {
			if err != nil {
				return first, false, err
			}
			if !ok || rec.Recorded.Before(first) {
				first, ok = rec.Recorded, true
			}
			break
		}
	}
	return first, ok, nil
}

// Cut is what of the log the moment knows.
func (m *Moment) Cut(ctx context.Context, log streams.Log) (streams.Cut, error) {
	if m.At.Cut != nil {
		return m.At.Cut, nil
	}
	var until time.Time
	if m.At.RecordedMillis != 0 {
		until = time.UnixMilli(m.At.RecordedMillis)
	}
	return fold.HeadCut(ctx, log, until)
}

// ParseTime reads a time into Unix milliseconds. The first instant of 1970 becomes the millisecond
// after it, as 0 stands for none.
func ParseTime(v string) (int64, error) {
	bad := fmt.Errorf("is %q; want a time such as 2024-01-15T10:30:00Z, a date, or Unix seconds or milliseconds", Short(v))
	var ms int64
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		if ms = n; n < secondsMax {
			ms = n * 1000
		}
		if n < 0 {
			return 0, bad
		}
	} else if day, err := time.Parse(time.DateOnly, v); err == nil {
		ms = day.UnixMilli()
	} else if ms, err = events.TimeMillis(strings.Replace(v, " ", "+", 1)); err != nil { // a + of an offset, read as a space
		return 0, bad
	}
	if ms < events.TimeMillisMin || ms >= events.TimeMillisEnd {
		return 0, fmt.Errorf("%s is outside 1970 to 2100", Short(v))
	}
	return max(ms, 1), nil
}
