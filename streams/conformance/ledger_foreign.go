package conformance

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Commits that this program cannot read stand in the ledger as any others do.

// foreign is a commit of events as another program wrote them.
func foreign(t testing.TB, id, stream string, expected streams.Revision, envelopes ...string) streams.Commit {
	t.Helper()
	c := streams.Commit{ID: id, Stream: stream, Expected: expected}
	for _, e := range envelopes {
		ev, err := events.ReadForeign(json.RawMessage(e))
		if err != nil {
			t.Fatal(err)
		}
		c.Events = append(c.Events, ev)
	}
	return c
}

const (
	unknownType = `{"specversion":"1.0","id":"x1","source":"/other","type":"trial.begun","subject":"model/als","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{"a":1}}`
	wrongShape  = `{"time":"2024-02-29T12:00:00.123456Z","specversion":"1.0","id":"x2","source":"/other","type":"model.alias_set","schemaversion":1,"extra":[1],"data":[1,2,3]}`
	wellFormed  = `{"specversion":"1.0","id":"x3","source":"/other","type":"model.alias_set","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{"name":"als","alias":"champion","version":1}}`
	newerSchema = `{"specversion":"1.0","id":"x4","source":"/other","type":"model.alias_set","time":"2024-02-29T12:00:00Z","schemaversion":99,"data":{"name":"als"}}`
	noAttribute = `{"specversion":"1.0","subject":[],"actor":7,"type":"trial.ended","time":"2024-02-29T12:00:00Z","data":7}`
)

// unread says what is to be read of a commit: the type that the error names, "" for one that can be read.
type unread struct {
	id, stream string
	first      streams.Revision
	events     int
	named      string
}

func (s suite) foreign(t *testing.T) {
	l := s.open(t)
	mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2))
	unknown := mustAppend(t, l, foreign(t, "b", "model/als", 1, unknownType))
	mustAppend(t, l, foreign(t, "c", "model/als", 2, wellFormed, wrongShape, unknownType))
	mustAppend(t, l, commit("d", "model/knn", streams.NoStream, 1))
	mustAppend(t, l, foreign(t, "e", "trial/1", streams.NoStream, newerSchema))
	mustAppend(t, l, foreign(t, "f", "trial/1", streams.AnyRevision, noAttribute))
	mustAppend(t, l, commit("g", "model/als", 5, 1))
	all := []unread{{"a", "model/als", 0, 2, ""}, {"b", "model/als", 2, 1, "trial.begun"}, {"c", "model/als", 3, 3, "model.alias_set"}, {"d", "model/knn", 0, 1, ""},
		{"e", "trial/1", 0, 1, "model.alias_set"}, {"f", "trial/1", 1, 1, "trial.ended"}, {"g", "model/als", 6, 1, ""}}
	of := func(stream string) (some []unread) {
		for _, u := range all {
			if u.stream == stream {
				some = append(some, u)
			}
		}
		return some
	}
	check := func(l streams.Log) {
		t.Helper()
		ctx := newContext(t)
		mustRead(t, l.Ledger().Read(ctx, 0), all)
		mustRead(t, l.Ledger().Read(ctx, unknown.Position.Offset), all[1:])
		mustRead(t, l.Ledger().ReadStream(ctx, "model/als", 0), of("model/als"))
		mustRead(t, l.Ledger().ReadStream(ctx, "model/als", 4), of("model/als")[2:])
		mustRead(t, l.Ledger().ReadStream(ctx, "trial/1", 0), of("trial/1"))
	}
	check(l)
	// They count as any other commit does: for revisions, ids, and whatever is read after them.
	if _, err := l.Ledger().Append(newContext(t), commit("h", "model/als", 1, 1)); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "6") {
		t.Errorf("a commit on the revision before them: %v; want a conflict with revision 6", err)
	}
	if r := mustAppend(t, l, foreign(t, "b", "model/als", 1, unknownType)); !r.Duplicate || r.Position != unknown.Position {
		t.Errorf("again: %+v; want the duplicate of %+v", r, unknown)
	}
	if !s.f.NoFeed {
		for i, r := range readAll(t, l, unknown.Position.TP, 0) {
			if c, err := streams.ReadCommit(&r); err != nil || c.ID != all[i].id || len(c.Events) != all[i].events {
				t.Errorf("record %d of the ledger's topic: %+v, %v", i, c, err)
			}
		}
	}
	if s.f.Reopen != nil {
		check(s.f.Reopen(t, l))
	}
}

