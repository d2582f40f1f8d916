package react

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// triggers watches the log for what workflows are triggered by. What a trigger makes of the events is a fold of them
// ([workflow.Watch]), from its first definition on or from the last run that it asked for: that run's request says up to where it is for them. So no
// event counts twice, and none is left out, whoever looks. The next run's id derives from the trigger and the run before: each has one
// successor, however many ask for it. The file that keeps folds saves reading alone.
//
// The engine decides; followers, one for each partition that is wanted, take the events in.
type triggers struct {
	*runs
	woken chan struct{} // something may be due

	mu    sync.Mutex
	all   map[string]*watched // by workflow and trigger
	gen   int                 // of the followers: those of before have no say any more
	kept  map[string]keptWatch
	dirty bool
	errs  map[streams.TP]string // why a partition is not read further

	stop      context.CancelFunc
	following sync.WaitGroup
}

// watched is a trigger of a definition in force.
type watched struct {
	workflow string
	trigger  *workflow.Trigger
	since    int64 // offset of the commit that it is in force since
	watch    workflow.Watch
	at       streams.Cut // what was taken in
	counts   streams.Cut // what runs before were for
	asked    asked
	awaited  string // the run that was asked for, while the ledger has not shown it
	hold     workflow.Hold
}

// keptWatch is what the file keeps of a trigger.
type keptWatch struct {
	Since int64          `json:"since"`
	Hash  string         `json:"hash"` // of what the trigger says
	Run   string         `json:"run,omitempty"`
	At    string         `json:"at"`
	Watch workflow.Watch `json:"watch"`
}

// triggersFile is what the file holds, as JSON.
type triggersFile struct {
	Format   string               `json:"format"`
	Triggers map[string]keptWatch `json:"triggers"`
}

const (
	triggersFormat = "projectionist-triggers 1"
	// triggerChunk is how many events are taken in at a time.
	triggerChunk = 1024
)

func newTriggers(s *runs) *triggers {
	t := &triggers{runs: s, woken: make(chan struct{}, 1), all: map[string]*watched{}, errs: map[streams.TP]string{}, stop: func() {}}
	var f triggersFile
	if b, err := os.ReadFile(t.path()); err == nil && json.Unmarshal(b, &f) == nil && f.Format == triggersFormat {
		t.kept = f.Triggers // else the log is read
	}
	return t
}

func (ts *triggers) path() string { return filepath.Join(ts.cfg.Dir, "reactors", "triggers.json") }

func triggerKey(workflow, trigger string) string { return workflow + "/" + trigger }

// topicOf is the topic that events of a type are in.
func topicOf(eventType string) string {
	for _, t := range events.Topics {
		if t.Plain == eventType {
			return t.Name
		}
	}
	return events.LedgerTopic
}

func (w *watched) partitions() []streams.TP { return streams.PartitionsOf(topicOf(w.trigger.Event)) }

// hash tells whether a trigger says what it said.
func hashOf(t *workflow.Trigger) string {
	b, err := json.Marshal(t)
	if err != nil {
		return ""
	}
	return HashID(string(b))
}

// watch has the triggers of the definitions in force be followed, each from where it stands. ctx is the followers'.
func (ts *triggers) watch(ctx context.Context, all map[string]*definitions) error {
	want := map[string]*watched{}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	changed := false
	for name, d := range all {
		newest := d.newest()
		if newest == nil {
			continue
		}
		for i := range newest.Triggers {
			t := &newest.Triggers[i]
			key, first := triggerKey(name, t.Name), d.since(t)
			was := ts.all[key]
			if was != nil && was.since == first.since && (was.trigger == t || hashOf(was.trigger) == hashOf(t)) {
				want[key] = was
				continue
			}
			changed = true
			w := &watched{workflow: name, trigger: t, since: first.since}
			if a := d.triggered[t.Name]; a != nil {
				w.asked = asked{a.run, a.cut, slices.Clone(a.requests)}
			}
			if err := ts.place(ctx, w, first.recorded); err != nil {
				return err
			}
			want[key] = w
		}
	}
	if !changed && len(want) == len(ts.all) {
		return nil
	}
	ts.all, ts.kept, ts.dirty = want, nil, true
	ts.follow(ctx)
	return nil
}

