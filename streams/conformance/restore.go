package conformance

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Restoring says how an adapter's logs are opened to be filled. Logs are closed when the test ends.
type Restoring struct {
	// Open gives a new, empty log, opened as any other or to be filled.
	Open func(t testing.TB, restoring bool) streams.Log
	// Reopen closes a log and opens what it stored anew.
	Reopen func(t testing.TB, log streams.Log, restoring bool) (streams.Log, error)
}

// RunRestore tries what streams.Restorer promises.
func RunRestore(t *testing.T, f Restoring) {
	s := restoring{f}
	t.Run("OK_Verbatim", s.verbatim)
	t.Run("OK_Foreign", s.foreign)
	t.Run("OK_GoesOn", s.goesOn)
	t.Run("OK_Empty", s.empty)
	t.Run("ErrUnfinished", s.unfinished)
	t.Run("ErrConflict", s.notEmpty)
	t.Run("ErrRefused", s.refused)
	t.Run("ErrContext", s.canceled)
}

type restoring struct{ f Restoring }

func (s restoring) open(t testing.TB) streams.Restorer {
	t.Helper()
	r, ok := s.f.Open(t, true).(streams.Restorer)
	if !ok {
		t.Fatal("the log that is opened to be filled is no streams.Restorer")
	}
	return r
}

