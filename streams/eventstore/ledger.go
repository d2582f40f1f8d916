package eventstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sort"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

type ledger struct{ l *Log }

// Append sends the commit with the server's number for the expected revision, and waits for the fold's
// verdict on it. While the server is known to be gone it waits, and fails as fault.Unavailable; once the
// commit has been sent, every doubt is fault.Unknown.
func (a ledger) Append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	l := a.l
	if _, err := streams.CommitRecord(c); err != nil { // the limits of every adapter
		return streams.Receipt{}, err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return streams.Receipt{}, err
	}
	defer l.ops.Leave()
	if l.opts.Restoring {
		return streams.Receipt{}, fault.New(fault.Conflict, "the log is open to be filled from another one: it takes nothing else")
	}
	if err := l.fold.takes(false); err != nil {
		return streams.Receipt{}, err
	}
	r, err := l.append(ctx, c, nil)
	switch {
	case fault.Is(err, fault.Conflict):
		l.refused.Add(1)
	case err == nil && r.Duplicate:
		l.repeated.Add(1)
	case err == nil:
		l.appended.Add(1)
	}
	return r, err
}

// append sends a commit, which is checked, and waits for the verdict. restored is nil for one of its own.
func (l *Log) append(ctx context.Context, c streams.Commit, restored *restoredMeta) (streams.Receipt, error) {
	mark := fmt.Sprintf("%s-%d", l.writer, l.attempts.Add(1))
	data, err := encode(&c, mark, restored)
	if err != nil {
		return streams.Receipt{}, err
	}
	w, before := l.fold.await(c.ID, mark)
	if before != nil {
		return *before, nil
	}
	defer l.fold.forget(c.ID, w)
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	defer context.AfterFunc(l.stop, cancel)()
	p := appending{l: l, c: &c, data: data, w: w, name: l.opts.prefix() + c.Stream}
	r, err := p.run(ctx)
	if err != nil {
		if v, ok := p.heard(); ok { // the last word is the fold's
			return v.receipt, v.err
		}
	}
	return r, err
}

// appending is an append under way.
type appending struct {
	l    *Log
	c    *streams.Commit
	data []esdb.EventData
	w    *waiter
	name string // of the server's stream
}

// heard is the verdict, if there is one.
func (p *appending) heard() (verdict, bool) {
	select {
	case v := <-p.w.done:
		return v, true
	default:
		return verdict{}, false
	}
}

func (p *appending) run(ctx context.Context) (streams.Receipt, error) {
	none := streams.Receipt{}
	synced := false // the fold has what the server had of the stream a moment ago
	for {
		if err := p.l.await(ctx, func() bool { return p.l.fold.live }); err != nil {
			return none, p.notSent(err)
		}
		if p.l.fold.inDoubt(p.c.ID) {
			// The server may have it and have forgotten its event ids: if so the fold has it now.
			if err := p.sync(ctx); err != nil {
				return none, p.notSent(err)
			}
			p.l.fold.settle(p.c.ID)
			if v, ok := p.heard(); ok {
				return v.receipt, v.err
			}
		}
		expected := esdb.ExpectedRevision(esdb.Any{})
		if p.c.Expected != streams.AnyRevision {
			_, s, err := p.l.fold.snapshot(p.c.Stream)
			if err != nil {
				return none, err
			}
			// The fold may be behind, but not wrong: a head only grows, and a commit that was accepted
			// where this one wants to be has been folded together with its id.
			if s.head > p.c.Expected || synced && s.head < p.c.Expected {
				return none, streams.Conflict(p.c.Stream, p.c.Expected, s.head)
			}
			if s.head < p.c.Expected {
				if err := p.sync(ctx); err != nil {
					return none, p.notSent(err)
				}
				synced = true
				continue
			}
			expected = esdb.NoStream{}
			if s.next > 0 {
				expected = esdb.Revision(s.next - 1)
			}
		}
		sent := make(chan error, 1)
		p.l.calls.Add(1)
		go func() {
			defer p.l.calls.Done()
			_, err := p.l.client.AppendToStream(grpcmetadata.AppendToOutgoingContext(ctx, "requires-leader", "true"), p.name,
				esdb.AppendToStreamOptions{ExpectedRevision: expected, Deadline: &p.l.opts.WriteTimeout}, p.data...)
			sent <- err
		}()
		var err error
		select {
		case v := <-p.w.done: // the answer may be late, or never come: the server drops a repetition whose original is not replicated yet
			return v.receipt, v.err
		case err = <-sent:
		case <-ctx.Done():
			return none, p.unknown(ctx.Err())
		}
		if err == nil {
			select {
			case v := <-p.w.done:
				return v.receipt, v.err
			case <-ctx.Done():
				return none, p.unknown(ctx.Err())
			}
		}
		switch {
		case codeOf(err) == esdb.ErrorCodeWrongExpectedVersion:
			if err := p.sync(ctx); err != nil {
				return none, p.notSent(err)
			}
			if v, ok := p.heard(); ok {
				return v.receipt, v.err
			}
			synced = true
		case codeOf(err) == esdb.ErrorCodeNotLeader || beforeSent(err):
			// Nothing was written, and the client looks for the node that can.
		case written(err):
			return none, p.unknown(err)
		default:
			return none, serverError(err, "the commit was refused by the server")
		}
		if e := pause(ctx, retryMin); e != nil {
			return none, p.notSent(err)
		}
	}
}

