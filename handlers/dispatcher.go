package handlers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

const (
	// conflictsMax bounds how often a command is decided anew. Commands of one process wait for each
	// other, so each conflict means that another process went ahead; so many in a row mean a writer
	// that never rests, and the caller should know.
	conflictsMax = 32
	// unknownsMax bounds how often a commit of unknown fate is appended again. The log waits for its
	// own timeouts within each.
	unknownsMax = 4
	// streamsKeptMax bounds the folded streams in memory: the open runs and models of a busy day, and
	// a part of the catalogue, at a few hundred bytes each.
	streamsKeptMax = 4096
	// publishedKeptMax bounds the idempotency keys of facts that are remembered, at some 400 bytes each:
	// minutes of clients that repeat what they had no answer to. Older ones are looked for in the log.
	publishedKeptMax = 1 << 16
	// idempotencyKeyBytesMax is the usual limit of the header.
	idempotencyKeyBytesMax = 255
	defaultSource          = "/projectionist"
)

// Config is what a [Dispatcher] works with: the rules have no clock and no chance of their own. All but Recall is needed.
type Config struct {
	Ledger streams.Ledger
	Feed   streams.Feed
	Now    func() time.Time // the clock
	NewID  func() string    // a UUID never given before
	// Recall finds facts of the log, for partitions where they would be now, by their event ids, of those that were
	// published with an idempotency key before this process, by others, or longer ago than this remembers. An error says
	// that it cannot be known for now. nil finds none.
	Recall func(ctx context.Context, eventIDs []string, in []streams.TP) (map[string]streams.Position, error)
}

// Dispatcher turns commands into commits of the ledger, and facts into records of the feeds. It is safe
// for concurrent use, and any number of dispatchers may share a log.
type Dispatcher struct {
	ledger    streams.Ledger
	feed      streams.Feed
	now       func() time.Time
	newID     func() string
	streams   *cache[*folded]
	published *cache[*publication]
	recalled  func(ctx context.Context, eventIDs []string, in []streams.TP) (map[string]streams.Position, error)
}

// New makes a dispatcher. It panics if the configuration lacks something: a wiring fault.
func New(c Config) *Dispatcher {
	if c.Ledger == nil || c.Feed == nil || c.Now == nil || c.NewID == nil {
		panic("handlers: a dispatcher without a ledger, feed, clock or source of ids")
	}
	return &Dispatcher{
		ledger: c.Ledger, feed: c.Feed, now: c.Now, newID: c.NewID, recalled: c.Recall,
		streams:   newCache(streamsKeptMax, func() *folded { return &folded{revision: streams.NoStream} }),
		published: newCache(publishedKeptMax, func() *publication { return &publication{} }),
	}
}

// Meta is what a request says beside its command or facts.
type Meta struct {
	Actor       string // who wants it
	Correlation string // the request or workflow run it belongs to
	Causation   string // id of the event that led to it
	Source      string // who produces the events; "" is "/projectionist"
	// IdempotencyKey makes a repeat harmless: the same command with the same key is accepted once, and
	// answered the same. "" is none.
	IdempotencyKey string
	// Guard is asked before a command is decided that is no repeat of an accepted one: its error is the answer. It must not dispatch.
	Guard func(ctx context.Context) error
	// IfMatch is the revision the stream must have (streams.NoStream: none); nil is any.
	IfMatch *streams.Revision
	// Time is the event time; zero is now. Facts with a timestamp keep their own.
	Time time.Time
}

// Validate says what is wrong with the key or the revision, as dispatching and publishing do.
func (m *Meta) Validate() error {
	if len(m.IdempotencyKey) > idempotencyKeyBytesMax {
		return fault.Field("Idempotency-Key", "has %d bytes; the most is %d", len(m.IdempotencyKey), idempotencyKeyBytesMax)
	}
	if !utf8.ValidString(m.IdempotencyKey) {
		return fault.Field("Idempotency-Key", "must be valid UTF-8")
	}
	for _, r := range m.IdempotencyKey {
		if unicode.IsControl(r) {
			return fault.Field("Idempotency-Key", "must not hold the control character %U", r)
		}
	}
	if m.IfMatch != nil && *m.IfMatch < streams.NoStream {
		return fault.Field("If-Match", "revision %d; want 0 or more, or %d for a stream that does not exist", *m.IfMatch, streams.NoStream)
	}
	return nil
}

// Result says what a command came to.
type Result struct {
	// Position is where the commit stands; of an unchanged stream, where its last commit does. A query
	// with after= this position sees what the command saw and did.
	Position streams.Position
	// Revision of the stream's last event, streams.NoStream if it does not exist: the next If-Match.
	Revision streams.Revision
	// Events of the commit; none if everything was so already.
	Events []events.Event
	// Duplicate: a command with this idempotency key had been accepted before; nothing was written now.
	Duplicate bool
}

