package eventstore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/projectionist/projectionist/internal/fault"
)

// What the client (v4.2.0) does not do, and this file does for it:
//
//   - its calls hang without regard to their context while it looks for a node: they are made in
//     goroutines that nobody has to wait for
//   - "requires-leader" never leaves the process: it is set here
//   - esdb.FromError does not see through wrapped errors and says ok when there is none: errors.As
//   - a client that is closed while it looks for a node panics: it is closed only when nothing runs

// item is what a source gives: an event, nil for a sign of life, or an error, which is the last.
type item struct {
	event    *esdb.RecordedEvent
	position uint64 // with no event: of a checkpoint, or 0
	caughtUp bool
	err      error // io.EOF at the end of a read
}

// source is a read or subscription that is pumped into a channel.
type source struct {
	items   chan item
	cancel  context.CancelFunc
	timeout time.Duration // of next; 0 for none
	timer   *time.Timer
}

// sourceItems is how far the pump may run ahead: the client's own buffers hold more.
const sourceItems = 64

// pump starts a source. open gives a function that receives.
func (l *Log) pump(ctx context.Context, timeout time.Duration, open func(ctx context.Context) (func() item, error)) *source {
	ctx, cancel := context.WithCancel(ctx)
	s := &source{items: make(chan item, sourceItems), cancel: cancel, timeout: timeout}
	l.calls.Add(1)
	go func() {
		defer l.calls.Done()
		send := func(i item) bool {
			select {
			case s.items <- i:
				return i.err == nil
			case <-ctx.Done():
				return false
			}
		}
		receive, err := open(ctx)
		if err != nil {
			send(item{err: err})
			return
		}
		for send(receive()) {
		}
	}()
	return s
}

// next waits for an item. Without one in time the error is fault.Unavailable.
func (s *source) next(ctx context.Context) item {
	select {
	case i := <-s.items:
		return i
	default:
	}
	var late <-chan time.Time
	if s.timeout > 0 {
		if s.timer == nil {
			s.timer = time.NewTimer(s.timeout)
		} else {
			s.timer.Reset(s.timeout)
		}
		defer s.timer.Stop()
		late = s.timer.C
	}
	select {
	case i := <-s.items:
		return i
	case <-ctx.Done():
		return item{err: ctx.Err()}
	case <-late:
		return item{err: fault.New(fault.Unavailable, "the server has not answered within %v", s.timeout)}
	}
}

const (
	// searchWindow is how many events of others the server looks through before it says how far it is.
	searchWindow = 1024
)

// subscribe gives the category's events after a position, for as long as ctx lives.
func (l *Log) subscribe(ctx context.Context, after uint64, timeout time.Duration) *source {
	return l.pump(ctx, timeout, func(ctx context.Context) (func() item, error) {
		o := esdb.SubscribeToAllOptions{
			From:               esdb.Start{},
			MaxSearchWindow:    searchWindow,
			CheckpointInterval: 1,
			Filter:             &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{l.opts.prefix()}},
		}
		if after > 0 {
			o.From = esdb.Position{Commit: after, Prepare: after}
		}
		sub, err := l.client.SubscribeToAll(ctx, o)
		if err != nil {
			return nil, err
		}
		confirmed := false
		return func() item {
			if !confirmed {
				confirmed = true
				return item{}
			}
			for {
				e := sub.Recv()
				switch {
				case e.SubscriptionDropped != nil:
					return item{err: e.SubscriptionDropped.Error}
				case e.EventAppeared != nil && e.EventAppeared.Event != nil:
					return item{event: e.EventAppeared.Event}
				case e.CheckPointReached != nil:
					return item{position: e.CheckPointReached.Commit}
				case e.CaughtUp != nil:
					return item{caughtUp: true}
				}
			}
		}, nil
	})
}

// readFrom gives at most count events of a stream of the server. A stream that does not exist has none.
func (l *Log) readFrom(ctx context.Context, stream string, o esdb.ReadStreamOptions, count uint64) *source {
	return l.pump(ctx, l.opts.ReadTimeout, func(ctx context.Context) (func() item, error) {
		ctx = grpcmetadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
		r, err := l.client.ReadStream(ctx, stream, o, count)
		if err != nil {
			return nil, err
		}
		return func() item {
			e, err := r.Recv()
			switch {
			case errors.Is(err, io.EOF) || codeOf(err) == esdb.ErrorCodeResourceNotFound:
				return item{err: io.EOF}
			case err != nil:
				return item{err: err}
			case e.Event == nil:
				return item{}
			}
			return item{event: e.Event}
		}, nil
	})
}

// one reads a single event of a stream; nil when there is none.
func (l *Log) one(ctx context.Context, stream string, o esdb.ReadStreamOptions) (*esdb.RecordedEvent, error) {
	for {
		s := l.readFrom(ctx, stream, o, 1)
		i := s.next(ctx)
		s.cancel()
		switch {
		case i.err == nil:
			return i.event, nil
		case errors.Is(i.err, io.EOF):
			return nil, nil
		case codeOf(i.err) == esdb.ErrorCodeNotLeader: // the client goes to the leader now
			if err := pause(ctx, retryMin); err != nil {
				return nil, err
			}
		default:
			return nil, i.err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noError is no code of the client's.
const noError esdb.ErrorCode = -1

// codeOf is the client's code for an error.
func codeOf(err error) esdb.ErrorCode {
	if err == nil {
		return noError
	}
	var e *esdb.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return esdb.ErrorCodeUnknown
}

// serverError gives an error of the server, of which it is known that nothing was written, the program's form.
func serverError(err error, what string) error {
	var f *fault.Error
	if err == nil || errors.As(err, &f) {
		return err
	}
	wrap := func(code fault.Code, hint string) error {
		f := fault.New(code, "%s", what).WithHint("%s", hint)
		f.Err = err
		return f
	}
	switch codeOf(err) {
	case esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated:
		return wrap(fault.Forbidden, "give the URL a user who may read $all and write to the category")
	case esdb.ErrorCodeStreamDeleted:
		return wrap(fault.Corrupt, "a stream of the ledger was deleted on the server; it cannot be written to again")
	}
	switch status.Code(rpcError(err)) {
	case codes.PermissionDenied, codes.Unauthenticated: // of a subscription that has ended
		return wrap(fault.Forbidden, "give the URL a user who may read $all and write to the category")
	case codes.InvalidArgument:
		return fault.Wrap(fault.Internal, err, "%s", what)
	}
	return fault.Wrap(fault.Unavailable, err, "%s", what)
}

// rpcError is what the client wrapped.
func rpcError(err error) error {
	var e *esdb.Error
	if errors.As(err, &e) && e.Err() != nil {
		return e.Err()
	}
	return err
}
