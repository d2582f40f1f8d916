package kafka

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// gaps notes the longest time in which nobody got an answer that something is written.
type gaps struct {
	mu      sync.Mutex
	last    time.Time
	longest time.Duration
}

func (g *gaps) ack() {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !g.last.IsZero() {
		g.longest = max(g.longest, now.Sub(g.last))
	}
	g.last = now
}

func (g *gaps) take() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.longest
	g.longest = 0
	return d
}

// TestKilledBrokers kills every broker of the cluster in turn with SIGKILL, under load from six writers
// and three publishers on three nodes, and starts it again; then one hangs for a while. Nothing acknowledged is lost, nothing is
// there twice, and all nodes have the same. PROJECTIONIST_KAFKA_KILLS is the number of kills, default as
// many as there are brokers.
func TestKilledBrokers(t *testing.T) {
	clusterDir(t)
	opts := testOptions(t)
	kills := len(opts.Brokers)
	if s := os.Getenv("PROJECTIONIST_KAFKA_KILLS"); s != "" {
		var err error
		if kills, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	opts.WriteTimeout, opts.ReadTimeout = time.Minute, time.Minute
	nodes := []*Log{node(t, opts), node(t, opts), node(t, opts)}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	stop := make(chan struct{})
	stopped := func() bool {
		select {
		case <-stop:
			return true
		default:
			return false
		}
	}
	h := history{doubtful: map[string]bool{}}
	var appends, facts gaps
	var unknown, conflicts atomic.Int64
	var load sync.WaitGroup
	for w := range 6 {
		load.Go(func() {
			l := nodes[w%3]
			rng := rand.New(rand.NewPCG(3, uint64(w)))
			head := map[string]streams.Revision{}
			for n := 0; !stopped(); n++ {
				stream := fmt.Sprint("run/", rng.IntN(5))
				expected, ok := head[stream]
				if !ok {
					expected = streams.NoStream
				}
				c := testCommit(fmt.Sprintf("w%d-%d", w, n), stream, expected, 1+rng.IntN(2))
				// Some callers are impatient: what they gave up on they send again.
				try, cancel := context.WithTimeout(ctx, time.Duration(50+rng.IntN(20_000))*time.Millisecond)
				r, err := l.Ledger().Append(try, c)
				cancel()
				for fault.Is(err, fault.Unknown) && ctx.Err() == nil {
					unknown.Add(1)
					r, err = nodes[rng.IntN(3)].Ledger().Append(ctx, c) // any node takes it
				}
				switch fault.CodeOf(err) {
				case "":
					h.accept(c.ID, r)
					head[stream] = r.Revision
					appends.ack()
				case fault.Conflict:
					conflicts.Add(1)
					for c, err := range l.Ledger().ReadStream(ctx, stream, max(expected, 0)) {
						if err != nil {
							t.Error(err)
							return
						}
						head[stream] = c.Revision + streams.Revision(len(c.Events)) - 1
					}
				case fault.Unavailable: // not written
				default:
					t.Errorf("append %s: %v", c.ID, err)
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	type sent struct {
		pos   streams.Position
		value string
	}
	published := make([][]sent, 3)
	for w := range 3 {
		load.Go(func() {
			for n := 0; !stopped(); n++ {
				recs := make([]streams.Record, 1+n%40)
				for i := range recs {
					recs[i] = streams.Record{Key: []byte(strconv.Itoa((n + i) % 50)), Value: fmt.Appendf(nil, "p%d-%d-%d", w, n, i)}
				}
				err := nodes[w].Feed().Publish(ctx, events.UserEventsTopic, recs)
				if err != nil {
					if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
						t.Error(err)
						return
					}
					continue
				}
				facts.ack()
				for _, r := range recs {
					published[w] = append(published[w], sent{r.Position, string(r.Value)})
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	time.Sleep(2 * time.Second)
	appends.take()
	facts.take()
	for k := range kills {
		n := strconv.Itoa(k%len(opts.Brokers) + 1)
		clusterScript(t, "kill", n)
		time.Sleep(6 * time.Second)
		t.Logf("broker %s killed: longest time without an append %v, without a publish %v", n, appends.take().Round(time.Millisecond), facts.take().Round(time.Millisecond))
		clusterScript(t, "start", n)
		time.Sleep(4 * time.Second)
		t.Logf("broker %s started: longest time without an append %v, without a publish %v", n, appends.take().Round(time.Millisecond), facts.take().Round(time.Millisecond))
	}
	// A broker that hangs keeps its connections.
	clusterScript(t, "pause", "1")
	time.Sleep(15 * time.Second)
	clusterScript(t, "resume", "1")
	time.Sleep(3 * time.Second)
	t.Logf("broker 1 hung for 15s: longest time without an append %v, without a publish %v", appends.take().Round(time.Millisecond), facts.take().Round(time.Millisecond))
	close(stop)
	load.Wait()
	if t.Failed() {
		return
	}
	fresh := node(t, opts)
	h.check(t, append(nodes, fresh)...)
	have := map[string]streams.Position{}
	for p := range int32(3) {
		for r, err := range fresh.Feed().Read(ctx, streams.TP{Topic: events.UserEventsTopic, Partition: p}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if old, twice := have[string(r.Value)]; twice {
				t.Errorf("fact %s is at %s and at %s", r.Value, old, r.Position)
			}
			have[string(r.Value)] = r.Position
		}
	}
	count := 0
	for _, all := range published {
		for _, s := range all {
			if have[s.value] != s.pos {
				t.Fatalf("fact %s was acknowledged at %s and is at %s", s.value, s.pos, have[s.value])
			}
		}
		count += len(all)
	}
	t.Logf("%d kills: %d commits accepted, %d conflicts, %d answers in doubt, %d facts; stats %+v", kills, len(h.receipts), conflicts.Load(), unknown.Load(), count, fresh.Stats())
	if len(h.receipts) == 0 || count == 0 {
		t.Error("there was no load")
	}
}

// TestBrokerGone stops a broker without a replacement for a while: appends end in time and say what they
// are, reads of the ledger go on, and everything resumes by itself. PROJECTIONIST_KAFKA_GONE is how long,
// default 5s.
func TestBrokerGone(t *testing.T) {
	clusterDir(t)
	opts := testOptions(t)
	if len(opts.Brokers) != 1 {
		t.Skip("this is for a cluster of one broker")
	}
	gone := 5 * time.Second
	if s := os.Getenv("PROJECTIONIST_KAFKA_GONE"); s != "" {
		var err error
		if gone, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	opts.WriteTimeout, opts.ReadTimeout = 2*time.Second, 2*time.Second
	l := mustOpen(t, opts)
	ctx := newContext(t)
	first, err := l.Ledger().Append(ctx, testCommit("a", "model/als", streams.NoStream, 1))
	if err != nil {
		t.Fatal(err)
	}
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	if err := l.Feed().Publish(ctx, tp.Topic, []streams.Record{{Key: []byte("k"), Value: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	waited, waitedFeed := make(chan error, 1), make(chan error, 1)
	go func() { waited <- l.Ledger().Wait(ctx, first.Position.Offset+1) }()
	go func() { waitedFeed <- l.Feed().Wait(ctx, tp, 1) }()
	clusterScript(t, "kill", "1")
	back := time.Now().Add(gone)
	c := testCommit("b", "model/als", 0, 1)
	if _, err := l.Ledger().Append(ctx, c); !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("append without a broker: %v", err)
	}
	if err := l.Feed().Publish(ctx, tp.Topic, []streams.Record{{Key: []byte("k"), Value: []byte("lost?")}}); !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
		t.Errorf("publish without a broker: %v", err)
	}
	if _, err := l.Feed().Head(ctx, tp, time.Time{}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("head of a feed without a broker: %v", err)
	}
	if all := commitsOf(t, l, -1); len(all) != 1 {
		t.Errorf("%d commits are read without a broker", len(all))
	}
	if r, err := l.Ledger().Append(ctx, testCommit("a", "model/als", streams.NoStream, 1)); err != nil || !r.Duplicate {
		t.Errorf("what is known to be accepted: %+v, %v", r, err)
	}
	time.Sleep(time.Until(back))
	clusterScript(t, "start", "1")
	start := time.Now()
	var r streams.Receipt
	for {
		if r, err = l.Ledger().Append(ctx, c); err == nil {
			break
		}
		if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	t.Logf("the first append %v after the broker was back", time.Since(start).Round(time.Millisecond))
	if r.Revision != 1 {
		t.Fatalf("receipt %+v", r)
	}
	if err := <-waited; err != nil {
		t.Errorf("a wait over the outage: %v", err)
	}
	for {
		if err = l.Feed().Publish(ctx, tp.Topic, []streams.Record{{Key: []byte("k"), Value: []byte("2")}}); err == nil {
			break
		}
		if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if err := <-waitedFeed; err != nil {
		t.Errorf("a wait over the outage: %v", err)
	}
	if all := commitsOf(t, l, r.Position.Offset); len(all) != 2 {
		t.Errorf("%d commits after the outage; want 2", len(all))
	}
}