func (s restoring) reopen(t testing.TB, log streams.Log, restoring bool) streams.Log {
	t.Helper()
	l, err := s.f.Reopen(t, log, restoring)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mustRestore(t testing.TB, l streams.Restorer, tp streams.TP, recs ...streams.Record) {
	t.Helper()
	if err := l.Restore(newContext(t), tp, recs); err != nil {
		t.Fatalf("restore %d records of %s: %v", len(recs), tp, err)
	}
}

func mustEnd(t testing.TB, l streams.Restorer) {
	t.Helper()
	if err := l.Restored(newContext(t)); err != nil {
		t.Fatal(err)
	}
}

// old is when the logs that are copied here began: long before the test, with milliseconds.
var old = time.Date(2021, 3, 4, 5, 6, 7, 89e6, time.UTC)

var (
	restoredTP = streams.TP{Topic: events.UserEventsTopic, Partition: 2}
	ledgerTP   = streams.TP{Topic: events.LedgerTopic}
)

// fact is a record as it was at an offset, millis after old.
func fact(offset, millis int64) streams.Record {
	return streams.Record{
		Position: streams.Position{TP: restoredTP, Offset: offset}, Recorded: old.Add(time.Duration(millis) * time.Millisecond),
		Key: []byte(strconv.FormatInt(offset, 10)), Value: fmt.Appendf(nil, `{"n":%d}`, offset),
		Headers: []streams.Header{{Key: "ce_id", Value: []byte{1}}, {Key: "nil", Value: nil}, {Key: "", Value: []byte{}}},
	}
}

// committed is the record of a commit as it was at an offset.
func committed(t testing.TB, c streams.Commit, offset, millis int64) streams.Record {
	t.Helper()
	r, err := streams.CommitRecord(c)
	if err != nil {
		t.Fatal(err)
	}
	r.Offset, r.Recorded = offset, old.Add(time.Duration(millis)*time.Millisecond)
	return r
}

func (s restoring) head(t testing.TB, l streams.Log, tp streams.TP, until time.Time) int64 {
	t.Helper()
	head := l.Feed().Head
	if tp == ledgerTP {
		head = func(ctx context.Context, _ streams.TP, until time.Time) (int64, error) {
			return l.Ledger().Head(ctx, until)
		}
	}
	n, err := head(newContext(t), tp, until)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// verbatim: what is restored is read as it was, holes included, before the end and after it, and the log
// goes on from there as any other.
func (s restoring) verbatim(t *testing.T) {
	l := s.open(t)
	facts := []streams.Record{fact(3, 0), fact(4, 0), fact(5, 7), fact(900, 7), fact(902, 1500), fact(903, 1501)}
	facts[1].Key, facts[1].Value, facts[1].Headers = nil, nil, nil
	facts[2].Key, facts[2].Value = []byte{}, []byte{}
	commits := []streams.Commit{
		commit("r0", "model/als", streams.NoStream, 2),
		commit("r1", "model/als", 1, 1),
		commit("r2", "model/knn", streams.AnyRevision, 1),
		commit("r3", "model/als", 2, 3),
	}
	offsets, millis := []int64{1, 2, 7, 20}, []int64{5, 6, 6, 9000}
	var ledger []streams.Record
	for i, c := range commits {
		ledger = append(ledger, committed(t, c, offsets[i], millis[i]))
	}
	want := make([]streams.Record, len(facts))
	for i := range facts {
		want[i] = cloneRecord(&facts[i])
		if len(want[i].Headers) == 0 {
			want[i].Headers = nil
		}
	}
	mustRestore(t, l, restoredTP)
	mustRestore(t, l, restoredTP, facts[:4]...)
	mustRestore(t, l, restoredTP, facts[4:]...)
	mustRestore(t, l, ledgerTP, ledger[:1]...)
	mustRestore(t, l, ledgerTP, ledger[1:]...)

	check := func(log streams.Log) {
		t.Helper()
		for from := int64(0); from < 904; from++ {
			var rest []streams.Record
			for i := range want {
				if want[i].Offset >= from {
					rest = append(rest, want[i])
				}
			}
			if from > 10 && from < 895 && from%97 != 0 {
				continue
			}
			if got := readAll(t, log, restoredTP, from); !reflect.DeepEqual(got, rest) {
				t.Fatalf("from offset %d: got %v, want %v", from, got, rest)
			}
		}
		all := collect(t, log.Ledger().Read(newContext(t), 0))
		if len(all) != len(commits) {
			t.Fatalf("%d commits of %d", len(all), len(commits))
		}
		first := map[string]streams.Revision{}
		for i, c := range all {
			again, err := streams.CommitRecord(c.Commit)
			if err != nil || !bytes.Equal(streams.AppendTail(nil, &again), streams.AppendTail(nil, &ledger[i])) {
				t.Errorf("commit %d: %+v, %v", i, c.Commit, err)
			}
			if c.Position.Offset != offsets[i] || c.Recorded.UnixMilli() != old.UnixMilli()+millis[i] || c.Revision != first[c.Stream] {
				t.Errorf("commit %d at %s, %v, revision %d", i, c.Position, c.Recorded, c.Revision)
			}
			first[c.Stream] += streams.Revision(len(c.Events))
		}
		if n := len(collect(t, log.Ledger().ReadStream(newContext(t), "model/als", 2))); n != 2 {
			t.Errorf("%d commits of model/als from revision 2 on; want 2", n)
		}
		for _, c := range []struct {
			tp    streams.TP
			after int64
			head  int64
		}{
			{restoredTP, -1, 0}, {restoredTP, 0, 5}, {restoredTP, 6, 5}, {restoredTP, 7, 901}, {restoredTP, 1499, 901}, {restoredTP, 1500, 903}, {restoredTP, 99999, 904},
			{ledgerTP, 4, 0}, {ledgerTP, 5, 2}, {ledgerTP, 8999, 8}, {ledgerTP, 9000, 21},
		} {
			if got := s.head(t, log, c.tp, old.Add(time.Duration(c.after)*time.Millisecond)); got != c.head {
				t.Errorf("head of %s after %d ms: %d; want %d", c.tp, c.after, got, c.head)
			}
		}
		if f, l := s.head(t, log, restoredTP, time.Time{}), s.head(t, log, ledgerTP, time.Time{}); f != 904 || l != 21 {
			t.Fatalf("heads %d and %d; want 904 and 21", f, l)
		}
	}
	check(l)
	log := s.reopen(t, l, true)
	check(log)
	mustEnd(t, log.(streams.Restorer))
	check(log)
	log = s.reopen(t, log, false)
	check(log)
	log = s.reopen(t, log, false)
	check(log)

	before := time.Now().Add(-time.Minute)
	if r := mustAppend(t, log, commits[2]); !r.Duplicate || r.Position.Offset != 7 || r.Recorded.UnixMilli() != old.UnixMilli()+6 {
		t.Errorf("a restored commit appended again: %+v", r)
	}
	_, err := log.Ledger().Append(newContext(t), commit("r4", "model/als", 2, 1))
	wantCode(t, err, fault.Conflict)
	if r := mustAppend(t, log, commit("r4", "model/als", 5, 1)); r.Revision != 6 || r.Position.Offset < 21 || r.Recorded.Before(before) {
		t.Errorf("the first commit of its own: %+v", r)
	}
	var key []byte
	for i := 0; streams.PartitionOf(key, partitionsOf(restoredTP.Topic)) != restoredTP.Partition; i++ {
		key = []byte(strconv.Itoa(i))
	}
	r := mustPublish(t, log, restoredTP.Topic, streams.Record{Key: key, Value: []byte("own")})[0]
	if r.Offset < 904 || r.Recorded.Before(before) {
		t.Errorf("the first record of its own: %s, %v", r.Position, r.Recorded)
	}
	got := readAll(t, log, restoredTP, 904)
	if len(got) != 1 || got[0].Position != r.Position || !got[0].Recorded.Equal(r.Recorded) {
		t.Errorf("it is read as %v", got)
	}
	if n := s.head(t, log, restoredTP, time.Time{}); n != r.Offset+1 {
		t.Errorf("head %d behind offset %d", n, r.Offset)
	}
}

// foreign: what this program cannot read is restored as it was.
func (s restoring) foreign(t *testing.T) {
	l := s.open(t)
	commits := []streams.Commit{
		foreign(t, "a", "model/als", streams.NoStream, unknownType, wellFormed),
		foreign(t, "b", "model/als", 1, wrongShape),
		foreign(t, "c", "model/als", 2, noAttribute),
		commit("d", "model/als", 3, 1),
	}
	var recs []streams.Record
	for i, c := range commits {
		recs = append(recs, committed(t, c, int64(i), int64(i)))
	}
	mustRestore(t, l, ledgerTP, recs...)
	mustEnd(t, l)
	log := s.reopen(t, l, false)
	mustRead(t, log.Ledger().Read(newContext(t), 0), []unread{{"a", "model/als", 0, 2, "trial.begun"}, {"b", "model/als", 2, 1, "model.alias_set"},
		{"c", "model/als", 3, 1, "trial.ended"}, {"d", "model/als", 4, 1, ""}})
	i := 0
	for c, err := range log.Ledger().Read(newContext(t), 0) {
		if c == nil {
			t.Fatal(err)
		}
		again, err := streams.CommitRecord(c.Commit)
		if err != nil || !bytes.Equal(streams.AppendTail(nil, &again), streams.AppendTail(nil, &recs[i])) {
			t.Errorf("commit %s is written again as %s, %v; want %s", c.ID, again.Value, err, recs[i].Value)
		}
		i++
	}
}

// goesOn: a filling that was cut short goes on at the head, however often.
func (s restoring) goesOn(t *testing.T) {
	const n, step = 600, 173
	log := streams.Log(s.open(t))
	for at := int64(0); at < n; at += step {
		l := log.(streams.Restorer)
		if head := s.head(t, l, restoredTP, time.Time{}); head != max(0, at*3-2) {
			t.Fatalf("head %d after %d records", head, at)
		}
		var recs, commits []streams.Record
		for i := at; i < min(at+step, n); i++ {
			recs = append(recs, fact(i*3, i))
			commits = append(commits, committed(t, commit(fmt.Sprint("c", i), fmt.Sprint("run/", i%7), streams.Revision(i/7)-1, 1), i*2, i))
		}
		mustRestore(t, l, ledgerTP, commits...)
		mustRestore(t, l, restoredTP, recs...)
		log = s.reopen(t, l, true)
	}
	mustEnd(t, log.(streams.Restorer))
	log = s.reopen(t, log, false)
	got := readAll(t, log, restoredTP, 0)
	if len(got) != n {
		t.Fatalf("%d records of %d", len(got), n)
	}
	for i := range got {
		if want := fact(int64(i)*3, int64(i)); !reflect.DeepEqual(got[i], want) {
			t.Fatalf("got %v, want %v", got[i], want)
		}
	}
	for stream := range 7 {
		next := streams.Revision(0)
		for _, c := range collect(t, log.Ledger().ReadStream(newContext(t), fmt.Sprint("run/", stream), 0)) {
			if c.Revision != next {
				t.Fatalf("%s has revision %d; want %d", c.Position, c.Revision, next)
			}
			next++
		}
		if want := streams.Revision((n - stream + 6) / 7); next != want {
			t.Errorf("run/%d has %d commits of %d", stream, next, want)
		}
	}
}

// empty: the copy of an empty log is one.
func (s restoring) empty(t *testing.T) {
	l := s.open(t)
	mustEnd(t, l)
	log := s.reopen(t, l, false)
	mustAppend(t, log, commit("c", "model/als", streams.NoStream, 1))
	if n := s.head(t, log, restoredTP, time.Time{}); n != 0 {
		t.Errorf("head %d", n)
	}
}

// unfinished: half a log is not taken for a whole one, and takes nothing but what it is filled with.
func (s restoring) unfinished(t *testing.T) {
	l := s.open(t)
	if _, err := s.f.Reopen(t, l, false); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a log that is to be filled opens as any other: %v", err)
	}
	log := s.reopen(t, l, true)
	mustRestore(t, log.(streams.Restorer), restoredTP, fact(0, 0))
	wantCode(t, log.Feed().Publish(newContext(t), restoredTP.Topic, []streams.Record{stamped(1, 1)}), fault.Conflict)
	_, err := log.Ledger().Append(newContext(t), commit("c", "model/als", streams.NoStream, 1))
	wantCode(t, err, fault.Conflict)
	_, err = s.f.Reopen(t, log, false)
	wantCode(t, err, fault.Corrupt)
}

// notEmpty: a log with records of its own cannot be filled, nor one that was.
func (s restoring) notEmpty(t *testing.T) {
	log := s.f.Open(t, false)
	log = s.reopen(t, log, true) // it is empty
	log = s.reopen(t, log, true)
	mustRestore(t, log.(streams.Restorer), restoredTP, fact(0, 0))
	mustEnd(t, log.(streams.Restorer))
	wantCode(t, log.(streams.Restorer).Restore(newContext(t), restoredTP, []streams.Record{fact(1, 0)}), fault.Conflict)
	_, err := s.f.Reopen(t, log, true)
	wantCode(t, err, fault.Conflict)

	log = s.f.Open(t, false)
	if r, ok := log.(streams.Restorer); ok {
		wantCode(t, r.Restore(newContext(t), restoredTP, []streams.Record{fact(0, 0)}), fault.Conflict)
		wantCode(t, r.Restored(newContext(t)), fault.Conflict)
	}
	mustAppend(t, log, commit("c", "model/als", streams.NoStream, 1))
	_, err = s.f.Reopen(t, log, true)
	wantCode(t, err, fault.Conflict)
}

// refused: what cannot have been in a log is named, and what came before it is there.
func (s restoring) refused(t *testing.T) {
	l := s.open(t)
	mustRestore(t, l, ledgerTP, committed(t, commit("c0", "model/als", streams.NoStream, 2), 4, 10))
	good := committed(t, commit("c1", "model/als", 1, 1), 5, 11)
	for name, c := range map[string]struct {
		code fault.Code
		rec  streams.Record
	}{
		"below the head": {fault.Conflict, committed(t, commit("x", "model/als", 2, 1), 3, 11)},
		"an id again":    {fault.Corrupt, committed(t, commit("c0", "model/knn", streams.NoStream, 1), 6, 11)},
		"its own id":     {fault.Corrupt, committed(t, commit("c1", "model/als", 2, 1), 6, 11)},
		"a revision":     {fault.Corrupt, committed(t, commit("x", "model/als", 1, 1), 6, 11)},
		"time":           {fault.Corrupt, committed(t, commit("x", "model/als", 2, 1), 6, 10)},
		"no commit":      {fault.Corrupt, streams.Record{Position: streams.Position{TP: ledgerTP, Offset: 6}, Recorded: old.Add(time.Second)}},
	} {
		l := s.open(t)
		mustRestore(t, l, ledgerTP, committed(t, commit("c0", "model/als", streams.NoStream, 2), 4, 10))
		err := l.Restore(newContext(t), ledgerTP, []streams.Record{good, c.rec})
		if !fault.Is(err, c.code) {
			t.Errorf("%s: %v; want code %s", name, err, c.code)
		}
		head := s.head(t, l, ledgerTP, time.Time{})
		if n := len(collect(t, l.Ledger().Read(newContext(t), 0))); n != 1 && n != 2 || head != int64(n)+4 {
			t.Errorf("%s: %d commits and head %d", name, n, head)
		}
		if head == 5 {
			mustRestore(t, l, ledgerTP, good)
		}
		mustRestore(t, l, ledgerTP, committed(t, commit("c2", "model/als", 2, 1), 9, 11))
		if n := len(collect(t, l.Ledger().ReadStream(newContext(t), "model/als", 0))); n != 3 {
			t.Errorf("%s: %d commits of 3", name, n)
		}
	}
	mustRestore(t, l, restoredTP, fact(4, 0))
	wantCode(t, l.Restore(newContext(t), restoredTP, []streams.Record{fact(4, 0)}), fault.Conflict)
	wantCode(t, l.Restore(newContext(t), restoredTP, []streams.Record{fact(6, 0), fact(6, 0)}), fault.Conflict)
	void := fact(8, 0)
	void.Headers = []streams.Header{{Key: streams.VoidHeader}}
	wantCode(t, l.Restore(newContext(t), restoredTP, []streams.Record{void}), fault.Invalid)
	wantCode(t, l.Restore(newContext(t), streams.TP{Topic: "no-such-topic"}, []streams.Record{fact(0, 0)}), fault.NotFound)
}

func (s restoring) canceled(t *testing.T) {
	l := s.open(t)
	ctx, cancel := context.WithCancel(newContext(t))
	cancel()
	if err := l.Restore(ctx, restoredTP, []streams.Record{fact(0, 0)}); !isContext(err) {
		t.Errorf("%v; want the context's error", err)
	}
	if err := l.Restored(ctx); !isContext(err) {
		t.Errorf("%v; want the context's error", err)
	}
	if n := s.head(t, l, restoredTP, time.Time{}); n != 0 {
		t.Errorf("head %d", n)
	}
}
