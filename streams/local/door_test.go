package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

var doorTP = streams.TP{Topic: events.UserEventsTopic, Partition: 1}

func tails(from, n int) (out [][]byte) {
	for i := range n {
		r := streams.Record{Key: []byte("k"), Value: fmt.Append(nil, from+i)}
		out = append(out, streams.AppendTail(nil, &r))
	}
	return out
}

func submit(l *Log, b TailBatch) (Appended, error) {
	a, err := l.SubmitTails(b)
	if err != nil {
		return Appended{}, err
	}
	return a.Wait()
}

// TestTails: records that come by their tails are those that Feed reads, and ReadTails gives the same.
func TestTails(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	defer l.Close()
	ctx := context.Background()
	for i := range 10 {
		a, err := submit(l, TailBatch{TP: doorTP, Tails: tails(10*i, 10), Producer: -1})
		if err != nil || a.Offset != int64(10*i) || a.Duplicate {
			t.Fatalf("%+v, %v", a, err)
		}
	}
	var want [][]byte
	for r, err := range l.Feed().Read(ctx, doorTP, 0) {
		if err != nil || string(r.Value) != fmt.Sprint(len(want)) {
			t.Fatal(r, err)
		}
		want = append(want, streams.AppendTail(nil, r))
	}
	for from := range int64(101) {
		next := from
		err := l.ReadTails(ctx, doorTP, from, func(offset, millis int64, tail []byte) bool {
			if offset != next || !bytes.Equal(tail, want[offset]) || millis == 0 {
				t.Fatalf("offset %d, %d: %q", offset, next, tail)
			}
			next++
			return next < from+20
		})
		if err != nil || next != min(from+20, 100) {
			t.Fatalf("from %d to %d: %v", from, next, err)
		}
	}
	for _, c := range []struct {
		b    TailBatch
		code fault.Code
	}{
		{TailBatch{TP: streams.TP{Topic: events.LedgerTopic}, Tails: tails(0, 1)}, fault.Invalid},
		{TailBatch{TP: streams.TP{Topic: "nope"}, Tails: tails(0, 1)}, fault.NotFound},
		{TailBatch{TP: doorTP}, fault.Invalid},
	} {
		if _, err := submit(l, c.b); !fault.Is(err, c.code) {
			t.Errorf("%+v: %v", c.b.TP, err)
		}
	}
	if s := l.Stats(); s.Facts != 100 {
		t.Errorf("%d facts", s.Facts)
	}
}

// TestTailsWatermark: a batch that is sent again while the first one waits for the disk waits with it.
func TestTailsWatermark(t *testing.T) {
	var held atomic.Bool
	release := make(chan struct{})
	syncing := make(chan struct{}, 100)
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			syncing <- struct{}{}
			<-release
		}
		return nil
	}))
	l := mustOpen(t, "log", Options{FS: fsys})
	defer l.Close()
	b := TailBatch{TP: doorTP, Tails: tails(0, 3), Producer: 1}
	held.Store(true)
	answers := make(chan Appended, 2)
	send := func() *PendingAppend {
		a, err := l.SubmitTails(b)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			r, err := a.Wait()
			if err != nil {
				t.Error(err)
			}
			answers <- r
		}()
		return a
	}
	send()
	<-syncing
	again := send()
	<-again.r.done // judged
	head, risen, err := l.Watch(doorTP)
	if err != nil || head != 0 {
		t.Fatalf("head %d, %v before the sync", head, err)
	}
	// Were the answer not held back, it would come soon.
	for range 1000 {
		runtime.Gosched()
	}
	if len(answers) != 0 {
		t.Fatal("answered before the sync")
	}
	held.Store(false)
	close(release)
	<-risen
	one, two := <-answers, <-answers
	if one.Duplicate == two.Duplicate || one.Offset != 0 || two.Offset != 0 {
		t.Errorf("%+v, %+v", one, two)
	}
}