// place finds where a trigger stands: what is kept of it, else the beginning that its fold needs.
func (ts *triggers) place(ctx context.Context, w *watched, since time.Time) error {
	begin := streams.Cut{}
	for _, tp := range w.partitions() {
		if tp.Topic == events.LedgerTopic {
			begin[tp] = w.since + 1
			continue
		}
		if ts.cfg.Feed == nil {
			continue
		}
		head, err := ts.cfg.Feed.Head(ctx, tp, since.Add(-time.Millisecond)) // of that very moment the log does not say which was first
		if err != nil {
			return err
		}
		begin[tp] = head
	}
	w.counts = begin.Clone()
	cut, err := streams.ParseCut(w.asked.cut)
	if err != nil {
		return fault.Wrap(fault.Corrupt, err, "the place of run %s does not read", w.asked.run)
	}
	for tp, offset := range cut {
		if begin[tp] < offset {
			w.counts[tp] = offset
		}
	}
	if k, ok := ts.kept[triggerKey(w.workflow, w.trigger.Name)]; ok && k.Since == w.since && k.Run == w.asked.run && k.Hash == hashOf(w.trigger) {
		if at, err := streams.ParseCut(k.At); err == nil && ts.within(ctx, at) {
			w.at, w.watch = at, k.Watch
			return nil
		}
	}
	w.watch = workflow.Watch{}
	if w.at = w.counts.Clone(); w.trigger.Hysteresis { // which conditions hold, events of before say
		w.at = begin
	}
	return nil
}

// within says whether the log has what a cut says.
func (ts *triggers) within(ctx context.Context, at streams.Cut) bool {
	for tp, offset := range at {
		head, err := int64(0), error(nil)
		if tp.Topic == events.LedgerTopic {
			head, err = ts.cfg.Ledger.Head(ctx, time.Time{})
		} else if ts.cfg.Feed != nil {
			head, err = ts.cfg.Feed.Head(ctx, tp, time.Time{})
		}
		if err != nil || offset > head {
			return false
		}
	}
	return true
}

// follow starts the followers anew. mu is held.
func (ts *triggers) follow(ctx context.Context) {
	ts.stop()
	ts.gen++
	gen := ts.gen
	ctx, ts.stop = context.WithCancel(ctx)
	from := streams.Cut{}
	for _, w := range ts.all {
		for _, tp := range w.partitions() {
			if at, known := from[tp]; !known || w.at[tp] < at {
				from[tp] = w.at[tp]
			}
		}
	}
	for tp, next := range from {
		switch {
		case tp.Topic == events.LedgerTopic:
			ts.following.Go(func() { ts.reads(ctx, tp, next, gen, ts.readLedger, ts.cfg.Ledger.Wait) })
		case ts.cfg.Feed != nil:
			ts.following.Go(func() {
				ts.reads(ctx, tp, next, gen, ts.readFeed, func(ctx context.Context, from int64) error { return ts.cfg.Feed.Wait(ctx, tp, from) })
			})
		}
	}
	ts.wake()
}

func (ts *triggers) wake() {
	select {
	case ts.woken <- struct{}{}:
	default:
	}
}

// reads takes in a partition from an offset on, until ctx ends.
func (ts *triggers) reads(ctx context.Context, tp streams.TP, next int64, gen int,
	read func(context.Context, streams.TP, int64, int) (int64, error), wait func(context.Context, int64) error) {
	for pause := backoffMin; ctx.Err() == nil; {
		to, err := read(ctx, tp, next, gen)
		if next = to; err == nil {
			err = wait(ctx, next)
		}
		if ctx.Err() != nil {
			return
		}
		if ts.note(tp, err) && err != nil {
			ts.log.Error("events that workflows are triggered by cannot be read; they are looked at again", "partition", tp, "from", next, "error", err)
		}
		if err != nil {
			sleep(ctx, pause)
			pause = min(2*pause, backoffMax)
		} else {
			pause = backoffMin
		}
	}
}

// note keeps why a partition is not read further; true if that is new.
func (ts *triggers) note(tp streams.TP, err error) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	was, is := ts.errs[tp], ""
	if err != nil {
		is = err.Error()
	}
	ts.errs[tp] = is
	return was != is
}

// seenAt is an event with its place.
type seenAt struct {
	at  streams.Position
	ev  *events.Event
	rec time.Time
}

