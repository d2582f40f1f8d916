package eventstore

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

func wantCode(t testing.TB, err error, code fault.Code) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("error %v has code %q; want %q", err, fault.CodeOf(err), code)
	}
}

// ours counts the server's events of the category.
func ours(s *fake.Server) (n int) {
	for _, e := range s.Events() {
		if strings.HasPrefix(e.Stream, categoryDefault+"-") {
			n++
		}
	}
	return n
}

// once makes a fault happen to the next append only.
func once(s *fake.Server, f fake.Fault) {
	var done atomic.Bool
	s.OnAppend(func(string, int) fake.Fault {
		if done.Swap(true) {
			return fake.None
		}
		return f
	})
}

func TestAppend_UnknownThenDuplicate(t *testing.T) {
	for _, expected := range []streams.Revision{streams.NoStream, streams.AnyRevision} {
		t.Run(fmt.Sprint(expected), func(t *testing.T) {
			s := fake.New(t, nil)
			l := mustOpen(t, Options{URL: s.URL()})
			once(s, fake.GoneAfter)
			c := testCommit("c1", "model/als", expected, 3)
			_, err := l.Ledger().Append(testContext(t), c)
			wantCode(t, err, fault.Unknown)
			if ours(s) != 3 {
				t.Fatalf("%d events on the server; it had taken 3", ours(s))
			}
			// Still in doubt while it is gone, although nothing was sent now.
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			again := make(chan error, 1)
			go func() {
				_, err := l.Ledger().Append(ctx, c)
				again <- err
			}()
			for l.underWay() == 0 {
				time.Sleep(time.Millisecond)
			}
			cancel()
			wantCode(t, <-again, fault.Unknown)
			s.ForgetRecent() // a restarted server has no cache of event ids
			s.Start(t)
			r := mustAppend(t, l, c)
			if !r.Duplicate || r.Revision != 2 || r.Position.Offset != 0 {
				t.Errorf("receipt %+v", r)
			}
			if ids := commits(t, l.Ledger()); ours(s) != 3 || !reflect.DeepEqual(ids, []string{"c1"}) {
				t.Errorf("%d events, commits %v", ours(s), ids)
			}
			if r := mustAppend(t, l, testCommit("c2", "model/als", 2, 1)); r.Duplicate || r.Revision != 3 {
				t.Errorf("receipt %+v", r)
			}
		})
	}
}

// TestAppend_DoubtIsSettledFirst: a commit in doubt is looked for before it is sent again, also while the
// fold is behind and the server has lost its cache of event ids.
func TestAppend_DoubtIsSettledFirst(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	once(s, fake.GoneAfter)
	c := testCommit("c1", "model/als", streams.AnyRevision, 3)
	_, err := l.Ledger().Append(testContext(t), c)
	wantCode(t, err, fault.Unknown)
	s.ForgetRecent()
	release := s.Hold()
	before := s.Calls("subscribe")
	s.Start(t)
	for s.Calls("subscribe") == before {
		time.Sleep(time.Millisecond)
	}
	l.fold.setLive(true) // as if the loss of the connection had not been noticed yet
	reads := s.Calls("read")
	appended := make(chan streams.Receipt, 1)
	go func() { appended <- insist(t, l, c) }()
	for s.Calls("read")+s.Calls("append") == reads+1 { // the one append was the first
		time.Sleep(time.Millisecond)
	}
	release()
	if r := <-appended; !r.Duplicate || r.Revision != 2 || ours(s) != 3 {
		t.Errorf("receipt %+v, %d events", r, ours(s))
	}
}

