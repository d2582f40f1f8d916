package handlers

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// remembering makes a dispatcher, as of a process that begins now, which finds what the log has.
func remembering(t *testing.T, l *testLog, at time.Time) *Dispatcher {
	d := newTestDispatcher(l, "id")
	d.now = func() time.Time { return at }
	d.recalled = func(_ context.Context, ids []string, in []streams.TP) (map[string]streams.Position, error) {
		found := map[string]streams.Position{}
		for _, topic := range []string{events.UserEventsTopic, events.DriftAlertsTopic} {
			evs, at, _ := l.published(t, topic)
			for i := range evs {
				for _, id := range ids {
					if _, had := found[id]; evs[i].ID == id && !had {
						found[id] = at[i]
					}
				}
			}
		}
		return found, nil
	}
	return d
}

func TestRecall(t *testing.T) {
	drift := func(score float64) commands.Fact {
		return &commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: "als", DriftScore: score, Threshold: .2, Metrics: map[string]float64{"b": 1, "a": 2}}}
	}
	stamped := rated("user_7", "movie_3", "2024-01-15T19:30:00+09:00")
	all := []commands.Fact{rated("user_7", "movie_1", ""), drift(.3), stamped}
	l := newTestLog(t)
	first, err := remembering(t, l, testNow).Publish(t.Context(), all, Meta{IdempotencyKey: "k", Actor: "user:anna"})
	if err != nil || first.Duplicate {
		t.Fatal(first, err)
	}
	records := func() int {
		acts, _, _ := l.published(t, events.UserEventsTopic)
		drifts, _, _ := l.published(t, events.DriftAlertsTopic)
		return len(acts) + len(drifts)
	}
	later := testNow.Add(time.Hour)
	d := remembering(t, l, later)
	for range 2 { // from the log, and then from memory
		again, err := d.Publish(t.Context(), all, Meta{IdempotencyKey: "k", Actor: "user:anna"})
		if err != nil || !again.Duplicate || !reflect.DeepEqual(again.Positions, first.Positions) || !reflect.DeepEqual(again.Events, first.Events) {
			t.Errorf("%+v, %v; want %+v", again, err, first)
		}
	}
	for name, facts := range map[string][]commands.Fact{
		"another film": {rated("7", "2", ""), drift(.3), stamped}, "another score": {all[0], drift(.4), stamped},
		"another time": {all[0], all[1], rated("user_7", "movie_3", "2024-01-15T19:30:01+09:00")}, "another person": {rated("8", "1", "")},
	} {
		_, err := remembering(t, l, later).Publish(t.Context(), facts, Meta{IdempotencyKey: "k"})
		if !fault.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := records(); n != 3 {
		t.Errorf("the log has %d records; want 3", n)
	}

	// What was cut off is completed, with the time of what is there.
	l.afterPublish = func(string) error { l.afterPublish = nil; return fault.New(fault.Unknown, "no answer") } // only the first topic
	cut := []commands.Fact{rated("9", "1", ""), drift(.5)}
	_, err = remembering(t, l, later).Publish(t.Context(), cut, Meta{IdempotencyKey: "c"})
	wantFault(t, err, fault.Unknown, "no answer")
	whole, err := remembering(t, l, later.Add(time.Hour)).Publish(t.Context(), cut, Meta{IdempotencyKey: "c"})
	if err != nil || whole.Duplicate || !whole.Events[0].Time.Equal(later.Truncate(time.Millisecond)) || !whole.Events[1].Time.Equal(whole.Events[0].Time) {
		t.Errorf("%+v, %v", whole, err)
	}
	if n := records(); n != 5 {
		t.Errorf("the log has %d records; want 5", n)
	}
}

// A fact without a timestamp is not written while it is not known whether it was before; one with a timestamp is.
func TestRecall_NotKnown(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	d.recalled = func(context.Context, []string, []streams.TP) (map[string]streams.Position, error) {
		return nil, errors.New("the views are behind")
	}
	_, err := d.Publish(t.Context(), []commands.Fact{rated("7", "1", "")}, Meta{IdempotencyKey: "k"})
	wantFault(t, err, fault.Unavailable, "the views are behind")
	if _, err := d.Publish(t.Context(), []commands.Fact{rated("7", "1", "2024-01-15T10:30:00Z")}, Meta{IdempotencyKey: "l"}); err != nil {
		t.Error(err)
	}
	if _, err := d.Publish(t.Context(), []commands.Fact{rated("7", "1", "")}, Meta{}); err != nil {
		t.Error(err)
	}
	if evs, _, _ := l.published(t, events.UserEventsTopic); len(evs) != 2 {
		t.Errorf("%d facts; want 2", len(evs))
	}
}
