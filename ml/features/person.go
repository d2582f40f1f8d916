package features

import "github.com/projectionist/projectionist/events"

// Said is what was said of a person once.
type Said struct {
	SinceMillis    int64 // from when on it is so, event time; [events.Always] is at all times
	RecordedMillis int64 // when the log took it
	events.User
}

// People finds what was said of a person by their canonical id, in the order in which one is so over the other; nothing
// is an unknown person. It must answer the same for the same id during one read.
type People func(userID string) []Said

// person is what is known of a person at a moment.
type person struct {
	events.User
	sinceMillis int64 // of the newest of it; 0 where all of it is so at all times
}

// personOf is what is so of what was said, as far as it is visible; nil for nothing.
func personOf(said []Said, visible func(*Said) bool) *person {
	var p *person
	for i := range said {
		if !visible(&said[i]) {
			continue
		}
		if p == nil {
			p = &person{}
		}
		p.Overlay(&said[i].User)
		p.sinceMillis = max(p.sinceMillis, said[i].SinceMillis)
	}
	return p
}

// visibleAt says whether something said is so at a row's time, and may be known there.
func (j *Join) visibleAt(s *Said, millis int64) bool {
	return (s.SinceMillis < millis || s.SinceMillis == millis && !j.Exclusive) &&
		(j.KnownAtMillis == 0 || s.RecordedMillis <= j.KnownAtMillis) &&
		(!j.KnownAtRow || s.RecordedMillis <= millis)
}

func (p *person) attribute(s *step, v *Value) bool {
	switch s.of {
	case "age":
		v.setInt(int64(p.Age))
		return p.Age != 0
	case "gender":
		v.Str = p.Gender
		return p.Gender != ""
	}
	v.Str = p.Occupation
	return p.Occupation != ""
}