// Unchanged says that the command decided no event: what it asks for was so already.
func (r Result) Unchanged() bool { return len(r.Events) == 0 }

// folded is a stream as far as it has been read.
type folded struct {
	state    decider
	revision streams.Revision
	position streams.Position // of the last commit
	keyed    map[string]keyedCommit
}

// keyedCommit is an accepted commit whose id derives from an idempotency key.
type keyedCommit struct {
	first    streams.Revision
	position streams.Position
	eventID  string // of the first event: it derives from the command, see eventID
}

// Dispatch validates the command, decides it on the state of its stream and appends the events.
//
// Errors: fault.Invalid, NotFound and Conflict as the rules decide; Conflict also when the stream is
// not at m.IfMatch, or another command had the same idempotency key; Unavailable where the stream has a commit that this
// program cannot read; Unknown when the log could not say
// whether it took the commit: dispatch the same command with the same idempotency key again. Nothing
// was written unless the error is Unknown.
func (d *Dispatcher) Dispatch(ctx context.Context, c commands.Command, m Meta) (Result, error) {
	if err := c.Validate(); err != nil {
		return Result{}, err
	}
	if err := m.Validate(); err != nil {
		return Result{}, err
	}
	digest := "" // of a command that cannot be told from its repeat it is not needed: the commit has an id of its own
	if m.IdempotencyKey != "" {
		var err error
		if digest, err = digestOf(c); err != nil {
			return Result{}, err
		}
	}
	if r, ok := c.(renaming); ok && m.IdempotencyKey != "" {
		if res, was, err := d.renamedBefore(ctx, r, m, digest); was || err != nil {
			return res, err
		}
	}
	return d.dispatch(ctx, c, m, digest)
}

// decideAt decides a command on the state of a stream and appends the events, and says which claim of a name is among
// them. Where a name leads elsewhere, the error is [elsewhere] or [wanted].
func (d *Dispatcher) decideAt(ctx context.Context, stream string, c commands.Command, m Meta, digest string) (Result, *claim, error) {
	e, err := d.streams.acquire(ctx, stream)
	if err != nil {
		return Result{}, nil, fault.Wrap(fault.Unavailable, err, "%s did not get its turn at %s", c.CommandType(), stream)
	}
	defer e.release()

	// What is known of the stream is decided on first, where anything is: the log refuses the commit if there is more. Any
	// other answer than a commit is given on the whole stream alone. A command that opens a stream takes one that nothing is known of to be empty.
	if _, opens := c.(*commands.RequestWorkflowRun); opens && e.value.state == nil {
		if err := e.value.begin(stream); err != nil {
			return Result{}, nil, err
		}
	}
	known := e.value.state != nil
	for range conflictsMax {
		if !known {
			if err := d.load(ctx, stream, e.value); err != nil {
				return Result{}, nil, err
			}
		}
		commitID := d.commitID(c, m)
		if k, ok := e.value.keyed[commitID]; ok {
			res, err := d.repeated(ctx, c, stream, k, eventID(commitID, digest, 0))
			return res, claimIn(res.Events), err
		}
		if m.Guard != nil {
			if known { // of what is not known it may be a repeat
				known = false
				continue
			}
			if err := m.Guard(ctx); err != nil {
				return Result{}, nil, err
			}
		}
		now := d.now().UTC()
		data, err := e.value.state.decide(c, now)
		if known && (err != nil || len(data) == 0 || m.IfMatch != nil) {
			known = false
			continue
		}
		known = false
		if _, away := err.(*elsewhere); !away {
			if err := m.Matches(stream, e.value.revision); err != nil {
				return Result{}, nil, err
			}
		}
		if err != nil {
			return Result{}, nil, err
		}
		if len(data) == 0 {
			return Result{Position: e.value.position, Revision: e.value.revision}, nil, nil
		}
		commit := streams.Commit{ID: commitID, Stream: stream, Expected: e.value.revision, Events: envelopes(data, commitID, digest, stream, m, now)}
		receipt, err := d.append(ctx, commit)
		switch {
		case err == nil && receipt.Duplicate && m.IdempotencyKey != "":
			continue // somebody appended it since it was loaded: now it will be found
		case err == nil:
			e.value.take(&streams.Committed{Commit: commit, Position: receipt.Position, Revision: commit.Expected + 1})
			return Result{Position: receipt.Position, Revision: receipt.Revision, Events: commit.Events}, claimIn(commit.Events), nil
		case fault.Is(err, fault.Conflict):
			continue // with an If-Match, what is loaded next will not match
		default:
			return Result{}, nil, err
		}
	}
	return Result{}, nil, overtaken(c, stream)
}

