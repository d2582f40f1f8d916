package transfer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	mathrand "math/rand/v2"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/kafka"
	"github.com/projectionist/projectionist/streams/local"

	"github.com/projectionist/projectionist/internal/transfer"
	"github.com/projectionist/projectionist/projections/fold"
)

// place is where a log of a test is kept.
type place func(t testing.TB, restoring bool) (streams.Log, error)

func memory() place {
	fs := vfs.NewMem()
	return func(t testing.TB, restoring bool) (streams.Log, error) {
		return local.Open("log", local.Options{FS: fs, Restoring: restoring, Logf: t.Logf})
	}
}

// onKafka is a log with topics of its own on the cluster of PROJECTIONIST_TEST_KAFKA.
func onKafka(t testing.TB) place {
	t.Helper()
	s := os.Getenv("PROJECTIONIST_TEST_KAFKA")
	if s == "" {
		t.Skip("SKIPPED: no Kafka: set PROJECTIONIST_TEST_KAFKA=host:port,… (deploy/kafka/cluster.sh up starts one)")
	}
	opts := kafka.Options{Brokers: strings.Split(s, ","), TopicPrefix: "t" + strings.ToLower(rand.Text())[:12] + ".", Logf: t.Logf}
	t.Cleanup(func() {
		c := sarama.NewConfig()
		c.Version = sarama.V3_6_0_0
		admin, err := sarama.NewClusterAdmin(opts.Brokers, c)
		if err != nil {
			t.Error(err)
			return
		}
		defer admin.Close()
		for _, topic := range streams.Topics {
			admin.DeleteTopic(opts.TopicPrefix + topic.Name) // it may not have been made
		}
	})
	return func(t testing.TB, restoring bool) (streams.Log, error) {
		o := opts
		o.Restoring = restoring
		return kafka.Open(t.Context(), o)
	}
}

