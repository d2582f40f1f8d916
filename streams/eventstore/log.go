package eventstore

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// Log is the log on a server or cluster. Its methods are safe for concurrent use.
type Log struct {
	opts   Options
	client *esdb.Client
	fold   *fold
	relay  relay

	writer                      string // begins the marks of this process's attempts
	attempts                    atomic.Uint64
	appended, refused, repeated atomic.Uint64 // commits

	calls   sync.WaitGroup // calls of the client under way
	running sync.WaitGroup // follow and the relay

	reads      context.Context // ends when Close begins
	endReads   context.CancelFunc
	stop       context.Context // ends when all operations have
	endAll     context.CancelFunc
	caughtUp   chan struct{} // closed when the fold has been at the end of $all
	caughtOnce sync.Once

	ops       *gate.Gate
	closeOnce sync.Once
	closeErr  error
}

var _ streams.Log = (*Log)(nil)

// Open connects, and folds the category up to its end. Errors: fault.Invalid for options or a server older
// than 23.10; fault.Unavailable when no node answers, or not in time (ctx bounds it; reading a long ledger
// takes its time); fault.Forbidden for credentials; fault.Corrupt when events are missing, or the ledger is
// an unfinished copy; with Options.Restoring, fault.Conflict for a ledger that has commits of its own.
func Open(ctx context.Context, opts Options) (_ *Log, err error) {
	opts.setDefaults()
	if err := opts.Validate(); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the options of the log on EventStoreDB")
	}
	if err := gate.Ended(ctx); err != nil {
		return nil, err
	}
	l := &Log{opts: opts, fold: newFold(opts.prefix()), writer: rand.Text()[:10], caughtUp: make(chan struct{}), ops: gate.New()}
	l.relay.l = l
	l.reads, l.endReads = context.WithCancel(context.Background())
	l.stop, l.endAll = context.WithCancel(context.Background())
	if err := probe(ctx, &opts); err != nil {
		return nil, err
	}
	config, err := opts.config(attemptsForever)
	if err != nil {
		return nil, err
	}
	if l.client, err = esdb.NewClient(config); err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the connection string")
	}
	failed := make(chan error, 1)
	l.running.Go(func() { l.follow(failed) })
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	select {
	case <-l.caughtUp:
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
		return nil, gate.Ended(ctx)
	}
	if err := l.openRestoring(ctx); err != nil {
		return nil, err
	}
	if opts.Feeds != nil && !opts.Restoring {
		l.running.Go(l.relay.run)
	}
	return l, nil
}

// probe looks whether a node answers, with a client that may give up, and whether it is new enough.
func probe(ctx context.Context, opts *Options) error {
	config, err := opts.config(openAttempts)
	if err != nil {
		return err
	}
	type answer struct {
		version *esdb.ServerVersion
		err     error
	}
	done := make(chan answer, 1)
	go func() {
		client, err := esdb.NewClient(config)
		if err != nil {
			done <- answer{err: err}
			return
		}
		v, err := client.GetServerVersion()
		client.Close()
		done <- answer{v, err}
	}()
	select {
	case a := <-done:
		if a.err != nil {
			return serverError(a.err, "no node of EventStoreDB can be reached")
		}
		if a.version.Major < 23 || a.version.Major == 23 && a.version.Minor < 10 {
			return fault.Field("url", "the server is version %d.%d; want EventStoreDB 23.10 or newer, which says when a subscription has caught up", a.version.Major, a.version.Minor)
		}
		return nil
	case <-ctx.Done():
		return gate.Ended(ctx)
	}
}

// Ledger is the control plane's log.
func (l *Log) Ledger() streams.Ledger { return ledger{l} }

// Feed is that of Options.Feeds, except that the ledger's topic is this ledger's.
func (l *Log) Feed() streams.Feed { return feed{l} }

// Close ends the relay, all reads and waits, waits for the appends under way, and disconnects. It may be
// called again. Options.Feeds stays open.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	var late error
	l.endReads()
	if !l.ops.Close(l.opts.CloseTimeout) {
		late = fault.New(fault.Unavailable, "the log on EventStoreDB is still in use after %v", l.opts.CloseTimeout)
	}
	l.endAll()
	l.running.Wait()
	idle := make(chan struct{})
	go func() {
		l.calls.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		l.client.Close() // it has no error
	case <-time.After(hangTimeout): // the client looks for a node: it is left to the end of the process
	}
	return late
}

