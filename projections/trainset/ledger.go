package trainset

import (
	"context"
	"maps"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/signal"
	"github.com/projectionist/projectionist/streams"
)

// ledger is what sets need of the ledger, up to an offset.
type ledger struct {
	log          streams.Log
	next         int64 // offset of the first commit not read
	films        events.Films
	people       map[string][]events.UserDescribed // what a list has is not changed
	meanings     *signal.Definition
	featuresHash string
}

func newLedger(log streams.Log) *ledger {
	return &ledger{log: log, films: events.Films{}, people: map[string][]events.UserDescribed{}, meanings: signal.Default()}
}

// ledger is that of a log up to an offset. It is kept, so that the next set needs of it only what came since; one of an
// earlier cut is read from the beginning.
func (c *Cache) ledger(ctx context.Context, log streams.Log, head int64, read func(n int64)) (*ledger, error) {
	l := c.said
	if l == nil || l.log != log || l.next > head {
		l = newLedger(log)
	}
	read(l.next)
	err := l.readTo(ctx, head, read)
	if c.Dir != "" && (c.said == nil || c.said.log != log || c.said.next < l.next) {
		c.said = l
	}
	return l, err
}

// readTo reads on, up to an offset or the head. After an error it is what it was up to there.
func (l *ledger) readTo(ctx context.Context, head int64, read func(n int64)) error {
	if l.next >= head {
		return nil
	}
	for com, err := range l.log.Ledger().Read(ctx, l.next) {
		if com != nil && com.Position.Offset >= head {
			break
		}
		if err != nil {
			return err
		}
		read(1)
		for i := range com.Events {
			l.fold(com.Events[i].Data)
		}
		l.next = com.Position.Offset + 1
	}
	return nil
}

func (l *ledger) fold(d events.Data) {
	l.films.Fold(d)
	switch e := d.(type) {
	case *events.UserDescribed:
		l.describe(e)
	case *events.FeaturesDefined:
		l.featuresHash = e.Hash
	case *events.SignalsDefined:
		if m, err := signal.Parse([]byte(e.Definitions)); err == nil { // else it puts nothing in force
			l.meanings = m
		}
	}
}

// describe takes what was said of a person to its place.
func (l *ledger) describe(e *events.UserDescribed) {
	since, err := e.SinceMillis()
	if err != nil {
		return // the view of people halts at it
	}
	id := events.CanonicalUser(e.UserID)
	said := l.people[id]
	at := len(said)
	for at > 0 {
		if before, _ := said[at-1].SinceMillis(); before <= since {
			break
		}
		at--
	}
	if at < len(said) { // sets have the list
		said = slices.Concat(said[:at], []events.UserDescribed{*e}, said[at:])
	} else {
		said = append(said, *e)
	}
	l.people[id] = said
}

// fill has the set say what the ledger does.
func (l *ledger) fill(s *Set, acts bool) {
	s.Movies, s.meanings, s.SignalsHash, s.FeaturesHash = l.films.Merged(), l.meanings, l.meanings.Hash(), l.featuresHash
	if acts {
		s.People = maps.Clone(l.people)
	}
}