func (ts *triggers) readLedger(ctx context.Context, tp streams.TP, from int64, gen int) (int64, error) {
	var chunk []seenAt
	for c, err := range ts.cfg.Ledger.Read(ctx, from) {
		if err != nil {
			ts.take(tp, chunk, from, gen)
			return from, err
		}
		for i := range c.Events {
			chunk = append(chunk, seenAt{c.Position, &c.Events[i], c.Recorded})
		}
		if from = c.Position.Offset + 1; len(chunk) >= triggerChunk {
			ts.take(tp, chunk, from, gen)
			chunk = chunk[:0]
		}
	}
	ts.take(tp, chunk, from, gen)
	return from, nil
}

// readFeed takes what publishers of this process have handed along, where that is all there is, or reads the log. What cannot be
// read is left out: the quarantine has it.
func (ts *triggers) readFeed(ctx context.Context, tp streams.TP, from int64, gen int) (int64, error) {
	head, err := ts.cfg.Feed.Head(ctx, tp, time.Time{})
	if err != nil {
		return from, err
	}
	chunk := make([]seenAt, 0, min(max(head-from, 0), triggerChunk))
	if carrier, ok := ts.cfg.Feed.(streams.Carrier); ok && head > from {
		if facts := carrier.Carried(tp, from, head); facts != nil {
			for i := range facts {
				chunk = append(chunk, seenAt{streams.Position{TP: tp, Offset: facts[i].Offset}, facts[i].Fact, facts[i].Recorded})
			}
			ts.take(tp, chunk, head, gen)
			return head, nil
		}
	}
	var reader streams.FactReader
	for rec, err := range ts.cfg.Feed.Read(ctx, tp, from) {
		if err != nil {
			ts.take(tp, chunk, from, gen)
			return from, err
		}
		var ev events.Event
		if err := reader.Read(rec, &ev, nil); err == nil {
			chunk = append(chunk, seenAt{rec.Position, &ev, rec.Recorded})
		}
		if from = rec.Offset + 1; len(chunk) >= triggerChunk {
			ts.take(tp, chunk, from, gen)
			chunk = chunk[:0]
		}
	}
	ts.take(tp, chunk, from, gen)
	return from, nil
}

// take takes in events of a partition, up to before an offset.
func (ts *triggers) take(tp streams.TP, chunk []seenAt, next int64, gen int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if gen != ts.gen {
		return
	}
	for _, w := range ts.all {
		at, wants := w.at[tp]
		if !wants || at >= next {
			continue
		}
		for i := range chunk {
			s := &chunk[i]
			if s.at.Offset < at || s.ev.Type() != w.trigger.Event {
				continue
			}
			if _, foreign := s.ev.Data.(*events.Foreign); !foreign {
				w.watch.Take(w.trigger, workflow.Seen{Event: s.ev, Position: s.at, Recorded: s.rec}, s.at.Offset >= w.counts[tp])
			}
		}
		w.at[tp], ts.dirty = next, true
		if w.watch.Settle() {
			ts.wake()
		}
	}
}

// watch has triggers be followed as the definitions have them now.
func (e *engine) watch(ctx context.Context) {
	if err := e.triggers.watch(ctx, e.definitions); err != nil && ctx.Err() == nil {
		e.log.Error("what workflows are triggered by cannot be followed; it is tried again", "error", err)
	}
}

// end ends the followers.
func (ts *triggers) end() {
	ts.mu.Lock()
	ts.stop()
	ts.gen++
	ts.mu.Unlock()
	ts.following.Wait()
	ts.save()
}

// unfit ends a triggered run whose conf, made of an event, is none that its workflow takes: others are refused when they are asked for.
func (e *engine) unfit(ctx context.Context, r *liveRun) bool {
	if r.started || r.runType != "triggered" || !e.ends(r) {
		return false
	}
	if _, err := r.definition.Conf(r.conf, e.cfg.Operators); err != nil {
		e.end(ctx, r, "failed", Trace("it was asked for with what its workflow does not take: "+err.Error()))
		return true
	}
	return false
}