func TestOffsets(t *testing.T) {
	fs := vfs.NewMem()
	var now atomic.Int64
	now.Store(1000)
	open := func() *Log {
		return mustOpen(t, "log", Options{FS: fs, Now: func() time.Time { return time.UnixMilli(now.Load()) }})
	}
	l := open()
	commit := func(group string, partition int32, offset int64) {
		t.Helper()
		tp := streams.TP{Topic: events.UserEventsTopic, Partition: partition}
		if err := l.CommitOffsets(group, []GroupOffset{{TP: tp, Offset: offset, Metadata: "m"}}); err != nil {
			t.Fatal(err)
		}
	}
	commit("a", 2, 7)
	commit("a", 0, 5)
	commit("ab", 0, 9)
	now.Store(2000)
	commit("a", 2, 8)
	for range 2 {
		got, err := l.GroupOffsets("a")
		if err != nil || len(got) != 2 || got[0].Partition != 0 || got[0].Offset != 5 || got[1].Offset != 8 || got[1].Metadata != "m" || got[1].Committed.UnixMilli() != 2000 {
			t.Errorf("%+v, %v", got, err)
		}
		groups, err := l.Groups()
		if err != nil || len(groups) != 2 || groups["a"].UnixMilli() != 2000 || groups["ab"].UnixMilli() != 1000 {
			t.Errorf("%v, %v", groups, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = open()
	}
	defer l.Close()
	if err := l.DeleteOffsets(context.Background(), "a"); err != nil {
		t.Fatal(err)
	}
	if groups, _ := l.Groups(); len(groups) != 1 {
		t.Errorf("%v", groups)
	}
	for _, name := range []string{"", "a\x00b", strings.Repeat("g", GroupBytesMax+1)} {
		if err := l.CommitOffsets(name, []GroupOffset{{TP: doorTP}}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := l.CommitOffsets("a", []GroupOffset{{TP: streams.TP{Topic: "nope"}}}); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestProducersCrash cuts the power while producers write: a producer that sends what was not
// acknowledged again finds its records once each, in order, whatever was left of the last write.
func TestProducersCrash(t *testing.T) {
	const writers = 3
	var sequence [writers]int32
	fs := vfs.NewCrashableMem()
	rng := rand.New(rand.NewPCG(5, 6))
	first := int64(-1)
	for range 15 {
		l := mustOpen(t, "log", Options{FS: fs})
		id, n, err := l.ReserveProducers()
		if err != nil || id <= first || n < 1 {
			t.Fatalf("producer ids from %d, before from %d: %v", id, first, err)
		}
		first = id + n - 1
		stop := make(chan struct{})
		var work sync.WaitGroup
		var acked [writers]atomic.Int32
		for w := range writers {
			from := sequence[w]
			acked[w].Store(from)
			work.Go(func() {
				for s := from; ; s += 2 {
					select {
					case <-stop:
						return
					default:
					}
					b := TailBatch{TP: streams.TP{Topic: events.UserEventsTopic, Partition: int32(w)}, Tails: tails(int(s), 2), Producer: int64(w), Sequence: s}
					a, err := submit(l, b)
					if err != nil || a.Offset != int64(s) {
						t.Errorf("writer %d sequence %d: %+v, %v", w, s, a, err)
						return
					}
					acked[w].Store(s + 2)
				}
			})
		}
		time.Sleep(time.Duration(rng.IntN(4000)) * time.Microsecond)
		for w := range writers {
			sequence[w] = acked[w].Load()
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		close(stop)
		work.Wait()
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		fs = crashed
		l = mustOpen(t, "log", Options{FS: fs})
		for w := range writers {
			next := int64(0)
			for r, err := range l.Feed().Read(context.Background(), streams.TP{Topic: events.UserEventsTopic, Partition: int32(w)}, 0) {
				if err != nil || string(r.Value) != fmt.Sprint(next) {
					t.Fatalf("%s holds %s; want %d, %v", r.Position, r.Value, next, err)
				}
				next++
			}
			if next < int64(sequence[w]) {
				t.Fatalf("writer %d: %d records of %d acknowledged", w, next, sequence[w])
			}
			// What was acknowledged between the look and the crash was so to the writer too: it sends its last
			// batch again at most.
			sequence[w] = max(sequence[w], int32(next)-2)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProducersCache: the states outlive the cache's end.
func TestProducersCache(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	defer l.Close()
	const n = producersMax + 100
	var pending []*PendingAppend
	send := func(sequence int32) {
		for id := range int64(n) {
			a, err := l.SubmitTails(TailBatch{TP: doorTP, Tails: tails(0, 1), Producer: id, Sequence: sequence})
			if err != nil {
				t.Fatal(err)
			}
			pending = append(pending, a)
		}
		for _, a := range pending {
			if _, err := a.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		pending = pending[:0]
	}
	send(0)
	send(1)
	if _, err := submit(l, TailBatch{TP: doorTP, Tails: tails(0, 1), Producer: 3, Sequence: 7}); !errors.Is(err, ErrOutOfOrderSequence) {
		t.Error(err)
	}
	if a, err := submit(l, TailBatch{TP: doorTP, Tails: tails(0, 1), Producer: 3, Sequence: 1}); err != nil || !a.Duplicate {
		t.Errorf("%+v, %v", a, err)
	}
}

func FuzzDoorKeys(f *testing.F) {
	f.Add("g", "user-events", int32(2), int64(5), "meta", []byte("gg\x00t\x00\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, group, topic string, partition int32, n int64, metadata string, raw []byte) {
		tp := streams.TP{Topic: topic, Partition: partition & 0x7fffffff}
		if checkGroup(group) == nil && topic != "" && !strings.Contains(topic, "\x00") {
			k := offsetKey(group, tp)
			if g, have, ok := parseOffsetKey(k); !ok || g != group || have != tp {
				t.Fatalf("%q is parsed as %q %v %v", k, g, have, ok)
			}
			if bytes.Compare(k, groupKey(group)) < 0 || bytes.Compare(k, groupKeyEnd(group)) >= 0 {
				t.Fatal("a group's keys are not by themselves")
			}
			if end := tableEnd(k); bytes.Compare(k, end) >= 0 {
				t.Fatalf("the table of %q ends at %q", k, end)
			}
		}
		if g, have, ok := parseOffsetKey(raw); ok && !bytes.Equal(offsetKey(g, have), raw) {
			t.Fatalf("%q is parsed and written otherwise", raw)
		}
		if o, m, s, err := parseOffset(appendOffset(nil, n, n+1, metadata)); err != nil || o != n || m != n+1 || s != metadata {
			t.Fatal(o, m, s, err)
		}
		if s, err := parseProducerState(raw); err == nil && !bytes.Equal(appendProducerState(nil, s), raw) {
			t.Fatalf("%x is parsed and written otherwise", raw)
		}
		s := &producerState{millis: n, epoch: int16(n), batches: []producerBatch{{1, 2, n, n}, {partition, 4, 5, 6}}}
		again, err := parseProducerState(appendProducerState(nil, s))
		if err != nil || again.millis != s.millis || again.epoch != s.epoch || !slices.Equal(again.batches, s.batches) {
			t.Fatalf("%+v is parsed as %+v, %v", s, again, err)
		}
	})
}

// TestDiskUsage: each partition's own records count, once they are on disk.
func TestDiskUsage(t *testing.T) {
	l, err := OpenMem(Options{ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const records = 1000
	recs := make([]streams.Record, records)
	for i := range recs {
		recs[i] = streams.Record{Key: []byte("key"), Value: fmt.Appendf(nil, "value %d", i)}
	}
	if err := l.Feed().Publish(t.Context(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	if err := l.db.Flush(); err != nil {
		t.Fatal(err)
	}
	full := recs[0].Position.TP
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		n, err := l.DiskUsage(tp)
		if err != nil || tp == full && n < records || tp != full && n > records {
			t.Errorf("%s takes %d bytes, %v", tp, n, err)
		}
	}
	if _, err := l.DiskUsage(streams.TP{Topic: "nope"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestDeleteOffsetsOf: the named partitions' offsets go, those of others and of other groups stay.
func TestDeleteOffsetsOf(t *testing.T) {
	l, err := OpenMem(Options{ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	tps := streams.PartitionsOf(events.UserEventsTopic)
	for _, group := range []string{"g", "h"} {
		var offsets []GroupOffset
		for _, tp := range tps {
			offsets = append(offsets, GroupOffset{TP: tp, Offset: 7})
		}
		if err := l.CommitOffsets(group, offsets); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.DeleteOffsetsOf("g", tps[:2]); err != nil {
		t.Fatal(err)
	}
	for group, want := range map[string][]streams.TP{"g": tps[2:], "h": tps} {
		offsets, err := l.GroupOffsets(group)
		var got []streams.TP
		for _, o := range offsets {
			got = append(got, o.TP)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s has offsets of %v, %v; want %v", group, got, err, want)
		}
	}
	if err := l.DeleteOffsetsOf("", tps); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
