package api

import (
	"time"
)

// Limits of requests, whatever the surface.
const (
	BodyBytesMax      = 1 << 20          // a thousand interactions, or a definitions file, and some room
	bodyTimeout       = 30 * time.Second // of each BodyBytesMax: a body that trickles in would hold a connection for ever
	requestIDBytesMax = 128
	actorBytesMax     = 128 // of the header X-Actor
)

// Limits of answers: a client that does not take writePieceBytes in writeStall is cut off, whatever is sent to it.
// What it holds meanwhile (a snapshot of a view, the copy of one on the disk, a place among few) others wait for.
const (
	writeStall      = time.Minute
	writePieceBytes = 64 << 10
	// answerHeldBytes is how much of an answer is made before any of it is sent.
	answerHeldBytes = 64 << 10
)

// PageLimitDefault is how many items a page of a list has where the caller does not say; the most is
// fold.PageLimitMax.
const PageLimitDefault = 100

// WaitMax bounds how long a query waits for a view. Views fold within milliseconds: one that has not
// caught up by then is rebuilding or halted, and the client should know.
const WaitMax = 5 * time.Second

const (
	// operationsMax bounds the long work under way: each can fold the whole log and hold a model in memory.
	operationsMax = 2
	// ongoingEndMax is how long a program that ends waits for work that nobody follows: to see that it is to end, and to record that it has.
	ongoingEndMax = 10 * time.Second
	// progressEvery is how often a line of progress is worth a reader's while.
	progressEvery = 200 * time.Millisecond
)

// Limits of the past: of what is folded for it, and kept.
const (
	pastFoldsMax     = 2       // at once: each has its own read of the log
	pastBusyMax      = 16      // moments that are folded, wait for that, or are read: none of them can be let go of
	pastKeptMax      = 8       // moments, each with an open store
	pastKeptBytesMax = 2 << 30 // on disk, counting what they share as often as they have it; the last one is kept in any case
	pastCacheBytes   = 8 << 20 // of each store
	// pastWaitMax is how long an answer waits for a fold; clients wait for a minute or two.
	pastWaitMax = 30 * time.Second
	// pastGrace is for how long a fold goes on for somebody who was told to come back: MLflow's client comes within 64 s.
	pastGrace = 2 * time.Minute
	// pastTellEvery is how often the program's log has how far a fold is.
	pastTellEvery = 5 * time.Second
)
