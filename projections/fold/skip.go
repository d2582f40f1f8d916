package fold

import (
	"context"
	"iter"
	"maps"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// What operators have told views to pass over: a record that one of them cannot fold, for good; or a commit that this
// program cannot read, for all who read the ledger and for as long as they cannot. So nothing of a newer release's is
// lost by what an older one was told: a view that has passed over a commit notes it, and is folded again by the first
// release that can read it.

// passed are positions of records that are passed over. It is not changed while others read it.
type passed map[streams.Position]bool

// readSkips adds what an operator has told a view, or all, to pass over, from a revision of the view's stream on. It
// gives the revision to go on from. What cannot be read there says nothing.
func readSkips(ctx context.Context, ledger streams.Ledger, view string, from streams.Revision, to passed) (next streams.Revision, err error) {
	for com, err := range ledger.ReadStream(ctx, "view/"+view, from) {
		if com == nil {
			return from, err
		}
		from = com.Last() + 1
		for i := range com.Events {
			if e, ok := com.Events[i].Data.(*events.ViewEventSkipped); ok {
				if p, err := streams.ParsePosition(e.Position); err == nil {
					to[p] = true
				}
			}
		}
	}
	return from, nil
}

// LoadSkips reads which records operators have told views to pass over, and lets those go on that have halted at one:
// whoever has told them finds them going on. Errors are those of the ledger.
func (r *Runner) LoadSkips(ctx context.Context) error {
	skips := map[string]passed{events.AllViews: {}}
	for _, f := range r.factories {
		skips[f().Spec().Name] = passed{}
	}
	for view, to := range skips {
		if _, err := readSkips(ctx, r.log.Ledger(), view, 0, to); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skips = skips
	for _, s := range r.slots {
		if p := s.halted; p != nil && (skips[s.spec.Name][p.Position] || p.Unread && skips[events.AllViews][p.Position]) {
			s.halted, s.unsure, s.anew = nil, false, s.spec.Lazy
			s.rouse()
		}
	}
	return nil
}

// bar cuts a view's part of a chunk off before the first commit that cannot be read and that the view was not told to
// pass over. Under Runner.mu.
func (r *Runner) bar(s *slot, c *chunk, p *part) {
	for _, u := range c.unread {
		offset := u.Position.Offset
		switch {
		case offset < s.cursor[c.tp] || r.skips[s.spec.Name][u.Position]:
		case offset >= p.next:
			return
		case !r.skips[events.AllViews][u.Position]:
			p.next, p.bar = offset, u
			return
		default:
			p.passed = append(p.passed, offset)
		}
	}
}

// unreadable is the poison that a commit is that cannot be read, nil for one that can be.
func unreadable(com *streams.Committed) *Poison {
	for i := range com.Events {
		if f, ok := com.Events[i].Data.(*events.Foreign); ok && f.Err != nil {
			return &Poison{Position: com.Position, Type: f.Name, EventID: com.Events[i].ID, Err: f.Err, Unread: true}
		}
	}
	return nil
}

// outgrown is the first commit that a stored view has passed over because it could not be read, and now can be.
func (r *Runner) outgrown(ctx context.Context, gen uint32) (at streams.Position, found bool, err error) {
	cursor, err := r.store.cursor(gen)
	if err != nil {
		return at, false, err
	}
	offsets, err := r.store.passedOver(gen)
	for _, offset := range offsets {
		if err == nil && offset < cursor[ledgerTP] {
			found, err = r.canRead(ctx, offset)
		}
		if found || err != nil {
			return streams.Position{TP: ledgerTP, Offset: offset}, found, err
		}
	}
	return at, false, err
}

var ledgerTP = streams.TP{Topic: events.LedgerTopic}

func (r *Runner) canRead(ctx context.Context, offset int64) (bool, error) {
	for com, err := range r.log.Ledger().Read(ctx, offset) {
		if com == nil {
			return false, err
		}
		return com.Position.Offset == offset && com.Unreadable() == nil, nil
	}
	return false, nil
}

// Passing is a log of whose ledger a commit that this program cannot read comes without an error, and without a
// meaning, once an operator has told all to pass over it.
func Passing(log streams.Log) streams.Log {
	return passing{log, &passingLedger{Ledger: log.Ledger(), passed: passed{}}}
}

type passing struct {
	streams.Log
	ledger *passingLedger
}

func (l passing) Ledger() streams.Ledger { return l.ledger }

type passingLedger struct {
	streams.Ledger

	mu     sync.Mutex
	next   streams.Revision // of the stream of what all pass over
	passed passed
}

func (l *passingLedger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return l.pass(ctx, l.Ledger.Read(ctx, from))
}

func (l *passingLedger) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	return l.pass(ctx, l.Ledger.ReadStream(ctx, stream, from))
}

func (l *passingLedger) pass(ctx context.Context, commits iter.Seq2[*streams.Committed, error]) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for com, err := range commits {
			if com != nil && err != nil {
				told, bad := l.told(ctx, com.Position)
				switch {
				case bad != nil:
					yield(nil, bad)
					return
				case told:
					err = nil
				}
			}
			if !yield(com, err) {
				return
			}
		}
	}
}

// told says whether all were told to pass over a record.
func (l *passingLedger) told(ctx context.Context, at streams.Position) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passed[at] {
		return true, nil
	}
	now := maps.Clone(l.passed)
	next, err := readSkips(ctx, l.Ledger, events.AllViews, l.next, now)
	if err != nil {
		return false, err
	}
	l.next, l.passed = next, now
	return now[at], nil
}

// Known are the commits that this program can read; the others are left out.
func Known(commits iter.Seq2[*streams.Committed, error]) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for com, err := range commits {
			if com != nil && com.Unreadable() != nil {
				continue
			}
			if !yield(com, err) {
				return
			}
		}
	}
}
