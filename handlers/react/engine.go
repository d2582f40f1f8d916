package react

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// engine sees to it that workflow runs come to their ends: it follows those that have not ended, starts what is due, and
// ends what is over. All it knows is in the ledger, so another goes on where one ends. Of the nodes of a cluster the one
// that a role is on works on that role's tasks; the one that the role of a run's first task is on ends the run.
type engine struct {
	*runs
	leads    func(role string) bool // whether this process has the role's place
	triggers *triggers

	next        int64 // offset of the first commit that was not taken in
	live        map[string]*liveRun
	of          map[string]map[*liveRun]bool // those of a workflow
	definitions map[string]*definitions      // by workflow, of those that runs were seen of
	backfills   map[string]*backfill         // that go on

	finished chan func() // what was done aside has come to, for the engine to take in
	working  int         // how much is done aside
	slot     alarm       // the next slot
}

// liveRun is a run that has not ended.
type liveRun struct {
	*runFold
	definition *workflow.Definition
	tasks      map[string]*task // at which this process works, or waits
	begun      map[string]bool  // tasks at which it has: what is known of them here may be older than what it has said
	ctx        context.Context  // of those; ends with the run
	cancel     context.CancelCauseFunc
	failing    time.Time // when its end was tried last, in vain
	told       string    // what is wrong with its definition
	over       int       // how often it was reopened when its end was said, and one; the ledger may not have shown it yet
}

// task is the work of this process at one task of a run. It stays until the run was seen to be as the work has left it, lest it be begun again.
type task struct {
	run     *liveRun
	name    string
	cancel  context.CancelCauseFunc
	through int64 // of a work that has returned: the offset of what it has seen, or said, last
	over    bool  // it has returned
	err     error
}

