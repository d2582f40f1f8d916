package local

import (
	"context"
	"fmt"
	"iter"
	"math"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

var actsOf7 = streams.TP{Topic: events.UserEventsTopic, Partition: streams.PartitionOf([]byte("7"), 3)}

// handed is a record whose publisher hands its fact along.
func handed(t testing.TB, i int, session string) streams.Record {
	t.Helper()
	at := time.UnixMilli(int64(i)).UTC()
	ev := &events.Event{ID: fmt.Sprint("e", i), Source: "/test", Time: at, Schema: 1,
		Data: &events.Interaction{UserID: "7", MovieID: fmt.Sprint(i), Kind: "view", Timestamp: events.FormatTime(at), SessionID: session}}
	r, err := streams.FactRecord("7", ev)
	if err != nil {
		t.Fatal(err)
	}
	r.Fact = ev
	return r
}

func publishActs(t testing.TB, l *Log, recs ...streams.Record) {
	t.Helper()
	if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
}

// sameAsRead compares what is carried of [from, until) with the log.
func sameAsRead(t testing.TB, l *Log, from, until int64) {
	t.Helper()
	carried := l.Feed().(streams.Carrier).Carried(actsOf7, from, until)
	if int64(len(carried)) != until-from {
		t.Fatalf("%d of the facts %d to %d are carried", len(carried), from, until)
	}
	i := 0
	for r, err := range l.Feed().Read(context.Background(), actsOf7, from) {
		if err != nil {
			t.Fatal(err)
		}
		if i == len(carried) {
			break
		}
		want, err := streams.ReadFact(r)
		if err != nil {
			t.Fatal(err)
		}
		want.Raw = nil
		if c := carried[i]; c.Offset != r.Offset || !c.Recorded.Equal(r.Recorded) || !reflect.DeepEqual(*c.Fact, want) {
			t.Fatalf("carried %+v %+v\nread %+v at %s", c, *c.Fact, want, r.Position)
		}
		i++
	}
}

func TestCarried(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	carrier := l.Feed().(streams.Carrier)
	none := func(why string, tp streams.TP, from, until int64) {
		t.Helper()
		if got := carrier.Carried(tp, from, until); got != nil {
			t.Errorf("%s: %d facts", why, len(got))
		}
	}
	none("an empty log", actsOf7, 0, 1)
	publishActs(t, l, handed(t, 0, ""), handed(t, 1, ""), handed(t, 2, ""))
	sameAsRead(t, l, 0, 3)
	sameAsRead(t, l, 1, 2)
	none("beyond the head", actsOf7, 0, 4)
	none("nothing", actsOf7, 3, 3)
	none("from nowhere", actsOf7, -1, 1)
	none("another partition", streams.TP{Topic: events.UserEventsTopic, Partition: (actsOf7.Partition + 1) % 3}, 0, 1)
	none("no partition", streams.TP{Topic: "nope"}, 0, 1)

	silent := handed(t, 3, "")
	silent.Fact = nil
	publishActs(t, l, silent, handed(t, 4, ""), handed(t, 5, strings.Repeat("s", 100)))
	none("one that was not handed along", actsOf7, 2, 5)
	sameAsRead(t, l, 4, 6)
	big := handed(t, 6, "")
	big.Headers = append(big.Headers, streams.Header{Key: "x", Value: make([]byte, ringBytesMax)})
	publishActs(t, l, big)
	none("one that takes too much", actsOf7, 6, 7)

	var many []streams.Record
	for i := range 3 * ringFacts {
		many = append(many, handed(t, 7+i, ""))
	}
	publishActs(t, l, many...)
	head := int64(7 + len(many))
	none("what others have pushed out", actsOf7, 7, 8)
	none("more than there is room for", actsOf7, head-ringFacts-1, head)
	sameAsRead(t, l, head-ringFacts, head)
	if n := l.Stats().Carried; n != uint64(3+1+2+ringFacts) {
		t.Errorf("%d facts were carried", n)
	}
}

// TestCarriedOnceDurable: nobody is given a fact before it is durable.
func TestCarriedOnceDurable(t *testing.T) {
	var held atomic.Bool
	release, syncing := make(chan struct{}), make(chan struct{}, 100)
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			syncing <- struct{}{}
			<-release
		}
		return nil
	}))
	l := mustOpen(t, "log", Options{FS: fsys})
	publishActs(t, l, handed(t, 0, ""))
	held.Store(true)
	done := make(chan error, 1)
	go func() {
		done <- l.Feed().Publish(context.Background(), events.UserEventsTopic, []streams.Record{handed(t, 1, "")})
	}()
	<-syncing
	if got := l.Feed().(streams.Carrier).Carried(actsOf7, 0, 2); got != nil {
		t.Errorf("%+v is given away before it is durable", got)
	}
	sameAsRead(t, l, 0, 1)
	held.Store(false)
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	sameAsRead(t, l, 0, 2)
}

