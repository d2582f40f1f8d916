package projections

import (
	"context"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// calledSo folds the thing that had a name at a moment: the one in the stream of the name, or the last that claimed it
// there, if that is what it is called.
func calledSo[T any](ctx context.Context, l streams.Ledger, home string, at fold.At,
	folded func(iter.Seq2[*streams.Committed, error], fold.At) (T, bool, error), so func(*T) bool) (none T, ok bool, err error) {
	for _, stream := range []func() (string, error){
		func() (string, error) { return home, nil },
		func() (string, error) { return claimant(l.ReadStream(ctx, home, 0), at) },
	} {
		name, err := stream()
		if err != nil || name == "" {
			return none, false, err
		}
		t, ok, err := folded(l.ReadStream(ctx, name, 0), at)
		if err != nil || ok && so(&t) {
			return t, ok, err
		}
	}
	return none, false, nil
}

// claimant is the stream of the last thing that has claimed a name in the name's stream; "" for none.
func claimant(commits iter.Seq2[*streams.Committed, error], at fold.At) (stream string, err error) {
	for in, err := range fold.Inputs(commits, at) {
		if err != nil {
			return "", err
		}
		switch x := in.Event.Data.(type) {
		case *events.ModelNameClaimed:
			stream = "model/" + x.Key
		case *events.ExperimentNameClaimed:
			stream = "experiment/" + x.ExperimentID
		}
	}
	return stream, nil
}
