package handlers

import (
	"context"
	"errors"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// A thing that people call by a name, an experiment or a model, is its stream; its name may change. The stream of a name,
// which is that of the first thing called so, judges who has it: others claim it there, and then their own stream says
// that they are called so now. Between these two commits the claim is unfinished, and whoever meets it finishes it, so
// that it makes no difference where its writer ended. Things count their namings, so that the two streams tell whether a
// claim is unfinished, holds, or has come to nothing; the last is for good.

// naming is what a stream knows of names: how its thing is called, and who else has claimed the name whose stream it is.
type naming struct {
	name  string // of the thing; "" where there is none, or none any more
	count int    // of the thing's namings; its end is one too
	claim claim  // the last by another thing; zero for none, and once it is known to have come to nothing
	heirs int    // things that began under this name after the stream's own
}

// named is a decider of a thing with a name.
type named interface {
	decider
	names() *naming
}

// claim is a thing's wish to have a name: the thing's stream, and which of its namings this is.
type claim struct {
	stream string
	name   string
	naming int
	events []events.Data // which make it true, in the thing's stream
}

func (c *claim) is(other *claim) bool {
	return c.stream == other.stream && c.name == other.name && c.naming == other.naming
}

// call takes note of how the thing is called from now on; home says that this is the name whose stream this is.
func (n *naming) call(name string, home bool) {
	n.name = name
	n.count++
	if home { // so nobody else has it
		n.claim = claim{}
	}
}

// claimed takes note of another thing's claim.
func (n *naming) claimed(c claim) {
	n.claim = c
	if c.naming == 1 {
		n.heirs++
	}
}

// elsewhere is what a decider answers where a name is, by its stream, another thing's; zero where its thing has it no
// longer, and the name's own stream knows more.
type elsewhere struct {
	claim
	taken error // the answer if the claim holds; nil: the command is that thing's to decide
}

func (e *elsewhere) Error() string {
	if e.stream == "" {
		return "this stream is not that name's"
	}
	return "the name is for " + e.stream + " to have"
}

// wanted is what a decider answers to a command to give its thing another name: the claim to make first.
type wanted struct{ claimName }

func (w *wanted) Error() string { return "the name is to be claimed first, at " + w.at }

// claimName claims a name for a thing, in the name's stream.
type claimName struct {
	claim
	of   commands.Command // which wants it
	at   string           // stream of the name
	fact events.Data      // says so
}

func (c *claimName) CommandType() string { return c.of.CommandType() }
func (c *claimName) Stream() string      { return c.at }
func (c *claimName) Validate() error     { return c.of.Validate() }

func (c *claimName) taken() error {
	_, err := refuse(fault.Conflict, "name", "the name %q is taken", c.name)
	return err
}

// decide decides on a claim, in the stream of the name.
func (n *naming) decide(c *claimName) ([]events.Data, error) {
	switch {
	case n.claim.is(&c.claim):
		return nil, nil
	case n.name == c.name:
		return nil, c.taken()
	case n.claim.stream != "":
		return nil, &elsewhere{n.claim, c.taken()}
	}
	return one(c.fact)
}

// dispatch decides a command where the name in it leads.
func (d *Dispatcher) dispatch(ctx context.Context, c commands.Command, m Meta, digest string) (Result, error) {
	stream := c.Stream()
	for range conflictsMax {
		res, made, err := d.decideAt(ctx, stream, c, m, digest)
		var away *elsewhere
		var want *wanted
		switch {
		case err == nil && made != nil:
			_, then, err := d.settle(ctx, made, m)
			return then.after(res), err
		case errors.As(err, &want):
			then, held, err := d.claim(ctx, &want.claimName, m, digest)
			if err != nil || held {
				return then, err
			}
			stream = c.Stream() // somebody was faster
		case !errors.As(err, &away):
			return res, err
		case away.stream == "":
			stream = c.Stream()
		default:
			held, _, err := d.settle(ctx, &away.claim, m)
			switch {
			case err != nil:
				return Result{}, err
			case !held:
				err = d.bury(ctx, stream, &away.claim)
			case away.taken != nil:
				err = away.taken
			default:
				stream = away.stream
			}
			if err != nil {
				return Result{}, err
			}
		}
	}
	return Result{}, overtaken(c, stream)
}

// claim claims a name for a thing and gives it to it; held is false where the thing was called otherwise meanwhile.
func (d *Dispatcher) claim(ctx context.Context, c *claimName, m Meta, digest string) (res Result, held bool, err error) {
	m.IfMatch = nil // of the thing's stream
	res, err = d.dispatch(ctx, c, m, digest)
	if err != nil {
		return Result{}, false, err
	}
	held, then, err := d.settle(ctx, &c.claim, m)
	return then.after(res), held, err
}

// after is the result of two commits of which this is the second.
func (r Result) after(first Result) Result {
	if len(r.Events) > 0 {
		r.Events = append(first.Events[:len(first.Events):len(first.Events)], r.Events...)
	} else {
		r.Events = first.Events
	}
	r.Duplicate = first.Duplicate
	return r
}

// settle finishes a claim that is unfinished, and says whether it holds.
func (d *Dispatcher) settle(ctx context.Context, c *claim, m Meta) (held bool, res Result, err error) {
	e, err := d.streams.acquire(ctx, c.stream)
	if err != nil {
		return false, res, fault.Wrap(fault.Unavailable, err, "a naming did not get its turn at %s", c.stream)
	}
	defer e.release()
	for range conflictsMax {
		if err := d.load(ctx, c.stream, e.value); err != nil {
			return false, res, err
		}
		n := e.value.state.(named).names()
		if n.count != c.naming-1 {
			res.Position, res.Revision = e.value.position, e.value.revision
			return n.count == c.naming && n.name == c.name, res, nil
		}
		id := nameID("commit", "naming", c.stream, strconv.Itoa(c.naming), c.name) // whoever finishes it
		commit := streams.Commit{ID: id, Stream: c.stream, Expected: e.value.revision, Events: envelopes(c.events, id, "", c.stream, m, d.now().UTC())}
		receipt, err := d.append(ctx, commit)
		switch {
		case err == nil && !receipt.Duplicate:
			return true, Result{Position: receipt.Position, Revision: receipt.Revision, Events: commit.Events}, nil
		case err != nil && !fault.Is(err, fault.Conflict):
			return false, res, err
		}
	}
	return false, res, fault.New(fault.Conflict, "a naming was overtaken %d times by other writers of %s", conflictsMax, c.stream).
		WithHint("try again later")
}

// bury forgets a claim that has come to nothing.
func (d *Dispatcher) bury(ctx context.Context, stream string, dead *claim) error {
	e, err := d.streams.acquire(ctx, stream)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "a naming did not get its turn at %s", stream)
	}
	defer e.release()
	if err := d.load(ctx, stream, e.value); err != nil {
		return err
	}
	if n := e.value.state.(named).names(); n.claim.is(dead) {
		n.claim = claim{}
	}
	return nil
}