// beforeSent says that the append ended before its last event was sent, so that the server has not looked
// at it: the client wraps those errors, and no others.
func beforeSent(err error) bool {
	_, direct := err.(*esdb.Error)
	return !direct && !errors.Is(err, io.EOF)
}

// written says that after this error the append may have been written.
func written(err error) bool {
	switch codeOf(err) {
	case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated, esdb.ErrorCodeStreamDeleted,
		esdb.ErrorCodeUnsupportedFeature, esdb.ErrorCodeConnectionClosed:
		return false
	}
	if errors.Is(err, io.EOF) {
		return false // the server ended the call before it had all of it
	}
	return status.Code(rpcError(err)) != codes.InvalidArgument
}

func (p *appending) sync(ctx context.Context) error { return p.l.sync(ctx, p.c.Stream) }

// sync waits until the fold has what the server has of a stream.
func (l *Log) sync(ctx context.Context, stream string) error {
	e, err := l.one(ctx, l.opts.prefix()+stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}})
	if err != nil || e == nil {
		return err
	}
	return l.await(ctx, func() bool {
		s := l.fold.streams[stream]
		return s != nil && s.next > e.EventNumber
	})
}

func (p *appending) unknown(err error) error {
	p.l.fold.doubt(p.c.ID)
	return fault.Wrap(fault.Unknown, err, "commit %s may or may not be on the server", p.c.ID)
}

// notSent is the error of a try that wrote nothing. An earlier one may have.
func (p *appending) notSent(err error) error {
	if p.l.fold.inDoubt(p.c.ID) {
		return p.unknown(err)
	}
	return serverError(err, fmt.Sprintf("commit %s was not written", p.c.ID))
}

