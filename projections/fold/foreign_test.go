package fold_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// register counts the events of the ledger by type.
type register struct {
	n    map[string]uint64
	lazy bool
}

func (v *register) Spec() fold.Spec {
	name := "register"
	if v.lazy {
		name = "lazy-register"
	}
	return fold.Spec{Name: name, Format: 1, Topics: []string{events.LedgerTopic}, Lazy: v.lazy}
}

func (v *register) Open(r fold.Reader) error {
	v.n = map[string]uint64{}
	for kv, err := range r.Scan(nil, nil) {
		if err != nil {
			return err
		}
		v.n[fold.Parts(kv.Key).Str()] = fold.Parts(append([]byte{0}, kv.Value...)).U64()
	}
	return nil
}

func (v *register) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		v.n[in[i].Event.Type()]++
	}
	if v.lazy {
		return nil
	}
	return v.Flush(w)
}

func (v *register) Flush(w fold.Writer) error {
	for name, n := range v.n {
		if err := w.Set(fold.Table('n').Str(name), fold.Key{}.U64(n)); err != nil {
			return err
		}
	}
	return nil
}

func registers() []fold.Factory {
	return []fold.Factory{
		func() fold.View { return &register{} },
		func() fold.View { return &register{lazy: true} },
		func() fold.View { return &tally{} },
	}
}

// said appends one event to the ledger.
func said(t testing.TB, log streams.Log, id, stream string, data events.Data) streams.Position {
	t.Helper()
	return committed(t, log, id, stream, events.Event{ID: id, Source: "/test", Subject: stream, Time: time.Unix(1, 0).UTC(), Data: data})
}

func committed(t testing.TB, log streams.Log, id, stream string, evs ...events.Event) streams.Position {
	t.Helper()
	r, err := log.Ledger().Append(context.Background(), streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: evs})
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

// foreign appends an event of a type that this program does not know, behind one that it knows.
func foreign(t testing.TB, log streams.Log, id, stream string) streams.Position {
	t.Helper()
	var evs []events.Event
	for _, envelope := range []string{
		`{"specversion":"1.0","id":"` + id + `/0","source":"/other","type":"model.registered","time":"1970-01-01T00:00:01Z","schemaversion":1,"data":{"name":"als"}}`,
		`{"specversion":"1.0","id":"` + id + `/1","source":"/other","type":"trial.begun","time":"1970-01-01T00:00:01Z","schemaversion":1,"data":{}}`,
	} {
		ev, err := events.ReadForeign(json.RawMessage(envelope))
		if err != nil {
			t.Fatal(err)
		}
		evs = append(evs, ev)
	}
	return committed(t, log, id, stream, evs...)
}

func registered(t testing.TB, log streams.Log, n int) streams.Position {
	t.Helper()
	return said(t, log, fmt.Sprint("r", n), fmt.Sprint("model/", n), &events.ModelRegistered{Name: fmt.Sprint(n)})
}

// counts are what a view has of a type, and of all.
func counts(t testing.TB, r *fold.Runner, view, of string) (n, all uint64) {
	t.Helper()
	for kv, err := range r.Pairs(view) {
		if err != nil {
			t.Fatal(err)
		}
		count := fold.Parts(append([]byte{0}, kv.Value...)).U64()
		if fold.Parts(kv.Key).Str() == of {
			n = count
		}
		all += count
	}
	return n, all
}

// haltedAt waits until a view has halted at a position.
func haltedAt(t testing.TB, r *fold.Runner, view string, at streams.Position) (p *fold.Poison) {
	t.Helper()
	until(t, fmt.Sprint(view, " has not halted at ", at), func() bool {
		p = statusOf(t, r, view).Halted
		return p != nil && p.Position == at
	})
	return p
}

// goesOn waits until a view that has halted has folded the record at a position.
func goesOn(t testing.TB, r *fold.Runner, view string, at streams.Position) {
	t.Helper()
	until(t, fmt.Sprint(view, " has not gone on to ", at), func() bool { return statusOf(t, r, view).Cursor.Covers(at) })
}

func until(t testing.TB, not string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(not)
		}
	}
}

func statusOf(t testing.TB, r *fold.Runner, view string) fold.Status {
	t.Helper()
	all, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.View == view {
			return s
		}
	}
	t.Fatal("there is no view " + view)
	return fold.Status{}
}