// TestConflict_FoldBehind: the server refuses what a fold that is behind would let pass, and the refusal
// names what the server has.
func TestConflict_FoldBehind(t *testing.T) {
	s := fake.New(t, nil)
	ahead := mustOpen(t, Options{URL: s.URL()})
	behind := mustOpen(t, Options{URL: s.URL()})
	mustAppend(t, ahead, testCommit("c1", "model/als", streams.NoStream, 1))
	if err := behind.Ledger().Wait(testContext(t), 0); err != nil {
		t.Fatal(err)
	}
	release := s.Hold()
	defer release()
	before := s.Calls("subscribe")
	s.Drop()
	for s.Calls("subscribe") < before+2 {
		time.Sleep(time.Millisecond)
	}
	behind.fold.setLive(true)
	ahead.fold.setLive(true)
	c := testCommit("c2", "model/als", 0, 1)
	raw(t, s, &c)
	appends := s.Calls("append")
	refused := make(chan error, 1)
	go func() {
		_, err := behind.Ledger().Append(testContext(t), testCommit("d2", "model/als", 0, 1))
		refused <- err
	}()
	for s.Calls("append") == appends {
		time.Sleep(time.Millisecond)
	}
	release()
	err := <-refused
	wantCode(t, err, fault.Conflict)
	if !strings.Contains(err.Error(), "it has revision 1") {
		t.Errorf("%v", err)
	}
	if r := mustAppend(t, ahead, c); !r.Duplicate {
		t.Errorf("receipt %+v", r)
	}
}

func TestAppend_UnknownAndNotWritten(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	once(s, fake.DropBefore)
	c := testCommit("c1", "model/als", streams.NoStream, 1)
	_, err := l.Ledger().Append(testContext(t), c)
	wantCode(t, err, fault.Unknown)
	if r := mustAppend(t, l, c); r.Duplicate || ours(s) != 1 {
		t.Errorf("receipt %+v, %d events", r, ours(s))
	}
}

// A connection that breaks after the append was taken leaves two witnesses: the answer, which is lost, and
// the subscription. Either may win; the next try must not write.
func TestAppend_DroppedAfter(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	once(s, fake.DropAfter)
	c := testCommit("c1", "model/als", streams.AnyRevision, 2)
	if _, err := l.Ledger().Append(testContext(t), c); err != nil {
		wantCode(t, err, fault.Unknown)
	}
	if r := mustAppend(t, l, c); !r.Duplicate || r.Revision != 1 || ours(s) != 2 {
		t.Errorf("receipt %+v, %d events", r, ours(s))
	}
}

// The server drops a repetition whose original is not replicated yet, without an answer: the commit comes
// by in the subscription.
func TestAppend_NoAnswer(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	once(s, fake.Silent)
	if r := mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 2)); r.Duplicate || r.Revision != 1 {
		t.Errorf("receipt %+v", r)
	}
}

func TestAppend_Busy(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	once(s, fake.Busy)
	_, err := l.Ledger().Append(testContext(t), testCommit("c1", "model/als", streams.NoStream, 1))
	wantCode(t, err, fault.Unknown) // no telling it from a connection that broke
	if r := mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1)); r.Duplicate {
		t.Errorf("receipt %+v", r)
	}
}

func TestReconnect(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL(), ReadTimeout: 300 * time.Millisecond})
	mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
	head, err := l.Ledger().Head(testContext(t), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() { waited <- l.Ledger().Wait(testContext(t), head) }()
	s.Stop()
	for l.Stats().Live {
		time.Sleep(time.Millisecond)
	}
	// While it is gone: nothing was sent, and the caller knows it.
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	_, err = l.Ledger().Append(ctx, testCommit("c2", "model/als", 0, 1))
	wantCode(t, err, fault.Unavailable)
	for _, err := range l.Ledger().Read(testContext(t), 0) {
		wantCode(t, err, fault.Unavailable)
	}
	for _, err := range l.Ledger().ReadStream(testContext(t), "model/als", 0) {
		wantCode(t, err, fault.Unavailable)
	}
	// An append that begins while it is gone is done when it is back.
	appended := make(chan error, 1)
	go func() {
		_, err := l.Ledger().Append(testContext(t), testCommit("c3", "model/als", 0, 1))
		appended <- err
	}()
	s.Start(t)
	if err := <-appended; err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if ids := commits(t, l.Ledger()); !reflect.DeepEqual(ids, []string{"c1", "c3"}) {
		t.Errorf("commits %v", ids)
	}
}

