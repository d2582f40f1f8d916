package fold_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// personIn is a person whose facts go to the partition.
func personIn(t testing.TB, partition int32) string {
	t.Helper()
	for i := range 1000 {
		if id := fmt.Sprint(i); streams.PartitionOf([]byte(id), 3) == partition {
			return id
		}
	}
	t.Fatalf("nobody of a thousand is in partition %d", partition)
	return ""
}

// act publishes one fact of a person.
func act(t testing.TB, log streams.Log, user, film string, seconds int) streams.Record {
	t.Helper()
	at := time.Unix(int64(seconds), 0).UTC()
	ev := events.Event{ID: fmt.Sprint(user, "/", seconds), Source: "/test", Time: at,
		Data: &events.Interaction{UserID: user, MovieID: film, Kind: "view", Timestamp: events.FormatTime(at)}}
	rec, err := streams.FactRecord(user, &ev)
	if err != nil {
		t.Fatal(err)
	}
	recs := []streams.Record{rec}
	if err := log.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	return recs[0]
}

// blocked is a view that does not come back from the film "block" until it is let go.
type blocked struct{ entered, leave chan struct{} }

func (blocked) Spec() fold.Spec {
	return fold.Spec{Name: "blocked", Format: 1, Topics: []string{events.UserEventsTopic}}
}
func (blocked) Open(fold.Reader) error  { return nil }
func (blocked) Flush(fold.Writer) error { return nil }
func (v blocked) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if in[i].Event.Data.(*events.Interaction).MovieID == "block" {
			v.entered <- struct{}{}
			<-v.leave
		}
		if err := w.Set(fold.Table('n').Fact(&in[i], 0), nil); err != nil {
			return err
		}
	}
	return nil
}