// renaming is a command to give a thing another name.
type renaming interface {
	commands.Command
	NameStream() string
}

// renamedBefore finds what a renaming with an idempotency key came to: the thing is not to be found by its old name.
func (d *Dispatcher) renamedBefore(ctx context.Context, c renaming, m Meta, digest string) (Result, bool, error) {
	at := c.NameStream()
	e, err := d.streams.acquire(ctx, at)
	if err != nil {
		return Result{}, false, fault.Wrap(fault.Unavailable, err, "%s did not get its turn at %s", c.CommandType(), at)
	}
	defer e.release()
	if err := d.load(ctx, at, e.value); err != nil {
		return Result{}, false, err
	}
	for _, id := range []string{commitID(c, at, m), d.commitID(c, m)} { // of a claim, or where none was needed
		if k, ok := e.value.keyed[id]; ok {
			res, err := d.repeated(ctx, c, at, k, eventID(id, digest, 0))
			return res, true, err
		}
	}
	return Result{}, false, nil
}

// claimIn is the claim among what was decided, nil for none.
func claimIn(decided []events.Event) *claim {
	for i := range decided {
		if c, ok := claimOf(decided[i].Data); ok {
			return &c
		}
	}
	return nil
}

// claimOf reads a claim; false for another event.
func claimOf(d events.Data) (claim, bool) {
	switch e := d.(type) {
	case *events.ExperimentNameClaimed:
		c := claim{"experiment/" + e.ExperimentID, e.Name, e.Naming, []events.Data{&events.ExperimentRenamed{ExperimentID: e.ExperimentID, Name: e.Name, Naming: e.Naming}}}
		if e.Created != nil {
			c.events = []events.Data{e.Created}
		}
		return c, true
	case *events.ModelNameClaimed:
		c := claim{"model/" + e.Key, e.Name, e.Naming, []events.Data{&events.ModelRenamed{Name: e.Key, To: e.Name, Naming: e.Naming}}}
		if e.Registered != nil {
			c.events = append([]events.Data{e.Registered}, tagged(e.Key, 0, nil, e.Tags)...)
		}
		return c, true
	}
	return claim{}, false
}

// overtaken refuses a command that was decided anew too often.
func overtaken(c commands.Command, stream string) error {
	return fault.New(fault.Conflict, "%s was overtaken %d times by other writers of %s", c.CommandType(), conflictsMax, stream).
		WithHint("try again later")
}

var (
	_ named = (*experiment)(nil)
	_ named = (*model)(nil)
)
