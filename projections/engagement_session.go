package projections

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/projectionist/projectionist/projections/fold"
)

// session takes an act into the sessions of a person: it begins one unless another of them is shortly before.
func session(w *tallied, user, id string, millis int64) error {
	day := midnight(millis)
	acts, known, err := actMinutes(w, user, day)
	if err != nil {
		return err
	}
	if !known {
		if err := count(w, (&madeBy{}).row(ByVersion, day), func(c *EngagementCounts) { c.People++ }); err != nil {
			return err
		}
	}
	if id == "" {
		return unnamedSession(w, user, day, (millis-day)/minuteMillis, acts)
	}
	if !known {
		if err := w.Set(minutesKey(user, day), nil); err != nil {
			return err
		}
	}
	return namedSession(w, fold.Table('g').ID(user).Str(id), millis)
}

// namedSession begins with the first of its acts.
func namedSession(w *tallied, key fold.Key, millis int64) error {
	value, known, err := w.Get(key)
	if err != nil {
		return err
	}
	if known {
		p := fold.PartsOf(value)
		first := p.Millis()
		if p.Err() != nil || millis >= first {
			return p.Err()
		}
		if err := count(w, (&madeBy{}).row(ByVersion, first), func(c *EngagementCounts) { c.Sessions-- }); err != nil {
			return err
		}
	}
	if err := w.Set(key, fold.Key{}.Millis(millis)); err != nil {
		return err
	}
	return count(w, (&madeBy{}).row(ByVersion, millis), func(c *EngagementCounts) { c.Sessions++ })
}

// unnamedSession begins one at a minute of a day, which has these, unless another act is shortly before.
func unnamedSession(w *tallied, user string, day, at int64, acts []uint16) error {
	i, known := slices.BinarySearch(acts, uint16(at))
	if known {
		return nil
	}
	before, after := int64(-dayMinutes), int64(2*dayMinutes) // minutes of the day; far away where there are none
	if i > 0 {
		before = int64(acts[i-1])
	} else if at < sessionGap {
		if other, _, err := actMinutes(w, user, day-dayMillis); err != nil {
			return err
		} else if len(other) > 0 {
			before = int64(other[len(other)-1]) - dayMinutes
		}
	}
	if i < len(acts) {
		after = int64(acts[i])
	} else if at >= dayMinutes-sessionGap {
		if other, _, err := actMinutes(w, user, day+dayMillis); err != nil {
			return err
		} else if len(other) > 0 {
			after = int64(other[0]) + dayMinutes
		}
	}
	value := fold.Key{}
	for _, m := range slices.Insert(acts, i, uint16(at)) {
		value = binary.BigEndian.AppendUint16(value, m)
	}
	if err := w.Set(minutesKey(user, day), value); err != nil {
		return err
	}
	if at-before > sessionGap {
		if err := count(w, (&madeBy{}).row(ByVersion, day), func(c *EngagementCounts) { c.Sessions++ }); err != nil {
			return err
		}
	}
	if after-before > sessionGap && after-at <= sessionGap { // it began one, and does no longer
		return count(w, (&madeBy{}).row(ByVersion, day+after*minuteMillis), func(c *EngagementCounts) { c.Sessions-- })
	}
	return nil
}

func minutesKey(user string, day int64) fold.Key { return fold.Table('u').ID(user).Millis(day) }

// actMinutes are the minutes of a day at which a person acted without naming a session, ascending, and whether they acted at all.
func actMinutes(w *tallied, user string, day int64) (acts []uint16, known bool, err error) {
	value, known, err := w.Get(minutesKey(user, day))
	if err != nil || len(value)%2 != 0 {
		return nil, known, cmp.Or(err, fold.ErrKey)
	}
	acts = make([]uint16, len(value)/2, len(value)/2+1)
	for k := range acts {
		acts[k] = binary.BigEndian.Uint16(value[2*k:])
	}
	return acts, known, nil
}