// A view that nobody awaits may be in the midst of the very record.
func TestSettleLeavesReportsOut(t *testing.T) {
	log, store := testLog(t), testStore(t)
	v := blocked{make(chan struct{}, 1), make(chan struct{})}
	r, err := fold.NewRunner(context.Background(), log, store, append([]fold.Factory{func() fold.View { return report{v} }}, tallies...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	defer func() {
		close(v.leave)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	at := act(t, log, personIn(t, 0), "block", 1)
	<-v.entered
	settled, end := context.WithTimeout(ctx, 5*time.Minute)
	defer end()
	if err := r.Settle(settled, at.Position); err != nil {
		t.Fatal(err)
	}
	if r.FoldedTo("tally", at.TP) <= at.Offset {
		t.Error("a view that is awaited does not have it")
	}
}

// report is a blocked view that nobody awaits.
type report struct{ blocked }

func (v report) Spec() fold.Spec {
	s := v.blocked.Spec()
	s.Unawaited = true
	return s
}

// A view that takes its time holds up nobody: not the others on its partition, and not a click on another.
func TestABlockedViewDelaysNobody(t *testing.T) {
	log, store := testLog(t), testStore(t)
	v := blocked{make(chan struct{}, 1), make(chan struct{})}
	r, err := fold.NewRunner(context.Background(), log, store, append([]fold.Factory{func() fold.View { return v }}, tallies...)...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	leave := sync.OnceFunc(func() { close(v.leave) })
	defer func() {
		leave()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	slow, other := personIn(t, 0), personIn(t, 1)
	block := act(t, log, slow, "block", 1)
	<-v.entered
	free := []string{"online", "histories", "tally", "lazy-tally", "quarantine"}
	for i := range 20 {
		wait(t, r, []streams.Record{act(t, log, other, fmt.Sprint(i), 10+i), act(t, log, slow, fmt.Sprint(i), 10+i)}, free...)
	}
	for user, want := range map[string]int{slow: 21, other: 20} {
		if got, _ := learned(t, r, user); got != want {
			t.Errorf("the model has %d facts of %s, want %d", got, user, want)
		}
	}
	// Who asks for all that is at hand is not held up either.
	at := act(t, log, other, "at hand", 50)
	if err := r.Settle(ctx, at.Position); err != nil {
		t.Fatal(err)
	}
	for _, view := range free {
		if r.FoldedTo(view, at.TP) <= at.Offset {
			t.Errorf("%s does not have what was at hand", view)
		}
	}
	short, end := context.WithCancel(ctx)
	end()
	if r.Wait(short, block.Position, "blocked") == nil {
		t.Error("the blocked view says that it has folded what blocks it")
	}
	leave()
	wait(t, r, []streams.Record{block, act(t, log, other, "last", 99)})
}

// What the model holds and the cut that is read with it are of one moment.
func TestTheCutIsOfWhatTheModelHolds(t *testing.T) {
	const acts = 150
	log, store := testLog(t), testStore(t)
	r, stop := running(t, log, store)
	var publishing sync.WaitGroup
	users := [3]string{}
	for p := range users {
		users[p] = personIn(t, int32(p))
		publishing.Go(func() {
			for i := range acts {
				act(t, log, users[p], fmt.Sprint(i), i)
			}
		})
	}
	seen := 0
	for seen < len(users)*acts && !t.Failed() {
		seen = 0
		for p, user := range users {
			facts, cut := learned(t, r, user)
			covered := int(cut[streams.TP{Topic: events.UserEventsTopic, Partition: int32(p)}])
			if facts != covered {
				t.Errorf("the model has %d facts of partition %d, and the cut covers %d", facts, p, covered)
			}
			seen += covered
		}
	}
	publishing.Wait()

	stop()
	r, stop = running(t, log, store) // the model begins where it was saved
	defer stop()
	for p, user := range users {
		facts, cut := learned(t, r, user)
		if covered := int(cut[streams.TP{Topic: events.UserEventsTopic, Partition: int32(p)}]); facts != acts || covered != acts {
			t.Errorf("opened with %d facts of partition %d, and a cut that covers %d", facts, p, covered)
		}
	}
}

// learned is how many facts of a person the online model has, and the cut that is read with it.
func learned(t *testing.T, r *fold.Runner, user string) (facts int, cut streams.Cut) {
	t.Helper()
	err := fold.Of[*projections.Online](r).ReadFor(user, func(m *online.Model, at streams.Cut) { facts, cut = m.UserEvents(user), at.Clone() })
	if err != nil {
		t.Fatal(err)
	}
	return facts, cut
}

// heaviest notes how much it was ever given at once, in bytes of data.
type heaviest struct{ most, commits int }

func (v *heaviest) Spec() fold.Spec {
	return fold.Spec{Name: "heaviest", Format: 1, Topics: fold.LedgerTopics}
}
func (v *heaviest) Open(fold.Reader) error  { return nil }
func (v *heaviest) Flush(fold.Writer) error { return nil }
func (v *heaviest) Apply(_ fold.Writer, in []fold.Input) error {
	n := 0
	for i := range in {
		n += len(in[i].Event.Raw)
	}
	v.most, v.commits = max(v.most, n), v.commits+len(in)
	return nil
}

// TestLargeCommits: of large commits few are held at once.
func TestLargeCommits(t *testing.T) {
	log, v := testLog(t), &heaviest{}
	const commits, each = 20, 900_000
	for i := range commits {
		c := streams.Commit{ID: uuid.NewString(), Stream: fmt.Sprint("experiment/", i), Expected: streams.NoStream, Events: []events.Event{{ID: uuid.NewString(), Source: "/test", Time: time.UnixMilli(1).UTC(),
			Data: &events.ExperimentCreated{ExperimentID: fmt.Sprint(i), Name: fmt.Sprint(i), Description: strings.Repeat("x", each)}}}}
		if _, err := log.Ledger().Append(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := fold.Replay(t.Context(), log, testStore(t), streams.Cut{{Topic: events.LedgerTopic}: commits}, nil, func() fold.View { return v }); err != nil {
		t.Fatal(err)
	}
	if v.commits != commits || v.most > 11*each {
		t.Errorf("%d commits; at once up to %d bytes of %d", v.commits, v.most, commits*each)
	}
}

// batches counts how often it is called, and with how many inputs.
type batches struct{ calls, inputs atomic.Int64 }

func (*batches) Spec() fold.Spec {
	return fold.Spec{Name: "batches", Format: 1, Topics: []string{events.UserEventsTopic}}
}
func (*batches) Open(fold.Reader) error  { return nil }
func (*batches) Flush(fold.Writer) error { return nil }
func (v *batches) Apply(w fold.Writer, in []fold.Input) error {
	v.calls.Add(1)
	v.inputs.Add(int64(len(in)))
	return w.Set(fold.Table('n'), nil)
}

// What comes while nobody waits is folded together; who waits, before it comes or after, has it at once.
func TestGather(t *testing.T) {
	log, v := testLog(t), &batches{}
	r, err := fold.NewRunner(context.Background(), log, testStore(t), func() fold.View { return v })
	if err != nil {
		t.Fatal(err)
	}
	r.GatherFor(time.Hour)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.Run(running) }()
	user, last := personIn(t, 0), streams.Record{}
	for i := range 300 {
		last = act(t, log, user, "a", i)
	}
	for i := range 2 {
		if err := r.Settle(ctx, last.Position); err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(ctx, last.Position, "batches"); err != nil {
			t.Fatal(err)
		}
		next := last.Position
		next.Offset++
		waited := make(chan error, 3)
		for range cap(waited) {
			go func() { waited <- r.Wait(ctx, next) }()
		}
		last = act(t, log, user, "b", 400+i)
		for range cap(waited) {
			if err := <-waited; err != nil {
				t.Fatal(err)
			}
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if inputs, calls := v.inputs.Load(), v.calls.Load(); inputs != 302 || calls > 8 { // some may have come before anybody looked, or the log was seen to grow
		t.Errorf("%d inputs in %d calls", inputs, calls)
	}
}

// While others need the processors a view that nobody awaits waits, but not for ever; who waits for it has it at once.
func TestYield(t *testing.T) {
	for name, within := range map[string]time.Duration{"others cease": time.Hour, "others never cease": 1} {
		t.Run(name, func(t *testing.T) {
			log, v := testLog(t), &batches{}
			r, err := fold.NewRunner(context.Background(), log, testStore(t), func() fold.View { return v })
			if err != nil {
				t.Fatal(err)
			}
			r.GatherFor(time.Millisecond)
			r.YieldWithin(within)
			var busy atomic.Bool
			busy.Store(true)
			asked := make(chan struct{})
			r.YieldTo(func() bool {
				select {
				case asked <- struct{}{}:
				default:
				}
				return busy.Load()
			})
			running, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.Run(running) }()
			user, n := personIn(t, 0), 0
			come := func() streams.Position { n++; return act(t, log, user, "a", n).Position }
			folded := func() {
				for v.inputs.Load() != int64(n) {
					time.Sleep(time.Millisecond)
				}
			}
			first := come()
			if within == time.Hour {
				for tries := 0; ; tries++ {
					for range 10 {
						<-asked
					}
					if v.inputs.Load() < int64(n) {
						break
					}
					if tries == 10 {
						t.Fatalf("all %d were folded while others needed the processors", n)
					}
					first = come() // what was there before the view had nothing to do is folded at once
				}
				if err := r.Wait(t.Context(), first); err != nil {
					t.Fatal(err)
				}
				come()
				busy.Store(false)
			}
			folded()
			come()
			folded()
			stop()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		})
	}
}