// run follows the ledger until ctx ends, and returns when all work under way has stopped.
func (e *engine) run(ctx context.Context) {
	e.live, e.of, e.definitions, e.backfills = map[string]*liveRun{}, map[string]map[*liveRun]bool{}, map[string]*definitions{}, map[string]*backfill{}
	e.finished = make(chan func())
	for pause := backoffMin; ; pause = min(2*pause, backoffMax) {
		err := e.begin(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		e.log.Error("the runs of workflows cannot be found for now; they are looked for again", "error", err)
		if !sleep(ctx, pause) {
			return
		}
	}
	for id := range e.live {
		e.occupied(ctx, id, e.next-1)
	}
	commits := make(chan *streams.Committed)
	fctx, stop := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() { defer close(followed); e.follow(fctx, e.next, commits) }()
	look := time.NewTicker(e.cfg.Poll)
	defer look.Stop()
	e.slot = alarm{Timer: time.NewTimer(0)}
	defer e.slot.Stop()
	e.watch(ctx)
	due := time.NewTimer(0)
	defer due.Stop()
	for ctx.Err() == nil {
		select {
		case c := <-commits:
			e.take(ctx, c)
			if strings.HasPrefix(c.Stream, "workflow/") {
				e.slot.in(0)
				e.watch(ctx)
			}
			due.Reset(0)
		case <-e.slot.C:
			e.slot.at = time.Time{}
			e.slot.in(e.schedule(ctx))
		case <-e.triggers.woken:
			due.Reset(0)
		case <-due.C:
			due.Reset(min(e.trigger(ctx), e.fill(ctx)))
		case take := <-e.finished:
			e.working--
			take()
		case <-look.C: // a place may have come here, or the time of a run be over
			e.lookAround(ctx)
			e.watch(ctx)
			e.triggers.save()
		case <-ctx.Done():
		}
	}
	stop()
	e.triggers.end()
	<-followed
	for e.working > 0 {
		<-e.finished
		e.working--
	}
}

// aside has something done beside the engine, which takes in what it came to.
func (e *engine) aside(do func() (take func())) {
	e.working++
	go func() { e.finished <- do() }()
}

// begin finds the runs that have not ended.
func (e *engine) begin(ctx context.Context) (err error) {
	if e.cfg.Prepare != nil {
		if err := e.cfg.Prepare(ctx); err != nil {
			return err
		}
	}
	head, err := e.cfg.Ledger.Head(ctx, time.Time{})
	if err != nil {
		return err
	}
	e.keepLeftover(ctx)
	if e.cfg.Active == nil {
		for c, err := range e.cfg.Ledger.Read(ctx, e.next) {
			if err != nil {
				return err
			}
			if c.Position.Offset >= head {
				break
			}
			e.take(ctx, c)
			e.next = c.Position.Offset + 1
		}
		return nil
	}
	e.next = head
	ids, err := e.cfg.Active(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := e.add(ctx, id); err != nil {
			return err
		}
	}
	names, err := e.cfg.Defined(ctx)
	if err != nil {
		return err
	}
	if e.cfg.Backfills != nil {
		if err := e.openBackfills(ctx); err != nil {
			return err
		}
	}
	if e.cfg.Pools != nil {
		pools, err := e.cfg.Pools(ctx)
		if err != nil {
			return err
		}
		for name, slots := range pools {
			e.gate.define(name, slots)
		}
	}
	for _, name := range names {
		if e.definitions[name], err = e.readDefinitions(ctx, name); err != nil {
			return err
		}
	}
	e.lookAround(ctx)
	return nil
}

// lookAround looks at all runs.
func (e *engine) lookAround(ctx context.Context) {
	waiting := map[string]bool{}
	for _, r := range e.live {
		if r.started {
			e.advance(ctx, r)
			continue
		}
		waiting[r.workflow] = true
		if d := r.definition; d != nil && d.Timed() {
			e.late(ctx, r, d.States(r.asRun()))
		}
	}
	for name := range waiting {
		e.admit(ctx, name)
	}
}

// admit looks at the runs of a workflow that have not started, in their order, until one must wait.
func (e *engine) admit(ctx context.Context, name string) {
	var waiting []*liveRun
	for r := range e.of[name] {
		if !r.started {
			waiting = append(waiting, r)
		}
	}
	slices.SortFunc(waiting, func(a, b *liveRun) int { return cmp.Compare(a.requested, b.requested) })
	for _, r := range waiting {
		if e.advance(ctx, r); len(r.tasks) == 0 && r.definition != nil && r.over == 0 {
			return // those after it wait too
		}
	}
}

// follow hands on the ledger's commits from an offset on.
func (e *engine) follow(ctx context.Context, next int64, to chan<- *streams.Committed) {
	for pause := backoffMin; ctx.Err() == nil; {
		for c, err := range e.cfg.Ledger.Read(ctx, next) {
			if err != nil {
				if ctx.Err() == nil {
					e.log.Error("the ledger cannot be read; it is looked at again", "position", ledgerPosition(next), "error", err)
					sleep(ctx, pause)
					pause = min(2*pause, backoffMax)
				}
				break
			}
			next, pause = c.Position.Offset+1, backoffMin
			if strings.HasPrefix(c.Stream, "workflow") || strings.HasPrefix(c.Stream, "pool/") || strings.HasPrefix(c.Stream, "backfill/") {
				select {
				case to <- c:
				case <-ctx.Done():
					return
				}
			}
		}
		if err := e.cfg.Ledger.Wait(ctx, next); err != nil {
			sleep(ctx, pause)
		}
	}
}

// add begins to follow a run, as its stream has it.
func (e *engine) add(ctx context.Context, id string) error {
	f, err := e.fold(ctx, id)
	if err != nil || !f.exists || f.ended {
		return err
	}
	r := &liveRun{runFold: f, tasks: map[string]*task{}, begun: map[string]bool{}}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	e.live[id] = r
	if e.of[r.workflow] == nil {
		e.of[r.workflow] = map[*liveRun]bool{}
	}
	e.of[r.workflow][r] = true
	return nil
}

// drop follows a run no more.
func (e *engine) drop(r *liveRun) {
	r.cancel(errLost)
	delete(e.live, r.id)
	if delete(e.of[r.workflow], r); len(e.of[r.workflow]) == 0 {
		delete(e.of, r.workflow)
	}
}

// take takes in what a commit says of runs and definitions.
func (e *engine) take(ctx context.Context, c *streams.Committed) {
	kind, id, _ := strings.Cut(c.Stream, "/")
	switch kind {
	case "workflow":
		d := e.definitions[id]
		if d == nil { // the stream has this commit, and maybe more
			d, err := e.readDefinitions(ctx, id)
			if err != nil {
				e.log.Error("the definition of a workflow cannot be read; it is left until a run of it, or the next start", "workflow", id, "error", err)
				return
			}
			e.definitions[id] = d
		} else if d.seen < c.Position.Offset {
			for i := range c.Events {
				d.evolve(&c.Events[i], c, e.cfg.Operators)
			}
			d.seen = c.Position.Offset
			e.admit(ctx, id)
		}
	case "workflow-run":
		e.takeRun(ctx, id, c)
		e.occupied(ctx, id, c.Position.Offset)
	case "backfill":
		e.takeBackfill(c)
	case "pool":
		for i := range c.Events {
			switch ev := c.Events[i].Data.(type) {
			case *events.PoolDefined:
				e.gate.define(ev.Pool, ev.Slots)
			case *events.PoolRemoved:
				e.gate.undefine(ev.Pool)
			}
		}
	}
}

func (e *engine) takeRun(ctx context.Context, id string, c *streams.Committed) {
	for i := range c.Events {
		if asked, ok := c.Events[i].Data.(*events.WorkflowRunRequested); ok && e.definitions[asked.Workflow] != nil {
			e.definitions[asked.Workflow].later(slotOf(asked))
			e.triggered(ctx, &c.Events[i], asked)
		}
	}
	r := e.live[id]
	if r == nil && onlyLog(c) {
		return
	}
	if r == nil {
		// A run that is new, or has ended and goes on. What its stream has beyond this commit is taken in too.
		if err := e.add(ctx, id); err != nil {
			e.log.Error("a run of a workflow cannot be read; it is left until the next event of it, or start", "workflow_run", id, "error", err)
		}
		if r = e.live[id]; r == nil {
			return
		}
	} else if r.seen < c.Position.Offset {
		for i := range c.Events {
			r.evolve(&c.Events[i], c.Position.Offset)
			for _, name := range voided(c.Events[i].Data) {
				if t := r.tasks[name]; t != nil {
					t.cancel(errLost)
				}
			}
		}
		r.seen = c.Position.Offset
		for name, t := range r.tasks {
			if t.over && t.through <= r.seen {
				delete(r.tasks, name)
			}
		}
	}
	if !r.ended {
		e.advance(ctx, r)
		return
	}
	e.drop(r)
	e.admit(ctx, r.workflow) // another may have waited for its place
}

// voided are the tasks of which an event says that what is done at them now is for nothing.
func voided(d events.Data) []string {
	switch d := d.(type) {
	case *events.TasksCleared:
		return d.Tasks
	case *events.TaskMarked:
		return []string{d.Task}
	}
	return nil
}

// returned looks again at a run of which a work has returned.
func (e *engine) returned(ctx context.Context, t *task) {
	if t.over = true; t.run.tasks[t.name] == t && t.through <= t.run.seen {
		delete(t.run.tasks, t.name)
	}
	if t.err != nil && ctx.Err() == nil {
		e.log.Error("the work at a task of a workflow did not come to an end; it is looked at again", "workflow_run", t.run.id, "task", t.name, "error", t.err)
		return // until the next look
	}
	if e.live[t.run.id] == t.run {
		e.advance(ctx, t.run)
	}
}

// advance starts what is due of a run, and ends it when it is over.
func (e *engine) advance(ctx context.Context, r *liveRun) {
	if ctx.Err() != nil {
		return
	}
	if err := e.define(ctx, r); err != nil {
		if r.told != err.Error() {
			r.told = err.Error()
			e.log.Error("the definition of a workflow cannot be used; its run waits", "workflow", r.workflow, "workflow_run", r.id, "error", err)
		}
		return
	}
	d := r.definition
	if d == nil {
		e.end(ctx, r, "failed", "there is no workflow "+r.workflow)
		return
	}
	states := d.States(r.asRun())
	e.late(ctx, r, states)
	if state, reason := d.Ended(states); state != workflow.None {
		if len(r.tasks) == 0 {
			e.finish(ctx, r, state, reason, states)
		}
		return
	}
	if !r.started && (e.definitions[r.workflow].paused || e.active(r) >= d.MaxActiveRuns) {
		return
	}
	if e.overdue(ctx, r) || e.unfit(ctx, r) {
		return
	}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		switch states[t.Name] {
		case workflow.Queued, workflow.Running, workflow.UpForRetry:
			if role := e.roles[t.Operator]; r.tasks[t.Name] == nil && e.leads(role.Name) {
				e.start(ctx, r, t, role)
			}
		}
	}
}