// Views halt at a commit that this program cannot read, before and after a restart, and go on behind it when an operator
// has told them to: one by name, or all at once.
func TestForeign_HaltsTheViewsOfTheLedger(t *testing.T) {
	log, store := testLog(t), testStore(t)
	before := registered(t, log, 0)
	bad := foreign(t, log, "f0", "model/als")
	registered(t, log, 1)
	worse := foreign(t, log, "f1", "elsewhere")
	registered(t, log, 2)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	check := func(r *fold.Runner, at streams.Position, views ...string) {
		t.Helper()
		for _, view := range views {
			p := haltedAt(t, r, view, at)
			if p.View != view || p.Type != "trial.begun" || !p.Unread || !strings.Contains(p.Error(), "unknown event type") {
				t.Errorf("%s has halted by %+v; want %s", view, p, at)
			}
			if err := r.Wait(ctx, before, view); err != nil {
				t.Errorf("%s has not what comes before: %v", view, err)
			}
		}
	}
	r, stop := runningViews(t, log, store, registers())
	check(r, bad, "register", "lazy-register")
	fact := act(t, log, "7", "2", 3)
	if err := r.Wait(ctx, fact.Position, "tally"); err != nil {
		t.Errorf("a view of other partitions does not go on: %v", err)
	}
	equalToReplay(t, r)
	stop()
	r, stop = runningViews(t, log, store, registers())
	check(r, bad, "register", "lazy-register")

	skip(t, log, "lazy-register", bad)
	check(r, worse, "lazy-register")
	check(r, bad, "register")
	skip(t, log, events.AllViews, bad)
	check(r, worse, "register", "lazy-register")
	if err := r.Rebuild(ctx, "register", nil); !errors.As(err, new(*fold.Poison)) {
		t.Errorf("a rebuild that meets it: %v", err)
	}
	skip(t, log, events.AllViews, worse)
	end := registered(t, log, 3)
	for _, view := range []string{"register", "lazy-register"} {
		goesOn(t, r, view, end)
	}
	if err := r.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	for _, view := range []string{"register", "lazy-register"} {
		if n, all := counts(t, r, view, "model.registered"); n != 4 || all != 7 {
			t.Errorf("%s has %d models, %d events; want 4 and 7: the foreign commits count as a whole", view, n, all)
		}
	}
	equalToReplay(t, r)
	if err := r.Rebuild(ctx, "register", nil); err != nil {
		t.Error(err)
	}
	equalToReplay(t, r)
	stop()
	r, stop = runningViews(t, log, store, registers())
	if notes := r.Refolded(); len(notes) > 0 {
		t.Errorf("a restart folds again: %v", notes)
	}
	if err := r.Wait(ctx, end); err != nil {
		t.Error(err)
	}
	stop()
}

// Whoever folds up to a cut is told of the commit, and not left waiting.
func TestForeign_CatchUpSaysWhy(t *testing.T) {
	log, store := testLog(t), testStore(t)
	bad := foreign(t, log, "f0", "model/als")
	registered(t, log, 1)
	var poison *fold.Poison
	_, err := fold.Replay(t.Context(), log, store, nil, nil, registers()...)
	if !errors.As(err, &poison) || poison.Position != bad {
		t.Errorf("a replay: %v", err)
	}
}

// A word of an operator that cannot be read, or names no record, is none, and ends nobody.
func TestForeign_InTheStreamsOfSkips(t *testing.T) {
	log, store := testLog(t), testStore(t)
	bad := foreign(t, log, "f0", "view/register")
	worse := foreign(t, log, "f1", "view/"+events.AllViews)
	said(t, log, "s0", "view/register", &events.ViewEventSkipped{View: "register", Position: "here"})
	for _, p := range []streams.Position{bad, worse} {
		skip(t, log, events.AllViews, p)
	}
	last := registered(t, log, 1)
	r, stop := runningViews(t, log, store, registers()[:2])
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := r.Wait(ctx, last); err != nil {
		t.Fatal(err)
	}
	equalToReplay(t, r)
}

// older is a log as a release reads it that does not know some commits.
type older struct {
	streams.Log
	unknown map[string]bool // ids of commits
}

func (l older) Ledger() streams.Ledger { return olderLedger{l.Log.Ledger(), l} }

type olderLedger struct {
	streams.Ledger
	l older
}

func (o olderLedger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return o.of(o.Ledger.Read(ctx, from))
}

func (o olderLedger) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	return o.of(o.Ledger.ReadStream(ctx, stream, from))
}

