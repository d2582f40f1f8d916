package v1

import "time"

const (
	// KMax bounds k of a ranking: nobody looks at more, and an answer stays small.
	KMax     = 1000
	kDefault = 10

	interactionsMax    = 1000     // of one request
	entitiesMax        = 1000     // of one batch of features
	historicalBytesMax = 64 << 20 // a million rows of a training set
	selectionsKeptMax  = 256      // distinct choices of features that clients make

	recordsDefault = 100
	recordsMax     = 100_000 // of one answer that does not follow; lines are streamed, not held
	commitsMax     = 1000    // of one page of a stream

	// scratchCacheBytes is the cache of a scratch store: it is folded once, and read once.
	scratchCacheBytes = 16 << 20
)

const (
	// lagEventsMax is the lag from which answers are called stale: a second's folding, on a slow day.
	lagEventsMax = 100_000
	// logTimeout is how long readiness waits for the log to say how far it is: probes give up soon.
	logTimeout = 2 * time.Second
	// snapshotTold is how often the log says how far a snapshot is.
	snapshotTold = 10 * time.Second
)