// trigger asks for the runs that are due, and gives how long it is until another may be.
func (e *engine) trigger(ctx context.Context) time.Duration {
	ts, wait := e.triggers, idlest
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(ts.all)) {
		w := ts.all[key]
		d := e.definitions[w.workflow]
		running := w.awaited
		if r := e.live[w.asked.run]; r != nil {
			running = r.id
		}
		now := e.cfg.Clock()
		w.hold = w.trigger.Decide(&w.watch, w.asked.requests, running, d.paused, now)
		if newest := d.newest(); w.hold.State == workflow.HoldDue && newest != nil && e.leads(e.roles[newest.Tasks[0].Operator].Name) {
			if err := e.fire(ctx, w); err != nil {
				w.hold = workflow.Hold{State: workflow.HoldRefused, Reason: err.Error()}
				e.log.Error("a triggered run could not be asked for; it is tried again", "workflow", w.workflow, "trigger", w.trigger.Name, "error", err)
				wait = min(wait, e.cfg.Poll)
			}
		}
		if !w.hold.Until.IsZero() {
			wait = min(wait, max(w.hold.Until.Sub(now), 0))
		}
	}
	return wait
}

// fire asks for the run that is due. One that is there already, of the same state before, is taken to be it.
func (e *engine) fire(ctx context.Context, w *watched) error {
	cause := w.watch.Due(w.trigger)
	t := &events.Triggered{Trigger: w.trigger.Name, EventID: cause.EventID, Type: cause.Type, Position: cause.Position, Counted: w.watch.Pending, Cut: w.at.String()}
	id := TriggeredRunID(w.workflow, w.trigger.Name, w.since, w.asked.run)
	note := "trigger " + t.Trigger + ": " + t.Type + " at " + t.Position
	if t.Counted > 1 {
		note += ", and " + strconv.FormatInt(t.Counted-1, 10) + " others"
	}
	res, err := e.cfg.Dispatcher.Dispatch(ctx, &commands.RequestWorkflowRun{RunID: id, Workflow: w.workflow, RunType: "triggered", Conf: cause.Conf,
		Note: note, Triggered: t}, handlers.Meta{Actor: "reactor:" + engineName, Causation: cause.EventID})
	if fault.Is(err, fault.Conflict) {
		f, err := e.fold(ctx, id)
		if err != nil {
			return err
		}
		asked, ok := f.request.Data.(*events.WorkflowRunRequested)
		if !ok || asked.Triggered == nil {
			return fault.New(fault.Conflict, "its id %s is taken by a run that it has not asked for", id)
		}
		e.adopt(ctx, asked.Triggered, w, id, f.request.Time)
		return nil
	}
	if err != nil {
		return err
	}
	at := e.cfg.Clock()
	if len(res.Events) > 0 {
		at = res.Events[0].Time
	}
	e.definitions[w.workflow].askedFor(t, id, at)
	w.after(t, id, at)
	w.counts, w.awaited = w.at.Clone(), id
	w.watch.Fired()
	w.hold = w.trigger.Decide(&w.watch, w.asked.requests, id, false, at)
	e.triggers.dirty = true
	e.log.Info("workflow triggered", "workflow", w.workflow, "trigger", w.trigger.Name, "event", cause.Position, "workflow_run", id)
	return nil
}

// after takes in that the trigger has asked for a run.
func (w *watched) after(t *events.Triggered, run string, at time.Time) {
	w.asked.run, w.asked.cut = run, t.Cut
	w.asked.requests = append(w.asked.requests, at)
	w.asked.requests = w.asked.requests[max(0, len(w.asked.requests)-w.trigger.Budget):]
}

// adopt goes on from a run that another has asked for. mu is held.
func (e *engine) adopt(ctx context.Context, t *events.Triggered, w *watched, run string, at time.Time) {
	if w.asked.run == run {
		return
	}
	d := e.definitions[w.workflow]
	d.askedFor(t, run, at)
	w.after(t, run, at)
	if err := e.triggers.place(ctx, w, d.since(w.trigger).recorded); err != nil {
		e.log.Error("the place of a trigger is not known; its events are counted from the last known one", "workflow", w.workflow, "trigger", w.trigger.Name, "error", err)
		return
	}
	e.triggers.dirty = true
	e.triggers.follow(ctx)
}

