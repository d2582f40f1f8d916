package local

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// scan reads records of a partition into one reused record.
type scan struct {
	l        *Log
	p        *partition
	iter     *pebble.Iterator
	rec      streams.Record
	revision streams.Revision
	read     uint64
	millis   int64 // of rec.Recorded
	follows  bool  // the ledger, and changes nothing of what it is given
	carried  bool  // the last commit was at hand
}

// run loads every record from an offset up to the head and calls fn, until fn says no.
func (s *scan) run(ctx context.Context, from int64, fn func() bool) error {
	l, p := s.l, s.p
	if err := l.ops.EnterRead(ctx, from); err != nil {
		return err
	}
	defer l.ops.Leave()
	head := p.head.Load()
	if from >= head {
		return nil
	}
	var err error
	if s.iter, err = l.db.NewIter(&pebble.IterOptions{LowerBound: p.key(from), UpperBound: p.key(head)}); err != nil {
		return p.corrupt(from, err)
	}
	defer s.iter.Close()
	defer s.count()
	offset := from
	for ok := s.iter.First(); ok; ok = s.iter.Next() {
		if offset, err = p.over(l.db, offset, s.iter.Key()); err != nil {
			return err
		}
		if err := s.load(offset); err != nil {
			return err
		}
		if !fn() {
			return nil
		}
		offset++
		if s.read%checkEvery == 0 {
			if err := s.l.ops.Stay(ctx); err != nil {
				return err
			}
		}
	}
	if err := s.iter.Error(); err != nil || offset != head {
		return p.corrupt(offset, err)
	}
	return nil
}

// load reads the record at which the iterator stands, which has to be that of the offset.
func (s *scan) load(offset int64) error {
	_, _, have, ok := parseRecordKey(s.iter.Key())
	if !ok || have != offset {
		return s.p.corrupt(offset, nil)
	}
	v, err := s.iter.ValueAndErr()
	if err != nil {
		return s.p.corrupt(offset, err)
	}
	millis, revision, tail, ok := lookup.ParseHead(v)
	if !ok {
		return s.p.corrupt(offset, nil)
	}
	if err := streams.ParseTail(tail, &s.rec); err != nil {
		return s.p.corrupt(offset, err)
	}
	s.rec.Position = streams.Position{TP: s.p.TP, Offset: offset}
	if millis != s.millis || s.read == 0 {
		s.millis, s.rec.Recorded = millis, time.UnixMilli(millis).UTC()
	}
	s.revision = revision
	s.read++
	return nil
}

// committed reads the loaded record as a commit. The error says that it is none.
func (s *scan) committed() (*streams.Committed, error) {
	c := s.p.carriedCommit(s.rec.Position.Offset, s.follows)
	if s.carried = c != nil; s.carried {
		return c, nil
	}
	read, err := streams.ReadCommit(&s.rec)
	if err != nil {
		return nil, err
	}
	return &streams.Committed{Commit: read, Position: s.rec.Position, Revision: s.revision, Recorded: s.rec.Recorded}, nil
}

func (s *scan) count() { s.l.stats.recordsRead.Add(s.read) }

// headAt finds the end of what was recorded at or before a time: times do not decrease with offsets.
func (l *Log) headAt(ctx context.Context, p *partition, until time.Time) (int64, error) {
	if err := l.ops.Enter(ctx); err != nil {
		return 0, err
	}
	defer l.ops.Leave()
	head := p.head.Load()
	if until.IsZero() || head == 0 {
		return head, nil
	}
	end, err := lookup.EndAt(l.db, lookup.Records{Key: p.key, Parse: parseOffsetOf, End: head}, until.UnixMilli())
	if err != nil {
		return 0, p.corrupt(end, err)
	}
	return end, nil
}

func (l *Log) wait(ctx context.Context, p *partition, from int64) error {
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	if p.wait(ctx, from, l.ops.Ending()) {
		return nil
	}
	return l.ops.Stay(ctx)
}