// ReadStream reads from the server, from its leader. Events that the fold has and the server no longer are
// fault.Corrupt.
func (a ledger) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		if err := a.l.readStream(ctx, stream, max(from, 0), yield); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Log) readStream(ctx context.Context, stream string, from streams.Revision, yield func(*streams.Committed, error) bool) error {
	if err := streams.CheckStream(stream); err != nil {
		return err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	entries, s, err := l.fold.snapshot(stream)
	if err != nil || s.head < from {
		return err
	}
	caller := ctx
	ctx, done := l.reading(ctx)
	defer done()
	name := l.opts.prefix() + stream
	what := "stream " + stream + " cannot be read"
	lost := func() error {
		return fault.New(fault.Corrupt, "the server has lost or deleted events of stream %s", stream).
			WithHint("restore them from a backup; streams of the ledger must not be truncated")
	}

	number := s.number(from)
	if from > 0 { // it may stand within a commit
		e, err := l.one(ctx, name, esdb.ReadStreamOptions{From: esdb.Revision(number)})
		if err != nil {
			return l.readError(caller, err, what)
		}
		if e == nil || e.EventNumber != number {
			return lost()
		}
		m, ok := parseFrame(e)
		if !ok || uint64(m.Commit.Index) > number {
			return lost()
		}
		number -= uint64(m.Commit.Index)
		from -= streams.Revision(m.Commit.Index)
	}
	src := l.readFrom(ctx, name, esdb.ReadStreamOptions{From: esdb.Revision(number)}, s.next-number)
	defer func() { src.cancel() }()
	var b builder
	for {
		i := src.next(ctx)
		if codeOf(i.err) == esdb.ErrorCodeNotLeader { // told before the first event; the client goes to the leader now
			src.cancel()
			if i.err = pause(ctx, retryMin); i.err == nil {
				src = l.readFrom(ctx, name, esdb.ReadStreamOptions{From: esdb.Revision(number)}, s.next-number)
				continue
			}
		}
		if errors.Is(i.err, io.EOF) {
			return lost() // the stream's last commit was not met
		}
		if i.err != nil {
			return l.readError(caller, i.err, what)
		}
		if i.event == nil {
			continue
		}
		if b.entry == nil {
			n := sort.Search(len(entries), func(n int) bool { return entries[n].first >= i.event.Position.Commit })
			if n == len(entries) || entries[n].first != i.event.Position.Commit {
				continue // void
			}
			b.begin(&entries[n])
		}
		c, err := b.add(i.event, stream)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		if c.Revision != from {
			return lost()
		}
		from += streams.Revision(len(c.Events))
		if !yield(c, c.Unreadable()) || c.Position.Offset == s.last {
			return nil
		}
	}
}

// builder gathers the events of one accepted commit.
type builder struct {
	entry *entry
	c     *streams.Committed
}

func (b *builder) begin(e *entry) { b.entry, b.c = e, nil }

// add takes the commit's next event; with the last one it gives the commit.
func (b *builder) add(e *esdb.RecordedEvent, stream string) (*streams.Committed, error) {
	p := e.Position.Commit
	corrupt := func(err error) error {
		f := fault.New(fault.Corrupt, "the commit at %s cannot be read at event %d of %s", position(b.entry.offset), e.EventNumber, e.StreamID)
		f.Err = err
		return f
	}
	m, ok := parseFrame(e)
	if !ok {
		return nil, corrupt(nil)
	}
	if b.c == nil {
		if p != b.entry.first || m.Commit.Index != 0 {
			return nil, corrupt(nil)
		}
		b.c = &streams.Committed{
			Commit:   streams.Commit{ID: m.Commit.ID, Stream: stream, Expected: *m.Commit.Expected},
			Position: position(b.entry.offset), Revision: b.entry.revision, Recorded: time.UnixMilli(b.entry.millis).UTC(),
		}
	}
	if m.Commit.Index != len(b.c.Events) {
		return nil, corrupt(nil)
	}
	ev, err := decode(e, &m)
	if err != nil {
		return nil, corrupt(err)
	}
	b.c.Events = append(b.c.Events, ev)
	if p < b.entry.last {
		return nil, nil
	}
	if p > b.entry.last || len(b.c.Events) != int(b.entry.events) {
		return nil, corrupt(nil)
	}
	c := b.c
	if err := asOne(c.Events); err != nil {
		return nil, corrupt(err)
	}
	b.entry, b.c = nil, nil
	return c, nil
}

// Read subscribes to the category from the commit at the offset, and ends at the head.
func (a ledger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		if err := a.l.read(ctx, from, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Log) read(ctx context.Context, from int64, yield func(*streams.Committed, error) bool) error {
	if err := l.ops.EnterRead(ctx, from); err != nil {
		return err
	}
	defer l.ops.Leave()
	entries, _, err := l.fold.snapshot("")
	n := sort.Search(len(entries), func(i int) bool { return entries[i].offset >= from })
	if err != nil || n == len(entries) {
		return err
	}
	caller := ctx
	ctx, done := l.reading(ctx)
	defer done()
	var after uint64
	if n > 0 {
		after = entries[n-1].last
	}
	src := l.subscribe(ctx, after, l.opts.ReadTimeout)
	defer src.cancel()
	prefix := l.opts.prefix()
	var b builder
	for n < len(entries) {
		i := src.next(ctx)
		if i.err != nil {
			return l.readError(caller, i.err, "the ledger cannot be read")
		}
		if i.caughtUp {
			// A follower may be behind. If it is lost, the subscription of the fold finds that out.
			return fault.New(fault.Unavailable, "the node does not have the commit at %s", position(entries[n].offset))
		}
		if i.event == nil || i.event.Position.Commit < entries[n].first {
			continue
		}
		if b.entry == nil {
			b.begin(&entries[n])
		}
		c, err := b.add(i.event, strings.TrimPrefix(i.event.StreamID, prefix))
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		n++
		if !yield(c, c.Unreadable()) {
			return nil
		}
	}
	return nil
}

func (a ledger) Head(ctx context.Context, until time.Time) (int64, error) {
	if err := a.l.ops.Enter(ctx); err != nil {
		return 0, err
	}
	defer a.l.ops.Leave()
	entries, _, err := a.l.fold.snapshot("")
	if err != nil {
		return 0, err
	}
	if until.IsZero() {
		if len(entries) == 0 {
			return 0, nil
		}
		return entries[len(entries)-1].offset + 1, nil
	}
	return headAt(entries, until), nil
}

func (a ledger) Wait(ctx context.Context, from int64) error {
	l := a.l
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	caller := ctx
	ctx, done := l.reading(ctx)
	defer done()
	err := l.await(ctx, func() bool { return l.fold.head() > from })
	return l.readError(caller, err, "the ledger cannot be waited for")
}