// define finds the definition that a run goes by: the one that was in force when it was requested.
func (e *engine) define(ctx context.Context, r *liveRun) (err error) {
	known := e.definitions[r.workflow]
	if known == nil {
		if known, err = e.readDefinitions(ctx, r.workflow); err != nil {
			return err
		}
		e.definitions[r.workflow] = known
	}
	if r.definition == nil {
		if r.definition, err = known.at(r.requested); r.definition != nil {
			r.conf = r.definition.Defaults(r.conf)
		}
	}
	return err
}

// active is how many other runs of the workflow have a place before this one: those that have started, and those that
// were requested before.
func (e *engine) active(r *liveRun) (n int) {
	for other := range e.of[r.workflow] {
		if other != r && (other.started || other.requested < r.requested) {
			n++
		}
	}
	return n
}

// ends says whether it is for this process to end a run.
func (e *engine) ends(r *liveRun) bool {
	return e.leads(e.roles[r.definition.Tasks[0].Operator].Name)
}

// overdue ends a run that has taken too long, and says so; else it has the run looked at when that would be.
func (e *engine) overdue(ctx context.Context, r *liveRun) bool {
	if !r.started {
		return false
	}
	left := r.definition.Timeout - e.cfg.Clock().Sub(r.startedAt)
	if left > 0 || !e.ends(r) {
		return false
	}
	r.cancel(errLost)
	e.end(ctx, r, "failed", "it took longer than its timeout of "+r.definition.Timeout.String())
	return true
}