// mustRead reads commits and compares them with what is to be read.
func mustRead(t testing.TB, commits func(func(*streams.Committed, error) bool), want []unread) {
	t.Helper()
	n := 0
	for c, err := range commits {
		if c == nil || n == len(want) {
			t.Fatalf("after %d of %d: %v", n, len(want), err)
		}
		w := want[n]
		n++
		if c.ID != w.id || c.Stream != w.stream || c.Revision != w.first || len(c.Events) != w.events || c.Last() != w.first+streams.Revision(w.events)-1 {
			t.Errorf("read %+v; want %+v", c, w)
		}
		if w.named == "" {
			if err != nil || c.Unreadable() != nil {
				t.Errorf("commit %s cannot be read: %v", c.ID, err)
			}
			continue
		}
		if !fault.Is(err, fault.Unavailable) || !reflect.DeepEqual(err, c.Unreadable()) {
			t.Errorf("commit %s comes with the error %v", c.ID, err)
			continue
		}
		for _, part := range []string{w.named, c.Position.String(), w.stream, "skip"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("the error %q does not name %s", err, part)
			}
		}
		for i := range c.Events {
			if f, ok := c.Events[i].Data.(*events.Foreign); !ok || f.Name == "" || c.Events[i].Raw == nil {
				t.Errorf("event %d of commit %s is %+v", i, c.ID, c.Events[i])
			}
		}
	}
	if n != len(want) {
		t.Fatalf("read %d commits of %d", n, len(want))
	}
}

// noCommits: whatever else somebody writes to the ledger's topic takes an offset and means nothing.
func (s suite) noCommits(t *testing.T) {
	if s.f.Foreign == nil {
		t.Skip("nobody else can write where the ledger is")
	}
	l := s.open(t)
	mustAppend(t, l, commit("a", "model/als", streams.NoStream, 2))
	good, err := streams.CommitRecord(commit("b", "model/als", 1, 1))
	if err != nil {
		t.Fatal(err)
	}
	without := func(header string) streams.Record {
		r := cloneRecord(&good)
		for i := range r.Headers {
			if r.Headers[i].Key == header {
				r.Headers = append(r.Headers[:i:i], r.Headers[i+1:]...)
				break
			}
		}
		return r
	}
	with := func(value string) streams.Record {
		r := cloneRecord(&good)
		r.Value = []byte(value)
		return r
	}
	s.f.Foreign(t, l, []streams.Record{
		{}, {Key: []byte("model/als"), Value: []byte("hello")}, without("content-type"), without("commit_id"), without("expected_revision"),
		with(""), with("[]"), with("null"), with("{}"), with("[7]"), with("[null]"), with(`[{"specversion":"1.0"}]`), with(`[{"specversion":"1.0","id":7,"type":"a","time":"2024-02-29T12:00:00Z","data":{}}]`),
		with(string(good.Value[:len(good.Value)/2])),
	})
	mustAppend(t, l, commit("c", "model/als", 1, 1))
	want := []unread{{"a", "model/als", 0, 2, ""}, {"c", "model/als", 2, 1, ""}}
	check := func(l streams.Log) {
		t.Helper()
		mustRead(t, l.Ledger().Read(newContext(t), 0), want)
		mustRead(t, l.Ledger().ReadStream(newContext(t), "model/als", 0), want)
	}
	check(l)
	if s.f.Reopen != nil {
		check(s.f.Reopen(t, l))
	}
}