// Matches says that a stream with this revision is not the one that is wanted, if m.IfMatch does not say the same.
func (m *Meta) Matches(stream string, have streams.Revision) error {
	if m.IfMatch == nil || *m.IfMatch == have {
		return nil
	}
	want := *m.IfMatch
	e := fault.New(fault.Conflict, "%s is at revision %d, not %d", stream, have, want)
	if have == streams.NoStream {
		e = fault.New(fault.Conflict, "%s does not exist yet, so it is not at revision %d", stream, want)
	}
	e.Field = "If-Match"
	return e.WithHint("read it again and decide anew")
}

// load folds what the stream holds beyond what f has seen of it. Where that has a commit that this program cannot
// read, the error is that of [streams.Committed.Unreadable].
func (d *Dispatcher) load(ctx context.Context, stream string, f *folded) error {
	if err := f.begin(stream); err != nil {
		return err
	}
	for c, err := range d.ledger.ReadStream(ctx, stream, f.revision+1) {
		if _, deaf := f.state.(deaf); err != nil && !(c != nil && deaf) {
			return err // what cannot be read may be what the rules depend on
		}
		if c.Revision != f.revision+1 {
			return fault.New(fault.Corrupt, "%s goes on with revision %d after %d", stream, c.Revision, f.revision).
				WithHint("verify the log")
		}
		f.take(c)
	}
	return nil
}

// begin makes the state before the first commit, where there is none yet.
func (f *folded) begin(stream string) error {
	if f.state != nil {
		return nil
	}
	if f.state = newDecider(stream); f.state == nil {
		return fault.New(fault.Internal, "no rules for a stream such as %s", stream)
	}
	f.keyed = map[string]keyedCommit{}
	return nil
}

// take folds the stream's next commit.
func (f *folded) take(c *streams.Committed) {
	for i := range c.Events {
		f.state.evolve(c.Events[i].Data)
	}
	f.revision = c.Last()
	f.position = c.Position
	if events.Derived(c.ID) {
		f.keyed[c.ID] = keyedCommit{first: c.Revision, position: c.Position, eventID: c.Events[0].ID}
	}
}

// repeated answers a command whose commit is in the log already.
func (d *Dispatcher) repeated(ctx context.Context, c commands.Command, stream string, k keyedCommit, wantEventID string) (Result, error) {
	if k.eventID != wantEventID {
		return Result{}, otherBody(c.CommandType())
	}
	for was, err := range d.ledger.ReadStream(ctx, stream, k.first) {
		if err != nil {
			return Result{}, err
		}
		return Result{Position: was.Position, Revision: was.Last(), Events: was.Events, Duplicate: true}, nil
	}
	return Result{}, fault.New(fault.Corrupt, "%s has lost its commit at %s", stream, k.position)
}

func otherBody(what string) error {
	e := fault.New(fault.Conflict, "this key was used before for another %s", what)
	e.Field = "Idempotency-Key"
	return e.WithHint("a key stands for one request: use a new key for a new one")
}

// append appends the commit, and the very same again while its fate is unknown.
func (d *Dispatcher) append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	for attempt := 1; ; attempt++ {
		receipt, err := d.ledger.Append(ctx, c)
		if !fault.Is(err, fault.Unknown) || attempt == unknownsMax || ctx.Err() != nil {
			return receipt, err
		}
	}
}

// commitID derives from the idempotency key, the type of the command and the stream; without a key it
// is new each time, so that a refused commit and the one after it cannot be mixed up.
func (d *Dispatcher) commitID(c commands.Command, m Meta) string {
	if m.IdempotencyKey == "" {
		return d.newID()
	}
	return commitID(c, c.Stream(), m)
}

func commitID(c commands.Command, stream string, m Meta) string {
	return nameID("commit", m.IdempotencyKey, c.CommandType(), stream)
}

// eventID derives from the commit, the command's digest and the place in the commit. The digest lets a
// repeat be told from another command under the same key, from the log alone.
func eventID(commitID, digest string, i int) string {
	return nameID("event", commitID, digest, strconv.Itoa(i))
}

// digestOf stands for the content of a command: equal commands have equal digests.
func digestOf(v any) (string, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "the request has no JSON form")
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:]), nil
}

func envelopes(data []events.Data, commitID, digest, stream string, m Meta, now time.Time) []events.Event {
	at := m.Time
	if at.IsZero() {
		at = now
	}
	evs := make([]events.Event, len(data))
	for i, d := range data {
		evs[i] = envelope(eventID(commitID, digest, i), stream, d, m, at)
	}
	return evs
}

func envelope(id, subject string, d events.Data, m Meta, at time.Time) events.Event {
	source := m.Source
	if source == "" {
		source = defaultSource
	}
	return events.Event{
		ID: id, Source: source, Subject: subject, Time: at.UTC().Truncate(time.Millisecond), Schema: events.SchemaOf(d.EventType()),
		Actor: m.Actor, Correlation: m.Correlation, Causation: m.Causation, Data: d,
	}
}
