package react

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// groups are consumer groups on the bench's ledger, in memory: the eldest member of each is given its
// messages.
type groups struct {
	b       *bench
	mu      sync.Mutex
	next    map[string]int64 // acked below
	members map[string][]*groupMember
	changed chan struct{}
}

func newGroups(b *bench) *groups {
	return &groups{b: b, next: map[string]int64{}, members: map[string][]*groupMember{}, changed: make(chan struct{})}
}

func (g *groups) join(reactor string) (Group, error) {
	m := &groupMember{g: g, name: reactor, closing: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[reactor] = append(g.members[reactor], m)
	return m, nil
}

type groupMember struct {
	g       *groups
	name    string
	closing chan struct{}
	once    sync.Once
	running sync.WaitGroup
}

func (m *groupMember) Assigned() (int64, bool) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.next[m.name], len(m.g.members[m.name]) > 0 && m.g.members[m.name][0] == m
}

// leave lets the next member go on.
func (m *groupMember) leave() {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.g.members[m.name] = slices.DeleteFunc(m.g.members[m.name], func(x *groupMember) bool { return x == m })
	close(m.g.changed)
	m.g.changed = make(chan struct{})
}

func (m *groupMember) Close() error {
	m.once.Do(func() { close(m.closing) })
	m.running.Wait()
	return nil
}

func (m *groupMember) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	ctx, cancel := context.WithCancel(ctx)
	m.running.Go(func() {
		defer m.leave()
		defer cancel()
		select {
		case <-m.closing:
		case <-ctx.Done():
		}
	})
	m.running.Go(func() {
		defer close(out)
		tp := streams.TP{Topic: topic}
		for ctx.Err() == nil {
			from, here := m.Assigned()
			if !here {
				m.g.mu.Lock()
				changed := m.g.changed
				m.g.mu.Unlock()
				select {
				case <-changed:
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
				}
				continue
			}
			if m.g.b.log.Feed().Wait(ctx, tp, from) != nil {
				return
			}
			for rec, err := range m.g.b.log.Feed().Read(ctx, tp, from) {
				if err != nil {
					break
				}
				msg := message.NewMessage(rec.Position.String(), slices.Clone(rec.Value))
				msg.Metadata.Set(metaPosition, rec.Position.String())
				msg.SetContext(ctx)
				select {
				case out <- msg:
				case <-ctx.Done():
					return
				}
				select {
				case <-msg.Acked():
				case <-ctx.Done():
					return
				}
				m.g.mu.Lock()
				m.g.next[m.name] = rec.Offset + 1
				m.g.mu.Unlock()
				break
			}
		}
	})
	return out, nil
}

// TestGroup has three processes share the reactors' places: every task is done once, by whichever process
// its reactor is on, and when that one goes another does what is left. Events are not seen twice.
func TestGroup(t *testing.T) {
	b := newBench(t)
	g := newGroups(b)
	var all []*Reactors
	var stops []func()
	for range 3 {
		c := b.config(t.TempDir(), nil)
		c.Subscribe = g.join
		r := b.reactors(c)
		all, stops = append(all, r), append(stops, b.run(r))
	}
	id := b.importWorld(1500)
	b.wait("training", func() bool {
		run := b.workflowRun(id)
		return run.TaskOf(taskTrain).State == "running"
	})
	for _, st := range all[0].Stats(t.Context()) {
		if !st.Here {
			t.Errorf("%s is not on the eldest process", st.Reactor)
		}
	}
	stops[0]()
	b.checkOneEach(b.waitEnded(id))
	for _, st := range all[2].Stats(t.Context()) {
		if st.Here || st.Handled != 0 {
			t.Errorf("the youngest process: %+v", st)
		}
	}
	head, err := b.log.Ledger().Head(t.Context(), time.Time{})
	must(t, err)
	b.wait("no lag", func() bool {
		for _, st := range all[1].Stats(t.Context()) {
			if !st.Here || st.Lag != 0 || st.Offset < head {
				return false
			}
		}
		return true
	})
	// What came before is done for the group, whoever joins.
	stops[1]()
	stops[2]()
	c := b.config(t.TempDir(), nil)
	c.Subscribe = g.join
	late := b.reactors(c)
	b.run(late)
	b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: DataCollection, RunType: "manual"})
	b.waitEnded("r1")
	for _, st := range late.Stats(t.Context()) {
		if st.Reactor != nameIngester && st.Handled != 0 {
			t.Errorf("seen again: %+v", st)
		}
	}
}

// TestLostBlobs ends the process that made the training set, and its blobs with it: the next one makes the
// set again from the log, to the same bytes.
func TestLostBlobs(t *testing.T) {
	b := newBench(t)
	first, second := newBench(t), newBench(t) // for their blobs
	c := b.config(t.TempDir(), nil)
	c.Blobs = first.blobs
	ctx, cancel := context.WithCancel(context.Background())
	c.Dispatcher = refusing{b.outer, func(c commands.Command) error {
		if s, ok := c.(*commands.StartTask); ok && s.Task == taskTrain {
			cancel()
			return ctx.Err()
		}
		return nil
	}}
	r := b.reactors(c)
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	id := b.importWorld(1500)
	running.Wait()
	c = b.config(t.TempDir(), nil)
	c.Blobs = second.blobs
	b.run(b.reactors(c))
	run := b.waitEnded(id)
	b.checkOneEach(run)
	made := all[events.DatasetBuilt](b)
	if len(made) != 1 || !first.blobs.Has(made[0].Blob) || !second.blobs.Has(made[0].Blob) {
		t.Errorf("%+v", made)
	}
	if rmse := run.TaskOf(taskTrain).Output[runMLP+".rmse"]; rmse == "" {
		t.Error("the baseline was not trained on it")
	}
}

// TestClocksApart lets a worker die while another's clock is an hour before or behind: the task is taken
// over when its lease was seen to stand still for its length, not before, and not an hour later.
func TestClocksApart(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			b := newTaskBench(t)
			m := &mortal{Dispatcher: b.outer}
			working, die := make(chan struct{}), make(chan struct{})
			var both sync.WaitGroup
			both.Go(func() {
				b.perform(b.reactors(b.config(t.TempDir(), m)), func(ctx context.Context, w *work) (map[string]string, error) {
					close(working)
					<-die
					m.dead.Store(true)
					<-ctx.Done()
					return nil, ctx.Err()
				})
			})
			<-working
			clock := func() time.Time { return time.Now().Add(off) }
			c := b.config(t.TempDir(), handlers.New(handlers.Config{Ledger: b.log.Ledger(), Feed: b.log.Feed(), Now: clock, NewID: uuid.NewString}))
			c.Clock = clock
			taken := make(chan struct{})
			both.Go(func() {
				err := b.perform(b.reactors(c), func(ctx context.Context, w *work) (map[string]string, error) {
					close(taken)
					return map[string]string{"by": "second"}, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
			select {
			case <-taken:
				t.Error("taken from a worker that lives")
			case <-time.After(3 * c.Lease):
			}
			close(die)
			both.Wait()
			if run := b.workflowRun("r1"); run.TaskOf(taskFetch).State != "success" || run.TaskOf(taskFetch).Try != 2 {
				t.Errorf("%+v", run.TaskOf(taskFetch))
			}
		})
	}
}
