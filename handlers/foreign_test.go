package handlers

import (
	"encoding/json"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// foreign appends a commit to a stream as another program does: of a type that this one does not know.
func foreign(t *testing.T, l *testLog, id, stream string) streams.Receipt {
	t.Helper()
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"x","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","data":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.Append(t.Context(), streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: []events.Event{ev}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A command is refused on a stream that has a commit which this program cannot read, by one dispatcher that knows the
// stream and by one that does not, until all are told to pass over it. On other streams commands are decided.
func TestForeign_RefusesCommandsOnItsStream(t *testing.T) {
	l := newTestLog(t)
	knows := newTestDispatcher(l, "a")
	mustDispatch(t, knows, &commands.RegisterModel{Name: "als"}, Meta{})
	bad := foreign(t, l, "f0", "model/als")
	log := fold.Passing(logOf{l})
	passing := func(name string) *Dispatcher {
		d := newTestDispatcher(l, name)
		d.ledger = log.Ledger()
		return d
	}
	knows.ledger = log.Ledger()
	for name, d := range map[string]*Dispatcher{"knows": knows, "new": passing("b")} {
		_, err := d.Dispatch(t.Context(), testVersion("als"), Meta{})
		wantFault(t, err, fault.Unavailable, "trial.begun at "+bad.Position.String()+", of stream model/als")
		wantFault(t, err, fault.Unavailable, "skip --all "+bad.Position.String())
		mustDispatch(t, d, &commands.RegisterModel{Name: name}, Meta{})
	}
	if commits := l.commits(t, "model/knows"); len(commits) != 1 {
		t.Errorf("%d commits on another stream", len(commits))
	}
	// An operator is heard wherever the foreign commit is.
	worse := foreign(t, l, "f1", "view/"+events.AllViews)
	for _, at := range []streams.Position{worse.Position, bad.Position} {
		mustDispatch(t, knows, &commands.SkipViewEvent{View: events.AllViews, Position: at.String(), Reason: "test"}, Meta{})
	}
	if r := mustDispatch(t, passing("c"), &commands.SkipViewEvent{View: events.AllViews, Position: bad.Position.String(), Reason: "test"}, Meta{}); !r.Unchanged() {
		t.Errorf("told again: %+v", r)
	}
	r := mustDispatch(t, knows, testVersion("als"), Meta{})
	if r.Revision != 2 || r.Events[0].Data.(*events.ModelVersionRegistered).Version != 1 {
		t.Errorf("%+v", r)
	}
	if r = mustDispatch(t, passing("d"), testVersion("als"), Meta{}); r.Revision != 3 {
		t.Errorf("%+v", r)
	}
}

// logOf is the log of a test's ledger and feed.
type logOf struct{ *testLog }

func (l logOf) Ledger() streams.Ledger { return l.testLog }
func (l logOf) Feed() streams.Feed     { return testFeed(l) }
func (l logOf) Close() error           { return nil }