func TestClose_WhileServerIsGone(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL(), CloseTimeout: time.Minute})
	s.Stop()
	for l.Stats().Live {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	appended := make(chan error, 1)
	go func() {
		_, err := l.Ledger().Append(ctx, testCommit("c1", "model/als", streams.NoStream, 1))
		appended <- err
	}()
	for l.underWay() == 0 {
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	<-l.reads.Done()
	select {
	case err := <-closed:
		t.Fatalf("close did not wait for the append: %v", err)
	default:
	}
	cancel()
	wantCode(t, <-appended, fault.Unavailable)
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
}

func (l *Log) underWay() int {
	return l.ops.InUse()
}

// TestGarbage: what others write into the category counts for nothing, but takes up the server's numbers.
func TestGarbage(t *testing.T) {
	s := fake.New(t, nil)
	stream := categoryDefault + "-model/als"
	put := func(eventType string, json bool, data, meta string) {
		s.Put(stream, eventType, json, []byte(data), []byte(meta))
	}
	good := `{"specversion":"1.0","id":"e","source":"/x","time":"2024-01-01T00:00:00.000Z","schemaversion":1,"commit":{"id":"%s","index":%d,"count":%d%s}}`
	head := func(id string, count int) string { return fmt.Sprintf(good, id, 0, count, `,"expected":-2`) }
	payload := `{"name":"als","alias":"a","version":1}`
	l := mustOpen(t, Options{URL: s.URL()})
	put("order.placed", true, `{"a":1}`, `{}`)                                           // another program's
	put("order.placed", true, `{"a":1}`, ``)                                             // without metadata
	put("image", false, "\x00\xff", head("x", 1))                                        // not JSON
	put("model.alias_set", true, `{`, head("x", 1))                                      // broken JSON
	put("model.alias_set", true, payload, head("", 1))                                   // no id
	put("model.alias_set", true, payload, head("x", 1001))                               // too many events
	put("model.alias_set", true, payload, fmt.Sprintf(good, "x", 0, 1, ""))              // no expected revision
	put("model.alias_set", true, payload, fmt.Sprintf(good, "x", 1, 2, ""))              // the second of a commit without a first
	put("model.alias_set", true, payload, head("half", 2))                               // the first of two …
	put("model.alias_set", true, payload, fmt.Sprintf(good, "half", 2, 2, ""))           // … that goes on wrong: both count
	put("model.alias_set", true, payload, strings.Replace(head("x", 1), "2024", "x", 1)) // no time
	put("$system", true, payload, head("x", 1))                                          // a system event
	const garbage = 12
	if r := mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 2)); r.Revision != 1 {
		t.Fatalf("receipt %+v", r)
	}
	put("order.placed", true, `{"a":1}`, `{}`)
	_, err := l.Ledger().Append(testContext(t), testCommit("c2", "model/als", streams.NoStream, 1))
	wantCode(t, err, fault.Conflict)
	if r := mustAppend(t, l, testCommit("c2", "model/als", 1, 1)); r.Revision != 2 {
		t.Fatalf("receipt %+v", r)
	}
	check := func(l *Log) {
		t.Helper()
		if n := l.Stats(); n.Garbage != garbage+1 || n.Accepted != 2 || n.Conflicts != 0 || n.Duplicates != 0 {
			t.Errorf("stats %+v; want %d garbage", n, garbage+1)
		}
		if ids := commits(t, l.Ledger()); !reflect.DeepEqual(ids, []string{"c1", "c2"}) {
			t.Errorf("commits %v", ids)
		}
		for from, want := range []string{"c1", "c1", "c2", ""} {
			got := ""
			for c, err := range l.Ledger().ReadStream(testContext(t), "model/als", streams.Revision(from)) {
				if err != nil {
					t.Fatal(err)
				}
				got = c.ID
				break
			}
			if got != want {
				t.Errorf("from revision %d: commit %q; want %q", from, got, want)
			}
		}
	}
	check(l)
	l.Close()
	check(mustOpen(t, Options{URL: s.URL()})) // folded anew, the same
}

