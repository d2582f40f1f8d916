package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What somebody else does to the topics of a running log.

// deleteRecords deletes a topic's records below an offset. A new admin knows the leader of a topic that was
// just made anew; it is tried again while the brokers do not.
func deleteRecords(t *testing.T, opts Options, topic string, below int64) {
	t.Helper()
	var err error
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		admin := newAdmin(t, opts.Brokers)
		err = admin.DeleteRecords(opts.TopicPrefix+topic, map[int32]int64{0: below})
		admin.Close()
		if err == nil {
			return
		}
	}
	t.Fatal(err)
}

func alterTopic(t *testing.T, opts Options, topic, name, value string) {
	t.Helper()
	admin := newAdmin(t, opts.Brokers)
	defer admin.Close()
	if err := admin.IncrementalAlterConfig(sarama.TopicResource, opts.TopicPrefix+topic, map[string]sarama.IncrementalAlterConfigsEntry{
		name: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value},
	}, false); err != nil {
		t.Fatal(err)
	}
}

// refused opens a log that must not open, and says why.
func refused(t *testing.T, opts Options, parts ...string) {
	t.Helper()
	l, err := Open(newContext(t), opts)
	if err == nil {
		l.Close()
		t.Fatalf("the log opens; want it refused for %v", parts)
	}
	if !fault.Is(err, fault.Corrupt) {
		t.Errorf("%v has code %s; want %s", err, fault.CodeOf(err), fault.Corrupt)
	}
	for _, part := range parts {
		if !bytes.Contains([]byte(err.Error()), []byte(part)) {
			t.Errorf("%q does not name %q", err, part)
		}
	}
}

// TestRefusedTopics: settings under which the log would be lost, made behind its back.
func TestRefusedTopics(t *testing.T) {
	opts := testOptions(t)
	if err := node(t, opts).Close(); err != nil {
		t.Fatal(err)
	}
	alterTopic(t, opts, events.UserEventsTopic, "retention.ms", "604800000")
	refused(t, opts, opts.TopicPrefix+events.UserEventsTopic, "retention.ms=604800000", "--add-config retention.ms=-1")
	alterTopic(t, opts, events.UserEventsTopic, "retention.ms", "-1")
	if err := node(t, opts).Close(); err != nil {
		t.Fatal(err)
	}
	admin := newAdmin(t, opts.Brokers)
	defer admin.Close()
	if err := admin.CreatePartitions(opts.TopicPrefix+events.DriftAlertsTopic, 2, nil, false); err != nil {
		t.Fatal(err)
	}
	var err error
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) { // until all brokers know
		var l *Log
		if l, err = Open(newContext(t), opts); err != nil {
			break
		}
		l.Close()
	}
	if !fault.Is(err, fault.Corrupt) {
		t.Fatalf("another number of partitions: %v", err)
	}
	refused(t, opts, opts.TopicPrefix+events.DriftAlertsTopic, "2 partitions; want 1")
}

// TestChangedTopics changes the topics under a log that is in use: it takes nothing more, says why, and goes
// on when the topics are mended.
func TestChangedTopics(t *testing.T) {
	opts := testOptions(t)
	opts.watchEvery = 50 * time.Millisecond
	l := mustOpen(t, opts)
	write := func() error {
		return l.Feed().Publish(newContext(t), events.UserEventsTopic, []streams.Record{{Key: []byte("k"), Value: []byte("{}")}})
	}
	until := func(what string, holds func(error) bool) error {
		t.Helper()
		for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			if err := l.Writable(); holds(err) {
				return err
			}
		}
		t.Fatalf("%s: not within five minutes", what)
		return nil
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	alterTopic(t, opts, events.UserEventsTopic, "retention.ms", "604800000")
	err := until("a retention is noticed", func(err error) bool { return err != nil })
	if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "retention.ms=604800000") {
		t.Errorf("error: %v", err)
	}
	var f *fault.Error
	if !errors.As(err, &f) || !strings.Contains(f.Hint, "--add-config retention.ms=-1") {
		t.Errorf("no remedy: %+v", f)
	}
	if err := write(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a fact was taken: %v", err)
	}
	if _, err := l.Ledger().Append(newContext(t), testCommit("a", "model/als", streams.NoStream, 1)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a commit was taken: %v", err)
	}
	alterTopic(t, opts, events.UserEventsTopic, "retention.ms", "-1")
	until("it is mended", func(err error) bool { return err == nil })
	if err := write(); err != nil {
		t.Error(err)
	}
	admin := newAdmin(t, opts.Brokers)
	defer admin.Close()
	if err := admin.CreatePartitions(opts.TopicPrefix+events.UserEventsTopic, 4, nil, false); err != nil {
		t.Fatal(err)
	}
	err = until("a partition more is noticed", func(err error) bool { return err != nil })
	if !strings.Contains(err.Error(), "4 partitions; want 3") {
		t.Errorf("error: %v", err)
	}
}

