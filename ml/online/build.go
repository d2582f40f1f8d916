package online

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/projectionist/projectionist/ml/signal"
)

// Event is what [Model.Add] takes, with person and item as places in the lists that [Of] is given.
type Event struct {
	User, Item int32
	TimeMillis int64
	ID         uint64
	Signal     signal.Signal
}

// Of is the model of n events: what [New] and an [Model.Add] of each give, in a tenth of the time where each person's
// events come in order of (time, id), none twice. event gives the event at a place, the same whenever it is asked.
func Of(users, items []string, n int, event func(i int) Event) *Model {
	b := builder{m: New(), n: n, event: event, users: users, items: items}
	if !b.ordered() {
		for i := range n {
			e := event(i)
			b.m.Add(users[e.User], items[e.Item], e.TimeMillis, e.ID, e.Signal)
		}
		return b.m
	}
	b.place()
	b.pairs()
	return b.m
}

// builder makes a model of events that are in order. A pair is counted where its first event is, item by item, so that
// the counts of one item stay in the cache: event by event, each would be a miss.
type builder struct {
	m            *Model
	n            int
	event        func(i int) Event
	users, items []string

	counted, other []uint32 // events by person, as places in users
	// following is the model's item of each counted event, person by person, with a gap after each person's last.
	following []uint32
}

// gap is no item.
const gap = ^uint32(0)

// ordered says whether every person's events are in order, and counts them.
func (b *builder) ordered() bool {
	b.counted, b.other = make([]uint32, len(b.users)), make([]uint32, len(b.users))
	last := make([]entry, len(b.users))
	for i := range b.n {
		e := b.event(i)
		next := entry{time: e.TimeMillis, id: e.ID}
		if u := e.User; b.counted[u]+b.other[u] > 0 && last[u].compare(&next) >= 0 {
			return false
		}
		last[e.User] = next
		if valid(e.Signal).Counted() {
			b.counted[e.User]++
		} else {
			b.other[e.User]++
		}
	}
	return true
}

// place puts every event where it stands, and counts all but pairs.
func (b *builder) place() {
	m := b.m
	people, films := make([]*user, len(b.users)), unknown(len(b.items))
	var met []*user // in order of their first event
	var counted, other int
	for u := range b.users {
		counted, other = counted+int(b.counted[u]), other+int(b.other[u])
	}
	for i := range b.n {
		e := b.event(i)
		if people[e.User] == nil {
			u := m.newUser(b.users[e.User])
			people[e.User], met = u, append(met, u)
		}
		if films[e.Item] == gap {
			films[e.Item] = m.internItem(b.items[e.Item])
		}
	}
	var items sync.WaitGroup
	items.Go(func() { // beside the histories
		for i := range b.n {
			e := b.event(i)
			m.tallyItem(films[e.Item], e.TimeMillis, valid(e.Signal), +1)
		}
	})
	allCounted, allOther := make([]entry, counted), make([]entry, other)
	for place, u := range people {
		if u == nil {
			continue
		}
		m.touchUser(u)
		u.counted, allCounted = cut(allCounted, b.counted[place])
		u.other, allOther = cut(allOther, b.other[place])
	}
	for i := range b.n {
		e := b.event(i)
		e.Signal = valid(e.Signal)
		list := people[e.User].list(e.Signal)
		*list = append(*list, entry{e.TimeMillis, e.ID, films[e.Item], e.Signal})
	}
	b.following = make([]uint32, 0, counted+len(met))
	for _, u := range met {
		for k := range u.counted {
			b.following = append(b.following, u.counted[k].item)
		}
		b.following = append(b.following, gap)
	}
	items.Wait()
}

// valid is a signal, or 0 for one that no definition gives.
func valid(s signal.Signal) signal.Signal {
	if !s.Valid() {
		return 0
	}
	return s
}

func unknown(n int) []uint32 {
	list := make([]uint32, n)
	for i := range list {
		list[i] = gap
	}
	return list
}

// cut gives an empty list with room for n, and what is left of all.
func cut(all []entry, n uint32) (list, rest []entry) { return all[:0:n], all[n:] }

// pairs counts what came after each item, on all processors.
func (b *builder) pairs() {
	m := b.m
	start := make([]uint32, len(m.items)+1) // of an item's events in at
	for i, n := range m.counted {
		start[i+1] = start[i] + n
	}
	at, next := make([]uint32, start[len(m.items)]), append([]uint32(nil), start...)
	for k, item := range b.following {
		if item != gap {
			at[next[item]] = uint32(k)
			next[item]++
		}
	}
	var turn atomic.Int64
	work := func() {
		var counts sheet
		counts.widen(len(m.items))
		for {
			i := uint32(turn.Add(1) - 1)
			if int(i) >= len(m.items) {
				return
			}
			for _, k := range at[start[i]:start[i+1]] {
				for _, j := range b.following[k+1 : min(int(k)+1+Window, len(b.following))] {
					if j == gap {
						break
					}
					if j != i {
						counts.add(j, 1)
					}
				}
			}
			m.items[i].next.fill(&counts)
		}
	}
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	for i := range m.items {
		if it := &m.items[i]; len(it.next.packed) > 0 {
			m.touchNext(uint32(i), it)
		}
	}
}
