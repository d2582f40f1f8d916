package fold

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// How views share what is decoded. A worker that wants the records of a partition from its cursor on takes a decoded
// chunk that has them, or waits for the one that is being read from there, or reads one itself. A chunk is kept while
// some view is about to fold it.
//
// Where more than a chunk is left, a view that has got ahead waits for those right behind it, which are then given
// what it was given, and no more than chunksMax chunks are kept: so a replay decodes nearly everything once. Nobody
// waits for a view that is far behind, nor where less is left: a click is folded at once.

const (
	// chunksMax bounds the decoded chunks of all partitions, each some 5 MiB, while there is much to fold.
	chunksMax = 4
	// nearBehind is how far behind, in offsets, a view is still waited for.
	nearBehind = 2 * chunkRecords
)

// lane is one partition on its way to the views.
type lane struct {
	tp streams.TP

	// Under Runner.mu.
	head    int64 // where the partition ends, as far as it is known
	chunks  []*chunk
	reading []int64 // where chunks begin that are being read
	err     error   // why it cannot be read for now
	rests   bool    // for that: it is looked at again in a while
}

func (r *Runner) makeLanes() {
	for _, tp := range streams.PartitionsOf() {
		// The ledger is watched in any case: skips are decided there.
		if tp.Topic == events.LedgerTopic || slices.ContainsFunc(r.slots, func(s *slot) bool { return s.folds(tp) }) {
			r.lanes = append(r.lanes, &lane{tp: tp})
		}
	}
}

// end is the offset up to which a view may fold the lane.
func (l *lane) end(s *slot) int64 {
	if s.until != nil {
		return min(l.head, s.until[l.tp])
	}
	return l.head
}

// chunk is the decoded chunk that holds an offset, or nil.
func (l *lane) chunk(offset int64) *chunk {
	for _, c := range l.chunks {
		if c.from <= offset && offset < c.next {
			return c
		}
	}
	return nil
}

// task is what a worker is to do next.
type task struct {
	does deed
	lane *lane
	c    *chunk // to fold
	from int64  // to read from
	end  int64  // and up to
}

type deed int

const (
	nothing deed = iota
	saveIt       // a lazy view, if it was not for long
	foldIt       // task.c
	readIt       // task.lane
	lookUp       // whether the record it has halted at is skipped
	openIt       // anew, from what the store has

	idle = saveIt // up to here there is nothing to fold
)

// choose says what the worker of a view does next. Lanes have their turns.
func (r *Runner) choose(i int) (*slot, task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.slots[i]
	s.held = false
	switch {
	case s.anew:
		return s, task{does: openIt}
	case s.halted != nil && s.unsure:
		return s, task{does: lookUp}
	case s.halted != nil:
		return s, task{}
	}
	for k := range r.lanes {
		turn := (s.turn + k) % len(r.lanes)
		l := r.lanes[turn]
		at := s.cursor[l.tp]
		end := l.end(s)
		if !s.folds(l.tp) || at >= end || l.rests {
			continue
		}
		if c := l.chunk(at); c != nil {
			s.turn, s.taken = turn+1, c
			r.rouseHeld()
			return s, task{does: foldIt, lane: l, c: c, end: end}
		}
		if slices.Contains(l.reading, at) {
			continue // it is told when that is done
		}
		if !r.mayRead(s, l, at, end) {
			s.held = true
			continue
		}
		s.turn = turn
		l.reading = append(l.reading, at)
		return s, task{does: readIt, lane: l, from: at, end: end}
	}
	if s.spec.Lazy {
		return s, task{does: saveIt}
	}
	return s, task{}
}

// mayRead says whether a view may have a chunk read from an offset, or has to wait for others.
func (r *Runner) mayRead(s *slot, l *lane, at, end int64) bool {
	if end-at <= chunkRecords {
		return true
	}
	kept := 0
	for _, m := range r.lanes {
		kept += len(m.reading)
		for _, c := range m.chunks {
			if r.wanted(m, c) {
				kept++
			}
		}
	}
	if kept >= chunksMax {
		return false
	}
	for _, t := range r.slots {
		if t != s && t.active(l) {
			if next := t.next(l); next < at && next >= at-nearBehind {
				return false
			}
		}
	}
	return true
}

// active says whether a view still has something to fold of a lane.
func (s *slot) active(l *lane) bool {
	return s.halted == nil && s.folds(l.tp) && s.cursor[l.tp] < l.end(s)
}

// next is the offset from which a view will want the lane when it has folded what it is at.
func (s *slot) next(l *lane) int64 {
	if s.taken != nil && s.taken.tp == l.tp {
		return s.taken.next
	}
	return s.cursor[l.tp]
}

// wanted says whether some view folds the chunk, or will as soon as it can.
func (r *Runner) wanted(l *lane, c *chunk) bool {
	return slices.ContainsFunc(r.slots, func(s *slot) bool {
		at, next := s.cursor[l.tp], s.next(l)
		return s.active(l) && (c.from <= at && at < c.next || c.from <= next && next < c.next)
	})
}

// prune lets go of what no view is about to fold.
func (r *Runner) prune(l *lane) {
	l.chunks = slices.DeleteFunc(l.chunks, func(c *chunk) bool { return !r.wanted(l, c) })
}

// rouseHeld wakes the views that wait for others or for memory.
func (r *Runner) rouseHeld() {
	for _, s := range r.slots {
		if s.held {
			s.held = false
			s.rouse()
		}
	}
}

// read decodes a chunk for all who want it. After an error the lane rests.
func (r *Runner) read(ctx context.Context, l *lane, from, end int64) error {
	c, err := readChunk(ctx, r.log, l.tp, from, end)
	r.mu.Lock()
	defer r.mu.Unlock()
	l.reading = slices.DeleteFunc(l.reading, func(at int64) bool { return at == from })
	r.rouseHeld()
	if err == nil {
		l.chunks, l.err = append(l.chunks, c), nil
		r.rouse(l)
		return nil
	}
	if ctx.Err() == nil {
		l.err, l.rests = err, true
		time.AfterFunc(pauseAfterFault, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			l.rests = false
			r.rouse(l)
		})
	}
	return &logError{err}
}

// rouse wakes the views that fold a lane.
func (r *Runner) rouse(l *lane) {
	for _, s := range r.slots {
		if s.folds(l.tp) {
			s.rouse()
		}
	}
}

// readOn has the chunk after the one that a view takes read beside its folding, where much is left.
func (r *Runner) readOn(ctx context.Context, s *slot, t task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, at := t.lane, t.c.next
	// Where a chunk is not full the log ends: what comes next is not worth a goroutine.
	if at >= t.end || !t.c.full || l.rests || l.chunk(at) != nil || slices.Contains(l.reading, at) || !r.mayRead(s, l, at, t.end) {
		return
	}
	l.reading = append(l.reading, at)
	r.reads.Go(func() {
		r.read(ctx, l, at, t.end) //nolint:errcheck // the lane has it; in a catch-up whoever wants the chunk meets it again
	})
}

// grown notes how far a partition reaches. Of the ledger, what it says of views that have halted comes first: who
// sees that a skip was folded finds its view going on.
func (r *Runner) grown(ctx context.Context, l *lane, head int64) (err error) {
	if l.tp.Topic == events.LedgerTopic && r.anyHalted() {
		err = r.LoadSkips(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l.head = head
	for _, s := range r.slots {
		if at := s.cursor[l.tp]; s.folds(l.tp) && at > head {
			l.err = fmt.Errorf("%s: a view has folded up to offset %d but the log ends at %d", l.tp, at, head)
		}
	}
	r.rouse(l)
	return err
}