// start begins the work at a task.
func (e *engine) start(ctx context.Context, r *liveRun, t *workflow.Task, role *Role) {
	work := &task{run: r, name: t.Name}
	var wctx context.Context
	wctx, work.cancel = context.WithCancelCause(r.ctx)
	r.tasks[t.Name] = work
	cause, seen, again, d := r.cause(t), r.clone(), r.begun[t.Name], r.definition
	r.begun[t.Name] = true
	e.aside(func() func() {
		if again {
			seen, work.err = e.fold(wctx, seen.id)
		}
		if work.err == nil {
			work.through, work.err = e.perform(wctx, role, t, d, seen, cause)
		}
		if errors.Is(context.Cause(wctx), errLost) { // what it did was for nothing
			work.err = nil
		}
		work.cancel(nil)
		return func() { e.returned(ctx, work) }
	})
}

// finish ends a run that is over. The roles whose tasks have failed are told before.
func (e *engine) finish(ctx context.Context, r *liveRun, state workflow.State, reason string, states map[string]workflow.State) {
	if !e.ends(r) || r.over == r.reopened+1 || e.cfg.Clock().Sub(r.failing) < finishAgain {
		return
	}
	for i := range r.definition.Tasks {
		t := &r.definition.Tasks[i]
		role := e.roles[t.Operator]
		if states[t.Name] != workflow.Failed || role.Failed == nil {
			continue
		}
		w := e.work(role, t, r.definition, r.runFold, r.cause(t))
		w.try = r.task(t.Name).try
		if err := role.Failed(ctx, w, r.task(t.Name).err); err != nil {
			r.failing = e.cfg.Clock()
			e.log.Error("what a failed task has left open could not be closed; it is tried again", "workflow_run", r.id, "task", t.Name, "error", err)
			return
		}
	}
	if reason != "" {
		reason = Trace(reason + ": " + r.task(reason).err)
	}
	e.end(ctx, r, string(state), reason)
}

func (e *engine) end(ctx context.Context, r *liveRun, state, reason string) {
	if r.over == r.reopened+1 {
		return
	}
	a := &Reaction{dispatcher: e.cfg.Dispatcher, role: engineName, cause: r.request, correlation: r.id}
	step, over := "end/"+state+"/"+strconv.Itoa(r.reopened), r.reopened+1
	r.over = over
	e.aside(func() func() {
		err := a.Ensure(ctx, step, &commands.EndWorkflowRun{RunID: r.id, State: state, Reason: reason})
		return func() { e.said(r, over, state, reason, err) }
	})
}

// said takes in whether the end of a run could be said.
func (e *engine) said(r *liveRun, over int, state, reason string, err error) {
	if err != nil {
		if r.over == over {
			r.over, r.failing = 0, e.cfg.Clock()
		}
		e.log.Error("the end of a workflow run could not be said; it is said again", "workflow_run", r.id, "error", err)
		return
	}
	e.log.Info("workflow run ended", "workflow", r.workflow, "workflow_run", r.id, "state", state, "reason", reason)
}

// engineName is who says that runs have ended.
const engineName = "workflows"

var errTimedOut = fault.New(fault.Unavailable, "it took longer than its timeout")
