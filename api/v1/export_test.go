package v1

import (
	"io"

	"github.com/projectionist/projectionist/projections/featurestore"
)

// What tests from outside look at, and hold.

const (
	HistoricalMax      = featurestore.JoinsMax
	HistoricalBytesMax = historicalBytesMax
	EntitiesMax        = entitiesMax
	SimilarThenMax     = similarThenMax
)

// UTF8Reader passes on what is UTF-8.
func UTF8Reader(in io.Reader) io.Reader { return &utf8Reader{in: in} }

// Limits that a test may set.
var (
	JudgedScanMax   = &judgedScanMax
	SimilarThenWait = &similarThenWait
)

// HoldSimilarThen takes a place of those who find similar films of a moment, until release is called.
func (s *Surface) HoldSimilarThen() (release func()) {
	s.similarThen <- struct{}{}
	return func() { <-s.similarThen }
}

// HoldSnapshots keeps snapshots from being made until release is called.
func (s *Surface) HoldSnapshots() (release func()) {
	s.snapshotting.Lock()
	return s.snapshotting.Unlock
}

// HoldListeners takes all places of listeners but for those that are taken, until release is called.
func (s *Surface) HoldListeners(taken int) (release func()) {
	for range listenersMax - taken {
		s.listeners <- struct{}{}
	}
	return func() {
		for range listenersMax - taken {
			<-s.listeners
		}
	}
}