// A frame that is good but whose event this program cannot read comes with an error, and reading goes on behind it.
func TestUnreadableEvent(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
	e := s.Events()[0]
	s.Put(e.Stream, "model.of_a_newer_program", true, e.Data, []byte(strings.NewReplacer(`"id":"c1"`, `"id":"c2"`, `"expected":-1`, `"expected":0`).Replace(string(e.Metadata))))
	mustAppend(t, l, testCommit("c3", "model/als", 1, 1))
	var ids []string
	for c, err := range l.Ledger().Read(testContext(t), 0) {
		if c == nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID)
		if c.ID != "c2" {
			if err != nil {
				t.Errorf("commit %s: %v", c.ID, err)
			}
			continue
		}
		wantCode(t, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "model.of_a_newer_program") || c.Events[0].Raw == nil {
			t.Errorf("commit %s: %v, %+v", c.ID, err, c.Events)
		}
	}
	if !slices.Equal(ids, []string{"c1", "c2", "c3"}) {
		t.Errorf("read %v", ids)
	}
}

// TestRepeatedOnServer: a server that has lost its cache of event ids takes a commit with any revision
// twice. It counts once, for every reader.
func TestRepeatedOnServer(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	c := testCommit("c1", "model/als", streams.AnyRevision, 2)
	first := mustAppend(t, l, c)
	s.ForgetRecent()
	raw(t, s, &c)
	if ours(s) != 4 {
		t.Fatalf("%d events; the server was to take the commit twice", ours(s))
	}
	if r := mustAppend(t, l, testCommit("c2", "model/als", 1, 1)); r.Revision != 2 || r.Duplicate {
		t.Errorf("receipt %+v", r)
	}
	again := mustAppend(t, l, c)
	if !again.Duplicate || again.Position != first.Position {
		t.Errorf("receipt %+v", again)
	}
	if n := l.Stats(); n.Duplicates != 1 || n.Accepted != 2 || n.Garbage != 0 {
		t.Errorf("stats %+v", n)
	}
	if ids := commits(t, l.Ledger()); !reflect.DeepEqual(ids, []string{"c1", "c2"}) {
		t.Errorf("commits %v", ids)
	}
	var revisions []streams.Revision
	for c, err := range l.Ledger().ReadStream(testContext(t), "model/als", 0) {
		if err != nil {
			t.Fatal(err)
		}
		revisions = append(revisions, c.Revision)
	}
	if !reflect.DeepEqual(revisions, []streams.Revision{0, 2}) {
		t.Errorf("revisions %v", revisions)
	}
}

