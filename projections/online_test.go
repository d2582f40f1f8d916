package projections_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// Who watches is told of each act before it is learned, also by the view that takes the first one's place, and what is folded is the same.
func TestWatchedOnline(t *testing.T) {
	act := func(n int) []fold.Input {
		return []fold.Input{{Position: streams.Position{TP: streams.TP{Topic: events.UserEventsTopic}, Offset: int64(n)},
			Event: &events.Event{ID: fmt.Sprint(n), Source: "/test", Time: time.UnixMilli(foldtest.Day(400) + int64(n)).UTC(), Data: &events.Interaction{UserID: "1", MovieID: "7", Kind: "click"}}}}
	}
	dump := func(watched bool) string {
		v, s := projections.NewOnline(), foldtest.NewMemory()
		must0(t, v.Open(s))
		var seen []uint64
		if watched {
			v.Watch(func(l *projections.Learning) {
				if l.Act.MovieID != "7" || l.Signal.Weight() != 0 || !l.Signal.Counted() || l.Input.Event.Data != events.Data(l.Act) {
					t.Errorf("told %+v", l)
				}
				seen = append(seen, uint64(l.Model.Stats("7").Counted))
			})
		}
		b := s.Batch(false)
		must0(t, v.Apply(b, act(0)))
		must0(t, v.Apply(b, act(1)))
		must0(t, v.Flush(b))
		b.Commit()
		next := projections.NewOnline()
		must0(t, next.Open(s))
		v.Replaced(next)
		must0(t, next.Apply(b, act(2)))
		b = s.Batch(false)
		must0(t, next.Flush(b))
		b.Commit()
		if want := "[0 1 2]"; watched && fmt.Sprint(seen) != want {
			t.Errorf("before each act the film was met %v times, want %s", seen, want)
		}
		return s.Dump()
	}
	if dump(true) != dump(false) {
		t.Error("what is folded depends on who watches")
	}
}
