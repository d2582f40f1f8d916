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
// pool there is not, waits until that changes, and holds up nobody. A task has its role's slot while it is worked on, and those of its pool until the ledger has its end.
//
// What can wait, the keeping of logs and with it the ends of runs, waits while tasks come here and are about to begin: see calm.
//
// Slots of a pool hold over all nodes. What tasks have there the ledger says, and where two nodes take the last slots at once, so
// does it who was first: the other one gives its task back before it begins to work.
type gate struct {
	shared bool // there may be other nodes

	mu      sync.Mutex
	roles   map[string]int        // slots of this process
	pools   map[string]int        // slots; -1: any number
	used    map[string]int        // of roles
	taken   map[string]int        // of pools, by this process
	waiting map[line][]*claim     // in their order
	runs    map[string][]occupant // on all nodes, of runs that go on; where they are shared
	seen    int64                 // the offset up to which runs are known, inclusive
	changed chan struct{}

	coming []*claim      // as they came; see forget
	eager  int           // those of them that are about to begin
	last   time.Time     // when a task came here, or began, last
	rest   chan struct{} // closed when it is calm; nil while nobody waits for that
}

// line is where those wait who want the same.
type line struct{ role, pool string }

// claim is a task's wish to begin.
type claim struct {
	role, pool      string
	slots, priority int
	run             int64 // offset of its request
	task            int   // place in its definition
	admitted        chan struct{}
	came            time.Time
	begun           bool // its beginning was said, or it is not about to begin
	over            bool // it is worked on no more, and its role's slot is given back
}

// occupant is a task at work, as the ledger has it.
type occupant struct {
	pool  string
	slots int
	since int64 // offset of its beginning
	own   bool  // this process works on it
}

const (
	// calmFor is how long nobody must have come, nor been about to begin, that what can wait is done, and calmWithin how long that waits at most. Whoever has
	// waited for that long to begin, for a slot as a rule, is not about to.
	calmFor    = 50 * time.Millisecond
	calmWithin = time.Second
	// rushFrom is how many tasks are about to begin in a rush.
	rushFrom = 32
)

func newGate(shared bool) *gate {
	return &gate{shared: shared, roles: map[string]int{}, pools: map[string]int{events.PoolDefault: events.PoolSlotsDefault}, used: map[string]int{}, taken: map[string]int{},
		waiting: map[line][]*claim{}, runs: map[string][]occupant{}, changed: make(chan struct{})}
}

func (c *claim) compare(d *claim) int {
	return cmp.Or(cmp.Compare(d.priority, c.priority), cmp.Compare(c.run, d.run), cmp.Compare(c.task, d.task))
}

// enter waits for the claim to be let in, or ctx to end. Whoever is let in says when it has begun.
func (g *gate) enter(ctx context.Context, c *claim) error {
	c.admitted = make(chan struct{})
	at := line{c.role, c.pool}
	g.mu.Lock()
	c.came = time.Now()
	g.forget(c.came)
	g.coming, g.eager, g.last = append(g.coming, c), g.eager+1, c.came
	i, _ := slices.BinarySearchFunc(g.waiting[at], c, func(a, b *claim) int { return cmp.Or(a.compare(b), -1) }) // behind its like
	g.waiting[at] = slices.Insert(g.waiting[at], i, c)
	g.admit()
	g.mu.Unlock()
	select {
	case <-c.admitted:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle(c)
	if i := slices.Index(g.waiting[at], c); i >= 0 {
		g.remove(at, i)
		g.admit() // it may have been in the way
	} else {
		g.free(c)
	}
	return context.Cause(ctx)
}

// began says that the beginning of a task that was let in is said, or will not be.
func (g *gate) began(c *claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.settle(c)
	g.last = time.Now()
}

// settle no longer takes it that a task is about to begin. mu is held.
func (g *gate) settle(c *claim) {
	if !c.begun {
		c.begun = true
		g.eager--
	}
}

// rush says whether many tasks are about to begin, of which more are known of elsewhere.
func (g *gate) rush(more int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forget(time.Now())
	return g.eager+more >= rushFrom
}

// worked says that a task is worked on no more: its role may begin another while its end is said.
func (g *gate) worked(c *claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.giveBack(c)
	g.admit()
}

// leave gives back what the claim was let in with.
func (g *gate) leave(c *claim) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.free(c)
}

func (g *gate) free(c *claim) {
	g.giveBack(c)
	g.taken[c.pool] -= c.slots
	g.admit()
}

// giveBack gives back the role's slot, once.
func (g *gate) giveBack(c *claim) {
	if !c.over {
		c.over = true
		g.used[c.role]--
	}
}

// calm waits until no task has come here, or was about to begin, for a moment, but not for long, nor when ctx ends.
func (g *gate) calm(ctx context.Context) {
	g.mu.Lock()
	if g.unrest() <= 0 {
		g.mu.Unlock()
		return
	}
	if g.rest == nil {
		g.rest = make(chan struct{})
		time.AfterFunc(calmFor, g.look)
	}
	rest := g.rest
	g.mu.Unlock()
	most := time.NewTimer(calmWithin)
	defer most.Stop()
	select {
	case <-rest:
	case <-most.C:
	case <-ctx.Done():
	}
}

// look ends the wait for calm when it has come.
func (g *gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if left := g.unrest(); left > 0 {
		time.AfterFunc(left, g.look)
		return
	}
	close(g.rest)
	g.rest = nil
}

// unrest is how long it is until it is calm, if nobody comes and those about to begin do so at once. mu is held.
func (g *gate) unrest() time.Duration {
	now := time.Now()
	if g.forget(now); g.eager > 0 {
		return calmFor
	}
	return calmFor - now.Sub(g.last)
}

// forget looks no more at those who came first and have begun, or have waited for calmWithin. mu is held.
func (g *gate) forget(now time.Time) {
	for len(g.coming) > 0 && (g.coming[0].begun || now.Sub(g.coming[0].came) >= calmWithin) {
		g.settle(g.coming[0])
		g.coming[0] = nil
		g.coming = g.coming[1:]
	}
}

// admit lets in who may. mu is held.
func (g *gate) admit() {
	var inTheWay map[string]bool // pools for which somebody waits
	for {
		var best *claim
		var first int // its place
		for at, all := range g.waiting {
			if g.used[at.role] >= g.roles[at.role] || inTheWay[at.pool] {
				continue
			}
			i := slices.IndexFunc(all, g.possible)
			if i >= 0 && (best == nil || all[i].compare(best) < 0) {
				best, first = all[i], i
			}
		}
		switch {
		case best == nil:
			return
		case !g.fits(best):
			if inTheWay == nil {
				inTheWay = map[string]bool{}
			}
			inTheWay[best.pool] = true
		default:
			g.remove(line{best.role, best.pool}, first)
			g.used[best.role]++
			g.taken[best.pool] += best.slots
			close(best.admitted)
		}
	}
}

// remove takes one out of its line. mu is held.
func (g *gate) remove(at line, i int) {
	if g.waiting[at] = slices.Delete(g.waiting[at], i, i+1); len(g.waiting[at]) == 0 {
		delete(g.waiting, at)
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

func (g *gate) undefine(pool string) {
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
