package fold

import (
	"iter"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// At is a moment along the two times, which are never mixed: what had happened (event time) and what
// was known (recorded time, or a position in the log for which it stands). The zero At is now: no limit.
type At struct {
	EventMillis    int64       // as_of: only what happened at or before this event time; 0 is no limit
	RecordedMillis int64       // known_at: only what the log took at or before this time; 0 is no limit
	Cut            streams.Cut // known_at as a cut: only records it covers; nil is no limit
}

// IsZero says whether the moment is now.
func (a At) IsZero() bool { return a.EventMillis == 0 && a.RecordedMillis == 0 && a.Cut == nil }

// Admits says whether something that happened at eventMillis and was recorded at recordedMillis, in
// the record at pos, counts at this moment.
func (a At) Admits(eventMillis, recordedMillis int64, pos streams.Position) bool {
	return (a.EventMillis == 0 || eventMillis <= a.EventMillis) &&
		(a.RecordedMillis == 0 || recordedMillis <= a.RecordedMillis) &&
		(a.Cut == nil || a.Cut.Covers(pos))
}

// AdmitsInput is Admits for an input.
func (a At) AdmitsInput(in *Input) bool {
	return a.Admits(in.Event.Time.UnixMilli(), in.RecordedMillis, in.Position)
}

// Inputs are the events of a stream's commits that a moment admits, as views see them: what all were told to pass over
// is not among them. A commit that this program cannot read is an error if the moment admits it.
func Inputs(commits iter.Seq2[*streams.Committed, error], at At) iter.Seq2[*Input, error] {
	return func(yield func(*Input, error) bool) {
		for c, err := range commits {
			if c == nil || err != nil && at.admitsAny(c) {
				yield(nil, err)
				return
			}
			if c.Unreadable() != nil {
				continue
			}
			for i := range c.Events {
				in := Input{Position: c.Position, Index: i, Revision: c.Revision + streams.Revision(i),
					RecordedMillis: c.Recorded.UnixMilli(), Event: &c.Events[i]}
				if at.AdmitsInput(&in) && !yield(&in, nil) {
					return
				}
			}
		}
	}
}

// admitsAny says whether an event of a commit counts at this moment.
func (a At) admitsAny(c *streams.Committed) bool {
	return slices.ContainsFunc(c.Events, func(e events.Event) bool {
		return a.Admits(e.Time.UnixMilli(), c.Recorded.UnixMilli(), c.Position)
	})
}