func (p place) open(t testing.TB, restoring bool) streams.Log {
	t.Helper()
	l, err := p(t, restoring)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func closeLog(t testing.TB, l streams.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func quiet(string, int64, int64) {}

var views = []fold.Factory{
	func() fold.View { return projections.NewHistories() },
	func() fold.View { return projections.NewRegistry() },
	func() fold.View { return projections.NewAudit() },
	func() fold.View { return projections.NewQuarantine() },
	func() fold.View { return projections.NewOnline() },
}

// fill appends n commits and some facts for each to a log; what names them apart is the seed.
func fill(t testing.TB, l streams.Log, seed, n int) {
	t.Helper()
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for i := range n {
		stream := fmt.Sprint("model/m", i%13)
		c := streams.Commit{ID: fmt.Sprintf("c%d/%d", seed, i), Stream: stream, Expected: streams.AnyRevision}
		if i < 13 {
			c.Expected = streams.NoStream
		}
		for e := range 1 + i%3 {
			c.Events = append(c.Events, events.Event{ID: fmt.Sprintf("%s/%d", c.ID, e), Source: "/test", Subject: stream, Time: at, Actor: "user:anna",
				Data: &events.ModelAliasSet{Name: stream[len("model/"):], Alias: "champion", Version: i + 1}})
		}
		if _, err := l.Ledger().Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 { // refused: on Kafka a void record
			c.ID, c.Expected = c.ID+"x", streams.NoStream
			if _, err := l.Ledger().Append(t.Context(), c); !fault.Is(err, fault.Conflict) {
				t.Fatal(err)
			}
		}
		var recs []streams.Record
		for f := range 7 {
			user := strconv.Itoa((i*7 + f) % 19)
			r, err := streams.FactRecord(user, &events.Event{ID: fmt.Sprintf("f%d/%d/%d", seed, i, f), Source: "/test", Time: at.Add(time.Duration(i) * time.Second),
				Data: &events.Interaction{UserID: user, MovieID: strconv.Itoa(f), Kind: "rating", Timestamp: events.FormatTime(at.Add(time.Duration(i) * time.Second)), Rating: float64(1 + f%5)}})
			if err != nil {
				t.Fatal(err)
			}
			recs = append(recs, r)
		}
		recs = append(recs, streams.Record{Key: []byte("9"), Value: []byte("nobody can read this")})
		if err := l.Feed().Publish(t.Context(), events.UserEventsTopic, recs); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Feed().Publish(t.Context(), events.SystemHealthTopic, []streams.Record{{Value: []byte(`{}`)}}); err != nil {
		t.Fatal(err)
	}
}

// moveAll copies, verifies and ends the copying, and gives the views' sums.
func moveAll(t testing.TB, from streams.Log, to streams.Log) []fold.ViewReport {
	t.Helper()
	cut, err := transfer.Copy(t.Context(), from, to.(streams.Restorer), quiet)
	if err != nil {
		t.Fatal(err)
	}
	report, err := transfer.Compare(t.Context(), from, to, cut, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if report.Streams != 13 || report.Cut != cut.String() {
		t.Errorf("report %+v", report)
	}
	sums, err := transfer.CompareViews(t.Context(), from, to, cut, t.TempDir(), views, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.(streams.Restorer).Restored(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sums
}

// there and back: the sums of the views are the same at the end, and copies can be written to.
func thereAndBack(t *testing.T, houses ...place) {
	first := houses[0].open(t, false)
	fill(t, first, 1, 150)
	var want []fold.ViewReport
	from := first
	for i, house := range houses[1:] {
		to := house.open(t, true)
		got := moveAll(t, from, to)
		if i > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("views after %d copies: %+v, want %+v", i+1, got, want)
		}
		want = got
		closeLog(t, to)
		from = house.open(t, false)
	}
	for _, v := range want {
		if v.Pairs == 0 {
			t.Errorf("view %s is empty: that copies are equal says nothing of it", v.View)
		}
	}
	if _, err := transfer.Settled(t.Context(), first, from, quiet); err != nil {
		t.Fatalf("the last copy: %v", err)
	}
	r, err := from.Ledger().Append(t.Context(), streams.Commit{ID: "own", Stream: "model/m0", Expected: streams.AnyRevision, Events: []events.Event{{
		ID: "own", Source: "/test", Time: time.Now(), Data: &events.ModelAliasSet{Name: "m0", Alias: "champion", Version: 1}}}})
	if err != nil || r.Revision < 13 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := transfer.Settled(t.Context(), first, from, quiet); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a copy that has gone on: %v", err)
	}
	if _, err := transfer.Settled(t.Context(), from, first, quiet); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "gone on since") {
		t.Fatalf("a copy whose source has gone on: %v", err)
	}
}

func TestThereAndBack(t *testing.T) { thereAndBack(t, memory(), memory(), memory()) }

func TestThereAndBack_Kafka(t *testing.T) {
	thereAndBack(t, memory(), onKafka(t), memory(), onKafka(t), memory())
}

// TestThereAndBack_FromKafka begins where refused commits have left void records.
func TestThereAndBack_FromKafka(t *testing.T) {
	thereAndBack(t, onKafka(t), memory(), onKafka(t), memory())
}

// faulty is a copy whose restoring ends at a random point.
type faulty struct {
	streams.Restorer
	left int
}

var errFaulty = errors.New("ended by the test")

func (f *faulty) Restore(ctx context.Context, tp streams.TP, recs []streams.Record) error {
	n := min(f.left, len(recs))
	if err := f.Restorer.Restore(ctx, tp, recs[:n]); err != nil {
		return err
	}
	if f.left -= n; f.left == 0 {
		return errFaulty
	}
	return nil
}

// interrupted copies are taken up again until they are complete.
func interrupted(t *testing.T, from streams.Log, house place, step int) {
	random := mathrand.New(mathrand.NewPCG(7, uint64(step)))
	tries := 0
	for ; ; tries++ {
		l := house.open(t, true)
		ctx, cancel := context.WithCancel(t.Context())
		to := &faulty{l.(streams.Restorer), 1 + random.IntN(step)}
		if tries%3 == 2 { // or by the caller
			cancelled := false
			_, err := transfer.Copy(ctx, from, to, func(string, int64, int64) { cancel(); cancelled = true })
			if cancelled && err == nil {
				t.Log("cancelled at the very end")
			} else if !cancelled && !errors.Is(err, errFaulty) {
				t.Fatal(err)
			}
			cancel()
			closeLog(t, l)
			continue
		}
		_, err := transfer.Copy(ctx, from, to, quiet)
		cancel()
		closeLog(t, l)
		if err == nil {
			break
		}
		if !errors.Is(err, errFaulty) {
			t.Fatal(err)
		}
		if _, err := house(t, false); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("a copy that was cut short opens: %v", err)
		}
	}
	if tries < 3 {
		t.Fatalf("copied in %d runs: nothing was tried", tries)
	}
	l := house.open(t, true)
	moveAll(t, from, l)
	closeLog(t, l)
	house.open(t, false)
}

func TestInterrupted(t *testing.T) {
	from := memory().open(t, false)
	fill(t, from, 1, 150)
	for _, step := range []int{50, 300, 700} {
		interrupted(t, from, memory(), step)
	}
}

func TestInterrupted_Kafka(t *testing.T) {
	from := onKafka(t).open(t, false)
	fill(t, from, 1, 150)
	interrupted(t, from, onKafka(t), 500)
}

// TestErrConflict: a copy of another log is not gone on with, wherever they differ.
func TestErrConflict(t *testing.T) {
	a, b := memory().open(t, false), memory().open(t, false)
	fill(t, a, 1, 60)
	fill(t, b, 2, 60)
	begin := func(from streams.Log) streams.Restorer {
		t.Helper()
		to := &faulty{memory().open(t, true).(streams.Restorer), 400}
		if _, err := transfer.Copy(t.Context(), from, to, quiet); !errors.Is(err, errFaulty) {
			t.Fatal(err)
		}
		return to.Restorer
	}
	to := begin(b)
	before, err := fold.HeadCut(t.Context(), to, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(t.Context(), a, to, quiet); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a copy of another log is gone on with: %v", err)
	}
	if after, err := fold.HeadCut(t.Context(), to, time.Time{}); err != nil || !reflect.DeepEqual(before, after) {
		t.Fatalf("it was written to: %v, then %v", before, after)
	}
	if _, err := transfer.Copy(t.Context(), b, to, quiet); err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Copy(t.Context(), memory().open(t, false), begin(a), quiet); !fault.Is(err, fault.Conflict) {
		t.Fatalf("a source that has less: %v", err)
	}
}

// wrong changes what is read of a log.
type wrong struct {
	streams.Restorer
	change func(tp streams.TP, r *streams.Record) bool // false: it is lost
}

func (w *wrong) Restore(ctx context.Context, tp streams.TP, recs []streams.Record) error {
	var kept []streams.Record
	for _, r := range recs {
		r.Topic, r.Partition = tp.Topic, tp.Partition
		if w.change(tp, &r) {
			kept = append(kept, r)
		}
	}
	return w.Restorer.Restore(ctx, tp, kept)
}

// TestCompare: whatever is different is found, and named by its position.
func TestCompare(t *testing.T) {
	from := memory().open(t, false)
	fill(t, from, 1, 60)
	feed := streams.TP{Topic: events.UserEventsTopic, Partition: 1}
	ledger := streams.TP{Topic: events.LedgerTopic}
	for name, c := range map[string]struct {
		at     streams.Position
		change func(r *streams.Record) bool
	}{
		"lost fact":   {streams.Position{TP: feed, Offset: 7}, func(*streams.Record) bool { return false }},
		"lost commit": {streams.Position{TP: ledger, Offset: 59}, func(*streams.Record) bool { return false }},
		"time":        {streams.Position{TP: feed, Offset: 8}, func(r *streams.Record) bool { r.Recorded = r.Recorded.Add(-time.Millisecond); return true }},
		"value":       {streams.Position{TP: feed, Offset: 9}, func(r *streams.Record) bool { r.Value = append(r.Value[:len(r.Value):len(r.Value)], ' '); return true }},
		"key":         {streams.Position{TP: feed, Offset: 10}, func(r *streams.Record) bool { r.Key = nil; return true }},
		"header":      {streams.Position{TP: feed, Offset: 11}, func(r *streams.Record) bool { r.Headers = r.Headers[1:]; return true }},
		"commit":      {streams.Position{TP: ledger, Offset: 30}, func(r *streams.Record) bool { r.Headers[1].Value = []byte("another-id"); return true }},
	} {
		to := memory().open(t, true).(streams.Restorer)
		cut, err := transfer.Copy(t.Context(), from, &wrong{to, func(_ streams.TP, r *streams.Record) bool { return r.Position != c.at || c.change(r) }}, quiet)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := transfer.Compare(t.Context(), from, to, cut, quiet); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), c.at.String()) {
			t.Errorf("%s: %v; want it found at %s", name, err, c.at)
		}
	}
	// Views find what was not copied too.
	to := memory().open(t, true).(streams.Restorer)
	cut, err := transfer.Copy(t.Context(), from, &wrong{to, func(_ streams.TP, r *streams.Record) bool { return r.TP != feed || r.Offset != 7 }}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.CompareViews(t.Context(), from, to, cut, t.TempDir(), views, quiet); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "histories") {
		t.Errorf("views: %v", err)
	}
}
