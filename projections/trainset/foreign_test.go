package trainset

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// said by another program, of which this one can read no word.
func (w *world) foreign(id, stream string) streams.Position {
	w.Helper()
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"x","source":"/other","type":"movie.weighed","time":"2024-02-29T12:00:00Z","data":{}}`))
	w.must(err)
	return w.append(id, stream, ev)
}

func (w *world) append(id, stream string, evs ...events.Event) streams.Position {
	w.Helper()
	r, err := w.log.Ledger().Append(context.Background(), streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: evs})
	w.must(err)
	return r.Position
}

// Training names a commit that it cannot read, unless that is behind its cut, or all were told to pass over it.
func TestForeign(t *testing.T) {
	w := newWorld(t)
	w.facts(act("a", "7", "1", "like", 0, 1))
	before := w.head()
	bad := w.foreign("f", "movie/1")
	w.load(before)
	_, err := Load(t.Context(), w.log, w.head(), nil)
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "movie.weighed at "+bad.String()) {
		t.Errorf("it is trained on: %v", err)
	}
	w.dispatch(&commands.SkipViewEvent{View: events.AllViews, Position: bad.String(), Reason: "test"})
	if s, err := Load(t.Context(), fold.Passing(w.log), w.head(), nil); err != nil || len(s.Data.Samples) != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A text that is no definition of what acts mean, which no command lets through, puts nothing in force: neither for
// training nor for the views, and their start does not end at it.
func TestForeign_Definition(t *testing.T) {
	w := newWorld(t)
	w.facts(act("a", "7", "1", "like", 0, 1))
	w.append("d", events.SignalsStream, events.Event{ID: "d", Source: "/other", Time: time.UnixMilli(1).UTC(), Data: &events.SignalsDefined{Definitions: "{[", Hash: "x"}})
	if s := w.load(w.head()); s.SignalsHash != signal.Default().Hash() {
		t.Errorf("training reads by %s", s.SignalsHash)
	}
	store, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
	w.must(err)
	defer store.Close()
	r, err := fold.Replay(t.Context(), w.log, store, nil, nil, projections.All()...)
	w.must(err)
	if hash := r.Definition("online"); hash != signal.Default().Hash() {
		t.Errorf("the view reads by %s", hash)
	}
	if _, ok, err := fold.Of[*projections.Definitions](r).Signals(fold.At{}); ok || err != nil {
		t.Errorf("in force is one: %v, %v", ok, err)
	}
	// Nor does it end at one that cannot be read: the views of the ledger halt there.
	w.foreign("f", events.SignalsStream)
	empty, err := fold.OpenStore(t.TempDir(), fold.StoreOptions{})
	w.must(err)
	defer empty.Close()
	if _, err = fold.NewRunner(t.Context(), w.log, empty, projections.All()...); err != nil {
		t.Errorf("a start without views: %v", err)
	}
}