// hangTimeout is how long calls may take to notice that their context has ended.
const hangTimeout = time.Second

// reading is a context for a read: it ends with the caller's and when Close begins.
func (l *Log) reading(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(l.reads, cancel)
	return ctx, func() { stop(); cancel() }
}

// readError is the error of a read whose caller has the context ctx.
func (l *Log) readError(ctx context.Context, err error, what string) error {
	if err == nil {
		return nil
	}
	if err := gate.Ended(ctx); err != nil {
		return err
	}
	if l.reads.Err() != nil {
		return gate.Closed()
	}
	return serverError(err, what)
}

// await waits until the function, called under the fold's lock, says yes.
func (l *Log) await(ctx context.Context, fn func() bool) error {
	for {
		ok, changed, err := l.fold.look(fn)
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// follow keeps the fold at the end of $all until the log is closed or the fold is broken. Before the fold
// has caught up for the first time, an error that will not pass goes to failed.
func (l *Log) follow(failed chan<- error) {
	wait := retryMin
	for l.stop.Err() == nil {
		was, _ := l.fold.at()
		err := l.followOnce()
		if l.stop.Err() != nil {
			return
		}
		if now, _ := l.fold.at(); now != was {
			wait = retryMin
		}
		lost := l.fold.setLive(false)
		broken := l.fold.failed()
		if code := fault.CodeOf(err); broken != nil || code == fault.Forbidden {
			select {
			case failed <- err:
			default:
			}
		}
		if broken != nil {
			l.opts.Logf("the ledger on EventStoreDB is not followed any more: %v", broken)
			return
		}
		if lost {
			l.opts.Logf("the subscription to EventStoreDB has ended and is made anew: %v", err)
		}
		if pause(l.stop, wait) != nil {
			return
		}
		wait = min(2*wait, retryMax)
	}
}

// followOnce follows until the subscription ends. An error that breaks the fold is left in it.
func (l *Log) followOnce() error {
	seen, t := l.fold.at()
	if t.stream != "" {
		// A server that was restored from a backup may lack what was folded, and what was acknowledged.
		e, err := l.one(l.stop, t.stream, esdb.ReadStreamOptions{From: esdb.Revision(t.number)})
		if err != nil {
			return serverError(err, "the last event cannot be read")
		}
		if e == nil || e.EventNumber != t.number || e.EventID != t.id {
			err := fault.New(fault.Corrupt, "the server no longer has event %d of %s: it has lost data, or it is another one", t.number, t.stream).
				WithHint("restore it, or start anew with what it has: views are ahead of it and must be rebuilt")
			l.fold.fail(err)
			return err
		}
	}
	s := l.subscribe(l.stop, seen, 0)
	defer s.cancel()
	for {
		i := s.next(l.stop)
		switch {
		case i.err != nil:
			if status.Code(rpcError(i.err)) == codes.InvalidArgument {
				l.fold.rewind() // an invalid position
			}
			return serverError(i.err, "the subscription to $all")
		case i.event != nil:
			if err := l.fold.add(i.event); err != nil {
				return err
			}
		case i.caughtUp:
			l.fold.setLive(true)
			l.caughtOnce.Do(func() { close(l.caughtUp) })
		case i.position > 0:
			l.fold.checkpoint(i.position)
		}
	}
}

// Stats says what the fold has made of the category's events, and how far it is.
type Stats struct {
	Live     bool   // the subscription stands and has caught up
	Seen     uint64 // position in $all up to which the ledger is folded
	Accepted uint64 // commits
	// Void for every reader of every process: commits whose expected revision did not fit or whose id was
	// accepted before, and events that are no part of a commit.
	Conflicts, Duplicates, Garbage uint64
	// Appends of this process that were accepted, refused for what they expected, or known already.
	Appended, Refused, Repeated uint64
}

// Stats gives the counts since the ledger's beginning, and those of this process.
func (l *Log) Stats() Stats {
	s := l.fold.stats()
	s.Appended, s.Refused, s.Repeated = l.appended.Load(), l.refused.Load(), l.repeated.Load()
	return s
}
