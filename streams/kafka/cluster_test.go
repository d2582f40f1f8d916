package kafka

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// clusterDirEnv names the folder that cluster.sh keeps the cluster of clusterEnv in, for tests that
// kill and start its brokers.
const clusterDirEnv = "PROJECTIONIST_TEST_KAFKA_DIR"

func clusterScript(t testing.TB, args ...string) {
	t.Helper()
	cmd := exec.Command("../../deploy/kafka/cluster.sh", append(args, "--dir", clusterDir(t))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cluster.sh %v: %v\n%s", args, err, out)
	}
}

func clusterDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(clusterDirEnv)
	if dir == "" {
		t.Skipf("SKIPPED: no cluster whose brokers may be killed: set %s to cluster.sh's --dir", clusterDirEnv)
	}
	return dir
}

// node is one of several logs on one cluster, with an index of its own.
func node(t testing.TB, opts Options) *Log {
	t.Helper()
	opts.Dir = t.TempDir()
	return mustOpen(t, opts)
}

func commitsOf(t testing.TB, l *Log, after int64) (all []*streams.Committed) {
	t.Helper()
	if after >= 0 {
		if err := l.Ledger().Wait(newContext(t), after); err != nil {
			t.Fatal(err)
		}
	}
	for c, err := range l.Ledger().Read(newContext(t), 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// history is what writers were told, to be compared with what is read.
type history struct {
	mu       sync.Mutex
	receipts map[string]streams.Receipt // accepted, by commit id
	doubtful map[string]bool            // answered unknown at last
	last     int64
}

func (h *history) accept(id string, r streams.Receipt) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.receipts == nil {
		h.receipts = map[string]streams.Receipt{}
	}
	h.receipts[id] = r
	h.last = max(h.last, r.Position.Offset)
}

// check compares every node with what was acknowledged: all of it is there once, where its writer was
// told, without a gap in any stream, and every node has the same.
func (h *history) check(t *testing.T, nodes ...*Log) {
	t.Helper()
	var first []*streams.Committed
	for n, l := range nodes {
		all := commitsOf(t, l, h.last)
		next := map[string]streams.Revision{}
		seen := map[string]bool{}
		for _, c := range all {
			if c.Revision != next[c.Stream] {
				t.Fatalf("node %d: %s begins at revision %d of %s; want %d", n, c.Position, c.Revision, c.Stream, next[c.Stream])
			}
			next[c.Stream] += streams.Revision(len(c.Events))
			if seen[c.ID] {
				t.Fatalf("node %d: commit %s is there twice", n, c.ID)
			}
			seen[c.ID] = true
			r, ok := h.receipts[c.ID]
			if ok && (r.Position != c.Position || r.Revision != next[c.Stream]-1 || !r.Recorded.Equal(c.Recorded)) {
				t.Fatalf("node %d: commit %s is at %s revision %d %v; its writer was told %+v", n, c.ID, c.Position, next[c.Stream]-1, c.Recorded, r)
			}
			if !ok && !h.doubtful[c.ID] {
				t.Fatalf("node %d: commit %s was accepted, and its writer was told that it was not", n, c.ID)
			}
		}
		for id := range h.receipts {
			if !seen[id] {
				t.Fatalf("node %d: commit %s was acknowledged and is lost", n, id)
			}
		}
		if n == 0 {
			first = all
		} else if !reflect.DeepEqual(first, all) {
			t.Fatalf("node %d has %d commits, node 0 %d, or other ones", n, len(all), len(first))
		}
	}
}

// TestRacingNodes: six writers on three nodes load, decide and append on few streams.
func TestRacingNodes(t *testing.T) {
	opts := testOptions(t)
	nodes := []*Log{node(t, opts), node(t, opts), node(t, opts)}
	var h history
	var conflicts atomic.Int64
	var writers sync.WaitGroup
	for w := range 6 {
		writers.Go(func() {
			l := nodes[w%3]
			for n := range 60 {
				stream := fmt.Sprint("run/", n%4)
				for try := 0; ; try++ {
					head := streams.NoStream
					for c, err := range l.Ledger().ReadStream(context.Background(), stream, 0) {
						if err != nil {
							t.Error(err)
							return
						}
						head = c.Revision + streams.Revision(len(c.Events)) - 1
					}
					id := fmt.Sprintf("w%d-%d-%d", w, n, try)
					r, err := l.Ledger().Append(context.Background(), testCommit(id, stream, head, 1+w%2))
					if err == nil {
						if r.Revision != head+1+streams.Revision(w%2) {
							t.Errorf("%s after revision %d got %+v", id, head, r)
						}
						h.accept(id, r)
						break
					}
					if !fault.Is(err, fault.Conflict) {
						t.Error(err)
						return
					}
					conflicts.Add(1)
				}
			}
		})
	}
	writers.Wait()
	if t.Failed() {
		return
	}
	if len(h.receipts) != 360 {
		t.Fatalf("%d accepted commits; want 360", len(h.receipts))
	}
	h.check(t, append(nodes, node(t, opts))...)
	s := nodes[0].Stats()
	t.Logf("360 accepted, %d conflicts seen by writers, %d void records", conflicts.Load(), s.Conflicts)
	if s.Accepted != 360 || s.Garbage != 0 {
		t.Errorf("stats %+v", s)
	}
	for _, l := range nodes[1:] {
		if err := l.waitFor(newContext(t), &l.judged, s.Judged-1, l.stop); err != nil || l.Stats() != s {
			t.Errorf("another node counts %+v (%v), this one %+v", l.Stats(), err, s)
		}
	}
}

// raw is a bare producer, as any Kafka client is.
func raw(t testing.TB, opts Options, change func(*sarama.Config)) sarama.SyncProducer {
	t.Helper()
	c := saramaConfig()
	if change != nil {
		change(c)
	}
	p, err := sarama.NewSyncProducer(opts.Brokers, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestForeignLedgerRecords: garbage and doubles that others write to the ledger's topic are void on
// every node, and commits that they write well are commits.
func TestForeignLedgerRecords(t *testing.T) {
	opts := testOptions(t)
	a, b := node(t, opts), node(t, opts)
	topic := opts.TopicPrefix + events.LedgerTopic
	p := raw(t, opts, nil)
	send := func(r streams.Record) {
		t.Helper()
		if _, _, err := p.SendMessage(saramaMessage(topic, 0, &r)); err != nil {
			t.Fatal(err)
		}
	}
	first, err := a.Ledger().Append(newContext(t), testCommit("a", "model/als", streams.NoStream, 2))
	if err != nil {
		t.Fatal(err)
	}
	rec := mustRecord(t, testCommit("a", "model/als", streams.NoStream, 2), 0, 0)
	send(streams.Record{Key: []byte("model/als"), Value: []byte("garbage \xff\x00")})
	send(streams.Record{})
	send(rec) // delivered twice
	send(rec)
	send(mustRecord(t, testCommit("late", "model/als", 0, 1), 0, 0))
	send(mustRecord(t, testCommit("foreign", "model/als", 1, 1), 0, 0))
	last, err := b.Ledger().Append(newContext(t), testCommit("b", "model/als", streams.AnyRevision, 1))
	if err != nil {
		t.Fatal(err)
	}
	if last.Revision != 3 {
		t.Fatalf("after a foreign commit: %+v", last)
	}
	for _, l := range []*Log{a, b, node(t, opts)} {
		all := commitsOf(t, l, last.Position.Offset)
		if len(all) != 3 || all[0].Position != first.Position || all[1].ID != "foreign" || all[2].Position != last.Position {
			t.Fatalf("%d commits are read", len(all))
		}
		if s := l.Stats(); s.Accepted != 3 || s.Garbage != 2 || s.Duplicates != 2 || s.Conflicts != 1 {
			t.Fatalf("stats %+v", s)
		}
		// Wait is about commits: the void records do not wake a reader that would find nothing.
		short, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		if err := l.Ledger().Wait(short, last.Position.Offset+1); err == nil {
			t.Error("a wait behind the last commit ended")
		}
		cancel()
	}
}

// TestClockOff: writers whose clocks are an hour off, before and behind, do not move recorded time.
func TestClockOff(t *testing.T) {
	opts := testOptions(t)
	l := node(t, opts)
	p := raw(t, opts, nil)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	var sent []streams.Record
	for i, off := range []time.Duration{time.Hour, -time.Hour, 0, time.Hour} {
		r := streams.Record{Key: []byte("k"), Value: []byte(strconv.Itoa(i))}
		m := saramaMessage(opts.TopicPrefix+tp.Topic, 0, &r)
		m.Timestamp = time.Now().Add(off)
		if _, _, err := p.SendMessage(m); err != nil {
			t.Fatal(err)
		}
	}
	before := time.Now().Add(-time.Minute)
	for r, err := range l.Feed().Read(newContext(t), tp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n := len(sent); n > 0 && r.Recorded.Before(sent[n-1].Recorded) || r.Recorded.Before(before) || r.Recorded.After(time.Now().Add(time.Minute)) {
			t.Errorf("record %d has time %v", r.Offset, r.Recorded)
		}
		sent = append(sent, streams.Record{Position: r.Position, Recorded: r.Recorded})
	}
	if len(sent) != 4 {
		t.Fatalf("%d records of 4", len(sent))
	}
	for until, want := range map[time.Time]int64{before: 0, sent[3].Recorded: 4, time.Now().Add(time.Hour): 4} {
		if head, err := l.Feed().Head(newContext(t), tp, until); err != nil || head != want {
			t.Errorf("head at %v: %d, %v; want %d", until, head, err, want)
		}
	}
}

// TestTransactions: others may publish facts in transactions. What was aborted is not read, and where
// their control records are the end of a partition, Head, Read and Wait agree on where it ends.
func TestTransactions(t *testing.T) {
	opts := testOptions(t)
	l := node(t, opts)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	topic := opts.TopicPrefix + tp.Topic
	p := raw(t, opts, func(c *sarama.Config) { c.Producer.Transaction.ID = opts.TopicPrefix + "tx" })
	// A broker answers before it has written the control record: what was sent is waited for.
	settle := func(p *partition, end int64) {
		t.Helper()
		for until := time.Now().Add(5 * time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
			if n, err := l.listOffset(p, sarama.OffsetNewest); err != nil {
				t.Fatal(err)
			} else if n == end {
				return
			}
		}
		t.Fatalf("%s does not become stable up to %d", p.TP, end)
	}
	alerts, offset := l.partitions[tp.Topic][0], int64(0)
	transact := func(commit bool, values ...string) {
		t.Helper()
		if err := p.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			if _, _, err := p.SendMessage(saramaMessage(topic, 0, &streams.Record{Key: []byte("k"), Value: []byte(v)})); err != nil {
				t.Fatal(err)
			}
		}
		end := p.CommitTxn
		if !commit {
			end = p.AbortTxn
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		offset += int64(len(values)) + 1
		settle(alerts, offset)
	}
	expect := func(want ...string) {
		t.Helper()
		var got []string
		end := int64(0)
		for r, err := range l.Feed().Read(newContext(t), tp, 0) {
			if err != nil {
				t.Fatal(err)
			}
			got, end = append(got, string(r.Value)), r.Offset+1
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("read %q; want %q", got, want)
		}
		for _, until := range []time.Time{{}, time.Now().Add(time.Hour)} {
			if head, err := l.Feed().Head(newContext(t), tp, until); err != nil || head != end {
				t.Fatalf("head %d, %v; the last record ends at %d", head, err, end)
			}
		}
		short, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := l.Feed().Wait(short, tp, end); err == nil {
			t.Fatalf("a wait from %d ended, and there is nothing", end)
		}
	}
	transact(false, "no1", "no2")
	expect()
	transact(true, "a", "b")
	expect("a", "b")
	transact(false, "no3")
	transact(false, "no4")
	expect("a", "b")
	transact(true, "c")
	expect("a", "b", "c")
	recs := []streams.Record{{Key: []byte("k"), Value: []byte("d")}}
	if err := l.Feed().Publish(newContext(t), tp.Topic, recs); err != nil {
		t.Fatal(err)
	}
	expect("a", "b", "c", "d")

	// In the ledger's topic they leave holes, and an aborted commit is none.
	offset = 0
	transactLedger := func(commit bool, c streams.Commit) {
		t.Helper()
		topic = opts.TopicPrefix + events.LedgerTopic
		rec := mustRecord(t, c, 0, 0)
		if err := p.BeginTxn(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.SendMessage(saramaMessage(topic, 0, &rec)); err != nil {
			t.Fatal(err)
		}
		end := p.CommitTxn
		if !commit {
			end = p.AbortTxn
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		offset += 2
		settle(l.ledger, offset)
	}
	transactLedger(false, testCommit("x", "model/als", streams.NoStream, 1))
	transactLedger(true, testCommit("y", "model/als", streams.NoStream, 1))
	r, err := l.Ledger().Append(newContext(t), testCommit("z", "model/als", 0, 1))
	if err != nil || r.Revision != 1 || r.Position.Offset != 4 {
		t.Fatalf("receipt %+v, %v; want revision 1 behind two commits and two holes", r, err)
	}
	if s := node(t, opts).Stats(); s.Accepted != 2 || s.Conflicts != 0 {
		t.Fatalf("stats %+v", s)
	}
}

// TestWait_Ends: a wait behind the end ends when the end gets there by another node's doing, and one
// before the first record that is left ends at once.
func TestWait_Ends(t *testing.T) {
	opts := testOptions(t)
	a, b := node(t, opts), node(t, opts)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	publish := func() {
		t.Helper()
		if err := a.Feed().Publish(newContext(t), tp.Topic, []streams.Record{{Key: []byte("k")}}); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error, 3)
	for from := range int64(3) {
		go func() { done <- b.Feed().Wait(newContext(t), tp, from) }()
	}
	for range 3 {
		publish()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	deleteRecords(t, opts, tp.Topic, 2)
	if err := node(t, opts).Feed().Wait(newContext(t), tp, 0); err != nil {
		t.Fatal(err)
	}
}

// TestUnreachable: no cluster is an error that says where it was looked for, in bounded time.
func TestUnreachable(t *testing.T) {
	_, err := Open(newContext(t), Options{Brokers: []string{"127.0.0.1:1"}, Logf: t.Logf})
	if !fault.Is(err, fault.Unavailable) || !bytes.Contains([]byte(err.Error()), []byte("127.0.0.1:1")) {
		t.Fatalf("%v", err)
	}
	_, err = Open(newContext(t), Options{})
	if !fault.Is(err, fault.Invalid) {
		t.Fatalf("no brokers: %v", err)
	}
}

// TestRead_Chunks: reads that are ended early and gone on with, which use what was fetched and not read,
// give every record once and in order, also what is written meanwhile; and one that begins elsewhere too.
func TestRead_Chunks(t *testing.T) {
	opts := testOptions(t)
	opts.FetchBytes = 32 << 10
	l := mustOpen(t, opts)
	ctx := newContext(t)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	written := 0
	publish := func(n int) {
		t.Helper()
		var recs []streams.Record
		for range n {
			recs = append(recs, streams.Record{Key: []byte("k"), Value: []byte(strconv.Itoa(written) + strings.Repeat(" ", 100))})
			written++
		}
		if err := l.Feed().Publish(ctx, tp.Topic, recs); err != nil {
			t.Fatal(err)
		}
	}
	read := func(from, most int) (n int) {
		t.Helper()
		for r, err := range l.Feed().Read(ctx, tp, int64(from)) {
			if err != nil {
				t.Fatal(err)
			}
			if n == most {
				break
			}
			if want := strconv.Itoa(from + n); r.Offset != int64(from+n) || strings.TrimRight(string(r.Value), " ") != want {
				t.Fatalf("record %d is %q at %d", from+n, r.Value[:10], r.Offset)
			}
			n++
		}
		return n
	}
	for range 20 {
		publish(300) // small batches: a fetch brings several
	}
	kept := 0
	at := 0
	for chunk := 0; at < written; chunk++ {
		n := read(at, 331)
		if n == 0 {
			t.Fatalf("a read from %d of %d gave nothing", at, written)
		}
		at += n
		if len(l.partitions[tp.Topic][0].kept.blocks) > 0 {
			kept++
		}
		switch chunk {
		case 5:
			read(17, 5) // elsewhere, and then on
		case 10:
			publish(500)
		}
	}
	if kept < 10 {
		t.Errorf("only %d of the reads left anything for the next", kept)
	}
	read(at-50, 10)
	publish(1) // behind what is kept
	if n := read(at-40, written); n != 41 {
		t.Errorf("%d records are read on; want 41", n)
	}
	if n := read(0, written+1); n != written {
		t.Errorf("%d records in all; want %d", n, written)
	}
}
