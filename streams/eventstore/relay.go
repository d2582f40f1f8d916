package eventstore

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"iter"
	"log"
	"os"
	"path/filepath"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Target is where a relay publishes: the part of a streams.Feed that it needs, for a topic mlops-events of
// one partition that this relay alone writes to. A log's own Feed refuses that topic; a plain producer and
// consumer of the brokers is meant.
type Target interface {
	// Publish appends the records in order and returns when they are durable; their Position is set. On an
	// error any first part of them may have been written.
	Publish(ctx context.Context, topic string, recs []streams.Record) error
	// Read yields the partition's records from an offset up to its head.
	Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error]
}

// Cursor is how far a relay has come.
type Cursor struct {
	Ledger int64 `json:"ledger"` // offset after the last commit that is surely in the target
	Target int64 `json:"target"` // offset in the target up to which its records are accounted for
}

// CursorStore keeps a relay's cursor. A lost cursor costs a reading of the whole target, nothing else.
type CursorStore interface {
	Load(ctx context.Context) (Cursor, error) // the zero Cursor when there is none
	Store(ctx context.Context, c Cursor) error
}

// RelayOptions of a relay; Target is all that must be given.
type RelayOptions struct {
	Target Target
	Cursor CursorStore // default: none, the target is read from its beginning at every start
	// Batch is the most commits of one Publish; default 500. BatchBytes bounds their records; default 1 MiB.
	Batch, BatchBytes int
	// Logf reports failures that are tried again; default log.Printf.
	Logf func(format string, args ...any)
}

const (
	relayBatchDefault      = 500
	relayBatchBytesDefault = 1 << 20
)

// Relay copies a ledger, commit by commit and in order, to the topic mlops-events of a target, as the
// records that streams.CommitRecord makes. Every commit is there once, also after a crash: the cursor is
// stored after the records, and what was published past it is known by its commit id, read from the
// target's tail. Two relays at once on one target would break that.
type Relay struct {
	ledger streams.Ledger
	opts   RelayOptions
	tp     streams.TP
}

// NewRelay makes a relay; Run runs it.
func NewRelay(ledger streams.Ledger, opts RelayOptions) *Relay {
	if opts.Batch <= 0 {
		opts.Batch = relayBatchDefault
	}
	if opts.BatchBytes <= 0 {
		opts.BatchBytes = relayBatchBytesDefault
	}
	if opts.Logf == nil {
		opts.Logf = log.Printf
	}
	return &Relay{ledger: ledger, opts: opts, tp: streams.TP{Topic: events.LedgerTopic}}
}

// Run copies until ctx ends, whose error it returns. What is Unavailable or Unknown is tried again, with
// the target's tail read anew; any other error ends it.
func (r *Relay) Run(ctx context.Context) error {
	wait := retryMin
	for {
		moved, err := r.once(ctx)
		if err := ctx.Err(); err != nil {
			return err
		}
		if code := fault.CodeOf(err); code != fault.Unavailable && code != fault.Unknown {
			return err
		}
		if moved {
			wait = retryMin
		}
		r.opts.Logf("the relay of the ledger tries again: %v", err)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		wait = min(2*wait, retryMax)
	}
}

// once resumes and copies until something fails.
func (r *Relay) once(ctx context.Context) (moved bool, err error) {
	var at Cursor
	if r.opts.Cursor != nil {
		if at, err = r.opts.Cursor.Load(ctx); err != nil {
			return false, err
		}
	}
	there, err := r.published(ctx, &at)
	if err != nil {
		return false, err
	}
	published := false
	for {
		var batch []streams.Record
		bytes, next := 0, at.Ledger
		for c, err := range r.ledger.Read(ctx, at.Ledger) {
			if err != nil {
				return moved, err
			}
			if _, ok := there[c.ID]; ok {
				if len(batch) > 0 || published {
					return moved, fault.New(fault.Corrupt, "the target has commit %s, but not one that was before it", c.ID).
						WithHint("somebody else writes to the target's topic %s, or its records were deleted; give the relay an empty one", r.tp.Topic)
				}
				delete(there, c.ID)
				next = c.Position.Offset + 1
				continue
			}
			rec, err := record(c)
			if err != nil {
				return moved, err
			}
			size := streams.TailSize(rec)
			if len(batch) > 0 && bytes+size > r.opts.BatchBytes {
				break
			}
			batch = append(batch, *rec)
			bytes += size
			next = c.Position.Offset + 1
			if len(batch) == r.opts.Batch {
				break
			}
		}
		if len(batch) > 0 {
			if err := r.opts.Target.Publish(ctx, r.tp.Topic, batch); err != nil {
				return moved, err
			}
			published = true
			at.Target = max(at.Target, batch[len(batch)-1].Offset+1)
		}
		if next > at.Ledger {
			moved = true
			at.Ledger = next
			if r.opts.Cursor != nil {
				if err := r.opts.Cursor.Store(ctx, at); err != nil {
					return moved, err
				}
			}
			continue
		}
		if err := r.ledger.Wait(ctx, at.Ledger); err != nil {
			return moved, err
		}
	}
}

// published are the ids of the commits in the target past the cursor, which is moved behind them.
func (r *Relay) published(ctx context.Context, at *Cursor) (map[string]struct{}, error) {
	there := map[string]struct{}{}
	for rec, err := range r.opts.Target.Read(ctx, r.tp, at.Target) {
		if err != nil {
			return nil, err
		}
		at.Target = rec.Offset + 1
		c, err := streams.ReadCommit(rec)
		if err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "record %s of the relay's target is no commit", rec.Position)
		}
		there[c.ID] = struct{}{}
	}
	return there, nil
}

// CursorFile keeps a relay's cursor in a file of this path, whole and fsynced, or not at all.
type CursorFile string

var _ CursorStore = CursorFile("")

// Load reads the file. A damaged one is fault.Corrupt: it may be deleted.
func (f CursorFile) Load(context.Context) (Cursor, error) {
	var c Cursor
	b, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fault.Wrap(fault.Unavailable, err, "the relay's cursor cannot be read")
	}
	if err := json.Unmarshal(b, &c); err != nil || c.Ledger < 0 || c.Target < 0 {
		e := fault.New(fault.Corrupt, "the relay's cursor in %s is damaged", string(f)).WithHint("delete it: the relay then reads its target from the beginning")
		e.Err = err
		return Cursor{}, e
	}
	return c, nil
}

// Store writes the file anew.
func (f CursorFile) Store(_ context.Context, c Cursor) error {
	b, err := json.Marshal(c)
	if err == nil {
		err = replaceFile(string(f), append(b, '\n'))
	}
	return fault.Wrap(fault.Unavailable, err, "the relay's cursor cannot be written")
}

func replaceFile(path string, b []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(t.Name()) // gone once it is renamed
	_, err = t.Write(b)
	if err := errors.Join(err, t.Sync(), t.Close()); err != nil {
		return err
	}
	return os.Rename(t.Name(), path)
}