// raw appends a commit with the bare client and any revision.
func raw(t testing.TB, s *fake.Server, c *streams.Commit) {
	t.Helper()
	o := Options{URL: s.URL()}
	config, err := o.config(1)
	if err != nil {
		t.Fatal(err)
	}
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	data, err := encode(c, "raw", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AppendToStream(testContext(t), categoryDefault+"-"+c.Stream, esdb.AppendToStreamOptions{}, data...); err != nil {
		t.Fatal(err)
	}
}

// TestVoidConflict: a writer that does not ask the server for the revision it claims is void.
func TestVoidConflict(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
	wrong := testCommit("w", "model/als", 7, 2)
	raw(t, s, &wrong)
	if r := mustAppend(t, l, testCommit("c2", "model/als", 0, 1)); r.Revision != 1 {
		t.Errorf("receipt %+v", r)
	}
	if n := l.Stats(); n.Conflicts != 1 || n.Accepted != 2 {
		t.Errorf("stats %+v", n)
	}
}

// TestTwoProcesses: each has a fold of its own; the server decides.
func TestTwoProcesses(t *testing.T) {
	s := fake.New(t, nil)
	a, b := mustOpen(t, Options{URL: s.URL()}), mustOpen(t, Options{URL: s.URL()})
	for i := range 20 {
		c := testCommit(fmt.Sprint("c", i), "model/als", streams.Revision(i-1), 1)
		first, second := a, b
		if i%2 == 1 {
			first, second = b, a
		}
		if r := mustAppend(t, first, c); r.Duplicate || r.Revision != streams.Revision(i) {
			t.Fatalf("receipt %+v", r)
		}
		// The other has perhaps not folded it yet.
		_, err := second.Ledger().Append(testContext(t), testCommit(fmt.Sprint("d", i), "model/als", streams.Revision(i-1), 1))
		wantCode(t, err, fault.Conflict)
		if r := mustAppend(t, second, c); !r.Duplicate {
			t.Fatalf("receipt %+v", r)
		}
	}
	if x, y := commits(t, a.Ledger()), commits(t, b.Ledger()); len(x) != 20 || !reflect.DeepEqual(x, y) {
		t.Errorf("commits %v and %v", x, y)
	}
}

func TestCluster(t *testing.T) {
	leader := fake.New(t, nil)
	follower := fake.NewFollower(t, leader)
	for name, url := range map[string]string{
		"FollowerAlone": follower.URL(),
		"Gossip":        "esdb://" + follower.Addr() + "," + leader.Addr() + "?tls=false",
	} {
		t.Run(name, func(t *testing.T) {
			before, gossip := leader.Calls("append"), follower.Calls("gossip")+leader.Calls("gossip")
			l := mustOpen(t, Options{URL: url, Category: name})
			mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
			if leader.Calls("append") == before {
				t.Error("the leader had no append")
			}
			// A stream is read from the leader, also by one that has not written.
			l = mustOpen(t, Options{URL: url, Category: name})
			reads, n := leader.Calls("read"), 0
			for _, err := range l.Ledger().ReadStream(testContext(t), "model/als", 0) {
				if err != nil {
					t.Fatal(err)
				}
				n++
			}
			if n != 1 || leader.Calls("read") == reads {
				t.Errorf("%d commits, %d reads from the leader", n, leader.Calls("read")-reads)
			}
			if asked := follower.Calls("gossip") + leader.Calls("gossip") - gossip; (name == "Gossip") != (asked > 0) {
				t.Errorf("%d requests for gossip", asked)
			}
		})
	}
}

// TestRecordedNeverDecreases: the clock of another leader may be behind. Every fold clamps it alike.
func TestRecordedNeverDecreases(t *testing.T) {
	s := fake.New(t, nil)
	millis := []int64{1000, 5000, 3000, 4000, 6000}
	i := -1
	s.SetClock(func() time.Time { return time.UnixMilli(millis[i]).Add(999 * time.Microsecond) })
	l := mustOpen(t, Options{URL: s.URL()})
	var receipts []streams.Receipt
	for i = range millis {
		receipts = append(receipts, mustAppend(t, l, testCommit(fmt.Sprint("c", i), "run/1", streams.AnyRevision, 1)))
	}
	for _, l := range []*Log{l, mustOpen(t, Options{URL: s.URL()})} {
		n := 0
		for c, err := range l.Ledger().Read(testContext(t), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if want := []int64{1000, 5000, 5000, 5000, 6000}[n]; c.Recorded.UnixMilli() != want || !receipts[n].Recorded.Equal(c.Recorded) {
				t.Errorf("commit %d recorded %v, receipt %v; want %d", n, c.Recorded, receipts[n].Recorded, want)
			}
			n++
		}
		head, err := l.Ledger().Head(testContext(t), time.UnixMilli(4500))
		if err != nil || head != receipts[0].Position.Offset+1 {
			t.Errorf("head %d, %v", head, err)
		}
	}
}

func TestLostData(t *testing.T) {
	t.Run("Ledger", func(t *testing.T) {
		s := fake.New(t, nil)
		l := mustOpen(t, Options{URL: s.URL()})
		mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
		mustAppend(t, l, testCommit("c2", "model/als", 0, 1))
		s.Stop()
		s.LoseTail(1)
		s.Start(t)
		wantCode(t, l.Ledger().Wait(testContext(t), math.MaxInt64-1), fault.Corrupt)
		_, err := l.Ledger().Append(testContext(t), testCommit("c3", "model/als", 1, 1))
		wantCode(t, err, fault.Corrupt)
	})
	t.Run("OthersOnly", func(t *testing.T) {
		s := fake.New(t, nil)
		l := mustOpen(t, Options{URL: s.URL()})
		mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
		for range searchWindow { // enough for a checkpoint
			s.Put("other-1", "x", true, []byte("{}"), nil)
		}
		for l.Stats().Seen <= s.Events()[0].Position {
			time.Sleep(time.Millisecond)
		}
		s.Stop()
		s.LoseTail(searchWindow)
		s.Start(t)
		insist(t, l, testCommit("c2", "model/als", 0, 1))
	})
	t.Run("Truncated", func(t *testing.T) {
		s := fake.New(t, nil)
		l := mustOpen(t, Options{URL: s.URL()})
		for i := range 3 {
			mustAppend(t, l, testCommit(fmt.Sprint("c", i), "model/als", streams.AnyRevision, 1))
		}
		s.TruncateBefore(categoryDefault+"-model/als", 2)
		for _, from := range []streams.Revision{0, 1} {
			for _, err := range l.Ledger().ReadStream(testContext(t), "model/als", from) {
				wantCode(t, err, fault.Corrupt)
			}
		}
		for c, err := range l.Ledger().ReadStream(testContext(t), "model/als", 2) {
			if err != nil || c.ID != "c2" {
				t.Error(err)
			}
		}
	})
	t.Run("Tombstoned", func(t *testing.T) {
		s := fake.New(t, nil)
		l := mustOpen(t, Options{URL: s.URL()})
		mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
		s.Delete(categoryDefault+"-model/als", true)
		_, err := l.Ledger().Append(testContext(t), testCommit("c2", "model/als", 0, 1))
		wantCode(t, err, fault.Corrupt)
		mustAppend(t, l, testCommit("c3", "model/other", streams.NoStream, 1)) // the rest goes on
	})
	t.Run("SoftlyDeleted", func(t *testing.T) {
		s := fake.New(t, nil)
		l := mustOpen(t, Options{URL: s.URL()})
		mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
		s.Delete(categoryDefault+"-model/als", false)
		for _, err := range l.Ledger().ReadStream(testContext(t), "model/als", 0) {
			wantCode(t, err, fault.Corrupt)
		}
		_, err := l.Ledger().Append(testContext(t), testCommit("c2", "model/als", streams.NoStream, 1))
		wantCode(t, err, fault.Conflict) // the server would take it
		if r := mustAppend(t, l, testCommit("c3", "model/als", 0, 1)); r.Revision != 1 {
			t.Errorf("receipt %+v", r)
		}
	})
}

// TestManyOthers: the category is found among many events of others, of which some have its prefix but
// another category.
func TestManyOthers(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	for i := range 5 {
		for range searchWindow / 2 {
			s.Put(categoryDefault+"2-model/als", "x", true, []byte("{}"), nil)
		}
		mustAppend(t, l, testCommit(fmt.Sprint("c", i), "model/als", streams.AnyRevision, 2))
	}
	again := mustOpen(t, Options{URL: s.URL()})
	if ids := commits(t, again.Ledger()); len(ids) != 5 || again.Stats().Garbage != 0 {
		t.Errorf("commits %v, stats %+v", ids, again.Stats())
	}
}

func TestOpen_Errors(t *testing.T) {
	s := fake.New(t, nil)
	s.SetVersion("22.10.5")
	open := func(o Options) error {
		o.Logf = t.Logf
		l, err := Open(testContext(t), o)
		if err == nil {
			l.Close()
		}
		return err
	}
	err := open(Options{URL: s.URL()})
	wantCode(t, err, fault.Invalid)
	if !strings.Contains(err.Error(), "23.10") {
		t.Errorf("%v does not name the version", err)
	}
	err = open(Options{URL: "http://user:secret@host", Category: "a-b", WriteTimeout: -1, Restoring: true})
	wantCode(t, err, fault.Invalid)
	for _, part := range []string{"url", "category", "write_timeout", "feeds"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%v shows the password", err)
	}
	s.Stop()
	wantCode(t, open(Options{URL: s.URL()}), fault.Unavailable)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, Options{URL: s.URL()}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestNoFeed(t *testing.T) {
	s := fake.New(t, nil)
	l := mustOpen(t, Options{URL: s.URL()})
	wantCode(t, l.Feed().Publish(testContext(t), events.UserEventsTopic, []streams.Record{{Value: []byte("{}")}}), fault.NotFound)
	_, err := l.Feed().Head(testContext(t), streams.TP{Topic: events.UserEventsTopic}, time.Time{})
	wantCode(t, err, fault.NotFound)
	r := mustAppend(t, l, testCommit("c1", "model/als", streams.NoStream, 1))
	head, err := l.Feed().Head(testContext(t), r.Position.TP, time.Time{})
	if err != nil || head != r.Position.Offset+1 {
		t.Errorf("head %d, %v", head, err)
	}
}
