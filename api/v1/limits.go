package v1

import "time"

const (
	// KMax bounds k of a ranking: nobody looks at more, and an answer stays small.
	KMax     = 1000
	kDefault = 10

	interactionsMax   = 1000 // of one request
	entitiesMax       = 1000 // of one batch of features
	selectionsKeptMax = 256  // distinct choices of features that clients make

	weightsBytesMax = 1 << 30 // of a file of weights, which is held

	recordsDefault = 100
	recordsMax     = 100_000 // of one answer that does not follow; lines are streamed, not held
	commitsMax     = 1000    // of one page of a stream
	recordsPageMax = 1000    // of one page
	recordsScanMax = 10_000  // that a page looks at: some 100 ms
	// recordsBackMax is how many records are read at once where the newest come first, and recordsBackBytes what they may take; one more of
	// the largest may be among them.
	recordsBackMax   = 512
	recordsBackBytes = 4 << 20
	causedMax        = 100 // events that are told to have come of another
	// commitsBytesMax ends a page of a stream early: an event may take a megabyte.
	commitsBytesMax = 4 << 20

	// scratchCacheBytes is the cache of a scratch store: it is folded once, and read once.
	scratchCacheBytes = 16 << 20
)

// Limits of joins of rows with features as they were. A join keeps some hundred megabytes in memory at most, whatever
// it joins.
const (
	historicalBytesMax = 4 << 30  // of a body: a hundred million rows
	rowBytesMax        = 1 << 20  // of a row, which is held
	fieldNamesBytesMax = 1 << 20  // of the names of a JSON body's fields, which are held
	groupBytes         = 16 << 20 // of the values of a row group in Parquet, which is held
	spoolMemoryBytes   = 1 << 20  // of a body, and of its rows' keys, before they go to the disk: most do not
)

// Limits of a series of features of one entity, which is held.
const (
	seriesPointsDefault = 200
	seriesPointsMax     = 2000
	seriesValuesMax     = 100_000 // points times features
	seriesBytesMax      = 16 << 20
)

// Limits of what is told of the log over time.
const (
	bucketsDefault = 200
	bucketsMax     = 1000
	marksMax       = 500
	// timesBucketsDefault is how many there are, each way, of a history's two times.
	timesBucketsDefault = 60
	// offsetsKept is how many places of times in partitions are remembered: a few megabytes, and some requests' worth.
	offsetsKept = 1 << 16
)

// Limits of searches of runs.
const (
	runsColumnarDefault = 20_000    // rows, where columns are asked for
	runsColumnarMax     = 50_000    // and at most
	runCellsMax         = 1_000_000 // of one answer, which is held: rows times columns
	curvesMax           = 100       // runs whose metrics are told together
	curveBucketsDefault = 500
	curveBucketsMax     = 5000
	curvePointsMax      = 100_000 // runs times buckets
)

// Limits of finding things by a text.
const (
	findBytesMax = 256
	findDefault  = 20
	findMax      = 50
	// findScanMax is how many things of one kind are looked through for their names: some 100 ms.
	findScanMax = 100_000
	// findFilmsMax is how many films with the words are ordered.
	findFilmsMax = 200
)

// Limits of what is told as it happens.
const (
	listenersMax  = 256                    // at once: each reads what comes into the log
	liveReadMax   = 5000                   // records of a partition that are looked through for one message; of more it is said that they are many
	liveIDsMax    = 100                    // of a resource, in one message
	liveEvery     = 250 * time.Millisecond // between messages of one listener
	liveHeartbeat = 15 * time.Second
	liveLook      = time.Second // at readiness
	liveRetry     = time.Second // after which a listener that has lost the connection comes back
)

// similarThenMax is how many moments similar films are found as of at once, each with a ranker of its own.
const similarThenMax = 2

// similarThenWait is for how long others wait for that.
var similarThenWait = 20 * time.Second

const (
	// lagEventsMax is the lag from which answers are called stale: a second's folding, on a slow day.
	lagEventsMax = 100_000
	// logTimeout is how long readiness waits for the log to say how far it is: probes give up soon.
	logTimeout = 2 * time.Second
	// snapshotTold is how often the log says how far a snapshot is.
	snapshotTold = 10 * time.Second
)
