package streams

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Revision counts the events of one stream from 0. It is counted by the fold, never from offsets.
type Revision int64

const (
	AnyRevision Revision = -2 // append whatever the stream's head is
	NoStream    Revision = -1 // append only if the stream does not exist yet
)

// Conflict is the error of a commit whose expected revision is not its stream's head.
func Conflict(stream string, expected, head Revision) error {
	name := func(r Revision) string {
		if r == NoStream {
			return "no stream"
		}
		return fmt.Sprintf("revision %d", r)
	}
	return fault.New(fault.Conflict, "stream %s: expected %s, it has %s", stream, name(expected), name(head))
}

// Commit is what one command decided: 1..n events of one stream, accepted or refused as a whole.
type Commit struct {
	ID       string   // a UUID; the same ID appended again is the same commit and gets the same receipt
	Stream   string   // "model/als", "run/4f2c…"
	Expected Revision // revision of the stream's last event as the writer knew it, or a constant above
	Events   []events.Event
}

// foreign is the first event of the commit that this program cannot read, and why.
func (c *Commit) foreign() *events.Foreign {
	for i := range c.Events {
		f, ok := c.Events[i].Data.(*events.Foreign)
		if !ok {
			return nil // they are all so, or none
		}
		if f.Err != nil {
			return f
		}
	}
	return nil
}

// Receipt says where an accepted commit stands.
type Receipt struct {
	Position  Position
	Revision  Revision // of the commit's last event
	Recorded  time.Time
	Duplicate bool // the commit had been accepted before; nothing was written now
}

// Committed is an accepted commit as every reader sees it. It owns its memory.
type Committed struct {
	Commit
	Position Position
	Revision Revision  // of the commit's FIRST event
	Recorded time.Time // when the log took it; never decreases with the offset
}

// Last is the revision of the commit's last event.
func (c *Committed) Last() Revision { return c.Revision + Revision(len(c.Events)) - 1 }

// Unreadable is why this program cannot read the commit, nil if it can: an event is of a type or a schema version that
// it does not know, such as a newer release's, or has data of another shape than its type. Then each of the commit's
// events is an [*events.Foreign]. The error is fault.Unavailable, and names the record and the remedy.
func (c *Committed) Unreadable() error {
	f := c.foreign()
	if f == nil {
		return nil
	}
	e := fault.New(fault.Unavailable, "the event %s at %s, of stream %s, cannot be read by this release", f.Name, c.Position, c.Stream).
		WithHint("run the release that knows it; or have everyone pass over it: projectionist views skip --all %s --reason WHY", c.Position)
	e.Err = f.Err
	return e
}

// Ledger is the control plane's log.
//
// A commit that this program cannot read is yielded together with an error, that of [Committed.Unreadable]: who stops
// there says why, and who goes on is given what follows. Any other error comes without a commit, and is the last.
// Records of the ledger's topic that are no commits take an offset and mean nothing; they are not yielded.
//
// Append answers in one of three ways, and the caller must tell them apart:
//   - a Receipt: accepted and durable.
//   - an error of code fault.Conflict: refused, nothing was written; load, decide and try anew.
//   - an error of code fault.Unknown: the commit may or may not be in the log; append the same commit
//     again (its ID makes that safe).
//   - any other error: failed, nothing was written.
type Ledger interface {
	Append(ctx context.Context, c Commit) (Receipt, error)
	// ReadStream yields the stream's commits from the one that holds revision `from` up to the head at
	// the time of the call; nothing for a stream that does not exist.
	ReadStream(ctx context.Context, stream string, from Revision) iter.Seq2[*Committed, error]
	// Read yields commits in order from offset `from` up to the head at the time of the call. Void
	// commits are not yielded. Others may be given the data of the same events: nothing of it is to be changed.
	Read(ctx context.Context, from int64) iter.Seq2[*Committed, error]
	// Head is the offset after the last durable commit recorded at or before `until`; the zero time
	// means now. 0 is an empty ledger.
	Head(ctx context.Context, until time.Time) (int64, error)
	// Wait blocks until Head > from, or ctx ends.
	Wait(ctx context.Context, from int64) error
}
