package react

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
)

// gate lets tasks begin: as many of a role as it has slots here, and as many of a pool as that has, the greater priority first, then
// the run that was requested first. In a pool nobody overtakes who waits for more slots than are free. One that wants more than its pool has at all, or whose
// pool there is not, waits until that changes, and holds up nobody.
//
// Slots of a pool hold over all nodes. What tasks have there the ledger says, and where two nodes take the last slots at once, so
// does it who was first: the other one gives its task back before it begins to work.
type gate struct {
	shared bool // there may be other nodes

	mu      sync.Mutex
	roles   map[string]int // slots of this process
	pools   map[string]int // slots; -1: any number
	used    map[string]int // of roles
	taken   map[string]int // of pools, by this process
	waiting map[string][]*claim
	runs    map[string][]occupant // on all nodes, of runs that go on; where they are shared
	seen    int64                 // the offset up to which runs are known, inclusive
	changed chan struct{}
	came    time.Time // when a task came here last
}

// claim is a task's wish to begin.
type claim struct {
	role, pool      string
	slots, priority int
	run             int64 // offset of its request
	task            int   // place in its definition
	admitted        chan struct{}
}

// occupant is a task at work, as the ledger has it.
type occupant struct {
	pool  string
	slots int
	since int64 // offset of its beginning
	own   bool  // this process works on it
}

const (
	// calmFor is how long nobody must have come that what can wait is done, and calmWithin how long that waits at most.
	calmFor    = 50 * time.Millisecond
	calmWithin = time.Second
)

func newGate(shared bool) *gate {
	return &gate{shared: shared, roles: map[string]int{}, pools: map[string]int{events.PoolDefault: events.PoolSlotsDefault}, used: map[string]int{}, taken: map[string]int{},
		waiting: map[string][]*claim{}, runs: map[string][]occupant{}, changed: make(chan struct{})}
}

func (c *claim) compare(d *claim) int {
	return cmp.Or(cmp.Compare(d.priority, c.priority), cmp.Compare(c.run, d.run), cmp.Compare(c.task, d.task))
}

// enter waits for the claim to be let in, or ctx to end.
func (g *gate) enter(ctx context.Context, c *claim) error {
	c.admitted = make(chan struct{})
	g.mu.Lock()
	g.came = time.Now()
	line := g.waiting[c.role]
	at, _ := slices.BinarySearchFunc(line, c, func(a, b *claim) int { return cmp.Or(a.compare(b), -1) }) // behind its like
	g.waiting[c.role] = slices.Insert(line, at, c)
	g.admit()
	g.mu.Unlock()
	select {
	case <-c.admitted:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.waiting[c.role], c); i >= 0 {
		g.waiting[c.role] = slices.Delete(g.waiting[c.role], i, i+1)
		g.admit() // it may have been in the way
	} else {
		g.free(c)
	}
	return context.Cause(ctx)
}

// calm waits until no task has come here for a moment, but not for long, nor when ctx ends.
func (g *gate) calm(ctx context.Context) {
	for end := time.Now().Add(calmWithin); ; {
		g.mu.Lock()
		quiet := time.Since(g.came)
		g.mu.Unlock()
		if quiet >= calmFor || time.Now().After(end) || !sleep(ctx, calmFor-quiet) {
			return
		}
	}
}

// leave gives back what the claim was let in with.
func (g *gate) leave(c *claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free(c)
}

func (g *gate) free(c *claim) {
	g.used[c.role]--
	g.taken[c.pool] -= c.slots
	g.admit()
}

// admit lets in who may. mu is held.
func (g *gate) admit() {
	inTheWay := map[string]bool{} // pools for which somebody waits
	for {
		var best *claim
		for role, line := range g.waiting {
			if g.used[role] >= g.roles[role] {
				continue
			}
			i := slices.IndexFunc(line, func(c *claim) bool { return !inTheWay[c.pool] && g.possible(c) })
			if i >= 0 && (best == nil || line[i].compare(best) < 0) {
				best = line[i]
			}
		}
		switch {
		case best == nil:
			return
		case !g.fits(best):
			inTheWay[best.pool] = true
		default:
			line := g.waiting[best.role]
			i := slices.Index(line, best)
			g.waiting[best.role] = slices.Delete(line, i, i+1)
			g.used[best.role]++
			g.taken[best.pool] += best.slots
			close(best.admitted)
		}
	}
}

// possible says whether the pool has, at all, what the claim wants.
func (g *gate) possible(c *claim) bool {
	slots, ok := g.pools[c.pool]
	return ok && (slots < 0 || c.slots <= slots)
}

// fits says whether the pool has it free.
func (g *gate) fits(c *claim) bool {
	slots := g.pools[c.pool]
	if slots < 0 {
		return true
	}
	free := slots - g.taken[c.pool]
	for _, all := range g.runs {
		for i := range all {
			if o := &all[i]; o.pool == c.pool && !o.own {
				free -= o.slots
			}
		}
	}
	return c.slots <= free
}

func (g *gate) define(pool string, slots int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pools[pool] = slots
	g.admit()
}

func (g *gate) has(pool string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.pools[pool]
	return ok
}

func (g *gate) remove(pool string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.pools, pool)
}

// occupy says which tasks of a run are at work, as the ledger has it at an offset.
func (g *gate) occupy(run string, all []occupant, offset int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(all) > 0 {
		g.runs[run] = all
	} else {
		delete(g.runs, run)
	}
	g.seen = max(g.seen, offset)
	close(g.changed)
	g.changed = make(chan struct{})
	g.admit()
}

// beyond says whether a task that was taken at an offset of the ledger is beyond the slots of its pool: others had taken them before.
func (g *gate) beyond(ctx context.Context, started int64, t *workflow.Task) (bool, error) {
	if !g.shared {
		return false, nil
	}
	g.mu.Lock()
	for g.seen < started {
		changed := g.changed
		g.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	slots, ok := g.pools[t.Pool]
	if ok && slots < 0 {
		return false, nil
	}
	free := slots - t.PoolSlots
	for _, all := range g.runs {
		for i := range all {
			if o := &all[i]; o.pool == t.Pool && o.since < started {
				free -= o.slots
			}
		}
	}
	return free < 0, nil
}

// occupied tells the gate which tasks of a run are at work, where there may be other nodes.
func (e *engine) occupied(ctx context.Context, id string, offset int64) {
	if !e.gate.shared {
		return
	}
	var all []occupant
	if r := e.live[id]; r != nil && e.define(ctx, r) == nil && r.definition != nil {
		for name, t := range r.runFold.tasks {
			if task := r.definition.Task(name); task != nil && t.state == taskRunning {
				all = append(all, occupant{task.Pool, task.PoolSlots, t.startedAt, strings.HasPrefix(t.holder, e.node+e.cfg.Holder+"/")})
			}
		}
	}
	e.gate.occupy(id, all, offset)
}