// TestCarriedWhileItComes: readers meet the ring as it goes round.
func TestCarriedWhileItComes(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	const facts = 5 * ringFacts
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range facts {
			publishActs(t, l, handed(t, i, ""))
		}
	}()
	at, carried := int64(0), 0
	for at < facts {
		if err := l.Feed().Wait(context.Background(), actsOf7, at); err != nil {
			t.Fatal(err)
		}
		head, err := l.Feed().Head(context.Background(), actsOf7, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range l.Feed().(streams.Carrier).Carried(actsOf7, at, head) {
			if c.Offset != at+int64(i) || c.Fact.ID != fmt.Sprint("e", c.Offset) {
				t.Fatalf("at %d is %+v", at+int64(i), c.Fact)
			}
			carried++
		}
		at = head
	}
	<-done
	if carried == 0 {
		t.Error("nothing was carried")
	}
}

// TestCarriedCommits: a commit that is at hand is the one that the log has, to the last byte; others are read.
func TestCarriedCommits(t *testing.T) {
	fsys := vfs.NewMem()
	l := mustOpen(t, "log", Options{FS: fsys})
	at := time.UnixMilli(1_700_000_000_123).UTC()
	event := func(id string, d events.Data) events.Event {
		return events.Event{ID: id, Source: "/test", Subject: "run/r", Time: at, Schema: events.SchemaOf(d.EventType()), Actor: "<anna>", Data: d}
	}
	metrics := func(n int, key string) events.Data {
		all := make([]events.Metric, n)
		for i := range all {
			all[i] = events.Metric{Key: key, Value: events.Number(math.Float64frombits(uint64(i)*0x9e3779b97f4a7c15)) / 3, Step: int64(-i), TimestampMillis: int64(i) << 40}
			if v := float64(all[i].Value); math.IsNaN(v) { // of which no two are the same
				all[i].Value = events.Number(math.Inf(1))
			}
		}
		return &events.RunMetricsLogged{RunID: "r", Metrics: all}
	}
	for i, c := range []struct {
		what    string
		data    []events.Data
		carried bool
		change  func(*events.Event)
	}{
		{what: "values", data: []events.Data{metrics(10, "loss<&>\u2028ü")}, carried: true},
		{what: "values of two events", data: []events.Data{metrics(1, "a"), metrics(2, "b")}, carried: true},
		{what: "what comes of a workflow run", data: []events.Data{
			&events.WorkflowRunRequested{RunID: "<r>", Workflow: "w\u2028", RunType: "triggered", Conf: map[string]string{"ü&": "\x00", "": ""}, Note: "\"", LogicalMillis: math.MinInt64, IntervalEndMillis: math.MaxInt64,
				Triggered: &events.Triggered{Trigger: "t", EventID: "e", Type: "x", Position: "p", Counted: 1 << 60, Cut: "c"}},
			&events.WorkflowRunRequested{RunID: "r"}, &events.TaskStarted{RunID: "r", Task: "t", Try: 1, Holder: "h/<>", LeaseUntilMillis: -1},
			&events.TaskLeaseRenewed{RunID: "r", Checkpoint: "c"}, &events.TaskSucceeded{RunID: "r", Output: map[string]string{"a": "\n\ufffd"}}, &events.TaskSucceeded{},
			&events.TaskFailed{Error: "é\t", RetryAtMillis: 1 << 53}, &events.TaskLogKept{Try: -1, Log: "l", Bytes: 1<<53 + 1}, &events.WorkflowRunEnded{State: "failed", Reason: "</script>"}}, carried: true},
		{what: "a conf of nothing", data: []events.Data{&events.WorkflowRunRequested{RunID: "r", Conf: map[string]string{}}}},
		{what: "a conf of no text", data: []events.Data{&events.WorkflowRunRequested{RunID: "r", Conf: map[string]string{"a": "\xff"}}}},
		{what: "a trigger of no text", data: []events.Data{&events.WorkflowRunRequested{RunID: "r", Triggered: &events.Triggered{Cut: "\xff"}}}},
		{what: "an output of nothing", data: []events.Data{&events.TaskSucceeded{RunID: "r", Output: map[string]string{}}}},
		{what: "an output without a name that is text", data: []events.Data{&events.TaskSucceeded{RunID: "r", Output: map[string]string{"\xff": "a"}}}},
		{what: "a holder of no text", data: []events.Data{&events.TaskStarted{Holder: "\xff"}}},
		{what: "an error of no text", data: []events.Data{&events.TaskFailed{Error: "\xff"}}},
		{what: "a reason of no text", data: []events.Data{&events.WorkflowRunEnded{Reason: "\xff"}}},
		{what: "a log of no text", data: []events.Data{&events.TaskLogKept{Log: "\xff"}}},
		{what: "a checkpoint of no text", data: []events.Data{&events.TaskLeaseRenewed{Checkpoint: "\xff"}}},
		{what: "with what is not plain", data: []events.Data{metrics(1, "a"), &events.RunTagsSet{RunID: "r", Tags: map[string]string{}}}},
		{what: "many values", data: []events.Data{metrics(1000, "a")}, carried: true},
		{what: "too many values", data: []events.Data{metrics(8000, "a")}},
		{what: "no values", data: []events.Data{metrics(0, "a")}},
		{what: "no text", data: []events.Data{metrics(1, "\xff")}},
		{what: "another place's time", data: []events.Data{metrics(1, "a")}, change: func(e *events.Event) { e.Time = at.In(time.FixedZone("x", 60)) }},
		{what: "a finer time", data: []events.Data{metrics(1, "a")}, change: func(e *events.Event) { e.Time = at.Add(1) }},
	} {
		commit := streams.Commit{ID: fmt.Sprint("c", i), Stream: "run/r", Expected: streams.AnyRevision}
		for k, d := range c.data {
			e := event(fmt.Sprint("e", i, "-", k), d)
			if c.change != nil {
				c.change(&e)
			}
			commit.Events = append(commit.Events, e)
		}
		receipt, err := l.Ledger().Append(t.Context(), commit)
		if err != nil {
			t.Fatal(c.what, err)
		}
		var got *streams.Committed
		for got, err = range l.Ledger().Read(t.Context(), receipt.Position.Offset) {
			if err != nil {
				t.Fatal(c.what, err)
			}
		}
		if carried := got.Events[0].Data == c.data[0]; carried != c.carried {
			t.Errorf("%s: carried %v; want %v", c.what, carried, c.carried)
		}
	}
	var carried []streams.Committed
	for c, err := range l.Ledger().ReadStream(t.Context(), "run/r", 0) {
		if err != nil {
			t.Fatal(err)
		}
		carried = append(carried, *c)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, i := mustOpen(t, "log", Options{FS: fsys}), 0
	for c, err := range l.Ledger().Read(t.Context(), 0) {
		if err != nil || !reflect.DeepEqual(*c, carried[i]) {
			t.Fatalf("%v: carried %+v\nread %+v", err, carried[i], *c)
		}
		i++
	}
	if i != len(carried) {
		t.Errorf("%d commits; want %d", i, len(carried))
	}
}

// TestCarriedCommitsAreBounded: of large commits the last ones are at hand, of small ones after them again as many as the ring has room for.
func TestCarriedCommitsAreBounded(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	var last streams.Position
	logged := map[int64]events.Data{}
	commit := func(values int) {
		t.Helper()
		all := make([]events.Metric, values)
		for i := range all {
			all[i] = events.Metric{Key: "loss", Value: 0.125, Step: int64(i)}
		}
		data := &events.RunMetricsLogged{RunID: "r", Metrics: all}
		event := events.Event{ID: fmt.Sprint("e", len(logged)), Source: "/test", Subject: "run/r", Time: time.UnixMilli(0).UTC(), Schema: events.SchemaOf(data.EventType()), Data: data}
		receipt, err := l.Ledger().Append(t.Context(), streams.Commit{ID: fmt.Sprint("c", len(logged)), Stream: "run/r", Expected: streams.AnyRevision, Events: []events.Event{event}})
		if err != nil {
			t.Fatal(err)
		}
		last = receipt.Position
		logged[last.Offset] = data
	}
	carried := func() (n, bytes int) {
		t.Helper()
		for c, err := range l.Ledger().Read(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Events[0].Data == logged[c.Position.Offset] {
				n, bytes = n+1, bytes+len(c.Events[0].Raw)
			} else if n > 0 {
				t.Errorf("%s is not at hand, one before it is", c.Position)
			}
		}
		return n, bytes
	}
	for range 100 {
		commit(1000)
	}
	n, bytes := carried()
	if n < 10 || bytes > commitBytesMax {
		t.Errorf("%d of the large ones are at hand, %d bytes", n, bytes)
	}
	for range 2 * ringCommits {
		commit(1)
	}
	if n, _ := carried(); n != ringCommits {
		t.Errorf("%d of the small ones are at hand; want %d", n, ringCommits)
	}
}

// TestReadOnce: those who follow the ledger are given what the first of them has read, of the last commits; who folds a stream has it for itself.
func TestReadOnce(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	const commits = ringCommits + 10
	for i := range commits {
		tags := &events.RunTagsSet{RunID: "r", Tags: map[string]string{"at": fmt.Sprint(i)}}
		event := events.Event{ID: fmt.Sprint("e", i), Source: "/test", Subject: "run/r", Time: time.UnixMilli(0).UTC(), Schema: events.SchemaOf(tags.EventType()), Data: tags}
		if _, err := l.Ledger().Append(t.Context(), streams.Commit{ID: fmt.Sprint("c", i), Stream: "run/r", Expected: streams.AnyRevision, Events: []events.Event{event}}); err != nil {
			t.Fatal(err)
		}
	}
	read := func(all iter.Seq2[*streams.Committed, error]) (data []events.Data) {
		t.Helper()
		for c, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			if at := c.Events[0].Data.(*events.RunTagsSet).Tags["at"]; at != fmt.Sprint(len(data)) {
				t.Fatalf("commit %d is %s", len(data), at)
			}
			data = append(data, c.Events[0].Data)
		}
		return data
	}
	first, second := read(l.Ledger().Read(t.Context(), 0)), read(l.Ledger().Read(t.Context(), 0))
	stream := read(l.Ledger().ReadStream(t.Context(), "run/r", 0))
	if len(first) != commits || len(second) != commits || len(stream) != commits {
		t.Fatalf("%d, %d and %d commits; want %d", len(first), len(second), len(stream), commits)
	}
	for i := range first {
		if shared := first[i] == second[i]; shared != (i >= commits-ringCommits) {
			t.Errorf("commit %d of %d: shared %v", i, commits, shared)
		}
		if stream[i] == first[i] || stream[i] == second[i] {
			t.Errorf("commit %d: who folds its stream is given what others have", i)
		}
	}
}