func (o olderLedger) of(commits iter.Seq2[*streams.Committed, error]) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range commits {
			if c != nil && o.l.unknown[c.ID] {
				for i := range c.Events {
					c.Events[i], _ = events.AsForeign(c.Events[i], c.Events[i].Type(), errors.New("unknown to this release"))
				}
				err = c.Unreadable()
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// A commit that an older release was told to pass over counts again for the first release that can read it.
func TestForeign_ReadAfterAnUpgrade(t *testing.T) {
	log, store := testLog(t), testStore(t)
	registered(t, log, 0)
	newer := registered(t, log, 1)
	last := registered(t, log, 2)
	skip(t, log, events.AllViews, newer)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	open := func(log streams.Log, want uint64, refolded int) {
		t.Helper()
		r, stop := runningViews(t, log, store, registers()[:2])
		defer stop()
		if err := r.Wait(ctx, last); err != nil {
			t.Fatal(err)
		}
		if err := r.Checkpoint(); err != nil {
			t.Fatal(err)
		}
		for _, view := range []string{"register", "lazy-register"} {
			if n, _ := counts(t, r, view, "model.registered"); n != want {
				t.Errorf("%s has %d models; want %d", view, n, want)
			}
		}
		if notes := r.Refolded(); len(notes) != refolded || refolded > 0 && !strings.Contains(notes[0], newer.String()) {
			t.Errorf("folded again: %v", notes)
		}
		equalToReplay(t, r)
	}
	open(older{log, map[string]bool{"r1": true}}, 2, 0)
	open(older{log, map[string]bool{"r1": true}}, 2, 0)
	open(log, 3, 2)
	open(log, 3, 0)
}

// A log that passes over what all were told to pass over gives such commits without an error, and without a meaning.
func TestPassing(t *testing.T) {
	inner := testLog(t)
	registered(t, inner, 0)
	bad := foreign(t, inner, "f0", "model/0")
	worse := foreign(t, inner, "f1", "model/0")
	registered(t, inner, 0+1)
	log := fold.Passing(inner)
	read := func() (ids []string, errs int) {
		for c, err := range log.Ledger().ReadStream(t.Context(), "model/0", 0) {
			if c == nil {
				t.Fatal(err)
			}
			ids = append(ids, c.ID)
			if err != nil {
				errs++
				if !fault.Is(err, fault.Unavailable) {
					t.Error(err)
				}
			}
		}
		return ids, errs
	}
	for _, step := range []struct {
		skip *streams.Position
		errs int
	}{{nil, 2}, {&worse, 1}, {&bad, 0}} {
		if step.skip != nil {
			skip(t, inner, events.AllViews, *step.skip)
		}
		if ids, errs := read(); fmt.Sprint(ids) != "[r0 f0 f1]" || errs != step.errs {
			t.Errorf("read %v with %d errors; want %d", ids, errs, step.errs)
		}
		n := 0
		for c, err := range log.Ledger().Read(t.Context(), 0) {
			if c == nil {
				t.Fatal(err)
			}
			if err != nil {
				n++
			}
		}
		if n != step.errs {
			t.Errorf("all of it is read with %d errors; want %d", n, step.errs)
		}
	}
}

// deaf is a log whose streams cannot be read while it is closed: what operators have told is not heard of.
type deaf struct {
	streams.Log
	asked, heard chan struct{} // asked is told who waits; heard is closed when they may go on
}

func (l deaf) Ledger() streams.Ledger { return deafLedger{l.Log.Ledger(), l} }

type deafLedger struct {
	streams.Ledger
	l deaf
}

func (d deafLedger) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	select {
	case d.l.asked <- struct{}{}:
	default:
	}
	<-d.l.heard
	return d.Ledger.ReadStream(ctx, stream, from)
}

// A view that meets a record that it was told to pass over is behind for a moment, and not halted: nobody is refused for it.
func TestForeign_NotHaltedUntilTheSkipsWereRead(t *testing.T) {
	for _, told := range []bool{true, false} {
		log, store := testLog(t), testStore(t)
		d := deaf{log, make(chan struct{}, 1), make(chan struct{})}
		close(d.heard)
		r, err := fold.NewRunner(t.Context(), &d, store, registers()[:1]...)
		if err != nil {
			t.Fatal(err)
		}
		<-d.asked // by the start
		d.heard = make(chan struct{})
		bad := foreign(t, log, "f0", "model/als")
		if told {
			skip(t, log, events.AllViews, bad)
		}
		last := registered(t, log, 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended, waited := make(chan error, 1), make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		<-d.asked // by the view that has met it
		if s := statusOf(t, r, "register"); s.Halted != nil || s.Error != "" || s.Lag == 0 {
			t.Errorf("told %v: before it is known whether it passes over the record, it says %+v", told, s)
		}
		go func() { waited <- r.Wait(t.Context(), last, "register") }()
		time.Sleep(20 * time.Millisecond) // it waits, most of the time; the answer is the same if not yet
		select {
		case err := <-waited:
			t.Errorf("told %v: before it is known, who waits is told %v", told, err)
			waited <- err
		default:
		}
		close(d.heard)
		if err := <-waited; (err == nil) != told || !told && !errors.As(err, new(*fold.Poison)) {
			t.Errorf("told %v: who waits is told %v", told, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
