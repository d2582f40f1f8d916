package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

var alerts = streams.TP{Topic: events.DriftAlertsTopic}

// oldFact is a record as it was at an offset in another log.
func oldFact(offset int64) streams.Record {
	return streams.Record{Position: streams.Position{TP: alerts, Offset: offset}, Recorded: time.UnixMilli(1_600_000_000_000 + offset).UTC(),
		Key: []byte("k"), Value: fmt.Append(nil, offset), Headers: []streams.Header{{Key: "n", Value: fmt.Append(nil, offset)}}}
}

func mustRestore(t *testing.T, l *Log, recs ...streams.Record) {
	t.Helper()
	if err := l.Restore(newContext(t), alerts, recs); err != nil {
		t.Fatal(err)
	}
}

func reopen(t *testing.T, l *Log, restoring bool) *Log {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	opts := l.opts
	opts.Restoring = restoring
	return mustOpen(t, opts)
}

// offsetsOf reads alerts and checks every record against what was restored.
func offsetsOf(t *testing.T, l *Log) (offsets []int64) {
	t.Helper()
	for r, err := range l.Feed().Read(newContext(t), alerts, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want := oldFact(r.Offset); !r.Recorded.Equal(want.Recorded) || string(streams.AppendTail(nil, r)) != string(streams.AppendTail(nil, &want)) {
			t.Fatalf("%s is %v, %q", r.Position, r.Recorded, r.Value)
		}
		offsets = append(offsets, r.Offset)
	}
	return offsets
}

// TestRestored_Times: from Restored on times are the brokers', whatever a writer says, and nobody sees what
// fills holes or ends partitions.
func TestRestored_Times(t *testing.T) {
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	mustRestore(t, l, oldFact(5), oldFact(9))
	commit := mustRecord(t, testCommit("c", "model/als", streams.NoStream, 1), 3, 1_600_000_000_000)
	if err := l.Restore(newContext(t), l.ledger.TP, []streams.Record{commit}); err != nil {
		t.Fatal(err)
	}
	if err := l.Restored(newContext(t)); err != nil {
		t.Fatal(err)
	}
	l = reopen(t, l, false)
	if s := l.Stats(); s.Accepted != 1 || s.Garbage != 0 || s.Judged != 5 {
		t.Errorf("stats %+v", s)
	}
	before := time.Now().Add(-time.Minute)
	p := raw(t, opts, nil)
	for _, topic := range streams.Topics {
		for n := range topic.Partitions {
			m := saramaMessage(opts.TopicPrefix+topic.Name, n, &streams.Record{Key: []byte("k"), Value: []byte("v")})
			m.Timestamp = time.Now().Add(-48 * time.Hour)
			_, offset, err := p.SendMessage(m)
			if err != nil {
				t.Fatal(err)
			}
			for r, err := range l.Feed().Read(newContext(t), streams.TP{Topic: topic.Name, Partition: n}, offset) {
				if err != nil || r.Recorded.Before(before) {
					t.Errorf("%s was recorded at %v, %v", r.Position, r.Recorded, err)
				}
			}
			part := l.partitions[topic.Name][n]
			b, err := l.fetch(part, offset, time.Second, 1)
			if err != nil || len(b.RecordsSet) != 1 || !b.RecordsSet[0].RecordBatch.LogAppendTime {
				t.Errorf("%s does not have the brokers' times: %v", part.TP, err)
			}
		}
	}
}

// TestRestored_Interrupted: as long as the ledger's topic has the mark, the filling goes on.
func TestRestored_Interrupted(t *testing.T) {
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	mustRestore(t, l, oldFact(0))
	for _, topic := range streams.Topics[1:] {
		alterTopic(t, opts, topic.Name, timestampType, brokersTime)
	}
	normal := opts
	normal.Restoring, normal.Dir = false, t.TempDir()
	refused(t, normal, events.LedgerTopic, "CreateTime", "log copy")
	l = reopen(t, l, true)
	mustRestore(t, l, oldFact(1))
	if err := l.Restored(newContext(t)); err != nil {
		t.Fatal(err)
	}
	if got := offsetsOf(t, reopen(t, l, false)); len(got) != 2 {
		t.Errorf("offsets %v", got)
	}
}

