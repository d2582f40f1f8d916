package projections

import (
	"context"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// SignalsDefinition is one definition of what acts mean, as it was put in force.
type SignalsDefinition struct {
	events.SignalsDefined
	Revision streams.Revision `json:"revision"` // of its event in the stream [events.SignalsStream]
	fold.Origin
}

// signalsOf is the definition that an event puts in force; false for any other event, and for a text that is no
// definition, which no command lets through.
func signalsOf(in *fold.Input) (SignalsDefinition, bool) {
	x, ok := in.Event.Data.(*events.SignalsDefined)
	if !ok {
		return SignalsDefinition{}, false
	}
	if _, err := signal.Parse([]byte(x.Definitions)); err != nil {
		return SignalsDefinition{}, false
	}
	return SignalsDefinition{*x, in.Revision, fold.OriginOf(in)}, true
}

// Signals reads the definition of what acts mean that was in force at a moment; false if there was none yet, and
// acts were read by [signal.Default].
func (v *Definitions) Signals(at fold.At) (SignalsDefinition, bool, error) {
	return lastAdmitted[SignalsDefinition](v.r, fold.Table('s'), at)
}

// SignalsHistory pages through all definitions of what acts mean, newest first.
func (v *Definitions) SignalsHistory(q fold.PageQuery) (fold.Page[SignalsDefinition], error) {
	return fold.PageJSON[SignalsDefinition](v.r, fold.Table('s'), true, q, nil)
}

// FoldSignals folds what at admits of the stream [events.SignalsStream] into the definition of what acts mean that
// is in force then: [signal.Default] before the first.
func FoldSignals(commits iter.Seq2[*streams.Committed, error], at fold.At) (fold.Definition, error) {
	d := fold.Definition{Hash: signal.Default().Hash(), Text: signal.DefaultYAML()}
	for in, err := range fold.Inputs(commits, at) {
		if err != nil {
			return d, err
		}
		if s, ok := signalsOf(in); ok {
			d = fold.Definition{Hash: s.Hash, Text: s.Definitions}
		}
	}
	return d, nil
}

// meanings are what a view that is [fold.Defined] reads acts by.
type meanings struct{ signals *signal.Definition }

// InForce is the definition of what acts mean that is in force at a moment, as far as this program can read: the views
// of the ledger halt at one that it cannot.
func (*meanings) InForce(ctx context.Context, ledger streams.Ledger, at fold.At) (fold.Definition, error) {
	return FoldSignals(fold.Known(ledger.ReadStream(ctx, events.SignalsStream, 0)), at)
}

// ReadBy makes the view read acts by a definition of what they mean.
func (m *meanings) ReadBy(d fold.Definition) (err error) {
	m.signals, err = signal.Parse([]byte(d.Text))
	return err
}
