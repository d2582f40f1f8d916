package fold

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Input is one event as a view sees it. Its strings and slices may share one big buffer per chunk:
// a view that keeps a piece of it in memory beyond Apply clones it.
type Input struct {
	Position       streams.Position // of the record
	Index          int              // of the event within its commit; 0 for facts
	Revision       streams.Revision // of the event in its stream; 0 for facts
	RecordedMillis int64            // recorded time
	Event          *events.Event    // nil when Malformed

	Malformed error           // a fact from outside that cannot be read; only views with Spec.Malformed get it
	Record    *streams.Record // the record as it came, set when Malformed
}

// Widen widens a cut so that it covers the inputs.
func Widen(cut streams.Cut, in []Input) {
	for i := range in { // mostly of one partition, in order
		if i+1 == len(in) || in[i+1].Position.TP != in[i].Position.TP {
			cut.Include(in[i].Position)
		}
	}
}

// Spec says what a view is and how the runner treats it.
type Spec struct {
	Name   string
	Format int      // of what it stores; a stored view of another format is rebuilt
	Topics []string // what it folds

	// Lazy views keep their state in memory and write it in Flush, at checkpoints; after a crash they
	// fold the tail of the log since the last one again. Others write everything in Apply.
	Lazy bool
	// Indexed views can read their own uncommitted writes through Writer.Get and Scan. Costs time.
	Indexed bool
	// Malformed views are given facts that could not be read. Others never see them.
	Malformed bool
	// Unawaited views are for reports: whoever has written something and wants to read it is not kept waiting for
	// them ([Runner.Settle]), only who asks for them by name.
	Unawaited bool
}

// Reader reads one view's own key space; keys are without any prefix of the store.
type Reader interface {
	// Get returns a copy of the value, and whether the key exists.
	Get(key []byte) ([]byte, bool, error)
	// Scan yields the pairs with lo <= key < hi in key order (hi nil: to the end). Key and value are
	// valid until the next step.
	Scan(lo, hi []byte) iter.Seq2[KV, error]
	// ScanBack is Scan from the end.
	ScanBack(lo, hi []byte) iter.Seq2[KV, error]
	// Under yields the pairs under each of some prefixes, in the order of these. Unlike a Scan of each it opens the
	// store once, and sees it at one moment.
	Under(prefixes iter.Seq[Key]) iter.Seq2[KV, error]
	// Firsts yields the first pair of each of some ranges, in the order of these; of one without a pair, nothing. It opens the store once, too; a range may
	// depend on what was yielded of those before.
	Firsts(ranges iter.Seq[Range]) iter.Seq2[KV, error]
	// Cut is what of the log the committed pairs are the fold of.
	Cut() (streams.Cut, error)
}

// Range is the keys from Lo on, before Hi.
type Range struct{ Lo, Hi Key }

// KV is one stored pair.
type KV struct{ Key, Value []byte }

// Writer collects a view's writes into the batch that also takes its cursor. For an Indexed view
// reads see them at once; for others reads see the last committed state.
type Writer interface {
	Reader
	Set(key, value []byte) error
	Delete(key []byte) error
}

// View is one fold. The runner calls Open once, then Apply and Flush from one goroutine at a time;
// queries come from others, so a view with state in memory guards it itself. It also keeps what of the log
// that is the fold of, under the same lock: [Reader.Cut] to begin with, and the inputs it is given.
//
// Apply must depend on nothing but the inputs and the view's own state: not on how the inputs were cut
// into chunks, and not on the order between partitions. An error from Apply halts the view at that
// record until an operator resolves it; use [PoisonAt] to name the input, once those before it are folded.
type View interface {
	Spec() Spec
	// Open gives the view its committed state to read for its whole life, also in queries.
	Open(r Reader) error
	Apply(w Writer, in []Input) error
	// Flush writes what is still only in memory. A no-op for views that are not Lazy.
	Flush(w Writer) error
}

// Tended is a lazy view that has only part of its state in memory, and can be saved while it goes on.
type Tended interface {
	View
	// Save begins what Flush does at once: what is to be written is as of now. write writes it, beside Apply and
	// queries; the Writer is the view's until it has returned. One save is under way at a time.
	Save(w Writer) (write func() error)
	// Rest lets go of what is not needed in memory for now. All that was saved is committed.
	Rest()
	// Warm reads a little of what is better had in memory, and says whether there is more. Its error is also that of
	// queries that met damage.
	Warm() (more bool, err error)
	// Replaced has queries answered by the view that takes this one's place. It reads nothing any more.
	Replaced(by View)
}

// Poison is an event that a view cannot fold.
type Poison struct {
	View     string
	Position streams.Position
	Type     string
	EventID  string
	Err      error
	Unread   bool // it is in a commit that this program cannot read, at which every view of the ledger halts
}

func (p *Poison) Error() string {
	return "view " + p.View + " halted at " + p.Position.String() + " (" + p.Type + " " + p.EventID + "): " + p.Err.Error()
}

func (p *Poison) Unwrap() error { return p.Err }

// PoisonAt marks the input an Apply failed on. Inputs before it were folded.
func PoisonAt(in *Input, err error) error { return poisonAt(in, err) }

func poisonAt(in *Input, err error) *Poison {
	p := &Poison{Position: in.Position, Err: err}
	if in.Event != nil {
		p.Type, p.EventID = in.Event.Type(), in.Event.ID
	}
	return p
}