func TestRestore_HoleMax(t *testing.T) {
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	err := l.Restore(newContext(t), alerts, []streams.Record{oldFact(0), oldFact(holeMax + 2)})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "hole of more than") {
		t.Fatalf("%v", err)
	}
	start := time.Now()
	mustRestore(t, l, oldFact(holeMax+1))
	t.Logf("a hole of %d offsets was filled in %v", holeMax, time.Since(start))
	if got := offsetsOf(t, l); len(got) != 2 || got[1] != holeMax+1 {
		t.Errorf("offsets %v", got)
	}
	if head, err := l.Feed().Head(newContext(t), alerts, oldFact(holeMax).Recorded); err != nil || head != 1 {
		t.Errorf("head %d, %v", head, err)
	}
}

// TestRestore_SomebodyElse: a place that was taken meanwhile is found, not guessed.
func TestRestore_SomebodyElse(t *testing.T) {
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	mustRestore(t, l, oldFact(0))
	m := saramaMessage(opts.TopicPrefix+alerts.Topic, 0, &streams.Record{Value: []byte("x")})
	if _, _, err := raw(t, opts, nil).SendMessage(m); err != nil {
		t.Fatal(err)
	}
	err := l.Restore(newContext(t), alerts, []streams.Record{oldFact(1)})
	if !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "somebody else") {
		t.Fatalf("%v", err)
	}
}

// TestArrived: what was written without an answer is found by what stands in the log.
func TestArrived(t *testing.T) {
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	mustRestore(t, l, oldFact(0))
	p := l.partitions[alerts.Topic][0]
	var b restoring
	for i := int64(1); i < 4; i++ {
		r := oldFact(i)
		b.add(wireRecord(&r), r.Recorded.UnixMilli(), streams.TailSize(&r))
	}
	b.add(voidRecord(), 1_600_000_000_004, voidBytes)
	if there, err := l.arrived(newContext(t), p, &b, 1); there || err != nil {
		t.Fatalf("it was not sent: %v, %v", there, err)
	}
	mustRestore(t, l, oldFact(1), oldFact(2), oldFact(3))
	if _, err := l.arrived(newContext(t), p, &b, 1); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("a part of it is there: %v", err)
	}
	if err := p.filling.w.restore(newContext(t), &restoring{recs: []*sarama.Record{voidRecord()}, times: b.times[3:]}, 4); err != nil {
		t.Fatal(err)
	}
	if there, err := l.arrived(newContext(t), p, &b, 1); !there || err != nil {
		t.Fatalf("it is there: %v, %v", there, err)
	}
	b.times[1]++
	if _, err := l.arrived(newContext(t), p, &b, 1); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("something else is there: %v", err)
	}
}

// TestRestore_BrokerHangs: requests run out of time while a broker stands still, and are sent again. No
// record is there twice, or elsewhere.
func TestRestore_BrokerHangs(t *testing.T) {
	clusterDir(t)
	opts := testOptions(t)
	opts.Restoring = true
	l := mustOpen(t, opts)
	const n, step = 30_000, 500
	hang := make(chan struct{})
	go func() {
		defer close(hang)
		for range 2 {
			time.Sleep(150 * time.Millisecond)
			clusterScript(t, "pause", "1")
			time.Sleep(netTimeout + time.Second)
			clusterScript(t, "resume", "1")
		}
	}()
	unknown := 0
	for next := int64(0); next < n; {
		var recs []streams.Record
		for i := next; i < min(next+step, n); i++ {
			recs = append(recs, oldFact(2*i))
		}
		err := l.Restore(newContext(t), alerts, recs)
		if err == nil {
			next += int64(len(recs))
			continue
		}
		if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		unknown++
		head, err := l.Feed().Head(newContext(t), alerts, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		next = (head + 1) / 2
	}
	<-hang
	got := offsetsOf(t, l)
	for i, offset := range got {
		if offset != int64(2*i) {
			t.Fatalf("record %d has offset %d", i, offset)
		}
	}
	if len(got) != n {
		t.Fatalf("%d records of %d", len(got), n)
	}
	t.Logf("%d calls without a known outcome", unknown)
}
