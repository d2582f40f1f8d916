package react_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
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

func (g *groups) join(reactor string) (react.Group, error) {
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
	from, here, _ := m.turn()
	return from, here
}

// turn is what Assigned says, until changed is closed.
func (m *groupMember) turn() (from int64, here bool, changed chan struct{}) {
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	return m.g.next[m.name], len(m.g.members[m.name]) > 0 && m.g.members[m.name][0] == m, m.g.changed
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
			from, here, changed := m.turn()
			if !here {
				select {
				case <-changed:
				case <-ctx.Done():
				}
				continue
			}
			if m.g.b.log.Feed().Wait(ctx, tp, from) != nil {
				return
			}
			for rec, err := range m.g.b.log.Feed().Read(ctx, tp, from) {
				if err != nil || !m.deliver(ctx, out, rec) {
					break
				}
			}
		}
	})
	return out, nil
}

// deliver gives a record and waits for its ack.
func (m *groupMember) deliver(ctx context.Context, out chan<- *message.Message, rec *streams.Record) bool {
	msg := message.NewMessage(rec.Position.String(), slices.Clone(rec.Value))
	msg.Metadata.Set("position", rec.Position.String())
	msg.SetContext(ctx)
	select {
	case out <- msg:
	case <-ctx.Done():
		return false
	}
	select {
	case <-msg.Acked():
	case <-msg.Nacked():
		return false
	case <-ctx.Done():
		return false
	}
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	m.g.next[m.name] = rec.Offset + 1
	return true
}

// TestGroup has three processes share the reactors' places: every task is done once, by whichever process
// its reactor is on, and when that one goes another does what is left. Events are not seen twice.
func TestGroup(t *testing.T) {
	bubble(t, func(b *bench) {
		g := newGroups(b)
		var processes []*react.Reactors
		var stops []func()
		working, rings := make(chan int, 3), 0
		join := func(kneading do) {
			c := b.config(b.TempDir(), nil)
			c.Subscribe = g.join
			r, stop := b.run(c, roles(kneading, well, func(context.Context, *react.Reaction) error { rings++; return nil }))
			processes, stops = append(processes, r), append(stops, stop)
		}
		for i := range 3 {
			join(func(ctx context.Context, _ *react.Work) (map[string]string, error) {
				if working <- i; i > 0 {
					return nil, nil
				}
				<-ctx.Done()
				return nil, ctx.Err()
			})
		}
		b.list("1")
		b.request("r1")
		if first := <-working; first != 0 {
			t.Errorf("process %d works on the task, not the eldest", first)
		}
		for _, st := range processes[0].Stats(b.Context()) {
			if !st.Here {
				t.Errorf("%s is not on the eldest process", st.Reactor)
			}
		}
		synctest.Wait() // what came before the run is handled, and said to be
		stops[0]()
		run := b.ended("r1")
		if second := <-working; second != 1 || run.State != "success" || run.TaskOf(knead).Try != 2 || rings != 1 {
			t.Errorf("process %d went on, films were handled %d times; %+v", second, rings, run)
		}
		synctest.Wait()
		for _, st := range processes[2].Stats(b.Context()) {
			if st.Here || st.Handled != 0 {
				t.Errorf("the youngest process: %+v", st)
			}
		}
		for _, st := range processes[1].Stats(b.Context()) {
			if !st.Here || st.Lag != 0 || st.Failed != 0 {
				t.Errorf("the one that went on: %+v", st)
			}
		}
		// What came before is done for the group, whoever joins.
		stops[1]()
		stops[2]()
		join(well)
		b.request("r2")
		if run := b.ended("r2"); run.State != "success" {
			t.Errorf("%+v", run)
		}
		synctest.Wait()
		for _, st := range processes[3].Stats(b.Context()) {
			if st.Handled != 0 {
				t.Errorf("seen again: %+v", st)
			}
		}
		if n := len(all[events.TaskSucceeded](b)); n != 4 {
			t.Errorf("%d tasks succeeded; want each of both runs once", n)
		}
	})
}