// TestLostData: an index refuses a log that no longer has what was folded; without it the log opens.
func TestLostData(t *testing.T) {
	opts := testOptions(t)
	l := mustOpen(t, opts)
	for i := range 5 {
		if _, err := l.Ledger().Append(newContext(t), testCommit(fmt.Sprint("c", i), "model/als", streams.AnyRevision, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	admin := newAdmin(t, opts.Brokers)
	defer admin.Close()
	topic := opts.TopicPrefix + events.LedgerTopic

	// The topic is deleted and made anew.
	if err := admin.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	refused(t, opts, topic, "deleted and made anew", opts.Dir)
	fresh := opts
	fresh.Dir = t.TempDir()
	l = mustOpen(t, fresh)
	if s := l.Stats(); s.Accepted != 0 {
		t.Fatalf("stats %+v of a topic made anew", s)
	}
	for i := range 5 {
		if _, err := l.Ledger().Append(newContext(t), testCommit(fmt.Sprint("d", i), "model/als", streams.AnyRevision, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	// The log is shorter than the index, or another one. A broker does not do this on request, so the
	// index is made to have seen more.
	change := func(f func(*state)) {
		t.Helper()
		ix, err := openIndex(fresh.Dir, t.Logf)
		if err != nil {
			t.Fatal(err)
		}
		defer ix.close()
		f(&ix.state)
		next := ix.state.Cursor + 1
		if err := ix.fold(sequence(nil), next); err != nil {
			t.Fatal(err)
		}
	}
	change(func(s *state) {})
	refused(t, fresh, topic, "up to offset 6", "up to 5", fresh.Dir)
	change(func(s *state) { s.Cursor, s.LastSum = 3, s.LastSum+1 })
	refused(t, fresh, topic, "offset 4", "another record")

	// Records are deleted from the front.
	deleteRecords(t, opts, events.LedgerTopic, 2)
	fresh.Dir = t.TempDir()
	refused(t, fresh, topic, "begins at offset 2")
}

// TestDeletedFacts: a feed from whose front records were deleted says so.
func TestDeletedFacts(t *testing.T) {
	opts := testOptions(t)
	l := mustOpen(t, opts)
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	for i := range 5 {
		if err := l.Feed().Publish(newContext(t), tp.Topic, []streams.Record{{Key: []byte("k"), Value: []byte(strconv.Itoa(i))}}); err != nil {
			t.Fatal(err)
		}
	}
	deleteRecords(t, opts, tp.Topic, 3)
	n := 0
	for _, err := range l.Feed().Read(newContext(t), tp, 0) {
		if n++; !fault.Is(err, fault.Corrupt) {
			t.Fatalf("step %d: %v; want code %s", n, err, fault.Corrupt)
		}
	}
	if n != 1 {
		t.Fatalf("%d steps", n)
	}
	for r, err := range l.Feed().Read(newContext(t), tp, 3) {
		if err != nil || r.Offset != 2+int64(n) {
			t.Fatalf("%v, %v", r, err)
		}
		n++
	}
	if n != 3 {
		t.Fatalf("%d records of 2 are left", n-1)
	}
	for from := int64(4); from <= 5; from++ { // offset 4 alone is left, then nothing
		want := map[int64]int64{4: 5, 5: 0}[from]
		deleteRecords(t, opts, tp.Topic, from)
		if head, err := node(t, opts).Feed().Head(newContext(t), tp, time.Time{}); err != nil || head != want {
			t.Errorf("head %d, %v when records before %d are deleted; want %d", head, err, from, want)
		}
	}
}