// triggered takes in the request of a run that a trigger has asked for.
func (e *engine) triggered(ctx context.Context, ev *events.Event, asked *events.WorkflowRunRequested) {
	d := e.definitions[asked.Workflow]
	if d == nil || asked.Triggered == nil {
		return
	}
	e.triggers.mu.Lock()
	defer e.triggers.mu.Unlock()
	w := e.triggers.all[triggerKey(asked.Workflow, asked.Triggered.Trigger)]
	if w == nil {
		d.askedFor(asked.Triggered, asked.RunID, ev.Time)
		return
	}
	if w.awaited == asked.RunID {
		w.awaited = ""
	}
	if !slices.ContainsFunc(d.triggered[asked.Triggered.Trigger].times(), func(t time.Time) bool { return t.Equal(ev.Time) }) {
		e.adopt(ctx, asked.Triggered, w, asked.RunID, ev.Time)
	}
}

func (a *asked) times() []time.Time {
	if a == nil {
		return nil
	}
	return a.requests
}

// TriggeredRunID is the id of the run that a trigger, in force since an offset of the ledger, asks for after another run, "" for none.
func TriggeredRunID(workflow, trigger string, since int64, after string) string {
	return workflow + "@triggered__" + trigger + "__" + HashID(workflow, trigger, strconv.FormatInt(since, 10), after)[:16]
}

// save keeps the folds, so that the next start need not read as much. The file is not synced: an older one only means reading again.
func (ts *triggers) save() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if !ts.dirty {
		return
	}
	f := triggersFile{triggersFormat, map[string]keptWatch{}}
	for key, w := range ts.all {
		f.Triggers[key] = keptWatch{w.since, hashOf(w.trigger), w.asked.run, w.at.String(), w.watch}
	}
	b, err := json.Marshal(f)
	if err == nil {
		tmp := ts.path() + ".tmp"
		if err = os.WriteFile(tmp, append(b, '\n'), 0o600); err == nil {
			err = os.Rename(tmp, ts.path())
		}
	}
	if err != nil {
		ts.log.Error("the places of triggers cannot be written; events are read again after a restart", "error", err)
		return
	}
	ts.dirty = false
}

// TriggerStat is how a trigger fares.
type TriggerStat struct {
	Workflow    string            `json:"workflow"`
	Trigger     *workflow.Trigger `json:"trigger"`
	State       string            `json:"state"` // see the Hold constants of package workflow
	Reason      string            `json:"reason,omitempty"`
	UntilMillis int64             `json:"until_millis,omitempty"` // of cooling_down and over_budget
	Pending     int64             `json:"pending"`                // events that count for the next run
	Cause       *workflow.Cause   `json:"cause,omitempty"`        // the event that the next run is asked for by
	Holding     int               `json:"holding,omitempty"`      // subjects of which the condition holds
	Last        *workflow.Verdict `json:"last_event,omitempty"`   // and what became of it
	Run         string            `json:"run,omitempty"`          // the last that it asked for
	RunMillis   int64             `json:"run_millis,omitempty"`   // when
	At          string            `json:"at"`                     // how far it has looked: a cut
}

// Triggers are those of the workflows in force, as this process sees them, by workflow and name.
func (r *Reactors) Triggers() []TriggerStat {
	ts := r.triggers
	ts.mu.Lock()
	defer ts.mu.Unlock()
	stats := make([]TriggerStat, 0, len(ts.all))
	for _, w := range ts.all {
		s := TriggerStat{Workflow: w.workflow, Trigger: w.trigger, State: cmp.Or(w.hold.State, workflow.HoldWaiting), Reason: w.hold.Reason,
			Pending: w.watch.Pending, Holding: len(w.watch.Holding), Run: w.asked.run, At: w.at.String()}
		if !w.hold.Until.IsZero() {
			s.UntilMillis = w.hold.Until.UnixMilli()
		}
		if c := w.watch.Due(w.trigger); c != nil {
			cause := *c
			s.Cause = &cause
		}
		if w.watch.Last != nil {
			last := *w.watch.Last
			s.Last = &last
		}
		if n := len(w.asked.requests); n > 0 {
			s.RunMillis = w.asked.requests[n-1].UnixMilli()
		}
		for _, tp := range w.partitions() {
			if err := ts.errs[tp]; err != "" {
				s.State, s.Reason = workflow.HoldRefused, tp.String()+" cannot be read further: "+err
			}
		}
		stats = append(stats, s)
	}
	slices.SortFunc(stats, func(a, b TriggerStat) int {
		return cmp.Or(strings.Compare(a.Workflow, b.Workflow), strings.Compare(a.Trigger.Name, b.Trigger.Name))
	})
	return stats
}
